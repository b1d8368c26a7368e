//! What a kind of puzzle must provide.

use super::encoded::{EncodedPuzzle, TokenSpec};
use super::puzzle::{Cells, Puzzle};
use super::symmetry::Symmetry;
use crate::error::Result;
use crate::random::Random;

/// What can be said of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It keeps the rules and the givens; `None` where that cannot be told.
    pub valid: Option<bool>,
    /// Mazes: the path is a shortest one.
    pub shortest: Option<bool>,
    /// What is wrong, for people: "two 5s in row 3".
    pub reason: Option<String>,
}

impl Verdict {
    /// A right answer.
    pub fn right() -> Verdict {
        Verdict {
            valid: Some(true),
            ..Verdict::default()
        }
    }

    /// A wrong answer, and what is wrong with it.
    pub fn wrong(reason: impl Into<String>) -> Verdict {
        Verdict {
            valid: Some(false),
            reason: Some(reason.into()),
            ..Verdict::default()
        }
    }
}

/// One kind of puzzle.
pub trait Task: std::fmt::Debug + Send + Sync {
    /// Its name: `sudoku`, `maze`, `arc`, `tokens`.
    fn name(&self) -> &str;

    /// The tokens of a puzzle, or why it is impossible in words that a puzzle player understands.
    fn encode(&self, puzzle: &Puzzle, space: &TokenSpec) -> Result<EncodedPuzzle>;

    /// An answer's tokens in the form in which the puzzle was written.
    fn decode(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Cells;

    /// Whether an answer is right by the puzzle's own rules.
    fn verify(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Verdict;

    /// A symmetry of this kind of puzzle, chosen at random; `None` where there is none.
    fn random_symmetry(&self, problem: &EncodedPuzzle, random: &mut Random) -> Option<Symmetry> {
        let _ = (problem, random);
        None
    }

    /// Whether the rules alone tell if an answer is right, so that nobody needs to know the solution.
    fn verifies_by_rules(&self) -> bool {
        false
    }
}
