//! Sudoku: n x n digits, each exactly once in every row, column and box.

use super::common::{cell_position, check_size, wrong_length, wrong_solution};
use super::square::{self, Cell, SquareFormat};
use super::{Cells, EncodedPuzzle, Puzzle, Symmetry, Task, TokenSpec, Verdict, symmetry};
use crate::error::{Error, Result};
use crate::random::Random;

/// Sudokus of n x n cells with boxes of any shape.
///
/// Tokens: 0 is padding, 1 is a blank, and digit d is d + 1. A puzzle is one of these:
/// - a string or a list of strings: `0` or `.` for a blank, `1` to `9`, then `A` for 10 and so on;
///   white space and `|-+` are ignored
/// - an n x n array or a flat list of numbers, 0 for a blank
/// - the tokens of a model
///
/// ```
/// # use trm_runtime::task::{Puzzle, Sudoku, Task, TokenSpec};
/// let puzzle: Puzzle = "1..4 ..1. .1.. 4..1".parse()?;
/// let spec = TokenSpec { vocab_size: 6, seq_len: Some(16), num_puzzle_identifiers: 0 };
/// let encoded = Sudoku::default().encode(&puzzle, &spec)?;
/// assert_eq!(encoded.tokens[..4], [2, 1, 1, 5]);
///
/// let answer = [2, 3, 4, 5]; // The tokens of one row instead of the whole grid.
/// assert_eq!(Sudoku::default().verify(&encoded, &answer).valid, Some(false));
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sudoku {
    /// Rows and columns of a box. Default: the most square shape with rows <= columns, such as
    /// 2 x 3 for 6 x 6.
    pub box_shape: Option<[usize; 2]>,
}

/// The token of a blank cell.
const BLANK: u32 = 1;
/// The token of digit 1.
const ONE: u32 = 2;
/// What an error adds if a Sudoku has no other digit than 1.
const SOLELY_ZERO_AND_ONE: &str = "; if this is a maze of 0 and 1, it has no start and no goal: \
                                   mark them with S and G";
/// The largest digit that one character can express: `Z`.
const MAX_CHAR_DIGIT: usize = 35;

const FORMAT: SquareFormat = SquareFormat {
    noun: "a Sudoku",
    sizes: "16, 36, 81",
    max_side: 64,
    is_separator: |c| c.is_whitespace() || "|-+".contains(c),
};

impl Task for Sudoku {
    fn name(&self) -> &str {
        "sudoku"
    }

    fn encode(&self, puzzle: &Puzzle, spec: &TokenSpec) -> Result<EncodedPuzzle> {
        let (n, tokens) = read(&puzzle.cells)?;
        check_size(n, spec, "this Sudoku")?;
        if n + 2 > spec.vocab_size {
            let (v, max) = (spec.vocab_size, spec.vocab_size.saturating_sub(2));
            return Err(Error::puzzle(format!(
                "this Sudoku has digits from 1 to {n}, but the model's vocabulary of {v} tokens \
                 ends at digit {max}"
            )));
        }
        if let Some(duplicate) = find_duplicate(&tokens, n, self.boxes(n)?) {
            let is_maze = tokens.iter().all(|&token| token == BLANK || token == ONE);
            let note = if is_maze { SOLELY_ZERO_AND_ONE } else { "" };
            return Err(Error::puzzle(format!(
                "the givens contradict each other: {duplicate}{note}"
            )));
        }
        let encoded = square::encode(puzzle, spec, n, tokens, read_solution)?;
        self.check_solution(&encoded)?;
        Ok(encoded)
    }

    fn check_solution(&self, puzzle: &EncodedPuzzle) -> Result<()> {
        let (n, solution) = (puzzle.rows, puzzle.solution.as_deref().unwrap_or_default());
        let digit = |token: u32| token.saturating_sub(BLANK).to_string();
        let contradicts =
            |(&given, &solved): (&u32, &u32)| given >= ONE && solved >= ONE && given != solved;
        let cells = || puzzle.tokens.iter().zip(solution);
        if let Some(cell) = cells().position(contradicts)
            && let Some((&given, &solved)) = cells().nth(cell)
        {
            return Err(wrong_solution(cell, n, &digit(solved), &digit(given)));
        }
        if solution.len() == puzzle.tokens.len()
            && let Some(duplicate) = find_duplicate(solution, n, self.boxes(n)?)
        {
            return Err(Error::puzzle(format!("breaks the rules: {duplicate}")).context("solution"));
        }
        Ok(())
    }

