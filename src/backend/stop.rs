//! Ends a running step early.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// A condition on which a running step ends early. Programs look at it between kernel calls, and on
/// the CPU also between the tiles of a call. Clones share the condition.
#[derive(Clone, Default)]
pub struct StopSignal(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl StopSignal {
    /// Creates a signal from a condition. It is evaluated often and by several threads, so it must
    /// be quick. The default signal never stops anything.
    pub fn new(condition: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(condition)))
    }

    /// Returns whether the step shall end.
    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|condition| condition())
    }

    /// Returns the error of a step that ended early, of kind
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub(crate) fn error() -> Error {
        Error::new(ErrorKind::Cancelled, "the step was stopped")
    }
}

impl fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StopSignal(set: {})", self.is_set())
    }
}
