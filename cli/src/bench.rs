//! `bench`: how long a refinement step takes; of two models, in turns.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trm_runtime::low_level::Inspect;
use trm_runtime::{CancelToken, Error, ErrorKind, Solver, SolverBuilder};

use crate::args::{BenchArgs, Shared};
use crate::models::{named, open, shown, solver};
use crate::output::{Done, Failure, print};
use crate::random;
use crate::report::{milliseconds, rounded};

/// How long is measured for each model, and how often at least and at most.
const TIME: Duration = Duration::from_secs(3);
const LEAST: usize = 5;
const MOST: usize = 10_000;

/// Runs the command.
pub(crate) fn run(
    shared: &Shared,
    args: &BenchArgs,
    cancel: &CancelToken,
) -> Result<Done, Failure> {
    let mut timed = vec![Timed::new(named(&args.subject, shared)?, shared, false)?];
    if let Some(other) = &args.against {
        timed.push(Timed::new(other, shared, true)?);
    }
    let difference = match &timed[..] {
        [one, other] => Some(one.difference(other)?),
        _ => None,
    };
    let start = Instant::now();
    let limit = TIME * timed.len() as u32;
    while !cancel.is_cancelled()
        && timed[0].times.len() < MOST
        && (timed[0].times.len() < LEAST || start.elapsed() < limit)
    {
        timed.iter_mut().try_for_each(Timed::step)?;
    }
    if timed.iter().any(|t| t.times.is_empty()) {
        return Ok(Done::Interrupted);
    }
    timed.iter_mut().for_each(|t| t.times.sort_unstable());
    let ratio = timed.get(1).map(|other| other.median() / timed[0].median());
    if shared.json {
        let mut object = timed[0].object(shared);
        if let (Some(other), Some(ratio), Some(difference), Some(fields)) =
            (timed.get(1), ratio, difference, object.as_object_mut())
        {
            let mut against = other.object(shared);
            against["step_ratio"] = rounded(ratio, 3).into();
            against["largest_difference"] = difference.into();
            fields.insert("against".into(), against);
        }
        print(object)?;
    } else {
        timed.iter().try_for_each(|t| t.print(shared))?;
        if let (Some(ratio), Some(difference)) = (ratio, difference) {
            print(format_args!(
                "ratio       a step of the second takes {ratio:.2} times that of the first; their logits differ by {difference:.1e} at most after the first step"
            ))?;
        }
        if let Some(mb) = peak_memory() {
            print(format_args!("memory      {mb:.1} MB at most"))?;
        }
    }
    Ok(if cancel.is_cancelled() {
        Done::Interrupted
    } else {
        Done::Well
    })
}

/// A model at work on random puzzles.
struct Timed {
    path: PathBuf,
    solver: Solver,
    device: &'static str,
    stepper: Box<dyn Inspect>,
    live: Vec<usize>,
    /// Not known of an ONNX graph.
    gflop: Option<f64>,
    load: Duration,
    /// Steps; in the end from the shortest.
    times: Vec<Duration>,
}

impl Timed {
    /// Opens a model, fills its places and takes the first step. An ONNX graph that stands `beside` another model takes no options that it cannot follow.
    fn new(path: &Path, shared: &Shared, beside: bool) -> Result<Timed, Failure> {
        let start = Instant::now();
        let model = open(path, shared)?;
        let solver = match beside && model.is_onnx() {
            true => shared
                .threads
                .into_iter()
                .fold(Solver::builder(), SolverBuilder::threads)
                .build(model)?,
            false => solver(model, shared)?,
        };
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
        let mut random = trm_runtime::low_level::random::Random::new(shared.seed);
        for slot in 0..batch {
            stepper.load(
                slot,
                &random::tokens(&mut random, tokens, config.vocab_size),
                0,
            )?;
        }
        let live: Vec<usize> = (0..batch).collect();
        stepper.step(&live)?;
        let gflop = match solver.model().is_onnx() {
            true => None,
            false => Some(solver.plan(tokens)?.gflop_per_step()),
        };
        Ok(Timed {
            path: path.to_owned(),
            solver,
            device,
            stepper,
            live,
            gflop,
            load,
            times: Vec::new(),
        })
    }

