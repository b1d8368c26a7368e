//! What a kind of puzzle must provide.

use super::encoded::{Problem, Space};
use super::puzzle::{Content, Puzzle};
use super::symmetry::Relabelling;
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
    pub why: Option<String>,
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
    pub fn wrong(why: impl Into<String>) -> Verdict {
        Verdict {
            valid: Some(false),
            why: Some(why.into()),
            ..Verdict::default()
        }
    }
}

/// One kind of puzzle.
pub trait Task: std::fmt::Debug + Send + Sync {
    /// Its name: `sudoku`, `maze`, `arc`, `tokens`.
    fn name(&self) -> &str;

    /// The tokens of a puzzle, or why it is impossible in words that a puzzle player understands.
    fn encode(&self, puzzle: &Puzzle, space: &Space) -> Result<Problem>;

    /// An answer's tokens in the form in which the puzzle was written.
    fn decode(&self, problem: &Problem, answer: &[u32]) -> Content;

    /// Whether an answer is right by the puzzle's own rules.
    fn verify(&self, problem: &Problem, answer: &[u32]) -> Verdict;

    /// A symmetry of this kind of puzzle, chosen at random; `None` where there is none.
    fn relabelling(&self, problem: &Problem, random: &mut Random) -> Option<Relabelling> {
        let _ = (problem, random);
        None
    }

    /// Whether the rules alone tell if an answer is right, so that nobody needs to know the solution.
    fn verifies_by_rules(&self) -> bool {
        false
    }
}
