//! Any number of puzzles, solved in batches that are refilled.

use std::collections::BTreeMap;

use super::Solver;
use crate::error::Result;
use crate::session::{Answer, Session};
use crate::task::Puzzle;

/// Largest number of answers that wait for an older puzzle, in batches. A puzzle that takes all
/// steps ends long before that many others do.
const MAX_WAITING_BATCHES: usize = 64;

/// Iterator over the answers to many puzzles. [`Solver::solve_many`] creates it.
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is consumed"]
pub struct SolveMany<I: Iterator<Item = Puzzle>> {
    solver: Solver,
    puzzles: std::iter::Fuse<I>,
    /// The next puzzle, if it does not fit into the session because its size differs.
    held_back: Option<Puzzle>,
    session: Option<SizedSession>,
    /// Results by the index of the puzzle, until all older ones were yielded.
    results: BTreeMap<usize, Result<Answer>>,
    taken: usize,
    yielded: usize,
    is_done: bool,
}

/// A session, and the number of tokens of its puzzles.
#[derive(Debug)]
struct SizedSession {
    session: Session,
    /// S of its puzzles.
    tokens: usize,
    /// Maps the index in the session to the index among all puzzles, for unfinished puzzles.
    indices: BTreeMap<usize, usize>,
}

impl<I: Iterator<Item = Puzzle>> SolveMany<I> {
    pub(super) fn new(solver: Solver, puzzles: I) -> Self {
        Self {
            solver,
            puzzles: puzzles.fuse(),
            held_back: None,
            session: None,
            results: BTreeMap::new(),
            taken: 0,
            yielded: 0,
            is_done: false,
        }
    }

    /// Pushes puzzles into the session while slots are free. Ends at a puzzle of another size,
    /// which waits until the session is empty.
    fn fill(&mut self) -> Result<()> {
        let batch = self.solver.settings.batch;
        while self.results.len() < MAX_WAITING_BATCHES * batch {
            if self
                .session
                .as_ref()
                .is_some_and(|s| s.session.free_slots() == 0)
            {
                return Ok(());
            }
            let Some(puzzle) = self.held_back.take().or_else(|| self.puzzles.next()) else {
                return Ok(());
            };
            let index = self.taken;
            let (encoded, task) = match self.solver.encode_numbered(&puzzle, index) {
                Ok(encoded) => encoded,
                Err(e) => {
                    self.results.insert(index, Err(e));
                    self.taken += 1;
                    continue;
                }
            };
            let tokens = encoded.tokens.len();
            if let Some(current) = &self.session
                && current.tokens != tokens
            {
                if current.session.unfinished() > 0 {
                    self.held_back = Some(puzzle);
                    return Ok(());
                }
                self.session = None;
            }
            let current = match &mut self.session {
                Some(current) => current,
                None => self.session.insert(SizedSession {
                    session: self.solver.empty_session(tokens, batch)?,
                    tokens,
                    indices: BTreeMap::new(),
                }),
            };
            let in_session = current.session.push(encoded, task)?;
            current.indices.insert(in_session, index);
            self.taken += 1;
        }
        Ok(())
    }

    /// Takes steps until the result of the next puzzle is known, or until no puzzle is left.
    fn advance(&mut self) -> Result<()> {
        while !self.results.contains_key(&self.yielded) {
            self.fill()?;
            let Some(current) = &mut self.session else {
                return Ok(());
            };
            let answers = match current.session.next_answers() {
                Ok(answers) => answers,
                Err(e) => match e.puzzle_index().and_then(|i| current.indices.remove(&i)) {
                    // The error concerns this puzzle alone.
                    Some(index) => {
                        let e = e.context(format!("puzzle {index}"));
                        self.results.insert(index, Err(e));
                        continue;
                    }
                    None => return Err(e),
                },
            };
            let Some(answers) = answers else {
                if self.results.contains_key(&self.yielded) || self.held_back.is_none() {
                    return Ok(());
                }
                continue;
            };
            for mut answer in answers {
                if let Some(index) = current.indices.remove(&answer.index) {
                    answer.index = index;
                    self.results.insert(index, Ok(answer));
                }
            }
        }
        Ok(())
    }
}

impl<I: Iterator<Item = Puzzle>> Iterator for SolveMany<I> {
    type Item = Result<Answer>;

    fn next(&mut self) -> Option<Result<Answer>> {
        if self.is_done {
            return None;
        }
        if let Err(e) = self.advance() {
            self.is_done = true;
            return Some(Err(e));
        }
        let result = self.results.remove(&self.yielded);
        self.yielded += 1;
        self.is_done = result.is_none();
        result
    }
}

impl<I: Iterator<Item = Puzzle>> std::iter::FusedIterator for SolveMany<I> {}
