//! Puzzles in plain text. In a maze a space is a cell; in a Sudoku it is ignored.

use super::text_kind::is_maze;
use super::{grid, one_line, symbols};
use crate::error::Result;
use crate::task::puzzle::Cells;

/// Returns the cells of a line of a Sudoku, without white space and bars. A line that only
/// separates boxes has no cells.
pub(crate) fn sudoku_cells(line: &str) -> String {
    let is_separator =
        |c: char| c.is_whitespace() || c == '|' || ('\u{2500}'..='\u{257f}').contains(&c);
    if line
        .chars()
        .all(|c| is_separator(c) || matches!(c, '-' | '+' | '='))
    {
        return String::new();
    }
    line.chars().filter(|&c| !is_separator(c)).collect()
}

/// Parses one puzzle in any notation: all its cells on one line, or one row per line.
///
/// Text in no known notation is returned without white space, for the task of an app.
///
/// # Errors
/// If the text can be read as different puzzles.
pub(crate) fn parse_cells(text: &str) -> Result<Cells> {
    let standard = standard_cells(text);
    if is_square(&standard) {
        return Ok(standard);
    }
    let lines: Vec<String> = text
        .lines()
        .map(symbols::plain)
        .filter(|line| !symbols::is_comment(line) && !symbols::is_text(line))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    if let [line] = lines.as_slice() {
        let cells = one_line::read(line)?.map(|puzzle| puzzle.cells);
        return Ok(cells.unwrap_or(standard));
    }
    let has_content = |line: &&str| !line.trim().is_empty();
    let start = lines.iter().position(has_content).unwrap_or(0);
    let lines = lines.get(start..).unwrap_or_default();
    Ok(grid::read(lines)?.unwrap_or(standard))
}

/// Returns rows in standard characters, if they are a puzzle in another notation.
///
/// # Errors
/// If the rows can be read as different puzzles.
pub(crate) fn parse_rows(rows: Vec<String>) -> Result<Cells> {
    let standard = Cells::Rows(rows.clone());
    if is_square(&standard) {
        return Ok(standard);
    }
    let lines: Vec<String> = rows.iter().map(|row| symbols::plain(row)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Ok(grid::read(&lines)?.unwrap_or(standard))
}

/// Returns whether the rows are one grid in a notation whose rows have not n characters: with bars,
/// spaces between the cells, or without blanks at the ends.
pub(crate) fn is_one_grid(rows: Vec<String>) -> bool {
    let is_puzzle = |row: &String| one_line::whole(&symbols::plain(row)).is_some();
    if rows.iter().any(is_puzzle) {
        return false;
    }
    let n = rows.len();
    if is_square(&Cells::Rows(rows.clone())) {
        return true;
    }
    match parse_rows(rows) {
        Ok(Cells::Rows(rows)) => {
            rows.len() >= 4 && rows.iter().all(|row| row.chars().count() == rows.len())
        }
        Ok(Cells::Grid(rows)) => rows.len() == n,
        _ => false,
    }
}

/// Returns whether the cells are n x n in the standard characters of a Sudoku or a maze. Then they
/// need no other notation.
fn is_square(cells: &Cells) -> bool {
    let is_standard = |text: &str| {
        let is_known = |c: char| symbols::is_standard_cell(c) || c.is_whitespace() || c == '|';
        let blank = |c: char| matches!(c, 'x' | 'X');
        (text.chars().all(is_known) && !text.contains(blank))
            || text.chars().all(|c| "# SGo\r\n".contains(c))
    };
    let is_maze_row = |text: &str| text.chars().all(|c| "# SGo".contains(c));
    let count = |text: &str| match is_maze_row(text) {
        true => text.chars().count(),
        false => sudoku_cells(text).chars().count(),
    };
    match cells {
        Cells::Text(text) => {
            let n = count(text).isqrt();
            is_standard(text) && n * n == count(text)
        }
        Cells::Rows(rows) => {
            let n = rows.len();
            rows.iter().all(|row| is_standard(row) && count(row) == n)
        }
        _ => true,
    }
}

/// Parses one puzzle in the standard notation.
fn standard_cells(text: &str) -> Cells {
    let lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut rows: Vec<String> = if is_maze(text) {
        lines
            .skip_while(|line| line.is_empty())
            .map(str::to_owned)
            .collect()
    } else {
        lines
            .map(sudoku_cells)
            .filter(|row| !row.is_empty())
            .collect()
    };
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    from_rows(rows)
}

/// Returns the rows of a puzzle as cells. A single row is taken as a string of all cells.
pub(crate) fn from_rows(mut rows: Vec<String>) -> Cells {
    match rows.len() {
        0 | 1 => Cells::Text(rows.pop().unwrap_or_default()),
        _ => Cells::Rows(rows),
    }
}
