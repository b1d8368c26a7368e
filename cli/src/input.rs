//! Reads records from files and standard input, a limited number ahead, in a thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use log::LevelFilter;
use trm_runtime::low_level::open_regular;
use trm_runtime::task::{Cells, Id, NpyRows, Records};
use trm_runtime::{Error, ErrorKind, Puzzle};

use crate::output::eprint_line;

/// Records that the thread reads ahead.
const READ_AHEAD: usize = 64;

/// One record of the input, with its position.
#[derive(Debug)]
pub(crate) struct NumberedRecord {
    /// Name of the file.
    pub(crate) file: Arc<str>,
    /// Index of the file, from 0.
    pub(crate) file_number: usize,
    /// Index of the record among those of all files, from 0.
    pub(crate) number: u64,
    /// Line of the record in its file, from 1, if known.
    pub(crate) line: Option<u64>,
    /// Identifier, if the record has one.
    pub(crate) id: Option<Id>,
    /// The content, or why it could not be read.
    pub(crate) body: trm_runtime::Result<Body>,
}

/// The content of a record.
#[derive(Debug)]
pub(crate) enum Body {
    /// A puzzle as written.
    Puzzle(Puzzle),
    /// A row of the training pipeline's arrays.
    Row {
        /// S tokens.
        tokens: Vec<i64>,
        /// S labels. Label 0 does not count.
        labels: Option<Vec<i64>>,
        /// The row of the puzzle embedding.
        puzzle_id: Option<u32>,
        /// The number of puzzle identifiers of the data set, if it is known.
        identifier_count: Option<u64>,
    },
}

/// The result of [`RecordReader::next`].
pub(crate) enum Next {
    /// A record.
    Record(Box<NumberedRecord>),
    /// No record came in time, but more may follow.
    NotYet,
    /// The input has ended.
    End,
}

/// Reads the records of all inputs in order.
#[derive(Debug)]
pub(crate) struct RecordReader {
    receiver: Receiver<NumberedRecord>,
    /// Records that [`RecordReader::look_ahead`] received.
    held: VecDeque<NumberedRecord>,
    ended: bool,
}

impl RecordReader {
    /// Starts reading the files, at most `limit` records of each.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(paths: Vec<PathBuf>, limit: Option<usize>) -> trm_runtime::Result<Self> {
        Self::spawn(limit, move |reader| {
            paths.iter().try_for_each(|path| reader.path(path));
        })
    }

    /// Starts reading puzzles that the program makes.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn from_puzzles(
        puzzles: impl Iterator<Item = Puzzle> + Send + 'static,
    ) -> trm_runtime::Result<Self> {
        Self::spawn(None, move |reader| {
            let name: Arc<str> = "".into();
            let mut puzzles = puzzles;
            puzzles.try_for_each(|puzzle| reader.send(&name, None, None, Ok(Body::Puzzle(puzzle))));
        })
    }

    /// Starts the thread. It ends with the input, or when the receiver is dropped. It can wait for
    /// standard input forever.
    fn spawn(
        limit: Option<usize>,
        work: impl FnOnce(&mut Reader) + Send + 'static,
    ) -> trm_runtime::Result<Self> {
        let (sender, receiver) = sync_channel(READ_AHEAD);
        let read = move || {
            work(&mut Reader {
                sender,
                next: 0,
                file_number: 0,
                limit: limit.unwrap_or(usize::MAX),
                in_folder: false,
            });
        };
        if let Err(e) = std::thread::Builder::new().name("input".into()).spawn(read) {
            let message = format!(
                "the system allows no further thread, which is needed to read the input: {e}"
            );
            return Err(Error::new(ErrorKind::Device, message).with_source(e));
        }
        Ok(Self {
            receiver,
            held: VecDeque::new(),
            ended: false,
        })
    }

    /// Returns the next record, if one comes within `wait`.
    pub(crate) fn next(&mut self, wait: Duration) -> Next {
        if let Some(record) = self.held.pop_front() {
            return Next::Record(Box::new(record));
        }
        match self.receive(wait) {
            Some(record) => Next::Record(Box::new(record)),
            None if self.ended => Next::End,
            None => Next::NotYet,
        }
    }

    /// Waits for up to `wait` for `max` records. Returns `max`, or the number of records that are
    /// left if the input is known to end before.
    pub(crate) fn look_ahead(&mut self, max: usize, wait: Duration) -> usize {
        let until = Instant::now() + wait;
        while self.held.len() < max.min(READ_AHEAD) && !self.ended {
            match self.receive(until.saturating_duration_since(Instant::now())) {
                Some(record) => self.held.push_back(record),
                None => break,
            }
        }
        if self.ended {
            self.held.len().min(max)
        } else {
            max
        }
    }

    fn receive(&mut self, wait: Duration) -> Option<NumberedRecord> {
        let received = if wait.is_zero() {
            self.receiver
                .try_recv()
                .map_err(|e| e == TryRecvError::Disconnected)
        } else {
            self.receiver
                .recv_timeout(wait)
                .map_err(|e| e == RecvTimeoutError::Disconnected)
        };
        self.ended |= matches!(received, Err(true));
        received.ok()
    }
}

