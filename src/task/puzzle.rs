//! Puzzles as people write them.

use crate::error::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// The most cells that a puzzle has.
pub(crate) const MAX_CELLS: usize = 65_536;
/// The longest document, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 8 << 20;

/// What a puzzle is called in the output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// A number: as given, or the number of the record.
    Number(u64),
    /// A name.
    Text(String),
}

/// The body of a puzzle, of a solution or of an answer, in one of the forms that people write.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// One string: `"53..7...."`, n x n characters row by row.
    Text(String),
    /// A list of strings, a row each.
    Rows(Vec<String>),
    /// A list of lists of numbers, a row each.
    Grid(Vec<Vec<i64>>),
    /// A flat list of numbers.
    List(Vec<i64>),
    /// An ARC task: its demonstrations, and one test input to answer.
    Arc(ArcPuzzle),
    /// `{"tokens": [...]}`.
    Tokens(Vec<i64>),
}

/// One test input of an ARC task.
#[derive(Debug, Clone, PartialEq)]
pub struct ArcPuzzle {
    /// The task's name, where it is known: the key of a collection, `id`, or the file's name.
    pub task: Option<String>,
    /// Pairs of input and output, shared by the test inputs of the task.
    pub train: Arc<[Demonstration]>,
    /// The grid to answer.
    pub test: Vec<Vec<i64>>,
}

/// A pair of an ARC task: the input, and the output that belongs to it.
pub type Demonstration = (Vec<Vec<i64>>, Vec<Vec<i64>>);

/// A puzzle as it was written, before a task looks at it.
///
/// It is parsed from JSON, where the text starts with `{`, `[` or `"`, or else from the plain text of one puzzle: all
/// cells on one line, or a grid of lines. In a Sudoku's text blanks, `|` and lines of `-` and `+` are decoration; a
/// maze's rows are kept as they are, since a blank is a free cell.
///
/// ```
/// # use trm_runtime::task::{Cells, Puzzle};
/// let puzzle: Puzzle = "1..4 ..1. .1.. 4..1".parse()?;
/// assert_eq!(puzzle.cells, Cells::Text("1..4..1..1..4..1".into()));
/// let puzzle: Puzzle = r#"{"id": 7, "puzzle": [[1, 0], [0, 1]]}"#.parse()?;
/// assert_eq!(puzzle.cells.to_string(), "1 0\n0 1");
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Puzzle {
    /// `id`, where given.
    pub id: Option<Id>,
    /// The puzzle itself.
    pub cells: Cells,
    /// `solution`, where given.
    pub solution: Option<Cells>,
    /// `task`, where given.
    pub task: Option<String>,
    /// `puzzle_id`: the row of the puzzle embedding, where given.
    pub puzzle_id: Option<u32>,
}

impl Id {
    /// The identifier as JSON: a number stays a number.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Id::Number(number) => (*number).into(),
            Id::Text(text) => text.as_str().into(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => number.fmt(f),
            Id::Text(text) => text.fmt(f),
        }
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Id {
        Id::Number(number)
    }
}

impl From<&str> for Id {
    fn from(name: &str) -> Id {
        Id::Text(name.to_owned())
    }
}

impl From<String> for Id {
    fn from(name: String) -> Id {
        Id::Text(name)
    }
}

impl Cells {
    /// How many cells it has: characters or numbers; of an ARC task, those of the test input.
    pub fn count(&self) -> usize {
        match self {
            Cells::Text(text) => text.chars().count(),
            Cells::Rows(rows) => rows.iter().map(|row| row.chars().count()).sum(),
            Cells::Grid(grid) | Cells::Arc(ArcPuzzle { test: grid, .. }) => grid.iter().map(Vec::len).sum(),
            Cells::List(list) | Cells::Tokens(list) => list.len(),
        }
    }

    /// The content as JSON in the form in which it was written: a string, a list of strings, or arrays of numbers.
    ///
    /// Of an ARC task it is the grid of the test input, of raw tokens the flat list.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Cells::Text(text) => text.as_str().into(),
            Cells::Rows(rows) => rows.iter().map(String::as_str).collect(),
            Cells::Grid(grid) | Cells::Arc(ArcPuzzle { test: grid, .. }) => {
                grid.iter().map(Vec::as_slice).collect()
            }
            Cells::List(list) | Cells::Tokens(list) => list.as_slice().into(),
        }
    }

    /// The content itself, if it has cells, and not more than any model takes.
    pub(crate) fn bounded(self) -> Result<Cells> {
        match self.count() {
            0 => Err(Error::puzzle("is empty")),
            n if n > MAX_CELLS => Err(Error::puzzle(format!(
                "has {n} cells; at most {MAX_CELLS} are taken"
            ))),
            _ => Ok(self),
        }
    }
}

impl fmt::Display for Cells {
    /// Text as it is; lists of rows with a row a line, numbers with a space between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cells::Text(text) => text.fmt(f),
            Cells::Rows(rows) => lines(f, rows, |f, row| f.write_str(row)),
            Cells::Grid(grid) | Cells::Arc(ArcPuzzle { test: grid, .. }) => {
                lines(f, grid, |f, row| numbers(f, row))
            }
            Cells::List(list) | Cells::Tokens(list) => numbers(f, list),
        }
    }
}

fn lines<T>(
    f: &mut fmt::Formatter<'_>,
    rows: &[T],
    print: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            f.write_str("\n")?;
        }
        print(f, row)?;
    }
    Ok(())
}

fn numbers(f: &mut fmt::Formatter<'_>, row: &[i64]) -> fmt::Result {
    for (i, number) in row.iter().enumerate() {
        if i > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{number}")?;
    }
    Ok(())
}

impl From<Cells> for Puzzle {
    /// The puzzle that has nothing but its content.
    fn from(cells: Cells) -> Puzzle {
        Puzzle {
            id: None,
            cells,
            solution: None,
            task: None,
            puzzle_id: None,
        }
    }
}
