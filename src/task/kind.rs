//! Which kind of puzzle a document is.

use std::fmt;
use std::str::FromStr;

use super::common::shown;
use super::{Cells, Puzzle, TokenSpec, sudoku};
use crate::error::{Error, Hint, Result};

/// The kinds of puzzle that this library knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// n x n digits.
    Sudoku,
    /// `# SGo`.
    Maze,
    /// Grids of ten colours.
    Arc,
    /// A model's own tokens.
    Tokens,
}

impl TaskKind {
    /// All kinds.
    pub const ALL: [TaskKind; 4] = [TaskKind::Sudoku, TaskKind::Maze, TaskKind::Arc, TaskKind::Tokens];

    /// The name that options, documents and `config.json` use: `sudoku`, `maze`, `arc`, `tokens`.
    pub fn name(self) -> &'static str {
        match self {
            TaskKind::Sudoku => "sudoku",
            TaskKind::Maze => "maze",
            TaskKind::Arc => "arc",
            TaskKind::Tokens => "tokens",
        }
    }

    fn singular(self) -> &'static str {
        match self {
            TaskKind::Sudoku => "a Sudoku",
            TaskKind::Maze => "a maze",
            TaskKind::Arc => "an ARC task",
            TaskKind::Tokens => "a list of tokens",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            TaskKind::Sudoku => "Sudokus",
            TaskKind::Maze => "mazes",
            TaskKind::Arc => "ARC tasks",
            TaskKind::Tokens => "raw tokens",
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

    fn from_str(name: &str) -> Result<TaskKind> {
        TaskKind::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                Error::puzzle(format!(
                    "there is no task \"{}\": the tasks are sudoku, maze, arc, tokens",
                    shown(name)
                ))
            })
    }
}

/// Which kind of puzzle this is, for a model that is known (`space`, and `model_task` where it names one) or not.
///
/// The first of these decides: `hint` (the user's word), the document's `task`, its form, the model.
///
/// # Errors
/// Where the document contradicts the model, names an unknown task, or leaves a doubt; the message says what to do.
pub fn detect(
    puzzle: &Puzzle,
    space: Option<&TokenSpec>,
    hint: Option<TaskKind>,
    model_task: Option<&str>,
) -> Result<TaskKind> {
    if let Some(kind) = hint {
        return Ok(kind);
    }
    // A task that an app brought is none of ours, and says nothing.
    let model = model_task.and_then(|name| name.parse::<TaskKind>().ok());
    let kind = match &puzzle.task {
        Some(name) => name.parse()?,
        None => match form(&puzzle.cells)? {
            Some(kind) => kind,
            None => return numbers(&puzzle.cells, space, model),
        },
    };
    match (model, space) {
        _ if kind == TaskKind::Tokens => {}
        (Some(model), _) if model != kind => {
            return Err(Error::puzzle(format!(
                "this is {}, but the model solves {}",
                kind.singular(),
                model.plural()
            )));
        }
        (None, Some(space)) if puzzle.task.is_none() => fits_vocabulary(kind, &puzzle.cells, space)?,
        _ => {}
    }
    Ok(kind)
}

/// What the form says alone; `None` for plain numbers, which may be anything.
fn form(content: &Cells) -> Result<Option<TaskKind>> {
    match content {
        Cells::Arc(_) => Ok(Some(TaskKind::Arc)),
        Cells::Tokens(_) => Ok(Some(TaskKind::Tokens)),
        Cells::Grid(_) | Cells::List(_) => Ok(None),
        Cells::Text(text) => characters(std::slice::from_ref(text)).map(Some),
        Cells::Rows(rows) => characters(rows).map(Some),
    }
}

/// Large Sudokus use letters too, `S` and `G` among them: walls tell a maze, digits and dots a Sudoku.
fn characters(rows: &[String]) -> Result<TaskKind> {
    let any = |known: fn(char) -> bool| rows.iter().any(|row| row.chars().any(known));
    if any(|c| c == '#') {
        Ok(TaskKind::Maze)
    } else if any(|c| c == '.' || c.is_ascii_digit()) {
        Ok(TaskKind::Sudoku)
    } else if any(|c| "SGo".contains(c)) && !any(|c| !" SGo\r\n".contains(c)) {
        Ok(TaskKind::Maze)
    } else {
        Err(Error::puzzle(
            "this is neither a Sudoku (digits, with 0 or . for blanks) nor a maze (# for walls, blanks for free \
             cells, S for the start, G for the goal)",
        ))
    }
}

/// Plain numbers: what the model solves, else what they can be.
fn numbers(content: &Cells, space: Option<&TokenSpec>, model: Option<TaskKind>) -> Result<TaskKind> {
    if let Some(model) = model {
        return Ok(model);
    }
    let n = sudoku::side_of(content);
    let (sudoku, arc) = match space {
        None => (n.is_some(), false),
        Some(space) => (
            n.is_some_and(|n| n + 2 == space.vocab_size && space.seq_len.is_none_or(|cells| cells == n * n)),
            space.vocab_size == ARC_VOCABULARY && matches!(content, Cells::Grid(_)),
        ),
    };
    match (sudoku, arc) {
        (true, false) => Ok(TaskKind::Sudoku),
        (false, true) => Ok(TaskKind::Arc),
        _ => Err(
            Error::puzzle("these numbers can be a Sudoku, an ARC grid or raw tokens").with_hint(
                Hint::ChooseTask(vec!["sudoku", "arc", "tokens"]),
            ),
        ),
    }
}

const MAZE_VOCABULARY: usize = 6;
const ARC_VOCABULARY: usize = 12;

/// Where only the form of the puzzle speaks, the model must have the vocabulary of that kind.
fn fits_vocabulary(kind: TaskKind, content: &Cells, space: &TokenSpec) -> Result<()> {
    let v = space.vocab_size;
    let usual = match kind {
        TaskKind::Maze => MAZE_VOCABULARY,
        TaskKind::Arc => ARC_VOCABULARY,
        // Too few digits, or a wrong size, is what the Sudoku itself can say best.
        TaskKind::Sudoku => sudoku::side_of(content).map_or(v, |n| (n + 2).min(v)),
        TaskKind::Tokens => v,
    };
    if usual == v {
        return Ok(());
    }
    let (this, name) = (kind.singular(), kind.name());
    Err(Error::puzzle(format!(
        "this is {this}, which has {usual} kinds of token, but the model has {v}: it was trained on something else"
    ))
    .with_hint(Hint::ChooseTask(vec![name])))
}
