use super::packed::Packed;
use super::simd::{Scratch, Simd, Sum, Tile};
use crate::plan::Dims;

/// Some channels from `first` on of: s `[L, D]`, gate_up `[2T, L]`, down `[L, T]` -> `[L, D]`.
///
/// The weights stand on the left of the channels `[L, C]`, so nothing is transposed, and all but the weights stays in the nearest caches.
pub(super) fn token_mix(
    d: &Dims,
    simd: Simd,
    sources: &Sum<'_>,
    first: usize,
    [gate_up, down]: [&Packed; 2],
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (l, t, width) = (d.positions, d.token_inner, simd.cols());
    let [s, gated, scale] = scratch.pieces([l * width, t * width, width]);
    if out.cols() < width {
        s.fill(0.0);
    }
    simd.write_sum(sources, first, d.hidden, Tile::of(s, l, out.cols(), width));
    let half = simd.rows() / 2;
    let mut tile = Tile::of(gated, t, width, width);
    for (strip, row) in (0..t).step_by(half).enumerate() {
        let rows = row..t.min(row + half);
        simd.gate_rows(gate_up.group(strip), l, s, tile.part(rows, 0..width));
    }
    let cols = out.cols();
    for (strip, row) in (0..l).step_by(simd.rows()).enumerate() {
        let rows = row..l.min(row + simd.rows());
        let tile = out.part(rows, 0..cols);
        simd.product_columns(down.group(strip), simd.rows(), t, gated, tile, false);
    }
    simd.add_norm_columns(&mut out, s, scale, d.eps);
}
