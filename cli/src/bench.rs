//! `bench`: measures the time of a refinement step, of one model or of two in turns.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trm_runtime::low_level::Inspect;
use trm_runtime::low_level::backend::StopSignal;
use trm_runtime::{CancelToken, Error, ErrorKind, Solver, SolverBuilder};

use crate::args::{BenchArgs, Shared};
use crate::models::{build_solver, display_path, model_path, open, token_count};
use crate::output::{CommandError, CommandStatus, print, print_text};
use crate::random;
use crate::report::{milliseconds, rounded};

/// Duration of the measurement for each model.
const MEASURE_TIME: Duration = Duration::from_secs(3);
/// Minimum and maximum number of steps, whatever they take.
const MIN_STEPS: usize = 5;
const MAX_STEPS: usize = 10_000;

/// Runs the command.
pub(crate) fn run(
    shared: &Shared,
    args: &BenchArgs,
    cancel: &CancelToken,
) -> Result<CommandStatus, CommandError> {
    match measure(shared, args, cancel) {
        // Ctrl-C ended a step early.
        Err(CommandError::Run(e)) if e.kind() == ErrorKind::Cancelled => {
            Ok(CommandStatus::Interrupted)
        }
        ended => ended,
    }
}

fn measure(
    shared: &Shared,
    args: &BenchArgs,
    cancel: &CancelToken,
) -> Result<CommandStatus, CommandError> {
    let first = model_path(&args.subject, shared)?;
    let mut timed = vec![TimedModel::new(first, shared, Role::First, cancel)?];
    if let Some(other) = &args.against {
        timed.push(TimedModel::new(other, shared, Role::Second, cancel)?);
    }
    let difference = match &timed[..] {
        [one, other] => Some(one.difference(other)?),
        _ => None,
    };
    let start = Instant::now();
    let limit: Duration = timed.iter().map(|_| MEASURE_TIME).sum();
    while !cancel.is_cancelled()
        && timed[0].times.len() < MAX_STEPS
        && (timed[0].times.len() < MIN_STEPS || start.elapsed() < limit)
    {
        timed.iter_mut().try_for_each(TimedModel::step)?;
    }
    if timed.iter().any(|t| t.times.is_empty()) {
        return Ok(CommandStatus::Interrupted);
    }
    timed.iter_mut().for_each(|t| t.times.sort_unstable());
    let ratio = timed
        .get(1)
        .map(|other| other.median_seconds() / timed[0].median_seconds());
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
            print_text(format_args!(
                "ratio       a step of the second model takes {ratio:.2} times as long; \
                 largest difference of the logits after the first step: {difference:.1e}"
            ))?;
        }
        if let Some(mb) = peak_memory() {
            print_text(format_args!("memory      {mb:.1} MB peak"))?;
        }
    }
    Ok(if cancel.is_cancelled() {
        CommandStatus::Interrupted
    } else {
        CommandStatus::Success
    })
}

/// Which of the two models of `--against` it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    First,
    Second,
}

/// A model whose steps on random puzzles are timed.
struct TimedModel {
    path: PathBuf,
    solver: Solver,
    device: &'static str,
    stepper: Box<dyn Inspect>,
    /// The slots with a puzzle, which are all.
    live: Vec<usize>,
    /// GFLOP per step, or `None` if the model has no plan.
    gflop: Option<f64>,
    load: Duration,
    /// Time of each step. Sorted at the end.
    times: Vec<Duration>,
}