    fn decode(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Cells {
        let n = puzzle.rows;
        let style = DigitStyle::of(&puzzle.cells);
        let digit = |token: u32| token.checked_sub(BLANK).map_or(0, |d| d as usize);
        let digit = |token: u32| Some(digit(token)).filter(|&d| d <= n).unwrap_or(0);
        FORMAT.write(
            &puzzle.cells,
            answer,
            |t| style.char_of(digit(t)),
            |t| digit(t) as i64,
        )
    }

    fn verify(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        let (n, cells) = (puzzle.rows, puzzle.tokens.len());
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
        let is_digit = |token: u32| token >= ONE && ((token - ONE) as usize) < n;
        if let Some(empty) = answer.iter().position(|&t| !is_digit(t)) {
            return Verdict::wrong(format!("no digit in {}", cell_position(empty, n)));
        }
        if let Some(duplicate) = find_duplicate(answer, n, boxes) {
            return Verdict::wrong(duplicate);
        }
        let changed = puzzle
            .tokens
            .iter()
            .zip(answer)
            .position(|(&given, &a)| is_digit(given) && a != given);
        match changed {
            Some(cell) => Verdict::wrong(format!(
                "the given digit in {} was changed",
                cell_position(cell, n)
            )),
            None => Verdict::right(),
        }
    }

    /// Returns a random permutation of the digits, of the bands and their rows, and of the stacks
    /// and their columns. If boxes are square, half of the symmetries also transpose the grid.
    fn random_symmetry(&self, puzzle: &EncodedPuzzle, random: &mut Random) -> Option<Symmetry> {
        let n = puzzle.rows;
        let [rows, cols] = self.boxes(n).ok()?;
        let row_order = symmetry::shuffle_lines(n, rows, random);
        let col_order = symmetry::shuffle_lines(n, cols, random);
        let transpose = rows == cols && random.below(2) == 1;
        let cell = |(&row, &col): (&usize, &usize)| {
            if transpose {
                col * n + row
            } else {
                row * n + col
            }
        };
        let cells = row_order
            .iter()
            .flat_map(|row| col_order.iter().map(move |col| (row, col)));
        let mut digits: Vec<u32> = (ONE..).take(n).collect();
        random.shuffle(&mut digits);
        Symmetry::new(cells.map(cell).collect(), [vec![0, BLANK], digits].concat())
    }

    fn verifies_by_rules(&self) -> bool {
        true
    }
}

impl Sudoku {
    /// Returns the rows and columns of a box of an n x n Sudoku.
    ///
    /// # Errors
    /// If `box_shape` does not have n cells.
    pub fn boxes(&self, n: usize) -> Result<[usize; 2]> {
        let most_square = (1..=n.isqrt())
            .rev()
            .find(|rows| n.is_multiple_of(*rows))
            .unwrap_or(1);
        let [rows, cols] = self.box_shape.unwrap_or([most_square, n / most_square]);
        if rows.checked_mul(cols) != Some(n) {
            return Err(Error::puzzle(format!(
                "boxes of {rows} x {cols} cells do not fit a {n} x {n} Sudoku: a box must have \
                 {n} cells"
            )));
        }
        Ok([rows, cols])
    }
}

/// Returns n if `content` has the shape of an n x n Sudoku.
pub(super) fn side_of(content: &Cells) -> Option<usize> {
    FORMAT.read(content).ok().map(|(n, _)| n).filter(|&n| n > 1)
}

/// Returns the side n and the tokens (`[n * n]`) of a Sudoku in any form.
fn read(content: &Cells) -> Result<(usize, Vec<u32>)> {
    let (n, cells) = FORMAT.read(content)?;
    if n < 2 {
        return Err(Error::puzzle(
            "a Sudoku has n x n cells (16, 36, 81, ...), but this one has 1",
        ));
    }
    if n > MAX_CHAR_DIGIT && matches!(content, Cells::Text(_) | Cells::Rows(_)) {
        return Err(Error::puzzle(format!(
            "a {n} x {n} Sudoku needs digits above {MAX_CHAR_DIGIT}: write it as arrays of numbers"
        )));
    }
    let token = |(index, cell): (usize, &Cell)| {
        token(*cell, n).map_err(|error| error.describe(*cell, index, n))
    };
    Ok((
        n,
        cells.iter().enumerate().map(token).collect::<Result<_>>()?,
    ))
}

/// Returns the tokens of a solution. A blank is an unknown digit and becomes padding, which is not
/// compared.
fn read_solution(content: &Cells, n: usize) -> Result<Vec<u32>> {
    let (size, mut tokens) = read(content).map_err(|e| e.context("solution"))?;
    if size != n {
        let message = format!("is {size} x {size}, but the puzzle is {n} x {n}");
        return Err(Error::puzzle(message).context("solution"));
    }
    tokens
        .iter_mut()
        .filter(|t| **t == BLANK)
        .for_each(|t| *t = 0);
    Ok(tokens)
}

/// The reason why a cell is not a valid cell of a Sudoku.
enum CellError {
    NotADigit,
    OutOfRange,
}

impl CellError {
    fn describe(&self, cell: Cell, index: usize, n: usize) -> Error {
        let cell = cell.describe(index, n);
        Error::puzzle(match self {
            Self::NotADigit => format!("{cell} is not a digit (a blank is 0 or .)"),
            Self::OutOfRange => {
                format!("{cell} is out of range: a {n} x {n} Sudoku has 1 to {n}, and 0 for blank")
            }
        })
    }
}

fn token(cell: Cell, n: usize) -> Result<u32, CellError> {
    let digit = match cell {
        Cell::Char('.') => 0,
        Cell::Char(c) => i64::from(c.to_digit(36).ok_or(CellError::NotADigit)?),
        Cell::Number(number) => number,
        Cell::Token(token) => token
            .checked_sub(i64::from(BLANK))
            .ok_or(CellError::OutOfRange)?,
    };
    let in_range = u32::try_from(digit).ok().filter(|&d| d as usize <= n);
    in_range.map(|d| d + BLANK).ok_or(CellError::OutOfRange)
}

/// The characters with which a puzzle writes its digits.
struct DigitStyle {
    blank: char,
    /// Digits from 10 on are lower-case letters.
    lowercase: bool,
}

impl DigitStyle {
    fn of(content: &Cells) -> Self {
        let rows = match content {
            Cells::Text(text) => std::slice::from_ref(text),
            Cells::Rows(rows) => rows.as_slice(),
            _ => &[],
        };
        let mut chars = rows.iter().flat_map(|row| row.chars());
        Self {
            blank: chars.clone().find(|c| "0.".contains(*c)).unwrap_or('0'),
            lowercase: chars.any(|c| c.is_ascii_lowercase()),
        }
    }

