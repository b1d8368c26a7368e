//! Memory aligned to vectors.

use std::fmt;

/// Bytes of a cache line, and of the longest vector.
const ALIGNMENT_BYTES: usize = 64;

/// A vector of 4-byte elements (default: `f32`) whose first element is 64-byte aligned.
#[derive(Default)]
pub(super) struct Aligned<T = f32> {
    data: Vec<T>,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// Returns `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        let data = vec![
            T::default();
            if len == 0 {
                0
            } else {
                len + ALIGNMENT_BYTES / 4
            }
        ];
        Self { data, len }
    }

    fn start(&self) -> usize {
        // At most the 16 spare elements. `align_offset` may give up and return `usize::MAX`, which
        // costs speed only.
        self.data
            .as_ptr()
            .align_offset(ALIGNMENT_BYTES)
            .min(ALIGNMENT_BYTES / 4)
    }

    /// Returns the elements.
    pub(super) fn get(&self) -> &[T] {
        if self.len == 0 {
            return &[];
        }
        &self.data[self.start()..][..self.len]
    }

    /// Returns the elements.
    pub(super) fn get_mut(&mut self) -> &mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        let start = self.start();
        &mut self.data[start..][..self.len]
    }

    /// Returns the first `len` elements, after growing to at least that length. Growing zeroes all.
    pub(super) fn grow(&mut self, len: usize) -> &mut [T] {
        if self.len < len {
            *self = Self::zeros(len);
        }
        &mut self.get_mut()[..len]
    }
}

impl<T> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aligned({})", self.len)
    }
}
