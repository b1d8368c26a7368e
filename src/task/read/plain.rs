//! Lines of plain text: a puzzle each, or the rows of a grid.

use super::lines::MAX_LINE;
use super::text;
use crate::task::puzzle::Cells;
use std::collections::VecDeque;

/// The cells of a puzzle, and the line where they begin.
#[derive(Debug, PartialEq)]
pub(crate) struct PlainPuzzle {
    pub(crate) cells: Cells,
    pub(crate) line: u64,
}

/// Puts lines together to puzzles; see [`Records`](super::Records) for the rule.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    /// Every line is a puzzle.
    a_line_each: bool,
    /// The grid so far: its rows and the lines where they stand.
    rows: Vec<(u64, String)>,
    /// Some row is more than blank: until then the rows may be the first of a maze, or nothing.
    begun: bool,
    maze: bool,
    /// PlainPuzzle of the grid's first row.
    width: usize,
    /// Bytes of the grid.
    bytes: usize,
}

impl Plain {
    /// Reads a line; puzzles that it completes are appended to `ready`.
    pub(crate) fn line(&mut self, number: u64, line: String, ready: &mut VecDeque<PlainPuzzle>) {
        let blank = line.trim().is_empty();
        if self.a_line_each && blank {
            return;
        }
        if !self.begun {
            self.maze = blank || text::is_maze(&line);
            if !self.maze || line.chars().count() != self.width {
                self.clear();
            }
        }
        let cells = if self.maze { line } else { text::cells(&line) };
        let count = cells.chars().count();
        if cells.is_empty() || (blank && self.begun && count != self.width) {
            // Mazes end at a gap; Sudokus have gaps and dashes between their boxes.
            if self.maze {
                self.end(ready);
            }
            return;
        }
        if self.a_line_each || (count != self.width && text::stands_alone(&cells, self.maze)) {
            self.end(ready);
            self.a_line_each = true;
            return ready.push_back(PlainPuzzle {
                cells: Cells::Text(cells),
                line: number,
            });
        }
        if self.rows.is_empty() {
            self.width = count;
        }
        self.begun |= !blank;
        self.bytes += cells.len();
        self.rows.push((number, cells));
        if self.rows.len() == self.width || self.bytes > MAX_LINE {
            self.end(ready);
        }
    }

    /// Ends the grid.
    pub(crate) fn end(&mut self, ready: &mut VecDeque<PlainPuzzle>) {
        let rows = std::mem::take(&mut self.rows);
        let begun = self.begun;
        self.clear();
        let Some(&(line, _)) = rows.first().filter(|_| begun) else {
            return;
        };
        if self.is_stream(&rows) {
            self.a_line_each = true;
            let puzzles = rows.into_iter().map(|(line, cells)| PlainPuzzle {
                cells: Cells::Text(cells),
                line,
            });
            return ready.extend(puzzles);
        }
        let cells = text::one(rows.into_iter().map(|(_, row)| row).collect());
        ready.push_back(PlainPuzzle { cells, line });
    }

    fn clear(&mut self) {
        self.rows.clear();
        (self.begun, self.width, self.bytes) = (false, 0, 0);
    }

    /// Whether the rows are no grid but puzzles, of which the first is broken, so that it did not stand alone.
    fn is_stream(&self, rows: &[(u64, String)]) -> bool {
        let alone = rows
            .iter()
            .filter(|(_, cells)| text::stands_alone(cells, self.maze))
            .count();
        let square = rows
            .first()
            .is_some_and(|(_, row)| row.chars().count() == rows.len());
        // A row of a maze may have its start and its goal, but only one row does.
        if self.maze {
            alone >= 2
        } else {
            alone >= 1 && !square
        }
    }
}
