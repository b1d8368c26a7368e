//! The one error type of the library.

use std::fmt;

/// What went wrong, coarsely: for programs that react differently to different failures.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A file could not be opened, read or written.
    Io,
    /// A model file is damaged, hostile, or in a form that is not supported.
    Checkpoint,
    /// A hyper-parameter is missing, contradictory or out of range.
    Config,
    /// A puzzle cannot be read, or is impossible.
    Puzzle,
    /// A device or a backend is not available, or failed.
    Device,
    /// An argument of a call is out of range.
    Argument,
    /// The session was cancelled through its [`CancelToken`](crate::CancelToken).
    Cancelled,
    /// The session's deadline passed.
    Deadline,
}

/// An error of this library: what was wrong, in which file, tensor or field, and what to do.
///
/// [`Display`](fmt::Display) prints the places from the outermost in, then the message:
/// `model/step_100: tensor "lm_head.weight": has 3 rows, the embedding 4`.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    places: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything in this library that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            places: Vec::new(),
            source: None,
        }
    }

    /// Adds the place that the error is about (a path, a tensor, a line, a field), outside those known so far.
    pub fn at(mut self, place: impl fmt::Display) -> Error {
        self.places.push(place.to_string());
        self
    }

    /// Keeps the error that caused this one.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// What went wrong, coarsely.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// An input or output error about `place`.
    pub fn io(place: impl fmt::Display, source: std::io::Error) -> Error {
        Error::new(ErrorKind::Io, source.to_string())
            .at(place)
            .because(source)
    }

    pub(crate) fn checkpoint(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Checkpoint, message)
    }

    pub(crate) fn config(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Config, message)
    }

    pub(crate) fn puzzle(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Puzzle, message)
    }

    pub(crate) fn argument(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Argument, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.places.iter().rev() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|s| s.as_ref() as &(dyn std::error::Error + 'static))
    }
}
