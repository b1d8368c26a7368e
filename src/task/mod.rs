//! Puzzles: what people write, the tokens that a model sees, and whether an answer is right.
//!
//! A [`Task`] is one kind of puzzle. [`Sudoku`], [`Maze`], [`Arc`](ArcGrid) and [`Tokens`] are four of it; an app can
//! bring its own. Nothing here knows models or devices: what a task must know of a model is its [`Space`].

mod arc;
mod chars;
mod common;
mod csv;
mod document;
mod identifiers;
mod json;
mod kind;
mod lines;
mod maze;
mod npy;
mod plain;
mod puzzle;
mod records;
mod relabel;
mod square;
mod sudoku;
mod text;
mod tokens;

pub use arc::{ArcGrid, Candidate, Form, Votes, crop};
pub use identifiers::Identifiers;
pub use kind::{TaskKind, detect};
pub use maze::Maze;
pub use npy::NpyRows;
#[cfg(feature = "capi")]
pub(crate) use puzzle::MAX_DOCUMENT;
pub use puzzle::{ArcPuzzle, Content, Demonstration, Id, Puzzle};
pub use records::{Record, RecordError, Records};
pub use relabel::Relabelling;
pub use sudoku::Sudoku;
pub use tokens::Tokens;

use crate::error::Result;
use crate::random::Random;

/// What a task must know of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// V: tokens are 0 .. V-1, 0 is padding.
    pub vocab_size: usize,
    /// S, where the model or its data set fixes it.
    pub seq_len: Option<usize>,
    /// Rows of the puzzle embedding; 0 where there is none.
    pub num_puzzle_identifiers: usize,
}

/// A puzzle as a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// As given by the user, else the number of the record.
    pub id: Id,
    /// S tokens.
    pub tokens: Vec<u32>,
    /// The right answer where it was given, S tokens; 0 (padding) does not count.
    pub solution: Option<Vec<u32>>,
    /// The row of the puzzle embedding.
    pub puzzle_id: u32,
    /// Rows of the grid that `tokens` holds, canvas included.
    pub rows: usize,
    /// Columns of that grid.
    pub cols: usize,
    /// The puzzle as it was written; an answer takes the same form.
    pub content: Content,
}

impl Problem {
    /// A puzzle of `rows` x `cols` tokens without a solution; its id and `puzzle_id` are those of `puzzle`, else 0.
    pub fn new(puzzle: &Puzzle, tokens: Vec<u32>, rows: usize, cols: usize) -> Problem {
        Problem {
            id: common::id_of(puzzle),
            tokens,
            solution: None,
            puzzle_id: puzzle.puzzle_id.unwrap_or(0),
            rows,
            cols,
            content: puzzle.content.clone(),
        }
    }

    /// Whether an answer equals the solution that was given, where it counts; `None` if none was.
    pub fn is_solved_by(&self, answer: &[u32]) -> Option<bool> {
        let equals = |solution: &Vec<u32>| solution.iter().zip(answer).all(|(s, t)| *s == 0 || s == t);
        self.solution.as_ref().map(equals)
    }
}

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
