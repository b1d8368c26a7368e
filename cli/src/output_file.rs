//! The files that commands write with `-o` and `--curve`. The library's `output` replaces regular
//! files; this module adds devices, pipes and standard output, which are written in place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use trm_runtime::low_level::output::{Destination, Draft, FileIdentity, check_distinct};
use trm_runtime::{CancelToken, Error, ErrorKind};

use crate::output::{self, CommandError};
use crate::stdout;

/// How often a pipe that nobody reads is left to look for Ctrl-C.
const PIPE_WAIT: Duration = Duration::from_millis(50);
/// Bytes that are copied at once to a device.
const CHUNK_BYTES: usize = 1 << 20;

/// What a command prints on standard output beside its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Printed {
    /// Nothing.
    Nothing,
    /// Tables for people. They move to standard error if the file takes standard output.
    Tables,
    /// The records of `--json`, which share standard output with nothing.
    Records,
}

/// A file to write. It is checked, and its draft is made, before the command computes anything.
#[derive(Debug)]
pub(crate) struct OutputFile {
    path: PathBuf,
    destination: Destination,
    /// The draft of a regular file; for other destinations a temporary file, if one was needed.
    draft: Option<Draft>,
}

impl OutputFile {
    /// Checks the location of a file and creates its draft. `-` is standard output.
    pub(crate) fn create(
        path: &Path,
        printed: Printed,
        inputs: &[PathBuf],
    ) -> trm_runtime::Result<Self> {
        let destination = match path.to_str() {
            Some("-") => Destination::Descriptor(1),
            _ => Destination::of(path)?,
        };
        check_distinct(path, inputs)?;
        match &destination {
            Destination::Descriptor(1) => {
                let opened = stdout::check();
                opened.map_err(|e| Error::io("standard output", e))?;
                if printed == Printed::Records {
                    let message = "is standard output, which the records of --json need; write to \
                                   a file, or leave out --json";
                    return Err(argument(message).context(path.display()));
                }
                output::move_results_to_stderr();
            }
            // Replaced by name, it would lose what is printed.
            Destination::File(file) if printed != Printed::Nothing && is_stdout(file) => {
                let message = "is the file that standard output is written to; use - as its name";
                return Err(argument(message).context(path.display()));
            }
            _ => {}
        }
        let draft = match &destination {
            Destination::File(file) => {
                Some(Draft::create(file).map_err(|e| e.context(path.display()))?)
            }
            _ => None,
        };
        Ok(Self {
            path: path.to_owned(),
            destination,
            draft,
        })
    }

    /// Returns a file for writing at any position. [`OutputFile::finish`] takes it to the
    /// destination.
    pub(crate) fn file(&mut self) -> trm_runtime::Result<&mut File> {
        let draft = match self.draft.take() {
            Some(draft) => draft,
            None => Draft::create(&std::env::temp_dir().join("output"))?,
        };
        Ok(self.draft.insert(draft).file())
    }

    /// Writes a complete result, and removes the incomplete one of a run before.
    pub(crate) fn write(self, text: &str, stop: &CancelToken) -> Result<(), CommandError> {
        let partial = partial_path(&self.path);
        let is_file = matches!(self.destination, Destination::File(_));
        self.write_text(text, stop)?;
        if is_file && std::fs::symlink_metadata(&partial).is_ok_and(|found| found.is_file()) {
            let _ = std::fs::remove_file(partial);
        }
        Ok(())
    }

    fn write_text(mut self, text: &str, stop: &CancelToken) -> Result<(), CommandError> {
        match &mut self.draft {
            Some(draft) => {
                let written = draft.file().write_all(text.as_bytes());
                written.map_err(|e| Error::io(self.path.display(), e))?;
                self.finish(stop)
            }
            None => self.in_place(stop, &mut text.as_bytes()),
        }
    }

