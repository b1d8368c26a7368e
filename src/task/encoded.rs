//! A puzzle as tokens.

use super::puzzle::{Cells, Id, Puzzle};

/// What a task must know of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    /// V: tokens are 0 .. V-1, 0 is padding.
    pub vocab_size: usize,
    /// S, where the model or its data set fixes it.
    pub seq_len: Option<usize>,
    /// Rows of the puzzle embedding; 0 where there is none.
    pub num_puzzle_identifiers: usize,
}

/// A puzzle as a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedPuzzle {
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
    pub cells: Cells,
}

impl EncodedPuzzle {
    /// A puzzle of `rows` x `cols` tokens without a solution; its id and `puzzle_id` are those of `puzzle`, else 0.
    pub fn new(puzzle: &Puzzle, tokens: Vec<u32>, rows: usize, cols: usize) -> EncodedPuzzle {
        EncodedPuzzle {
            id: puzzle.id.clone().unwrap_or(Id::Number(0)),
            tokens,
            solution: None,
            puzzle_id: puzzle.puzzle_id.unwrap_or(0),
            rows,
            cols,
            cells: puzzle.cells.clone(),
        }
    }

    /// Whether an answer equals the solution that was given, where it counts; `None` if none was.
    pub fn is_solved_by(&self, answer: &[u32]) -> Option<bool> {
        let equals = |solution: &Vec<u32>| solution.iter().zip(answer).all(|(s, t)| *s == 0 || s == t);
        self.solution.as_ref().map(equals)
    }
}
