//! Lines of plain text: a puzzle each, or the rows of a grid.

use super::lines::MAX_LINE;
use super::puzzle::Content;
use super::text;
use std::collections::VecDeque;

/// The cells of a puzzle, and the line where they begin.
#[derive(Debug, PartialEq)]
pub(crate) struct Cells {
    pub(crate) content: Content,
    pub(crate) line: u64,
}

/// Puts lines together to puzzles; see [`Records`](super::Records) for the rule.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    /// Every line is a puzzle.
    a_line_each: bool,
    /// The grid so far: its rows and the lines where they stand.
    rows: Vec<(u64, String)>,
    maze: bool,
    /// Cells of the grid's first row.
    width: usize,
    /// Bytes of the grid.
    bytes: usize,
}

/// Keeps a blank line, which may turn out to be the first row of a maze: as many as have the same length.
pub(crate) fn keep_blank(kept: &mut Vec<String>, line: String) {
    let same = kept
        .first()
        .is_none_or(|first| first.len() == line.len() && kept.len() < line.len());
    if !same || line.len() > MAX_LINE / (kept.len() + 1) {
        kept.clear();
    }
    if !line.is_empty() {
        kept.push(line);
    }
}

impl Plain {
    /// Begins with `line`, before which directly lie the `blank` lines.
    pub(crate) fn begin(blank: Vec<String>, number: u64, line: String, ready: &mut VecDeque<Cells>) -> Plain {
        let mut plain = Plain::default();
        let width = line.chars().count();
        if text::is_maze(&line) && blank.iter().all(|row| row.chars().count() == width) {
            plain.maze = true;
            plain.width = width;
            plain.bytes = blank.iter().map(String::len).sum();
            let first = number.saturating_sub(blank.len() as u64);
            plain.rows = (first..).zip(blank).collect();
        }
        plain.line(number, line, ready);
        plain
    }

    /// Reads a line; puzzles that it completes are appended to `ready`.
    pub(crate) fn line(&mut self, number: u64, line: String, ready: &mut VecDeque<Cells>) {
        if self.rows.is_empty() {
            self.maze = text::is_maze(&line);
        }
        let cells = if self.maze { line } else { text::cells(&line) };
        let count = cells.chars().count();
        if self.maze && count != self.width && cells.trim().is_empty() {
            return self.end(ready);
        }
        if cells.is_empty() {
            // Sudokus have gaps and dashes between their boxes.
            return;
        }
        if self.a_line_each || (count != self.width && text::stands_alone(&cells, self.maze)) {
            self.end(ready);
            self.a_line_each = true;
            return ready.push_back(Cells {
                content: Content::Text(cells),
                line: number,
            });
        }
        if self.rows.is_empty() {
            self.width = count;
        }
        self.bytes += cells.len();
        self.rows.push((number, cells));
        if self.rows.len() == self.width || self.bytes > MAX_LINE {
            self.end(ready);
        }
    }

    /// Ends the grid.
    pub(crate) fn end(&mut self, ready: &mut VecDeque<Cells>) {
        let rows = std::mem::take(&mut self.rows);
        (self.width, self.bytes) = (0, 0);
        let Some(&(line, _)) = rows.first() else { return };
        if self.is_stream(&rows) {
            self.a_line_each = true;
            let puzzles = rows.into_iter().map(|(line, cells)| Cells {
                content: Content::Text(cells),
                line,
            });
            return ready.extend(puzzles);
        }
        let content = text::one(rows.into_iter().map(|(_, row)| row).collect());
        ready.push_back(Cells { content, line });
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