/// The thread's side. It sends records through a channel of limited length.
///
/// Its methods return `None` when the receiver is gone, which ends the thread.
struct Reader {
    sender: SyncSender<NumberedRecord>,
    /// Index of the next record.
    next: u64,
    file_number: usize,
    /// Maximum number of records of each file.
    limit: usize,
    /// The current file was found in a folder and not named.
    in_folder: bool,
}

impl Reader {
    /// Reads a file, a folder or standard input.
    fn path(&mut self, path: &Path) -> Option<()> {
        if path.as_os_str() != "-" && path.is_dir() {
            return self.folder(path);
        }
        self.file(path)
    }

    /// Reads the puzzle files of a folder, in the order of their names.
    ///
    /// Where `NAME__inputs.npy` lies, only these are puzzles. The folder above the parts of such a
    /// data set takes its part `test`.
    fn folder(&mut self, path: &Path) -> Option<()> {
        let name = path.display().to_string();
        let test = path.join("test");
        match folder_files(path).map(|files| (files, folder_files(&test).ok())) {
            Ok((files, test_files)) => {
                let is_array = |path: &PathBuf| file_name(path).ends_with(INPUTS_SUFFIX);
                let (arrays, others): (Vec<_>, Vec<_>) = files.into_iter().partition(is_array);
                if arrays.is_empty() && test_files.iter().flatten().any(is_array) {
                    note(&format!("{name}: a data set; its part test is read"));
                    note_left_aside(&name, &others);
                    return self.folder(&test);
                }
                if !arrays.is_empty() {
                    note_left_aside(&name, &others);
                    return arrays.iter().try_for_each(|path| self.file(path));
                }
                self.puzzle_files(&name, others)
            }
            Err(e) => self.failed_file(name, e),
        }
    }

    /// Reads the files of a folder that has no arrays. Files that hold no puzzles are a note.
    fn puzzle_files(&mut self, name: &str, files: Vec<PathBuf>) -> Option<()> {
        let (about, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|p| is_about_data(p));
        note_left_aside(name, &about);
        if files.is_empty() {
            let message = format!(
                "no file of puzzles in it ends in {}",
                FILE_SUFFIXES.join(", ")
            );
            let error = Error::new(ErrorKind::Puzzle, message).context(name);
            return self.failed_file(name.to_owned(), error);
        }
        let first = self.next;
        self.in_folder = true;
        let read = files.iter().try_for_each(|path| self.file(path));
        self.in_folder = false;
        read?;
        if self.next == first {
            let error = Error::new(ErrorKind::Puzzle, "no file in it has puzzles").context(name);
            return self.failed_file(name.to_owned(), error);
        }
        Some(())
    }

