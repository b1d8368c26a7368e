//! A lock on a folder, for changes that must not mix with those of another run.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// How long a lock is waited for. It is held only while files are renamed.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Time between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// Keeps other runs from changing the files of a folder. The lock ends with the process at the
/// latest. On a file system without locks it protects nothing.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: Option<File>,
}

impl FolderLock {
    /// Locks a folder.
    ///
    /// # Errors
    /// Another run holds the lock for longer than ten seconds.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let Some(file) = open(folder) else {
            return Ok(Self { _file: None });
        };
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: Some(file) }),
                Err(TryLockError::WouldBlock) if start.elapsed() < MAX_WAIT => {
                    std::thread::sleep(RETRY_INTERVAL);
                }
                Err(TryLockError::WouldBlock) => {
                    let message = "another program holds a lock on this folder; try again when it \
                                   has ended";
                    return Err(Error::new(ErrorKind::Io, message).context(folder.display()));
                }
                Err(TryLockError::Error(_)) => return Ok(Self { _file: None }),
            }
        }
    }
}

/// Opens what the lock is taken on: the folder itself.
#[cfg(unix)]
fn open(folder: &Path) -> Option<File> {
    File::open(folder).ok()
}

/// Opens what the lock is taken on: a file that disappears when it is closed, since a folder cannot
/// be locked.
#[cfg(windows)]
fn open(folder: &Path) -> Option<File> {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true);
    options.custom_flags(FILE_FLAG_DELETE_ON_CLOSE);
    options.open(folder.join(".trm-lock")).ok()
}

#[cfg(not(any(unix, windows)))]
fn open(_folder: &Path) -> Option<File> {
    None
}
