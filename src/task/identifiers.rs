//! `identifiers.json`: which row of the puzzle embedding stands for which task.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};

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
                let rows = scan(&self.path)?;
                Ok(self.rows.get_or_init(|| rows))
            }
        }
    }
}

fn scan(path: &Path) -> Result<Rows> {
    let file = File::open(path).map_err(|e| Error::io(path.display(), e))?;
    let size = file.metadata().map_err(|e| Error::io(path.display(), e))?.len();
    if size > MAX_BYTES {
        let message = format!("has {size} bytes: a list of puzzle identifiers has at most {MAX_BYTES}");
        return Err(Error::checkpoint(message).at(path.display()));
    }
    read(BufReader::with_capacity(64 << 10, file).take(MAX_BYTES)).map_err(|e| e.at(path.display()))
}

fn read(reader: impl Read) -> Result<Rows> {
    let mut json = serde_json::Deserializer::from_reader(ShortStrings::new(reader));
    let rows = json
        .deserialize_any(Names)
        .and_then(|rows| json.end().map(|()| rows));
    rows.map_err(|e| Error::checkpoint(format!("is no list of puzzle identifiers: {e}")).because(e))
}

/// Keeps `name` if it is an untransformed task's.
fn keep(rows: &mut Rows, bytes: &mut usize, name: &str, row: u64) -> Result<(), String> {
    let row = u32::try_from(row).map_err(|_| format!("row {row} is out of range"))?;
    let (task, plain) = match name.split_once(SEPARATOR) {
        None => (name, true),
        Some((task, IDENTITY)) => (task, false),
        Some(_) => return Ok(()),
    };
    if task == BLANK {
        return Ok(());
    }
    if let Some(known) = rows.get_mut(task) {
        if plain && !known.plain {
            *known = Row { row, plain };
        }
        return Ok(());
    }
    *bytes += task.len();
    if rows.len() >= MAX_TASKS || *bytes > MAX_TASK_BYTES {
        return Err(format!("more than {MAX_TASKS} tasks"));
    }
    rows.insert(task.into(), Row { row, plain });
    Ok(())
}

/// Reads the whole document.
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Rows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Rows, A::Error> {
        let (mut rows, mut bytes, mut row) = (Rows::new(), 0, 0);
        while names
            .next_element_seed(Name {
                rows: &mut rows,
                bytes: &mut bytes,
                row,
            })?
            .is_some()
        {
            row += 1;
        }
        Ok(rows)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut names: A) -> Result<Rows, A::Error> {
        let (mut rows, mut bytes) = (Rows::new(), 0);
        while let Some((name, row)) = names.next_entry::<String, u64>()? {
            keep(&mut rows, &mut bytes, &name, row).map_err(de::Error::custom)?;
        }
        Ok(rows)
    }
}

/// Reads one name of a list without keeping a copy of it.
struct Name<'a> {
    rows: &'a mut Rows,
    bytes: &'a mut usize,
    row: u64,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<(), E> {
        keep(self.rows, self.bytes, name, self.row).map_err(E::custom)
    }
}

/// Passes JSON through, but no string longer than [`MAX_NAME`], which the parser would hold in memory.
struct ShortStrings<R> {
    reader: R,
    in_string: bool,
    escaped: bool,
    length: usize,
}

impl<R: Read> ShortStrings<R> {
    fn new(reader: R) -> Self {
        ShortStrings {
            reader,
            in_string: false,
            escaped: false,
            length: 0,
        }
    }

    fn pass(&mut self, byte: u8) -> io::Result<()> {
        if !self.in_string {
            (self.in_string, self.length) = (byte == b'"', 0);
            return Ok(());
        }
        self.length += 1;
        self.in_string = self.escaped || byte != b'"';
        self.escaped = !self.escaped && byte == b'\\';
        if self.length > MAX_NAME {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a name is too long"));
        }
        Ok(())
    }
}

impl<R: Read> Read for ShortStrings<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        for &byte in buffer.iter().take(count) {
            self.pass(byte)?;
        }
        Ok(count)
    }
}
