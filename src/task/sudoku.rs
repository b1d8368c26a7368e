//! Sudoku: n x n digits, each once in every row, column and box.

use super::common::{at, fits_model, wrong_length};
use super::square::{self, Cell, Form};
use super::{Cells, EncodedPuzzle, Puzzle, Symmetry, Task, TokenSpec, Verdict, symmetry};
use crate::error::{Error, Result};
use crate::random::Random;

/// Sudokus of n x n cells with boxes of any shape.
///
/// Tokens: 0 padding, 1 blank, digit d is d + 1. Puzzles are strings (`0` or `.` blank, `1` to `9`, `A` for 10 and so
/// on; blanks and `|-+` between digits are skipped), lists of strings, n x n arrays or flat lists of numbers (0
/// blank), or a model's own tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sudoku {
    /// Rows and columns of a box; where absent the most square shape with rows <= columns (6 x 6: 2 x 3).
    pub box_shape: Option<[usize; 2]>,
}

/// The token of an empty cell.
const BLANK: u32 = 1;
/// The token of digit 1.
const ONE: u32 = 2;
/// The largest digit that a single character can say: Z.
const MAX_CHAR_DIGIT: usize = 35;

const FORM: Form = Form {
    noun: "a Sudoku",
    sizes: "16, 36, 81",
    max_side: 64,
    is_separator: |c| c.is_whitespace() || "|-+".contains(c),
};

impl Task for Sudoku {
    fn name(&self) -> &str {
        "sudoku"
    }

    fn encode(&self, puzzle: &Puzzle, space: &TokenSpec) -> Result<EncodedPuzzle> {
        let (n, tokens) = read(&puzzle.cells)?;
        fits_model(n, space, "this Sudoku")?;
        if n + 2 > space.vocab_size {
            let (v, max) = (space.vocab_size, space.vocab_size.saturating_sub(2));
            return Err(Error::puzzle(format!(
                "this Sudoku has digits from 1 to {n}, but the model's vocabulary of {v} tokens ends at digit {max}"
            )));
        }
        if let Some(clash) = clash(&tokens, n, self.boxes(n)?) {
            return Err(Error::puzzle(format!(
                "the givens contradict each other: {clash}"
            )));
        }
        square::problem(puzzle, space, n, tokens, read_solution)
    }

