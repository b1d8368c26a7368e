//! Multi-start: several starts for each puzzle, and the best of their answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::halting_loop::{HaltingLoop, changed_cells};
use super::step::{Answer, PuzzleStep, Step};
use crate::error::{Error, Result};
use crate::random::Random;
use crate::task::{EncodedPuzzle, Symmetry, Task};

/// How many starts each puzzle of a session gets.
///
/// The first start is the puzzle as it is. The others are the same puzzle under a random symmetry
/// of its task ([`Task::random_symmetry`]), or, if the task has no symmetry, the puzzle with noise
/// on its initial states. All starts share the slots of one batch.
///
/// If the task verifies answers by rules, the session takes the valid answer with the fewest steps.
/// Otherwise it takes the answer of the start that halts first. If no start qualifies, it takes the
/// answer with the highest halting probability. A start for which the numbers of the model overflow
/// does not count, unless all of them do. So the answer depends neither on the batch size nor
/// on the other puzzles of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MultiStart {
    /// Simultaneous starts of each puzzle, from 1 to [`MultiStart::MAX_STARTS`]. Default: 1.
    pub starts: usize,
    /// Seed of the further starts. They do not depend on the other puzzles of the session.
    /// Default: 0.
    pub seed: u64,
    /// How long to add new starts until an answer is valid. No effect for a task that does not
    /// verify answers by rules. Default: `None`, which adds no starts.
    pub until_valid: Option<Duration>,
    /// Whether the further starts get noise instead of a symmetry. A solver always does this for a
    /// model with a symbol axis, which gives symmetric copies of a puzzle the same answer. Default:
    /// false.
    pub noise_only: bool,
}

impl Default for MultiStart {
    fn default() -> Self {
        Self {
            starts: 1,
            seed: 0,
            until_valid: None,
            noise_only: false,
        }
    }
}

impl MultiStart {
    /// Largest number of simultaneous starts of a puzzle.
    pub const MAX_STARTS: usize = 1024;

    /// Returns the settings for `starts` simultaneous starts, with the defaults for the rest.
    pub fn new(starts: usize) -> Self {
        Self {
            starts,
            ..Self::default()
        }
    }

    /// Sets the seed of the further starts.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets how long to add new starts until an answer is valid.
    #[must_use]
    pub fn with_until_valid(self, limit: Duration) -> Self {
        Self {
            until_valid: Some(limit),
            ..self
        }
    }

    fn is_single(&self) -> bool {
        self.starts == 1 && self.until_valid.is_none()
    }

    pub(crate) fn checked(self) -> Result<Self> {
        match self.starts {
            1..=Self::MAX_STARTS => Ok(self),
            starts => Err(Error::argument(format!(
                "{starts} starts: 1 to {} are possible",
                Self::MAX_STARTS
            ))),
        }
    }
}

/// The first start that gets noise in addition to a symmetry. A maze has only eight symmetries.
const FIRST_NOISY_START: usize = 8;

/// The starts of all puzzles of a session.
#[derive(Debug)]
pub(super) struct Starts {
    settings: MultiStart,
    /// The unfinished puzzles, by index.
    puzzles: BTreeMap<usize, PuzzleStarts>,
    /// Maps the index of a start in the halting loop to the index of its puzzle and its symmetry.
    owners: BTreeMap<usize, (usize, Option<Symmetry>)>,
    pushed: usize,
}

/// A puzzle with its starts.
#[derive(Debug)]
struct PuzzleStarts {
    puzzle: EncodedPuzzle,
    task: Arc<dyn Task>,
    /// Starts begun so far.
    begun: usize,
    /// Starts that have not ended.
    open: Vec<OpenStart>,
    /// The best answer so far, and the number of its start.
    best: Option<(usize, Answer)>,
    /// Steps in which the puzzle took part.
    steps: usize,
    /// The answer that was reported last, `[S]`.
    reported: Vec<u32>,
    /// When the first step began.
    started: Option<Instant>,
}

/// A start that has not ended.
#[derive(Debug, Clone, Copy)]
struct OpenStart {
    /// Number among the starts of the puzzle, from 0.
    number: usize,
    /// Index in the halting loop.
    index: usize,
    /// Steps taken.
    steps: usize,
}

impl Starts {
    /// Returns `None` if every puzzle has a single start.
    pub(super) fn new(settings: MultiStart) -> Option<Self> {
        (!settings.is_single()).then(|| Self {
            settings,
            puzzles: BTreeMap::new(),
            owners: BTreeMap::new(),
            pushed: 0,
        })
    }

    pub(super) fn unfinished(&self) -> usize {
        self.puzzles.len()
    }

