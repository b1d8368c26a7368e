//! Finds a whole puzzle in one line, among comments, ratings, or the parts of a URL.

use super::symbols::{self, BLANKS, is_separator};
use super::text_kind::{TextKind, is_whole_puzzle};
use crate::error::{Error, Result};
use crate::task::puzzle::Cells;

/// The cells of a puzzle that is a line, and of its solution.
#[derive(Debug, PartialEq)]
pub(crate) struct LinePuzzle {
    pub(crate) cells: Cells,
    pub(crate) solution: Option<Cells>,
}

/// Returns the puzzle of a line, or `None` if no part of the line is a whole puzzle.
///
/// `line` has plain characters ([`symbols::plain`]).
///
/// # Errors
/// If the line has several puzzles.
pub(crate) fn read(line: &str) -> Result<Option<LinePuzzle>> {
    let only = |cells: String| LinePuzzle {
        cells: Cells::Text(cells),
        solution: None,
    };
    if let Some(cells) = whole(line) {
        return Ok(Some(only(cells)));
    }
    let before = before_comment(line);
    if before.len() < line.len()
        && let Some(cells) = whole(before)
    {
        return Ok(Some(only(cells)));
    }
    // A space is a cell of a maze.
    let is_maze = before.contains('#');
    let is_end = |c: char| ",;|\"'\t".contains(c) || (c.is_whitespace() && !is_maze);
    let fields: Vec<String> = before.split(is_end).filter_map(whole).collect();
    match fields.as_slice() {
        [] => in_url(before).map(|cells| cells.map(only)),
        [cells] => Ok(Some(only(cells.clone()))),
        [first, second] => pair(first, second).map(Some),
        several => Err(several_puzzles(several.len())),
    }
}

fn several_puzzles(count: usize) -> Error {
    Error::puzzle(format!(
        "the line has {count} puzzles: write one puzzle per line, or name the columns in the first \
         line"
    ))
}

/// Returns the cells if the text is a whole puzzle: n x n cells with n >= 4, in standard
/// characters.
pub(crate) fn whole(text: &str) -> Option<String> {
    let maze = text.trim_matches(['\r', '\n']);
    if is_whole_puzzle(maze, TextKind::Maze) && maze.chars().all(|c| "# SGo".contains(c)) {
        return Some(maze.to_owned());
    }
    if maze.contains('#') {
        return whole_maze(maze);
    }
    let cells: String = text.chars().filter(|&c| !is_separator(c)).collect();
    if is_whole_puzzle(&cells, TextKind::Sudoku) {
        return Some(cells);
    }
    // Digits above 32 are the letters X to Z, but such a Sudoku has more cells than a line.
    let blank = |c: char| if BLANKS.contains(c) { '.' } else { c };
    let blanks: String = cells.chars().map(blank).collect();
    let has_digit = blanks.contains(|c: char| c.is_ascii_digit() && c != '0');
    (has_digit && is_whole_puzzle(&blanks, TextKind::Sudoku)).then_some(blanks)
}

/// Returns a maze of n x n cells with `.` or `_` for free cells, in the characters `# SGo`.
fn whole_maze(text: &str) -> Option<String> {
    let text = text.trim();
    let count = |wanted: char| text.chars().filter(|c| *c == wanted).count();
    let free = if count('.') > 0 { '.' } else { '_' };
    let is_cell = |c: char| matches!(c, '#' | 'S' | 'G') || c == free;
    let fits = count('S') == 1 && count('G') == 1 && text.chars().all(is_cell);
    (fits && is_whole_puzzle(text, TextKind::Maze)).then(|| text.replace(free, " "))
}

/// Returns the line before a comment at its end: `// easy`, `# 1.2`, `; 7.2`.
fn before_comment(line: &str) -> &str {
    let starts = ["//", " #", "\t#", "# ", " ;", "/*"];
    let start = starts.iter().filter_map(|mark| line.find(mark)).min();
    // The slashes of `https://` start no comment.
    match start {
        Some(at) if !line.contains("://") => line.get(..at).unwrap_or(line),
        _ => line,
    }
}

/// Returns the only puzzle among the parts of a URL.
fn in_url(line: &str) -> Result<Option<String>> {
    if !line.contains("://") && !line.trim_start().starts_with("www.") {
        return Ok(None);
    }
    let is_part = |c: char| symbols::is_standard_cell(c) || matches!(c, '_' | '-' | '*');
    let mut found: Vec<String> = line.split(|c| !is_part(c)).filter_map(whole).collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        several => Err(several_puzzles(several)),
    }
}

/// Returns a puzzle and its solution, which is complete and agrees with the givens.
fn pair(first: &str, second: &str) -> Result<LinePuzzle> {
    let is_maze = first.contains('#');
    let is_blank = |c: char| {
        if is_maze {
            c == ' '
        } else {
            matches!(c, '.' | '0')
        }
    };
    let is_solved = |cells: &str| match is_maze {
        true => cells.contains('o'),
        false => !cells.contains(is_blank),
    };
    let is_solution = |puzzle: &str, solution: &str| {
        puzzle.chars().count() == solution.chars().count()
            && !is_solved(puzzle)
            && is_solved(solution)
            && puzzle
                .chars()
                .zip(solution.chars())
                .all(|(p, s)| is_blank(p) || p == s)
    };
    let pair = |puzzle: &str, solution: &str| LinePuzzle {
        cells: Cells::Text(puzzle.to_owned()),
        solution: Some(Cells::Text(solution.to_owned())),
    };
    if is_solution(first, second) {
        Ok(pair(first, second))
    } else if is_solution(second, first) {
        Ok(pair(second, first))
    } else {
        Err(several_puzzles(2))
    }
}
