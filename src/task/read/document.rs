//! Reads the puzzles of a JSON document.

use super::json::Json;
use super::values::{self, pair_name, pairs};
use crate::error::{Error, Result};
use crate::task::puzzle::{ArcPuzzle, Cells, Demonstration, Id, Puzzle};
use std::collections::VecDeque;
use std::sync::Arc;

/// The largest number of unknown fields that are reported.
const MAX_WARNINGS: usize = 16;

/// The puzzles of a document, converted one by one.
///
/// The puzzles of a document can take much more memory than the document itself.
#[derive(Debug)]
pub(crate) struct DocumentPuzzles {
    /// The name of an ARC task without an `id`.
    name: Option<String>,
    remaining: Remaining,
    /// The remaining test inputs of the last ARC task.
    ready: VecDeque<Puzzle>,
    /// The unknown fields that were reported. Each is reported once, not once per puzzle. The
    /// reader of a stream passes this list on to the next document.
    pub(crate) reported_fields: Vec<String>,
}

/// The error about a puzzle that cannot be read.
#[derive(Debug)]
pub(crate) struct PuzzleError {
    /// The identifier of the puzzle, if it could be read.
    pub(crate) id: Option<Id>,
    pub(crate) error: Error,
}

/// The values of a document that are not converted yet.
#[derive(Debug)]
enum Remaining {
    None,
    One(Json),
    List(std::vec::IntoIter<Json>),
    Collection(std::vec::IntoIter<(String, Json)>),
}

impl DocumentPuzzles {
    /// Creates an iterator over the puzzles of `document`.
    ///
    /// `name` is the name of an ARC task without an `id`.
    pub(crate) fn new(document: Json, name: Option<&str>) -> Self {
        let remaining = match document {
            Json::Ints(list) if list.is_empty() => Remaining::None,
            Json::List(list) if is_list_of_puzzles(&list) => Remaining::List(list.into_iter()),
            Json::Object(fields) if is_collection(&fields) => {
                Remaining::Collection(fields.into_iter())
            }
            one => Remaining::One(one),
        };
        // The name of the file is the name of a single task, not of each task in a list.
        let name = name
            .filter(|_| matches!(remaining, Remaining::One(_)))
            .map(str::to_owned);
        Self {
            name,
            remaining,
            ready: VecDeque::new(),
            reported_fields: Vec::new(),
        }
    }

    /// Returns whether the document is a single value, and not a list or a collection.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.remaining, Remaining::One(_))
    }

    fn read(&mut self, json: Json, key: Option<String>) -> Result<(), PuzzleError> {
        match json {
            Json::Object(fields) => {
                let mut object = PuzzleFields::default();
                let puzzles = object
                    .read(fields)
                    .and_then(|()| object.puzzles(key.as_deref().or(self.name.as_deref())));
                self.ready = puzzles.map_err(|error| PuzzleError {
                    id: object.id.take().or_else(|| key.map(Id::Text)),
                    error,
                })?;
                self.report(object.unknown);
            }
            bare => {
                let cells = values::cells(bare)
                    .map_err(|e| e.context("the puzzle"))
                    .map_err(|error| PuzzleError { id: None, error })?;
                self.ready.push_back(cells.into());
            }
        }
        Ok(())
    }

    /// Logs a warning about each field that was not reported before.
    fn report(&mut self, unknown: Vec<String>) {
        for field in unknown {
            if self.reported_fields.len() < MAX_WARNINGS && !self.reported_fields.contains(&field) {
                log::warn!("the field `{field}` of a puzzle is not known; it is ignored");
                self.reported_fields.push(field);
            }
        }
    }
}

