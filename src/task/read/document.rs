//! The puzzles of a JSON document.

use super::json::Json;
use super::text;
use crate::error::{Error, Result};
use crate::task::puzzle::{ArcPuzzle, Cells, Demonstration, Id, Puzzle};
use std::collections::VecDeque;
use std::sync::Arc;

/// The longest identifier and the longest name of a task, in bytes.
const MAX_NAME: usize = 1024;
/// How many unknown fields are warned about.
const MAX_WARNINGS: usize = 16;

type Grid = Vec<Vec<i64>>;

/// The puzzles of a document, read one by one: a document is small, what it expands to need not be.
#[derive(Debug)]
pub(crate) struct Puzzles {
    /// The name of an ARC task that has none of its own.
    name: Option<String>,
    rest: Rest,
    /// The test inputs of the ARC task that was read last.
    ready: VecDeque<Puzzle>,
    /// Unknown fields that were warned about: once each, not once a puzzle. The reader of a stream hands it on.
    pub(crate) warned: Vec<String>,
}

/// A puzzle that cannot be read.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Its identifier, if that could be read.
    pub(crate) id: Option<Id>,
    pub(crate) error: Error,
}

#[derive(Debug)]
enum Rest {
    None,
    One(Json),
    List(std::vec::IntoIter<Json>),
    Collection(std::vec::IntoIter<(String, Json)>),
}

impl Puzzles {
    /// The puzzles of `document`; `name` is for an ARC task that has none.
    pub(crate) fn of(document: Json, name: Option<&str>) -> Puzzles {
        let rest = match document {
            Json::Ints(list) if list.is_empty() => Rest::None,
            Json::List(list) if is_list_of_puzzles(&list) => Rest::List(list.into_iter()),
            Json::Object(fields) if is_collection(&fields) => Rest::Collection(fields.into_iter()),
            one => Rest::One(one),
        };
        // The file's name is the name of one task, not of each in a list.
        let name = name.filter(|_| matches!(rest, Rest::One(_))).map(str::to_owned);
        Puzzles {
            name,
            rest,
            ready: VecDeque::new(),
            warned: Vec::new(),
        }
    }

    /// Whether it is one document, whatever it expands to.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self.rest, Rest::One(_))
    }

    fn read(&mut self, json: Json, key: Option<String>) -> Result<(), Failed> {
        match json {
            Json::Object(fields) => {
                let mut object = Object::default();
                let read = object
                    .take(fields)
                    .and_then(|()| object.puzzles(key.as_deref().or(self.name.as_deref())));
                self.ready = read.map_err(|error| Failed {
                    id: object.id.take().or_else(|| key.map(Id::Text)),
                    error,
                })?;
                self.warn(object.unknown);
            }
            bare => {
                let content = content(bare).map_err(|e| e.context("the puzzle"));
                self.ready
                    .push_back(content.map_err(|error| Failed { id: None, error })?.into());
            }
        }
        Ok(())
    }

    fn warn(&mut self, unknown: Vec<String>) {
        for field in unknown {
            if self.warned.len() < MAX_WARNINGS && !self.warned.contains(&field) {
                log::warn!("the field `{field}` of a puzzle is not known; it is ignored");
                self.warned.push(field);
            }
        }
    }
}

impl Iterator for Puzzles {
    type Item = Result<Puzzle, Failed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(puzzle) = self.ready.pop_front() {
                return Some(Ok(puzzle));
            }
            let (json, key) = match &mut self.rest {
                Rest::None => return None,
                Rest::One(json) => {
                    let json = std::mem::replace(json, Json::Null);
                    self.rest = Rest::None;
                    (json, None)
                }
                Rest::List(list) => (list.next()?, None),
                Rest::Collection(fields) => {
                    let (key, json) = fields.next()?;
                    (json, Some(key))
                }
            };
            if let Err(failed) = self.read(json, key) {
                return Some(Err(failed));
            }
        }
    }
}

