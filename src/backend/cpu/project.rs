use super::packed::Packed;
use super::simd::{Place, Simd, Tile};

/// Some rows and columns of: input `[L, K]`, weight `[N, K]` -> input weight^T `[L, N]`.
pub(super) fn project(simd: Simd, input: &[f32], weight: &Packed, place: &Place, mut out: Tile<'_>) {
    let (k, width) = (weight.k, simd.cols());
    let (rows, cols) = (out.rows(), out.cols());
    for col in (0..cols).step_by(width) {
        let panel = weight.group((place.cols.start + col) / width);
        for row in (0..rows).step_by(simd.rows()) {
            let tile = out.part(row..rows.min(row + simd.rows()), col..cols.min(col + width));
            simd.product_rows(&input[(place.rows.start + row) * k..], k, k, panel, tile);
        }
    }
}
