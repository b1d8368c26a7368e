//! What a command ends with, and the two streams that it writes to.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;
use std::{fmt, fs};

/// How a command that ran has ended: the exit codes 0, 1, 2 and 130.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Everything ran and verified.
    Well,
    /// Something ran, but an answer does not verify or a record was unusable.
    Wrong,
    /// Nothing could be run; why has been said.
    Nothing,
    /// Ctrl-C.
    Interrupted,
}

/// Why a command could not go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something is wrong with what the user gave.
    Error(trm_runtime::Error),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<trm_runtime::Error> for Failure {
    fn from(e: trm_runtime::Error) -> Failure {
        Failure::Error(e)
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Failure {
        Failure::Output(e)
    }
}

/// Writes a line to standard error. That it is closed is no reason to stop.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{}", printable(&line.to_string()));
}

/// Text that may come from a stranger, without what a terminal would obey.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let show = |c: char| {
        if harmful(c) {
            c.escape_unicode().to_string()
        } else {
            c.to_string()
        }
    };
    Cow::Owned(text.chars().map(show).collect())
}

/// Writes a line to standard output and flushes it, so that a reader has it at once.
pub(crate) fn print(line: impl fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes a file whole or not at all.
pub(crate) fn write_file(path: &Path, text: &str) -> trm_runtime::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.part", std::process::id()));
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&draft);
        trm_runtime::Error::io(path.display(), e)
    })
}

/// A line on a terminal's standard error that is written over again and again.
#[derive(Debug, Default)]
pub(crate) struct StatusLine {
    shown: bool,
}

impl StatusLine {
    /// Shows `text` in the place of what was shown.
    pub(crate) fn show(&mut self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush());
        self.shown = true;
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if self.shown {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\x1b[2K").and_then(|()| err.flush());
            self.shown = false;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_stranger_does_not_command_the_terminal() {
        assert_eq!(super::printable("a\tb\n┌ ok"), "a\tb\n┌ ok");
        assert_eq!(super::printable("\x1b]0;gone\x07"), "\\u{1b}]0;gone\\u{7}");
    }
}
