//! `trm-run`: solves puzzles with Tiny Recursive Models.
//!
//! This file calls the commands and maps their results to exit codes.

#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::cast_possible_truncation))]

mod arc;
mod args;
mod bench;
mod check;
mod convert;
mod devices;
mod eval;
mod hints;
mod input;
mod inspect;
mod interrupt;
mod logger;
mod models;
mod output;
mod output_file;
mod random;
mod report;
mod solve;
mod stdout;
mod stream;
mod trace;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use interrupt::Interrupt;
use output::{CommandError, CommandStatus, eprint_error, eprint_line};

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => {
            logger::start(cli.shared.quiet, cli.shared.verbose);
            run(cli)
        }
        Err(e) if e.use_stderr() => e.exit(),
        // --help and --version.
        Err(e) => print_page(&e).map_err(CommandError::Stdout),
    };
    match result {
        Ok(CommandStatus::Success) => ExitCode::SUCCESS,
        Ok(CommandStatus::Invalid) => ExitCode::from(1),
        Ok(CommandStatus::NothingRan) => ExitCode::from(2),
        Ok(CommandStatus::Interrupted) => ExitCode::from(130),
        // The program that reads our output has read enough.
        Err(CommandError::Stdout(e)) if e.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(CommandError::Stdout(e)) => {
            eprint_line(format_args!("error: standard output: {e}"));
            ExitCode::from(2)
        }
        Err(CommandError::Run(e)) => {
            eprint_error(&e);
            ExitCode::from(2)
        }
    }
}

/// Prints a page of clap's, which takes care of colours.
fn print_page(page: &clap::Error) -> std::io::Result<CommandStatus> {
    stdout::check()?;
    page.print()?;
    Ok(CommandStatus::Success)
}

fn run(cli: Cli) -> Result<CommandStatus, CommandError> {
    let Cli {
        command,
        shared,
        solve,
    } = cli;
    let shared = shared.with_environment()?;
    // Convert and trace print nothing there, unless they are asked to.
    if !matches!(command, Some(Command::Convert(_) | Command::Trace(_))) || shared.json {
        stdout::check()?;
    }
    match command {
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "trm-run", &mut script);
            stdout::write(&script)?;
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            stdout::write(&page)?;
        }
        Some(Command::Devices) => return at_once(|| devices::run(&shared)),
        Some(Command::Inspect(args)) => return at_once(|| inspect::run(&shared, &args)),
        Some(Command::Convert(args)) => return at_once(|| convert::run(&shared, &args)),
        Some(Command::Trace(args)) => return at_once(|| trace::run(&shared, &args)),
        Some(Command::Check(args)) => return at_once(|| check::run(&shared, &args)),
        Some(Command::Bench(args)) => return bench::run(&shared, &args, &Interrupt::catch().asked),
        Some(Command::Arc(args)) => return arc::run(&shared, &args, &Interrupt::catch()),
        Some(Command::Eval(args)) => return eval::run(&shared, &args, &Interrupt::catch()),
        None if solve.puzzles.is_empty() => {
            eprint_line(format_args!(
                "error: no puzzle given\nhint: name a file, or - for standard input\n"
            ));
            eprint_line(format_args!("{}", Cli::command().render_usage()));
            eprint_line(format_args!("\nFor more information, try '--help'."));
            return Ok(CommandStatus::NothingRan);
        }
        None => return solve::run(&shared, solve, &Interrupt::catch()),
    }
    Ok(CommandStatus::Success)
}

/// Runs a command that Ctrl-C ends at once.
fn at_once(
    command: impl FnOnce() -> Result<CommandStatus, CommandError>,
) -> Result<CommandStatus, CommandError> {
    interrupt::end_at_first();
    command()
}
