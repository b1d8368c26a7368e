//! Scratch memory of a worker thread.

use super::aligned::Aligned;

/// Memory of one thread, reused from task to task.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    floats: Aligned,
    words: Aligned<u32>,
    /// Tiles that the thread has computed, modulo 2^32.
    tiles: u32,
}

/// The scratch memory that a task needs, in elements.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct ScratchSize {
    floats: usize,
    words: usize,
}

impl ScratchSize {
    /// Returns the size that [`Scratch::split_with_u32`] needs for these lengths.
    pub(super) fn of(lengths: &[usize], words: &[usize]) -> Self {
        let total = |lengths: &[usize]| lengths.iter().map(|n| padded(*n)).sum();
        Self {
            floats: total(lengths),
            words: total(words),
        }
    }

    /// Returns the size in bytes.
    pub(super) fn bytes(self) -> usize {
        4 * (self.floats + self.words)
    }

    /// Returns a size that suffices for either.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            floats: self.floats.max(other.floats),
            words: self.words.max(other.words),
        }
    }
}

/// Pads a length to whole vectors, so that each part starts at a vector boundary.
fn padded(length: usize) -> usize {
    length.next_multiple_of(16)
}

impl Scratch {
    /// Counts a tile and returns the number of tiles that the thread has computed before.
    pub(super) fn count_tile(&mut self) -> u32 {
        let before = self.tiles;
        self.tiles = before.wrapping_add(1);
        before
    }

    /// Grows the memory to at least `size`.
    pub(super) fn reserve(&mut self, size: ScratchSize) {
        self.floats.grow(size.floats);
        self.words.grow(size.words);
    }

    /// Splits the memory into aligned parts of these lengths. Their contents are unspecified.
    pub(super) fn split<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        split(&mut self.floats, lengths)
    }

    /// Like [`Scratch::split`], with parts of `u32` in addition.
    pub(super) fn split_with_u32<const N: usize, const M: usize>(
        &mut self,
        lengths: [usize; N],
        words: [usize; M],
    ) -> ([&mut [f32]; N], [&mut [u32]; M]) {
        (
            split(&mut self.floats, lengths),
            split(&mut self.words, words),
        )
    }
}

fn split<T: Copy + Default, const N: usize>(
    memory: &mut Aligned<T>,
    lengths: [usize; N],
) -> [&mut [T]; N] {
    let padded = lengths.map(padded);
    let mut rest = memory.grow(padded.iter().sum());
    std::array::from_fn(|i| {
        let (part, more) = std::mem::take(&mut rest).split_at_mut(padded[i]);
        rest = more;
        &mut part[..lengths[i]]
    })
}