    /// Finishes a file after [`OutputFile::file`]. `stop` ends the wait for a reader of a pipe.
    pub(crate) fn finish(mut self, stop: &CancelToken) -> Result<(), CommandError> {
        let Some(mut draft) = self.draft.take() else {
            return Ok(());
        };
        if matches!(self.destination, Destination::File(_)) {
            return draft.replace().map_err(CommandError::Run);
        }
        let start = draft.file().seek(SeekFrom::Start(0));
        start.map_err(|e| Error::io(self.path.display(), e))?;
        self.in_place(stop, draft.file())
    }

    /// Writes a result that is not complete. It replaces no file: where there is one, it goes to
    /// another file beside it, with the suffix `.partial`. Returns the path that was written.
    pub(crate) fn write_partial(
        self,
        text: &str,
        stop: &CancelToken,
        inputs: &[PathBuf],
    ) -> Result<PathBuf, CommandError> {
        let path = match &self.destination {
            Destination::File(file) if std::fs::metadata(file).is_ok_and(|f| f.len() > 0) => {
                partial_path(&self.path)
            }
            _ => {
                let path = self.path.clone();
                self.write_text(text, stop)?;
                return Ok(path);
            }
        };
        drop(self);
        Self::create(&path, Printed::Nothing, inputs)?.write_text(text, stop)?;
        Ok(path)
    }

    fn in_place(&self, stop: &CancelToken, source: &mut dyn Read) -> Result<(), CommandError> {
        let path = &self.path;
        let failed = |e| CommandError::Run(Error::io(path.display(), e));
        match &self.destination {
            Destination::Descriptor(1) => {
                copy(source, &mut stdout::Stdout).map_err(CommandError::Stdout)
            }
            Destination::Descriptor(2) => copy(source, &mut io::stderr()).map_err(failed),
            // What others have written through the descriptor stays.
            Destination::Descriptor(number) => {
                let mut options = OpenOptions::new();
                let opened = options.append(true).open(format!("/dev/fd/{number}"));
                copy(source, &mut opened.map_err(failed)?).map_err(failed)
            }
            Destination::Device(device) | Destination::File(device) => {
                let mut device = open_device(device, stop).map_err(failed)?;
                copy(source, &mut device).map_err(failed)
            }
        }
    }
}

/// Checks that standard output is not a file that is also read, which would never end.
pub(crate) fn check_stdout_is_no_input(inputs: &[PathBuf]) -> trm_runtime::Result<()> {
    let Some(out) = stdout_identity() else {
        return Ok(());
    };
    match inputs
        .iter()
        .find(|path| FileIdentity::of(path).as_ref() == Some(&out))
    {
        Some(input) => {
            let message = "is also the file that standard output is written to; write to another \
                           file";
            Err(argument(message).context(input.display()))
        }
        None => Ok(()),
    }
}

fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".partial");
    name.into()
}

fn stdout_identity() -> Option<FileIdentity> {
    FileIdentity::of(Path::new("/dev/fd/1"))
}

fn is_stdout(path: &Path) -> bool {
    stdout_identity().is_some_and(|out| FileIdentity::of(path) == Some(out))
}

/// Opens a device. Opening a pipe waits for a reader, which another thread does.
fn open_device(path: &Path, stop: &CancelToken) -> io::Result<File> {
    let path = path.to_owned();
    let open = move || OpenOptions::new().write(true).open(path);
    let (sender, receiver) = sync_channel(1);
    let opening = std::thread::Builder::new().spawn(move || {
        let _ = sender.send(open());
    });
    opening?;
    loop {
        match receiver.recv_timeout(PIPE_WAIT) {
            Ok(opened) => return opened,
            Err(RecvTimeoutError::Timeout) if !stop.is_cancelled() => {}
            Err(_) => return Err(io::Error::other("nobody reads this pipe")),
        }
    }
}

fn copy(source: &mut dyn Read, target: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return target.flush(),
            Ok(read) => target.write_all(&buffer[..read])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn argument(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Argument, message)
}
