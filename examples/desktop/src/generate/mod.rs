//! Puzzle generation.

mod logic_solver;
mod maze;
mod sudoku;

use crate::board::{Board, Kind};
use trm_runtime::low_level::random::Random;

/// The difficulty of a generated puzzle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Difficulty {
    /// A Sudoku with many clues that singles solve: every digit is the only one left for a cell, or
    /// has only one cell left in a house. A maze with a short path.
    #[default]
    Easy,
    /// A Sudoku with fewer clues that singles solve. A maze with a longer path.
    Medium,
    /// A Sudoku without a redundant clue. At 6 x 6 and 9 x 9, singles do not solve it. A maze with
    /// a long path.
    Hard,
}

impl Difficulty {
    /// All difficulties, from the easiest.
    pub const ALL: [Self; 3] = [Self::Easy, Self::Medium, Self::Hard];

    /// Returns its name on buttons and in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
        }
    }

    /// Returns the difficulty of this name: the inverse of [`Difficulty::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|difficulty| difficulty.name() == name)
    }
}

/// Generates a puzzle. The same seed gives the same puzzle.
///
/// A Sudoku has exactly one solution. A maze has the distribution of the training mazes of the
/// bundled models: random walls, start and goal, and a shortest path of at least 1.2 times the
/// side. ARC tasks cannot be generated, so that `Kind::Arc` gives an empty grid.
pub fn generate(kind: Kind, difficulty: Difficulty, seed: u64) -> Board {
    let mut random = Random::new(seed);
    match kind.nearest_valid() {
        Kind::Sudoku { side, boxes } => sudoku::generate(side, boxes, difficulty, &mut random),
        Kind::Maze { side } => maze::generate(side, difficulty, &mut random),
        arc @ Kind::Arc { .. } => Board::empty(arc),
    }
}
