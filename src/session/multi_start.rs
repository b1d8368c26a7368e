//! Better answers for more time: several starts for each puzzle, and the best of what they come to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Answer, PuzzleStep, Session, Step};
use crate::error::{Error, Result};
use crate::random::Random;
use crate::task::{Problem, Relabelling, Task};

/// How much is done for a puzzle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Starts at the same time, from 1, which is the puzzle as it is.
    pub starts: usize,
    /// Seed of the other starts. A puzzle gets the same starts whatever is solved beside it.
    pub seed: u64,
    /// Goes on with new starts for so long, until an answer keeps the puzzle's rules; where these alone cannot tell, it does not.
    pub until_valid: Option<Duration>,
}

impl Default for Effort {
    fn default() -> Effort {
        Effort {
            starts: 1,
            seed: 0,
            until_valid: None,
        }
    }
}

impl Effort {
    /// The most starts at a time.
    pub const MOST: usize = 1024;

    fn is_single(&self) -> bool {
        self.starts == 1 && self.until_valid.is_none()
    }

    pub(crate) fn checked(self) -> Result<Effort> {
        match self.starts {
            1..=Effort::MOST => Ok(self),
            starts => Err(Error::argument(format!(
                "{starts} starts: 1 to {} are raced",
                Effort::MOST
            ))),
        }
    }
}

/// From this start on noise comes on top of a symmetry: a maze has only eight.
const SYMMETRIES: usize = 8;

/// A session in which each puzzle has several starts, raced in the places of one batch.
///
/// The first start is the puzzle as it is, so that an effort of 1 is a [`Session`]. The others are the same puzzle under a symmetry of its task
/// ([`Task::relabelling`]), or, where there is none, from an initial state with noise on it. Where rules can tell, the answer that keeps them after the
/// fewest steps is taken; elsewhere that of the start whose halting head says so first. If none does, it is the answer with the highest halting
/// probability; never that of a majority. So it depends neither on the size of the batch nor on what is solved beside it.
#[derive(Debug)]
pub struct Race {
    session: Session,
    effort: Effort,
    puzzles: BTreeMap<usize, Heat>,
    /// Number of a start in the session: its puzzle, and how it was relabelled.
    starts: BTreeMap<usize, (usize, Option<Relabelling>)>,
    pushed: usize,
}

/// A puzzle, and what its starts have come to.
#[derive(Debug)]
struct Heat {
    problem: Problem,
    task: Arc<dyn Task>,
    begun: usize,
    /// Starts that have not ended.
    open: Vec<Start>,
    /// The best answer so far, and the number of its start.
    best: Option<(usize, Answer)>,
    /// Steps in which it took part.
    steps: usize,
    /// What was shown of it last.
    shown: Vec<u32>,
    /// When its first step began.
    started: Option<Instant>,
}

/// A start that has not ended.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// Number among the starts of its puzzle.
    number: usize,
    /// Number in the session.
    index: usize,
    /// Steps that it has taken.
    steps: usize,
}

impl Race {
    /// Races the starts of puzzles in the places of `session`, which is empty.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) for no starts, or too many.
    pub fn new(session: Session, effort: Effort) -> Result<Race> {
        Ok(Race {
            session,
            effort: effort.checked()?,
            puzzles: BTreeMap::new(),
            starts: BTreeMap::new(),
            pushed: 0,
        })
    }

    /// As [`Session::push`].
    ///
    /// # Errors
    /// As [`Session::push`].
    pub fn push(&mut self, problem: Problem, task: Arc<dyn Task>) -> Result<usize> {
        if self.effort.is_single() {
            return self.session.push(problem, task);
        }
        let number = self.pushed;
        let mut heat = Heat {
            shown: problem.tokens.clone(),
            problem,
            task,
            begun: 0,
            open: Vec::new(),
            best: None,
            steps: 0,
            started: None,
        };
        for _ in 0..self.effort.starts {
            self.begin(number, &mut heat)?;
        }
        self.puzzles.insert(number, heat);
        self.pushed += 1;
        Ok(number)
    }

    /// Adds the next start of a puzzle to the session.
    fn begin(&mut self, number: usize, heat: &mut Heat) -> Result<()> {
        let start = heat.begun;
        let mut random = Random::new(self.effort.seed ^ (start as u64) << 32);
        let relabelling = match start {
            0 => None,
            _ => heat.task.relabelling(&heat.problem, &mut random),
        };
        let disturbed = start > 0 && (relabelling.is_none() || start >= SYMMETRIES);
        let problem = match &relabelling {
            Some(relabelling) => relabelling.apply(&heat.problem),
            None => heat.problem.clone(),
        };
        let noise = disturbed.then(|| random.bits());
        let index = self.session.push_from(problem, heat.task.clone(), noise)?;
        self.starts.insert(index, (number, relabelling));
        heat.open.push(Start {
            number: start,
            index,
            steps: 0,
        });
        heat.begun += 1;
        Ok(())
    }

    /// Places of the batch that neither work nor have a start waiting for them.
    pub fn free(&self) -> usize {
        self.session.free()
    }

    /// Puzzles that have not ended.
    pub fn unfinished(&self) -> usize {
        match self.effort.is_single() {
            true => self.session.unfinished(),
            false => self.puzzles.len(),
        }
    }

