//! The error type of the library.

use std::fmt;

/// The kind of an error, for programs that react to it.
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

impl ErrorKind {
    /// Returns the name in lower case, such as `checkpoint`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Checkpoint => "checkpoint",
            Self::Config => "config",
            Self::Puzzle => "puzzle",
            Self::Device => "device",
            Self::Argument => "argument",
            Self::Cancelled => "cancelled",
            Self::Deadline => "deadline",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the caller can do about an error. A front end words it with its own options: the program
/// with its flags, an app with its buttons.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Give these hyper-parameters. Each has its name and an example value.
    SetHyperparameters(Vec<(String, String)>),
    /// Say which kind of puzzle this is. The names of the kinds that fit follow.
    ChooseTask(Vec<&'static str>),
    /// Name a model.
    ChooseModel,
    /// Use the CPU.
    UseCpu,
    /// List the devices and choose one of them.
    ListDevices,
    /// Use a smaller batch.
    ReduceBatch,
    /// Leave the unknown tensors of a model out. Its answers are then those of another network.
    IgnoreUnknownTensors,
    /// Download the file at this address, and open the downloaded file.
    DownloadFile(String),
    /// Fetch the model with this name, such as `user/model`, from the hub where it is published,
    /// and open the folder with its files.
    FetchFromHub(String),
    /// Use fewer threads.
    ReduceThreads,
    /// Use a checkpoint whose weights are intact, in a dtype that can hold them.
    RepairWeights,
}

/// An error of this library: what was found, and in which file, tensor, line or field.
///
/// [`Display`](fmt::Display) writes the context from the outermost part in, then the message:
/// `model/step_100: tensor "lm_head.weight": has 3 rows, the embedding 4`.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Box<str>,
    /// Innermost first.
    context: Vec<String>,
    hint: Option<Box<Hint>>,
    puzzle_index: Option<usize>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of every fallible function of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Creates an error with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into(),
            context: Vec::new(),
            hint: None,
            puzzle_index: None,
            source: None,
        }
    }

    /// Adds what the error is about (a path, a tensor, a line, a field), outside the context that
    /// is known so far.
    #[must_use]
    pub fn context(mut self, about: impl fmt::Display) -> Self {
        self.context.push(about.to_string());
        self
    }

    /// Sets what the caller can do about the error.
    #[must_use]
    pub fn with_hint(mut self, hint: Hint) -> Self {
        self.hint = Some(Box::new(hint));
        self
    }

    /// Sets the error that caused this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns what the caller can do about the error, if the library knows.
    pub fn hint(&self) -> Option<&Hint> {
        self.hint.as_deref()
    }

    /// Returns the index in its session of the puzzle that the error is about. That puzzle has
    /// ended, and the session goes on with the others. `None`: the error is about no single puzzle.
    pub fn puzzle_index(&self) -> Option<usize> {
        self.puzzle_index
    }

    /// Sets the index of the puzzle that the error is about.
    #[must_use]
    pub(crate) fn with_puzzle_index(mut self, index: usize) -> Self {
        self.puzzle_index = Some(index);
        self
    }

    /// Creates an error about the input or output of `about`, usually a path.
    pub fn io(about: impl fmt::Display, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, source.to_string())
            .context(about)
            .with_source(source)
    }

    pub(crate) fn checkpoint(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Checkpoint, message)
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn puzzle(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Puzzle, message)
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Argument, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for about in self.context.iter().rev() {
            write!(f, "{about}: ")?;
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
