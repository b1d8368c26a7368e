//! Puzzles and helpers of the tests of boards.

use trm_demo::board::Board;

/// An easy Sudoku.
pub(crate) const EASY: &str =
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
/// The solution of [`EASY`].
pub(crate) const EASY_SOLVED: &str =
    "534678912672195348198342567859761423426853791713924856961537284287419635345286179";
/// The conflicts of a valid board.
pub(crate) const NO_CELLS: [usize; 0] = [];
/// A maze of 4 x 4 with one path.
pub(crate) const MAZE: &str = "S #G\n# # \n#   \n####\n";
/// The solution of [`MAZE`].
const MAZE_SOLVED: &str = "So#G#o#o#ooo####";

/// Returns the digits of a Sudoku, with 0 for any other character.
pub(crate) fn digits(text: &str) -> Vec<u8> {
    text.bytes()
        .map(|c| c.wrapping_sub(b'0'))
        .map(|d| if d > 9 { 0 } else { d })
        .collect()
}

/// Reads a board that must be valid.
pub(crate) fn parse(text: &str) -> Board {
    Board::parse(text).unwrap_or_else(|reason| panic!("{text:?}: {reason}"))
}

/// Returns the maze [`MAZE`] and its solution.
pub(crate) fn maze() -> (Board, Vec<u8>) {
    (parse(MAZE), MAZE_SOLVED.into())
}
