//! The halting loop, once, for everything that can take a refinement step.
//!
//! A [`Session`] holds any number of puzzles. Each [`Step`] refines all that are at work by one step; a puzzle that halts frees its
//! place in the batch for the next one that waits. When a puzzle halts is data: a [`HaltPolicy`].

mod cancel;
mod halting;
mod multi_start;
#[cfg(feature = "onnx")]
mod onnx_stepper;
mod plan_stepper;
mod policy;
mod stepper;

pub use cancel::CancelToken;
pub use halting::Halting;
pub use multi_start::{Effort, Race};
#[cfg(feature = "onnx")]
pub(crate) use onnx_stepper::graph_stepper;
pub use plan_stepper::NativeStepper;
pub(crate) use plan_stepper::case;
pub use policy::{HaltPolicy, HaltRule};
pub use stepper::{Inspect, Stepper};

#[cfg(not(feature = "onnx"))]
use crate::import::Model;
#[cfg(not(feature = "onnx"))]
use crate::onnx::Graph;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::task::{Content, Id, Problem, Task, Verdict};

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

/// What one refinement step did: all puzzles that were at work.
#[derive(Debug, Clone)]
pub struct Step {
    /// In the order of the session's puzzles.
    pub puzzles: Vec<PuzzleStep>,
}

/// One puzzle after a step.
#[derive(Debug, Clone)]
pub struct PuzzleStep {
    /// Number of the puzzle in the session, from 0.
    pub index: usize,
    /// What the puzzle is called.
    pub id: Id,
    /// Steps that it has taken, from 1.
    pub step: usize,
    /// The answer as it stands, in the form of the puzzle.
    pub answer: Content,
    /// The answer as it stands, `[S]`.
    pub tokens: Vec<u32>,
    /// The cells that the step changed; in step 1, those that differ from the puzzle.
    pub changed: Vec<usize>,
    /// What the halting head says.
    pub halting: Halting,
    /// The halting probability.
    pub halt_probability: f32,
    /// The end result, if this was the puzzle's last step.
    pub outcome: Option<Answer>,
}

/// How a puzzle ended.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Number of the puzzle in the session, from 0.
    pub index: usize,
    /// What the puzzle is called.
    pub id: Id,
    /// Name of the puzzle's task.
    pub task: String,
    /// The answer, in the form of the puzzle.
    pub answer: Content,
    /// The answer, `[S]`.
    pub tokens: Vec<u32>,
    /// Whether it keeps the puzzle's rules; `None` where that cannot be told.
    pub valid: Option<bool>,
    /// Mazes: whether the path is a shortest one.
    pub shortest: Option<bool>,
    /// What is wrong with it, in words.
    pub why: Option<String>,
    /// Whether it equals the solution that came with the puzzle.
    pub correct: Option<bool>,
    /// Steps that it took.
    pub steps: usize,
    /// The policy halted it; otherwise it ran into the last step.
    pub halted: bool,
    /// What the halting head said at the end.
    pub halting: Halting,
    /// The halting probability at the end.
    pub halt_probability: f32,
    /// Time from its first step to its last.
    pub time: Duration,
    /// The device that computed it, as `cpu`.
    pub device: &'static str,
}

/// A puzzle that waits for a place.
#[derive(Debug)]
struct Waiting {
    index: usize,
    problem: Problem,
    task: Arc<dyn Task>,
    /// Seed of what disturbs its initial state.
    noise: Option<u64>,
}

/// A puzzle at work.
#[derive(Debug)]
struct Running {
    puzzle: Waiting,
    steps: usize,
    last: Vec<u32>,
    started: Instant,
    /// The stepper takes steps of it by itself.
    ahead: bool,
}

