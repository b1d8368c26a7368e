//! `identifiers.json`: the names of the rows of the puzzle embedding.

use std::borrow::Cow;
use std::collections::BTreeMap;
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
/// names and rows is also accepted.
///
/// The file has up to a million names. It is read when the first task is looked up, and only tasks
/// without augmentation are kept in memory.
#[derive(Debug, Clone)]
pub struct Identifiers {
    path: PathBuf,
    rows: Arc<OnceLock<RowsByTask>>,
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
    /// If the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        open_regular(path).map_err(|e| Error::io(path.display(), e))?;
        Ok(Self {
            path: path.to_owned(),
            rows: Arc::default(),
        })
    }

    /// Returns the row of a task without augmentation, or `None` if training did not include the
    /// task. The row of the plain name takes precedence over that of the identity augmentation.
    ///
    /// # Errors
    /// If the file cannot be read or is not a list of identifiers.
    pub fn find(&self, task: &str) -> Result<Option<u32>> {
        Ok(self.rows()?.get(task).map(|row| row.row))
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
        scan(&self.path, &mut |name, row| {
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
        Ok(self.rows()?.len())
    }

    fn rows(&self) -> Result<&RowsByTask> {
        match self.rows.get() {
            Some(rows) => Ok(rows),
            None => {
                let mut tasks = TaskRows::default();
                scan(&self.path, &mut |name, row| tasks.add(name, row))?;
                Ok(self.rows.get_or_init(|| tasks.rows))
            }
        }
    }
}

/// A callback for each name and its row.
type OnName<'c> = dyn FnMut(&str, u32) -> Result<()> + 'c;

/// Calls `on_name` for each name in the file at `path`.
fn scan(path: &Path, on_name: &mut OnName) -> Result<()> {
    let file = open_regular(path).map_err(|e| Error::io(path.display(), e))?;
    let size = file
        .metadata()
        .map_err(|e| Error::io(path.display(), e))?
        .len();
    if size > MAX_FILE_BYTES {
        let message =
            format!("has {size} bytes: a list of puzzle identifiers has at most {MAX_FILE_BYTES}");
        return Err(Error::checkpoint(message).context(path.display()));
    }
    let reader = BufReader::with_capacity(64 << 10, file.take(MAX_FILE_BYTES));
    read(reader, on_name).map_err(|e| e.context(path.display()))
}

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
