//! Standard output, written without a buffer: each call is one write, so that lines of several
//! programs never mix.

use std::io::{self, Write};

#[cfg(unix)]
mod descriptor {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};

    /// Whether standard output was closed when the process started. Before `main`, Rust opens
    /// `/dev/null` in its place, and all output would be lost without an error.
    static CLOSED_AT_START: AtomicBool = AtomicBool::new(false);

    extern "C" fn note_at_start() {
        let closed = io::stdout().as_fd().try_clone_to_owned().is_err();
        CLOSED_AT_START.store(closed, Ordering::Relaxed);
    }

    /// The system calls the functions of this section before `main`.
    #[used]
    #[cfg_attr(
        target_vendor = "apple",
        unsafe(link_section = "__DATA,__mod_init_func")
    )]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    #[allow(
        unsafe_code,
        reason = "only code before main sees a closed descriptor; the function has no arguments"
    )]
    static NOTE_AT_START: extern "C" fn() = note_at_start;

    /// Calls `work` with the open file. The standard library's own handle would take a descriptor
    /// that cannot be written for a success.
    pub(super) fn with_file<T>(work: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        static FILE: OnceLock<Mutex<Option<File>>> = OnceLock::new();
        let open = || {
            let closed = CLOSED_AT_START.load(Ordering::Relaxed);
            let file = io::stdout().as_fd().try_clone_to_owned().ok();
            Mutex::new(file.filter(|_| !closed).map(File::from))
        };
        let file = FILE.get_or_init(open).lock();
        match &*file.unwrap_or_else(PoisonError::into_inner) {
            Some(file) => work(file),
            None => Err(io::Error::other("is closed")),
        }
    }
}

/// Checks that standard output is open for writing, before anything is computed for it.
pub(crate) fn check() -> io::Result<()> {
    #[cfg(unix)]
    descriptor::with_file(|mut file| {
        use std::os::unix::fs::FileTypeExt;
        // Writing nothing to a socket may send an empty message.
        match file.metadata()?.file_type().is_socket() {
            true => Ok(0),
            false => file.write(&[]),
        }
    })?;
    Ok(())
}

/// Writes bytes to standard output.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    {
        descriptor::with_file(|mut file| file.write_all(bytes))
    }
    #[cfg(not(unix))]
    {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }
}

/// A writer to standard output.
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
