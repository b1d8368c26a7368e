//! `eval --compare`: runs the same puzzles in a baseline dtype and in others, step by step.
//!
//! Each dtype is a *side* with a session of its own and the same halting policy. A block of puzzles
//! starts on all sides together, and no slot is refilled before the whole block has finished. So
//! all puzzles of a side are at the same step, and only the current states are kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use trm_runtime::low_level::backend::{HaltParams, PipelinedProgram, StopSignal};
use trm_runtime::low_level::config::State;
use trm_runtime::low_level::{Inspect, Stepper};
use trm_runtime::{
    Answer, CancelToken, ErrorKind, HaltPolicy, HaltRule, Halting, Session, Solver, WeightDtype,
};

use super::drift::{CosineStats, Drift, cosine};
use super::metrics::{EvalReport, LabeledPuzzle, Metrics, fraction, percent, steps};
use crate::args::Shared;
use crate::input::{Next, RecordReader};
use crate::models::LoadedModel;
use crate::output::{CommandError, print_text};
use crate::report::{self, rounded};

/// How long to wait for a record before checking for Ctrl-C again.
const IDLE_WAIT: Duration = Duration::from_millis(50);

/// A baseline, and the sides that are compared with it.
pub(crate) struct Comparison {
    baseline: Side,
    others: Vec<(Side, Drift)>,
    /// Index of the side whose answers the report counts: the dtype that `eval` uses without
    /// `--compare`. 0 is the baseline, K the K-th of `others`.
    reported: usize,
    /// The first puzzle of the next block.
    next: Option<LabeledPuzzle>,
}

impl Comparison {
    /// Compares the dtype of `--dtype`, or all others, with the baseline dtype on one device.
    pub(crate) fn of_dtypes(
        model: &LoadedModel,
        baseline: WeightDtype,
        shared: &Shared,
    ) -> trm_runtime::Result<Self> {
        // All sides use the device that `auto` chose for the first dtype.
        let solver = match shared.device() {
            "auto" => model
                .solver
                .to_builder()
                .device(model.device.parse()?)
                .build(model.solver.model().clone())?,
            _ => model.solver.clone(),
        };
        let side = |dtype: WeightDtype| {
            // Setting the dtype on a builder loads the weights again.
            let solver = match solver.dtype() == dtype {
                true => solver.clone(),
                false => solver
                    .to_builder()
                    .dtype(dtype)
                    .build(solver.model().clone())?,
            };
            Side::new(dtype.name(), solver)
        };
        let dtypes: Vec<WeightDtype> = match shared.dtype {
            Some(dtype) => vec![dtype],
            None => WeightDtype::ALL
                .into_iter()
                .filter(|d| *d != baseline)
                .collect(),
        };
        let usual = model.solver.dtype();
        let others = dtypes
            .iter()
            .map(|dtype| Ok((side(*dtype)?, Drift::default())));
        Ok(Self {
            baseline: side(baseline)?,
            others: others.collect::<trm_runtime::Result<_>>()?,
            reported: dtypes.iter().position(|d| *d == usual).map_or(0, |i| i + 1),
            next: None,
        })
    }

    /// Runs all puzzles of the input. Returns whether Ctrl-C stopped it.
    pub(crate) fn run(
        &mut self,
        report: &mut EvalReport<'_>,
        reader: &mut RecordReader,
        batch: usize,
        cancel: &CancelToken,
    ) -> Result<bool, CommandError> {
        loop {
            let block = self.read_block(report, reader, batch, cancel)?;
            if cancel.is_cancelled() {
                return Ok(true);
            }
            if block.is_empty() {
                return Ok(false);
            }
            if self.run_block(&block, report, cancel)? {
                return Ok(true);
            }
        }
    }