    fn failed_file(&mut self, name: String, error: Error) -> Option<()> {
        self.unreadable(&name.into(), error)?;
        self.file_number += 1;
        Some(())
    }

    fn file(&mut self, path: &Path) -> Option<()> {
        self.open(path)?;
        self.file_number += 1;
        Some(())
    }

    fn open(&mut self, path: &Path) -> Option<()> {
        if path.as_os_str() == "-" {
            return self.records(&"standard input".into(), io::stdin());
        }
        let name: Arc<str> = path.display().to_string().into();
        // The puzzle itself, instead of a file.
        if let Some(text) = path.to_str().filter(|text| is_puzzle(text)) {
            if !path.try_exists().unwrap_or(false) {
                return self.records(&"argument".into(), Cursor::new(text.to_owned()));
            }
            note(&format!(
                "{name} is read as a file; a puzzle can also be given with: echo ... | trm-run -"
            ));
        }
        match File::open(path) {
            Err(e) => self.unreadable(&name, Error::io(&name, e)),
            Ok(file) if path.extension().is_some_and(|e| e == "npy") => {
                self.rows(&name, path, file)
            }
            Ok(file) => self.records(&name, file),
        }
    }

    fn records(&mut self, name: &Arc<str>, source: impl Read + Send + 'static) -> Option<()> {
        for record in Records::new(BufReader::new(source), name).take(self.limit) {
            match record {
                Ok(record) => {
                    self.send(
                        name,
                        record.line,
                        record.puzzle.id.clone(),
                        Ok(Body::Puzzle(record.puzzle)),
                    )?;
                }
                Err(e) if self.in_folder && !e.is_puzzle => {
                    note(&format!("{name}: not a puzzle, so it is left aside"));
                }
                Err(e) => self.send(name, e.line, e.id, Err(e.error))?,
            }
        }
        Some(())
    }

    /// Reads `NAME__inputs.npy`, and the arrays that belong to it in the same folder: the labels,
    /// and the rows of the puzzle embedding.
    fn rows(&mut self, name: &Arc<str>, path: &Path, file: File) -> Option<()> {
        let prefix = path.to_str().and_then(|p| p.strip_suffix(INPUTS_SUFFIX));
        let open = || {
            let inputs = NpyRows::open(BufReader::new(file)).map_err(|e| e.context(name))?;
            let labels = prefix
                .map(|prefix| array_beside(prefix, "labels"))
                .transpose()?;
            let identifiers = prefix.map(RowIdentifiers::open).transpose()?.flatten();
            Ok((inputs, labels.flatten(), identifiers))
        };
        let (inputs, mut labels, mut identifiers) = match open() {
            Ok(arrays) => arrays,
            Err(e) => return self.unreadable(name, e),
        };
        let identifier_count = path.parent().and_then(identifier_count);
        for (row, tokens) in inputs.take(self.limit).enumerate() {
            let missing = || Err(Error::new(ErrorKind::Puzzle, "this row has no labels"));
            let labels = labels
                .as_mut()
                .map(|rows| rows.next().unwrap_or_else(missing))
                .transpose();
            let puzzle_id = identifiers
                .as_mut()
                .map(|identifiers| identifiers.of_row(row as i64))
                .transpose();
            let body = tokens.and_then(|tokens| {
                Ok(Body::Row {
                    tokens,
                    labels: labels?,
                    puzzle_id: puzzle_id?,
                    identifier_count,
                })
            });
            self.send(name, None, None, body.map_err(|e| e.context(name)))?;
        }
        Some(())
    }

    fn unreadable(&mut self, name: &Arc<str>, error: Error) -> Option<()> {
        self.send(name, None, None, Err(error))
    }

