//! `identifiers.json`: the names of the rows of the puzzle embedding.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::augmentation::Augmentation;
use crate::error::{Error, ErrorKind, Result};
use crate::files::open_regular;

/// The names of the rows of a puzzle embedding, from the `identifiers.json` of ARC training.
///
/// The file lists one name per row: `<blank>`, then a task (`007bbfb7`) or an augmentation of it
/// (`007bbfb7|||t3|||0213456789`: dihedral transform, permutation of the colours). An object of
/// names and rows is also accepted. Row 0 must be `<blank>`, and every row of the embedding must
/// have a name: otherwise the file belongs to another model, and all rows may be the wrong ones.
///
/// The file has up to a million names. It is read when the first task is looked up, and only tasks
/// without augmentation are kept in memory. A file that is refused is not read again.
#[derive(Debug, Clone)]
pub struct Identifiers {
    path: PathBuf,
    /// Rows of the puzzle embedding that the names belong to. `None`: not known.
    expected_rows: Option<usize>,
    content: Arc<OnceLock<Result<Content, Failure>>>,
}

/// What is kept of the file.
#[derive(Debug)]
struct Content {
    rows: RowsByTask,
    /// Number of names.
    count: usize,
}

/// The error for a file that was refused, kept so that the file is not read again.
#[derive(Debug)]
struct Failure {
    kind: ErrorKind,
    message: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

/// The row of each task.
type RowsByTask = BTreeMap<Box<str>, TaskRow>;

/// A row of the puzzle embedding.
#[derive(Debug, Clone, Copy)]
struct TaskRow {
    row: u32,
    /// The name of the row has no augmentation. It takes precedence over the identity augmentation.
    plain: bool,
}

const SEPARATOR: &str = "|||";
/// The augmentation that changes nothing.
const IDENTITY: &str = "t0|||0123456789";
const BLANK: &str = "<blank>";

/// The largest size of the file: three times the largest published file.
const MAX_FILE_BYTES: u64 = 128 << 20;
/// The longest name.
const MAX_NAME_BYTES: usize = 1024;
/// The largest number of tasks, a few hundred times the number of ARC tasks.
const MAX_TASKS: usize = 500_000;
/// The largest total length of the names of the tasks.
const MAX_TASK_NAME_BYTES: usize = 32 << 20;

impl Identifiers {
    /// Opens the file at `path`. It is read later, when the first task is looked up.
    ///
    /// # Errors
    /// If the file cannot be opened, or is not a regular file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        open_file(path)?;
        Ok(Self {
            path: path.to_owned(),
            expected_rows: None,
            content: Arc::default(),
        })
    }

    /// Returns the same names, which are refused when they are read unless they are those of a
    /// puzzle embedding with `rows` rows.
    #[must_use]
    pub fn for_rows(self, rows: usize) -> Self {
        match self.expected_rows {
            Some(expected) if expected == rows => self,
            _ => Self {
                expected_rows: Some(rows),
                content: Arc::default(),
                path: self.path,
            },
        }
    }

    /// Reads the file, if it was not read yet, and checks it.
    ///
    /// # Errors
    /// If the file cannot be read, is not a list of identifiers, or does not belong to the rows of
    /// the puzzle embedding.
    pub fn check(&self) -> Result<()> {
        self.content().map(drop)
    }

    /// Checks that the names are those of a puzzle embedding with `rows` rows.
    pub(super) fn check_rows(&self, rows: usize) -> Result<()> {
        let count = self.content()?.count;
        match count == rows {
            true => Ok(()),
            false => Err(other_model(count, rows).context(self.path.display())),
        }
    }

