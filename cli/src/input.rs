//! Reads records from files and standard input, a limited number ahead, in a thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use trm_runtime::low_level::open_regular;
use trm_runtime::task::{Id, NpyRows, Records};
use trm_runtime::{Error, ErrorKind, Puzzle};

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
    fn folder(&mut self, path: &Path) -> Option<()> {
        let name = path.display().to_string();
        let files = std::fs::read_dir(path)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.path()))
                    .collect::<io::Result<Vec<_>>>()
            })
            .map_err(|e| Error::io(&name, e))
            .map(|all| all.into_iter().filter(|path| holds_puzzles(path)).collect())
            .and_then(|files: Vec<_>| match files.is_empty() {
                true => {
                    let message = format!("no file in it ends in {}", FILE_SUFFIXES.join(", "));
                    Err(Error::new(ErrorKind::Puzzle, message).context(&name))
                }
                false => Ok(files),
            });
        match files {
            Ok(mut files) => {
                files.sort();
                files.iter().try_for_each(|path| self.file(path))
            }
            Err(e) => {
                self.unreadable(&name.into(), e)?;
                self.file_number += 1;
                Some(())
            }
        }
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
                Err(e) => self.send(name, e.line, e.id, Err(e.error))?,
            }
        }
        Some(())
    }

    /// Reads `NAME__inputs.npy`, and `NAME__labels.npy` if it is in the same folder.
    fn rows(&mut self, name: &Arc<str>, path: &Path, file: File) -> Option<()> {
        let beside = path
            .to_str()
            .and_then(|p| p.strip_suffix("__inputs.npy"))
            .map(|p| format!("{p}__labels.npy"));
        let labels = beside.filter(|p| Path::new(p).exists()).map(|p| {
            let file = open_regular(Path::new(&p)).map_err(|e| Error::io(&p, e))?;
            NpyRows::open(BufReader::new(file)).map_err(|e| e.context(&p))
        });
        let inputs = NpyRows::open(BufReader::new(file)).map_err(|e| e.context(name));
        let (inputs, mut labels) = match inputs.and_then(|inputs| Ok((inputs, labels.transpose()?)))
        {
            Ok(both) => both,
            Err(e) => return self.unreadable(name, e),
        };
        for tokens in inputs.take(self.limit) {
            let missing = || Err(Error::new(ErrorKind::Puzzle, "this row has no labels"));
            let labels = labels
                .as_mut()
                .map(|rows| rows.next().unwrap_or_else(missing))
                .transpose();
            let body = tokens.and_then(|tokens| {
                Ok(Body::Row {
                    tokens,
                    labels: labels?,
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

/// Returns the files that [`RecordReader`] reads for these paths, `/dev/stdin` for `-`.
pub(crate) fn input_files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            files.push("/dev/stdin".into());
        } else if path.is_dir() {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            files.extend(
                entries
                    .map(|entry| entry.path())
                    .filter(|p| holds_puzzles(p)),
            );
        } else {
            files.push(path.clone());
        }
    }
    let labels = |path: &PathBuf| {
        let name = path.to_str()?.strip_suffix("__inputs.npy")?;
        Some(PathBuf::from(format!("{name}__labels.npy")))
    };
    files.extend(files.iter().filter_map(labels).collect::<Vec<_>>());
    files
}

/// Suffixes of the files that are read from a folder.
const FILE_SUFFIXES: [&str; 6] = [".json", ".ndjson", ".jsonl", ".csv", ".txt", "__inputs.npy"];

fn holds_puzzles(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.is_file() && FILE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Adds the position of a record to its error.
pub(crate) fn located(error: Error, file: &str, line: Option<u64>, id: &Id) -> Error {
    match line {
        Some(line) => error.context(format!("line {line}")).context(file),
        None => error.context(format!("puzzle {id}")).context(file),
    }
}