    pub(super) fn push(
        &mut self,
        halting_loop: &mut HaltingLoop,
        puzzle: EncodedPuzzle,
        task: Arc<dyn Task>,
    ) -> Result<usize> {
        let index = self.pushed;
        let mut starts = PuzzleStarts {
            reported: puzzle.tokens.clone(),
            puzzle,
            task,
            begun: 0,
            open: Vec::new(),
            best: None,
            steps: 0,
            started: None,
        };
        for _ in 0..self.settings.starts {
            self.begin(halting_loop, index, &mut starts)?;
        }
        self.puzzles.insert(index, starts);
        self.pushed += 1;
        Ok(index)
    }

    /// Adds the next start of a puzzle to the halting loop.
    fn begin(
        &mut self,
        halting_loop: &mut HaltingLoop,
        owner: usize,
        starts: &mut PuzzleStarts,
    ) -> Result<()> {
        let number = starts.begun;
        let mut random = Random::new(self.settings.seed ^ (number as u64) << 32);
        let symmetry = match number {
            0 => None,
            _ if self.settings.noise_only => None,
            _ => starts.task.random_symmetry(&starts.puzzle, &mut random),
        };
        let is_noisy = number > 0 && (symmetry.is_none() || number >= FIRST_NOISY_START);
        let puzzle = match &symmetry {
            Some(symmetry) => symmetry.apply(&starts.puzzle),
            None => starts.puzzle.clone(),
        };
        let noise = is_noisy.then(|| random.bits());
        let index = halting_loop.push(puzzle, starts.task.clone(), noise)?;
        self.owners.insert(index, (owner, symmetry));
        starts.open.push(OpenStart {
            number,
            index,
            steps: 0,
        });
        starts.begun += 1;
        Ok(())
    }

    pub(super) fn next_step(&mut self, halting_loop: &mut HaltingLoop) -> Result<Option<Step>> {
        let now = Instant::now();
        let step = loop {
            match halting_loop.next_step() {
                Ok(Some(step)) => break step,
                Ok(None) => return Ok(None),
                Err(e) => {
                    if let Some(puzzle) = self.drop_start(halting_loop, e)? {
                        let puzzles = vec![puzzle];
                        return Ok(Some(Step { puzzles }));
                    }
                }
            }
        };
        // For each puzzle, the start with the highest halting probability.
        let mut leaders: BTreeMap<usize, PuzzleStep> = BTreeMap::new();
        for mut start in step.puzzles {
            let Some((owner, symmetry)) = self.owners.get(&start.index) else {
                continue;
            };
            let Some(starts) = self.puzzles.get_mut(owner) else {
                continue;
            };
            starts.started.get_or_insert(now);
            if let Some(symmetry) = symmetry {
                start.tokens = symmetry.undo(&start.tokens);
            }
            if let Some(open) = starts
                .open
                .iter_mut()
                .find(|open| open.index == start.index)
            {
                open.steps = start.step;
            }
            if let Some(answer) = start.outcome.take() {
                starts.judge(*owner, start.index, answer, &start.tokens);
            }
            let leader = leaders.entry(*owner).or_insert_with(|| start.clone());
            if start.halt_probability > leader.halt_probability {
                *leader = start;
            }
        }
        let puzzles = leaders
            .into_iter()
            .map(|(owner, leader)| self.report(halting_loop, owner, leader));
        Ok(Some(Step {
            puzzles: puzzles.collect::<Result<_>>()?,
        }))
    }

    /// Drops a start that has failed. If it was the last open start of its puzzle, returns the
    /// report of the puzzle, which has ended with the best answer of the others.
    ///
    /// # Errors
    /// The error is about no start, or its puzzle has no other start and no answer.
    fn drop_start(
        &mut self,
        halting_loop: &mut HaltingLoop,
        error: Error,
    ) -> Result<Option<PuzzleStep>> {
        let Some(index) = error.puzzle_index() else {
            return Err(error);
        };
        let Some((owner, _)) = self.owners.remove(&index) else {
            return Err(error);
        };
        let Some(starts) = self.puzzles.get_mut(&owner) else {
            return Ok(None);
        };
        starts.open.retain(|start| start.index != index);
        if !starts.open.is_empty() {
            return Ok(None);
        }
        let Some((_, best)) = &starts.best else {
            self.puzzles.remove(&owner);
            return Err(error.with_puzzle_index(owner));
        };
        let leader = PuzzleStep {
            index: owner,
            id: best.id.clone(),
            step: starts.steps,
            cells: best.cells.clone(),
            tokens: best.tokens.clone(),
            changed: Vec::new(),
            halting: best.halting,
            halt_probability: best.halt_probability,
            outcome: None,
        };
        // `report` counts a step.
        starts.steps = starts.steps.saturating_sub(1);
        self.report(halting_loop, owner, leader).map(Some)
    }

