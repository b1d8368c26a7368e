//! How the work is cut. No bit depends on it.

use super::simd::Simd;
use crate::model::plan::Dims;

/// How a product of rows is cut: rows and columns of a task.
pub(super) struct Cut {
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// What a task's rows may take in the second cache, in elements: 256 KB.
const CACHE: usize = 64 * 1024;

/// Cuts a product of `[rows, k]` with `[k, cols]`, whose columns stay together in units. The rows of a task stay in the cache; there are
/// enough tasks for all threads to end together.
pub(super) fn cut(simd: Simd, [rows, k, cols]: [usize; 3], unit: usize, slots: usize, threads: usize) -> Cut {
    let (strips, units) = (rows.div_ceil(simd.rows()).max(1), cols.div_ceil(unit).max(1));
    let mut groups = strips.div_ceil((CACHE / (simd.rows() * k).max(1)).max(1));
    while groups < strips && units * groups * slots < 6 * threads {
        groups += 1;
    }
    let strips_each = strips.div_ceil(groups);
    let tasks = units * strips.div_ceil(strips_each) * slots;
    let most = (tasks / (32 * threads)).clamp(1, units);
    let units_each = units.div_ceil(units.div_ceil(most));
    Cut {
        rows: strips_each * simd.rows(),
        cols: units_each * unit,
    }
}

/// Columns of queries, keys and values that stay together: whole heads and whole panels.
pub(super) fn head_unit(d: &Dims, simd: Simd) -> usize {
    let (mut a, mut b) = (d.head_dim().max(1), simd.cols());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    d.head_dim().max(1) / a * simd.cols()
}