impl Iterator for DocumentPuzzles {
    type Item = Result<Puzzle, PuzzleError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(puzzle) = self.ready.pop_front() {
                return Some(Ok(puzzle));
            }
            let (json, key) = match &mut self.remaining {
                Remaining::None => return None,
                Remaining::One(json) => {
                    let json = std::mem::replace(json, Json::Null);
                    self.remaining = Remaining::None;
                    (json, None)
                }
                Remaining::List(list) => (list.next()?, None),
                Remaining::Collection(fields) => {
                    let (key, json) = fields.next()?;
                    (json, Some(key))
                }
            };
            if let Err(error) = self.read(json, key) {
                return Some(Err(error));
            }
        }
    }
}

/// Returns whether a list is a list of puzzles.
///
/// A square list of strings or of rows of numbers is one puzzle. A list with numbers, `null` or
/// booleans is not a list of puzzles.
fn is_list_of_puzzles(list: &[Json]) -> bool {
    let n = list.len();
    let is_one_puzzle = list
        .iter()
        .all(|row| matches!(row, Json::Text(text) if text.chars().count() == n))
        || (n >= 2
            && list
                .iter()
                .all(|row| matches!(row, Json::Ints(row) if row.len() == n)));
    let can_be_puzzle = |json: &Json| {
        matches!(
            json,
            Json::Text(_) | Json::Ints(_) | Json::List(_) | Json::Object(_)
        )
    };
    !is_one_puzzle && list.iter().all(can_be_puzzle)
}

/// Returns whether an object is a collection of ARC tasks by name.
fn is_collection(fields: &[(String, Json)]) -> bool {
    !fields.is_empty()
        && fields
            .iter()
            .all(|(name, value)| matches!(value, Json::Object(_)) && !is_puzzle_field(name))
}

/// Returns whether a field holds the cells of a puzzle. Every object that is a puzzle has one.
pub(crate) fn is_puzzle_field(field: &str) -> bool {
    matches!(field, "puzzle" | "tokens" | "train" | "test")
}

/// The fields of an object that is a puzzle.
#[derive(Default)]
struct PuzzleFields {
    id: Option<Id>,
    task: Option<String>,
    puzzle_id: Option<u32>,
    puzzle: Option<Json>,
    tokens: Option<Json>,
    train: Option<Json>,
    test: Option<Json>,
    solution: Option<Json>,
    /// The names of unknown fields.
    unknown: Vec<String>,
}

