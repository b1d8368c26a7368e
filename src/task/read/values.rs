//! Converts JSON values to the fields of a puzzle.

use super::grid;
use super::json::{Json, as_i64};
use super::names;
use super::text;
use crate::error::{Error, Result};
use crate::task::puzzle::{Cells, Id};

pub(super) type Grid = Vec<Vec<i64>>;

/// Converts an `id`.
pub(super) fn id(json: Json) -> Result<Id> {
    match json {
        Json::Text(text) => match names::too_long(&text) {
            Some(message) => Err(Error::puzzle(message)),
            None => Ok(Id::Text(text)),
        },
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
        Json::Text(text) => match names::too_long(&text) {
            Some(message) => Err(Error::puzzle(message)),
            None => Ok(text),
        },
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
        Json::Text(text) => text::parse_cells(&text)?,
        Json::Int(int) if is_square(int.to_string().len()) && int > 0 => {
            Cells::Text(int.to_string())
        }
        Json::Ints(list) => Cells::List(list),
        Json::List(list) if is_square(list.len()) && list.iter().all(is_cell) => flat(list)?,
        Json::List(list) if matches!(list.first(), Some(Json::Text(_))) => {
            text::parse_rows(strings(list)?)?
        }
        Json::List(list) if matches!(list.first(), Some(Json::Ints(_) | Json::List(_))) => {
            rows_of_cells(list)?
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

/// Returns whether a value is one cell: a whole number, a character, a number of several digits as
/// text, or a blank.
pub(super) fn is_cell(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Text(text) => text.chars().count() <= 1 || grid::cell_value(text).is_some(),
        other => as_i64(other).is_some(),
    }
}

/// Returns whether `count` cells are n x n with n >= 4.
fn is_square(count: usize) -> bool {
    let n = count.isqrt();
    n >= 4 && n * n == count
}

/// A row of cells that are written one by one.
enum CellRow {
    Numbers(Vec<i64>),
    Chars(String),
}

/// Converts cells that are written one by one. Numbers may have blanks among them (`null`, `""`,
/// `"."`), and strings may have numbers of several digits, but strings and numbers do not mix.
fn cell_row(list: &[Json]) -> Result<CellRow> {
    let is_blank = |json: &Json| matches!(json, Json::Null) || is_text(json, grid::is_blank_field);
    let numbers = |cell: fn(&Json) -> Option<i64>| -> Option<Vec<i64>> {
        let value = |json| if is_blank(json) { Some(0) } else { cell(json) };
        list.iter().map(value).collect()
    };
    let int = |json: &Json| as_i64(json);
    if list.iter().any(|json| as_i64(json).is_some()) {
        return match numbers(int) {
            Some(row) => Ok(CellRow::Numbers(row)),
            None => Err(not_numbers(list)),
        };
    }
    let cell_char = |json: &Json| match json {
        Json::Null => Some('.'),
        // A space can be a free cell of a maze.
        Json::Text(text) if text.is_empty() => Some('.'),
        Json::Text(text) => {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none())
        }
        _ => None,
    };
    if let Some(chars) = list.iter().map(cell_char).collect() {
        return Ok(CellRow::Chars(chars));
    }
    let of_text = |json: &Json| match json {
        Json::Text(text) => grid::cell_value(text),
        _ => None,
    };
    numbers(of_text)
        .map(CellRow::Numbers)
        .ok_or_else(|| not_numbers(list))
}

fn is_text(json: &Json, test: impl Fn(&str) -> bool) -> bool {
    matches!(json, Json::Text(text) if test(text))
}

/// Converts a flat list of cells.
fn flat(list: Vec<Json>) -> Result<Cells> {
    Ok(match cell_row(&list)? {
        CellRow::Numbers(numbers) => Cells::List(numbers),
        CellRow::Chars(chars) => {
            let chars: Vec<char> = chars.chars().collect();
            let rows = chars.chunks(list.len().isqrt().max(1));
            match text::parse_rows(rows.map(|row| row.iter().collect()).collect())? {
                Cells::Rows(rows) => Cells::Text(rows.concat()),
                other => other,
            }
        }
    })
}

/// Converts rows of cells: numbers, or characters.
fn rows_of_cells(list: Vec<Json>) -> Result<Cells> {
    let row = |(i, row): (usize, Json)| match row {
        Json::Ints(row) => Ok(CellRow::Numbers(row)),
        Json::List(row) => cell_row(&row).map_err(|e| e.context(format!("row {}", i + 1))),
        other => Err(not_a_row(i, &other)),
    };
    let rows: Vec<CellRow> = list
        .into_iter()
        .enumerate()
        .map(row)
        .collect::<Result<_>>()?;
    let has_chars = |row: &CellRow| match row {
        CellRow::Numbers(_) => false,
        CellRow::Chars(row) => row.contains(|c: char| !matches!(c, '.' | ' ')),
    };
    // A number of several digits in any row makes all rows numbers.
    let fits_char = |row: &CellRow| match row {
        CellRow::Numbers(row) => row.iter().all(|number| (0..=9).contains(number)),
        CellRow::Chars(_) => true,
    };
    if rows.iter().any(has_chars) && rows.iter().all(fits_char) {
        let digit = |number: i64| {
            u32::try_from(number)
                .ok()
                .and_then(|d| char::from_digit(d, 10))
        };
        let digit = |number: i64| digit(number).unwrap_or('0');
        let text = |row| match row {
            CellRow::Numbers(row) => row.into_iter().map(digit).collect(),
            CellRow::Chars(row) => row,
        };
        return text::parse_rows(rows.into_iter().map(text).collect());
    }
    let number = |c: char| grid::cell_value(c.encode_utf8(&mut [0; 4]));
    let numbers = |(i, row)| match row {
        CellRow::Numbers(row) => Ok(row),
        CellRow::Chars(row) => row
            .chars()
            .map(number)
            .collect::<Option<_>>()
            .ok_or_else(|| {
                Error::puzzle("has characters, but other rows have numbers")
                    .context(format!("row {}", i + 1))
            }),
    };
    let rows = rows.into_iter().enumerate().map(numbers);
    Ok(Cells::Grid(rows.collect::<Result<_>>()?))
}

fn not_a_row(i: usize, found: &Json) -> Error {
    Error::puzzle(format!(
        "row {} is {}, not a list of numbers",
        i + 1,
        found.type_name()
    ))
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

/// Converts the rows of a grid of colours.
fn rows(list: Vec<Json>) -> Result<Grid> {
    let row = |(i, row)| match row {
        Json::Ints(row) => Ok(row),
        Json::List(row) => {
            let error = || not_numbers(&row).context(format!("row {}", i + 1));
            let digits = || row.iter().map(digit).collect::<Option<_>>();
            digits().ok_or_else(error)
        }
        // A row of colours as one string: "0350".
        Json::Text(text) if !text.is_empty() => text
            .chars()
            .map(|c| c.to_digit(10).map(i64::from))
            .collect::<Option<_>>()
            .ok_or_else(|| not_a_row(i, &Json::Text(text))),
        other => Err(not_a_row(i, &other)),
    };
    list.into_iter().enumerate().map(row).collect()
}

/// Returns the digit that a text of one character is.
fn digit(json: &Json) -> Option<i64> {
    match json {
        Json::Text(text) if text.len() == 1 => text.parse().ok(),
        _ => None,
    }
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
