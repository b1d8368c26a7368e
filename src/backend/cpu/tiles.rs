//! How work is cut: tiles of rows or channels whose size depends on the model alone.

use std::ops::Range;

use rayon::prelude::*;

use crate::backend::slots::Slots;
use crate::plan::Buffer;

/// Rows of a tile: close to 48, and such that all tiles of L rows are nearly equal.
pub(super) fn row_tile(positions: usize) -> usize {
    positions.div_ceil(positions.div_ceil(48).max(1)).max(1)
}

/// Cuts the live slots' shares of `out` into tiles of `tile_len` elements and computes each with
/// `work(slot, number of the tile in the slot, tile)`, on whichever thread of the team is free.
pub(super) fn run_tiles(
    out: &mut [f32],
    slot_len: usize,
    tile_len: usize,
    live: &[usize],
    work: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
    if slot_len == 0 {
        return;
    }
    let mut tiles: Vec<(usize, usize, &mut [f32])> = Vec::new();
    for (slot, share) in out.chunks_exact_mut(slot_len).enumerate() {
        if live.binary_search(&slot).is_ok() {
            tiles.extend(
                share
                    .chunks_mut(tile_len)
                    .enumerate()
                    .map(|(i, tile)| (slot, i, tile)),
            );
        }
    }
    tiles
        .into_par_iter()
        .with_max_len(1)
        .for_each(|(slot, i, tile)| work(slot, i, tile));
}

/// The sum of some buffers of a slot, never stored as a whole.
pub(super) struct Sum<'a> {
    terms: Vec<&'a [f32]>,
}

impl<'a> Sum<'a> {
    /// The sum of these buffers.
    pub(super) fn of(memory: &'a Slots, sources: &[Buffer], slot: usize) -> Sum<'a> {
        Sum {
            terms: sources.iter().map(|&s| memory.get(s, slot)).collect(),
        }
    }

    /// Writes the elements of a range, added from left to right.
    pub(super) fn write(&self, range: Range<usize>, out: &mut [f32]) {
        let (first, rest) = self.terms.split_at(1);
        out.copy_from_slice(&first[0][range.clone()]);
        for term in rest {
            out.iter_mut()
                .zip(&term[range.clone()])
                .for_each(|(o, t)| *o += t);
        }
    }
}
