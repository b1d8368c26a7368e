//! New puzzles.

mod logic;
mod maze;
mod sudoku;

use crate::board::{Board, Kind};
use trm::random::Random;

/// How hard a new puzzle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Difficulty {
    /// A Sudoku with many clues, of which every digit follows from the clues one by one; a maze with a short way.
    #[default]
    Easy,
    /// A Sudoku with fewer clues, solved in the same way; a maze with a longer way.
    Medium,
    /// A Sudoku of which no clue can be spared, and that (where its size has such) needs more than looking for the only
    /// digit of a cell or the only cell of a digit; a maze with a long way.
    Hard,
}

/// A new puzzle of `kind`; the same seed gives the same puzzle.
///
/// A Sudoku has exactly one solution. Walls, start and goal of a maze are drawn as those on which the bundled model was
/// trained; the shortest way is at least 1.2 times the side long, as there. Nobody can make up a task of ARC: it is an empty
/// grid.
pub fn generate(kind: Kind, difficulty: Difficulty, seed: u64) -> Board {
    let mut random = Random::new(seed);
    match kind.possible() {
        Kind::Sudoku { side, boxes } => sudoku::generate(side, boxes, difficulty, &mut random),
        Kind::Maze { side } => maze::generate(side, difficulty, &mut random),
        arc @ Kind::Arc { .. } => Board::empty(arc),
    }
}