    /// Reads the next puzzles of one size, at most `batch`.
    fn read_block(
        &mut self,
        report: &mut EvalReport<'_>,
        reader: &mut RecordReader,
        batch: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<LabeledPuzzle>, CommandError> {
        let mut block: Vec<LabeledPuzzle> = self.next.take().into_iter().collect();
        while block.len() < batch && !cancel.is_cancelled() {
            let labeled = match reader.next(IDLE_WAIT) {
                Next::Record(record) => report.prepare(*record)?,
                Next::NotYet => continue,
                Next::End => break,
            };
            let Some(labeled) = labeled else { continue };
            if block
                .first()
                .is_some_and(|first| first.size() != labeled.size())
            {
                self.next = Some(labeled);
                break;
            }
            block.push(labeled);
        }
        Ok(block)
    }

    /// Runs a block to its end. Returns whether Ctrl-C stopped it. Puzzles that did not finish on
    /// all sides do not count.
    fn run_block(
        &mut self,
        block: &[LabeledPuzzle],
        report: &mut EvalReport<'_>,
        cancel: &CancelToken,
    ) -> Result<bool, CommandError> {
        let mut baseline = self.baseline.begin(block, cancel)?;
        let mut others = Vec::with_capacity(self.others.len());
        for (side, _) in &mut self.others {
            others.push(side.begin(block, cancel)?);
        }
        // [other][puzzle][step]
        let mut cosines = vec![vec![Vec::new(); block.len()]; others.len()];
        let interrupted = loop {
            match step_all(&mut baseline, &mut others) {
                Err(e) if e.kind() == ErrorKind::Cancelled => break true,
                Err(e) => return Err(e.into()),
                Ok(false) => break false,
                Ok(true) => {}
            }
            for &puzzle in &baseline.stepped {
                let states = baseline.states(puzzle)?;
                for (other, cosines) in others.iter().zip(&mut cosines) {
                    if other.stepped.contains(&puzzle) {
                        cosines[puzzle].push(cosine(&states, &other.states(puzzle)?));
                    }
                }
            }
            report.tick();
        };
        for (puzzle, labeled) in block.iter().enumerate() {
            let cosines: Vec<&[f64]> = cosines.iter().map(|c| c[puzzle].as_slice()).collect();
            let answers: Option<Vec<&Answer>> =
                others.iter().map(|o| o.answers[puzzle].as_ref()).collect();
            if let (Some(first), Some(answers)) = (&baseline.answers[puzzle], answers) {
                self.count(labeled, first, &answers, &cosines, report);
            }
        }
        Ok(interrupted)
    }

    /// Counts a puzzle that finished on all sides.
    fn count(
        &mut self,
        labeled: &LabeledPuzzle,
        first: &Answer,
        answers: &[&Answer],
        cosines: &[&[f64]],
        report: &mut EvalReport<'_>,
    ) {
        let reported = match self.reported.checked_sub(1) {
            None => first,
            Some(other) => answers[other],
        };
        report.add(labeled.file, reported, &labeled.solution);
        self.baseline.total.add(first, &labeled.solution);
        for (((side, drift), answer), cosines) in self.others.iter_mut().zip(answers).zip(cosines) {
            side.total.add(answer, &labeled.solution);
            drift.add(first.into(), (*answer).into(), cosines);
        }
    }

    /// Returns a JSON record for each side that is compared with the baseline.
    pub(crate) fn records(&self, rule: HaltRule) -> Vec<Value> {
        let record = |(side, drift): &(Side, Drift)| {
            json!({
                "type": "comparison",
                "dtype": side.solver.dtype().name(),
                "device": side.device,
                "puzzles": side.total.puzzles,
                "exact": fraction(side.total.exact()),
                "valid": fraction(side.total.valid()),
                "mean_steps": fraction(side.total.mean_steps()),
                "halted": side.total.halted,
                "points": self.points(side).map(|p| rounded(p, 4)),
                "gained": drift.gained,
                "lost": drift.lost,
                "halt_agreement": fraction(drift.halt_agreement()),
                "answers_differ": drift.differ,
                "cosine": drift.cosines.iter().enumerate().map(as_json).collect::<Vec<_>>(),
                "baseline": {
                    "dtype": self.baseline.solver.dtype().name(),
                    "device": self.baseline.device,
                    "exact": fraction(self.baseline.total.exact()),
                    "valid": fraction(self.baseline.total.valid()),
                    "mean_steps": fraction(self.baseline.total.mean_steps()),
                    "halted": self.baseline.total.halted,
                },
                "halt": rule.name(),
                "schema": report::SCHEMA,
            })
        };
        self.others.iter().map(record).collect()
    }

    /// Returns the exact-match accuracy of a side minus that of the baseline, in percentage points.
    fn points(&self, side: &Side) -> Option<f64> {
        Some(100.0 * (side.total.exact()? - self.baseline.total.exact()?))
    }

    /// Prints two tables: the sides, and the cosine similarities of the states.
    pub(crate) fn print_tables(&self) -> Result<(), CommandError> {
        print_text(format_args!(
            "\nformat  exact %  points  gained  lost  valid %  steps  halt alike %  \
             answers that differ"
        ))?;
        let row = |side: &Side, [points, gained, lost, alike, differ]: [&str; 5]| {
            print_text(format_args!(
                "{:<6}  {:>7}  {points:>6}  {gained:>6}  {lost:>4}  {:>7}  {:>5}  {alike:>12}  \
                 {differ:>19}",
                side.name,
                percent(side.total.exact()),
                percent(side.total.valid()),
                steps(side.total.mean_steps()),
            ))
        };
        row(&self.baseline, ["-"; 5])?;
        for (side, drift) in &self.others {
            let points = self
                .points(side)
                .map_or_else(|| "-".into(), |p| format!("{p:+.2}"));
            let alike = percent(drift.halt_agreement());
            let counts = [drift.gained, drift.lost, drift.differ].map(|n| n.to_string());
            let [gained, lost, differ] = &counts;
            row(side, [&points, gained, lost, &alike, differ])?;
        }
        self.print_cosines()
    }

    fn print_cosines(&self) -> Result<(), CommandError> {
        let name = self.baseline.name;
        print_text(format_args!(
            "\ncosine similarity of the carried states with those of {name}: \
             mean and minimum over the puzzles that took the step on both sides"
        ))?;
        let head = |(side, _): &(Side, Drift)| format!("  {:>18}", side.name);
        print_text(format_args!(
            "step{}",
            self.others.iter().map(head).collect::<String>()
        ))?;
        let depth = self.others.iter().map(|(_, d)| d.cosines.len()).max();
        for step in 0..depth.unwrap_or(0) {
            let cell = |(_, drift): &(Side, Drift)| match drift.cosines.get(step) {
                Some(cosines) => format!("  {:>8.6} {:>9.6}", cosines.mean(), cosines.min),
                None => format!("  {:>18}", "-"),
            };
            let cells: String = self.others.iter().map(cell).collect();
            print_text(format_args!("{:>4}{cells}", step + 1))?;
        }
        Ok(())
    }
}

fn as_json((index, cosines): (usize, &CosineStats)) -> Value {
    json!({
        "step": index + 1,
        "puzzles": cosines.puzzles,
        "mean": rounded(cosines.mean(), 9),
        "least": rounded(cosines.min, 9),
    })
}

/// A dtype of the model, with its metrics.
struct Side {
    /// Name of the dtype.
    name: &'static str,
    solver: Solver,
    device: &'static str,
    stepper: Option<SharedStepper>,
    total: Metrics,
}

impl Side {
    fn new(name: &'static str, solver: Solver) -> trm_runtime::Result<Self> {
        Ok(Self {
            name,
            device: solver.device_name()?,
            solver,
            stepper: None,
            total: Metrics::default(),
        })
    }

