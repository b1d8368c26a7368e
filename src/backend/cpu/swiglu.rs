use super::packed::Packed;
use super::simd::{Place, Simd, Tile};
use crate::plan::Dims;

/// Some rows and columns of: input `[L, D]`, gate_up `[2I, D]` -> `[L, I]`.
pub(super) fn swiglu(
    d: &Dims,
    simd: Simd,
    input: &[f32],
    gate_up: &Packed,
    place: &Place,
    mut out: Tile<'_>,
) {
    let (h, half) = (d.hidden, simd.cols() / 2);
    let (rows, cols) = (out.rows(), out.cols());
    for col in (0..cols).step_by(half) {
        let panel = gate_up.group((place.cols.start + col) / half);
        for row in (0..rows).step_by(simd.rows()) {
            let tile = out.part(row..rows.min(row + simd.rows()), col..cols.min(col + half));
            simd.gate_columns(&input[(place.rows.start + row) * h..], h, h, panel, tile);
        }
    }
}
