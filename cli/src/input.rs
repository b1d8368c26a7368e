//! Records from files and standard input, read ahead by a thread, a few at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use trm_runtime::task::{Id, NpyRows, Records};
use trm_runtime::{Error, ErrorKind, Puzzle};

/// Records that the reader may be ahead.
const AHEAD: usize = 64;

/// One record of the input.
#[derive(Debug)]
pub(crate) struct Item {
    /// The file.
    pub(crate) file: Arc<str>,
    /// Number of the file.
    pub(crate) file_number: usize,
    /// Number of the record, from 0, over all files.
    pub(crate) number: u64,
    /// Line of the record in its file, from 1, where that is known.
    pub(crate) line: Option<u64>,
    /// What it is called, as far as is known.
    pub(crate) id: Option<Id>,
    /// The puzzle, or what is wrong with it.
    pub(crate) body: trm_runtime::Result<Body>,
}

/// What a record holds.
#[derive(Debug)]
pub(crate) enum Body {
    /// A puzzle as people write it.
    Puzzle(Puzzle),
    /// A row of the training pipeline's arrays.
    Row {
        /// S tokens.
        tokens: Vec<i64>,
        /// S labels, 0 does not count.
        labels: Option<Vec<i64>>,
    },
}

/// What [`Intake::next`] found.
pub(crate) enum Next {
    /// A record.
    Item(Box<Item>),
    /// Nothing in the time given, but more may come.
    NotYet,
    /// There is no more.
    End,
}

/// The records of all inputs, in order.
#[derive(Debug)]
pub(crate) struct Intake {
    receiver: Receiver<Item>,
    held: VecDeque<Item>,
    ended: bool,
}

impl Intake {
    /// Starts reading; at most `limit` records of each file.
    pub(crate) fn start(paths: Vec<PathBuf>, limit: Option<usize>) -> Intake {
        Intake::read(limit, move |reader| {
            paths.iter().try_for_each(|path| reader.path(path));
        })
    }

    /// Takes records from a program.
    pub(crate) fn feed(puzzles: impl Iterator<Item = Puzzle> + Send + 'static) -> Intake {
        Intake::read(None, move |reader| {
            let name: Arc<str> = "".into();
            let mut puzzles = puzzles;
            puzzles.try_for_each(|puzzle| reader.send(&name, None, None, Ok(Body::Puzzle(puzzle))));
        })
    }

    /// The thread ends with the input, or when nobody receives any more; it may wait for standard input for ever.
    fn read(limit: Option<usize>, work: impl FnOnce(&mut Reader) + Send + 'static) -> Intake {
        let (sender, receiver) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            work(&mut Reader {
                sender,
                next: 0,
                file_number: 0,
                limit: limit.unwrap_or(usize::MAX),
            });
        });
        Intake {
            receiver,
            held: VecDeque::new(),
            ended: false,
        }
    }

    /// The next record, if one comes within `wait`.
    pub(crate) fn next(&mut self, wait: Duration) -> Next {
        if let Some(item) = self.held.pop_front() {
            return Next::Item(Box::new(item));
        }
        match self.receive(wait) {
            Some(item) => Next::Item(Box::new(item)),
            None if self.ended => Next::End,
            None => Next::NotYet,
        }
    }

    /// Looks ahead for up to `wait`: `most`, or as many records as still come if that is known to be less.
    pub(crate) fn at_hand(&mut self, most: usize, wait: Duration) -> usize {
        let until = Instant::now() + wait;
        while self.held.len() < most.min(AHEAD) && !self.ended {
            match self.receive(until.saturating_duration_since(Instant::now())) {
                Some(item) => self.held.push_back(item),
                None => break,
            }
        }
        if self.ended {
            self.held.len().min(most)
        } else {
            most
        }
    }

    fn receive(&mut self, wait: Duration) -> Option<Item> {
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

/// The thread's side: what has been read goes through a channel of limited length.
struct Reader {
    sender: SyncSender<Item>,
    next: u64,
    file_number: usize,
    limit: usize,
}

impl Reader {
    /// Reads what the user named; `None` when nobody wants more.
    fn path(&mut self, path: &Path) -> Option<()> {
        if path.as_os_str() != "-" && path.is_dir() {
            return self.folder(path);
        }
        self.file(path)
    }

    /// The files of puzzles in a folder, by name.
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
                    let message = format!("no file in it ends in {}", ENDS.join(", "));
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

    /// `NAME__inputs.npy`, and `NAME__labels.npy` where it lies beside it.
    fn rows(&mut self, name: &Arc<str>, path: &Path, file: File) -> Option<()> {
        let beside = path
            .to_str()
            .and_then(|p| p.strip_suffix("__inputs.npy"))
            .map(|p| format!("{p}__labels.npy"));
        let labels = beside.filter(|p| Path::new(p).exists()).map(|p| {
            let file = File::open(&p).map_err(|e| Error::io(&p, e))?;
            NpyRows::open(BufReader::new(file)).map_err(|e| e.context(&p))
        });
        let inputs = NpyRows::open(BufReader::new(file)).map_err(|e| e.context(name));
        let (inputs, mut labels) = match inputs.and_then(|inputs| Ok((inputs, labels.transpose()?)))
        {
            Ok(both) => both,
            Err(e) => return self.unreadable(name, e),
        };
        for tokens in inputs.take(self.limit) {
            let missing = || {
                Err(Error::new(
                    ErrorKind::Puzzle,
                    "there are no labels for this row",
                ))
            };
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
            .send(Item {
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

/// The ends of the names of a folder's files that are read.
const ENDS: [&str; 6] = [".json", ".ndjson", ".jsonl", ".csv", ".txt", "__inputs.npy"];

fn holds_puzzles(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.is_file() && ENDS.iter().any(|end| name.ends_with(end))
}

/// An error of a record that was read, with its place.
pub(crate) fn located(error: Error, file: &str, line: Option<u64>, id: &Id) -> Error {
    match line {
        Some(line) => error.context(format!("line {line}")).context(file),
        None => error.context(format!("puzzle {id}")).context(file),
    }
}
