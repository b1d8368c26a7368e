//! Puzzles in plain text. In a maze a space is a cell; in a Sudoku it is ignored.

use crate::task::puzzle::Cells;

/// Returns whether a text is a maze or a row of one: it has a wall, or it has a start, goal or path
/// cell and otherwise only free cells.
pub(crate) fn is_maze(text: &str) -> bool {
    text.contains('#')
        || (text.contains(['S', 'G', 'o'])
            && text
                .chars()
                .all(|c| matches!(c, ' ' | 'S' | 'G' | 'o' | '\r' | '\n')))
}

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

/// Parses one puzzle: all its cells on one line, or one row per line.
pub(crate) fn parse_cells(text: &str) -> Cells {
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

/// Whether lines of plain text are parsed as a maze or as a Sudoku.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TextKind {
    Maze,
    #[default]
    Sudoku,
}

impl TextKind {
    /// Returns the kind of a line.
    pub(crate) fn of(line: &str) -> Self {
        match is_maze(line) {
            true => Self::Maze,
            false => Self::Sudoku,
        }
    }
}

/// Returns whether the cells of one line are certainly a whole puzzle and not a row of one.
///
/// There are n x n cells with n >= 4. They are the digits of an n x n Sudoku, or they include the
/// start and the goal of a maze.
pub(crate) fn is_whole_puzzle(cells: &str, kind: TextKind) -> bool {
    let count = cells.chars().count();
    let n = count.isqrt();
    if n < 4 || n * n != count {
        return false;
    }
    if kind == TextKind::Maze {
        return cells.contains('S') && cells.contains('G');
    }
    cells
        .chars()
        .all(|c| c == '.' || c.to_digit(36).is_some_and(|digit| digit as usize <= n))
}