/// Puzzles on their way to an answer.
#[derive(Debug)]
pub struct Session {
    stepper: Box<dyn Stepper>,
    policy: HaltPolicy,
    waiting: VecDeque<Waiting>,
    running: Vec<Option<Running>>,
    tokens: Option<usize>,
    pushed: usize,
    cancel: CancelToken,
    deadline: Option<Instant>,
    /// Steps that the stepper has started by itself and that are not finished.
    in_flight: usize,
}

/// Steps in flight while nobody watches: the device has work while the host reads what an earlier step has done.
const AHEAD: usize = 3;

/// A puzzle's place, and what a step said of it.
type Refined = (usize, Halting, Vec<u32>);

impl Session {
    /// An empty session over a stepper.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if the policy's numbers make no sense.
    pub fn new(stepper: Box<dyn Stepper>, policy: HaltPolicy) -> Result<Session> {
        Ok(Session {
            running: (0..stepper.slots()).map(|_| None).collect(),
            stepper,
            policy: policy.checked()?,
            waiting: VecDeque::new(),
            tokens: None,
            pushed: 0,
            cancel: CancelToken::new(),
            deadline: None,
            in_flight: 0,
        })
    }

    /// Adds a puzzle, which starts as soon as a place is free, and returns its number.
    ///
    /// # Errors
    /// [`ErrorKind::Puzzle`] if it has another number of tokens than the session's first.
    pub fn push(&mut self, problem: Problem, task: Arc<dyn Task>) -> Result<usize> {
        self.push_from(problem, task, None)
    }

    /// As [`Session::push`], from an initial state that is disturbed.
    pub(crate) fn push_from(
        &mut self,
        problem: Problem,
        task: Arc<dyn Task>,
        noise: Option<u64>,
    ) -> Result<usize> {
        let tokens = *self.tokens.get_or_insert(problem.tokens.len());
        if problem.tokens.len() != tokens {
            let message = format!(
                "{} cells, the others of this session have {tokens}",
                problem.tokens.len()
            );
            return Err(Error::puzzle(message).at(format!("puzzle {}", problem.id)));
        }
        self.waiting.push_back(Waiting {
            index: self.pushed,
            problem,
            task,
            noise,
        });
        self.pushed += 1;
        Ok(self.pushed - 1)
    }

    /// Takes a puzzle out that has not ended; only between steps that were not taken ahead.
    pub(crate) fn give_up(&mut self, index: usize) {
        self.waiting.retain(|waiting| waiting.index != index);
        for place in &mut self.running {
            place.take_if(|running| running.puzzle.index == index);
        }
    }

    /// Places of the batch that neither work nor have a puzzle waiting for them.
    pub fn free(&self) -> usize {
        let free = self.running.iter().filter(|r| r.is_none()).count();
        free.saturating_sub(self.waiting.len())
    }

    /// Puzzles that have not ended.
    pub fn unfinished(&self) -> usize {
        self.waiting.len() + self.running.iter().flatten().count()
    }

    /// The token that stops this session from another thread.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// Lets `token` stop this session, instead of the one that it was made with.
    pub fn set_cancel_token(&mut self, token: CancelToken) {
        self.cancel = token;
    }

    /// Takes no step after `deadline`.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Refines every puzzle at work by one step; `None` when all have ended.
    ///
    /// If the device fails and another one takes over, the puzzles at work start again from step 1; those that have ended stay.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] and [`ErrorKind::Deadline`] before the step that would come next; the stepper's own.
    pub fn next_step(&mut self) -> Result<Option<Step>> {
        if !self.goes_on()? {
            return Ok(None);
        }
        let landed = self.attempt(Session::land)?;
        let mut puzzles = self.judge_all(landed);
        if puzzles.is_empty() {
            let refined = self.attempt(Session::refine)?;
            puzzles = self.judge_all(refined);
        }
        Ok(Some(Step { puzzles }))
    }

