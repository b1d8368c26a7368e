//! Handles: numbers that are never used twice, so that one that was freed is known to be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use super::guard::Failure;
use super::trm_status;

/// The things of one kind that callers hold handles of.
pub(super) struct Table<T> {
    kind: &'static str,
    entries: LazyLock<Mutex<HashMap<u64, Arc<T>>>>,
}

/// Shared by all tables, so that a handle of one kind is none of another. 0 is no handle.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl<T> Table<T> {
    /// An empty table; `kind` is what errors call an entry.
    pub(super) const fn new(kind: &'static str) -> Table<T> {
        Table {
            kind,
            entries: LazyLock::new(Mutex::default),
        }
    }

    /// Keeps `entry` and gives its handle.
    pub(super) fn insert(&self, entry: T) -> u64 {
        let handle = NEXT.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(handle, Arc::new(entry));
        handle
    }

    /// The entry of a handle. It stays alive while it is used, also if the handle is freed.
    pub(super) fn get(&self, handle: u64) -> Result<Arc<T>, Failure> {
        self.lock()
            .get(&handle)
            .cloned()
            .ok_or_else(|| self.unknown(handle))
    }

    /// Forgets a handle; whoever uses its entry still has it.
    pub(super) fn remove(&self, handle: u64) -> Result<Arc<T>, Failure> {
        // Dropped by the caller, after the lock: what is dropped may run code of the app.
        self.lock().remove(&handle).ok_or_else(|| self.unknown(handle))
    }

    fn unknown(&self, handle: u64) -> Failure {
        let (kind, known) = (self.kind, NEXT.load(Ordering::Relaxed));
        let what = match handle {
            0 => format!("0 is no {kind}"),
            h if h < known => format!("handle {h} is no {kind}, or was freed"),
            h => format!("handle {h} was never given out: it is no {kind}"),
        };
        Failure::new(trm_status::TRM_STATUS_HANDLE, what)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
