//! The implementation that was the fastest for each call on an adapter, as far as it was measured.

use std::collections::HashMap;
use std::sync::Mutex;

use super::selection::{CallShape, KernelImpl};
use crate::backend::measurements::MeasurementCache;

/// The fastest implementations, by the keys of the measurements.
#[derive(Debug, Default)]
pub(super) struct KernelTimings {
    fastest: Mutex<HashMap<String, KernelImpl>>,
    /// Where results outlive the process.
    pub(super) cache: MeasurementCache,
}

impl KernelTimings {
    /// Reads and stores results in `cache` too.
    pub(super) fn new(cache: MeasurementCache) -> Self {
        Self {
            fastest: Mutex::default(),
            cache,
        }
    }

    /// Returns the fastest implementation, if it is known.
    pub(super) fn get(&self, key: &str, shape: &CallShape<'_>) -> Option<KernelImpl> {
        let mut fastest = self.fastest.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(implementation) = fastest.get(key) {
            return Some(*implementation);
        }
        let stored = self.cache.get(key)?;
        let implementation = shape
            .implementations()
            .into_iter()
            .find(|i| Some(i.name()) == stored.as_str())?;
        fastest.insert(key.to_string(), implementation);
        Some(implementation)
    }

    /// Stores the fastest implementation.
    pub(super) fn put(&self, key: String, implementation: KernelImpl) {
        self.cache.put(&key, implementation.name().into());
        let mut fastest = self.fastest.lock().unwrap_or_else(|e| e.into_inner());
        fastest.insert(key, implementation);
    }
}
