//! Parses one puzzle, or all puzzles of a JSON document.

use std::str::FromStr;

use super::document::DocumentPuzzles;
use super::json::{self, Json};
use super::literal;
use super::symbols;
use super::text::parse_cells;
use crate::error::{Error, Result};
use crate::task::puzzle::{Cells, MAX_DOCUMENT_BYTES, Puzzle};

fn from_value(document: serde_json::Value) -> Result<Json> {
    Json::from_value(document).map_err(|e| Error::puzzle(json::error_message(&e)))
}

impl Puzzle {
    /// Parses the only puzzle of a JSON document: a string, an array or an object.
    ///
    /// # Errors
    /// If the document is not a puzzle, or has no puzzle or several: see [`Puzzle::all_from_json`].
    pub fn from_json(document: serde_json::Value) -> Result<Self> {
        Self::single(from_value(document)?)
    }

    /// Parses all puzzles of a JSON document. A document is one of these:
    ///
    /// - a string: one puzzle
    /// - an array of numbers: one puzzle
    /// - an array of strings or of rows of numbers: one puzzle if it is square, else a list of
    ///   puzzles
    /// - an array of objects: a list of puzzles
    /// - an object with `puzzle` or `tokens`: one puzzle
    /// - an object with `train` and `test`: an ARC task, one puzzle per test input. If there are
    ///   several test inputs, `-1`, `-2` and so on are appended to the identifier
    /// - any other object: a collection of ARC tasks by name
    ///
    /// # Errors
    /// If a puzzle of the document cannot be read. The error is about the first such puzzle.
    pub fn all_from_json(document: serde_json::Value) -> Result<Vec<Self>> {
        DocumentPuzzles::new(from_value(document)?, None)
            .map(|puzzle| puzzle.map_err(|e| e.error))
            .collect()
    }

    fn single(json: Json) -> Result<Self> {
        let mut puzzles = DocumentPuzzles::new(json, None);
        match (puzzles.next(), puzzles.next()) {
            (Some(puzzle), None) => puzzle.map_err(|e| e.error),
            (None, _) => Err(Error::puzzle("the list is empty: it has no puzzle")),
            (Some(_), Some(_)) => Err(Error::puzzle(
                "the document has several puzzles, but only one is expected",
            )),
        }
    }
}

impl FromStr for Puzzle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::puzzle("the document is longer than 8 MiB"));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if json::is_json(text) && symbols::section(text.lines().next().unwrap_or("")).is_none() {
            let json = Json::parse(text).or_else(|e| {
                let message = format!("invalid JSON: {}", json::error_message(&e));
                let at = format!("line {}, column {}", e.line(), e.column());
                literal::parse(text)
                    .filter(|_| e.is_syntax())
                    .ok_or_else(|| Error::puzzle(message).context(at))
            })?;
            return Self::single(json);
        }
        if let Some(list) = literal::list_start(text).and_then(|at| text.get(at..))
            && let Some(json) = literal::parse(list)
        {
            return Self::single(json);
        }
        let cells = parse_cells(text)
            .and_then(Cells::bounded)
            .map_err(|e| e.context("the puzzle"))?;
        Ok(cells.into())
    }
}

impl TryFrom<serde_json::Value> for Puzzle {
    type Error = Error;

    fn try_from(document: serde_json::Value) -> Result<Self> {
        Self::from_json(document)
    }
}
