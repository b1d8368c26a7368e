//! Renders grids: framed and coloured for a terminal, plain for everything else.

use std::fmt::Write;

use anstyle::{AnsiColor, Color, RgbColor, Style};
use trm_runtime::task::{Cells, EncodedPuzzle, Maze};

/// RGB of the ARC colours 0 to 9.
const ARC_COLORS: [(u8, u8, u8); 10] = [
    (0, 0, 0),
    (0, 116, 217),
    (255, 65, 54),
    (46, 204, 64),
    (255, 220, 0),
    (170, 170, 170),
    (240, 18, 190),
    (255, 133, 27),
    (127, 219, 255),
    (135, 12, 37),
];

/// Renders the answers of one puzzle.
#[derive(Debug, Clone)]
pub(crate) struct GridRenderer {
    kind: GridKind,
    /// The puzzle, `[S]` tokens.
    givens: Vec<u32>,
    /// Columns of the grid that the model sees.
    cols: usize,
    /// Columns that are drawn. For a square grid also the rows.
    side: usize,
    color: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GridKind {
    Sudoku { box_rows: usize, box_cols: usize },
    Maze,
    Arc,
    Tokens,
}

/// An answer after a step, with the cells that the step changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// S tokens.
    pub(crate) tokens: &'a [u32],
    /// The answer in the form of the puzzle.
    pub(crate) cells: &'a Cells,
    /// Indices of the cells to mark.
    pub(crate) changed: &'a [usize],
}

impl GridRenderer {
    /// Returns the renderer for a puzzle of a task.
    pub(crate) fn new(
        task: &str,
        puzzle: &EncodedPuzzle,
        box_shape: Option<[usize; 2]>,
        color: bool,
    ) -> Self {
        let kind = match (task, box_shape) {
            ("sudoku", Some([box_rows, box_cols])) => GridKind::Sudoku { box_rows, box_cols },
            ("sudoku", None) => GridKind::Sudoku {
                box_rows: puzzle.rows.max(1),
                box_cols: puzzle.cols.max(1),
            },
            ("maze", _) => GridKind::Maze,
            ("arc", _) => GridKind::Arc,
            _ => GridKind::Tokens,
        };
        Self {
            kind,
            givens: puzzle.tokens.clone(),
            cols: puzzle.cols,
            side: columns(task, puzzle),
            color,
        }
    }

    /// Returns the lines of a frame.
    pub(crate) fn lines(&self, frame: Frame<'_>) -> Vec<String> {
        match self.kind {
            GridKind::Sudoku { box_rows, box_cols } => {
                self.sudoku(frame, box_rows.max(1), box_cols.max(1))
            }
            GridKind::Maze => self.maze(frame),
            GridKind::Arc => self.arc(frame),
            GridKind::Tokens => plain(frame.cells, self.cols)
                .lines()
                .map(str::to_string)
                .collect(),
        }
    }

    /// Renders a Sudoku. A box of single digits is `│ 5 3 4 │`. A mark precedes its cell.
    fn sudoku(&self, frame: Frame<'_>, box_rows: usize, box_cols: usize) -> Vec<String> {
        let width = self.side.to_string().len();
        let boxes = self.cols / box_cols;
        let edge = |left: &str, cross: &str, right: &str| {
            let one = "─".repeat(box_cols * (width + 1) + 1);
            self.paint(
                dim(),
                &format!("{left}{}{right}", vec![one; boxes].join(cross)),
            )
        };
        let mut lines = vec![edge("┌", "┬", "┐")];
        for row in 0..self.side {
            if row > 0 && row % box_rows == 0 {
                lines.push(edge("├", "┼", "┤"));
            }
            let mut line = String::new();
            for col in 0..self.cols {
                if col % box_cols == 0 {
                    line += &self.paint(dim(), if col == 0 { "│" } else { " │" });
                }
                let cell = row * self.cols + col;
                let token = frame.tokens.get(cell).copied().unwrap_or(0);
                let text = match token {
                    0 => "?".to_string(),
                    1 => "·".to_string(),
                    _ => (token - 1).to_string(),
                };
                let given = self.givens.get(cell).is_some_and(|t| *t > 1);
                let changed = frame.changed.contains(&cell);
                let style = match (given, changed) {
                    (_, true) => Style::new()
                        .fg_color(Some(AnsiColor::Green.into()))
                        .invert(),
                    (true, _) => Style::new().bold(),
                    _ => Style::new().fg_color(Some(AnsiColor::Cyan.into())),
                };
                line.push(if changed && !self.color { '*' } else { ' ' });
                let _ = write!(
                    line,
                    "{}{}",
                    " ".repeat(width.saturating_sub(text.chars().count())),
                    self.paint(style, &text)
                );
            }
            lines.push(line + &self.paint(dim(), " │"));
        }
        lines.push(edge("└", "┴", "┘"));
        lines
    }