    /// Returns the character of a digit, or the blank for 0 and for digits without a character.
    fn char_of(&self, digit: usize) -> char {
        let char = u32::try_from(digit)
            .ok()
            .filter(|&d| d > 0)
            .and_then(|d| char::from_digit(d, 36));
        char.map_or(self.blank, |c| {
            if self.lowercase {
                c
            } else {
                c.to_ascii_uppercase()
            }
        })
    }
}

/// The three kinds of unit. A unit has each digit exactly once.
#[derive(Clone, Copy)]
enum Unit {
    Row,
    Column,
    Box,
}

impl Unit {
    /// Returns the index of cell `j` of unit `i` in an n x n grid.
    fn cell(self, i: usize, j: usize, n: usize, [rows, cols]: [usize; 2]) -> usize {
        match self {
            Self::Row => i * n + j,
            Self::Column => j * n + i,
            Self::Box => {
                let (top, left) = (i / rows * rows, i % rows * cols);
                (top + j / cols) * n + left + j % cols
            }
        }
    }
}

/// Finds the first digit that occurs twice in a row, a column or a box, and describes it as text.
///
/// `tokens` is `[n * n]`. Tokens that are not digits are skipped.
fn find_duplicate(tokens: &[u32], n: usize, boxes: [usize; 2]) -> Option<String> {
    for unit in [Unit::Row, Unit::Column, Unit::Box] {
        for i in 0..n {
            let mut seen = vec![None; n + 1];
            for j in 0..n {
                let cell = unit.cell(i, j, n, boxes);
                let digit = tokens.get(cell)?.saturating_sub(BLANK) as usize;
                let Some(last) = seen.get_mut(digit).filter(|_| digit > 0) else {
                    continue;
                };
                if let Some(first) = last.replace(cell) {
                    return Some(describe_duplicate(unit, digit, first, cell, n));
                }
            }
        }
    }
    None
}

fn describe_duplicate(unit: Unit, digit: usize, first: usize, second: usize, n: usize) -> String {
    let row = |cell: usize| cell / n + 1;
    let column = |cell: usize| cell % n + 1;
    match unit {
        Unit::Row => {
            format!(
                "two {digit}s in row {} (columns {} and {})",
                row(first),
                column(first),
                column(second)
            )
        }
        Unit::Column => {
            format!(
                "two {digit}s in column {} (rows {} and {})",
                column(first),
                row(first),
                row(second)
            )
        }
        Unit::Box => {
            let (first, second) = (cell_position(first, n), cell_position(second, n));
            format!("two {digit}s in one box ({first} and {second})")
        }
    }
}