    /// Starts a block of puzzles.
    fn begin(
        &mut self,
        block: &[LabeledPuzzle],
        cancel: &CancelToken,
    ) -> trm_runtime::Result<BlockRun> {
        let size = block.first().map_or(0, LabeledPuzzle::size);
        let fits = |stepper: &SharedStepper| stepper.size == size && stepper.slots() >= block.len();
        let stepper = match self.stepper.take().filter(fits) {
            Some(stepper) => stepper,
            None => SharedStepper {
                stepper: Arc::new(Mutex::new(self.solver.stepper(size, block.len())?)),
                size,
            },
        };
        self.stepper = Some(stepper.clone());
        let mut session = Session::new(Box::new(stepper.clone()), self.solver.policy())?;
        session.set_cancel_token(cancel.clone());
        for labeled in block {
            session.push(labeled.puzzle.clone(), labeled.task.clone())?;
        }
        Ok(BlockRun {
            name: self.name,
            session,
            stepper,
            states: self.solver.model().config.states(),
            stepped: Vec::with_capacity(block.len()),
            answers: vec![None; block.len()],
        })
    }
}

/// A block of puzzles that runs on a side.
struct BlockRun {
    /// Name of the side.
    name: &'static str,
    session: Session,
    stepper: SharedStepper,
    states: Vec<State>,
    /// The puzzles that took the last step.
    stepped: Vec<usize>,
    /// The answers of the puzzles that finished.
    answers: Vec<Option<Answer>>,
}

/// Runs the next step on all sides. Returns `false` if all puzzles have finished.
fn step_all(baseline: &mut BlockRun, others: &mut [BlockRun]) -> trm_runtime::Result<bool> {
    let mut any = baseline.step()?;
    for other in others {
        any |= other.step()?;
    }
    Ok(any)
}

impl BlockRun {
    /// Runs one step of every unfinished puzzle. Returns `false` if there is none.
    fn step(&mut self) -> trm_runtime::Result<bool> {
        self.stepped.clear();
        let Some(step) = self.session.next_step().map_err(|e| e.context(self.name))? else {
            return Ok(false);
        };
        for puzzle in step.puzzles {
            self.stepped.push(puzzle.index);
            self.answers[puzzle.index] = puzzle.outcome;
        }
        Ok(true)
    }

