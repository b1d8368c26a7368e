use super::packed::Matrix;
use super::simd::{PackedWord, Simd, Tile, TileIndex};

/// The input rows of a product.
#[derive(Clone, Copy)]
pub(super) enum InputRows<'a> {
    /// `[L, K]`.
    F32(&'a [f32]),
    /// Quantised rows `[L, stride]` of packed words, see [`Simd::int8_stride`].
    Int8(&'a [PackedWord]),
    /// Rounded rows `[L, stride]` of packed words, see [`Simd::bf16_stride`], and the loops for
    /// them.
    Bf16(&'a [PackedWord], Simd),
}

/// Computes some rows and columns of: input `[L, K]`, weight `[N, K]` -> input weight^T `[L, N]`.
pub(super) fn project(
    simd: Simd,
    input: InputRows<'_>,
    weight: Matrix<'_>,
    index: &TileIndex,
    out: Tile<'_>,
) {
    for_each_micro_tile(simd, simd.cols(), index, out, |panel, row, tile| {
        match (input, weight) {
            (InputRows::F32(input), Matrix::F32(weight)) => {
                let k = Matrix::F32(weight).k();
                simd.product_rows(&input[row * k..], k, k, weight.panel(panel), tile);
            }
            (InputRows::Int8(input), Matrix::Int8(weight)) => {
                let k = Matrix::Int8(weight).k();
                let rows = &input[row * Simd::int8_stride(k)..];
                simd.int8_product_rows(rows, k, weight.panel(panel), tile);
            }
            (InputRows::Bf16(input, simd), Matrix::Bf16(weight)) => {
                let k = Matrix::Bf16(weight).k();
                let (stride, words) = (Simd::bf16_stride(k), k.div_ceil(2));
                simd.product_rows(
                    &input[row * stride..],
                    stride,
                    words,
                    weight.panel(panel),
                    tile,
                );
            }
            _ => unreachable!("input rows have the dtype of the matrix"),
        }
    });
}

/// Calls `compute(panel, first row, tile)` for all tiles of `out` that one call of a micro-kernel
/// computes. Each panel of `width` columns stays in the cache for all rows.
pub(super) fn for_each_micro_tile(
    simd: Simd,
    width: usize,
    index: &TileIndex,
    mut out: Tile<'_>,
    compute: impl Fn(usize, usize, Tile<'_>),
) {
    let (rows, cols) = (out.rows(), out.cols());
    for col in (0..cols).step_by(width) {
        for row in (0..rows).step_by(simd.rows()) {
            let tile = out.sub_tile(row..rows.min(row + simd.rows()), col..cols.min(col + width));
            compute(
                (index.cols.start + col) / width,
                index.rows.start + row,
                tile,
            );
        }
    }
}