    fn send(
        &mut self,
        name: &Arc<str>,
        line: Option<u64>,
        id: Option<Id>,
        body: trm_runtime::Result<Body>,
    ) -> Option<()> {
        let number = self.next;
        self.next += 1;
        let file = name.clone();
        self.sender
            .send(NumberedRecord {
                file,
                file_number: self.file_number,
                number,
                line,
                id,
                body,
            })
            .ok()
    }
}

/// Returns the files that [`RecordReader`] may read for these paths, `/dev/stdin` for `-`.
pub(crate) fn input_files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            files.push("/dev/stdin".into());
        } else if path.is_dir() {
            let folders = [path.clone(), path.join("test")];
            let all = folders.iter().filter_map(|f| folder_files(f).ok());
            files.extend(all.flatten());
        } else {
            files.push(path.clone());
        }
    }
    let arrays: Vec<PathBuf> = files
        .iter()
        .filter_map(|path| path.to_str()?.strip_suffix(INPUTS_SUFFIX))
        .flat_map(|prefix| {
            ["labels", "puzzle_identifiers", "puzzle_indices"]
                .map(|name| PathBuf::from(format!("{prefix}__{name}.npy")))
        })
        .filter(|path| path.exists())
        .collect();
    files.extend(arrays);
    files
}

/// An array of integers in a file.
type ArrayFile = NpyRows<BufReader<File>>;

/// Returns the array `PREFIX__NAME.npy`, if it is there.
fn array_beside(prefix: &str, name: &str) -> trm_runtime::Result<Option<ArrayFile>> {
    let path = format!("{prefix}__{name}.npy");
    if !Path::new(&path).exists() {
        return Ok(None);
    }
    let file = open_regular(Path::new(&path)).map_err(|e| Error::io(&path, e))?;
    let array = NpyRows::open(BufReader::new(file)).map_err(|e| e.context(&path))?;
    Ok(Some(array))
}

/// The row of the puzzle embedding for each example of a data set.
///
/// `NAME__puzzle_identifiers.npy` has one for each puzzle. `NAME__puzzle_indices.npy` has the first
/// example of each puzzle, and the number of examples at its end.
struct RowIdentifiers {
    identifiers: ArrayFile,
    indices: Option<ArrayFile>,
    /// The first example of the puzzle after the current one.
    next_puzzle: i64,
    current: u32,
}

impl RowIdentifiers {
    fn open(prefix: &str) -> trm_runtime::Result<Option<Self>> {
        let Some(identifiers) = array_beside(prefix, "puzzle_identifiers")? else {
            return Ok(None);
        };
        let mut indices = array_beside(prefix, "puzzle_indices")?;
        let next_puzzle = indices.as_mut().map_or(Ok(0), next_number)?;
        Ok(Some(Self {
            identifiers,
            indices,
            next_puzzle,
            current: 0,
        }))
    }

    /// Returns the row for an example. Called for each example in order.
    fn of_row(&mut self, row: i64) -> trm_runtime::Result<u32> {
        while row >= self.next_puzzle {
            let identifier = next_number(&mut self.identifiers)?;
            self.current = u32::try_from(identifier).map_err(|_| {
                let message = format!("the puzzle identifier {identifier} is out of range");
                Error::new(ErrorKind::Puzzle, message)
            })?;
            self.next_puzzle = match &mut self.indices {
                Some(indices) => next_number(indices)?,
                None => row + 1,
            };
        }
        Ok(self.current)
    }
}

/// Returns the next number of an array with one number in each row.
fn next_number(array: &mut ArrayFile) -> trm_runtime::Result<i64> {
    let wrong = |message: &str| Error::new(ErrorKind::Puzzle, message);
    let row = array.next().unwrap_or_else(|| {
        Err(wrong(
            "the data set has fewer puzzle identifiers than puzzles",
        ))
    })?;
    match row.as_slice() {
        [number] => Ok(*number),
        _ => Err(wrong(
            "the puzzle identifiers are not one number for each puzzle",
        )),
    }
}