    /// Renders a maze. A cell has two columns, so that it looks square.
    fn maze(&self, frame: Frame<'_>) -> Vec<String> {
        let edge = |left: &str, right: &str| {
            self.paint(
                dim(),
                &format!("{left}{}{right}", "─".repeat(2 * self.side)),
            )
        };
        let wall = Style::new().fg_color(Some(AnsiColor::BrightBlack.into()));
        let path = Style::new().fg_color(Some(AnsiColor::Yellow.into())).bold();
        let fresh = Style::new().fg_color(Some(AnsiColor::Green.into())).bold();
        let endpoint = Style::new().fg_color(Some(AnsiColor::Cyan.into())).bold();
        let mut lines = vec![edge("┌", "┐")];
        for row in 0..self.side {
            let mut line = self.paint(dim(), "│");
            for cell in row * self.cols..row * self.cols + self.side {
                let changed = frame.changed.contains(&cell);
                let token = frame.tokens.get(cell).copied().unwrap_or(0);
                let (text, style) = match token {
                    1 => ("██", wall),
                    2 => ("  ", Style::new()),
                    3 => ("S ", endpoint),
                    4 => ("G ", endpoint),
                    5 => ("● ", if changed { fresh } else { path }),
                    _ => ("? ", fresh),
                };
                let mark = changed && !self.color;
                let text = match (mark, token) {
                    (true, 1) => "█*",
                    (true, 2) => " *",
                    (true, 5) => "●*",
                    (true, _) => "?*",
                    (false, 2) if changed => "· ",
                    _ => text,
                };
                line += &self.paint(if changed && token == 2 { fresh } else { style }, text);
            }
            lines.push(line + &self.paint(dim(), "│"));
        }
        lines.push(edge("└", "┘"));
        lines
    }

    /// Renders an ARC grid. A cell has two columns in its colour, or without colours a digit and a
    /// mark.
    fn arc(&self, frame: Frame<'_>) -> Vec<String> {
        let grid = match frame.cells {
            Cells::Grid(grid) => grid,
            _ => {
                return plain(frame.cells, self.cols)
                    .lines()
                    .map(str::to_string)
                    .collect();
            }
        };
        let mut lines = Vec::with_capacity(grid.len());
        for (row, values) in grid.iter().enumerate() {
            let mut line = String::new();
            for (col, value) in values.iter().enumerate() {
                let changed = frame.changed.contains(&(row * self.cols + col));
                let color = usize::try_from(*value).ok().and_then(|v| ARC_COLORS.get(v));
                match color.filter(|_| self.color) {
                    Some(&(r, g, b)) => {
                        let ink = if u32::from(r) + u32::from(g) + u32::from(b) > 380 {
                            0
                        } else {
                            255
                        };
                        let style = Style::new()
                            .bg_color(rgb(r, g, b))
                            .fg_color(rgb(ink, ink, ink));
                        line += &self.paint(style, if changed { "··" } else { "  " });
                    }
                    None => {
                        let _ = write!(line, "{value}{}", if changed { '*' } else { ' ' });
                    }
                }
            }
            lines.push(line.trim_end_matches(' ').to_string());
        }
        lines
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_string()
        }
    }
}

fn dim() -> Style {
    Style::new().fg_color(Some(AnsiColor::BrightBlack.into()))
}

fn rgb(r: u8, g: u8, b: u8) -> Option<Color> {
    Some(Color::Rgb(RgbColor(r, g, b)))
}

/// Formats an answer as a plain grid with one row per line. `cols` splits forms without rows.
pub(crate) fn plain(cells: &Cells, cols: usize) -> String {
    match cells {
        Cells::Text(text) if text.contains('\n') => text.trim_end().to_string(),
        Cells::Text(text) => {
            let cells: Vec<char> = text.chars().collect();
            cells
                .chunks(cols.max(1))
                .map(String::from_iter)
                .collect::<Vec<_>>()
                .join("\n")
        }
        Cells::Rows(rows) => rows.join("\n"),
        Cells::Grid(rows) => format_rows(rows.iter().map(Vec::as_slice)),
        Cells::List(cells) => format_rows(cells.chunks(cols.max(1))),
        Cells::Tokens(cells) => format_rows([cells.as_slice()]),
        Cells::Arc(puzzle) => format_rows(puzzle.test.iter().map(Vec::as_slice)),
    }
}

/// Returns the columns of a puzzle as it was written. A maze is padded with walls for a larger
/// model; these do not count.
pub(crate) fn columns(task: &str, puzzle: &EncodedPuzzle) -> usize {
    let maze = Some(&puzzle.cells).filter(|_| task == "maze");
    maze.and_then(Maze::side).unwrap_or(puzzle.cols)
}