/// A list of strings or of rows of numbers is one puzzle where it is square. A list with single values in it is none.
fn is_list_of_puzzles(list: &[Json]) -> bool {
    let n = list.len();
    let rows_of_one = list
        .iter()
        .all(|row| matches!(row, Json::Text(text) if text.chars().count() == n))
        || (n >= 2
            && list
                .iter()
                .all(|row| matches!(row, Json::Ints(row) if row.len() == n)));
    let lists = |json: &Json| {
        matches!(
            json,
            Json::Text(_) | Json::Ints(_) | Json::List(_) | Json::Object(_)
        )
    };
    !rows_of_one && list.iter().all(lists)
}

/// ARC tasks by name.
fn is_collection(fields: &[(String, Json)]) -> bool {
    !fields.is_empty()
        && fields
            .iter()
            .all(|(name, value)| matches!(value, Json::Object(_)) && !is_body(name))
}

/// The fields of which a puzzle has one.
pub(crate) fn is_body(field: &str) -> bool {
    matches!(field, "puzzle" | "tokens" | "train" | "test")
}

/// The fields of a puzzle.
#[derive(Default)]
struct Object {
    id: Option<Id>,
    task: Option<String>,
    puzzle_id: Option<u32>,
    puzzle: Option<Json>,
    tokens: Option<Json>,
    train: Option<Json>,
    test: Option<Json>,
    solution: Option<Json>,
    /// Fields that are not known.
    unknown: Vec<String>,
}

