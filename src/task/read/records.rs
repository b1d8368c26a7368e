//! Streams of puzzles: one document, a list, or a puzzle a line.

use super::csv::{self, Columns};
use super::document::{self, Puzzles};
use super::json::{self, Json};
use super::lines::{Line, Lines, MAX_LINE, Unreadable};
use super::plain::{self, Plain};
use crate::error::Error;
use crate::task::puzzle::{Id, MAX_DOCUMENT, Puzzle};
use std::collections::VecDeque;
use std::fmt;
use std::io::BufRead;
use std::path::Path;

/// A puzzle of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The puzzle.
    pub puzzle: Puzzle,
    /// Its number in the stream, from 0; records that cannot be read count too.
    pub number: u64,
    /// The line where it begins, from 1. `None` in a list over several lines.
    pub line: Option<u64>,
}

/// A record that cannot be read.
#[derive(Debug)]
pub struct RecordError {
    /// Its number in the stream, from 0.
    pub number: u64,
    /// The line that it is about, from 1, where that is known.
    pub line: Option<u64>,
    /// Its identifier, where that could be read.
    pub id: Option<Id>,
    /// What is wrong; the input's name and the line are among its places.
    pub error: Error,
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
    fn from(record: RecordError) -> Error {
        record.error
    }
}

/// The puzzles of an input, read as they come and in bounded memory.
///
/// An input is, by its first line that is not blank:
/// - JSON (`{`, `[` or `"`): a document, which may go over several lines, as [`Puzzle::all_from_json`] describes; or NDJSON,
///   a document a line.
/// - CSV: a header with a column `puzzle`, `maze`, `question` or the like, and perhaps `solution` or `answer`, `id`, `task`
///   and `puzzle_id` (other columns are ignored), then a puzzle a line. A quoted field ends on its line.
/// - Plain text. A line that by its length (n x n, n from 4) and its cells (digits up to n; a start and a goal) is a puzzle of
///   its own begins a stream of one puzzle a line: 81 characters are a Sudoku. Another line is the first row of a grid: nine
///   lines of 9 characters are a Sudoku too. A grid ends when it is square, at an empty line, or at the end.
///
/// A record that cannot be read is an error, and the stream goes on with the next line. A line has at most 1 MiB; a document
/// at the beginning at most 8 MiB.
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
    /// Of the input, for messages.
    name: String,
    number: u64,
    form: Form,
    /// The document that is being expanded, and the line of its puzzles.
    open: Option<(Puzzles, Option<u64>)>,
    /// Lines of plain text that have become puzzles.
    ready: VecDeque<plain::PlainPuzzle>,
    warned: Vec<String>,
}

/// What the input turned out to be.
#[derive(Debug)]
enum Form {
    Unknown,
    /// A document a line; or documents of several lines, if the first was.
    Json {
        several_lines: bool,
    },
    Csv(Columns),
    Plain(Plain),
    Done,
}

