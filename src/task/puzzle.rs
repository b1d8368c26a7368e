//! A puzzle as it was written.

use crate::error::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// The largest number of cells that a puzzle may have.
pub(crate) const MAX_CELLS: usize = 65_536;
/// The largest size of a document, in bytes: 8 MiB.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 8 << 20;

/// The identifier of a puzzle in the output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// A number: the `id` of the document, or else the number of the record.
    Number(u64),
    /// A name: the `id` of the document.
    Text(String),
}

/// The cells of a puzzle, a solution or an answer, in the form in which they were written.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// One string of n x n characters, row by row: `"53..7...."`.
    Text(String),
    /// A list of strings, one per row.
    Rows(Vec<String>),
    /// A list of lists of numbers, one per row.
    Grid(Vec<Vec<i64>>),
    /// A flat list of numbers.
    List(Vec<i64>),
    /// An ARC task: its demonstrations and one test input.
    Arc(ArcPuzzle),
    /// The tokens of a model: `{"tokens": [...]}`.
    Tokens(Vec<i64>),
}

/// One test input of an ARC task.
#[derive(Debug, Clone, PartialEq)]
pub struct ArcPuzzle {
    /// The name of the task, if known: its `id`, its key in a collection of tasks, or the name of
    /// the file.
    pub task: Option<String>,
    /// The demonstrations. All test inputs of the task share them.
    pub train: Arc<[Demonstration]>,
    /// The test input. The model predicts its output.
    pub test: Vec<Vec<i64>>,
}

/// A demonstration of an ARC task: the input grid, then the output grid.
pub type Demonstration = (Vec<Vec<i64>>, Vec<Vec<i64>>);

/// A puzzle as it was written, before a [`Task`](super::Task) encodes it.
///
/// A text that starts with `{`, `[` or `"` is parsed as JSON. Any other text is one puzzle in plain
/// text: all cells on one line, or one row per line. In the text of a Sudoku, white space, `|` and
/// lines of `-` and `+` are ignored. The rows of a maze are kept as they are, because a space is a
/// free cell.
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
    /// The `id`, if given.
    pub id: Option<Id>,
    /// The cells.
    pub cells: Cells,
    /// The `solution`, if given.
    pub solution: Option<Cells>,
    /// The name of the `task`, if given.
    pub task: Option<String>,
    /// The `puzzle_id`, if given: the row of the puzzle embedding.
    pub puzzle_id: Option<u32>,
}

impl Id {
    /// Returns the identifier as a JSON number or a JSON string.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Id {
    fn from(name: &str) -> Self {
        Self::Text(name.to_owned())
    }
}

impl From<String> for Id {
    fn from(name: String) -> Self {
        Self::Text(name)
    }
}

impl Cells {
    /// Returns the number of cells. For an ARC task these are the cells of the test input.
    pub fn count(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            Self::Rows(rows) => rows.iter().map(|row| row.chars().count()).sum(),
            Self::Grid(grid) | Self::Arc(ArcPuzzle { test: grid, .. }) => {
                grid.iter().map(Vec::len).sum()
            }
            Self::List(list) | Self::Tokens(list) => list.len(),
        }
    }

    /// Returns the cells as JSON in the form in which they were written: a string, a list of
    /// strings, or arrays of numbers.
    ///
    /// For an ARC task this is the test input, for raw tokens the flat list.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Rows(rows) => rows.iter().map(String::as_str).collect(),
            Self::Grid(grid) | Self::Arc(ArcPuzzle { test: grid, .. }) => {
                grid.iter().map(Vec::as_slice).collect()
            }
            Self::List(list) | Self::Tokens(list) => list.as_slice().into(),
        }
    }

    /// Returns the cells unchanged.
    ///
    /// # Errors
    /// If there are no cells, or more than [`MAX_CELLS`].
    pub(crate) fn bounded(self) -> Result<Self> {
        match self.count() {
            0 => Err(Error::puzzle("is empty")),
            n if n > MAX_CELLS => Err(Error::puzzle(format!(
                "has {n} cells; the limit is {MAX_CELLS}"
            ))),
            _ => Ok(self),
        }
    }
}

impl fmt::Display for Cells {
    /// Writes text as it is, lists with one row per line, and numbers separated by spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Rows(rows) => write_lines(f, rows, |f, row| f.write_str(row)),
            Self::Grid(grid) | Self::Arc(ArcPuzzle { test: grid, .. }) => {
                write_lines(f, grid, |f, row| write_numbers(f, row))
            }
            Self::List(list) | Self::Tokens(list) => write_numbers(f, list),
        }
    }
}

fn write_lines<T>(
    f: &mut fmt::Formatter<'_>,
    rows: &[T],
    write_row: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            f.write_str("\n")?;
        }
        write_row(f, row)?;
    }
    Ok(())
}

fn write_numbers(f: &mut fmt::Formatter<'_>, row: &[i64]) -> fmt::Result {
    for (i, number) in row.iter().enumerate() {
        if i > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{number}")?;
    }
    Ok(())
}

impl From<Cells> for Puzzle {
    /// Creates a puzzle that has only cells.
    fn from(cells: Cells) -> Self {
        Self {
            id: None,
            cells,
            solution: None,
            task: None,
            puzzle_id: None,
        }
    }
}