impl TimedModel {
    /// Opens a model, fills its slots and runs the first step.
    fn new(
        path: &Path,
        shared: &Shared,
        role: Role,
        cancel: &CancelToken,
    ) -> Result<Self, CommandError> {
        let start = Instant::now();
        let model = open(path, shared)?;
        // A second model without a checkpoint runs on the CPU and in its own dtype, so that it can
        // be compared with any device and dtype of the first.
        let has_checkpoint = model.checkpoint().is_some();
        let solver = if role == Role::Second && !has_checkpoint {
            let threads = shared.threads.into_iter();
            threads
                .fold(Solver::builder(), SolverBuilder::threads)
                .build(model)?
        } else {
            build_solver(model, shared)?
        };
        let device = solver.device_name()?;
        let config = &solver.model().config;
        let tokens = token_count(config)?;
        let batch = shared.batch.unwrap_or(1);
        let mut stepper = solver.stepper(tokens, batch)?;
        let token = cancel.clone();
        stepper.set_stop(StopSignal::new(move || token.is_cancelled()));
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
        let gflop = match has_checkpoint {
            true => Some(solver.plan(tokens)?.gflop_per_step()),
            false => None,
        };
        Ok(Self {
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

    /// Returns the largest difference of the logits of both models. NaN counts as infinite.
    fn difference(&self, other: &Self) -> trm_runtime::Result<f32> {
        let mut largest = 0.0f32;
        for &slot in &self.live {
            let [ours, theirs] =
                [&self.stepper, &other.stepper].map(|stepper| stepper.logits(slot));
            let (ours, theirs) = (ours?, theirs?);
            if ours.len() != theirs.len() {
                let message = format!(
                    "{} and {} differ in size: {} and {} logits",
                    display_path(&self.path),
                    display_path(&other.path),
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

    /// Returns the median step time in seconds.
    fn median_seconds(&self) -> f64 {
        self.median().as_secs_f64()
    }

    fn median(&self) -> Duration {
        self.times
            .get(self.times.len() / 2)
            .copied()
            .unwrap_or_default()
    }

    fn shortest(&self) -> Duration {
        self.times.first().copied().unwrap_or_default()
    }

    fn per_second(&self) -> f64 {
        self.live.len() as f64 / self.median_seconds()
    }

    fn threads(&self, shared: &Shared) -> usize {
        match self.device {
            "reference" => 1,
            _ => shared
                .threads
                .unwrap_or_else(trm_runtime::low_level::backend::cpu::physical_cores),
        }
    }

    /// Returns the name of the weight dtype. An ONNX graph has a dtype of its own.
    fn dtype(&self) -> &'static str {
        if self.solver.model().is_onnx() {
            "ONNX"
        } else {
            self.solver.dtype().name()
        }
    }

    fn object(&self, shared: &Shared) -> Value {
        json!({
            "type": "bench",
            "model": display_path(&self.path),
            "step_ms_min": milliseconds(self.shortest()),
            "step_ms_median": milliseconds(self.median()),
            "gflop_per_step": self.gflop.map(|gflop| rounded(gflop, 6)),
            "gflops": self.gflop.map(|gflop| rounded(gflop * self.per_second(), 3)),
            "puzzles_per_s": rounded(self.per_second(), 3),
            "load_ms": milliseconds(self.load),
            "rss_mb": peak_memory().map(|mb| rounded(mb, 1)),
            "device": self.device,
            "dtype": self.dtype(),
            "format": self.dtype(),
            "threads": self.threads(shared),
            "batch": self.live.len(),
            "steps": self.times.len(),
        })
    }

    fn print(&self, shared: &Shared) -> Result<(), CommandError> {
        print_text(format_args!(
            "{}: {}, {}, {} threads, batch of {}",
            display_path(&self.path),
            self.device,
            self.dtype(),
            self.threads(shared),
            self.live.len()
        ))?;
        print_text(format_args!(
            "step        {:.3} ms fastest, {:.3} ms median of {}",
            milliseconds(self.shortest()),
            milliseconds(self.median()),
            self.times.len()
        ))?;
        let per_second = self.per_second();
        if let Some(gflop) = self.gflop {
            print_text(format_args!(
                "work        {gflop:.4} GFLOP per puzzle and step, {:.1} GFLOP/s",
                gflop * per_second
            ))?;
        }
        let steps = self.solver.model().config.halt_max_steps;
        print_text(format_args!(
            "throughput  {per_second:.1} puzzles/s at 1 step each, {:.1} at {steps}",
            per_second / steps as f64,
        ))?;
        print_text(format_args!(
            "loading     {:.1} ms",
            milliseconds(self.load)
        ))?;
        Ok(())
    }
}

/// Returns the peak memory of this process in MB of 2^20 bytes, if the system reports it.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
