//! Detects which kind of puzzle a document is.

use std::fmt;
use std::str::FromStr;

use super::common::escape_name;
use super::{Cells, Puzzle, TokenSpec, sudoku};
use crate::error::{Error, Hint, Result};

/// The kinds of puzzle that the library supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// A Sudoku: n x n digits.
    Sudoku,
    /// A maze: n x n of the characters `# SGo`.
    Maze,
    /// An ARC task: grids of ten colours.
    Arc,
    /// Raw tokens of a model.
    Tokens,
}

impl TaskKind {
    /// All kinds, in the order of the variants.
    pub const ALL: [Self; 4] = [Self::Sudoku, Self::Maze, Self::Arc, Self::Tokens];

    /// Returns the name in documents and in `config.json`: `sudoku`, `maze`, `arc` or `tokens`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sudoku => "sudoku",
            Self::Maze => "maze",
            Self::Arc => "arc",
            Self::Tokens => "tokens",
        }
    }

    fn singular(self) -> &'static str {
        match self {
            Self::Sudoku => "a Sudoku",
            Self::Maze => "a maze",
            Self::Arc => "an ARC task",
            Self::Tokens => "a list of tokens",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Sudoku => "Sudokus",
            Self::Maze => "mazes",
            Self::Arc => "ARC tasks",
            Self::Tokens => "raw tokens",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for TaskKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                Error::puzzle(format!(
                    "there is no task \"{}\": the tasks are sudoku, maze, arc, tokens",
                    escape_name(name)
                ))
            })
    }
}

/// Detects which kind of puzzle this is.
///
/// The first of these that is present decides: `requested`, which the user chose; the `task` of the
/// document; the form of the cells; the model. `spec` describes the model, if it is known, and
/// `model_task` is the task that its configuration names.
///
/// # Errors
/// If the document contradicts the model or names an unknown task, or if several kinds are
/// possible.
pub fn detect(
    puzzle: &Puzzle,
    spec: Option<&TokenSpec>,
    requested: Option<TaskKind>,
    model_task: Option<&str>,
) -> Result<TaskKind> {
    if let Some(kind) = requested {
        return Ok(kind);
    }
    // The task of an app has another name. It does not decide the kind.
    let model = model_task.and_then(|name| name.parse::<TaskKind>().ok());
    let kind = match &puzzle.task {
        Some(name) => name.parse()?,
        None => match kind_from_form(&puzzle.cells)? {
            Some(kind) => kind,
            None => return kind_from_numbers(&puzzle.cells, spec, model),
        },
    };
    match (model, spec) {
        _ if kind == TaskKind::Tokens => {}
        (Some(model), _) if model != kind => {
            return Err(Error::puzzle(format!(
                "this is {}, but the model solves {}",
                kind.singular(),
                model.plural()
            )));
        }
        (None, Some(spec)) if puzzle.task.is_none() => check_vocabulary(kind, &puzzle.cells, spec)?,
        _ => {}
    }
    Ok(kind)
}

/// Returns the kind that the form of the cells implies, or `None` for numbers, which fit several
/// kinds.
fn kind_from_form(cells: &Cells) -> Result<Option<TaskKind>> {
    match cells {
        Cells::Arc(_) => Ok(Some(TaskKind::Arc)),
        Cells::Tokens(_) => Ok(Some(TaskKind::Tokens)),
        Cells::Grid(_) | Cells::List(_) => Ok(None),
        Cells::Text(text) => kind_from_chars(std::slice::from_ref(text)).map(Some),
        Cells::Rows(rows) => kind_from_chars(rows).map(Some),
    }
}

/// Returns the kind that the characters imply.
///
/// Large Sudokus also use the letters `S` and `G`. Therefore a wall identifies a maze, and
/// otherwise a digit or a dot identifies a Sudoku.
fn kind_from_chars(rows: &[String]) -> Result<TaskKind> {
    let any = |test: fn(char) -> bool| rows.iter().any(|row| row.chars().any(test));
    if any(|c| c == '#') {
        Ok(TaskKind::Maze)
    } else if any(|c| c == '.' || c.is_ascii_digit()) {
        Ok(TaskKind::Sudoku)
    } else if any(|c| "SGo".contains(c)) && !any(|c| !" SGo\r\n".contains(c)) {
        Ok(TaskKind::Maze)
    } else {
        Err(Error::puzzle(
            "this is neither a Sudoku (digits, with 0 or . for blanks) nor a maze (# for walls, \
             blanks for free cells, S for the start, G for the goal)",
        ))
    }
}

/// Returns the kind of cells that are numbers: the kind that the model solves, or else the only
/// kind that fits the numbers.
///
/// # Errors
/// If no kind fits, or several.
fn kind_from_numbers(
    cells: &Cells,
    spec: Option<&TokenSpec>,
    model: Option<TaskKind>,
) -> Result<TaskKind> {
    if let Some(model) = model {
        return Ok(model);
    }
    let n = sudoku::side_of(cells);
    let (sudoku, arc) = match spec {
        None => (n.is_some(), false),
        Some(spec) => (
            n.is_some_and(|n| {
                n + 2 == spec.vocab_size && spec.seq_len.is_none_or(|cells| cells == n * n)
            }),
            spec.vocab_size == ARC_VOCAB_SIZE && matches!(cells, Cells::Grid(_)),
        ),
    };
    match (sudoku, arc) {
        (true, false) => Ok(TaskKind::Sudoku),
        (false, true) => Ok(TaskKind::Arc),
        _ => Err(
            Error::puzzle("these numbers can be a Sudoku, an ARC grid or raw tokens")
                .with_hint(Hint::ChooseTask(vec!["sudoku", "arc", "tokens"])),
        ),
    }
}

const MAZE_VOCAB_SIZE: usize = 6;
const ARC_VOCAB_SIZE: usize = 12;

/// Checks that the model has the vocabulary of `kind`.
///
/// # Errors
/// If the vocabulary of the model has a different size.
fn check_vocabulary(kind: TaskKind, cells: &Cells, spec: &TokenSpec) -> Result<()> {
    let v = spec.vocab_size;
    let expected = match kind {
        TaskKind::Maze => MAZE_VOCAB_SIZE,
        TaskKind::Arc => ARC_VOCAB_SIZE,
        // `Sudoku::encode` has a better message about too few digits or a wrong size.
        TaskKind::Sudoku => sudoku::side_of(cells).map_or(v, |n| (n + 2).min(v)),
        TaskKind::Tokens => v,
    };
    if expected == v {
        return Ok(());
    }
    let (this, name) = (kind.singular(), kind.name());
    Err(Error::puzzle(format!(
        "this is {this}, which has {expected} kinds of token, but the model has {v}: it was \
         trained on something else"
    ))
    .with_hint(Hint::ChooseTask(vec![name])))
}
