//! Square grids in any form that people write: cells read out of it, answers written back into it.

use super::common::{at, puzzle_row, side, wrong_form};
use super::puzzle::{Content, MAX_CELLS};
use super::{Problem, Puzzle, Space};
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
    space: &Space,
    n: usize,
    tokens: Vec<u32>,
    read_solution: impl Fn(&Content, usize) -> Result<Vec<u32>>,
) -> Result<Problem> {
    let solution = puzzle.solution.as_ref().map(|s| read_solution(s, n));
    Ok(Problem {
        solution: solution.transpose()?,
        puzzle_id: puzzle_row(puzzle, space)?.unwrap_or(0),
        ..Problem::new(puzzle, tokens, n, n)
    })
}

impl Form {
    /// The side n and the n x n cells of `content`, or what is wrong with its shape.
    pub(super) fn read(&self, content: &Content) -> Result<(usize, Vec<Cell>)> {
        match content {
            Content::Text(text) => self.flat(self.chars(text).collect()),
            Content::List(numbers) => self.flat(numbers.iter().copied().map(Cell::Number).collect()),
            Content::Tokens(tokens) => self.flat(tokens.iter().copied().map(Cell::Token).collect()),
            Content::Rows(rows) => {
                let rows = rows.iter().filter(|row| !self.is_rule(row));
                self.rows(rows.map(|row| self.chars(row).collect()).collect())
            }
            Content::Grid(rows) => self.rows(
                rows.iter()
                    .map(|row| row.iter().copied().map(Cell::Number).collect())
                    .collect(),
            ),
            Content::Arc(_) => Err(wrong_form(content, self.noun)),
        }
    }

    /// The same form with the cells of `answer` in the places of the puzzle's; `blank` where the answer is too short.
    pub(super) fn write(
        &self,
        content: &Content,
        answer: &[u32],
        char_of: impl Fn(u32) -> char,
        number_of: impl Fn(u32) -> i64,
    ) -> Content {
        let mut cells = answer.iter().copied();
        let mut next = || cells.next().unwrap_or(0);
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
        match content {
            Content::Text(puzzle) => Content::Text(text(puzzle)),
            Content::Rows(rows) => Content::Rows(rows.iter().map(|row| text(row)).collect()),
            Content::Grid(rows) => {
                let mut row = |row: &Vec<i64>| row.iter().map(|_| number_of(next())).collect();
                Content::Grid(rows.iter().map(&mut row).collect())
            }
            Content::List(puzzle) => Content::List(puzzle.iter().map(|_| number_of(next())).collect()),
            Content::Tokens(_) | Content::Arc(_) => {
                Content::Tokens(answer.iter().map(|&t| i64::from(t)).collect())
            }
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
