//! Memory that starts where a vector does.

use std::fmt;

/// Bytes: a line of the cache, and the longest vector.
const ALIGNMENT: usize = 64;

/// Elements of four bytes, `f32` unless said else, whose first lies on a multiple of 64 bytes.
#[derive(Default)]
pub(super) struct Aligned<T = f32> {
    data: Vec<T>,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// So many zeros.
    pub(super) fn zeros(len: usize) -> Aligned<T> {
        let data = vec![T::default(); if len == 0 { 0 } else { len + ALIGNMENT / 4 }];
        Aligned { data, len }
    }

    fn start(&self) -> usize {
        // Never more than the 16 elements kept for it; the system may give up on telling, which costs speed only.
        self.data.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT / 4)
    }

    pub(super) fn get(&self) -> &[T] {
        if self.len == 0 {
            return &[];
        }
        &self.data[self.start()..][..self.len]
    }

    pub(super) fn get_mut(&mut self) -> &mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        let start = self.start();
        &mut self.data[start..][..self.len]
    }

    /// At least so many elements, whatever they are.
    pub(super) fn room(&mut self, len: usize) -> &mut [T] {
        if self.len < len {
            *self = Aligned::zeros(len);
        }
        &mut self.get_mut()[..len]
    }
}

impl<T> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aligned({})", self.len)
    }
}
