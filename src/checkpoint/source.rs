//! Random access to the bytes of a checkpoint, in a file or in memory.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::files::open_regular;
use crate::output::is_at;

/// The bytes of a checkpoint.
pub(crate) struct Source {
    /// Path of the file, for messages.
    name: Option<String>,
    len: u64,
    bytes: Bytes,
}

enum Bytes {
    // A lock around seek and read works on every system. It costs little, because reads are few and
    // large.
    File(Mutex<File>),
    Memory(Box<dyn AsRef<[u8]> + Send + Sync>),
}

impl Source {
    /// Opens a regular file.
    ///
    /// # Errors
    /// The file cannot be opened, or is not a regular file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let at = |e| Error::io(path.display(), e);
        let mut file = open_regular(path).map_err(at)?;
        let len = file.seek(SeekFrom::End(0)).map_err(at)?;
        Ok(Self {
            name: Some(path.display().to_string()),
            len,
            bytes: Bytes::File(Mutex::new(file)),
        })
    }

    /// Creates a source from memory. The bytes are kept and not copied.
    pub(crate) fn memory(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self {
            name: None,
            len: bytes.as_ref().len() as u64,
            bytes: Bytes::Memory(Box::new(bytes)),
        }
    }

    /// Returns whether a path still leads to the open file. True where the system cannot tell.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        match &self.bytes {
            Bytes::File(file) => is_at(&file.lock().unwrap_or_else(PoisonError::into_inner), path),
            Bytes::Memory(_) => true,
        }
    }

    /// Returns the size in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds the path of the file to the context of an error.
    pub(crate) fn locate(&self, error: Error) -> Error {
        match &self.name {
            Some(name) => error.context(name),
            None => error,
        }
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// The file ends before, or cannot be read.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let inside = offset
            .checked_add(buffer.len() as u64)
            .is_some_and(|end| end <= self.len);
        if !inside {
            return Err(Error::checkpoint(format!(
                "is cut short: {} bytes were expected at byte {offset}, but the file has {}",
                buffer.len(),
                self.len
            )));
        }
        match &self.bytes {
            Bytes::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let read = file
                    .seek(SeekFrom::Start(offset))
                    .and_then(|_| file.read_exact(buffer));
                read.map_err(|e| {
                    Error::new(
                        crate::ErrorKind::Io,
                        format!("cannot be read at byte {offset}: {e}"),
                    )
                    .with_source(e)
                })
            }
            Bytes::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                match (**bytes)
                    .as_ref()
                    .get(start..)
                    .and_then(|rest| rest.get(..buffer.len()))
                {
                    Some(found) => buffer.copy_from_slice(found),
                    None => return Err(Error::checkpoint("is cut short")),
                }
                Ok(())
            }
        }
    }

    /// Reads `len` bytes from `offset` on. Checks the length of the file before it allocates
    /// memory.
    ///
    /// # Errors
    /// As [`Source::read_at`].
    pub(crate) fn read_vec(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let fits = offset.checked_add(len).is_some_and(|end| end <= self.len);
        let size = usize::try_from(len).ok().filter(|_| fits).ok_or_else(|| {
            Error::checkpoint(format!(
                "is cut short: {len} bytes were expected at byte {offset}, but the file has {}",
                self.len
            ))
        })?;
        let mut buffer = vec![0; size];
        self.read_at(offset, &mut buffer)?;
        Ok(buffer)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("len", &self.len)
            .finish()
    }
}