    /// Returns the row of a task without augmentation, or `None` if training did not include the
    /// task. The row of the plain name takes precedence over that of the identity augmentation.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn find(&self, task: &str) -> Result<Option<u32>> {
        Ok(self.content()?.rows.get(task).map(|row| row.row))
    }

    /// Returns the augmentations of these tasks in the training data, each with its row.
    ///
    /// The task without augmentation comes first, the others follow in the order of the file. A
    /// task that training did not include is not in the map. Each call reads the file.
    ///
    /// # Errors
    /// As [`find`](Self::find), or if the augmentation of one of the tasks is malformed.
    pub fn augmentations<'t>(
        &self,
        tasks: impl IntoIterator<Item = &'t str>,
    ) -> Result<BTreeMap<&'t str, Vec<(Augmentation, u32)>>> {
        let mut found: BTreeMap<&str, Vec<(Augmentation, u32)>> =
            tasks.into_iter().map(|task| (task, Vec::new())).collect();
        self.scan(&mut |name, row| {
            let (task, augmentation) = name.split_once(SEPARATOR).unwrap_or((name, ""));
            let Some(augmentations) = found.get_mut(task) else {
                return Ok(());
            };
            if augmentation.is_empty() {
                augmentations.insert(0, (Augmentation::IDENTITY, row));
            } else {
                let augmentation = augmentation
                    .parse::<Augmentation>()
                    .map_err(|e: Error| e.context(format!("row {row}")))?;
                augmentations.push((augmentation, row));
            }
            Ok(())
        })?;
        found.retain(|_, augmentations| !augmentations.is_empty());
        Ok(found)
    }

    /// Returns the number of tasks, without their augmentations.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn task_count(&self) -> Result<usize> {
        Ok(self.content()?.rows.len())
    }

    fn content(&self) -> Result<&Content> {
        let read = || {
            let mut tasks = TaskRows::default();
            let count = self.scan(&mut |name, row| tasks.add(name, row))?;
            Ok(Content {
                rows: tasks.rows,
                count,
            })
        };
        let content = self
            .content
            .get_or_init(|| read().map_err(|e: Error| e.into()));
        content
            .as_ref()
            .map_err(|failure| Error::new(failure.kind, failure.message.clone()))
    }

    /// Calls `on_name` for each name, and checks the rows. Returns the number of names.
    fn scan(&self, on_name: &mut OnName) -> Result<usize> {
        let at = |e: Error| e.context(self.path.display());
        let file = open_file(&self.path)?;
        let size = file
            .metadata()
            .map_err(|e| Error::io(self.path.display(), e))?
            .len();
        if size > MAX_FILE_BYTES {
            return Err(at(Error::checkpoint(format!(
                "has {size} bytes: a list of puzzle identifiers has at most {MAX_FILE_BYTES}"
            ))));
        }
        let mut check = RowCheck::new(self.expected_rows);
        let reader = BufReader::with_capacity(64 << 10, file.take(MAX_FILE_BYTES));
        let read = read(reader, &mut |name, row| {
            check.add(name, row)?;
            on_name(name, row)
        });
        read.and_then(|()| check.finish()).map_err(at)
    }
}

/// Opens a regular file. Opening a pipe could block.
fn open_file(path: &Path) -> Result<File> {
    open_regular(path).map_err(|e| Error::io(path.display(), e))
}

/// Returns the error for names that do not belong to the rows of a puzzle embedding.
fn other_model(count: usize, rows: usize) -> Error {
    Error::checkpoint(format!(
        "names {count} rows, but the puzzle embedding of the model has {rows}: the two do not \
         belong together"
    ))
}

/// Checks the rows of all names.
struct RowCheck {
    expected: Option<usize>,
    count: usize,
    /// The name of row 0.
    first: Option<String>,
    /// A bit for each expected row that has a name.
    named: Vec<u64>,
}

impl RowCheck {
    fn new(expected: Option<usize>) -> Self {
        Self {
            expected,
            count: 0,
            first: None,
            named: Vec::new(),
        }
    }

