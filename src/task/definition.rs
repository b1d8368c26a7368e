//! The trait of a kind of puzzle.

use super::encoded::{EncodedPuzzle, TokenSpec};
use super::puzzle::{Cells, Puzzle};
use super::symmetry::Symmetry;
use crate::error::Result;
use crate::random::Random;

/// The result of verifying an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the answer keeps the rules and the givens. `None` if the task cannot tell.
    pub valid: Option<bool>,
    /// For mazes: whether the path is a shortest one.
    pub shortest: Option<bool>,
    /// What is wrong, as text: "two 5s in row 3".
    pub reason: Option<String>,
}

impl Verdict {
    /// Returns the verdict on a valid answer.
    pub fn right() -> Self {
        Self {
            valid: Some(true),
            ..Self::default()
        }
    }

    /// Returns the verdict on an invalid answer. `reason` says what is wrong with it.
    pub fn wrong(reason: impl Into<String>) -> Self {
        Self {
            valid: Some(false),
            reason: Some(reason.into()),
            ..Self::default()
        }
    }
}

/// One kind of puzzle: how to encode it, how to decode an answer, and how to verify it.
///
/// `examples/takuzu` implements one in about 80 lines.
pub trait Task: std::fmt::Debug + Send + Sync {
    /// Returns the name of the task, such as `sudoku`, `maze`, `arc` or `tokens`.
    fn name(&self) -> &str;

    /// Encodes a puzzle as tokens.
    ///
    /// # Errors
    /// If the puzzle cannot be read, is impossible, or does not fit the model. The message uses the
    /// words of a puzzle player.
    fn encode(&self, puzzle: &Puzzle, spec: &TokenSpec) -> Result<EncodedPuzzle>;

    /// Decodes the tokens of an answer, `[S]`, into the form in which the puzzle was written.
    fn decode(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Cells;

    /// Verifies the tokens of an answer, `[S]`, by the rules of the puzzle.
    fn verify(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Verdict;

    /// Checks that the solution of a puzzle, if given, belongs to it.
    ///
    /// Default: accepts every solution.
    ///
    /// # Errors
    /// If the solution contradicts the puzzle. The message names the cell.
    fn check_solution(&self, puzzle: &EncodedPuzzle) -> Result<()> {
        let _ = puzzle;
        Ok(())
    }

    /// Returns a random symmetry of this kind of puzzle, or `None` if it has no symmetries.
    ///
    /// Default: `None`.
    fn random_symmetry(&self, puzzle: &EncodedPuzzle, random: &mut Random) -> Option<Symmetry> {
        let _ = (puzzle, random);
        None
    }

    /// Returns whether [`verify`](Task::verify) needs only the rules, not the solution.
    ///
    /// Default: false.
    fn verifies_by_rules(&self) -> bool {
        false
    }
}