    /// Turns the leading start of a puzzle into the report of the puzzle, and ends the puzzle if it
    /// has its answer.
    fn report(
        &mut self,
        halting_loop: &mut HaltingLoop,
        owner: usize,
        mut leader: PuzzleStep,
    ) -> Result<PuzzleStep> {
        let Some(mut starts) = self.puzzles.remove(&owner) else {
            return Ok(leader);
        };
        leader.index = owner;
        starts.steps += 1;
        leader.step = starts.steps;
        if self.update_starts(halting_loop, owner, &mut starts)? {
            leader.outcome = starts.best.take().map(|(_, answer)| Answer {
                time: starts
                    .started
                    .map_or(answer.time, |started| started.elapsed()),
                ..answer
            });
        }
        if let Some(answer) = &leader.outcome {
            leader.tokens.clone_from(&answer.tokens);
            leader.halting = answer.halting;
            leader.halt_probability = answer.halt_probability;
        }
        leader.cells = starts.task.decode(&starts.puzzle, &leader.tokens);
        leader.changed = changed_cells(&leader.tokens, &starts.reported);
        if leader.outcome.is_none() {
            starts.reported.clone_from(&leader.tokens);
            self.puzzles.insert(owner, starts);
        }
        Ok(leader)
    }

    /// Abandons the starts of a puzzle that can no longer change its answer, and adds new ones if
    /// the settings require them. Returns whether the puzzle has its answer.
    fn update_starts(
        &mut self,
        halting_loop: &mut HaltingLoop,
        owner: usize,
        starts: &mut PuzzleStarts,
    ) -> Result<bool> {
        let Some((_, best)) = &starts.best else {
            return Ok(false);
        };
        let (is_final, best_steps) = (starts.is_final(best), best.steps);
        let time_left = match (self.settings.until_valid, starts.started) {
            (Some(limit), Some(started)) if starts.task.verifies_by_rules() => {
                Some(started.elapsed() < limit)
            }
            _ => None,
        };
        let is_late = time_left == Some(false);
        let (beaten, open): (Vec<OpenStart>, Vec<OpenStart>) = std::mem::take(&mut starts.open)
            .into_iter()
            .partition(|start| is_late || (is_final && start.steps >= best_steps));
        for start in &beaten {
            halting_loop.abandon(start.index);
        }
        starts.open = open;
        if !is_final && time_left == Some(true) {
            while starts.open.len() < self.settings.starts {
                self.begin(halting_loop, owner, starts)?;
            }
        }
        let is_open = |index: &usize| starts.open.iter().any(|start| start.index == *index);
        self.owners
            .retain(|index, (puzzle, _)| *puzzle != owner || is_open(index));
        Ok(starts.open.is_empty())
    }
}

impl PuzzleStarts {
    /// Takes the answer of a start that has ended and keeps it if it is the best so far. `tokens`
    /// is the answer with the start's symmetry undone.
    fn judge(&mut self, owner: usize, index: usize, answer: Answer, tokens: &[u32]) {
        let Some(ended) = self.open.iter().position(|start| start.index == index) else {
            return;
        };
        let start = self.open.swap_remove(ended).number;
        let verdict = self.task.verify(&self.puzzle, tokens);
        let answer = Answer {
            index: owner,
            cells: self.task.decode(&self.puzzle, tokens),
            tokens: tokens.to_vec(),
            valid: verdict.valid,
            shortest: verdict.shortest,
            reason: verdict.reason,
            correct: self.puzzle.is_solved_by(tokens),
            ..answer
        };
        let is_better = self.best.as_ref().is_none_or(|(number, best)| {
            let by_start = number.cmp(&start);
            match (self.is_final(&answer), self.is_final(best)) {
                (true, true) => best.steps.cmp(&answer.steps).then(by_start).is_gt(),
                (false, false) => {
                    let probability = answer.halt_probability.total_cmp(&best.halt_probability);
                    probability.then(by_start).is_gt()
                }
                (is_final, _) => is_final,
            }
        });
        if is_better {
            self.best = Some((start, answer));
        }
    }

    /// Returns whether this answer makes further starts unnecessary.
    fn is_final(&self, answer: &Answer) -> bool {
        match self.task.verifies_by_rules() {
            true => answer.valid == Some(true),
            false => answer.halted,
        }
    }
}
