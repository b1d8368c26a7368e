//! The halting loop, once, for everything that can take a refinement step.
//!
//! A [`Session`] holds any number of puzzles. Each [`Step`] refines all that are at work by one step; a puzzle that halts frees its
//! place in the batch for the next one that waits. When a puzzle halts is data: a [`HaltPolicy`].

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::task::{Content, Id, Problem, Task, Verdict};

/// Something that refines the answers of a batch of puzzles by one step at a time.
///
/// [`NativeStepper`](crate::NativeStepper) is the one of this library's own models.
pub trait Stepper: fmt::Debug + Send {
    /// Puzzles that fit at the same time.
    fn slots(&self) -> usize;

    /// Puts a puzzle in a place, in its initial state.
    fn load(&mut self, slot: usize, tokens: &[u32], puzzle_id: u32) -> Result<()>;

    /// Refines the puzzles in these places (rising) by one step. What a puzzle gets depends on no other.
    fn step(&mut self, live: &[usize]) -> Result<()>;

    /// What the halting head says of the puzzle in a place after its last step.
    fn halting(&self, slot: usize) -> Result<Halting>;

    /// The likeliest token of every cell of the puzzle in a place after its last step, `[S]`.
    fn answer(&self, slot: usize) -> Result<Vec<u32>>;

    /// What it runs on, as answers name it; empty if it does not tell.
    fn device(&self) -> &'static str {
        ""
    }

    /// After any of the calls above has failed: goes over to another device, where all puzzles must be loaded again. `false` if
    /// there is none, so that the error stands.
    fn recover(&mut self, error: &Error) -> Result<bool> {
        let _ = error;
        Ok(false)
    }
}

/// What the halting head says after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halting {
    /// The logit to halt.
    pub q_halt: f32,
    /// The logit to go on.
    pub q_continue: f32,
    /// The logit of the halting probability: `q_halt` for a model trained without the continue loss (`no_ACT_continue`),
    /// `q_halt - q_continue` for others.
    pub logit: f32,
}

impl Halting {
    /// The halting probability, `sigmoid(logit)`.
    pub fn probability(&self) -> f32 {
        1.0 / (1.0 + (-self.logit).exp())
    }
}

/// Who decides that a puzzle halts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltRule {
    /// The halting head.
    Head,
    /// The halting head, but only if the answer keeps the puzzle's rules; where rules alone cannot tell, the head.
    Verified,
    /// Nobody: always all steps, as in the published evaluation.
    Never,
}

impl HaltRule {
    /// Its name: `head`, `verified`, `never`.
    pub fn name(self) -> &'static str {
        match self {
            HaltRule::Head => "head",
            HaltRule::Verified => "verified",
            HaltRule::Never => "never",
        }
    }
}

impl FromStr for HaltRule {
    type Err = Error;

    fn from_str(name: &str) -> Result<HaltRule> {
        [HaltRule::Head, HaltRule::Verified, HaltRule::Never]
            .into_iter()
            .find(|rule| rule.name() == name)
            .ok_or_else(|| Error::argument(format!("no halting rule {name:?}: head, verified or never")))
    }
}

/// When a puzzle halts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HaltPolicy {
    /// Who decides.
    pub rule: HaltRule,
    /// The head says "halt" above this probability. The published rule is 0.5.
    pub threshold: f32,
    /// No puzzle halts before this many steps.
    pub min_steps: usize,
    /// Every puzzle ends after this many; more than the model was trained for is allowed, and often helps.
    pub max_steps: usize,
}

impl HaltPolicy {
    /// The rule with the published threshold, at most `max_steps`.
    pub fn new(rule: HaltRule, max_steps: usize) -> HaltPolicy {
        HaltPolicy {
            rule,
            threshold: 0.5,
            min_steps: 1,
            max_steps,
        }
    }

    /// The policy, if its numbers make sense.
    pub(crate) fn checked(self) -> Result<HaltPolicy> {
        if !(0.0..=1.0).contains(&self.threshold) {
            return Err(Error::argument(format!(
                "halt threshold {}: give a probability",
                self.threshold
            )));
        }
        if self.max_steps == 0 {
            return Err(Error::argument("max steps 0: a puzzle takes at least one step"));
        }
        if self.min_steps > self.max_steps {
            let HaltPolicy {
                min_steps, max_steps, ..
            } = self;
            return Err(Error::argument(format!(
                "min steps {min_steps} above max steps {max_steps}"
            )));
        }
        Ok(self)
    }

    /// Whether the head says halt. In logits, so that a probability next to one half is not rounded to it.
    fn head_says_halt(&self, halting: &Halting, step: usize) -> bool {
        let threshold = (self.threshold / (1.0 - self.threshold)).ln();
        step >= self.min_steps && halting.logit > threshold
    }
}

/// Stops sessions from another thread. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    parent: Option<CancelToken>,
}

impl CancelToken {
    /// A token that has not been used.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// A token of its own that is cancelled with this one too.
    pub fn child(&self) -> CancelToken {
        CancelToken(Arc::new(CancelState {
            cancelled: AtomicBool::new(false),
            parent: Some(self.clone()),
        }))
    }

    /// Lets the step in flight end and takes no further one.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called here or on a parent.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
            || self.0.parent.as_ref().is_some_and(CancelToken::is_cancelled)
    }
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