impl Object {
    /// Takes over the fields; of a field that comes twice, the last counts. `null` is as good as nothing.
    fn take(&mut self, fields: Vec<(String, Json)>) -> Result<()> {
        let mut failed = None;
        for (name, value) in fields {
            let value = Some(value).filter(|value| *value != Json::Null);
            match name.as_str() {
                "puzzle" => self.puzzle = value,
                "tokens" => self.tokens = value,
                "train" => self.train = value,
                "test" => self.test = value,
                "solution" => self.solution = value,
                // The identifier is wanted for the message about any other field.
                "id" => {
                    self.id = value
                        .map(id)
                        .transpose()
                        .unwrap_or_else(|e| keep(&mut failed, e.context("`id`")))
                }
                "task" => {
                    self.task = value
                        .map(task)
                        .transpose()
                        .unwrap_or_else(|e| keep(&mut failed, e.context("`task`")))
                }
                "puzzle_id" => {
                    self.puzzle_id = value
                        .map(puzzle_id)
                        .transpose()
                        .unwrap_or_else(|e| keep(&mut failed, e.context("`puzzle_id`")))
                }
                _ if self.unknown.len() < MAX_WARNINGS => self.unknown.push(name.chars().take(40).collect()),
                _ => {}
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The puzzles that the object stands for: several, if it is an ARC task with several test inputs.
    fn puzzles(&mut self, name: Option<&str>) -> Result<VecDeque<Puzzle>> {
        let arc = self.train.is_some() || self.test.is_some();
        let found = match (self.puzzle.take(), self.tokens.take(), arc) {
            (Some(puzzle), None, false) => self.plain(puzzle)?,
            (None, Some(list), false) => self.raw(list)?,
            (None, None, true) => self.arc(name)?,
            (None, None, false) => {
                let has = self
                    .unknown
                    .first()
                    .map(|name| format!("; this one has `{name}`"))
                    .unwrap_or_default();
                return Err(Error::puzzle(format!(
                    "an object needs `puzzle`, or `tokens`, or `train` and `test`{has}"
                )));
            }
            _ => {
                return Err(Error::puzzle(
                    "an object has one of `puzzle`, `tokens`, and `train` with `test`",
                ));
            }
        };
        Ok(found)
    }

    fn plain(&mut self, puzzle: Json) -> Result<VecDeque<Puzzle>> {
        let body = content(puzzle).map_err(|e| e.context("`puzzle`"))?;
        let solution = self
            .solution
            .take()
            .map(content)
            .transpose()
            .map_err(|e| e.context("`solution`"))?;
        Ok([self.with(body, solution, self.id.clone())].into())
    }

    fn raw(&mut self, list: Json) -> Result<VecDeque<Puzzle>> {
        let body = tokens(list).map_err(|e| e.context("`tokens`"))?;
        let solution = self
            .solution
            .take()
            .map(tokens)
            .transpose()
            .map_err(|e| e.context("`solution`"))?;
        Ok([self.with(body, solution, self.id.clone())].into())
    }

    fn arc(&mut self, name: Option<&str>) -> Result<VecDeque<Puzzle>> {
        let task = self
            .id
            .as_ref()
            .map(Id::to_string)
            .or_else(|| name.map(str::to_owned));
        let mut train = Vec::new();
        for (i, (input, output)) in pairs(self.train.take(), "train")?.into_iter().enumerate() {
            let output = output.ok_or_else(|| Error::puzzle("has no `output`").context(place("train", i)))?;
            train.push((input, output));
        }
        let train: Arc<[Demonstration]> = train.into();
        let mut tests = pairs(self.test.take(), "test")?;
        if let Some(solution) = self.solution.take() {
            match tests.as_mut_slice() {
                [(_, output)] => *output = Some(grid(solution).map_err(|e| e.context("`solution`"))?),
                _ => {
                    let why = "of an ARC task with several test inputs goes into `output` of each of them";
                    return Err(Error::puzzle(why).context("`solution`"));
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
                    // A number stays a number.
                    Some(task) => self.id.clone().or_else(|| Some(Id::Text(task.clone()))),
                    None => None,
                };
                let arc = ArcPuzzle {
                    task: task.clone(),
                    train: train.clone(),
                    test,
                };
                self.with(Cells::Arc(arc), output.map(Cells::Grid), id)
            })
            .collect();
        if puzzles.is_empty() {
            return Err(Error::puzzle("the ARC task has no `test` input"));
        }
        Ok(puzzles)
    }

    fn with(&self, cells: Cells, solution: Option<Cells>, id: Option<Id>) -> Puzzle {
        Puzzle {
            id,
            cells,
            solution,
            task: self.task.clone(),
            puzzle_id: self.puzzle_id,
        }
    }
}

/// Keeps the first error.
fn keep<T>(first: &mut Option<Error>, error: Error) -> Option<T> {
    first.get_or_insert(error);
    None
}

fn id(json: Json) -> Result<Id> {
    match json {
        Json::Text(text) if text.len() > MAX_NAME => {
            Err(Error::puzzle(format!("is longer than {MAX_NAME} bytes")))
        }
        Json::Text(text) => Ok(Id::Text(text)),
        Json::Int(int) if u64::try_from(int).is_ok() => {
            Ok(Id::Number(u64::try_from(int).unwrap_or_default()))
        }
        other => Err(Error::puzzle(format!(
            "must be a string or a whole number from 0, not {}",
            other.what()
        ))),
    }
}

fn task(json: Json) -> Result<String> {
    match json {
        Json::Text(text) if text.len() <= MAX_NAME => Ok(text),
        other => Err(Error::puzzle(format!(
            "must be the name of a task, not {}",
            other.what()
        ))),
    }
}

fn puzzle_id(json: Json) -> Result<u32> {
    match json {
        Json::Int(int) => u32::try_from(int).map_err(|_| Error::puzzle(format!("{int} is out of range"))),
        other => Err(Error::puzzle(format!(
            "must be a whole number from 0, not {}",
            other.what()
        ))),
    }
}

/// The body of a puzzle or of a solution.
fn content(json: Json) -> Result<Cells> {
    let content = match json {
        Json::Text(text) => text::content(&text),
        Json::Ints(list) => Cells::List(list),
        Json::List(list) if matches!(list.first(), Some(Json::Text(_))) => Cells::Rows(strings(list)?),
        Json::List(list) if matches!(list.first(), Some(Json::Ints(_) | Json::List(_))) => {
            Cells::Grid(rows(list)?)
        }
        Json::List(list) => return Err(not_numbers(&list)),
        other => {
            let what = other.what();
            return Err(Error::puzzle(format!(
                "must be a string, a list of rows, or a list of numbers, not {what}"
            )));
        }
    };
    content.bounded()
}

fn tokens(json: Json) -> Result<Cells> {
    match json {
        Json::Ints(list) => Cells::Tokens(list).bounded(),
        Json::List(list) => Err(not_numbers(&list)),
        other => Err(Error::puzzle(format!(
            "must be a flat list of whole numbers, not {}",
            other.what()
        ))),
    }
}

fn grid(json: Json) -> Result<Grid> {
    let grid = match json {
        Json::List(list) => rows(list)?,
        other => {
            return Err(Error::puzzle(format!(
                "must be a list of rows of numbers, not {}",
                other.what()
            )));
        }
    };
    match Cells::Grid(grid).bounded()? {
        Cells::Grid(grid) => Ok(grid),
        _ => Ok(Grid::new()),
    }
}

fn strings(list: Vec<Json>) -> Result<Vec<String>> {
    let row = |(i, row)| match row {
        Json::Text(text) => Ok(text),
        other => Err(Error::puzzle(format!(
            "row {} is {}, the rows above are strings",
            i + 1,
            other.what()
        ))),
    };
    list.into_iter().enumerate().map(row).collect()
}

fn rows(list: Vec<Json>) -> Result<Grid> {
    let row = |(i, row)| match row {
        Json::Ints(row) => Ok(row),
        Json::List(row) => Err(not_numbers(&row).context(format!("row {}", i + 1))),
        other => Err(Error::puzzle(format!(
            "row {} is {}, not a list of numbers",
            i + 1,
            other.what()
        ))),
    };
    list.into_iter().enumerate().map(row).collect()
}

/// Why a list is not one of whole numbers.
fn not_numbers(list: &[Json]) -> Error {
    let odd = list
        .iter()
        .position(|value| !matches!(value, Json::Int(int) if i64::try_from(*int).is_ok()));
    let (i, odd) = odd
        .and_then(|i| Some((i, list.get(i)?)))
        .unwrap_or((0, &Json::Null));
    let what = if matches!(odd, Json::Int(_)) {
        "a number out of range"
    } else {
        odd.what()
    };
    Error::puzzle(format!("value {} is {what}, not a whole number", i + 1))
}

/// `[{"input": grid, "output": grid}, ...]`
fn pairs(json: Option<Json>, field: &str) -> Result<Vec<(Grid, Option<Grid>)>> {
    let list = match json {
        None => Vec::new(),
        Some(Json::Ints(list)) if list.is_empty() => Vec::new(),
        Some(Json::List(list)) => list,
        Some(other) => {
            let why = format!(
                "must be a list of pairs of `input` and `output`, not {}",
                other.what()
            );
            return Err(Error::puzzle(why).context(format!("`{field}`")));
        }
    };
    list.into_iter()
        .enumerate()
        .map(|(i, json)| pair(json).map_err(|e| e.context(place(field, i))))
        .collect()
}

fn pair(json: Json) -> Result<(Grid, Option<Grid>)> {
    let Json::Object(fields) = json else {
        return Err(Error::puzzle(format!(
            "must have `input` and `output`, but is {}",
            json.what()
        )));
    };
    let (mut input, mut output) = (None, None);
    for (name, value) in fields {
        match name.as_str() {
            "input" => input = Some(grid(value).map_err(|e| e.context("`input`"))?),
            "output" if value == Json::Null => output = None,
            "output" => output = Some(grid(value).map_err(|e| e.context("`output`"))?),
            _ => {}
        }
    }
    Ok((input.ok_or_else(|| Error::puzzle("has no `input`"))?, output))
}

/// A pair, counted from 1.
fn place(field: &str, i: usize) -> String {
    format!("pair {} of `{field}`", i + 1)
}
