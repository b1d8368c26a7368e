//! Converts JSON values to the fields of a puzzle.

use super::json::Json;
use super::text;
use crate::error::{Error, Result};
use crate::task::puzzle::{Cells, Id};

/// The longest identifier and the longest name of a task, in bytes.
const MAX_NAME_BYTES: usize = 1024;

pub(super) type Grid = Vec<Vec<i64>>;

/// Converts an `id`.
pub(super) fn id(json: Json) -> Result<Id> {
    match json {
        Json::Text(text) if text.len() > MAX_NAME_BYTES => Err(Error::puzzle(format!(
            "is longer than {MAX_NAME_BYTES} bytes"
        ))),
        Json::Text(text) => Ok(Id::Text(text)),
        Json::Int(int) if u64::try_from(int).is_ok() => {
            Ok(Id::Number(u64::try_from(int).unwrap_or_default()))
        }
        other => Err(Error::puzzle(format!(
            "must be a string or a whole number from 0, not {}",
            other.type_name()
        ))),
    }
}

/// Converts a `task`.
pub(super) fn task(json: Json) -> Result<String> {
    match json {
        Json::Text(text) if text.len() <= MAX_NAME_BYTES => Ok(text),
        other => Err(Error::puzzle(format!(
            "must be the name of a task, not {}",
            other.type_name()
        ))),
    }
}

/// Converts a `puzzle_id`.
pub(super) fn puzzle_id(json: Json) -> Result<u32> {
    match json {
        Json::Int(int) => {
            u32::try_from(int).map_err(|_| Error::puzzle(format!("{int} is out of range")))
        }
        other => Err(Error::puzzle(format!(
            "must be a whole number from 0, not {}",
            other.type_name()
        ))),
    }
}

/// Converts the cells of a puzzle or of a solution in any form.
pub(super) fn cells(json: Json) -> Result<Cells> {
    let cells = match json {
        Json::Text(text) => text::parse_cells(&text),
        Json::Ints(list) => Cells::List(list),
        Json::List(list) if matches!(list.first(), Some(Json::Text(_))) => {
            Cells::Rows(strings(list)?)
        }
        Json::List(list) if matches!(list.first(), Some(Json::Ints(_) | Json::List(_))) => {
            Cells::Grid(rows(list)?)
        }
        Json::List(list) => return Err(not_numbers(&list)),
        other => {
            let found = other.type_name();
            return Err(Error::puzzle(format!(
                "must be a string, a list of rows, or a list of numbers, not {found}"
            )));
        }
    };
    cells.bounded()
}

/// Converts a flat list of tokens.
pub(super) fn tokens(json: Json) -> Result<Cells> {
    match json {
        Json::Ints(list) => Cells::Tokens(list).bounded(),
        Json::List(list) => Err(not_numbers(&list)),
        other => Err(Error::puzzle(format!(
            "must be a flat list of whole numbers, not {}",
            other.type_name()
        ))),
    }
}

/// Converts a grid of numbers.
pub(super) fn grid(json: Json) -> Result<Grid> {
    let grid = match json {
        Json::List(list) => rows(list)?,
        other => {
            return Err(Error::puzzle(format!(
                "must be a list of rows of numbers, not {}",
                other.type_name()
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
            "row {} is {}, but the rows above are strings",
            i + 1,
            other.type_name()
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
            other.type_name()
        ))),
    };
    list.into_iter().enumerate().map(row).collect()
}

/// Returns the error about a list that does not consist of whole numbers.
fn not_numbers(list: &[Json]) -> Error {
    let position = list
        .iter()
        .position(|value| !matches!(value, Json::Int(int) if i64::try_from(*int).is_ok()));
    let (i, value) = position
        .and_then(|i| Some((i, list.get(i)?)))
        .unwrap_or((0, &Json::Null));
    let found = if matches!(value, Json::Int(_)) {
        "a number out of range"
    } else {
        value.type_name()
    };
    Error::puzzle(format!("value {} is {found}, not a whole number", i + 1))
}

/// Converts the pairs of an ARC task: `[{"input": grid, "output": grid}, ...]`.
///
/// `field` is the name of the list.
pub(super) fn pairs(json: Option<Json>, field: &str) -> Result<Vec<(Grid, Option<Grid>)>> {
    let list = match json {
        None => Vec::new(),
        Some(Json::Ints(list)) if list.is_empty() => Vec::new(),
        Some(Json::List(list)) => list,
        Some(other) => {
            let message = format!(
                "must be a list of pairs of `input` and `output`, not {}",
                other.type_name()
            );
            return Err(Error::puzzle(message).context(format!("`{field}`")));
        }
    };
    list.into_iter()
        .enumerate()
        .map(|(i, json)| pair(json).map_err(|e| e.context(pair_name(field, i))))
        .collect()
}

fn pair(json: Json) -> Result<(Grid, Option<Grid>)> {
    let Json::Object(fields) = json else {
        return Err(Error::puzzle(format!(
            "must have `input` and `output`, but is {}",
            json.type_name()
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
    Ok((
        input.ok_or_else(|| Error::puzzle("has no `input`"))?,
        output,
    ))
}

/// Returns the name of pair `i` for messages, which count from 1.
pub(super) fn pair_name(field: &str, i: usize) -> String {
    format!("pair {} of `{field}`", i + 1)
}