type Item = Result<Record, RecordError>;

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("name", &self.name)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Records {
    /// The puzzles of `reader`. `name` is the input's name in messages; if it is that of a `.json` file that holds one ARC task
    /// without an `id`, its stem is the task's name.
    pub fn new(reader: impl BufRead + Send + 'static, name: &str) -> Records {
        Records {
            lines: Lines::new(reader),
            name: name.to_owned(),
            number: 0,
            form: Form::Unknown,
            open: None,
            ready: VecDeque::new(),
            warned: Vec::new(),
        }
    }

    fn good(&mut self, puzzle: Puzzle, line: Option<u64>) -> Item {
        let number = self.count();
        Ok(Record { puzzle, number, line })
    }

    fn bad(&mut self, error: Error, line: Option<u64>, id: Option<Id>) -> Item {
        let number = self.count();
        let error = match line {
            Some(line) => error.context(format!("line {line}")),
            None => error,
        };
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
        })
    }

    fn count(&mut self) -> u64 {
        let number = self.number;
        self.number += 1;
        number
    }

    /// The next puzzle of the open document.
    fn expand(&mut self) -> Option<Item> {
        let (puzzles, line) = self.open.as_mut()?;
        let line = *line;
        match puzzles.next() {
            Some(Ok(puzzle)) => Some(self.good(puzzle, line)),
            Some(Err(failed)) => Some(self.bad(failed.error, line, failed.id)),
            None => {
                self.warned = std::mem::take(&mut puzzles.warned);
                self.open = None;
                None
            }
        }
    }

    fn open(&mut self, document: Json, stem: Option<&str>, at: Span) {
        let mut puzzles = Puzzles::of(document, stem);
        puzzles.warned = std::mem::take(&mut self.warned);
        // In a list over several lines nobody knows the line of an element.
        let line = (at.lines == 1 || puzzles.is_one()).then_some(at.line);
        self.open = Some((puzzles, line));
    }

    /// Handles a line that cannot be had; the rest of the stream may be readable.
    fn unreadable(&mut self, line: u64, why: Unreadable) -> Item {
        // A file that is no text from the beginning is not a stream of thousands of broken records.
        if matches!(why, Unreadable::Failed(_))
            || matches!((&why, &self.form), (Unreadable::NoText, Form::Unknown))
        {
            self.form = Form::Done;
        }
        self.bad(why.into_error(), Some(line), None)
    }

    /// Finds out by its first line what the input is.
    fn first(&mut self) -> Option<Item> {
        let mut plain = Plain::default();
        loop {
            let Some(Line { number, text }) = self.lines.next(MAX_LINE, MAX_DOCUMENT) else {
                self.form = Form::Done;
                return None;
            };
            let text = match text {
                Ok(text) => text,
                Err(why) => return Some(self.unreadable(number, why)),
            };
            if text.trim().is_empty() {
                // It may be the first row of a maze.
                plain.line(number, text, &mut self.ready);
                continue;
            }
            if csv::is_header(&text) {
                return match Columns::of(&text) {
                    Ok(columns) => {
                        self.form = Form::Csv(columns);
                        None
                    }
                    Err(error) => {
                        self.form = Form::Done;
                        Some(self.bad(error, Some(number), None))
                    }
                };
            }
            if json::starts(&text) {
                return self.first_document(number, text);
            }
            plain.line(number, text, &mut self.ready);
            self.form = Form::Plain(plain);
            return None;
        }
    }

    /// The document at the beginning: it decides whether documents have a line each.
    fn first_document(&mut self, number: u64, line: String) -> Option<Item> {
        let stem = stem(&self.name);
        let document = Document::collect(&mut self.lines, number, line);
        let several_lines = document.at.lines > 1;
        match document.parse() {
            Ok(json) => {
                self.form = Form::Json { several_lines };
                self.open(json, stem.as_deref(), document.at);
                None
            }
            Err((error, line)) => {
                if !several_lines && document.whole {
                    self.form = Form::Json { several_lines };
                } else if self.is_stream(&document) {
                    // A stream whose first line is broken: all lines once more, for themselves.
                    self.form = Form::Json { several_lines: false };
                    if several_lines {
                        self.lines.take_back(document.at.line, document.text);
                        return None;
                    }
                } else {
                    self.form = if document.whole {
                        Form::Json { several_lines }
                    } else {
                        Form::Done
                    };
                }
                Some(self.bad(error, Some(line), None))
            }
        }
    }

    /// Whether a later line than the document's first is a document of its own.
    fn is_stream(&mut self, document: &Document) -> bool {
        let begins = document.text.chars().next().filter(|c| matches!(c, '{' | '"'));
        let alone = |line: &str| begins.is_some_and(|c| line.starts_with(c)) && stands_alone(line);
        if document.at.lines > 1 {
            return document.text.split('\n').skip(1).any(alone);
        }
        let next = self.lines.next(MAX_LINE, MAX_LINE);
        let Some(Line {
            number,
            text: Ok(text),
        }) = next
        else {
            return false;
        };
        let found = alone(&text);
        self.lines.take_back(number, text);
        found
    }

    /// The next line of a stream, blank ones left out.
    fn next_line(&mut self) -> Option<Result<(u64, String), Item>> {
        loop {
            match self.lines.next(MAX_LINE, MAX_LINE)? {
                Line { text: Ok(text), .. } if text.trim().is_empty() => {}
                Line {
                    number,
                    text: Ok(text),
                } => return Some(Ok((number, text))),
                Line {
                    number,
                    text: Err(why),
                } => return Some(Err(self.unreadable(number, why))),
            }
        }
    }

    fn next_document(&mut self, several_lines: bool) -> Option<Item> {
        let (number, text) = match self.next_line() {
            Some(Ok(line)) => line,
            Some(Err(item)) => return Some(item),
            None => {
                self.form = Form::Done;
                return None;
            }
        };
        let document = match several_lines {
            true => Document::collect(&mut self.lines, number, text),
            false => Document {
                text,
                at: Span {
                    line: number,
                    lines: 1,
                },
                whole: true,
                why: None,
            },
        };
        match document.parse() {
            Ok(json) => {
                self.open(json, None, document.at);
                None
            }
            Err((error, line)) => {
                if !document.whole {
                    self.form = Form::Done;
                }
                Some(self.bad(error, Some(line), None))
            }
        }
    }

    fn next_row(&mut self) -> Option<Item> {
        let (number, text) = match self.next_line() {
            Some(Ok(line)) => line,
            Some(Err(item)) => return Some(item),
            None => {
                self.form = Form::Done;
                return None;
            }
        };
        let Form::Csv(columns) = &self.form else {
            return None;
        };
        Some(match columns.puzzle(&text) {
            Ok(puzzle) => self.good(puzzle, Some(number)),
            Err(error) => self.bad(error, Some(number), None),
        })
    }

    fn next_plain(&mut self) -> Option<Item> {
        if let Some(cells) = self.ready.pop_front() {
            let line = Some(cells.line);
            return Some(match cells.cells.bounded() {
                Ok(content) => self.good(content.into(), line),
                Err(error) => self.bad(error.context("the puzzle"), line, None),
            });
        }
        let Form::Plain(plain) = &mut self.form else {
            return None;
        };
        match self.lines.next(MAX_LINE, MAX_LINE) {
            Some(Line {
                number,
                text: Ok(text),
            }) => plain.line(number, text, &mut self.ready),
            Some(Line {
                number,
                text: Err(why),
            }) => return Some(self.unreadable(number, why)),
            None => {
                plain.end(&mut self.ready);
                if self.ready.is_empty() {
                    self.form = Form::Done;
                }
            }
        }
        None
    }
}