    fn decode(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Cells {
        let n = problem.rows;
        let script = Script::of(&problem.cells);
        let digit = |token: u32| token.checked_sub(BLANK).map_or(0, |d| d as usize);
        let digit = |token: u32| Some(digit(token)).filter(|&d| d <= n).unwrap_or(0);
        FORM.write(
            &problem.cells,
            answer,
            |t| script.char_of(digit(t)),
            |t| digit(t) as i64,
        )
    }

    fn verify(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        let (n, cells) = (problem.rows, problem.tokens.len());
        if answer.len() != cells || n.checked_mul(n) != Some(cells) {
            return wrong_length(answer.len(), cells);
        }
        let boxes = match self.boxes(n) {
            Ok(boxes) => boxes,
            Err(error) => {
                return Verdict {
                    reason: Some(error.to_string()),
                    ..Verdict::default()
                };
            }
        };
        let is_digit = |token: u32| (ONE..ONE + n as u32).contains(&token);
        if let Some(empty) = answer.iter().position(|&t| !is_digit(t)) {
            return Verdict::wrong(format!("no digit in {}", at(empty, n)));
        }
        if let Some(clash) = clash(answer, n, boxes) {
            return Verdict::wrong(clash);
        }
        let changed = problem
            .tokens
            .iter()
            .zip(answer)
            .position(|(&given, &a)| is_digit(given) && a != given);
        match changed {
            Some(cell) => Verdict::wrong(format!("the given digit in {} was changed", at(cell, n))),
            None => Verdict::right(),
        }
    }

    /// Other digits, bands and the rows in them in another order, stacks and columns too, and mirrored where boxes are square.
    fn random_symmetry(&self, problem: &EncodedPuzzle, random: &mut Random) -> Option<Symmetry> {
        let n = problem.rows;
        let [rows, cols] = self.boxes(n).ok()?;
        let (down, across) = (symmetry::lines(n, rows, random), symmetry::lines(n, cols, random));
        let mirrored = rows == cols && random.below(2) == 1;
        let cell = |(&row, &col): (&usize, &usize)| if mirrored { col * n + row } else { row * n + col };
        let cells = down
            .iter()
            .flat_map(|row| across.iter().map(move |col| (row, col)));
        let mut digits: Vec<u32> = (ONE..ONE + n as u32).collect();
        random.shuffle(&mut digits);
        Symmetry::new(cells.map(cell).collect(), [vec![0, BLANK], digits].concat())
    }

    fn verifies_by_rules(&self) -> bool {
        true
    }
}

impl Sudoku {
    /// Rows and columns of a box of an n x n Sudoku.
    ///
    /// # Errors
    /// If the boxes that were asked for do not have n cells.
    pub fn boxes(&self, n: usize) -> Result<[usize; 2]> {
        let most_square = (1..=n.isqrt())
            .rev()
            .find(|rows| n.is_multiple_of(*rows))
            .unwrap_or(1);
        let [rows, cols] = self.box_shape.unwrap_or([most_square, n / most_square]);
        if rows.checked_mul(cols) != Some(n) {
            return Err(Error::puzzle(format!(
                "boxes of {rows} x {cols} cells do not fit a {n} x {n} Sudoku: a box must have {n} cells"
            )));
        }
        Ok([rows, cols])
    }
}

/// n where the content can be an n x n Sudoku by its shape.
pub(super) fn side_of(content: &Cells) -> Option<usize> {
    FORM.read(content).ok().map(|(n, _)| n).filter(|&n| n > 1)
}

/// The side and the tokens of a Sudoku in any form.
fn read(content: &Cells) -> Result<(usize, Vec<u32>)> {
    let (n, cells) = FORM.read(content)?;
    if n < 2 {
        return Err(Error::puzzle(
            "a Sudoku has n x n cells (16, 36, 81, ...): this one has 1",
        ));
    }
    if n > MAX_CHAR_DIGIT && matches!(content, Cells::Text(_) | Cells::Rows(_)) {
        return Err(Error::puzzle(format!(
            "a {n} x {n} Sudoku needs digits above {MAX_CHAR_DIGIT}: write it as arrays of numbers"
        )));
    }
    let token = |(index, cell): (usize, &Cell)| token(*cell, n).map_err(|why| why.about(*cell, index, n));
    Ok((n, cells.iter().enumerate().map(token).collect::<Result<_>>()?))
}

/// A solution's tokens; a blank is a digit that is not known, and counts as padding.
fn read_solution(content: &Cells, n: usize) -> Result<Vec<u32>> {
    let (size, mut tokens) = read(content).map_err(|e| e.context("solution"))?;
    if size != n {
        return Err(Error::puzzle(format!("is {size} x {size}, but the puzzle {n} x {n}")).context("solution"));
    }
    tokens.iter_mut().filter(|t| **t == BLANK).for_each(|t| *t = 0);
    Ok(tokens)
}

/// Why a cell is no cell of a Sudoku.
enum NoCell {
    NoDigit,
    OutOfRange,
}

impl NoCell {
    fn about(&self, cell: Cell, index: usize, n: usize) -> Error {
        let cell = cell.named(index, n);
        Error::puzzle(match self {
            NoCell::NoDigit => format!("{cell} is not a digit (a blank is 0 or .)"),
            NoCell::OutOfRange => {
                format!("{cell} is out of range: a {n} x {n} Sudoku has 1 to {n}, and 0 for blank")
            }
        })
    }
}

fn token(cell: Cell, n: usize) -> Result<u32, NoCell> {
    let digit = match cell {
        Cell::Char('.') => 0,
        Cell::Char(c) => i64::from(c.to_digit(36).ok_or(NoCell::NoDigit)?),
        Cell::Number(number) => number,
        Cell::Token(token) => token.checked_sub(i64::from(BLANK)).ok_or(NoCell::OutOfRange)?,
    };
    let in_range = u32::try_from(digit).ok().filter(|&d| d as usize <= n);
    in_range.map(|d| d + BLANK).ok_or(NoCell::OutOfRange)
}

/// The characters that a puzzle uses.
struct Script {
    blank: char,
    lower: bool,
}

impl Script {
    fn of(content: &Cells) -> Script {
        let rows = match content {
            Cells::Text(text) => std::slice::from_ref(text),
            Cells::Rows(rows) => rows.as_slice(),
            _ => &[],
        };
        let mut chars = rows.iter().flat_map(|row| row.chars());
        Script {
            blank: chars.clone().find(|c| "0.".contains(*c)).unwrap_or('0'),
            lower: chars.any(|c| c.is_ascii_lowercase()),
        }
    }

    /// A digit's character, the blank where it has none.
    fn char_of(&self, digit: usize) -> char {
        let char = u32::try_from(digit)
            .ok()
            .filter(|&d| d > 0)
            .and_then(|d| char::from_digit(d, 36));
        char.map_or(
            self.blank,
            |c| if self.lower { c } else { c.to_ascii_uppercase() },
        )
    }
}

/// The three kinds of house that hold each digit once.
#[derive(Clone, Copy)]
enum House {
    Row,
    Column,
    Box,
}

impl House {
    /// Cell `j` of house `i`.
    fn cell(self, i: usize, j: usize, n: usize, [rows, cols]: [usize; 2]) -> usize {
        match self {
            House::Row => i * n + j,
            House::Column => j * n + i,
            House::Box => {
                let (top, left) = (i / rows * rows, i % rows * cols);
                (top + j / cols) * n + left + j % cols
            }
        }
    }
}

/// The first digit that a row, a column or a box holds twice, in words. `tokens`: n x n; all but digits are skipped.
fn clash(tokens: &[u32], n: usize, boxes: [usize; 2]) -> Option<String> {
    for house in [House::Row, House::Column, House::Box] {
        for i in 0..n {
            let mut seen = vec![None; n + 1];
            for j in 0..n {
                let cell = house.cell(i, j, n, boxes);
                let digit = tokens.get(cell)?.saturating_sub(BLANK) as usize;
                let Some(place) = seen.get_mut(digit).filter(|_| digit > 0) else {
                    continue;
                };
                if let Some(first) = place.replace(cell) {
                    return Some(describe(house, digit, first, cell, n));
                }
            }
        }
    }
    None
}

fn describe(house: House, digit: usize, first: usize, second: usize, n: usize) -> String {
    let row = |cell: usize| cell / n + 1;
    let column = |cell: usize| cell % n + 1;
    match house {
        House::Row => {
            format!(
                "two {digit}s in row {} (columns {} and {})",
                row(first),
                column(first),
                column(second)
            )
        }
        House::Column => {
            format!(
                "two {digit}s in column {} (rows {} and {})",
                column(first),
                row(first),
                row(second)
            )
        }
        House::Box => format!("two {digit}s in one box ({} and {})", at(first, n), at(second, n)),
    }
}
