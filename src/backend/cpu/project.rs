use super::packed::Matrix;
use super::simd::{Place, Simd, Tile};

/// Rows that are projected.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// `[L, K]`.
    F32(&'a [f32]),
    /// `[L, stride]`, quantised, [`Simd::int8_stride`].
    Int8(&'a [f32]),
    /// `[L, stride]`, rounded, [`Simd::bf16_stride`]; and the loops over them.
    Bf16(&'a [f32], Simd),
}

/// Some rows and columns of: input `[L, K]`, weight `[N, K]` -> input weight^T `[L, N]`.
pub(super) fn project(simd: Simd, input: Rows<'_>, weight: Matrix<'_>, place: &Place, out: Tile<'_>) {
    each(simd, simd.cols(), place, out, |panel, row, tile| {
        match (input, weight) {
            (Rows::F32(input), Matrix::F32(weight)) => {
                let k = Matrix::F32(weight).k();
                simd.product_rows(&input[row * k..], k, k, weight.group(panel), tile);
            }
            (Rows::Int8(input), Matrix::Int8(weight)) => {
                let k = Matrix::Int8(weight).k();
                let rows = &input[row * Simd::int8_stride(k)..];
                simd.int8_product_rows(rows, k, weight.group(panel), tile);
            }
            (Rows::Bf16(input, simd), Matrix::Bf16(weight)) => {
                let k = Matrix::Bf16(weight).k();
                let (stride, words) = (Simd::bf16_stride(k), k.div_ceil(2));
                simd.product_rows(&input[row * stride..], stride, words, weight.group(panel), tile);
            }
            _ => unreachable!("rows are in the format of the matrix"),
        }
    });
}

/// Calls `compute(panel, first row, tile)` for all tiles of a place: a panel stays in the cache for all rows.
pub(super) fn each(
    simd: Simd,
    width: usize,
    place: &Place,
    mut out: Tile<'_>,
    compute: impl Fn(usize, usize, Tile<'_>),
) {
    let (rows, cols) = (out.rows(), out.cols());
    for col in (0..cols).step_by(width) {
        for row in (0..rows).step_by(simd.rows()) {
            let tile = out.part(row..rows.min(row + simd.rows()), col..cols.min(col + width));
            compute((place.cols.start + col) / width, place.rows.start + row, tile);
        }
    }
}
