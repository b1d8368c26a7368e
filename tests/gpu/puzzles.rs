//! Puzzles that an adapter in software solves quickly.

use trm::{HaltRule, Puzzle, Solver};

use crate::data::data;

/// Returns the first 4x4 Sudokus of the test file.
pub(crate) fn puzzles(n: usize) -> Vec<Puzzle> {
    let text = std::fs::read_to_string(data("puzzles/sudoku_4x4_test.csv")).unwrap();
    let lines = text.lines().skip(1).take(n);
    lines
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect()
}

/// Returns a solver with the bundled model for them.
pub(crate) fn solver() -> Solver {
    Solver::bundled("sudoku-4x4")
        .unwrap()
        .halt(HaltRule::Verified)
}
