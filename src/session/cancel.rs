//! Stopping from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops sessions from another thread. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    /// Cancelled with any of these.
    parents: Vec<CancelToken>,
}

impl CancelToken {
    /// A token that has not been used.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// A token of its own that is cancelled with this one too.
    pub fn child(&self) -> CancelToken {
        CancelToken::under(vec![self.clone()])
    }

    /// A token of its own that is cancelled with this one and with `other`.
    pub fn or(&self, other: &CancelToken) -> CancelToken {
        CancelToken::under(vec![self.clone(), other.clone()])
    }

    fn under(parents: Vec<CancelToken>) -> CancelToken {
        CancelToken(Arc::new(CancelState {
            cancelled: AtomicBool::new(false),
            parents,
        }))
    }

    /// Lets the step in flight end and takes no further one.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called here or on a parent.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed) || self.0.parents.iter().any(CancelToken::is_cancelled)
    }
}
