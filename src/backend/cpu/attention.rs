use super::heads::HeadBlocks;
use super::scratch::{Scratch, ScratchSize};
use super::simd::{Simd, Tile, TileIndex};
use crate::model::plan::Dims;

/// Keys that are processed at once, in tiles of rows. Their scores stay in the L1 cache.
const TILES_PER_BLOCK: usize = 12;

/// Lengths of the scratch parts: queries, scores, results, and the state of the softmax.
fn scratch_lengths(d: &Dims, simd: Simd) -> [usize; 4] {
    let (width, cols) = (d.head_dim(), simd.cols());
    [
        width * cols,
        TILES_PER_BLOCK * simd.rows() * cols,
        width * cols,
        3 * cols,
    ]
}

/// Returns the scratch memory that [`attention`] needs.
pub(super) fn scratch_size(d: &Dims, simd: Simd) -> ScratchSize {
    ScratchSize::of(&scratch_lengths(d, simd), &[])
}

/// Computes some queries of one head: queries, keys, values -> `[L, D]`.
///
/// Everything is transposed: scores are `[keys, queries]` and results `[head width, queries]`. So
/// keys and values are read as they are stored, and the softmax runs along rows. The sums over keys
/// continue from block to block, and are scaled down when a larger score appears.
pub(super) fn attention(
    d: &Dims,
    simd: Simd,
    heads: &HeadBlocks,
    index: &TileIndex,
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (l, width, cols) = (d.positions, d.head_dim(), simd.cols());
    let block = TILES_PER_BLOCK * simd.rows();
    let [queries, scores, transposed, state] = scratch.split(scratch_lengths(d, simd));
    let (q, q_stride) = heads.column(d, index.cols.start);
    let (k, stride) = heads.column(d, d.hidden + index.cols.start);
    let (v, v_stride) = heads.column(d, 2 * d.hidden + index.cols.start);
    // Powers of two are cheaper than powers of e.
    let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
    queries.fill(0.0);
    for (i, row) in index.rows.clone().enumerate() {
        let query = &q[row * q_stride..][..width];
        for (to, x) in queries.chunks_exact_mut(cols).zip(query) {
            to[i] = x * scale;
        }
    }
    state[..cols].fill(f32::MIN);
    state[cols..].fill(0.0);
    // Tiles of nearly equal height: a low tile costs nearly as much as a high one.
    let row_tiles = width.div_ceil(simd.rows());
    for first in (0..l).step_by(block) {
        let keys = block.min(l - first);
        let scores = &mut scores[..keys * cols];
        let mut tile = Tile::of(scores, keys, cols, cols);
        for key in (0..keys).step_by(simd.rows()) {
            let part = tile.sub_tile(key..keys.min(key + simd.rows()), 0..cols);
            simd.product_rows(&k[(first + key) * stride..], stride, width, queries, part);
        }
        simd.softmax(scores, state);
        if first > 0 {
            simd.scale_rows(transposed, &state[2 * cols..]);
        }
        let mut tile = Tile::of(transposed, width, cols, cols);
        for row_tile in 0..row_tiles {
            let rows = row_tile * width / row_tiles..(row_tile + 1) * width / row_tiles;
            let values = &v[first * v_stride + rows.start..];
            simd.product_columns(
                values,
                v_stride,
                keys,
                scores,
                tile.sub_tile(rows, 0..cols),
                first > 0,
            );
        }
    }
    for sum in &mut state[cols..2 * cols] {
        *sum = 1.0 / *sum;
    }
    simd.scale_rows(transposed, &state[cols..]);
    for i in 0..out.rows() {
        let column = transposed.iter().skip(i).step_by(cols);
        out.row(i).iter_mut().zip(column).for_each(|(o, x)| *o = *x);
    }
}
