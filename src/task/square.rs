//! Reads square grids in every form of [`Cells`], and writes answers in the same form.

use super::common::{cell_position, has_known_cell, puzzle_row, square_side, wrong_form};
use super::puzzle::{Cells, MAX_CELLS};
use super::{EncodedPuzzle, Puzzle, TokenSpec};
use crate::error::{Error, Result};

/// A cell as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// A character of a string.
    Char(char),
    /// A number in an array.
    Number(i64),
    /// A token of the model.
    Token(i64),
}

/// The format of the square grids of one kind of puzzle.
pub(super) struct SquareFormat {
    /// The kind of puzzle with its article: "a Sudoku".
    pub(super) noun: &'static str,
    /// Common numbers of cells, for messages: "16, 36, 81".
    pub(super) sizes: &'static str,
    /// The largest number of rows that is accepted.
    pub(super) max_side: usize,
    /// Returns whether a character of a string separates cells and is not a cell itself.
    pub(super) is_separator: fn(char) -> bool,
}

/// Encodes an n x n puzzle whose cells are already read as `tokens`, `[n * n]`.
pub(super) fn encode(
    puzzle: &Puzzle,
    spec: &TokenSpec,
    n: usize,
    tokens: Vec<u32>,
    read_solution: impl Fn(&Cells, usize) -> Result<Vec<u32>>,
) -> Result<EncodedPuzzle> {
    let solution = puzzle.solution.as_ref().map(|s| read_solution(s, n));
    Ok(EncodedPuzzle {
        solution: solution.transpose()?.filter(|s| has_known_cell(s)),
        puzzle_id: puzzle_row(puzzle, spec)?.unwrap_or(0),
        ..EncodedPuzzle::new(puzzle, tokens, n, n)
    })
}

impl SquareFormat {
    /// Returns the side n and the n x n cells of `content`.
    ///
    /// # Errors
    /// If `content` is not square or too large.
    pub(super) fn read(&self, content: &Cells) -> Result<(usize, Vec<Cell>)> {
        match content {
            Cells::Text(text) => self.read_list(self.chars(text).collect()),
            Cells::List(numbers) => {
                self.read_list(numbers.iter().copied().map(Cell::Number).collect())
            }
            Cells::Tokens(tokens) => {
                self.read_list(tokens.iter().copied().map(Cell::Token).collect())
            }
            Cells::Rows(rows) => {
                let rows = rows.iter().filter(|row| !self.is_separator_line(row));
                self.read_rows(rows.map(|row| self.chars(row).collect()).collect())
            }
            Cells::Grid(rows) => self.read_rows(
                rows.iter()
                    .map(|row| row.iter().copied().map(Cell::Number).collect())
                    .collect(),
            ),
            Cells::Arc(_) => Err(wrong_form(content, self.noun)),
        }
    }

    /// Writes `answer` in the form of `cells`: each cell is replaced and each separator stays.
    ///
    /// Cells after the end of `answer` are written as token 0.
    pub(super) fn write(
        &self,
        cells: &Cells,
        answer: &[u32],
        char_of: impl Fn(u32) -> char,
        number_of: impl Fn(u32) -> i64,
    ) -> Cells {
        let mut tokens = answer.iter().copied();
        let mut next = || tokens.next().unwrap_or(0);
        let mut text = |text: &str| -> String {
            text.chars()
                .map(|c| {
                    if (self.is_separator)(c) {
                        c
                    } else {
                        char_of(next())
                    }
                })
                .collect()
        };
        match cells {
            Cells::Text(puzzle) => Cells::Text(text(puzzle)),
            Cells::Rows(rows) => Cells::Rows(rows.iter().map(|row| text(row)).collect()),
            Cells::Grid(rows) => {
                let mut row = |row: &Vec<i64>| row.iter().map(|_| number_of(next())).collect();
                Cells::Grid(rows.iter().map(&mut row).collect())
            }
            Cells::List(puzzle) => Cells::List(puzzle.iter().map(|_| number_of(next())).collect()),
            Cells::Tokens(_) | Cells::Arc(_) => {
                Cells::Tokens(answer.iter().map(|&t| i64::from(t)).collect())
            }
        }
    }

    fn chars<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Cell> + 'a {
        text.chars()
            .filter(|&c| !(self.is_separator)(c))
            .map(Cell::Char)
    }

    /// Returns whether a line has only separators: `---+---+---`.
    fn is_separator_line(&self, row: &str) -> bool {
        !row.is_empty() && row.chars().all(self.is_separator)
    }

    fn read_list(&self, cells: Vec<Cell>) -> Result<(usize, Vec<Cell>)> {
        let Some(n) = square_side(cells.len()) else {
            let (noun, sizes, count) = (self.noun, self.sizes, cells.len());
            return Err(Error::puzzle(format!(
                "{noun} has n x n cells ({sizes}, ...), but this one has {count}"
            )));
        };
        self.check_bounds(n)?;
        Ok((n, cells))
    }

    fn read_rows(&self, rows: Vec<Vec<Cell>>) -> Result<(usize, Vec<Cell>)> {
        let (noun, n) = (self.noun, rows.len());
        if n == 0 {
            return Err(Error::puzzle(format!("{noun} needs at least one row")));
        }
        self.check_bounds(n)?;
        let width = rows.first().map_or(0, Vec::len);
        if let Some((r, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != width) {
            let (r, cells) = (r + 1, row.len());
            return Err(Error::puzzle(format!(
                "row {r} has {cells} cells, but row 1 has {width}"
            )));
        }
        if width != n {
            return Err(Error::puzzle(format!(
                "{noun} is square, but this one has {n} rows of {width} cells"
            )));
        }
        Ok((n, rows.into_iter().flatten().collect()))
    }

    fn check_bounds(&self, n: usize) -> Result<()> {
        if n > self.max_side || n > MAX_CELLS.isqrt() {
            let (noun, max) = (self.noun, self.max_side);
            return Err(Error::puzzle(format!(
                "{noun} of {n} rows is too large: the limit is {max} rows"
            )));
        }
        Ok(())
    }
}

impl Cell {
    /// Returns the cell and its position for messages: `'x' in row 1, column 2`.
    pub(super) fn describe(self, index: usize, n: usize) -> String {
        match self {
            Self::Char(c) => format!("{c:?} in {}", cell_position(index, n)),
            Self::Number(v) => format!("{v} in {}", cell_position(index, n)),
            Self::Token(v) => format!("token {v} in {}", cell_position(index, n)),
        }
    }
}
