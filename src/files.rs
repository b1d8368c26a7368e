//! Opens files that must be regular files.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a regular file for reading. Links are followed. Never waits for another program.
///
/// A model folder can hold anything, because archives carry pipes and devices too. Opening a pipe
/// blocks until somebody writes to it, and reading a device may never end.
///
/// # Errors
/// The file cannot be opened, or is not a regular file. The message names its kind.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Checked before opening, since opening a device can have an effect. Checked again afterwards,
    // since the name may mean another file by then.
    check(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, DO_NOT_BLOCK);
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// `O_NONBLOCK`: opening a pipe does not wait. It has no effect on a regular file.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64"))
))]
const DO_NOT_BLOCK: i32 = 0o4000;
#[cfg(any(target_vendor = "apple", target_os = "freebsd", target_os = "openbsd"))]
const DO_NOT_BLOCK: i32 = 0x4;
/// On other systems only the first check keeps pipes away.
#[cfg(all(
    unix,
    not(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "openbsd",
        all(
            any(target_os = "linux", target_os = "android"),
            not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64"))
        )
    ))
))]
const DO_NOT_BLOCK: i32 = 0;

fn check(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let message = format!("is not a regular file, but {}", kind(found));
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Returns the kind of a file that is not regular, with its article.
fn kind(found: &Metadata) -> &'static str {
    if found.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = found.file_type();
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    "a special file"
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_nothing_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        assert!(open_regular(&at("file")).is_ok());
        assert!(open_regular(&at("link")).is_ok());

        let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        std::os::unix::fs::symlink(at("pipe"), at("link to a pipe")).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        let started = Instant::now();
        for (path, expected) in [
            (at("pipe"), "a pipe"),
            (at("link to a pipe"), "a pipe"),
            (at("socket"), "a socket"),
            (folder.path().to_owned(), "a folder"),
            ("/dev/null".into(), "a device"),
        ] {
            let error = open_regular(&path).unwrap_err().to_string();
            assert_eq!(error, format!("is not a regular file, but {expected}"));
        }
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    /// The name may mean a pipe only after the first check.
    #[test]
    fn a_pipe_that_replaces_the_file_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let mut options = OpenOptions::new();
        options.read(true);
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, DO_NOT_BLOCK);
        let opened = options.open(&path).unwrap();
        assert!(check(&opened.metadata().unwrap()).is_err());
    }
}
