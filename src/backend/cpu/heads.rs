//! Queries, keys and values with the columns of a head together, so that attention reads them in one piece.

use super::aligned::Aligned;
use super::simd::{Grid, Simd};
use crate::plan::{Buffer, Dims};

/// For each slot `[L, 3D]` as matrices `[L, unit]`, one after the other; a unit holds whole heads.
#[derive(Debug)]
pub(super) struct Heads {
    pub(super) data: Aligned,
    unit: usize,
}

impl Heads {
    /// Room for so many slots.
    pub(super) fn new(d: &Dims, simd: Simd, slots: usize) -> Heads {
        Heads {
            data: Aligned::zeros(Buffer::Qkv.len(d) * slots),
            unit: super::cut::head_unit(d, simd),
        }
    }

    /// How it is cut into tiles of so many rows.
    pub(super) fn grid(&self, d: &Dims, row_block: usize) -> Grid {
        Grid {
            slot_len: Buffer::Qkv.len(d),
            rows: d.positions,
            cols: 3 * d.hidden,
            row_block,
            col_block: self.unit,
            stored: Some(self.unit),
        }
    }

    /// Where a slot's column begins, and how far its rows are apart.
    pub(super) fn column(&self, d: &Dims, slot: usize, column: usize) -> (&[f32], usize) {
        let first = column / self.unit * self.unit;
        let stride = self.unit.min(3 * d.hidden - first);
        let start = slot * Buffer::Qkv.len(d) + first * d.positions + column - first;
        (&self.data.get()[start..], stride)
    }

    /// Copies a slot's share to or from rows `[L, 3D]`.
    pub(super) fn exchange(&mut self, d: &Dims, slot: usize, rows: &mut [f32], out: bool) {
        let width = 3 * d.hidden;
        let share = &mut self.data.get_mut()[slot * rows.len()..][..rows.len()];
        for first in (0..width).step_by(self.unit) {
            let stride = self.unit.min(width - first);
            let matrix = &mut share[first * d.positions..][..stride * d.positions];
            for (row, own) in rows.chunks_exact_mut(width).zip(matrix.chunks_exact_mut(stride)) {
                let row = &mut row[first..][..stride];
                if out {
                    row.copy_from_slice(own);
                } else {
                    own.copy_from_slice(row);
                }
            }
        }
    }
}
