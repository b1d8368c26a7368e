//! `identifiers.json`: which row of the puzzle embedding stands for which task.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::error::{Error, ErrorKind, Result};
use crate::task::Form;

/// The names of a puzzle embedding's rows, from the `identifiers.json` that ARC training writes.
///
/// The file lists a name per row: `<blank>`, then a task (`007bbfb7`) or an augmented form of it
/// (`007bbfb7|||t3|||0213456789`: dihedral transform, colour permutation); an object of names and rows is read too. It
/// has up to a million names; it is read once, when the first task is looked up, and only untransformed tasks are kept.
#[derive(Debug, Clone)]
pub struct Identifiers {
    path: PathBuf,
    rows: Arc<OnceLock<Rows>>,
}

/// Rows by task.
type Rows = BTreeMap<Box<str>, Row>;

/// A row, and whether its name is the task's alone (which wins over the spelled-out identity).
#[derive(Debug, Clone, Copy)]
struct Row {
    row: u32,
    plain: bool,
}

const SEPARATOR: &str = "|||";
/// No transform, no change of colours.
const IDENTITY: &str = "t0|||0123456789";
const BLANK: &str = "<blank>";

/// Three times the largest published file.
const MAX_BYTES: u64 = 128 << 20;
const MAX_NAME: usize = 1024;
/// A few hundred times as many tasks as ARC has.
const MAX_TASKS: usize = 500_000;
const MAX_TASK_BYTES: usize = 32 << 20;

impl Identifiers {
    /// The identifiers in the file at `path`, which is read later.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Identifiers> {
        let path = path.as_ref();
        File::open(path).map_err(|e| Error::io(path.display(), e))?;
        Ok(Identifiers {
            path: path.to_owned(),
            rows: Arc::default(),
        })
    }

    /// The row of a task without augmentation: the one of its plain name, else of its identity transform.
    ///
    /// # Errors
    /// Where the file cannot be read or is no list of identifiers.
    pub fn find(&self, task: &str) -> Result<Option<u32>> {
        Ok(self.rows()?.get(task).map(|row| row.row))
    }

    /// Every form in which training showed these tasks, and its row: the task's own first, the others in the order of the file. A task
    /// that training did not show is not in the map. The file is read once more.
    ///
    /// # Errors
    /// As [`find`](Self::find); or a form of one of the tasks is none.
    pub fn forms<'t>(
        &self,
        tasks: impl IntoIterator<Item = &'t str>,
    ) -> Result<BTreeMap<&'t str, Vec<(Form, u32)>>> {
        let mut found: BTreeMap<&str, Vec<(Form, u32)>> =
            tasks.into_iter().map(|task| (task, Vec::new())).collect();
        scan(&self.path, &mut |name, row| {
            let (task, form) = name.split_once(SEPARATOR).unwrap_or((name, ""));
            let Some(forms) = found.get_mut(task) else {
                return Ok(());
            };
            match form {
                "" => forms.insert(0, (Form::PLAIN, row)),
                form => forms.push((form.parse().map_err(|e: Error| e.context(format!("row {row}")))?, row)),
            }
            Ok(())
        })?;
        found.retain(|_, forms| !forms.is_empty());
        Ok(found)
    }

    /// The number of tasks, augmentations not counted.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn tasks(&self) -> Result<usize> {
        Ok(self.rows()?.len())
    }

    fn rows(&self) -> Result<&Rows> {
        match self.rows.get() {
            Some(rows) => Ok(rows),
            None => {
                let mut tasks = Tasks::default();
                scan(&self.path, &mut |name, row| tasks.keep(name, row))?;
                Ok(self.rows.get_or_init(|| tasks.rows))
            }
        }
    }
}

/// What a name and its row are handed to.
type Keep<'k> = dyn FnMut(&str, u32) -> Result<()> + 'k;

fn scan(path: &Path, keep: &mut Keep) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::io(path.display(), e))?;
    let size = file.metadata().map_err(|e| Error::io(path.display(), e))?.len();
    if size > MAX_BYTES {
        let message = format!("has {size} bytes: a list of puzzle identifiers has at most {MAX_BYTES}");
        return Err(Error::checkpoint(message).context(path.display()));
    }
    let reader = BufReader::with_capacity(64 << 10, file.take(MAX_BYTES));
    read(reader, keep).map_err(|e| e.context(path.display()))
}

