//! The halting loop: refines puzzles step by step, and decides when each puzzle has its answer.
//!
//! A [`Session`] holds any number of puzzles. Each [`Step`] refines all active puzzles by one step.
//! A puzzle that halts frees its slot for the next puzzle in the queue (continuous batching). A
//! [`HaltPolicy`] defines when a puzzle halts.

mod cancel;
mod halting;
mod halting_loop;
mod multi_start;
#[cfg(feature = "onnx")]
mod onnx_stepper;
mod plan_stepper;
mod policy;
mod step;
mod stepper;

pub use cancel::CancelToken;
pub use halting::Halting;
pub use multi_start::MultiStart;
#[cfg(feature = "onnx")]
pub(crate) use onnx_stepper::graph_stepper;
pub use plan_stepper::PlanStepper;
pub(crate) use plan_stepper::slot_input;
pub use policy::{HaltPolicy, HaltRule};
pub use step::{Answer, PuzzleStep, Step};
pub use stepper::{Inspect, Stepper};

use std::sync::Arc;
use std::time::Instant;

use crate::error::Result;
#[cfg(not(feature = "onnx"))]
use crate::import::Model;
#[cfg(not(feature = "onnx"))]
use crate::onnx::Graph;
use crate::task::{EncodedPuzzle, Task};
use halting_loop::HaltingLoop;
use multi_start::Starts;

/// Refines a set of puzzles until each has an answer. Each puzzle has one or several starts.
///
/// [`Solver::session`](crate::Solver::session) creates one.
#[derive(Debug)]
#[must_use = "a session computes nothing until its steps are taken"]
pub struct Session {
    halting_loop: HaltingLoop,
    /// `None` if every puzzle has a single start.
    starts: Option<Starts>,
}

impl Session {
    /// Creates an empty session over a stepper. Every puzzle has one start.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a number of `policy` is out of range.
    pub fn new(stepper: Box<dyn Stepper>, policy: HaltPolicy) -> Result<Self> {
        Self::with_multi_start(stepper, policy, MultiStart::default())
    }

    /// Creates an empty session over a stepper. Every puzzle has the starts of `multi_start`.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a number of `policy` or `multi_start`
    /// is out of range.
    pub fn with_multi_start(
        stepper: Box<dyn Stepper>,
        policy: HaltPolicy,
        multi_start: MultiStart,
    ) -> Result<Self> {
        Ok(Self {
            halting_loop: HaltingLoop::new(stepper, policy)?,
            starts: Starts::new(multi_start.checked()?),
        })
    }

    /// Adds a puzzle, which starts as soon as a slot is free. Returns its index, counted from 0.
    ///
    /// # Errors
    /// [`ErrorKind::Puzzle`](crate::ErrorKind::Puzzle) if it has another number of tokens than the
    /// first puzzle of the session.
    pub fn push(&mut self, puzzle: EncodedPuzzle, task: Arc<dyn Task>) -> Result<usize> {
        match &mut self.starts {
            None => self.halting_loop.push(puzzle, task, None),
            Some(starts) => starts.push(&mut self.halting_loop, puzzle, task),
        }
    }

    /// Returns the number of slots that are empty and that no queued puzzle will take.
    pub fn free_slots(&self) -> usize {
        self.halting_loop.free_slots()
    }

    /// Returns the number of puzzles that have not ended.
    pub fn unfinished(&self) -> usize {
        match &self.starts {
            None => self.halting_loop.unfinished(),
            Some(starts) => starts.unfinished(),
        }
    }

    /// Returns the token that stops this session from another thread.
    pub fn cancel_token(&self) -> CancelToken {
        self.halting_loop.cancel_token()
    }

    /// Replaces the token that stops this session.
    pub fn set_cancel_token(&mut self, token: CancelToken) {
        self.halting_loop.set_cancel_token(token);
    }

    /// Sets the time after which no further step is taken, and the running one ends early. Default:
    /// `None`.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.halting_loop.set_deadline(deadline);
    }

    /// Refines every active puzzle by one step. `None` when all puzzles have ended.
    ///
    /// If the device fails and another one takes over, the active puzzles start again from step 1.
    /// Answers that were already returned stay. With several starts, the step reports for each
    /// puzzle the start with the highest halting probability.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) or
    /// [`ErrorKind::Deadline`](crate::ErrorKind::Deadline), also within a step: if the session then
    /// goes on, its active puzzles start again from step 1. The errors of the stepper.
    ///
    /// If [`Error::puzzle_index`](crate::Error::puzzle_index) is set, the error concerns that
    /// puzzle alone, which has ended: for example, the numbers of the model overflow for it. The
    /// next call goes on with the others.
    pub fn next_step(&mut self) -> Result<Option<Step>> {
        match &mut self.starts {
            None => self.halting_loop.next_step(),
            Some(starts) => starts.next_step(&mut self.halting_loop),
        }
    }

    /// Like [`Session::next_step`], for callers that only need final answers. Returns the answers
    /// of the puzzles that ended, often none.
    ///
    /// This is faster on a GPU, which then applies the halting policy itself and has several steps
    /// in flight. With several starts, the GPU still waits for the host after every step, because
    /// the answer of one start may end the others.
    ///
    /// # Errors
    /// As [`Session::next_step`].
    pub fn next_answers(&mut self) -> Result<Option<Vec<Answer>>> {
        if self.starts.is_none() {
            return self.halting_loop.next_answers();
        }
        let step = self.next_step()?;
        Ok(step.map(|step| {
            let puzzles = step.puzzles.into_iter();
            puzzles.filter_map(|puzzle| puzzle.outcome).collect()
        }))
    }

    /// Returns an iterator over the steps, until all puzzles have ended. It ends after the first
    /// error.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// let solver = trm_runtime::Solver::bundled("sudoku-4x4")?;
    /// let mut session = solver.session(&["0000020440102103".parse()?])?;
    /// for step in session.steps() {
    ///     for puzzle in &step?.puzzles {
    ///         println!("step {}: {}", puzzle.step, puzzle.cells);
    ///     }
    /// }
    /// # }
    /// # Ok::<(), trm_runtime::Error>(())
    /// ```
    pub fn steps(&mut self) -> Steps<'_> {
        Steps {
            session: self,
            is_done: false,
        }
    }
}

/// Iterator over the steps of a session. [`Session::steps`] creates it.
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is consumed"]
pub struct Steps<'a> {
    session: &'a mut Session,
    is_done: bool,
}

impl Iterator for Steps<'_> {
    type Item = Result<Step>;

    fn next(&mut self) -> Option<Result<Step>> {
        if self.is_done {
            return None;
        }
        let step = self.session.next_step().transpose();
        self.is_done = !matches!(step, Some(Ok(_)));
        step
    }
}

impl std::iter::FusedIterator for Steps<'_> {}

/// Never called: without the feature `onnx` no [`Graph`] exists.
#[cfg(not(feature = "onnx"))]
pub(crate) fn graph_stepper(
    graph: &Arc<Graph>,
    _: Arc<Model>,
    _: usize,
    _: Option<usize>,
) -> Result<Box<dyn Inspect>> {
    match **graph {}
}
