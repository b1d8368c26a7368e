use super::heads::Heads;
use super::simd::{Place, Room, Scratch, Simd, Tile};
use crate::model::plan::Dims;

/// Keys that are looked at together, in strips: their scores stay in the nearest cache.
const STRIPS: usize = 12;

/// Scratch memory: queries, scores, results, and the state of the softmax.
fn pieces(d: &Dims, simd: Simd) -> [usize; 4] {
    let (width, cols) = (d.head_dim(), simd.cols());
    [width * cols, STRIPS * simd.rows() * cols, width * cols, 3 * cols]
}

/// The scratch memory that [`attention`] takes.
pub(super) fn room(d: &Dims, simd: Simd) -> Room {
    Room::of(&pieces(d, simd), &[])
}

/// Some queries of one head: queries, keys, values -> `[L, D]`.
///
/// All is turned: scores `[keys, queries]` and results `[head width, queries]`, so that keys and values are read as they lie and the softmax
/// runs along rows. The sums over keys go on from block to block, scaled down when a larger score turns up.
pub(super) fn attention(
    d: &Dims,
    simd: Simd,
    heads: &Heads,
    place: &Place,
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (l, width, cols) = (d.positions, d.head_dim(), simd.cols());
    let block = STRIPS * simd.rows();
    let [queries, scores, turned, state] = scratch.pieces(pieces(d, simd));
    let (q, q_stride) = heads.column(d, place.cols.start);
    let (k, stride) = heads.column(d, d.hidden + place.cols.start);
    let (v, v_stride) = heads.column(d, 2 * d.hidden + place.cols.start);
    // Powers of two are cheaper than those of e.
    let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
    queries.fill(0.0);
    for (i, row) in place.rows.clone().enumerate() {
        let query = &q[row * q_stride..][..width];
        for (to, x) in queries.chunks_exact_mut(cols).zip(query) {
            to[i] = x * scale;
        }
    }
    state[..cols].fill(f32::MIN);
    state[cols..].fill(0.0);
    // Strips of nearly equal height, for a low one costs nearly as much as a high one.
    let strips = width.div_ceil(simd.rows());
    for first in (0..l).step_by(block) {
        let keys = block.min(l - first);
        let scores = &mut scores[..keys * cols];
        let mut tile = Tile::of(scores, keys, cols, cols);
        for key in (0..keys).step_by(simd.rows()) {
            let part = tile.part(key..keys.min(key + simd.rows()), 0..cols);
            simd.product_rows(&k[(first + key) * stride..], stride, width, queries, part);
        }
        simd.softmax(scores, state);
        if first > 0 {
            simd.scale_rows(turned, &state[2 * cols..]);
        }
        let mut tile = Tile::of(turned, width, cols, cols);
        for strip in 0..strips {
            let rows = strip * width / strips..(strip + 1) * width / strips;
            let values = &v[first * v_stride + rows.start..];
            simd.product_columns(
                values,
                v_stride,
                keys,
                scores,
                tile.part(rows, 0..cols),
                first > 0,
            );
        }
    }
    for sum in &mut state[cols..2 * cols] {
        *sum = 1.0 / *sum;
    }
    simd.scale_rows(turned, &state[cols..]);
    for i in 0..out.rows() {
        let column = turned.iter().skip(i).step_by(cols);
        out.row(i).iter_mut().zip(column).for_each(|(o, x)| *o = *x);
    }
}
