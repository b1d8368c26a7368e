//! The halting loop for one start of each puzzle.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::cancel::CancelToken;
use super::halting::Halting;
use super::policy::{HaltPolicy, HaltRule};
use super::step::{Answer, PuzzleStep, Step};
use super::stepper::{Stepper, check_finite};
use crate::backend::StopSignal;
use crate::error::{Error, ErrorKind, Result};
use crate::task::{EncodedPuzzle, Task, Verdict};

/// Largest number of pipelined steps in flight. The device computes one of them while the host
/// reads the result of an older one.
const MAX_STEPS_IN_FLIGHT: usize = 3;

/// A puzzle that waits for a slot.
#[derive(Debug)]
struct Queued {
    index: usize,
    puzzle: EncodedPuzzle,
    task: Arc<dyn Task>,
    /// Seed of the noise on its initial state.
    noise: Option<u64>,
}

/// A puzzle in a slot.
#[derive(Debug)]
struct Active {
    queued: Queued,
    /// Steps taken.
    steps: usize,
    /// The answer after the last step, `[S]`; before the first step, the puzzle.
    last_tokens: Vec<u32>,
    started: Instant,
    /// Whether the stepper runs this puzzle as a pipelined program.
    is_pipelined: bool,
}

/// The slot of a puzzle, and the outputs of both heads after a step.
type StepOutput = (usize, Halting, Vec<u32>);

/// Queued and active puzzles over one stepper. A puzzle that halts frees its slot for the next
/// puzzle in the queue.
#[derive(Debug)]
pub(super) struct HaltingLoop {
    stepper: Box<dyn Stepper>,
    policy: HaltPolicy,
    queue: VecDeque<Queued>,
    /// The puzzle in each slot.
    active: Vec<Option<Active>>,
    /// S of the puzzles. `None` until the first puzzle is pushed.
    tokens: Option<usize>,
    pushed: usize,
    cancel: CancelToken,
    deadline: Option<Instant>,
    steps_in_flight: usize,
    /// Errors of puzzles that have ended without an answer, until they are returned.
    failed: VecDeque<Error>,
}

impl HaltingLoop {
    pub(super) fn new(stepper: Box<dyn Stepper>, policy: HaltPolicy) -> Result<Self> {
        let mut halting_loop = Self {
            active: (0..stepper.slots()).map(|_| None).collect(),
            stepper,
            policy: policy.checked()?,
            queue: VecDeque::new(),
            tokens: None,
            pushed: 0,
            cancel: CancelToken::new(),
            deadline: None,
            steps_in_flight: 0,
            failed: VecDeque::new(),
        };
        halting_loop.update_stop();
        Ok(halting_loop)
    }

    /// Adds a puzzle to the queue and returns its index. With `noise`, its initial state is
    /// perturbed with that seed.
    pub(super) fn push(
        &mut self,
        puzzle: EncodedPuzzle,
        task: Arc<dyn Task>,
        noise: Option<u64>,
    ) -> Result<usize> {
        let tokens = *self.tokens.get_or_insert(puzzle.tokens.len());
        if puzzle.tokens.len() != tokens {
            let message = format!(
                "{} cells, but the other puzzles of this session have {tokens}",
                puzzle.tokens.len()
            );
            return Err(Error::puzzle(message).context(format!("puzzle {}", puzzle.id)));
        }
        self.queue.push_back(Queued {
            index: self.pushed,
            puzzle,
            task,
            noise,
        });
        self.pushed += 1;
        Ok(self.pushed - 1)
    }

    /// Removes a puzzle that has not ended. Only allowed while no pipelined step is in flight.
    pub(super) fn abandon(&mut self, index: usize) {
        self.queue.retain(|queued| queued.index != index);
        self.failed.retain(|e| e.puzzle_index() != Some(index));
        for slot in &mut self.active {
            slot.take_if(|active| active.queued.index == index);
        }
    }

    /// Returns the number of empty slots that no queued puzzle will take.
    pub(super) fn free_slots(&self) -> usize {
        let empty = self.active.iter().filter(|slot| slot.is_none()).count();
        empty.saturating_sub(self.queue.len())
    }

    /// Returns the number of puzzles that have not ended, and of those whose error is not returned
    /// yet.
    pub(super) fn unfinished(&self) -> usize {
        self.queue.len() + self.active.iter().flatten().count() + self.failed.len()
    }

