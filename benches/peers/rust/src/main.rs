//! peer-timers PEER MODEL BATCH THREADS [cold]
//! peer-timers ceiling - - THREADS
//!
//! Loads a model and takes one refinement step. With `cold`, prints a line of JSON and exits.
//! Otherwise prints the difference of the outputs from PyTorch's as JSON. Then reads lines with a
//! number of seconds each, takes steps for that time, and prints their times in ms. `ceiling`
//! prints peak rates instead.
#[cfg(feature = "peers")]
mod candle;
mod case;
mod ceiling;
#[cfg(feature = "ours")]
mod ours;
#[cfg(feature = "peers")]
mod rten;
#[cfg(feature = "peers")]
mod tract;

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use case::{Case, Outputs};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// A runtime with a loaded model and the inputs of a step.
trait Peer {
    fn step(&mut self) -> Fallible<()>;
    /// Returns the outputs of the first step.
    fn outputs(&mut self) -> Fallible<Outputs>;
}

fn main() -> Fallible<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [peer, model, batch, threads, rest @ ..] = &args[..] else {
        return Err("PEER MODEL BATCH THREADS [cold]".into());
    };
    let threads = threads.parse()?;
    if peer == "ceiling" {
        return serve(|seconds| Ok(ceiling::measure(threads, seconds)));
    }
    let (model, batch) = (Path::new(model), batch.parse()?);
    let start = Instant::now();
    let case = Case::read(&model.join(format!("case_b{batch}.safetensors")), batch)?;
    let mut runtime = open(peer, model, &case, threads)?;
    let load = milliseconds(start);
    runtime.step()?;
    if !rest.is_empty() {
        println!("{{\"load_ms\": {load}, \"peak_mb\": {}}}", peak_mb());
        return Ok(());
    }
    println!("{}", case.compare(&runtime.outputs()?)?);
    serve(|seconds| {
        let start = Instant::now();
        let mut times = Vec::new();
        while times.is_empty() || start.elapsed().as_secs_f64() < seconds {
            let step = Instant::now();
            runtime.step()?;
            times.push(milliseconds(step).to_string());
        }
        Ok(format!(
            "{{\"ms\": [{}], \"peak_mb\": {}}}",
            times.join(", "),
            peak_mb()
        ))
    })
}

fn open(peer: &str, model: &Path, case: &Case, threads: usize) -> Fallible<Box<dyn Peer>> {
    let _ = (model, case, threads);
    #[cfg(feature = "peers")]
    let onnx = |end: &str| model.join(format!("step_b{}{end}.onnx", case.batch));
    Ok(match peer {
        #[cfg(feature = "ours")]
        "ours-f32" | "ours-bf16" | "ours-int8" => {
            let dtype = peer.trim_start_matches("ours-").parse()?;
            Box::new(ours::Ours::new(model, case, threads, dtype)?)
        }
        #[cfg(feature = "peers")]
        "tract-f32" => Box::new(tract::Tract::new(&onnx(""), case, threads)?),
        #[cfg(feature = "peers")]
        "rten-f32" => Box::new(rten::Rten::new(&onnx(""), case, threads, true)?),
        #[cfg(feature = "peers")]
        "rten-f32-plain" => Box::new(rten::Rten::new(&onnx(""), case, threads, false)?),
        #[cfg(feature = "peers")]
        "rten-int8" => Box::new(rten::Rten::new(&onnx("_int8"), case, threads, true)?),
        #[cfg(feature = "peers")]
        "candle-f32" => Box::new(candle::Candle::new(model, case)?),
        _ => return Err(format!("{peer} is not built into this program").into()),
    })
}

/// Reads lines with a number of seconds each from stdin until its end, and prints a reply to each.
fn serve(mut answer: impl FnMut(f64) -> Fallible<String>) -> Fallible<()> {
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(line?.trim().parse()?)?);
    }
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Returns the peak memory of this process in MB of 2^20 bytes. 0 if the system does not report it.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: Option<f64> =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