    fn add(&mut self, name: &str, row: u32) -> Result<()> {
        self.count += 1;
        if row == 0 && self.first.is_none() {
            self.first = Some(name.to_owned());
        }
        let row = row as usize;
        // Rows of a list that is too long are counted first, so that the message has their number.
        if self.expected.is_none_or(|rows| row >= rows) {
            return Ok(());
        }
        let (word, bit) = (row / 64, 1 << (row % 64));
        if self.named.len() <= word {
            self.named.resize(word + 1, 0);
        }
        match self.named.get_mut(word) {
            Some(bits) if *bits & bit != 0 => Err(Error::checkpoint(format!(
                "gives row {row} to more than one name"
            ))),
            Some(bits) => {
                *bits |= bit;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Returns the number of names.
    fn finish(&self) -> Result<usize> {
        match self.expected {
            Some(rows) if self.count != rows => return Err(other_model(self.count, rows)),
            Some(rows) => {
                let named: usize = self
                    .named
                    .iter()
                    .map(|bits| bits.count_ones() as usize)
                    .sum();
                if named != rows {
                    return Err(Error::checkpoint(format!(
                        "names rows that the puzzle embedding of the model, with {rows} rows, does \
                         not have: the two do not belong together"
                    )));
                }
            }
            None => {}
        }
        match &self.first {
            Some(name) if name == BLANK => Ok(self.count),
            Some(name) => Err(Error::checkpoint(format!(
                "gives row 0 to \"{}\": it must be {BLANK}, the row of no task, so every name may \
                 have the wrong row",
                name.escape_debug()
            ))),
            None => Err(Error::checkpoint(format!(
                "names no row 0, which must be {BLANK}: it is not a whole list of identifiers"
            ))),
        }
    }
}

/// A callback for each name and its row.
type OnName<'c> = dyn FnMut(&str, u32) -> Result<()> + 'c;

fn read(reader: impl BufRead, on_name: &mut OnName) -> Result<()> {
    let mut json = NameScanner {
        reader,
        name: Vec::new(),
    };
    match json.take()? {
        Some(b'[') => list(&mut json, on_name)?,
        Some(b'{') => object(&mut json, on_name)?,
        _ => return Err(malformed("expected a list of names")),
    }
    match json.take()? {
        None => Ok(()),
        Some(_) => Err(malformed("something follows the end of the list")),
    }
}

/// Reads the names of an array, whose rows count from 0.
fn list(json: &mut NameScanner<impl BufRead>, on_name: &mut OnName) -> Result<()> {
    if json.skip(b']')? {
        return Ok(());
    }
    for row in 0.. {
        on_name(&json.name()?, row)?;
        if !json.next_element(b']')? {
            break;
        }
    }
    Ok(())
}

/// Reads an object of names and rows.
fn object(json: &mut NameScanner<impl BufRead>, on_name: &mut OnName) -> Result<()> {
    if json.skip(b'}')? {
        return Ok(());
    }
    loop {
        let name = json.name()?.into_owned();
        if !json.skip(b':')? {
            return Err(malformed("expected `:` after a name"));
        }
        on_name(&name, json.row()?)?;
        if !json.next_element(b'}')? {
            return Ok(());
        }
    }
}

fn malformed(reason: &str) -> Error {
    Error::checkpoint(format!("is not a list of puzzle identifiers: {reason}"))
}

fn io_error(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, error.to_string()).with_source(error)
}

/// The tasks that were read so far.
#[derive(Default)]
struct TaskRows {
    rows: RowsByTask,
    /// The total length of the names of the tasks.
    name_bytes: usize,
}

impl TaskRows {
    /// Adds the row `name` if it is a task without augmentation.
    fn add(&mut self, name: &str, row: u32) -> Result<()> {
        let (task, plain) = match name.split_once(SEPARATOR) {
            None => (name, true),
            Some((task, IDENTITY)) => (task, false),
            Some(_) => return Ok(()),
        };
        if task == BLANK {
            return Ok(());
        }
        if let Some(known) = self.rows.get_mut(task) {
            if plain && !known.plain {
                *known = TaskRow { row, plain };
            }
            return Ok(());
        }
        self.name_bytes += task.len();
        if self.rows.len() >= MAX_TASKS || self.name_bytes > MAX_TASK_NAME_BYTES {
            return Err(malformed("it has more tasks than ARC can have"));
        }
        self.rows.insert(task.into(), TaskRow { row, plain });
        Ok(())
    }
}

/// Reads flat JSON name by name, with bounded memory.
///
/// It is several times as fast as the stream reader of `serde_json`.
struct NameScanner<R> {
    reader: R,
    /// The current name, with its quotes and escapes.
    name: Vec<u8>,
}

impl<R: BufRead> NameScanner<R> {
    fn buffer(&mut self) -> Result<&[u8]> {
        self.reader.fill_buf().map_err(io_error)
    }

    /// Skips white space and returns the next byte without consuming it.
    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            let buffer = self.buffer()?;
            let (blanks, byte) = match buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
                Some(i) => (i, buffer.get(i).copied()),
                None => (buffer.len(), None),
            };
            self.reader.consume(blanks);
            if byte.is_some() || blanks == 0 {
                return Ok(byte);
            }
        }
    }

    /// Consumes and returns the next byte that is not white space.
    fn take(&mut self) -> Result<Option<u8>> {
        let byte = self.peek()?;
        self.reader.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// Consumes `byte` if it is the next byte, and returns whether it was.
    fn skip(&mut self, byte: u8) -> Result<bool> {
        let is_next = self.peek()? == Some(byte);
        self.reader.consume(usize::from(is_next));
        Ok(is_next)
    }

    /// Consumes a comma or `end`. Returns true for a comma: another element follows.
    fn next_element(&mut self, end: u8) -> Result<bool> {
        match self.take()? {
            Some(b',') => Ok(true),
            Some(byte) if byte == end => Ok(false),
            Some(_) => Err(malformed("expected a comma")),
            None => Err(malformed("the file is truncated")),
        }
    }

    /// Reads a string.
    fn name(&mut self) -> Result<Cow<'_, str>> {
        if !self.skip(b'"')? {
            return Err(malformed("expected a name"));
        }
        self.name.clear();
        self.name.push(b'"');
        let (mut after_backslash, mut has_escapes) = (false, false);
        loop {
            let buffer = self.reader.fill_buf().map_err(io_error)?;
            let stop = if after_backslash {
                Some(0)
            } else {
                buffer.iter().position(|b| matches!(b, b'"' | b'\\'))
            };
            let count = stop.map_or(buffer.len(), |i| i + 1).min(buffer.len());
            self.name.extend(buffer.iter().take(count));
            self.reader.consume(count);
            if count == 0 {
                return Err(malformed("the file is truncated"));
            }
            if self.name.len() > MAX_NAME_BYTES {
                return Err(malformed("a name is too long"));
            }
            match self.name.last() {
                _ if after_backslash => after_backslash = false,
                Some(b'"') => break,
                Some(b'\\') => (after_backslash, has_escapes) = (true, true),
                _ => {}
            }
        }
        let name = if has_escapes {
            serde_json::from_slice(&self.name).map(Cow::Owned)
        } else {
            serde_json::from_slice(&self.name).map(Cow::Borrowed)
        };
        name.map_err(|e| malformed("a name is not a JSON string").with_source(e))
    }

    /// Reads a whole number.
    fn row(&mut self) -> Result<u32> {
        self.peek()?;
        let mut row: Option<u32> = None;
        while let Some(digit) = self
            .buffer()?
            .first()
            .filter(|byte| byte.is_ascii_digit())
            .map(|byte| byte - b'0')
        {
            let next = row
                .unwrap_or(0)
                .checked_mul(10)
                .and_then(|row| row.checked_add(digit.into()));
            row = Some(next.ok_or_else(|| malformed("a row is out of range"))?);
            self.reader.consume(1);
        }
        row.ok_or_else(|| malformed("expected the row of a name"))
    }
}