    /// Returns all carried states of a puzzle that took the last step, one after the other.
    ///
    /// They are still there after the puzzle has finished: the session has a slot for every puzzle,
    /// in the same order, and loads no other puzzle into it.
    fn states(&self, puzzle: usize) -> trm_runtime::Result<Vec<f32>> {
        let stepper = self.stepper.lock();
        let mut all = Vec::new();
        for state in &self.states {
            all.extend(stepper.state(puzzle, *state)?);
        }
        Ok(all)
    }
}

/// A stepper that a session drives while its states are read from outside.
#[derive(Debug, Clone)]
struct SharedStepper {
    stepper: Arc<Mutex<Box<dyn Inspect>>>,
    /// S of its puzzles.
    size: usize,
}

impl SharedStepper {
    fn lock(&self) -> MutexGuard<'_, Box<dyn Inspect>> {
        self.stepper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stepper for SharedStepper {
    fn slots(&self) -> usize {
        self.lock().slots()
    }

    fn load(&mut self, slot: usize, tokens: &[u32], puzzle_id: u32) -> trm_runtime::Result<()> {
        self.lock().load(slot, tokens, puzzle_id)
    }

    fn perturb(&mut self, slot: usize, seed: u64) -> trm_runtime::Result<()> {
        self.lock().perturb(slot, seed)
    }

    fn step(&mut self, live: &[usize]) -> trm_runtime::Result<()> {
        self.lock().step(live)
    }

    fn set_stop(&mut self, stop: StopSignal) {
        self.lock().set_stop(stop);
    }

    fn halting(&self, slot: usize) -> trm_runtime::Result<Halting> {
        self.lock().halting(slot)
    }

    fn answer(&self, slot: usize) -> trm_runtime::Result<Vec<u32>> {
        self.lock().answer(slot)
    }

    /// Returns `None`, because the states must be read after every step.
    fn pipelined(&mut self, _: &HaltPolicy) -> Option<(&mut dyn PipelinedProgram, HaltParams)> {
        None
    }

    fn device(&self) -> &'static str {
        self.lock().device()
    }

    fn recover(&mut self, error: &trm_runtime::Error) -> trm_runtime::Result<bool> {
        self.lock().recover(error)
    }
}
