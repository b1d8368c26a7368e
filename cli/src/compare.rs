//! `eval --compare`: the same puzzles on a baseline and on other ways of running the model, side by side, step by step.
//!
//! A block of puzzles starts on all sides together, and no place is filled again before all have ended: so a side's k-th step is the k-th of
//! every puzzle at work on it, and only the states of the moment are kept. Each side halts by the same policy, in a session of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use trm_runtime::low_level::backend::{HaltParams, PipelinedProgram};
use trm_runtime::low_level::config::State;
use trm_runtime::low_level::{Inspect, Stepper};
use trm_runtime::{
    Answer, CancelToken, ErrorKind, HaltPolicy, HaltRule, Halting, Session, Solver, WeightDtype,
};

use crate::args::Shared;
use crate::differences::{Cosines, Differences, cosine};
use crate::input::{Intake, Next};
use crate::marks::{Marks, Ready, Sums, fraction, percent, steps};
use crate::models::Opened;
use crate::output::{Failure, print};
use crate::report::{self, rounded};

/// How long it waits for a record before it looks for Ctrl-C again.
const IDLE: Duration = Duration::from_millis(50);

/// A baseline, and what is compared with it.
pub(crate) struct Comparison {
    baseline: Side,
    others: Vec<(Side, Differences)>,
    /// The side whose answers are marked: the one that `eval` runs when it compares nothing. 0 is the baseline.
    marked: usize,
    /// The first puzzle of the next block.
    next: Option<Ready>,
}

impl Comparison {
    /// Compares the model in the format of `--dtype`, or else in all others, with the model in the format `baseline`, on one device.
    pub(crate) fn of_formats(
        model: &Opened,
        baseline: WeightDtype,
        shared: &Shared,
    ) -> trm_runtime::Result<Comparison> {
        // What `auto` has chosen for one format is for all.
        let solver = match shared.device() {
            "auto" => model
                .solver
                .to_builder()
                .device(model.device.parse()?)
                .build(model.solver.model().clone())?,
            _ => model.solver.clone(),
        };
        let side = |format: WeightDtype| {
            // A builder that sets the dtype loads the weights once more.
            let solver = match solver.dtype() == format {
                true => solver.clone(),
                false => solver
                    .to_builder()
                    .dtype(format)
                    .build(solver.model().clone())?,
            };
            Side::new(format.name(), solver)
        };
        let formats: Vec<WeightDtype> = match shared.dtype {
            Some(format) => vec![format],
            None => WeightDtype::ALL
                .into_iter()
                .filter(|f| *f != baseline)
                .collect(),
        };
        let usual = model.solver.dtype();
        let others = formats
            .iter()
            .map(|format| Ok((side(*format)?, Differences::default())));
        Ok(Comparison {
            baseline: side(baseline)?,
            others: others.collect::<trm_runtime::Result<_>>()?,
            marked: formats
                .iter()
                .position(|f| *f == usual)
                .map_or(0, |i| i + 1),
            next: None,
        })
    }

    /// Runs everything that comes in; whether it was interrupted.
    pub(crate) fn run(
        &mut self,
        marks: &mut Marks<'_>,
        intake: &mut Intake,
        batch: usize,
        cancel: &CancelToken,
    ) -> Result<bool, Failure> {
        loop {
            let block = self.gather(marks, intake, batch, cancel)?;
            if cancel.is_cancelled() {
                return Ok(true);
            }
            if block.is_empty() {
                return Ok(false);
            }
            if self.block(&block, marks, cancel)? {
                return Ok(true);
            }
        }
    }

