//! `check`: a device in lockstep with the scalar reference, for reports from machines that nobody has seen.

use serde_json::json;
use trm_runtime::low_level::backend::lockstep::Difference;
use trm_runtime::{Error, ErrorKind};

use crate::args::{CheckArgs, Shared};
use crate::models::{named, open, shown, solver};
use crate::output::{Done, Failure, print};
use crate::random;

/// Puzzles that are compared.
const PUZZLES: usize = 2;

/// Runs the command.
pub(crate) fn run(shared: &Shared, args: &CheckArgs) -> Result<Done, Failure> {
    let path = named(&args.subject, shared)?;
    let solver = solver(open(path, shared)?, shared)?;
    let device = solver.device_name()?;
    let config = &solver.model().config;
    let tokens = config.seq_len.ok_or_else(|| {
        let message = "the model fits any size: give the number of tokens, as in --set seq_len=81";
        Error::new(ErrorKind::Argument, message)
    })?;
    let mut random = trm_runtime::low_level::random::Random::new(shared.seed);
    let puzzles: Vec<Vec<u32>> = (0..PUZZLES)
        .map(|_| random::tokens(&mut random, tokens, config.vocab_size))
        .collect();
    let calls = solver.plan(tokens)?.calls.len();
    let mut largest: Option<Difference> = None;
    let format = solver.dtype();
    let tolerance = solver.check_tolerance()?;
    let found = solver.check(&puzzles, tolerance, &mut |difference| {
        if largest
            .as_ref()
            .is_none_or(|l| difference.difference > l.difference)
        {
            largest = Some(difference.clone());
        }
    })?;
    let model = shown(path);
    if shared.json {
        print(json!({
            "type": "check",
            "model": model,
            "device": device,
            "ok": found.is_none(),
            "calls": calls,
            "tolerance": tolerance,
            "dtype": format.name(),
            "first": found.as_ref().map(as_json),
            "largest": largest.as_ref().map(as_json),
        }))?;
    } else if let Some(found) = &found {
        print(format_args!(
            "{model} on {device}, {format}: {found}, the first beyond {tolerance:e}"
        ))?;
    } else {
        print(format_args!(
            "{model} on {device}, {format}: all {calls} calls agree with the reference to {tolerance:e}"
        ))?;
        if let Some(largest) = &largest {
            print(format_args!("largest difference: {largest}"))?;
        }
    }
    Ok(if found.is_none() {
        Done::Well
    } else {
        Done::Wrong
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
