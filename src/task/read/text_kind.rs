//! Tells mazes and Sudokus in plain text apart.

/// Returns whether a text is a maze or a row of one: it has a wall, or it has a start, goal or path
/// cell and otherwise only free cells.
pub(crate) fn is_maze(text: &str) -> bool {
    text.contains('#')
        || (text.contains(['S', 'G', 'o'])
            && text
                .chars()
                .all(|c| matches!(c, ' ' | 'S' | 'G' | 'o' | '\r' | '\n')))
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
