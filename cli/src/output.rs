//! The result of a command, and its two output streams.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use trm_runtime::Error;

use crate::{hints, stdout};

/// Whether results go to standard error, since a file of results takes standard output.
static RESULTS_TO_STDERR: AtomicBool = AtomicBool::new(false);

/// How a command ended. Each value has an exit code: 0, 1, 2 and 130.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandStatus {
    /// Everything ran, and every answer that can be verified is valid.
    Success,
    /// An answer is not valid, or a record could not be read or run.
    Invalid,
    /// Nothing could be run. The reason has been printed.
    NothingRan,
    /// Stopped by Ctrl-C, SIGTERM or SIGHUP.
    Interrupted,
}

/// Why a command stopped before its end.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// A file, a model, a puzzle, a device or an option does not work.
    Run(Error),
    /// Standard output cannot be written.
    Stdout(io::Error),
}

impl From<Error> for CommandError {
    fn from(e: Error) -> Self {
        Self::Run(e)
    }
}

impl From<io::Error> for CommandError {
    fn from(e: io::Error) -> Self {
        Self::Stdout(e)
    }
}

/// Writes a line to standard error. Ignores a closed standard error.
pub(crate) fn eprint_line(line: fmt::Arguments<'_>) {
    let line = format!("{}\n", printable(&line.to_string()));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Writes an error to standard error, and its hint on a line of its own.
pub(crate) fn eprint_error(error: &Error) {
    eprint_line(format_args!("error: {error}"));
    if let Some(hint) = hints::hint(error) {
        eprint_line(format_args!("hint: {hint}"));
    }
}

/// Returns whether lines that are written to a stream can be overwritten: it is a terminal, and
/// the environment names one that knows escape sequences.
pub(crate) fn can_redraw(stream: &impl io::IsTerminal) -> bool {
    let term = std::env::var_os("TERM").unwrap_or_default();
    // Windows has no TERM.
    let knows_escapes = cfg!(windows) && term.is_empty() || !term.is_empty() && term != "dumb";
    stream.is_terminal() && knows_escapes
}

/// Escapes the characters of untrusted text that control the terminal or the direction of text.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    // Marks that change the order in which characters are shown, and further line separators.
    let reorders = |c: char| {
        let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
        let ranges = ['\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
        marks.contains(&c) || ranges.iter().any(|range| range.contains(&c))
    };
    let harmful = |c: char| (c.is_control() && c != '\n' && c != '\t') || reorders(c);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| {
        if harmful(c) {
            c.escape_unicode().to_string()
        } else {
            c.to_string()
        }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Writes a line of results in one write, so that a reader gets it at once and whole.
pub(crate) fn print(line: impl fmt::Display) -> io::Result<()> {
    let line = format!("{line}\n");
    if RESULTS_TO_STDERR.load(Ordering::Relaxed) {
        let _ = io::stderr().write_all(line.as_bytes());
        return Ok(());
    }
    stdout::write(line.as_bytes())
}

/// Writes a line for people to standard output. Unlike [`print()`], escapes what could control the
/// terminal: names of files and models are untrusted.
pub(crate) fn print_text(line: impl fmt::Display) -> io::Result<()> {
    print(printable(&line.to_string()))
}

/// Prints results on standard error from now on.
pub(crate) fn move_results_to_stderr() {
    RESULTS_TO_STDERR.store(true, Ordering::Relaxed);
}

/// A progress line on standard error that is overwritten again and again.
#[derive(Debug, Default)]
pub(crate) struct StatusLine {
    visible: bool,
}

impl StatusLine {
    /// Replaces the line with `text`.
    pub(crate) fn show(&mut self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush());
        self.visible = true;
    }

    /// Removes the line.
    pub(crate) fn clear(&mut self) {
        if self.visible {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\x1b[2K").and_then(|()| err.flush());
            self.visible = false;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn untrusted_text_cannot_control_the_terminal() {
        assert_eq!(super::printable("a\tb\n┌ ok"), "a\tb\n┌ ok");
        assert_eq!(super::printable("\x1b]0;gone\x07"), "\\u{1b}]0;gone\\u{7}");
        // A C1 control, an override and an isolate of the direction, an Arabic letter mark.
        for harmful in [
            '\u{9b}', '\u{202e}', '\u{2067}', '\u{61c}', '\u{200f}', '\u{2028}',
        ] {
            let text = format!("a{harmful}b");
            let escaped = format!("a{}b", harmful.escape_unicode());
            assert_eq!(super::printable(&text), escaped);
        }
        assert_eq!(super::printable("日本 ümlaut ‐ שלום"), "日本 ümlaut ‐ שלום");
    }
}