    /// The next puzzles of one size, as many as fit.
    fn gather(
        &mut self,
        marks: &mut Marks<'_>,
        intake: &mut Intake,
        batch: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Ready>, Failure> {
        let mut block: Vec<Ready> = self.next.take().into_iter().collect();
        while block.len() < batch && !cancel.is_cancelled() {
            let ready = match intake.next(IDLE) {
                Next::Item(item) => marks.prepare(*item)?,
                Next::NotYet => continue,
                Next::End => break,
            };
            let Some(ready) = ready else { continue };
            if block
                .first()
                .is_some_and(|first| first.size() != ready.size())
            {
                self.next = Some(ready);
                break;
            }
            block.push(ready);
        }
        Ok(block)
    }

    /// Runs a block to its end; whether it was interrupted, in which case puzzles that have not ended on all sides do not count.
    fn block(
        &mut self,
        block: &[Ready],
        marks: &mut Marks<'_>,
        cancel: &CancelToken,
    ) -> Result<bool, Failure> {
        let mut baseline = self.baseline.begin(block, cancel)?;
        let mut others = Vec::with_capacity(self.others.len());
        for (side, _) in &mut self.others {
            others.push(side.begin(block, cancel)?);
        }
        // [other][puzzle][step]
        let mut cosines = vec![vec![Vec::new(); block.len()]; others.len()];
        let interrupted = loop {
            match refine(&mut baseline, &mut others) {
                Err(e) if e.kind() == ErrorKind::Cancelled => break true,
                Err(e) => return Err(e.into()),
                Ok(false) => break false,
                Ok(true) => {}
            }
            for &puzzle in &baseline.refined {
                let states = baseline.states(puzzle)?;
                for (other, cosines) in others.iter().zip(&mut cosines) {
                    if other.refined.contains(&puzzle) {
                        cosines[puzzle].push(cosine(&states, &other.states(puzzle)?));
                    }
                }
            }
            marks.tick();
        };
        for (puzzle, ready) in block.iter().enumerate() {
            let cosines: Vec<&[f64]> = cosines.iter().map(|c| c[puzzle].as_slice()).collect();
            let answers: Option<Vec<&Answer>> =
                others.iter().map(|o| o.answers[puzzle].as_ref()).collect();
            if let (Some(first), Some(answers)) = (&baseline.answers[puzzle], answers) {
                self.count(ready, first, &answers, &cosines, marks);
            }
        }
        Ok(interrupted)
    }

    /// Counts a puzzle that has ended on all sides.
    fn count(
        &mut self,
        ready: &Ready,
        first: &Answer,
        answers: &[&Answer],
        cosines: &[&[f64]],
        marks: &mut Marks<'_>,
    ) {
        let marked = match self.marked.checked_sub(1) {
            None => first,
            Some(other) => answers[other],
        };
        marks.add(ready.file, marked, &ready.solution);
        self.baseline.total.add(first, &ready.solution);
        for (((side, differences), answer), cosines) in
            self.others.iter_mut().zip(answers).zip(cosines)
        {
            side.total.add(answer, &ready.solution);
            differences.add(first, answer, cosines);
        }
    }

    /// A line of `--json` for each side that is compared with the baseline.
    pub(crate) fn records(&self, rule: HaltRule) -> Vec<Value> {
        let record = |(side, differences): &(Side, Differences)| {
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
                "gained": differences.gained,
                "lost": differences.lost,
                "halt_agreement": fraction(differences.halt_agreement()),
                "answers_differ": differences.differ,
                "cosine": differences.cosines.iter().enumerate().map(as_json).collect::<Vec<_>>(),
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

    /// What a side solves exactly more than the baseline, in percent of the puzzles.
    fn points(&self, side: &Side) -> Option<f64> {
        Some(100.0 * (side.total.exact()? - self.baseline.total.exact()?))
    }

    /// Two tables: the sides, and the cosines of the states.
    pub(crate) fn table(&self) -> Result<(), Failure> {
        print(format_args!(
            "\nformat  exact %  points  gained  lost  valid %  steps  halt alike %  answers that differ"
        ))?;
        let row = |side: &Side, [points, gained, lost, alike, differ]: [&str; 5]| {
            print(format_args!(
                "{:<6}  {:>7}  {points:>6}  {gained:>6}  {lost:>4}  {:>7}  {:>5}  {alike:>12}  {differ:>19}",
                side.name,
                percent(side.total.exact()),
                percent(side.total.valid()),
                steps(side.total.mean_steps()),
            ))
        };
        row(&self.baseline, ["-"; 5])?;
        for (side, differences) in &self.others {
            let points = self
                .points(side)
                .map_or_else(|| "-".into(), |p| format!("{p:+.2}"));
            let alike = percent(differences.halt_agreement());
            let counts =
                [differences.gained, differences.lost, differences.differ].map(|n| n.to_string());
            let [gained, lost, differ] = &counts;
            row(side, [&points, gained, lost, &alike, differ])?;
        }
        self.cosines()
    }

    fn cosines(&self) -> Result<(), Failure> {
        let name = self.baseline.name;
        print(format_args!(
            "\ncosine of the carried states with those of {name}: mean and least of the puzzles at work on both sides"
        ))?;
        let head = |(side, _): &(Side, Differences)| format!("  {:>18}", side.name);
        print(format_args!(
            "step{}",
            self.others.iter().map(head).collect::<String>()
        ))?;
        let depth = self.others.iter().map(|(_, d)| d.cosines.len()).max();
        for step in 0..depth.unwrap_or(0) {
            let cell = |(_, differences): &(Side, Differences)| match differences.cosines.get(step)
            {
                Some(cosines) => format!("  {:>8.6} {:>9.6}", cosines.mean(), cosines.least),
                None => format!("  {:>18}", "-"),
            };
            let cells: String = self.others.iter().map(cell).collect();
            print(format_args!("{:>4}{cells}", step + 1))?;
        }
        Ok(())
    }
}

fn as_json((index, cosines): (usize, &Cosines)) -> Value {
    json!({
        "step": index + 1,
        "puzzles": cosines.puzzles,
        "mean": rounded(cosines.mean(), 9),
        "least": rounded(cosines.least, 9),
    })
}

/// A way of running the model, and how it does.
struct Side {
    /// What tells it from the others.
    name: &'static str,
    solver: Solver,
    device: &'static str,
    stepper: Option<Watched>,
    total: Sums,
}

impl Side {
    fn new(name: &'static str, solver: Solver) -> trm_runtime::Result<Side> {
        Ok(Side {
            name,
            device: solver.device_name()?,
            solver,
            stepper: None,
            total: Sums::default(),
        })
    }

    /// Puts a block of puzzles to work.
    fn begin(&mut self, block: &[Ready], cancel: &CancelToken) -> trm_runtime::Result<Run> {
        let size = block.first().map_or(0, Ready::size);
        let fits = |stepper: &Watched| stepper.size == size && stepper.slots() >= block.len();
        let stepper = match self.stepper.take().filter(fits) {
            Some(stepper) => stepper,
            None => Watched {
                stepper: Arc::new(Mutex::new(self.solver.stepper(size, block.len())?)),
                size,
            },
        };
        self.stepper = Some(stepper.clone());
        let mut session = Session::new(Box::new(stepper.clone()), self.solver.policy())?;
        session.set_cancel_token(cancel.clone());
        for ready in block {
            session.push(ready.problem.clone(), ready.task.clone())?;
        }
        Ok(Run {
            session,
            stepper,
            states: self.solver.model().config.states(),
            refined: Vec::with_capacity(block.len()),
            answers: vec![None; block.len()],
        })
    }
}

/// A block of puzzles at work on a side.
struct Run {
    session: Session,
    stepper: Watched,
    states: Vec<State>,
    /// The puzzles that took the last step.
    refined: Vec<usize>,
    /// Of the puzzles that have ended.
    answers: Vec<Option<Answer>>,
}

/// Takes the next step on all sides; `false` if all puzzles have ended.
fn refine(baseline: &mut Run, others: &mut [Run]) -> trm_runtime::Result<bool> {
    let mut any = baseline.refine()?;
    for other in others {
        any |= other.refine()?;
    }
    Ok(any)
}

impl Run {
    /// Refines every puzzle at work by one step; `false` if there is none.
    fn refine(&mut self) -> trm_runtime::Result<bool> {
        self.refined.clear();
        let Some(step) = self.session.next_step()? else {
            return Ok(false);
        };
        for puzzle in step.puzzles {
            self.refined.push(puzzle.index);
            self.answers[puzzle.index] = puzzle.outcome;
        }
        Ok(true)
    }

    /// All carried states of a puzzle that took the last step, one after the other. They outlive its end: a session with a place for
    /// every puzzle puts the first into the first place, and so on, and loads none later.
    fn states(&self, puzzle: usize) -> trm_runtime::Result<Vec<f32>> {
        let stepper = self.stepper.lock();
        let mut all = Vec::new();
        for state in &self.states {
            all.extend(stepper.state(puzzle, *state)?);
        }
        Ok(all)
    }
}

/// A stepper that a session drives, while its states are read beside it.
#[derive(Debug, Clone)]
struct Watched {
    stepper: Arc<Mutex<Box<dyn Inspect>>>,
    /// S of the puzzles that it takes.
    size: usize,
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Box<dyn Inspect>> {
        self.stepper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stepper for Watched {
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

    fn halting(&self, slot: usize) -> trm_runtime::Result<Halting> {
        self.lock().halting(slot)
    }

    fn answer(&self, slot: usize) -> trm_runtime::Result<Vec<u32>> {
        self.lock().answer(slot)
    }

    /// `None`: the states must be read after every step.
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
