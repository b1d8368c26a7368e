//! Collects the lines of one JSON document of a stream.

use super::json::{self, Json};
use super::lines::{Line, LineError, Lines};
use super::literal;
use crate::error::Error;
use crate::task::puzzle::MAX_DOCUMENT_BYTES;

/// The lines of a document in its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineSpan {
    /// The number of the first line, from 1.
    pub(super) first: u64,
    /// The number of lines.
    pub(super) count: u64,
}

/// The largest number of lines of a document: 8 MiB with one indented number per line.
const MAX_LINES: u64 = 1_000_000;

/// The text of a document.
pub(super) struct DocumentText {
    pub(super) text: String,
    pub(super) span: LineSpan,
    /// All brackets are closed, so the next line starts another document.
    pub(super) complete: bool,
    /// The reason why the document could not be read to its end.
    error: Option<Error>,
}

impl DocumentText {
    /// Returns a document that is one line.
    pub(super) fn from_line(number: u64, text: String) -> Self {
        Self {
            text,
            span: LineSpan {
                first: number,
                count: 1,
            },
            complete: true,
            error: None,
        }
    }

    /// Reads lines until the brackets that `first` opens are closed.
    pub(super) fn collect(lines: &mut Lines, number: u64, first: String) -> Self {
        let mut brackets = Brackets::default();
        brackets.add_line(&first);
        let mut document = Self {
            complete: false,
            ..Self::from_line(number, first)
        };
        // A JSON string cannot contain a line break.
        while brackets.depth > 0 && !brackets.in_string {
            if document.span.count == MAX_LINES {
                document.error = Some(Error::puzzle(format!(
                    "the document has more than {MAX_LINES} lines"
                )));
                return document;
            }
            let left = MAX_DOCUMENT_BYTES.saturating_sub(document.text.len() + 1);
            match lines.next(left, left) {
                None => return document,
                Some(Line { text: Ok(text), .. }) => {
                    brackets.add_line(&text);
                    document.text.push('\n');
                    document.text.push_str(&text);
                    document.span.count += 1;
                }
                Some(Line {
                    text: Err(LineError::TooLong(_)),
                    ..
                }) => {
                    document.error = Some(Error::puzzle("the document is longer than 8 MiB"));
                    return document;
                }
                Some(Line {
                    text: Err(error), ..
                }) => {
                    document.error = Some(error.into_error());
                    return document;
                }
            }
        }
        document.complete = !brackets.in_string;
        document
    }

    /// Parses the document: JSON, or a list as Python prints it.
    ///
    /// # Errors
    /// Returns the error and the number of its line.
    pub(super) fn parse(&self) -> Result<Json, (Error, u64)> {
        if let Some(error) = &self.error {
            return Err((Error::new(error.kind(), error.to_string()), self.span.first));
        }
        Json::parse(&self.text).or_else(|e| {
            if e.is_syntax()
                && let Some(json) = literal::parse(&self.text)
            {
                return Ok(json);
            }
            let line = self.span.first + (e.line() as u64).saturating_sub(1);
            let (message, column) = (json::error_message(&e), e.column());
            let error = Error::puzzle(format!("invalid JSON: {message} (column {column})"));
            Err((error, line))
        })
    }
}

/// Counts the open brackets outside of strings.
#[derive(Default)]
struct Brackets {
    depth: usize,
    in_string: bool,
}

impl Brackets {
    fn add_line(&mut self, line: &str) {
        let mut bytes = line.bytes();
        while let Some(byte) = bytes.next() {
            match (byte, self.in_string) {
                (b'"', _) => self.in_string = !self.in_string,
                (b'\\', true) => {
                    bytes.next();
                }
                (b'{' | b'[', false) => self.depth += 1,
                (b'}' | b']', false) => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}