/// Formats rows of numbers. A grid of digits has no blanks between them.
fn format_rows<'a>(rows: impl IntoIterator<Item = &'a [i64]>) -> String {
    let rows: Vec<&[i64]> = rows.into_iter().collect();
    let digits = rows.len() > 1
        && rows
            .iter()
            .all(|row| row.iter().all(|cell| (0..10).contains(cell)));
    let format_row = |row: &&[i64]| {
        row.iter()
            .map(i64::to_string)
            .collect::<Vec<_>>()
            .join(if digits { "" } else { " " })
    };
    rows.iter().map(format_row).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use trm_runtime::task::Id;

    fn puzzle(tokens: &[u32], n: usize) -> EncodedPuzzle {
        EncodedPuzzle {
            id: Id::Number(0),
            tokens: tokens.to_vec(),
            solution: None,
            puzzle_id: 0,
            rows: n,
            cols: n,
            cells: Cells::Tokens(vec![]),
        }
    }

    #[test]
    fn a_sudoku_has_boxes_and_marks() {
        let givens = [2, 1, 1, 1, 1, 1, 1, 1, 1, 5, 1, 1, 1, 1, 1, 1];
        let tokens = [2, 3, 4, 5, 4, 5, 1, 1, 1, 5, 1, 1, 1, 1, 1, 0];
        let renderer = GridRenderer::new("sudoku", &puzzle(&givens, 4), Some([2, 2]), false);
        let cells = Cells::Tokens(vec![]);
        let frame = renderer.lines(Frame {
            tokens: &tokens,
            cells: &cells,
            changed: &[1],
        });
        let expected = [
            "┌─────┬─────┐",
            "│ 1*2 │ 3 4 │",
            "│ 3 4 │ · · │",
            "├─────┼─────┤",
            "│ · 4 │ · · │",
            "│ · · │ · ? │",
            "└─────┴─────┘",
        ];
        assert_eq!(frame, expected);
    }

    #[test]
    fn colours_replace_marks_and_givens_are_bold() {
        let renderer = GridRenderer::new("sudoku", &puzzle(&[2, 1, 1, 1], 2), Some([1, 2]), true);
        let cells = Cells::Tokens(vec![]);
        let frame = renderer
            .lines(Frame {
                tokens: &[2, 3, 3, 2],
                cells: &cells,
                changed: &[1],
            })
            .join("\n");
        assert!(!frame.contains('*'));
        assert!(frame.contains("\x1b[1m1"), "{frame:?}");
        assert!(
            frame.contains("\x1b[7m\x1b[32m2") || frame.contains("\x1b[7m"),
            "{frame:?}"
        );
    }

    #[test]
    fn wide_sudokus_keep_their_columns() {
        let tokens: Vec<u32> = (0..256).map(|i| 2 + (i % 16)).collect();
        let renderer = GridRenderer::new("sudoku", &puzzle(&tokens, 16), Some([4, 4]), false);
        let cells = Cells::Tokens(vec![]);
        let frame = renderer.lines(Frame {
            tokens: &tokens,
            cells: &cells,
            changed: &[],
        });
        assert!(
            frame
                .iter()
                .all(|line| line.chars().count() == frame[0].chars().count()),
            "{frame:#?}"
        );
    }

    #[test]
    fn a_maze_is_square_and_framed() {
        let renderer = GridRenderer::new("maze", &puzzle(&[3, 2, 1, 4], 2), None, false);
        let cells = Cells::Tokens(vec![]);
        let frame = renderer.lines(Frame {
            tokens: &[3, 5, 1, 4],
            cells: &cells,
            changed: &[1],
        });
        assert_eq!(frame, ["┌────┐", "│S ●*│", "│██G │", "└────┘"]);
    }

    #[test]
    fn arc_is_digits_without_colours() {
        let cells = Cells::Grid(vec![vec![1, 2], vec![3, 0]]);
        let answer = Frame {
            tokens: &[],
            cells: &cells,
            changed: &[1],
        };
        let renderer = GridRenderer::new("arc", &puzzle(&[], 30), None, false);
        assert_eq!(renderer.lines(answer), ["1 2*", "3 0"]);
        let renderer = GridRenderer::new("arc", &puzzle(&[], 30), None, true);
        assert!(renderer.lines(answer)[0].contains("48;2;0;116;217m  "));
    }

    #[test]
    fn plain_grids() {
        assert_eq!(plain(&Cells::Text("12".repeat(2)), 2), "12\n12");
        assert_eq!(
            plain(&Cells::Grid(vec![vec![1, 10], vec![3, 4]]), 2),
            "1 10\n3 4"
        );
        assert_eq!(plain(&Cells::List(vec![1, 2, 3, 4]), 2), "12\n34");
        assert_eq!(plain(&Cells::Tokens(vec![1, 2, 3, 4]), 2), "1 2 3 4");
    }
}
