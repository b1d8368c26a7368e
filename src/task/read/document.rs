//! Reads the puzzles of a JSON document.

use super::json::Json;
use super::names;
use super::text;
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
    /// The document has a field for a puzzle.
    pub(crate) is_puzzle: bool,
}

/// The values of a document that are not converted yet.
#[derive(Debug)]
enum Remaining {
    None,
    One(Json),
    List(std::vec::IntoIter<Json>),
    Collection(std::vec::IntoIter<(String, Json)>),
    /// The puzzles inside a wrapper, and what follows the wrapper.
    Nested(std::vec::IntoIter<Json>, Box<Self>),
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
                let fields = match unwrap(fields).map_err(|error| PuzzleError {
                    id: None,
                    error,
                    is_puzzle: true,
                })? {
                    Unwrapped::Puzzle(fields) => fields,
                    Unwrapped::Several(list) => {
                        self.remaining = Remaining::Nested(
                            list.into_iter(),
                            Box::new(std::mem::replace(&mut self.remaining, Remaining::None)),
                        );
                        return Ok(());
                    }
                };
                let mut object = PuzzleFields::default();
                let puzzles = object
                    .read(fields)
                    .and_then(|()| object.puzzles(key.as_deref().or(self.name.as_deref())));
                self.ready = puzzles.map_err(|error| PuzzleError {
                    id: object.id.take().or_else(|| key.map(Id::Text)),
                    error,
                    is_puzzle: object.has_puzzle,
                })?;
                self.report(object.unknown);
            }
            bare => {
                let cells = values::cells(bare)
                    .map_err(|e| e.context("the puzzle"))
                    .map_err(|error| PuzzleError {
                        id: None,
                        error,
                        is_puzzle: true,
                    })?;
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
                Remaining::Nested(list, after) => match list.next() {
                    Some(json) => (json, None),
                    None => {
                        self.remaining = std::mem::replace(after, Remaining::None);
                        continue;
                    }
                },
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
    let is_row_of_cells = |row: &Json| match row {
        Json::Ints(row) => row.len() == n,
        Json::List(row) => row.len() == n && row.iter().all(values::is_cell),
        _ => false,
    };
    let is_square = |count: usize| count.isqrt() >= 4 && count.isqrt().pow(2) == count;
    // Single characters: a row each, or all cells.
    let is_grid_of_cells = (n >= 2 && list.iter().all(is_row_of_cells))
        || (is_square(n) && list.iter().all(values::is_cell));
    let is_grid_of_strings = || {
        let rows: Option<Vec<String>> = list
            .iter()
            .map(|row| match row {
                Json::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect();
        (4..=256).contains(&n) && rows.is_some_and(text::is_one_grid)
    };
    let is_one_puzzle = is_grid_of_cells
        || list
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
    !is_one_puzzle && list.iter().all(can_be_puzzle) && !is_grid_of_strings()
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
    matches!(field, "tokens" | "train" | "test") || names::is_one_of(field, &names::PUZZLE)
}

/// The largest nesting depth of wrappers around puzzles.
const MAX_WRAPPERS: usize = 8;

/// What is inside a wrapper.
enum Unwrapped {
    /// The fields of one puzzle.
    Puzzle(Vec<(String, Json)>),
    /// Several puzzles, or one that is not an object.
    Several(Vec<Json>),
}

/// Removes the wrappers of a web service: `{"newboard": {"grids": [{"value": ...}]}}`.
///
/// An object without a field of a puzzle is a wrapper, if exactly one of its fields has puzzles.
///
/// # Errors
/// If several fields have puzzles, or if this is a pair of an ARC task.
fn unwrap(fields: Vec<(String, Json)>) -> Result<Unwrapped> {
    if is_bare_pair(&fields) {
        return Err(Error::puzzle(
            "this is a pair of an ARC task, not a puzzle: expected an object with `train` and \
             `test`",
        ));
    }
    let is_own = |(name, value): &(String, Json)| is_puzzle_field(name) && !is_wrapper(value);
    if fields.iter().any(is_own) {
        return Ok(Unwrapped::Puzzle(fields));
    }
    let inner: Vec<usize> = (0..fields.len())
        .filter(|&i| {
            fields
                .get(i)
                .is_some_and(|(_, value)| holds_puzzles(value, MAX_WRAPPERS))
        })
        .collect();
    match inner.as_slice() {
        [] => Ok(Unwrapped::Puzzle(fields)),
        [only] => {
            let value = fields.into_iter().nth(*only).map(|(_, value)| value);
            match value {
                Some(Json::Object(fields)) => unwrap(fields),
                Some(Json::List(list)) => Ok(Unwrapped::Several(list)),
                _ => Ok(Unwrapped::Several(Vec::new())),
            }
        }
        several => {
            let name = |i: &usize| fields.get(*i).map(|(name, _)| format!("`{}`", shown(name)));
            let names: Vec<String> = several.iter().take(4).filter_map(name).collect();
            Err(Error::puzzle(format!(
                "several fields of the object have puzzles: {}",
                names.join(", ")
            )))
        }
    }
}

/// Returns whether the value of a field for a puzzle is another object, or a list of objects.
fn is_wrapper(value: &Json) -> bool {
    let is_puzzle = |value: &Json| match value {
        // A pair of an ARC task is no puzzle.
        Json::Object(fields) => fields
            .iter()
            .any(|(name, _)| is_puzzle_field(name) && !is_pair_field(name)),
        _ => false,
    };
    match value {
        Json::Object(_) => true,
        Json::List(list) => !list.is_empty() && list.iter().all(is_puzzle),
        _ => false,
    }
}

/// Returns whether an object is a pair of an ARC task on its own: its grids are smaller than a
/// Sudoku, or not square.
fn is_bare_pair(fields: &[(String, Json)]) -> bool {
    let is_small = |(_, value): &(String, Json)| match value {
        Json::List(rows) => rows.len() < 4 || !is_one_grid(rows),
        _ => false,
    };
    !fields.is_empty()
        && fields.iter().all(|(name, _)| is_pair_field(name))
        && fields.iter().any(is_small)
}

/// Returns whether n rows of numbers have n numbers each.
fn is_one_grid(rows: &[Json]) -> bool {
    let is_row = |row: &Json| matches!(row, Json::Ints(row) if row.len() == rows.len());
    rows.iter().all(is_row)
}

/// Returns whether a field is part of a pair of an ARC task.
pub(crate) fn is_pair_field(name: &str) -> bool {
    matches!(name, "input" | "output")
}

/// Returns whether a value is an object with a puzzle, or a wrapper or a list of such objects.
fn holds_puzzles(value: &Json, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    match value {
        Json::Object(fields) => fields
            .iter()
            .any(|(name, value)| is_puzzle_field(name) || holds_puzzles(value, depth)),
        Json::List(list) => {
            !list.is_empty()
                && list.iter().all(|value| matches!(value, Json::Object(_)))
                && list.iter().all(|value| holds_puzzles(value, depth))
        }
        _ => false,
    }
}

/// Returns a name for a message.
fn shown(name: &str) -> String {
    name.chars().take(40).flat_map(char::escape_debug).collect()
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
    /// The names of the fields of the puzzle and of the solution.
    names: [String; 2],
    /// The object has a field for a puzzle.
    has_puzzle: bool,
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
            self.has_puzzle |= is_puzzle_field(&name);
            match name.as_str() {
                "tokens" => self.tokens = value,
                "train" => self.train = value,
                "test" => self.test = value,
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
                other if names::is_one_of(other, &names::PUZZLE) => {
                    let [kept_name, _] = &mut self.names;
                    if let Err(e) = keep_field(&mut self.puzzle, kept_name, &name, value) {
                        first_error.get_or_insert(e.context("the puzzle"));
                    }
                }
                other if names::is_one_of(other, &names::SOLUTION) => {
                    let [_, kept_name] = &mut self.names;
                    if let Err(e) = keep_field(&mut self.solution, kept_name, &name, value) {
                        first_error.get_or_insert(e.context("the solution"));
                    }
                }
                other if names::is_one_of(other, &names::ID) => {
                    // Another name than `id` counts if its value can be an identifier.
                    let id = value.and_then(|value| values::id(value).ok());
                    self.id = self.id.take().or(id);
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
        let [puzzle_name, solution_name] = &self.names;
        let cells =
            values::cells(puzzle).map_err(|e| e.context(format!("`{}`", shown(puzzle_name))))?;
        let solution = self
            .solution
            .take()
            .map(values::cells)
            .transpose()
            .map_err(|e| e.context(format!("`{}`", shown(solution_name))))?;
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

/// Keeps a field of a puzzle or a solution. Of two fields, the one that has cells counts, or else
/// the first one.
///
/// # Errors
/// If two fields have different cells.
fn keep_field(
    kept: &mut Option<Json>,
    kept_name: &mut String,
    name: &str,
    value: Option<Json>,
) -> Result<()> {
    // The same field again replaces the first one.
    if name == kept_name || kept.is_none() {
        if value.is_some() || name == kept_name {
            *kept = value;
            name.clone_into(kept_name);
        }
        return Ok(());
    }
    let Some(value) = value.filter(|value| kept.as_ref() != Some(value)) else {
        return Ok(());
    };
    let has_cells = |json: &Json| match json {
        Json::Text(text) => text.chars().count() >= 4,
        Json::Ints(list) => list.len() >= 4,
        Json::List(list) => list.len() >= 2,
        _ => false,
    };
    match (kept.as_ref().is_some_and(has_cells), has_cells(&value)) {
        (true, true) => Err(Error::puzzle(format!(
            "the fields `{}` and `{}` differ, but both have cells",
            shown(kept_name),
            shown(name),
        ))),
        (false, true) => {
            *kept = Some(value);
            name.clone_into(kept_name);
            Ok(())
        }
        (_, false) => Ok(()),
    }
}

/// Keeps only the first error.
fn keep_first<T>(first: &mut Option<Error>, error: Error) -> Option<T> {
    first.get_or_insert(error);
    None
}
