//! Parses one puzzle, or all puzzles of a JSON document.

use std::str::FromStr;

use super::{document, json, text};
use crate::error::{Error, Result};
use crate::task::puzzle::{MAX_DOCUMENT, Puzzle};

impl Puzzle {
    /// The one puzzle of a JSON document: a string, an array, or an object.
    ///
    /// # Errors
    /// If the document is not a puzzle, or holds none or several: see [`Puzzle::all_from_json`].
    pub fn from_json(document: serde_json::Value) -> Result<Puzzle> {
        Puzzle::only(json::Json::from_value(document).map_err(|e| Error::puzzle(json::reason(&e)))?)
    }

    /// All puzzles of a JSON document.
    ///
    /// A document is a string; an array (of strings or of rows of numbers: one puzzle where it is square, else a list of
    /// puzzles; of numbers: one puzzle; of objects: a list of puzzles); or an object: `puzzle`, `tokens`, an ARC task with
    /// `train` and `test`, or a collection of ARC tasks by name. An ARC task gives a puzzle for each test input; with
    /// several, `-1`, `-2` ... is appended to their identifiers.
    ///
    /// # Errors
    /// The first puzzle of the document that cannot be read.
    pub fn all_from_json(document: serde_json::Value) -> Result<Vec<Puzzle>> {
        let json = json::Json::from_value(document).map_err(|e| Error::puzzle(json::reason(&e)))?;
        document::Puzzles::of(json, None)
            .map(|puzzle| puzzle.map_err(|failed| failed.error))
            .collect()
    }

    fn only(json: json::Json) -> Result<Puzzle> {
        let mut puzzles = document::Puzzles::of(json, None);
        match (puzzles.next(), puzzles.next()) {
            (Some(puzzle), None) => puzzle.map_err(|failed| failed.error),
            (None, _) => Err(Error::puzzle("the list is empty: there is no puzzle in it")),
            (Some(_), Some(_)) => Err(Error::puzzle(
                "holds several puzzles, where one is expected: read them as a list",
            )),
        }
    }
}

impl FromStr for Puzzle {
    type Err = Error;

    fn from_str(written: &str) -> Result<Puzzle> {
        if written.len() > MAX_DOCUMENT {
            return Err(Error::puzzle("the document is longer than 8 MiB"));
        }
        let written = written.strip_prefix('\u{feff}').unwrap_or(written);
        if json::starts(written) {
            let json = json::Json::parse(written).map_err(|e| {
                Error::puzzle(format!("no JSON: {}", json::reason(&e))).context(format!(
                    "line {}, column {}",
                    e.line(),
                    e.column()
                ))
            })?;
            return Puzzle::only(json);
        }
        let content = text::content(written).bounded().map_err(|e| e.context("the puzzle"))?;
        Ok(content.into())
    }
}

impl TryFrom<serde_json::Value> for Puzzle {
    type Error = Error;

    fn try_from(document: serde_json::Value) -> Result<Puzzle> {
        Puzzle::from_json(document)
    }
}
