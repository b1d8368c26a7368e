//! `trm-run`: solves puzzles with Tiny Recursive Models.
//!
//! This file calls the commands and maps their results to exit codes.

#![deny(missing_docs)]

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
mod random;
mod report;
mod solve;
mod stream;
mod trace;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use interrupt::Interrupt;
use output::{CommandError, CommandStatus, eprint_error, eprint_line};

fn main() -> ExitCode {
    let cli = Cli::parse();
    logger::start(cli.shared.quiet, cli.shared.verbose);
    match run(cli) {
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

fn run(cli: Cli) -> Result<CommandStatus, CommandError> {
    let Cli {
        command,
        shared,
        solve,
    } = cli;
    let shared = shared.with_environment()?;
    match command {
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "trm-run", &mut script);
            std::io::stdout().write_all(&script)?;
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
        }
        Some(Command::Devices) => return devices::run(&shared),
        Some(Command::Inspect(args)) => return inspect::run(&shared, &args),
        Some(Command::Convert(args)) => return convert::run(&shared, &args),
        Some(Command::Trace(args)) => return trace::run(&shared, &args),
        Some(Command::Check(args)) => return check::run(&shared, &args),
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