    fn step(&mut self) -> trm_runtime::Result<()> {
        let start = Instant::now();
        self.stepper.step(&self.live)?;
        self.times.push(start.elapsed());
        Ok(())
    }

    /// The largest difference of the logits of both; without end where one is no number.
    fn difference(&self, other: &Timed) -> trm_runtime::Result<f32> {
        let mut largest = 0.0f32;
        for &slot in &self.live {
            let [ours, theirs] =
                [&self.stepper, &other.stepper].map(|stepper| stepper.logits(slot));
            let (ours, theirs) = (ours?, theirs?);
            if ours.len() != theirs.len() {
                let message = format!(
                    "{} and {} are not of one size: {} and {} logits",
                    shown(&self.path),
                    shown(&other.path),
                    ours.len(),
                    theirs.len()
                );
                return Err(Error::new(ErrorKind::Argument, message));
            }
            for difference in ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()) {
                largest = match difference.is_nan() {
                    true => f32::INFINITY,
                    false => largest.max(difference),
                };
            }
        }
        Ok(largest)
    }

    /// Seconds of the step in the middle.
    fn median(&self) -> f64 {
        self.middle().as_secs_f64()
    }

    fn middle(&self) -> Duration {
        self.times
            .get(self.times.len() / 2)
            .copied()
            .unwrap_or_default()
    }

    fn shortest(&self) -> Duration {
        self.times.first().copied().unwrap_or_default()
    }

    fn per_second(&self) -> f64 {
        self.live.len() as f64 / self.median()
    }

    fn threads(&self, shared: &Shared) -> usize {
        match self.device {
            "reference" => 1,
            _ => shared
                .threads
                .unwrap_or_else(trm_runtime::low_level::backend::cpu::physical_cores),
        }
    }

    /// An ONNX graph has its own numbers.
    fn format(&self) -> &'static str {
        match self.solver.model().is_onnx() {
            true => "ONNX",
            false => self.solver.dtype().name(),
        }
    }

    fn object(&self, shared: &Shared) -> Value {
        json!({
            "type": "bench",
            "model": shown(&self.path),
            "step_ms_min": milliseconds(self.shortest()),
            "step_ms_median": milliseconds(self.middle()),
            "gflop_per_step": self.gflop.map(|gflop| rounded(gflop, 6)),
            "gflops": self.gflop.map(|gflop| rounded(gflop * self.per_second(), 3)),
            "puzzles_per_s": rounded(self.per_second(), 3),
            "load_ms": milliseconds(self.load),
            "rss_mb": peak_memory().map(|mb| rounded(mb, 1)),
            "device": self.device,
            "dtype": self.format(),
            "format": self.format(),
            "threads": self.threads(shared),
            "batch": self.live.len(),
            "steps": self.times.len(),
        })
    }

    fn print(&self, shared: &Shared) -> Result<(), Failure> {
        print(format_args!(
            "{}: {}, {}, {} threads, {} puzzles at once",
            shown(&self.path),
            self.device,
            self.format(),
            self.threads(shared),
            self.live.len()
        ))?;
        print(format_args!(
            "step        {:.3} ms at best, {:.3} ms median of {}",
            milliseconds(self.shortest()),
            milliseconds(self.middle()),
            self.times.len()
        ))?;
        let per_second = self.per_second();
        if let Some(gflop) = self.gflop {
            print(format_args!(
                "work        {gflop:.4} GFLOP per puzzle and step, {:.1} GFLOP/s",
                gflop * per_second
            ))?;
        }
        let steps = self.solver.model().config.halt_max_steps;
        print(format_args!(
            "throughput  {per_second:.1} puzzles/s that halt after 1 step, {:.1} after {steps}",
            per_second / steps as f64,
        ))?;
        print(format_args!(
            "loading     {:.1} ms",
            milliseconds(self.load)
        ))?;
        Ok(())
    }
}

/// The most memory that this process has had, in MB of 2^20 bytes, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