/// Returns the number of puzzle identifiers that `dataset.json` names, if it is in the folder.
fn identifier_count(folder: &Path) -> Option<u64> {
    const MAX_BYTES: u64 = 1 << 20;
    let path = folder.join("dataset.json");
    let file = open_regular(&path).ok()?;
    let dataset: serde_json::Value = serde_json::from_reader(file.take(MAX_BYTES)).ok()?;
    dataset.get("num_puzzle_identifiers")?.as_u64()
}

/// Suffix of the arrays of puzzles.
const INPUTS_SUFFIX: &str = "__inputs.npy";
/// Suffixes of the files that are read from a folder.
const FILE_SUFFIXES: [&str; 6] = [".json", ".ndjson", ".jsonl", ".csv", ".txt", INPUTS_SUFFIX];
/// Names of files that describe data or models, without suffix.
const NAMES_ABOUT_DATA: [&str; 8] = [
    "dataset",
    "identifiers",
    "config",
    "metadata",
    "readme",
    "license",
    "notice",
    "requirements",
];

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Returns the files of a folder that can have puzzles, sorted.
fn folder_files(path: &Path) -> trm_runtime::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()
    });
    let mut files = entries.map_err(|e| Error::io(path.display(), e))?;
    let has_suffix = |path: &PathBuf| {
        let name = file_name(path);
        FILE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
    };
    files.retain(|path| has_suffix(path) && path.is_file());
    files.sort();
    Ok(files)
}

/// Returns whether the name of a file says that it describes data and has no puzzles.
fn is_about_data(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    NAMES_ABOUT_DATA
        .iter()
        .any(|name| stem.eq_ignore_ascii_case(name))
}

/// Prints a note about files of a folder that are not read, if there are any.
fn note_left_aside(folder: &str, files: &[PathBuf]) {
    const MAX_NAMES: usize = 5;
    if files.is_empty() {
        return;
    }
    let names: Vec<_> = files
        .iter()
        .take(MAX_NAMES)
        .map(|path| file_name(path))
        .collect();
    let more = if files.len() > MAX_NAMES { ", ..." } else { "" };
    let names = names.join(", ");
    note(&format!(
        "{folder}: not puzzles, so left aside: {names}{more}"
    ));
}

/// Prints a note, unless `--quiet` is given.
fn note(text: &str) {
    if log::max_level() >= LevelFilter::Warn {
        eprint_line(format_args!("note: {text}"));
    }
}

/// Returns whether an argument is a puzzle and not the name of a file: JSON, or a whole puzzle.
fn is_puzzle(text: &str) -> bool {
    if text.starts_with(['{', '[', '"']) {
        return text.parse::<Puzzle>().is_ok();
    }
    let Ok(puzzle) = text.parse::<Puzzle>() else {
        return false;
    };
    let (count, cells) = (puzzle.cells.count(), puzzle.cells.to_string());
    let n = count.isqrt();
    let is_digit = |c: char| c.to_digit(36).is_some_and(|digit| digit as usize <= n);
    let is_sudoku = || {
        cells.contains(|c: char| c.is_ascii_digit())
            && cells
                .chars()
                .all(|c| matches!(c, '.' | '\n') || is_digit(c))
    };
    let is_maze = || {
        cells.contains('S') && cells.contains('G') && cells.chars().all(|c| "# SGo\n".contains(c))
    };
    matches!(puzzle.cells, Cells::Text(_) | Cells::Rows(_))
        && n >= 4
        && n * n == count
        && (is_sudoku() || is_maze())
}

/// Adds the position of a record to its error.
pub(crate) fn located(error: Error, file: &str, line: Option<u64>, id: &Id) -> Error {
    match line {
        Some(line) => error.context(format!("line {line}")).context(file),
        None => error.context(format!("puzzle {id}")).context(file),
    }
}