impl Iterator for Records {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.expand() {
                return Some(item);
            }
            let item = match self.form {
                Form::Unknown => self.first(),
                Form::Json { several_lines } => self.next_document(several_lines),
                Form::Csv(_) => self.next_row(),
                Form::Plain(_) => self.next_plain(),
                Form::Done => return None,
            };
            if item.is_some() {
                return item;
            }
        }
    }
}

/// The name that a file gives an ARC task.
fn stem(name: &str) -> Option<String> {
    let path = Path::new(name);
    let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    path.file_stem()
        .filter(|_| json)
        .map(|stem| stem.to_string_lossy().into_owned())
}

/// Whether a line is a whole document, and surely not a piece of one.
fn stands_alone(line: &str) -> bool {
    match Json::parse(line) {
        Ok(Json::Object(fields)) => fields.iter().any(|(name, _)| document::is_body(name)),
        Ok(Json::Text(_)) => true,
        _ => false,
    }
}

/// Where a document lies.
#[derive(Debug, Clone, Copy)]
struct Span {
    line: u64,
    lines: u64,
}

/// The most lines of a document: 8 MiB of a number a line, indented.
const MAX_LINES: u64 = 1_000_000;

/// The lines of a document.
struct Document {
    text: String,
    at: Span,
    /// All its brackets are closed, so that what follows is another document.
    whole: bool,
    /// Why it could not be read to its end.
    why: Option<Error>,
}

impl Document {
    /// Reads on until the brackets of the first line are closed.
    fn collect(lines: &mut Lines, number: u64, first: String) -> Document {
        let mut brackets = Brackets::default();
        brackets.read(&first);
        let mut document = Document {
            text: first,
            at: Span {
                line: number,
                lines: 1,
            },
            whole: false,
            why: None,
        };
        // No string goes over the end of a line.
        while brackets.depth > 0 && !brackets.in_string {
            if document.at.lines == MAX_LINES {
                document.why = Some(Error::puzzle(format!(
                    "the document has more than {MAX_LINES} lines"
                )));
                return document;
            }
            let left = MAX_DOCUMENT.saturating_sub(document.text.len() + 1);
            match lines.next(left, left) {
                None => return document,
                Some(Line { text: Ok(text), .. }) => {
                    brackets.read(&text);
                    document.text.push('\n');
                    document.text.push_str(&text);
                    document.at.lines += 1;
                }
                Some(Line {
                    text: Err(Unreadable::TooLong(_)),
                    ..
                }) => {
                    document.why = Some(Error::puzzle("the document is longer than 8 MiB"));
                    return document;
                }
                Some(Line { text: Err(why), .. }) => {
                    document.why = Some(why.into_error());
                    return document;
                }
            }
        }
        document.whole = !brackets.in_string;
        document
    }

    /// The document, or what is wrong in which line.
    fn parse(&self) -> Result<Json, (Error, u64)> {
        if let Some(why) = &self.why {
            return Err((Error::new(why.kind(), why.to_string()), self.at.line));
        }
        Json::parse(&self.text).map_err(|e| {
            let line = self.at.line + (e.line() as u64).saturating_sub(1);
            (
                Error::puzzle(format!("no JSON: {} (column {})", json::reason(&e), e.column())),
                line,
            )
        })
    }
}

/// Counts brackets outside of strings.
#[derive(Default)]
struct Brackets {
    depth: usize,
    in_string: bool,
}

impl Brackets {
    fn read(&mut self, line: &str) {
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
