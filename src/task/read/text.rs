//! Puzzles in plain text: mazes, whose blanks are cells, and Sudokus, whose blanks are decoration.

use crate::task::puzzle::Cells;

/// Whether a text is (a row of) a maze: it has walls, or a start, a goal or a path among nothing but free cells.
pub(crate) fn is_maze(text: &str) -> bool {
    text.contains('#')
        || (text.contains(['S', 'G', 'o'])
            && text
                .chars()
                .all(|c| matches!(c, ' ' | 'S' | 'G' | 'o' | '\r' | '\n')))
}

/// The cells of a line of a Sudoku: without blanks and bars; none, if it is a line of dashes.
pub(crate) fn cells(line: &str) -> String {
    let decoration = |c: char| c.is_whitespace() || c == '|' || ('\u{2500}'..='\u{257f}').contains(&c);
    if line
        .chars()
        .all(|c| decoration(c) || matches!(c, '-' | '+' | '='))
    {
        return String::new();
    }
    line.chars().filter(|&c| !decoration(c)).collect()
}

/// One puzzle: all its cells on one line, or a row a line.
pub(crate) fn content(text: &str) -> Cells {
    let lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut rows: Vec<String> = if is_maze(text) {
        lines
            .skip_while(|line| line.is_empty())
            .map(str::to_owned)
            .collect()
    } else {
        lines.map(cells).filter(|row| !row.is_empty()).collect()
    };
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    one(rows)
}

/// One row is a string of all cells.
pub(crate) fn one(mut rows: Vec<String>) -> Cells {
    match rows.len() {
        0 | 1 => Cells::Text(rows.pop().unwrap_or_default()),
        _ => Cells::Rows(rows),
    }
}

/// Whether the cells of a line are surely a puzzle of their own, and not a row of one.
///
/// Their number is n x n with n from 4, and they are the digits of an n x n Sudoku, or have both ends of a maze.
pub(crate) fn stands_alone(cells: &str, maze: bool) -> bool {
    let count = cells.chars().count();
    let n = count.isqrt();
    if n < 4 || n * n != count {
        return false;
    }
    if maze {
        return cells.contains('S') && cells.contains('G');
    }
    cells
        .chars()
        .all(|c| c == '.' || c.to_digit(36).is_some_and(|digit| digit as usize <= n))
}
