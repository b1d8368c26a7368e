//! A puzzle encoded as tokens.

use super::puzzle::{Cells, Id, Puzzle};

/// The tokens that a model accepts: all that a task knows of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    /// V: tokens are 0 to V - 1, and 0 is padding.
    pub vocab_size: usize,
    /// S, the number of tokens of a puzzle, if the model or its data set fixes it.
    pub seq_len: Option<usize>,
    /// The number of rows of the puzzle embedding, 0 if the model has none.
    pub num_puzzle_identifiers: usize,
}

/// A puzzle encoded as tokens, the input of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedPuzzle {
    /// The `id` of the puzzle, or else the number of the record.
    pub id: Id,
    /// The tokens, `[S]`.
    pub tokens: Vec<u32>,
    /// The solution, `[S]`, if given. Cells with token 0 (padding) are not compared.
    pub solution: Option<Vec<u32>>,
    /// The row of the puzzle embedding.
    pub puzzle_id: u32,
    /// The number of rows of the grid in `tokens`, padding included.
    pub rows: usize,
    /// The number of columns of that grid.
    pub cols: usize,
    /// The cells as they were written. An answer is decoded into the same form.
    pub cells: Cells,
}

impl EncodedPuzzle {
    /// Creates a puzzle of `rows` x `cols` tokens without a solution.
    ///
    /// The `id` and the `puzzle_id` are those of `puzzle`. Default: 0.
    pub fn new(puzzle: &Puzzle, tokens: Vec<u32>, rows: usize, cols: usize) -> Self {
        Self {
            id: puzzle.id.clone().unwrap_or(Id::Number(0)),
            tokens,
            solution: None,
            puzzle_id: puzzle.puzzle_id.unwrap_or(0),
            rows,
            cols,
            cells: puzzle.cells.clone(),
        }
    }

    /// Returns whether `answer` (`[S]`) equals the solution in every cell that is compared, or
    /// `None` if no solution was given.
    pub fn is_solved_by(&self, answer: &[u32]) -> Option<bool> {
        let equals =
            |solution: &Vec<u32>| solution.iter().zip(answer).all(|(s, a)| *s == 0 || s == a);
        self.solution.as_ref().map(equals)
    }
}