impl PuzzleFields {
    /// Reads the fields of an object. If a field occurs twice, the last one counts. A field that is
    /// `null` counts as absent.
    fn read(&mut self, fields: Vec<(String, Json)>) -> Result<()> {
        let mut first_error = None;
        for (name, value) in fields {
            let value = Some(value).filter(|value| *value != Json::Null);
            match name.as_str() {
                "puzzle" => self.puzzle = value,
                "tokens" => self.tokens = value,
                "train" => self.train = value,
                "test" => self.test = value,
                "solution" => self.solution = value,
                // Reading continues after an error, because the error report includes the `id`.
                "id" => {
                    self.id = value
                        .map(values::id)
                        .transpose()
                        .unwrap_or_else(|e| keep_first(&mut first_error, e.context("`id`")));
                }
                "task" => {
                    self.task = value
                        .map(values::task)
                        .transpose()
                        .unwrap_or_else(|e| keep_first(&mut first_error, e.context("`task`")));
                }
                "puzzle_id" => {
                    self.puzzle_id = value
                        .map(values::puzzle_id)
                        .transpose()
                        .unwrap_or_else(|e| keep_first(&mut first_error, e.context("`puzzle_id`")));
                }
                _ if self.unknown.len() < MAX_WARNINGS => {
                    self.unknown.push(name.chars().take(40).collect());
                }
                _ => {}
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Returns the puzzles of the object. An ARC task has one puzzle per test input.
    fn puzzles(&mut self, name: Option<&str>) -> Result<VecDeque<Puzzle>> {
        let arc = self.train.is_some() || self.test.is_some();
        let puzzles = match (self.puzzle.take(), self.tokens.take(), arc) {
            (Some(puzzle), None, false) => self.cells_puzzle(puzzle)?,
            (None, Some(list), false) => self.tokens_puzzle(list)?,
            (None, None, true) => self.arc_puzzles(name)?,
            (None, None, false) => {
                let found = self
                    .unknown
                    .first()
                    .map(|name| format!("; this one has `{name}`"))
                    .unwrap_or_default();
                return Err(Error::puzzle(format!(
                    "an object needs `puzzle`, or `tokens`, or `train` and `test`{found}"
                )));
            }
            _ => {
                return Err(Error::puzzle(
                    "an object can have only one of `puzzle`, `tokens`, and `train` with `test`",
                ));
            }
        };
        Ok(puzzles)
    }

    fn cells_puzzle(&mut self, puzzle: Json) -> Result<VecDeque<Puzzle>> {
        let cells = values::cells(puzzle).map_err(|e| e.context("`puzzle`"))?;
        let solution = self
            .solution
            .take()
            .map(values::cells)
            .transpose()
            .map_err(|e| e.context("`solution`"))?;
        Ok([self.puzzle_of(cells, solution, self.id.clone())].into())
    }

    fn tokens_puzzle(&mut self, list: Json) -> Result<VecDeque<Puzzle>> {
        let cells = values::tokens(list).map_err(|e| e.context("`tokens`"))?;
        let solution = self
            .solution
            .take()
            .map(values::tokens)
            .transpose()
            .map_err(|e| e.context("`solution`"))?;
        Ok([self.puzzle_of(cells, solution, self.id.clone())].into())
    }

    fn arc_puzzles(&mut self, name: Option<&str>) -> Result<VecDeque<Puzzle>> {
        let task = self
            .id
            .as_ref()
            .map(Id::to_string)
            .or_else(|| name.map(str::to_owned));
        let mut train = Vec::new();
        for (i, (input, output)) in pairs(self.train.take(), "train")?.into_iter().enumerate() {
            let output = output
                .ok_or_else(|| Error::puzzle("has no `output`").context(pair_name("train", i)))?;
            train.push((input, output));
        }
        let train: Arc<[Demonstration]> = train.into();
        let mut tests = pairs(self.test.take(), "test")?;
        if let Some(solution) = self.solution.take() {
            match tests.as_mut_slice() {
                [(_, output)] => {
                    let solution = values::grid(solution).map_err(|e| e.context("`solution`"))?;
                    *output = Some(solution);
                }
                _ => {
                    let message = "an ARC task with several test inputs needs an `output` in each \
                                   of them instead";
                    return Err(Error::puzzle(message).context("`solution`"));
                }
            }
        }
        let several = tests.len() > 1;
        let puzzles: VecDeque<Puzzle> = tests
            .into_iter()
            .enumerate()
            .map(|(i, (test, output))| {
                let id = match &task {
                    Some(task) if several => Some(Id::Text(format!("{task}-{}", i + 1))),
                    // An `id` that is a number stays a number.
                    Some(task) => self.id.clone().or_else(|| Some(Id::Text(task.clone()))),
                    None => None,
                };
                let arc = ArcPuzzle {
                    task: task.clone(),
                    train: train.clone(),
                    test,
                };
                self.puzzle_of(Cells::Arc(arc), output.map(Cells::Grid), id)
            })
            .collect();
        if puzzles.is_empty() {
            return Err(Error::puzzle("the ARC task has no `test` input"));
        }
        Ok(puzzles)
    }

    fn puzzle_of(&self, cells: Cells, solution: Option<Cells>, id: Option<Id>) -> Puzzle {
        Puzzle {
            id,
            cells,
            solution,
            task: self.task.clone(),
            puzzle_id: self.puzzle_id,
        }
    }
}

/// Keeps only the first error.
fn keep_first<T>(first: &mut Option<Error>, error: Error) -> Option<T> {
    first.get_or_insert(error);
    None
}
