//! `bench`: how long a refinement step takes.

use std::time::{Duration, Instant};

use serde_json::json;
use trm::{CancelToken, Error, ErrorKind, Stepper};

use crate::args::{BenchArgs, Shared};
use crate::models::{named, open, shown, solver};
use crate::output::{Done, Failure, print};
use crate::random;
use crate::report::{milliseconds, rounded};

/// How long is measured, and how often at least and at most.
const TIME: Duration = Duration::from_secs(3);
const LEAST: usize = 5;
const MOST: usize = 10_000;

/// Runs the command.
pub(crate) fn run(shared: &Shared, args: &BenchArgs, cancel: &CancelToken) -> Result<Done, Failure> {
    let path = named(&args.subject, shared)?;
    let start = Instant::now();
    let solver = solver(open(path, shared)?, shared)?;
    let device = solver.device_name()?;
    let config = &solver.model().config;
    let tokens = config.seq_len.ok_or_else(|| {
        Error::new(
            ErrorKind::Argument,
            "the model fits any size: give the number of tokens, as in --set seq_len=81",
        )
    })?;
    let batch = shared.batch.unwrap_or(1);
    let mut stepper = solver.stepper(tokens, batch)?;
    let load = start.elapsed();
    let mut random = trm::random::Random::new(shared.seed);
    for slot in 0..batch {
        stepper.load(slot, &random::tokens(&mut random, tokens, config.vocab_size), 0)?;
    }
    let live: Vec<usize> = (0..batch).collect();
    stepper.step(&live)?;
    let gflop = stepper.plan().gflop_per_step();
    let mut times = Vec::new();
    let start = Instant::now();
    while !cancel.is_cancelled() && times.len() < MOST && (times.len() < LEAST || start.elapsed() < TIME) {
        let step = Instant::now();
        stepper.step(&live)?;
        times.push(step.elapsed());
    }
    times.sort_unstable();
    let (Some(min), Some(median)) = (times.first(), times.get(times.len() / 2)) else {
        return Ok(Done::Interrupted);
    };
    let per_second = batch as f64 / median.as_secs_f64();
    let threads = if device == "reference" { 1 } else { threads(shared) };
    let rss = peak_memory();
    let format = solver.weight_format();
    if shared.json {
        print(json!({
            "type": "bench",
            "model": shown(path),
            "step_ms_min": milliseconds(*min),
            "step_ms_median": milliseconds(*median),
            "gflop_per_step": rounded(gflop, 6),
            "gflops": rounded(gflop * per_second, 3),
            "puzzles_per_s": rounded(per_second, 3),
            "load_ms": milliseconds(load),
            "rss_mb": rss.map(|mb| rounded(mb, 1)),
            "device": device,
            "dtype": format.name(),
            "format": format.name(),
            "threads": threads,
            "batch": batch,
            "steps": times.len(),
        }))?;
    } else {
        print(format_args!(
            "{}: {device}, {format}, {threads} threads, {batch} puzzles at once",
            shown(path)
        ))?;
        print(format_args!(
            "step        {:.3} ms at best, {:.3} ms median of {}",
            milliseconds(*min),
            milliseconds(*median),
            times.len()
        ))?;
        print(format_args!(
            "work        {gflop:.4} GFLOP per puzzle and step, {:.1} GFLOP/s",
            gflop * per_second
        ))?;
        print(format_args!(
            "throughput  {per_second:.1} puzzles/s that halt after 1 step, {:.1} after {}",
            per_second / config.halt_max_steps as f64,
            config.halt_max_steps
        ))?;
        print(format_args!("loading     {:.1} ms", milliseconds(load)))?;
        if let Some(mb) = rss {
            print(format_args!("memory      {mb:.1} MB at most"))?;
        }
    }
    Ok(if cancel.is_cancelled() {
        Done::Interrupted
    } else {
        Done::Well
    })
}

/// Threads that the CPU runs on.
fn threads(shared: &Shared) -> usize {
    shared.threads.unwrap_or_else(trm::backend::cpu::physical_cores)
}

/// The most memory that this process has had, in MB of 2^20 bytes, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
