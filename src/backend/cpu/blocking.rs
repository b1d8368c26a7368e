//! Block sizes of products. No bit of a result depends on them.

use super::simd::Simd;
use crate::model::plan::Dims;

/// The rows and columns that one task computes.
pub(super) struct BlockSize {
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// Elements that the input rows of a task may take in the L2 cache: 256 KB.
const MAX_L2_ELEMENTS: usize = 64 * 1024;

/// Returns the block size of a product of `[rows, k]` with `[k, cols]`, whose columns are divided
/// in multiples of `unit`.
///
/// The rows of a task stay in the cache. There are enough tasks for all threads to finish at about
/// the same time.
pub(super) fn block_size(
    simd: Simd,
    [rows, k, cols]: [usize; 3],
    unit: usize,
    slots: usize,
    threads: usize,
) -> BlockSize {
    let row_tiles = rows.div_ceil(simd.rows()).max(1);
    let units = cols.div_ceil(unit).max(1);
    let tiles_in_cache = (MAX_L2_ELEMENTS / (simd.rows() * k).max(1)).max(1);
    let mut row_blocks = row_tiles.div_ceil(tiles_in_cache);
    while row_blocks < row_tiles && units * row_blocks * slots < 6 * threads {
        row_blocks += 1;
    }
    let tiles_per_block = row_tiles.div_ceil(row_blocks);
    let tasks = units * row_tiles.div_ceil(tiles_per_block) * slots;
    let max_units = (tasks / (32 * threads)).clamp(1, units);
    let units_per_block = units.div_ceil(units.div_ceil(max_units));
    BlockSize {
        rows: tiles_per_block * simd.rows(),
        cols: units_per_block * unit,
    }
}

/// Returns the number of columns of a block of queries, keys and values: whole heads and whole
/// panels.
pub(super) fn head_block_cols(d: &Dims, simd: Simd) -> usize {
    let (mut a, mut b) = (d.head_dim().max(1), simd.cols());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    d.head_dim().max(1) / a * simd.cols()
}
