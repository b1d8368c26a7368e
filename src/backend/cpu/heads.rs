//! Queries, keys and values with the columns of a head together, so that attention reads them in one piece.

use super::cut::head_unit;
use super::simd::{Grid, Simd};
use crate::model::plan::{Buffer, Dims};

/// `[L, 3D]` as matrices `[L, unit]`, one after the other; a unit holds whole heads.
#[derive(Debug)]
pub(super) struct Heads {
    pub(super) data: Vec<f32>,
    unit: usize,
}

impl Heads {
    /// Room for one slot.
    pub(super) fn new(d: &Dims, simd: Simd) -> Heads {
        Heads {
            data: vec![0.0; Buffer::Qkv.len(d)],
            unit: head_unit(d, simd),
        }
    }

    /// How it is cut into tiles of so many rows.
    pub(super) fn grid(d: &Dims, simd: Simd, row_block: usize) -> Grid {
        let unit = head_unit(d, simd);
        Grid {
            rows: d.positions,
            cols: 3 * d.hidden,
            row_block,
            col_block: unit,
            stored: Some(unit),
        }
    }

    /// Where a column begins, and how far its rows are apart.
    pub(super) fn column(&self, d: &Dims, column: usize) -> (&[f32], usize) {
        let first = column / self.unit * self.unit;
        let stride = self.unit.min(3 * d.hidden - first);
        (&self.data[first * d.positions + column - first..], stride)
    }

    /// Copies it to or from rows `[L, 3D]`.
    pub(super) fn exchange(&mut self, d: &Dims, rows: &mut [f32], out: bool) {
        let width = 3 * d.hidden;
        for first in (0..width).step_by(self.unit) {
            let stride = self.unit.min(width - first);
            let matrix = &mut self.data[first * d.positions..][..stride * d.positions];
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
