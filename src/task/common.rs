//! What several tasks share: size checks, parts of error messages, the row of the puzzle embedding.

use super::puzzle::{Cells, Id, Puzzle};
use super::{TokenSpec, Verdict};
use crate::error::{Error, Result};

/// Returns n if `cells` = n x n and n > 0.
pub(super) fn square_side(cells: usize) -> Option<usize> {
    let n = cells.isqrt();
    (n > 0 && n * n == cells).then_some(n)
}

/// Returns the position of cell `index` in a grid of `cols` columns as text: "row 1, column 2".
pub(super) fn cell_position(index: usize, cols: usize) -> String {
    let cols = cols.max(1);
    format!("row {}, column {}", index / cols + 1, index % cols + 1)
}

/// Escapes and shortens an untrusted name, so that it fits into one line of an error message.
pub(super) fn escape_name(name: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut escaped: String = name
        .chars()
        .take(MAX_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(MAX_CHARS).is_some() {
        escaped.push_str("...");
    }
    escaped
}

/// Returns the error about cells that are not in a form of `expected`, for instance "a Sudoku".
pub(super) fn wrong_form(cells: &Cells, expected: &str) -> Error {
    let form = match cells {
        Cells::Text(_) => "a string",
        Cells::Rows(_) => "a list of strings",
        Cells::Grid(_) => "a grid of numbers",
        Cells::List(_) => "a list of numbers",
        Cells::Arc(_) => "an ARC task",
        Cells::Tokens(_) => "a list of tokens",
    };
    Error::puzzle(format!("this is {form}, not {expected}"))
}

/// Returns whether a solution has a cell that is compared. Without one it is no solution.
pub(super) fn has_known_cell(solution: &[u32]) -> bool {
    solution.iter().any(|token| *token != 0)
}

/// Returns the error about a solution that contradicts its puzzle in the cell `index`.
pub(super) fn wrong_solution(index: usize, cols: usize, solution: &str, puzzle: &str) -> Error {
    let cell = cell_position(index, cols);
    Error::puzzle(format!(
        "belongs to another puzzle: {cell} is {solution} in the solution and {puzzle} in the puzzle"
    ))
    .context("solution")
}

/// Returns the `id` of the puzzle, or else 0. A reader of records sets the number of the record.
pub(super) fn id_of(puzzle: &Puzzle) -> Id {
    puzzle.id.clone().unwrap_or(Id::Number(0))
}

/// Returns the `puzzle_id` of the document, if it has one.
///
/// # Errors
/// If it is not a row of the model's puzzle embedding.
pub(super) fn puzzle_row(puzzle: &Puzzle, spec: &TokenSpec) -> Result<Option<u32>> {
    let rows = spec.num_puzzle_identifiers;
    match puzzle.puzzle_id {
        Some(id) if rows > 0 && id as usize >= rows => Err(Error::puzzle(format!(
            "puzzle_id is {id}, but the model knows only 0 to {}",
            rows - 1
        ))),
        id => Ok(id),
    }
}

/// Checks that a puzzle of n x n cells has as many cells as the model takes.
///
/// # Errors
/// If the model takes a different number of cells. `this` is the subject of the message, for
/// instance "this Sudoku".
pub(super) fn check_size(n: usize, spec: &TokenSpec, this: &str) -> Result<()> {
    let Some(cells) = spec.seq_len.filter(|&cells| cells != n * n) else {
        return Ok(());
    };
    let model = square_side(cells).map_or(format!("{cells} cells"), |m| format!("{m} x {m}"));
    Err(Error::puzzle(format!(
        "{this} is {n} x {n}, but the model was trained on {model}"
    )))
}

/// Returns the verdict on an answer that has more or fewer cells than its puzzle.
pub(super) fn wrong_length(answer: usize, puzzle: usize) -> Verdict {
    Verdict::wrong(format!(
        "the answer has {answer} cells, but the puzzle has {puzzle}"
    ))
}