    /// As [`Session::next_step`]: of each puzzle the start that believes most in its answer.
    ///
    /// # Errors
    /// As [`Session::next_step`].
    pub fn next_step(&mut self) -> Result<Option<Step>> {
        if self.effort.is_single() {
            return self.session.next_step();
        }
        let now = Instant::now();
        let Some(step) = self.session.next_step()? else {
            return Ok(None);
        };
        let mut leaders: BTreeMap<usize, PuzzleStep> = BTreeMap::new();
        for mut start in step.puzzles {
            let Some((number, relabelling)) = self.starts.get(&start.index) else {
                continue;
            };
            let Some(heat) = self.puzzles.get_mut(number) else {
                continue;
            };
            heat.started.get_or_insert(now);
            if let Some(relabelling) = relabelling {
                start.tokens = relabelling.undo(&start.tokens);
            }
            if let Some(open) = heat.open.iter_mut().find(|open| open.index == start.index) {
                open.steps = start.step;
            }
            if let Some(answer) = start.outcome.take() {
                heat.judge(*number, start.index, answer, &start.tokens);
            }
            let leader = leaders.entry(*number).or_insert_with(|| start.clone());
            if start.halt_probability > leader.halt_probability {
                *leader = start;
            }
        }
        let puzzles = leaders
            .into_iter()
            .map(|(number, leader)| self.show(number, leader));
        Ok(Some(Step {
            puzzles: puzzles.collect::<Result<_>>()?,
        }))
    }

    /// As [`Session::advance`]. Steps are taken one by one on a GPU too, since a start may end those beside it.
    ///
    /// # Errors
    /// As [`Session::advance`].
    pub fn advance(&mut self) -> Result<Option<Vec<Answer>>> {
        if self.effort.is_single() {
            return self.session.advance();
        }
        let step = self.next_step()?;
        Ok(step.map(|step| {
            step.puzzles
                .into_iter()
                .filter_map(|puzzle| puzzle.outcome)
                .collect()
        }))
    }

    /// What a step did to a puzzle, of which `leader` is the start that believes most in its answer; ends it if that is time.
    fn show(&mut self, number: usize, mut leader: PuzzleStep) -> Result<PuzzleStep> {
        let Some(mut heat) = self.puzzles.remove(&number) else {
            return Ok(leader);
        };
        leader.index = number;
        heat.steps += 1;
        leader.step = heat.steps;
        if self.ends(number, &mut heat)? {
            leader.outcome = heat.best.take().map(|(_, answer)| Answer {
                time: heat.started.map_or(answer.time, |started| started.elapsed()),
                ..answer
            });
        }
        if let Some(answer) = &leader.outcome {
            leader.tokens.clone_from(&answer.tokens);
            leader.halting = answer.halting;
            leader.halt_probability = answer.halt_probability;
        }
        leader.answer = heat.task.decode(&heat.problem, &leader.tokens);
        let cells = leader.tokens.iter().zip(&heat.shown).enumerate();
        leader.changed = cells
            .filter(|(_, (now, before))| now != before)
            .map(|(cell, _)| cell)
            .collect();
        if leader.outcome.is_none() {
            heat.shown.clone_from(&leader.tokens);
            self.puzzles.insert(number, heat);
        }
        Ok(leader)
    }

    /// Whether a puzzle has its answer. Starts that cannot change it are given up; those that it may still have are added.
    fn ends(&mut self, number: usize, heat: &mut Heat) -> Result<bool> {
        let Some((_, best)) = &heat.best else {
            return Ok(false);
        };
        let (sure, steps) = (heat.is_sure(best), best.steps);
        let time_left = match (self.effort.until_valid, heat.started) {
            (Some(limit), Some(started)) if heat.task.verifies_by_rules() => Some(started.elapsed() < limit),
            _ => None,
        };
        let late = time_left == Some(false);
        let (beaten, open): (Vec<Start>, Vec<Start>) = std::mem::take(&mut heat.open)
            .into_iter()
            .partition(|start| late || (sure && start.steps >= steps));
        beaten.iter().for_each(|start| self.session.give_up(start.index));
        heat.open = open;
        if !sure && time_left == Some(true) {
            while heat.open.len() < self.effort.starts {
                self.begin(number, heat)?;
            }
        }
        self.forget(number, heat);
        Ok(heat.open.is_empty())
    }

    /// Keeps only starts of a puzzle that are open.
    fn forget(&mut self, number: usize, heat: &Heat) {
        let is_open = |index: &usize| heat.open.iter().any(|start| start.index == *index);
        self.starts
            .retain(|index, (puzzle, _)| *puzzle != number || is_open(index));
    }
}

impl Heat {
    /// Takes the answer of a start that has ended, `tokens` in the puzzle's own arrangement, and keeps the better one.
    fn judge(&mut self, number: usize, index: usize, answer: Answer, tokens: &[u32]) {
        let Some(place) = self.open.iter().position(|start| start.index == index) else {
            return;
        };
        let start = self.open.swap_remove(place).number;
        let verdict = self.task.verify(&self.problem, tokens);
        let answer = Answer {
            index: number,
            answer: self.task.decode(&self.problem, tokens),
            tokens: tokens.to_vec(),
            valid: verdict.valid,
            shortest: verdict.shortest,
            why: verdict.why,
            correct: self.problem.is_solved_by(tokens),
            ..answer
        };
        let better = self.best.as_ref().is_none_or(|(number, best)| {
            let by_start = number.cmp(&start);
            match (self.is_sure(&answer), self.is_sure(best)) {
                (true, true) => best.steps.cmp(&answer.steps).then(by_start).is_gt(),
                (false, false) => {
                    let probability = answer.halt_probability.total_cmp(&best.halt_probability);
                    probability.then(by_start).is_gt()
                }
                (sure, _) => sure,
            }
        });
        if better {
            self.best = Some((start, answer));
        }
    }

    /// Whether no other start is needed.
    fn is_sure(&self, answer: &Answer) -> bool {
        match self.task.verifies_by_rules() {
            true => answer.valid == Some(true),
            false => answer.halted,
        }
    }
}