/// A puzzle at work.
#[derive(Debug)]
struct Running {
    index: usize,
    problem: Problem,
    task: Arc<dyn Task>,
    steps: usize,
    last: Vec<u32>,
    started: Instant,
}

/// Puzzles on their way to an answer.
#[derive(Debug)]
pub struct Session {
    stepper: Box<dyn Stepper>,
    policy: HaltPolicy,
    waiting: VecDeque<(usize, Problem, Arc<dyn Task>)>,
    running: Vec<Option<Running>>,
    tokens: Option<usize>,
    pushed: usize,
    cancel: CancelToken,
    deadline: Option<Instant>,
}

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
        })
    }

    /// Adds a puzzle, which starts as soon as a place is free, and returns its number.
    ///
    /// # Errors
    /// [`ErrorKind::Puzzle`] if it has another number of tokens than the session's first.
    pub fn push(&mut self, problem: Problem, task: Arc<dyn Task>) -> Result<usize> {
        let tokens = *self.tokens.get_or_insert(problem.tokens.len());
        if problem.tokens.len() != tokens {
            let message = format!(
                "{} cells, the others of this session have {tokens}",
                problem.tokens.len()
            );
            return Err(Error::puzzle(message).at(format!("puzzle {}", problem.id)));
        }
        self.waiting.push_back((self.pushed, problem, task));
        self.pushed += 1;
        Ok(self.pushed - 1)
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
        if self.unfinished() == 0 {
            return Ok(None);
        }
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::new(ErrorKind::Deadline, "the deadline passed"));
        }
        let refined = loop {
            match self.refine() {
                Ok(refined) => break refined,
                Err(e) if self.stepper.recover(&e)? => self.restart(),
                Err(e) => return Err(e),
            }
        };
        let mut puzzles = Vec::with_capacity(refined.len());
        for (slot, halting, tokens) in refined {
            if let Some(running) = self.running[slot].take() {
                let (step, unfinished) = self.judge(running, halting, tokens);
                self.running[slot] = unfinished;
                puzzles.push(step);
            }
        }
        puzzles.sort_by_key(|p| p.index);
        Ok(Some(Step { puzzles }))
    }

    /// Loads puzzles into free places, refines all at work by one step and reads what came out: everything that a device can fail in,
    /// before anything is judged.
    fn refine(&mut self) -> Result<Vec<(usize, Halting, Vec<u32>)>> {
        self.fill_free_places()?;
        let live: Vec<usize> = (0..self.running.len())
            .filter(|&s| self.running[s].is_some())
            .collect();
        self.stepper.step(&live)?;
        let stepper = &self.stepper;
        live.into_iter()
            .map(|slot| Ok((slot, stepper.halting(slot)?, stepper.answer(slot)?)))
            .collect()
    }

    /// Puts the puzzles at work back in front of those that wait.
    fn restart(&mut self) {
        let mut running: Vec<Running> = self.running.iter_mut().filter_map(Option::take).collect();
        running.sort_by_key(|r| std::cmp::Reverse(r.index));
        for r in running {
            self.waiting.push_front((r.index, r.problem, r.task));
        }
    }

    fn fill_free_places(&mut self) -> Result<()> {
        for slot in 0..self.running.len() {
            if self.running[slot].is_none() {
                let Some((_, problem, _)) = self.waiting.front() else {
                    break;
                };
                // A puzzle that cannot be loaded is dropped, unless another device may be able to.
                let loaded = self.stepper.load(slot, &problem.tokens, problem.puzzle_id);
                if let Err(e) = loaded {
                    if e.kind() != ErrorKind::Device {
                        self.waiting.pop_front();
                    }
                    return Err(e);
                }
                let Some((index, problem, task)) = self.waiting.pop_front() else {
                    break;
                };
                let last = problem.tokens.clone();
                self.running[slot] = Some(Running {
                    index,
                    problem,
                    task,
                    steps: 0,
                    last,
                    started: Instant::now(),
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
        let answer = running.task.decode(&running.problem, &tokens);
        let changed = tokens
            .iter()
            .zip(&running.last)
            .enumerate()
            .filter(|(_, (a, b))| a != b);
        let mut step = PuzzleStep {
            index: running.index,
            id: running.problem.id.clone(),
            step: running.steps,
            answer,
            changed: changed.map(|(cell, _)| cell).collect(),
            tokens,
            halting,
            halt_probability: halting.probability(),
            outcome: None,
        };
        let last = running.steps >= self.policy.max_steps;
        let wants_halt =
            self.policy.rule != HaltRule::Never && self.policy.head_says_halt(&halting, running.steps);
        if last || wants_halt {
            let verdict = running.task.verify(&running.problem, &step.tokens);
            let trusted = self.policy.rule == HaltRule::Head || !running.task.verifies_by_rules();
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
        let equals = |solution: &Vec<u32>| solution.iter().zip(&step.tokens).all(|(s, t)| *s == 0 || s == t);
        Answer {
            index: running.index,
            id: step.id.clone(),
            task: running.task.name().to_string(),
            answer: step.answer.clone(),
            tokens: step.tokens.clone(),
            valid: verdict.valid,
            shortest: verdict.shortest,
            why: verdict.why,
            correct: running.problem.solution.as_ref().map(equals),
            steps: running.steps,
            halted,
            halting: step.halting,
            halt_probability: step.halt_probability,
            time: running.started.elapsed(),
            device: self.stepper.device(),
        }
    }
}
