//! Reads streams of puzzles: one document, a list, or one puzzle per line.

#![allow(
    clippy::result_large_err,
    reason = "one record at a time is on the stack"
)]

use super::csv::{self, Columns};
use super::document::{self, DocumentPuzzles};
use super::document_text::{DocumentText, LineSpan};
use super::json::{self, Json};
use super::lines::{Line, LineError, Lines, MAX_LINE_BYTES};
use super::literal;
use super::plain::{PlainParser, PlainPuzzle};
use super::symbols;
use crate::error::Error;
use crate::task::puzzle::{Id, MAX_DOCUMENT_BYTES, Puzzle};
use std::collections::VecDeque;
use std::fmt;
use std::io::BufRead;
use std::path::Path;

/// A puzzle of an input, with its position.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRecord {
    /// The puzzle.
    pub puzzle: Puzzle,
    /// The number of the record, from 0. Records that cannot be read count too.
    pub number: u64,
    /// The number of its first line, from 1. `None` in a list that spans several lines.
    pub line: Option<u64>,
}

/// The error about a record that cannot be read.
#[derive(Debug)]
pub struct RecordError {
    /// The number of the record, from 0.
    pub number: u64,
    /// The number of the line with the error, from 1, if known.
    pub line: Option<u64>,
    /// The identifier of the puzzle, if it could be read.
    pub id: Option<Id>,
    /// The error. Its context includes the name of the input and the line.
    pub error: Error,
    /// False if the record is well-formed JSON, but has no field of a puzzle.
    pub is_puzzle: bool,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<RecordError> for Error {
    fn from(record: RecordError) -> Self {
        record.error
    }
}

/// Iterates over the puzzles of an input, in bounded memory and as soon as they are read.
///
/// The first line that is not blank decides the format of the input:
///
/// - JSON, if the line starts with `{`, `[` or `"`: a document, which may span several lines and is
///   described at [`Puzzle::all_from_json`], or NDJSON with one document per line.
///   Lists and dictionaries as Python and NumPy print them are read in the same way.
/// - CSV, if the line is a header with a column `puzzle`, `board` or another name of a puzzle,
///   separated by commas, semicolons or tabs. The columns `solution` (or `answer`), `id`, `task`
///   and `puzzle_id` are optional. Other columns are ignored. One puzzle per line follows. A quoted
///   field must end on its line.
/// - Plain text otherwise. If the line has a whole puzzle, there is one puzzle per line: 81
///   characters are a Sudoku. A whole puzzle has n x n cells with n >= 4. All of them are digits up
///   to n, or they include a start and a goal. Its solution, a rating, a comment or the rest of a
///   URL may stand beside it. If the line is not a whole puzzle, it is the first row of a grid:
///   nine lines of 9 characters are also a Sudoku. A grid ends when it is square, at an empty line,
///   or at the end of the input.
///
/// A grid may have a frame, and its cells may be separated by spaces, commas, semicolons, tabs or
/// bars. The blanks of a Sudoku are `0`, `.`, `*`, `_`, `?`, `-`, `x`, or spaces and empty fields
/// where nothing else is a blank. The free cells of a maze are spaces, `.` or `_`, and its walls
/// `#` or solid blocks. Comments and titles are skipped. If such a grid can be read in two ways, it
/// is an error.
///
/// If a record cannot be read, the item is an error, and the next line is read. A line has at most
/// 1 MiB. The document at the beginning of the input has at most 8 MiB.
///
/// ```
/// # use trm_runtime::task::{Cells, Records};
/// let input = "puzzle,solution\n1..4..1..1..4..1,\n12\n";
/// let records: Vec<_> = Records::new(input.as_bytes(), "sudokus.csv").collect();
/// assert_eq!(records[0].as_ref().unwrap().puzzle.cells, Cells::Text("1..4..1..1..4..1".into()));
/// assert_eq!(records[1].as_ref().unwrap_err().line, Some(3));
/// ```
pub struct Records {
    lines: Lines,
    /// The name of the input, for messages.
    name: String,
    /// The number of the next record.
    number: u64,
    format: InputFormat,
    /// The current document, and the line number of its puzzles.
    document: Option<(DocumentPuzzles, Option<u64>)>,
    /// Puzzles that were read from plain text and not returned yet.
    ready: VecDeque<PlainPuzzle>,
    /// The unknown fields that were reported in earlier documents.
    reported_fields: Vec<String>,
}

/// The format of the input.
#[derive(Debug)]
enum InputFormat {
    /// The first line is not read yet.
    Unknown,
    Json(JsonLayout),
    Csv(Columns),
    Plain(PlainParser),
    /// Nothing more can be read.
    Done,
}

/// How documents are divided into lines. The first document decides.
#[derive(Debug, Clone, Copy, PartialEq)]
enum JsonLayout {
    /// NDJSON: one document per line.
    OnePerLine,
    /// A document may span several lines.
    MultiLine,
}

type RecordResult = Result<InputRecord, RecordError>;

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("name", &self.name)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Records {
    /// Creates an iterator over the puzzles of `reader`.
    ///
    /// `name` is the name of the input in messages. If it is the name of a `.json` file with one
    /// ARC task without an `id`, the file stem is the name of the task.
    pub fn new(reader: impl BufRead + Send + 'static, name: &str) -> Self {
        Self {
            lines: Lines::new(reader),
            name: name.to_owned(),
            number: 0,
            format: InputFormat::Unknown,
            document: None,
            ready: VecDeque::new(),
            reported_fields: Vec::new(),
        }
    }

    fn record(&mut self, puzzle: Puzzle, line: Option<u64>) -> RecordResult {
        let number = self.take_number();
        Ok(InputRecord {
            puzzle,
            number,
            line,
        })
    }

    fn error(&mut self, error: Error, line: Option<u64>, id: Option<Id>) -> RecordResult {
        let error = match line {
            Some(line) => error.context(format!("line {line}")),
            None => error,
        };
        self.error_at(error, line, id)
    }

    /// Returns an error whose context has its line.
    fn error_at(&mut self, error: Error, line: Option<u64>, id: Option<Id>) -> RecordResult {
        let number = self.take_number();
        let error = if self.name.is_empty() {
            error
        } else {
            error.context(&self.name)
        };
        Err(RecordError {
            number,
            line,
            id,
            error,
            is_puzzle: true,
        })
    }

    fn take_number(&mut self) -> u64 {
        let number = self.number;
        self.number += 1;
        number
    }

    /// Returns the next puzzle of the current document.
    fn next_in_document(&mut self) -> Option<RecordResult> {
        let (puzzles, line) = self.document.as_mut()?;
        let line = *line;
        match puzzles.next() {
            Some(Ok(puzzle)) => Some(self.record(puzzle, line)),
            Some(Err(failed)) => {
                let record = self.error(failed.error, line, failed.id);
                Some(record.map_err(|error| RecordError {
                    is_puzzle: failed.is_puzzle,
                    ..error
                }))
            }
            None => {
                self.reported_fields = std::mem::take(&mut puzzles.reported_fields);
                self.document = None;
                None
            }
        }
    }

    fn start_document(&mut self, document: Json, stem: Option<&str>, span: LineSpan) {
        let mut puzzles = DocumentPuzzles::new(document, stem);
        puzzles.reported_fields = std::mem::take(&mut self.reported_fields);
        // The lines of the elements of a list that spans several lines are not known.
        let line = (span.count == 1 || puzzles.is_single()).then_some(span.first);
        self.document = Some((puzzles, line));
    }

    /// Returns the error about a line that cannot be read. Later lines may be readable.
    fn line_error(&mut self, line: u64, error: LineError) -> RecordResult {
        // A binary file is one error, not a stream of thousands of malformed records.
        if matches!(
            error,
            LineError::Io(_) | LineError::Kind(_) | LineError::Endless(_)
        ) || matches!(
            (&error, &self.format),
            (LineError::NotUtf8(_), InputFormat::Unknown)
        ) {
            self.format = InputFormat::Done;
        }
        self.error(error.into_error(), Some(line), None)
    }

    /// Detects the format of the input from its first line.
    fn detect_format(&mut self) -> Option<RecordResult> {
        let mut plain = PlainParser::default();
        loop {
            let Some(Line { number, text }) = self.lines.next(MAX_LINE_BYTES, MAX_DOCUMENT_BYTES)
            else {
                plain.finish(&mut self.ready);
                self.format = InputFormat::Done;
                return None;
            };
            let mut text = match text {
                Ok(text) => text,
                Err(error) => return Some(self.line_error(number, error)),
            };
            if csv::is_separator_line(&text) {
                continue;
            }
            if csv::is_header(&text) {
                return match Columns::parse(&text) {
                    Ok(columns) => {
                        self.format = InputFormat::Csv(columns);
                        None
                    }
                    Err(error) => {
                        self.format = InputFormat::Done;
                        Some(self.error(error, Some(number), None))
                    }
                };
            }
            let is_section = symbols::section(&text).is_some();
            if json::is_json(&text) && !is_section && !csv::is_quoted_row(&text) {
                // Text above a document is an error of its own.
                plain.finish(&mut self.ready);
                return self.first_document(number, text);
            }
            if let Some(at) = literal::list_start(&text) {
                plain.finish(&mut self.ready);
                return self.first_document(number, text.split_off(at));
            }
            plain.add_line(number, text, &mut self.ready);
            // Empty lines, comments and titles can stand above every format.
            if plain.has_begun() {
                self.format = InputFormat::Plain(plain);
                return None;
            }
        }
    }

    /// Reads the first document and chooses the layout of the documents that follow.
    fn first_document(&mut self, number: u64, line: String) -> Option<RecordResult> {
        let stem = stem(&self.name);
        let document = DocumentText::collect(&mut self.lines, number, line);
        let layout = match document.span.count {
            1 => JsonLayout::OnePerLine,
            _ => JsonLayout::MultiLine,
        };
        match document.parse() {
            Ok(json) => {
                self.format = InputFormat::Json(layout);
                self.start_document(json, stem.as_deref(), document.span);
                None
            }
            Err((error, line)) => {
                if layout == JsonLayout::OnePerLine && document.complete {
                    self.format = InputFormat::Json(layout);
                } else if self.is_stream(&document) {
                    // The first line of a stream is malformed. Each line is read again on its own.
                    self.format = InputFormat::Json(JsonLayout::OnePerLine);
                    if layout == JsonLayout::MultiLine {
                        self.lines.push_back(document.span.first, document.text);
                        return None;
                    }
                } else {
                    self.format = if document.complete {
                        InputFormat::Json(layout)
                    } else {
                        InputFormat::Done
                    };
                }
                Some(self.error(error, Some(line), None))
            }
        }
    }

    /// Returns whether a line after the first line of the document is a document of its own.
    fn is_stream(&mut self, document: &DocumentText) -> bool {
        let first_char = document
            .text
            .chars()
            .next()
            .filter(|c| matches!(c, '{' | '"'));
        let is_document =
            |line: &str| first_char.is_some_and(|c| line.starts_with(c)) && is_whole_document(line);
        if document.span.count > 1 {
            return document.text.split('\n').skip(1).any(is_document);
        }
        let next = self.lines.next(MAX_LINE_BYTES, MAX_LINE_BYTES);
        let Some(Line {
            number,
            text: Ok(text),
        }) = next
        else {
            return false;
        };
        let is_stream = is_document(&text);
        self.lines.push_back(number, text);
        is_stream
    }

    /// Returns the next line that is not blank.
    fn next_line(&mut self) -> Option<Result<(u64, String), RecordResult>> {
        loop {
            match self.lines.next(MAX_LINE_BYTES, MAX_LINE_BYTES)? {
                Line { text: Ok(text), .. } if text.trim().is_empty() => {}
                Line {
                    number,
                    text: Ok(text),
                } => return Some(Ok((number, text))),
                Line {
                    number,
                    text: Err(error),
                } => return Some(Err(self.line_error(number, error))),
            }
        }
    }

    fn next_document(&mut self, layout: JsonLayout) -> Option<RecordResult> {
        let (number, text) = match self.next_line() {
            Some(Ok(line)) => line,
            Some(Err(item)) => return Some(item),
            None => {
                self.format = InputFormat::Done;
                return None;
            }
        };
        let document = match layout {
            JsonLayout::MultiLine => DocumentText::collect(&mut self.lines, number, text),
            JsonLayout::OnePerLine => DocumentText::from_line(number, text),
        };
        match document.parse() {
            Ok(json) => {
                self.start_document(json, None, document.span);
                None
            }
            Err((error, line)) => {
                if !document.complete {
                    self.format = InputFormat::Done;
                }
                Some(self.error(error, Some(line), None))
            }
        }
    }

    fn next_csv_line(&mut self) -> Option<RecordResult> {
        let (number, text) = match self.next_line() {
            Some(Ok(line)) => line,
            Some(Err(item)) => return Some(item),
            None => {
                self.format = InputFormat::Done;
                return None;
            }
        };
        let InputFormat::Csv(columns) = &self.format else {
            return None;
        };
        if columns.is_comment(&text) {
            return None;
        }
        Some(match columns.parse_line(&text) {
            Ok(puzzle) => self.record(puzzle, Some(number)),
            Err(error) => self.error(error, Some(number), None),
        })
    }

    /// Returns the next puzzle that was read from plain text.
    fn next_ready(&mut self) -> Option<RecordResult> {
        let PlainPuzzle {
            puzzle,
            line,
            column,
        } = self.ready.pop_front()?;
        Some(match (puzzle, column) {
            (Ok(puzzle), _) => self.record(puzzle, Some(line)),
            (Err(error), Some(column)) => {
                let error = error.context(format!("line {line}, column {column}"));
                self.error_at(error, Some(line), None)
            }
            (Err(error), None) => self.error(error, Some(line), None),
        })
    }

    fn next_plain(&mut self) -> Option<RecordResult> {
        let InputFormat::Plain(plain) = &mut self.format else {
            return None;
        };
        match self.lines.next(MAX_LINE_BYTES, MAX_LINE_BYTES) {
            Some(Line {
                number,
                text: Ok(text),
            }) => plain.add_line(number, text, &mut self.ready),
            Some(Line {
                number,
                text: Err(error),
            }) => return Some(self.line_error(number, error)),
            None => {
                plain.finish(&mut self.ready);
                if self.ready.is_empty() {
                    self.format = InputFormat::Done;
                }
            }
        }
        None
    }
}

impl Iterator for Records {
    type Item = RecordResult;

    fn next(&mut self) -> Option<RecordResult> {
        loop {
            if let Some(item) = self.next_ready().or_else(|| self.next_in_document()) {
                return Some(item);
            }
            let item = match self.format {
                InputFormat::Unknown => self.detect_format(),
                InputFormat::Json(layout) => self.next_document(layout),
                InputFormat::Csv(_) => self.next_csv_line(),
                InputFormat::Plain(_) => self.next_plain(),
                InputFormat::Done => return None,
            };
            if item.is_some() {
                return item;
            }
        }
    }
}

/// Returns the name of an ARC task in a file with this name: the stem of a `.json` file.
fn stem(name: &str) -> Option<String> {
    let path = Path::new(name);
    let json = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("json"));
    path.file_stem()
        .filter(|_| json)
        .map(|stem| stem.to_string_lossy().into_owned())
}

/// Returns whether a line is certainly a whole document and not a part of one.
fn is_whole_document(line: &str) -> bool {
    match Json::parse(line) {
        Ok(Json::Object(fields)) => fields
            .iter()
            .any(|(name, _)| document::is_puzzle_field(name) && !document::is_pair_field(name)),
        Ok(Json::Text(_)) => true,
        _ => false,
    }
}
