//! Stops sessions from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops sessions from another thread. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    /// Tokens that also cancel this one.
    parents: Vec<CancelToken>,
}

impl CancelToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a new token that this one cancels too.
    #[must_use]
    pub fn child(&self) -> Self {
        Self::with_parents(vec![self.clone()])
    }

    /// Returns a new token that this one and `other` cancel too.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self::with_parents(vec![self.clone(), other.clone()])
    }

    fn with_parents(parents: Vec<Self>) -> Self {
        Self(Arc::new(CancelState {
            cancelled: AtomicBool::new(false),
            parents,
        }))
    }

    /// Stops the sessions of this token: before their next step, and on the CPU also within a step.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called here or on a parent.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed) || self.0.parents.iter().any(Self::is_cancelled)
    }
}
