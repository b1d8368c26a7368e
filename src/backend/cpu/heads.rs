//! Queries, keys and values in blocks of whole heads, so that attention reads a head from
//! contiguous memory.

use super::blocking::head_block_cols;
use super::simd::{Simd, TileGrid};
use crate::model::plan::{Buffer, Dims};

/// Queries, keys and values `[L, 3D]` as column blocks `[L, block_cols]`, one after the other. A
/// block holds whole heads.
#[derive(Debug)]
pub(super) struct HeadBlocks {
    pub(super) data: Vec<f32>,
    block_cols: usize,
}

impl HeadBlocks {
    /// Allocates for one slot.
    pub(super) fn new(d: &Dims, simd: Simd) -> Self {
        Self {
            data: vec![0.0; Buffer::Qkv.len(d)],
            block_cols: head_block_cols(d, simd),
        }
    }

    /// Returns the grid of tiles of `tile_rows` rows.
    pub(super) fn grid(d: &Dims, simd: Simd, tile_rows: usize) -> TileGrid {
        let block_cols = head_block_cols(d, simd);
        TileGrid {
            rows: d.positions,
            cols: 3 * d.hidden,
            tile_rows,
            tile_cols: block_cols,
            column_block: Some(block_cols),
        }
    }

    /// Returns the data from the first element of a column on, and the stride of its rows.
    pub(super) fn column(&self, d: &Dims, column: usize) -> (&[f32], usize) {
        let first = column / self.block_cols * self.block_cols;
        let stride = self.block_cols.min(3 * d.hidden - first);
        (&self.data[first * d.positions + column - first..], stride)
    }

    /// Copies rows `[L, 3D]` into the blocks.
    pub(super) fn copy_from_rows(&mut self, d: &Dims, rows: &mut [f32]) {
        self.for_each_row(d, rows, |own, row| own.copy_from_slice(row));
    }

    /// Copies the blocks into rows `[L, 3D]`.
    pub(super) fn copy_to_rows(&mut self, d: &Dims, rows: &mut [f32]) {
        self.for_each_row(d, rows, |own, row| row.copy_from_slice(own));
    }

    /// Calls `copy(own, row)` for each row of a block and its part of `rows`.
    fn for_each_row(&mut self, d: &Dims, rows: &mut [f32], copy: impl Fn(&mut [f32], &mut [f32])) {
        let width = 3 * d.hidden;
        for first in (0..width).step_by(self.block_cols) {
            let stride = self.block_cols.min(width - first);
            let block = &mut self.data[first * d.positions..][..stride * d.positions];
            for (row, own) in rows
                .chunks_exact_mut(width)
                .zip(block.chunks_exact_mut(stride))
            {
                copy(own, &mut row[first..][..stride]);
            }
        }
    }
}
