//! What the tasks share: bounds, places in words, and the row of the puzzle embedding.

use super::puzzle::{Cells, Id, Puzzle};
use super::{TokenSpec, Verdict};
use crate::error::{Error, Result};

/// n where `cells` is n x n and n > 0.
pub(super) fn side(cells: usize) -> Option<usize> {
    let n = cells.isqrt();
    (n > 0 && n * n == cells).then_some(n)
}

/// Where cell `index` of a grid of `cols` columns stands, for people.
pub(super) fn at(index: usize, cols: usize) -> String {
    let cols = cols.max(1);
    format!("row {}, column {}", index / cols + 1, index % cols + 1)
}

/// A stranger's name, made fit for a terminal and for a line of an error message.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        short.push_str("...");
    }
    short
}

/// The error about a puzzle whose form is not one of `wanted` ("a Sudoku").
pub(super) fn wrong_form(content: &Cells, wanted: &str) -> Error {
    let form = match content {
        Cells::Text(_) => "a string",
        Cells::Rows(_) => "a list of strings",
        Cells::Grid(_) => "a grid of numbers",
        Cells::List(_) => "a list of numbers",
        Cells::Arc(_) => "an ARC task",
        Cells::Tokens(_) => "a list of tokens",
    };
    Error::puzzle(format!("this is {form}, not {wanted}"))
}

/// What the puzzle is called: its own `id`, else 0 (whoever reads records fills in their number).
pub(super) fn id_of(puzzle: &Puzzle) -> Id {
    puzzle.id.clone().unwrap_or(Id::Number(0))
}

/// The `puzzle_id` of a document, which must be a row of the model's puzzle embedding where that is known.
pub(super) fn puzzle_row(puzzle: &Puzzle, space: &TokenSpec) -> Result<Option<u32>> {
    let rows = space.num_puzzle_identifiers;
    match puzzle.puzzle_id {
        Some(id) if rows > 0 && id as usize >= rows => Err(Error::puzzle(format!(
            "puzzle_id is {id}, but the model knows only 0 to {}",
            rows - 1
        ))),
        id => Ok(id),
    }
}

/// An error unless a puzzle of n x n cells has the model's number of cells, where that is known.
pub(super) fn fits_model(n: usize, space: &TokenSpec, this: &str) -> Result<()> {
    let Some(cells) = space.seq_len.filter(|&cells| cells != n * n) else {
        return Ok(());
    };
    let model = side(cells).map_or(format!("{cells} cells"), |m| format!("{m} x {m}"));
    Err(Error::puzzle(format!(
        "{this} is {n} x {n}, but the model was trained on {model}"
    )))
}

/// The verdict on an answer that is not as long as its puzzle, which no task can judge further.
pub(super) fn wrong_length(answer: usize, puzzle: usize) -> Verdict {
    Verdict::wrong(format!("the answer has {answer} cells, the puzzle {puzzle}"))
}