    /// As [`Session::next_step`], for who needs no look at the steps: the answers of the puzzles that ended, often none. Faster on a
    /// GPU, which then follows the halting policy by itself and is not waited for after each step.
    ///
    /// # Errors
    /// As [`Session::next_step`].
    pub fn advance(&mut self) -> Result<Option<Vec<Answer>>> {
        if !self.goes_on()? {
            return Ok(None);
        }
        let refined = match self.stepper.ahead(&self.policy) {
            Some(_) => self.attempt(Session::fly)?,
            None => self.attempt(Session::refine)?,
        };
        let steps = self.judge_all(refined).into_iter();
        Ok(Some(steps.filter_map(|step| step.outcome).collect()))
    }

    /// Whether there is something to do; an error if it is not to be done.
    fn goes_on(&self) -> Result<bool> {
        if self.unfinished() == 0 {
            return Ok(false);
        }
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::new(ErrorKind::Deadline, "the deadline passed"));
        }
        Ok(true)
    }

    /// Does something that a device can fail in; if another one takes over, again.
    fn attempt<T>(&mut self, work: impl Fn(&mut Session) -> Result<T>) -> Result<T> {
        loop {
            match work(self) {
                Ok(done) => return Ok(done),
                Err(e) if self.stepper.recover(&e)? => self.restart(),
                Err(e) => return Err(e),
            }
        }
    }

    /// Loads puzzles into free places, refines all at work by one step and reads what came out: everything that a device can fail in,
    /// before anything is judged.
    fn refine(&mut self) -> Result<Vec<Refined>> {
        self.fill_free_places()?;
        let live: Vec<usize> = (0..self.running.len())
            .filter(|&s| self.running[s].is_some())
            .collect();
        self.stepper.step(&live)?;
        live.into_iter().map(|slot| self.refined(slot)).collect()
    }

    fn refined(&self, slot: usize) -> Result<Refined> {
        Ok((slot, self.stepper.halting(slot)?, self.stepper.answer(slot)?))
    }

    /// Loads puzzles into free places, keeps steps in flight and finishes one of them; the puzzles that it ended.
    fn fly(&mut self) -> Result<Vec<Refined>> {
        self.fill_free_places()?;
        let Some((stepper, rule)) = self.stepper.ahead(&self.policy) else {
            return Ok(Vec::new());
        };
        for (slot, running) in self.running.iter_mut().enumerate() {
            if let Some(running) = running
                && !running.ahead
            {
                stepper.resume(slot, running.steps as u32)?;
                running.ahead = true;
            }
        }
        while self.in_flight < AHEAD {
            stepper.start(&rule)?;
            self.in_flight += 1;
        }
        self.finish_one()
    }

    /// Finishes all steps in flight; the puzzles that they ended.
    fn land(&mut self) -> Result<Vec<Refined>> {
        if self.in_flight == 0 {
            return Ok(Vec::new());
        }
        let mut ended = Vec::new();
        while self.in_flight > 0 {
            ended.extend(self.finish_one()?);
        }
        // Steps are now taken one by one.
        let running = self.running.iter_mut().flatten();
        running.for_each(|running| running.ahead = false);
        if let Some((stepper, _)) = self.stepper.ahead(&self.policy) {
            stepper.stop()?;
        }
        Ok(ended)
    }

    fn finish_one(&mut self) -> Result<Vec<Refined>> {
        let Some((stepper, _)) = self.stepper.ahead(&self.policy) else {
            return Ok(Vec::new());
        };
        let records = stepper.finish()?;
        self.in_flight -= 1;
        let mut ended = Vec::new();
        for record in records {
            if let Some(Some(running)) = self.running.get_mut(record.slot) {
                running.steps = record.steps as usize;
                running.ahead = record.goes_on;
                if !record.goes_on {
                    // As it was before the step that is judged.
                    running.steps = running.steps.saturating_sub(1);
                    ended.push(record.slot);
                }
            }
        }
        ended.into_iter().map(|slot| self.refined(slot)).collect()
    }

    /// Looks at puzzles after a step; those that go on stay in their places.
    fn judge_all(&mut self, refined: Vec<Refined>) -> Vec<PuzzleStep> {
        let mut puzzles = Vec::with_capacity(refined.len());
        for (slot, halting, tokens) in refined {
            if let Some(running) = self.running[slot].take() {
                let (step, unfinished) = self.judge(running, halting, tokens);
                self.running[slot] = unfinished;
                puzzles.push(step);
            }
        }
        puzzles.sort_by_key(|p| p.index);
        puzzles
    }

    /// Puts the puzzles at work back in front of those that wait.
    fn restart(&mut self) {
        self.in_flight = 0;
        let mut running: Vec<Running> = self.running.iter_mut().filter_map(Option::take).collect();
        running.sort_by_key(|r| std::cmp::Reverse(r.puzzle.index));
        for r in running {
            self.waiting.push_front(r.puzzle);
        }
    }

    fn fill_free_places(&mut self) -> Result<()> {
        for slot in 0..self.running.len() {
            if self.running[slot].is_none() {
                let Some(Waiting { problem, noise, .. }) = self.waiting.front() else {
                    break;
                };
                // A puzzle that cannot be loaded is dropped, unless another device may be able to.
                let mut loaded = self.stepper.load(slot, &problem.tokens, problem.puzzle_id);
                if let Some(seed) = noise {
                    loaded = loaded.and_then(|()| self.stepper.perturb(slot, *seed));
                }
                if let Err(e) = loaded {
                    if e.kind() != ErrorKind::Device {
                        self.waiting.pop_front();
                    }
                    return Err(e);
                }
                let Some(puzzle) = self.waiting.pop_front() else {
                    break;
                };
                self.running[slot] = Some(Running {
                    steps: 0,
                    last: puzzle.problem.tokens.clone(),
                    puzzle,
                    started: Instant::now(),
                    ahead: false,
                });
            }
        }
        Ok(())
    }

    /// Looks at a puzzle after a step: what it shows, and whether it goes on.
    fn judge(
        &self,
        mut running: Running,
        halting: Halting,
        tokens: Vec<u32>,
    ) -> (PuzzleStep, Option<Running>) {
        running.steps += 1;
        let Waiting {
            index, problem, task, ..
        } = &running.puzzle;
        let answer = task.decode(problem, &tokens);
        let changed = tokens
            .iter()
            .zip(&running.last)
            .enumerate()
            .filter(|(_, (a, b))| a != b);
        let mut step = PuzzleStep {
            index: *index,
            id: problem.id.clone(),
            step: running.steps,
            answer,
            changed: changed.map(|(cell, _)| cell).collect(),
            tokens,
            halting,
            halt_probability: halting.probability(),
            outcome: None,
        };
        let last = running.steps >= self.policy.max_steps;
        let wants_halt = self.policy.head_says_halt(&halting, running.steps);
        if last || wants_halt {
            let verdict = task.verify(problem, &step.tokens);
            let trusted = self.policy.rule == HaltRule::Head || !task.verifies_by_rules();
            let halted = wants_halt && (trusted || verdict.valid != Some(false));
            if last || halted {
                step.outcome = Some(self.outcome(&running, &step, verdict, halted));
                return (step, None);
            }
        }
        running.last.clone_from(&step.tokens);
        (step, Some(running))
    }

    fn outcome(&self, running: &Running, step: &PuzzleStep, verdict: Verdict, halted: bool) -> Answer {
        Answer {
            index: step.index,
            id: step.id.clone(),
            task: running.puzzle.task.name().to_string(),
            answer: step.answer.clone(),
            tokens: step.tokens.clone(),
            valid: verdict.valid,
            shortest: verdict.shortest,
            why: verdict.why,
            correct: running.puzzle.problem.is_solved_by(&step.tokens),
            steps: running.steps,
            halted,
            halting: step.halting,
            halt_probability: step.halt_probability,
            time: running.started.elapsed(),
            device: self.stepper.device(),
        }
    }
}
