//! `trm-run`: solves puzzles with Tiny Recursive Models. This file maps results to exit codes, once, for all commands.

#![deny(missing_docs)]

mod arc;
mod args;
mod bench;
mod check;
mod compare;
mod convert;
mod curve;
mod devices;
mod differences;
mod eval;
mod input;
mod inspect;
mod interrupt;
mod live;
mod logger;
mod marks;
mod models;
mod output;
mod random;
mod render;
mod report;
mod solve;
mod stream;
mod trace;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use interrupt::Interrupt;
use output::{Done, Failure, say};

fn main() -> ExitCode {
    let cli = Cli::parse();
    logger::start(cli.shared.quiet, cli.shared.verbose);
    match run(cli) {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Wrong) => ExitCode::from(1),
        Ok(Done::Nothing) => ExitCode::from(2),
        Ok(Done::Interrupted) => ExitCode::from(130),
        // Whoever read the output has seen enough.
        Err(Failure::Output(e)) if e.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(e)) => {
            say(format_args!("error: standard output: {e}"));
            ExitCode::from(2)
        }
        Err(Failure::Error(e)) => {
            say(format_args!("error: {e}"));
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<Done, Failure> {
    let Cli {
        command,
        shared,
        solve,
    } = cli;
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
            say(format_args!(
                "error: no puzzle: give a file, or - for standard input\n"
            ));
            say(format_args!("{}", Cli::command().render_usage()));
            say(format_args!("\nFor more information, try '--help'."));
            return Ok(Done::Nothing);
        }
        None => return solve::run(&shared, solve, &Interrupt::catch()),
    }
    Ok(Done::Well)
}
