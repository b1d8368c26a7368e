//! The process that owns threads and devices.

use crate::error::{Error, ErrorKind, Result};

/// The process that created something. A child of a fork has a copy of the memory, but none of the
/// threads: locks that these held stay locked for ever, and work that they should do is never done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessId(u32);

impl ProcessId {
    /// Returns the running process.
    pub(crate) fn current() -> Self {
        // Systems without processes have no number for them, and no fork.
        #[cfg(unix)]
        return Self(std::process::id());
        #[cfg(not(unix))]
        Self(0)
    }

    /// Returns whether the running process was forked from this one.
    pub(crate) fn is_other(self) -> bool {
        self != Self::current()
    }

    /// Checks that the running process is this one.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] in a child of a fork.
    pub(crate) fn check(self) -> Result<()> {
        if !self.is_other() {
            return Ok(());
        }
        let message = format!(
            "the solver belongs to process {}, from which this one was forked: threads and \
             devices are not copied, so open the model again in this process",
            self.0
        );
        Err(Error::new(ErrorKind::Device, message))
    }
}

impl Default for ProcessId {
    fn default() -> Self {
        Self::current()
    }
}
