//! The input rows of products: summed, and quantised for int8 or rounded to bf16.

use super::packed::Matrix;
use super::project::InputRows;
use super::scratch::Scratch;
use super::simd::{Simd, Tile, TileGrid, TileIndex};
use super::slot::Slot;
use crate::model::plan::{Buffer, Dims};

/// Returns the grid of [`write_input_rows`] for a product of the sum of `sources` with `matrix`, or
/// `None` if the product reads a plan buffer directly.
pub(super) fn input_grid(
    d: &Dims,
    simd: Simd,
    sources: &[Buffer],
    matrix: Matrix<'_>,
) -> Option<TileGrid> {
    let k = matrix.k();
    let stride = match matrix {
        Matrix::F32(_) if sources.len() == 1 => return None,
        Matrix::F32(_) => k,
        Matrix::Int8(_) => Simd::int8_stride(k),
        Matrix::Bf16(_) => Simd::bf16_stride(k),
    };
    Some(TileGrid::new(d.positions, stride, simd.rows(), stride))
}

/// Writes some rows of the sum of `sources`, in the format that a product with `matrix` reads.
pub(super) fn write_input_rows(
    simd: Simd,
    slot: &Slot,
    sources: &[Buffer],
    matrix: Matrix<'_>,
    index: &TileIndex,
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (k, sum) = (matrix.k(), slot.sum(sources));
    if let Matrix::F32(_) = matrix {
        simd.write_sum(&sum, index.rows.start * k, k, out);
        return;
    }
    let round = |x: &[f32], out: &mut [f32]| match matrix {
        Matrix::Int8(_) => simd.quantize_row(x, out),
        Matrix::F32(_) | Matrix::Bf16(_) => simd.bf16_row(x, out),
    };
    let [row] = scratch.split([k]);
    for (i, position) in index.rows.clone().enumerate() {
        if let [only] = *sum.terms() {
            round(&only[position * k..][..k], out.row(i));
        } else {
            simd.write_sum(&sum, position * k, k, Tile::of(row, 1, k, k));
            round(row, out.row(i));
        }
    }
}

/// Returns the input rows of a product with `matrix`: a plan buffer, or what [`write_input_rows`]
/// wrote.
pub(super) fn input_rows<'a>(
    simd: Simd,
    slot: &'a Slot,
    sources: &[Buffer],
    matrix: Matrix<'_>,
) -> InputRows<'a> {
    match (matrix, sources) {
        (Matrix::F32(_), [only]) => InputRows::F32(slot.memory.get(*only, 0)),
        (Matrix::F32(_), _) => InputRows::F32(&slot.input_rows),
        (Matrix::Int8(_), _) => InputRows::Int8(&slot.input_rows),
        (Matrix::Bf16(_), _) => InputRows::Bf16(&slot.input_rows, simd.bf16().unwrap_or(simd)),
    }
}