fn read(reader: impl BufRead, keep: &mut Keep) -> Result<()> {
    let mut json = Scanner {
        reader,
        name: Vec::new(),
    };
    match json.take()? {
        Some(b'[') => list(&mut json, keep)?,
        Some(b'{') => object(&mut json, keep)?,
        _ => return Err(damaged("expected a list of names")),
    }
    match json.take()? {
        None => Ok(()),
        Some(_) => Err(damaged("something follows the end of the list")),
    }
}

fn list(json: &mut Scanner<impl BufRead>, keep: &mut Keep) -> Result<()> {
    if json.skip(b']')? {
        return Ok(());
    }
    for row in 0.. {
        keep(&json.name()?, row)?;
        if !json.more(b']')? {
            break;
        }
    }
    Ok(())
}

fn object(json: &mut Scanner<impl BufRead>, keep: &mut Keep) -> Result<()> {
    if json.skip(b'}')? {
        return Ok(());
    }
    loop {
        let name = json.name()?.into_owned();
        if !json.skip(b':')? {
            return Err(damaged("expected : after a name"));
        }
        keep(&name, json.row()?)?;
        if !json.more(b'}')? {
            return Ok(());
        }
    }
}

fn damaged(why: &str) -> Error {
    Error::checkpoint(format!("is no list of puzzle identifiers: {why}"))
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, error.to_string()).with_source(error)
}

/// The tasks found so far.
#[derive(Default)]
struct Tasks {
    rows: Rows,
    bytes: usize,
}

impl Tasks {
    /// Keeps `name` if it is an untransformed task's.
    fn keep(&mut self, name: &str, row: u32) -> Result<()> {
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
                *known = Row { row, plain };
            }
            return Ok(());
        }
        self.bytes += task.len();
        if self.rows.len() >= MAX_TASKS || self.bytes > MAX_TASK_BYTES {
            return Err(damaged("more tasks than ARC can have"));
        }
        self.rows.insert(task.into(), Row { row, plain });
        Ok(())
    }
}

/// Reads flat JSON name by name, several times as fast as `serde_json` reads a stream, and never a long name.
struct Scanner<R> {
    reader: R,
    /// The name being read, quotes and escapes included.
    name: Vec<u8>,
}

impl<R: BufRead> Scanner<R> {
    fn buffer(&mut self) -> Result<&[u8]> {
        self.reader.fill_buf().map_err(unreadable)
    }

    /// The next byte that is no white space, not yet taken.
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

    fn take(&mut self) -> Result<Option<u8>> {
        let byte = self.peek()?;
        self.reader.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// Takes `byte` if it is next.
    fn skip(&mut self, byte: u8) -> Result<bool> {
        let is_next = self.peek()? == Some(byte);
        self.reader.consume(usize::from(is_next));
        Ok(is_next)
    }

    /// Takes the comma before another element, or the `end`.
    fn more(&mut self, end: u8) -> Result<bool> {
        match self.take()? {
            Some(b',') => Ok(true),
            Some(byte) if byte == end => Ok(false),
            Some(_) => Err(damaged("expected a comma")),
            None => Err(damaged("the file ends in the middle")),
        }
    }

    fn name(&mut self) -> Result<Cow<'_, str>> {
        if !self.skip(b'"')? {
            return Err(damaged("expected a name"));
        }
        self.name.clear();
        self.name.push(b'"');
        let (mut escape, mut escapes) = (false, false);
        loop {
            let buffer = self.reader.fill_buf().map_err(unreadable)?;
            let stop = if escape {
                Some(0)
            } else {
                buffer.iter().position(|b| matches!(b, b'"' | b'\\'))
            };
            let count = stop.map_or(buffer.len(), |i| i + 1).min(buffer.len());
            self.name.extend(buffer.iter().take(count));
            self.reader.consume(count);
            if count == 0 {
                return Err(damaged("the file ends in the middle"));
            }
            if self.name.len() > MAX_NAME {
                return Err(damaged("a name is too long"));
            }
            match self.name.last() {
                _ if escape => escape = false,
                Some(b'"') => break,
                Some(b'\\') => (escape, escapes) = (true, true),
                _ => {}
            }
        }
        let name = if escapes {
            serde_json::from_slice(&self.name).map(Cow::Owned)
        } else {
            serde_json::from_slice(&self.name).map(Cow::Borrowed)
        };
        name.map_err(|e| damaged("a name is no JSON string").with_source(e))
    }

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
            row = Some(next.ok_or_else(|| damaged("a row is out of range"))?);
            self.reader.consume(1);
        }
        row.ok_or_else(|| damaged("expected the row of a name"))
    }
}
