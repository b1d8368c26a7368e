//! Puzzles in lines of plain text: one puzzle per line, or one row per line.

use super::lines::MAX_LINE_BYTES;
use super::text::{self, TextKind};
use crate::task::puzzle::Cells;
use std::collections::VecDeque;

/// The cells of a puzzle, and the number of its first line.
#[derive(Debug, PartialEq)]
pub(crate) struct PlainPuzzle {
    pub(crate) cells: Cells,
    pub(crate) line: u64,
}

/// Groups lines into puzzles. [`Records`](super::Records) documents the rules.
#[derive(Debug, Default)]
pub(crate) struct PlainParser {
    /// Every line is a puzzle.
    one_per_line: bool,
    /// The rows of the current grid, each with the number of its line.
    rows: Vec<(u64, String)>,
    /// A row has more than white space. Until then the rows may be the first rows of a maze, or
    /// empty lines.
    has_content: bool,
    kind: TextKind,
    /// The number of cells of the first row.
    width: usize,
    /// The size of the grid in bytes.
    bytes: usize,
}

impl PlainParser {
    /// Adds a line. Puzzles that it completes are appended to `ready`.
    pub(crate) fn add_line(
        &mut self,
        number: u64,
        line: String,
        ready: &mut VecDeque<PlainPuzzle>,
    ) {
        let blank = line.trim().is_empty();
        if self.one_per_line && blank {
            return;
        }
        if !self.has_content {
            self.kind = match blank {
                true => TextKind::Maze,
                false => TextKind::of(&line),
            };
            if self.kind == TextKind::Sudoku || line.chars().count() != self.width {
                self.clear();
            }
        }
        let cells = match self.kind {
            TextKind::Maze => line,
            TextKind::Sudoku => text::sudoku_cells(&line),
        };
        let count = cells.chars().count();
        if cells.is_empty() || (blank && self.has_content && count != self.width) {
            // An empty line ends a maze. In a Sudoku it only separates boxes.
            if self.kind == TextKind::Maze {
                self.end(ready);
            }
            return;
        }
        if self.one_per_line || (count != self.width && text::is_whole_puzzle(&cells, self.kind)) {
            self.end(ready);
            self.one_per_line = true;
            return ready.push_back(PlainPuzzle {
                cells: Cells::Text(cells),
                line: number,
            });
        }
        if self.rows.is_empty() {
            self.width = count;
        }
        self.has_content |= !blank;
        self.bytes += cells.len();
        self.rows.push((number, cells));
        if self.rows.len() == self.width || self.bytes > MAX_LINE_BYTES {
            self.end(ready);
        }
    }

    /// Ends the current grid.
    pub(crate) fn end(&mut self, ready: &mut VecDeque<PlainPuzzle>) {
        let rows = std::mem::take(&mut self.rows);
        let has_content = self.has_content;
        self.clear();
        let Some(&(line, _)) = rows.first().filter(|_| has_content) else {
            return;
        };
        if self.is_stream(&rows) {
            self.one_per_line = true;
            let puzzles = rows.into_iter().map(|(line, cells)| PlainPuzzle {
                cells: Cells::Text(cells),
                line,
            });
            return ready.extend(puzzles);
        }
        let cells = text::from_rows(rows.into_iter().map(|(_, row)| row).collect());
        ready.push_back(PlainPuzzle { cells, line });
    }

    fn clear(&mut self) {
        self.rows.clear();
        (self.has_content, self.width, self.bytes) = (false, 0, 0);
    }

    /// Returns whether each row is a puzzle. This happens if the first row is malformed, so that it
    /// was not recognised as a whole puzzle.
    fn is_stream(&self, rows: &[(u64, String)]) -> bool {
        let puzzles = rows
            .iter()
            .filter(|(_, cells)| text::is_whole_puzzle(cells, self.kind))
            .count();
        let square = rows
            .first()
            .is_some_and(|(_, row)| row.chars().count() == rows.len());
        match self.kind {
            // One row of a maze may have both its start and its goal.
            TextKind::Maze => puzzles >= 2,
            TextKind::Sudoku => puzzles >= 1 && !square,
        }
    }
}
