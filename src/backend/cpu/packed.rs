//! Weights in the order in which the loops read them, packed once.

use super::aligned::Aligned;
use super::simd::Simd;
use crate::plan::Dims;
use crate::weights::{Tensor, Weight};

/// Rows of a matrix `[N, K]` in groups of as many as a tile has columns (a panel) or rows (a strip): group after group, and in each k
/// after k the elements of its rows. What is missing from the last group is zero.
#[derive(Debug)]
pub(super) struct Packed {
    data: Aligned,
    /// Elements of a group.
    group: usize,
    /// K.
    pub(super) k: usize,
}

impl Packed {
    /// A weight as its kernel wants it; the tensor itself where no product reads it.
    pub(super) fn of(weight: Weight, tensor: Tensor, simd: Simd) -> Packed {
        let k = tensor.shape.last().copied().unwrap_or(1);
        let n = tensor.data.len() / k.max(1);
        let one = |group: usize, width: usize, lane: usize| Some(group * width + lane).filter(|r| *r < n);
        // Two halves of the rows side by side in each group: gates and what goes through them.
        let two = |group: usize, width: usize, lane: usize| {
            let (half, row) = (lane / (width / 2), group * (width / 2) + lane % (width / 2));
            (row < n / 2).then_some(half * (n / 2) + row)
        };
        let (rows, cols) = (simd.rows(), simd.cols());
        match weight {
            Weight::GateUp(..) => pack(&tensor.data, k, n.div_ceil(cols), cols, two),
            Weight::TokenGateUp(..) => pack(&tensor.data, k, n.div_ceil(rows), rows, two),
            Weight::TokenDown(..) => pack(&tensor.data, k, n.div_ceil(rows), rows, one),
            Weight::Qkv(..) | Weight::OProj(..) | Weight::Down(..) | Weight::LmHead => {
                pack(&tensor.data, k, n.div_ceil(cols), cols, one)
            }
            _ => {
                let mut data = Aligned::zeros(tensor.data.len());
                data.get_mut().copy_from_slice(&tensor.data);
                Packed { data, group: k, k }
            }
        }
    }

    /// All of it.
    pub(super) fn get(&self) -> &[f32] {
        self.data.get()
    }

    /// A panel or a strip.
    pub(super) fn group(&self, index: usize) -> &[f32] {
        &self.data.get()[index * self.group..][..self.group]
    }
}

/// Packs `groups` groups of `width` rows; `row(group, width, lane)` says which row a lane is.
fn pack(
    source: &[f32],
    k: usize,
    groups: usize,
    width: usize,
    row: impl Fn(usize, usize, usize) -> Option<usize>,
) -> Packed {
    /// Of k at a time: what is written stays in the nearest cache.
    const BLOCK: usize = 64;
    let mut data = Aligned::zeros(groups * k * width);
    for (index, group) in data.get_mut().chunks_exact_mut((k * width).max(1)).enumerate() {
        for (block, out) in group.chunks_mut(BLOCK * width).enumerate() {
            for lane in 0..width {
                let Some(row) = row(index, width, lane) else {
                    continue;
                };
                let from = &source[row * k + block * BLOCK..][..out.len() / width];
                for (to, from) in out.chunks_exact_mut(width).zip(from) {
                    to[lane] = *from;
                }
            }
        }
    }
    Packed {
        data,
        group: k * width,
        k,
    }
}

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
