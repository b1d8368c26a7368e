//! Handle tables. Handles are numbers that are never reused, so a freed handle is always detected.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::guard::CallError;
use super::status::trm_status;
use crate::process::ProcessId;

/// The live handles of one type, with their entries.
pub(super) struct HandleTable<T> {
    type_name: &'static str,
    entries: LazyLock<Mutex<HashMap<u64, Arc<T>>>>,
}

/// The process that loaded the library. A child of a fork has a copy of the tables, and of their
/// locks.
static PROCESS: LazyLock<ProcessId> = LazyLock::new(ProcessId::current);

/// How long a child of a fork waits for a lock. A thread that held the lock when the process was
/// forked never releases it.
const MAX_LOCK_WAIT: Duration = Duration::from_millis(500);

/// The next new handle. All tables share it, so that a handle is valid in one table only. It starts
/// at 1 because 0 is the null handle.
static NEXT_HANDLE: AtomicU64 = AtomicU64::new(1);

impl<T> HandleTable<T> {
    /// Creates an empty table. `type_name` describes an entry in error messages, with its article.
    pub(super) const fn new(type_name: &'static str) -> Self {
        Self {
            type_name,
            entries: LazyLock::new(Mutex::default),
        }
    }

    /// Stores `entry` and returns its new handle.
    pub(super) fn insert(&self, entry: T) -> Result<u64, CallError> {
        let handle = NEXT_HANDLE.fetch_add(1, Ordering::Relaxed);
        self.lock()?.insert(handle, Arc::new(entry));
        Ok(handle)
    }

    /// Returns the entry of a handle. The entry outlives the handle while the `Arc` is held.
    pub(super) fn get(&self, handle: u64) -> Result<Arc<T>, CallError> {
        self.lock()?
            .get(&handle)
            .cloned()
            .ok_or_else(|| self.invalid(handle))
    }

    /// Removes a handle and returns its entry, which other threads may still hold.
    pub(super) fn remove(&self, handle: u64) -> Result<Arc<T>, CallError> {
        // The caller drops the entry after the lock: dropping it may run a callback of the app.
        self.lock()?
            .remove(&handle)
            .ok_or_else(|| self.invalid(handle))
    }

    fn invalid(&self, handle: u64) -> CallError {
        let (name, next) = (self.type_name, NEXT_HANDLE.load(Ordering::Relaxed));
        let message = match handle {
            0 => format!("0 is the null handle, not {name}"),
            h if h < next => format!("handle {h} is not {name}, or it was freed"),
            h => format!("handle {h} was never created; {name} is expected"),
        };
        CallError::new(trm_status::TRM_STATUS_HANDLE, message)
    }

    fn lock(&self) -> Result<MutexGuard<'_, HashMap<u64, Arc<T>>>, CallError> {
        if !PROCESS.is_other() {
            return Ok(self.entries.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let started = Instant::now();
        loop {
            match self.entries.try_lock() {
                Ok(entries) => return Ok(entries),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if started.elapsed() < MAX_LOCK_WAIT => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    let message = "this process was forked while another thread was inside this \
                         library, which cannot be used here; fork before the first call";
                    return Err(CallError::new(trm_status::TRM_STATUS_DEVICE, message));
                }
            }
        }
    }
}
