//! `check`: compares a device with the scalar reference. Users attach its output to bug reports.

use serde_json::json;
use trm_runtime::low_level::backend::lockstep::Difference;

use crate::args::{CheckArgs, Shared};
use crate::models::{build_solver, display_path, model_path, open, token_count};
use crate::output::{CommandError, CommandStatus, print, print_text};
use crate::random;

/// Number of random puzzles that are compared.
const PUZZLE_COUNT: usize = 2;

/// Runs the command.
pub(crate) fn run(shared: &Shared, args: &CheckArgs) -> Result<CommandStatus, CommandError> {
    let path = model_path(&args.subject, shared)?;
    let solver = build_solver(open(path, shared)?, shared)?;
    let device = solver.device_name()?;
    let config = &solver.model().config;
    let tokens = token_count(config)?;
    let mut random = trm_runtime::low_level::random::Random::new(shared.seed);
    let puzzles: Vec<Vec<u32>> = (0..PUZZLE_COUNT)
        .map(|_| random::tokens(&mut random, tokens, config.vocab_size))
        .collect();
    let calls = solver.plan(tokens)?.calls.len();
    let mut largest: Option<Difference> = None;
    let dtype = solver.dtype();
    let tolerance = solver.check_tolerance()?;
    let found = solver.check(&puzzles, tolerance, &mut |difference| {
        if largest
            .as_ref()
            .is_none_or(|l| difference.difference > l.difference)
        {
            largest = Some(difference.clone());
        }
    })?;
    let model = display_path(path);
    if shared.json {
        print(json!({
            "type": "check",
            "model": model,
            "device": device,
            "ok": found.is_none(),
            "calls": calls,
            "tolerance": tolerance,
            "dtype": dtype.name(),
            "first": found.as_ref().map(as_json),
            "largest": largest.as_ref().map(as_json),
        }))?;
    } else if let Some(found) = &found {
        print_text(format_args!(
            "{model} on {device}, {dtype}: {found}, the first beyond {tolerance:e}"
        ))?;
    } else {
        print_text(format_args!(
            "{model} on {device}, {dtype}: all {calls} calls agree with the reference to \
             {tolerance:e}"
        ))?;
        if let Some(largest) = &largest {
            print_text(format_args!("largest difference: {largest}"))?;
        }
    }
    Ok(if found.is_none() {
        CommandStatus::Success
    } else {
        CommandStatus::Invalid
    })
}

fn as_json(d: &Difference) -> serde_json::Value {
    json!({
        "call": d.call,
        "kernel": d.kernel,
        "buffer": d.buffer.to_string(),
        "puzzle": d.slot,
        "difference": d.difference,
    })
}