    pub(super) fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    pub(super) fn set_cancel_token(&mut self, token: CancelToken) {
        self.cancel = token;
        self.update_stop();
    }

    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
        self.update_stop();
    }

    /// Lets the token and the deadline end a running step.
    fn update_stop(&mut self) {
        let (token, deadline) = (self.cancel.clone(), self.deadline);
        let is_late = move || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        self.stepper
            .set_stop(StopSignal::new(move || token.is_cancelled() || is_late()));
    }

    /// Refines every active puzzle by one step. `None` when all puzzles have ended.
    pub(super) fn next_step(&mut self) -> Result<Option<Step>> {
        self.return_failed(true)?;
        if !self.has_work()? {
            return Ok(None);
        }
        let drained = self.retry_on_fallback(Self::drain_pipeline)?;
        let mut puzzles = self.judge_all(drained);
        if puzzles.is_empty() && self.failed.is_empty() {
            let refined = self.retry_on_fallback(Self::step_once)?;
            puzzles = self.judge_all(refined);
        }
        self.return_failed(puzzles.is_empty())?;
        Ok(Some(Step { puzzles }))
    }

    /// Takes at least one step and returns the answers of the puzzles that ended. Uses the pipeline
    /// of the stepper if it has one. `None` when all puzzles have ended.
    pub(super) fn next_answers(&mut self) -> Result<Option<Vec<Answer>>> {
        self.return_failed(true)?;
        if !self.has_work()? {
            return Ok(None);
        }
        let refined = match self.stepper.pipelined(&self.policy) {
            Some(_) => self.retry_on_fallback(Self::step_pipelined)?,
            None => self.retry_on_fallback(Self::step_once)?,
        };
        let steps = self.judge_all(refined).into_iter();
        let answers: Vec<Answer> = steps.filter_map(|step| step.outcome).collect();
        self.return_failed(answers.is_empty())?;
        Ok(Some(answers))
    }

    /// Returns the error of a puzzle that has ended without an answer, if there is one and nothing
    /// else is to be returned.
    fn return_failed(&mut self, is_due: bool) -> Result<()> {
        match self.failed.pop_front_if(|_| is_due) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Returns whether any puzzle is unfinished.
    ///
    /// # Errors
    /// The session was cancelled, or its deadline passed.
    fn has_work(&self) -> Result<bool> {
        if self.unfinished() == 0 {
            return Ok(false);
        }
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Err(Error::new(ErrorKind::Deadline, "the deadline passed"));
        }
        Ok(true)
    }

    /// Runs `work`. Runs it again each time the stepper recovers from an error by moving to another
    /// device.
    fn retry_on_fallback<T>(&mut self, work: impl Fn(&mut Self) -> Result<T>) -> Result<T> {
        loop {
            match work(self) {
                Ok(done) => return Ok(done),
                Err(e) if e.kind() == ErrorKind::Cancelled => {
                    // The step was ended early. If the session goes on, with another token or
                    // deadline, its puzzles start again.
                    self.requeue_active();
                    self.has_work()?;
                    return Err(e);
                }
                Err(e) if self.stepper.recover(&e)? => self.requeue_active(),
                Err(e) => return Err(e),
            }
        }
    }

    /// Fills empty slots, refines all active puzzles by one step and reads both heads.
    ///
    /// The device may fail in any of these calls. Puzzles are judged only after all have succeeded.
    fn step_once(&mut self) -> Result<Vec<StepOutput>> {
        self.fill_slots()?;
        let live: Vec<usize> = (0..self.active.len())
            .filter(|&slot| self.active[slot].is_some())
            .collect();
        self.stepper.step(&live)?;
        live.into_iter().map(|slot| self.output(slot)).collect()
    }

    fn output(&self, slot: usize) -> Result<StepOutput> {
        Ok((
            slot,
            self.stepper.halting(slot)?,
            self.stepper.answer(slot)?,
        ))
    }

    /// Fills empty slots, keeps [`MAX_STEPS_IN_FLIGHT`] steps submitted and collects the oldest.
    /// Returns the puzzles that it ended.
    fn step_pipelined(&mut self) -> Result<Vec<StepOutput>> {
        self.fill_slots()?;
        let Some((program, params)) = self.stepper.pipelined(&self.policy) else {
            return Ok(Vec::new());
        };
        for (slot, active) in self.active.iter_mut().enumerate() {
            if let Some(active) = active
                && !active.is_pipelined
            {
                let steps = u32::try_from(active.steps).unwrap_or(u32::MAX);
                program.activate(slot, steps)?;
                active.is_pipelined = true;
            }
        }
        while self.steps_in_flight < MAX_STEPS_IN_FLIGHT {
            program.submit_step(&params)?;
            self.steps_in_flight += 1;
        }
        self.collect_one()
    }

    /// Collects all steps in flight, so that further steps can be taken one by one. Returns the
    /// puzzles that they ended.
    fn drain_pipeline(&mut self) -> Result<Vec<StepOutput>> {
        if self.steps_in_flight == 0 {
            return Ok(Vec::new());
        }
        let mut ended = Vec::new();
        while self.steps_in_flight > 0 {
            ended.extend(self.collect_one()?);
        }
        for active in self.active.iter_mut().flatten() {
            active.is_pipelined = false;
        }
        if let Some((program, _)) = self.stepper.pipelined(&self.policy) {
            program.deactivate_all()?;
        }
        Ok(ended)
    }

    fn collect_one(&mut self) -> Result<Vec<StepOutput>> {
        let Some((program, _)) = self.stepper.pipelined(&self.policy) else {
            return Ok(Vec::new());
        };
        let statuses = program.collect_step()?;
        self.steps_in_flight -= 1;
        let mut ended = Vec::new();
        for status in statuses {
            if let Some(Some(active)) = self.active.get_mut(status.slot) {
                active.steps = status.steps as usize;
                active.is_pipelined = status.is_active;
                if !status.is_active {
                    // `judge` counts the last step.
                    active.steps = active.steps.saturating_sub(1);
                    ended.push(status.slot);
                }
            }
        }
        ended.into_iter().map(|slot| self.output(slot)).collect()
    }

    /// Judges puzzles after a step. Unfinished puzzles stay in their slots.
    fn judge_all(&mut self, outputs: Vec<StepOutput>) -> Vec<PuzzleStep> {
        let mut puzzles = Vec::with_capacity(outputs.len());
        for (slot, halting, tokens) in outputs {
            if let Some(active) = self.active[slot].take() {
                if let Err(e) = check_finite(&halting, &tokens) {
                    // The puzzle ends. The other slots do not depend on it.
                    let at = format!("step {}", active.steps + 1);
                    let e = e.context(at).with_puzzle_index(active.queued.index);
                    self.failed.push_back(e);
                    continue;
                }
                let (step, unfinished) = self.judge(active, halting, tokens);
                self.active[slot] = unfinished;
                puzzles.push(step);
            }
        }
        puzzles.sort_by_key(|puzzle| puzzle.index);
        puzzles
    }

    /// Puts the active puzzles back at the front of the queue, to start again from step 1.
    fn requeue_active(&mut self) {
        self.steps_in_flight = 0;
        let mut active: Vec<Active> = self.active.iter_mut().filter_map(Option::take).collect();
        active.sort_by_key(|active| std::cmp::Reverse(active.queued.index));
        for active in active {
            self.queue.push_front(active.queued);
        }
    }

    fn fill_slots(&mut self) -> Result<()> {
        for slot in 0..self.active.len() {
            if self.active[slot].is_none() {
                let Some(Queued { puzzle, noise, .. }) = self.queue.front() else {
                    break;
                };
                let mut loaded = self.stepper.load(slot, &puzzle.tokens, puzzle.puzzle_id);
                if let Some(seed) = noise {
                    loaded = loaded.and_then(|()| self.stepper.perturb(slot, *seed));
                }
                if let Err(e) = loaded {
                    // After a device error another device may be able to load the puzzle, and
                    // later it may not be cancelled. Any other error is due to the puzzle, which
                    // is dropped.
                    if matches!(e.kind(), ErrorKind::Device | ErrorKind::Cancelled) {
                        return Err(e);
                    }
                    return Err(match self.queue.pop_front() {
                        Some(queued) => e.with_puzzle_index(queued.index),
                        None => e,
                    });
                }
                let Some(queued) = self.queue.pop_front() else {
                    break;
                };
                self.active[slot] = Some(Active {
                    steps: 0,
                    last_tokens: queued.puzzle.tokens.clone(),
                    queued,
                    started: Instant::now(),
                    is_pipelined: false,
                });
            }
        }
        Ok(())
    }

    /// Judges one puzzle after a step. Returns its report, and the puzzle if it is unfinished.
    fn judge(
        &self,
        mut active: Active,
        halting: Halting,
        tokens: Vec<u32>,
    ) -> (PuzzleStep, Option<Active>) {
        active.steps += 1;
        let Queued {
            index,
            puzzle,
            task,
            ..
        } = &active.queued;
        let cells = task.decode(puzzle, &tokens);
        let mut step = PuzzleStep {
            index: *index,
            id: puzzle.id.clone(),
            step: active.steps,
            cells,
            changed: changed_cells(&tokens, &active.last_tokens),
            tokens,
            halting,
            halt_probability: halting.probability(),
            outcome: None,
        };
        let is_last = active.steps >= self.policy.max_steps;
        let wants_halt = self.policy.should_halt(&halting, active.steps);
        if is_last || wants_halt {
            let verdict = task.verify(puzzle, &step.tokens);
            let trusts_head = self.policy.rule == HaltRule::Head || !task.verifies_by_rules();
            let halted = wants_halt && (trusts_head || verdict.valid != Some(false));
            if is_last || halted {
                step.outcome = Some(self.outcome(&active, &step, verdict, halted));
                return (step, None);
            }
        }
        active.last_tokens.clone_from(&step.tokens);
        (step, Some(active))
    }

    fn outcome(
        &self,
        active: &Active,
        step: &PuzzleStep,
        verdict: Verdict,
        halted: bool,
    ) -> Answer {
        Answer {
            index: step.index,
            id: step.id.clone(),
            task: active.queued.task.name().to_string(),
            cells: step.cells.clone(),
            tokens: step.tokens.clone(),
            valid: verdict.valid,
            shortest: verdict.shortest,
            reason: verdict.reason,
            correct: active.queued.puzzle.is_solved_by(&step.tokens),
            steps: active.steps,
            halted,
            halting: step.halting,
            halt_probability: step.halt_probability,
            time: active.started.elapsed(),
            device: self.stepper.device(),
        }
    }
}

/// Returns the indices of the cells in which two answers differ.
pub(super) fn changed_cells(now: &[u32], before: &[u32]) -> Vec<usize> {
    let cells = now.iter().zip(before).enumerate();
    cells
        .filter(|(_, (now, before))| now != before)
        .map(|(cell, _)| cell)
        .collect()
}
