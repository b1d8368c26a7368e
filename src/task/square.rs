//! Square grids in any form that people write: cells read out of it, answers written back into it.

use super::common::{at, puzzle_row, side, wrong_form};
use super::puzzle::{Cells, MAX_CELLS};
use super::{EncodedPuzzle, Puzzle, TokenSpec};
use crate::error::{Error, Result};

/// A cell as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// A character of a string.
    Char(char),
    /// A number of an array.
    Number(i64),
    /// A model's own token.
    Token(i64),
}

/// How one kind of puzzle writes square grids.
pub(super) struct Form {
    /// "a Sudoku".
    pub(super) noun: &'static str,
    /// "16, 36, 81": usual numbers of cells.
    pub(super) sizes: &'static str,
    /// The most rows that are accepted.
    pub(super) max_side: usize,
    /// Characters of a string that are no cells.
    pub(super) is_separator: fn(char) -> bool,
}

/// The problem of an n x n puzzle whose cells have been read.
pub(super) fn problem(
    puzzle: &Puzzle,
    space: &TokenSpec,
    n: usize,
    tokens: Vec<u32>,
    read_solution: impl Fn(&Cells, usize) -> Result<Vec<u32>>,
) -> Result<EncodedPuzzle> {
    let solution = puzzle.solution.as_ref().map(|s| read_solution(s, n));
    Ok(EncodedPuzzle {
        solution: solution.transpose()?,
        puzzle_id: puzzle_row(puzzle, space)?.unwrap_or(0),
        ..EncodedPuzzle::new(puzzle, tokens, n, n)
    })
}

impl Form {
    /// The side n and the n x n cells of `content`, or what is wrong with its shape.
    pub(super) fn read(&self, content: &Cells) -> Result<(usize, Vec<Cell>)> {
        match content {
            Cells::Text(text) => self.flat(self.chars(text).collect()),
            Cells::List(numbers) => self.flat(numbers.iter().copied().map(Cell::Number).collect()),
            Cells::Tokens(tokens) => self.flat(tokens.iter().copied().map(Cell::Token).collect()),
            Cells::Rows(rows) => {
                let rows = rows.iter().filter(|row| !self.is_rule(row));
                self.rows(rows.map(|row| self.chars(row).collect()).collect())
            }
            Cells::Grid(rows) => self.rows(
                rows.iter()
                    .map(|row| row.iter().copied().map(Cell::Number).collect())
                    .collect(),
            ),
            Cells::Arc(_) => Err(wrong_form(content, self.noun)),
        }
    }

    /// The same form with the cells of `answer` in the places of the puzzle's; `blank` where the answer is too short.
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
            Cells::Tokens(_) | Cells::Arc(_) => Cells::Tokens(answer.iter().map(|&t| i64::from(t)).collect()),
        }
    }

    fn chars<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Cell> + 'a {
        text.chars().filter(|&c| !(self.is_separator)(c)).map(Cell::Char)
    }

    /// A line that only separates: `---+---+---`.
    fn is_rule(&self, row: &str) -> bool {
        !row.is_empty() && row.chars().all(self.is_separator)
    }

    fn flat(&self, cells: Vec<Cell>) -> Result<(usize, Vec<Cell>)> {
        let Some(n) = side(cells.len()) else {
            let (noun, sizes, count) = (self.noun, self.sizes, cells.len());
            return Err(Error::puzzle(format!(
                "{noun} has n x n cells ({sizes}, ...): this one has {count}"
            )));
        };
        self.within_bounds(n)?;
        Ok((n, cells))
    }

    fn rows(&self, rows: Vec<Vec<Cell>>) -> Result<(usize, Vec<Cell>)> {
        let (noun, n) = (self.noun, rows.len());
        if n == 0 {
            return Err(Error::puzzle(format!("{noun} without rows")));
        }
        self.within_bounds(n)?;
        let width = rows.first().map_or(0, Vec::len);
        if let Some((r, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != width) {
            let (r, cells) = (r + 1, row.len());
            return Err(Error::puzzle(format!(
                "row {r} has {cells} cells, but row 1 has {width}"
            )));
        }
        if width != n {
            return Err(Error::puzzle(format!(
                "{noun} is square: this one has {n} rows of {width} cells"
            )));
        }
        Ok((n, rows.into_iter().flatten().collect()))
    }

    fn within_bounds(&self, n: usize) -> Result<()> {
        if n > self.max_side || n > MAX_CELLS.isqrt() {
            let (noun, max) = (self.noun, self.max_side);
            return Err(Error::puzzle(format!(
                "{noun} of {n} rows is too large: at most {max} are read"
            )));
        }
        Ok(())
    }
}

impl Cell {
    /// The cell in words, for errors: `'x' in row 1, column 2`.
    pub(super) fn named(self, index: usize, n: usize) -> String {
        match self {
            Cell::Char(c) => format!("{c:?} in {}", at(index, n)),
            Cell::Number(v) => format!("{v} in {}", at(index, n)),
            Cell::Token(v) => format!("token {v} in {}", at(index, n)),
        }
    }
}
