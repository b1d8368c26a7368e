//! The bytes of a checkpoint, read at any position: a file, or memory.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// An open file or a slice of memory.
pub(crate) struct Source {
    name: Option<String>,
    len: u64,
    bytes: Bytes,
}

enum Bytes {
    // Seek and read under a lock: the same on every system, and reads are few and large.
    File(Mutex<File>),
    Memory(Box<dyn AsRef<[u8]> + Send + Sync>),
}

impl Source {
    /// Opens a regular file.
    pub(crate) fn open(path: &Path) -> Result<Source> {
        let at = |e| Error::io(path.display(), e);
        let found = std::fs::metadata(path).map_err(at)?;
        // A pipe would block and a device has no end.
        if !found.is_file() {
            return Err(Error::checkpoint("is not a regular file").context(path.display()));
        }
        let mut file = File::open(path).map_err(at)?;
        let len = file.seek(SeekFrom::End(0)).map_err(at)?;
        Ok(Source {
            name: Some(path.display().to_string()),
            len,
            bytes: Bytes::File(Mutex::new(file)),
        })
    }

    /// Reads from memory, which is not copied.
    pub(crate) fn memory(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Source {
        Source {
            name: None,
            len: bytes.as_ref().len() as u64,
            bytes: Bytes::Memory(Box::new(bytes)),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds the name of the file to an error.
    pub(crate) fn locate(&self, error: Error) -> Error {
        match &self.name {
            Some(name) => error.context(name),
            None => error,
        }
    }

    /// Fills `buffer` from the bytes at `offset`.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let inside = offset
            .checked_add(buffer.len() as u64)
            .is_some_and(|end| end <= self.len);
        if !inside {
            return Err(Error::checkpoint(format!(
                "cut short: {} bytes were expected at byte {offset}, but the file has {}",
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
                    None => return Err(Error::checkpoint("cut short")),
                }
                Ok(())
            }
        }
    }

    /// `len` bytes at `offset`; nothing is allocated for bytes that the file does not have.
    pub(crate) fn read_vec(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let fits = offset.checked_add(len).is_some_and(|end| end <= self.len);
        let size = usize::try_from(len).ok().filter(|_| fits).ok_or_else(|| {
            Error::checkpoint(format!(
                "cut short: {len} bytes were expected at byte {offset}, but the file has {}",
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
