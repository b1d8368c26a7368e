//! The f32 and bf16 micro-kernels, written once for all instruction sets: products of a tile, and
//! the operations that are fused with them.
//!
//! A tile has at most M rows and exactly two vectors of columns. Each element is the sum over k in
//! ascending order, whichever tile it belongs to. So the tiling does not change a bit.

use super::lanes::{Lanes, MulLanes, PackedWord, exp2, silu_mul};

/// The operands of a product of one tile: `c = a b` with a `[m, k]`, b `[k, 2 N]`, c `[m, n]`. k
/// counts words of [`MulLanes`].
///
/// In a product by rows, element (i, k) of a is at `i * a_stride + k`. In a product by columns, it
/// is at `k * a_stride + i`. Element (k, j) of b is at `2 N k + j`, element (i, j) of c at
/// `i * c_stride + j`.
#[derive(Clone, Copy)]
pub(super) struct Product {
    /// Rows of the tile, from 1 to M.
    pub(super) m: usize,
    /// Columns that are stored, at most 2 N. All 2 N are computed.
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) a: *const PackedWord,
    pub(super) a_stride: usize,
    pub(super) b: *const PackedWord,
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
    /// Whether the product is added to c. `false`: it replaces c.
    pub(super) accumulate: bool,
}

/// Returns the sums of a tile of exactly M rows.
///
/// # Safety
/// As for [`Lanes`]. `p` describes memory that may be read.
#[inline(always)]
unsafe fn sums<F: MulLanes, const M: usize, const ROWS: bool>(p: &Product) -> [[F::Acc; 2]; M] {
    // SAFETY: the caller vouches for the instruction set and for the memory of `p`.
    unsafe {
        let n = F::Acc::N;
        let mut sums = [[F::Acc::splat(0.0); 2]; M];
        if p.accumulate {
            for (i, sum) in sums.iter_mut().enumerate() {
                let row = p.c.add(i * p.c_stride);
                *sum = if p.n == 2 * n {
                    [F::Acc::load(row), F::Acc::load(row.add(n))]
                } else {
                    let mut whole = [0.0; 64];
                    std::ptr::copy_nonoverlapping(row, whole.as_mut_ptr(), p.n);
                    [
                        F::Acc::load(whole.as_ptr()),
                        F::Acc::load(whole.as_ptr().add(n)),
                    ]
                };
            }
        }
        let (mut a, mut b) = (p.a, p.b);
        for _ in 0..p.k {
            let row = [F::load_words(b), F::load_words(b.add(n))];
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = F::broadcast(*a.add(if ROWS { i * p.a_stride } else { i }));
                *sum = [x.mul_add(row[0], sum[0]), x.mul_add(row[1], sum[1])];
            }
            a = a.add(if ROWS { 1 } else { p.a_stride });
            b = b.add(2 * n);
        }
        sums
    }
}

/// Stores the first `n` elements of two vectors.
///
/// # Safety
/// As for [`Lanes`]. `n` elements may be written at `to`.
#[inline(always)]
pub(super) unsafe fn store<V: Lanes>(row: [V; 2], to: *mut f32, n: usize) {
    // SAFETY: the caller vouches for the instruction set and `n` elements; `whole` holds two
    // vectors of any set.
    unsafe {
        if n == 2 * V::N {
            row[0].store(to);
            row[1].store(to.add(V::N));
        } else {
            let mut whole = [0.0; 64];
            row[0].store(whole.as_mut_ptr());
            row[1].store(whole.as_mut_ptr().add(V::N));
            std::ptr::copy_nonoverlapping(whole.as_ptr(), to, n);
        }
    }
}

/// Stores the first `n` elements of a vector.
///
/// # Safety
/// As for [`store`].
#[inline(always)]
pub(super) unsafe fn store_half<V: Lanes>(row: V, to: *mut f32, n: usize) {
    // SAFETY: as in `store`.
    unsafe {
        if n == V::N {
            row.store(to);
        } else {
            let mut whole = [0.0; 32];
            row.store(whole.as_mut_ptr());
            std::ptr::copy_nonoverlapping(whole.as_ptr(), to, n);
        }
    }
}

/// Computes `c = a b` or `c += a b` by rows.
///
/// # Safety
/// As for [`Lanes`]. `p` describes memory that may be read, and c may be written. m is M.
#[inline(always)]
pub(super) unsafe fn product_rows<F: MulLanes, const M: usize>(p: &Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe { product::<F, M, true>(p) }
}

/// Computes `c = a b` or `c += a b` by columns.
///
/// # Safety
/// As for [`product_rows`].
#[inline(always)]
pub(super) unsafe fn product_columns<F: MulLanes, const M: usize>(p: &Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe { product::<F, M, false>(p) }
}

/// Computes a product by rows or by columns.
///
/// # Safety
/// As for [`product_rows`].
#[inline(always)]
unsafe fn product<F: MulLanes, const M: usize, const ROWS: bool>(p: &Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let sums = sums::<F, M, ROWS>(p);
        for (i, row) in sums.into_iter().enumerate() {
            store(row, p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// Computes `silu(gate) * up`, where the two vectors of each row of `a b` are gate and up. c is
/// `[m, n]` with n at most N.
///
/// # Safety
/// As for [`product_rows`].
#[inline(always)]
pub(super) unsafe fn gate_columns<F: MulLanes, const M: usize>(p: &Product) {
    // SAFETY: the caller vouches for all of it; a vector fits into `whole`.
    unsafe {
        let sums = sums::<F, M, true>(p);
        for (i, [gate, up]) in sums.into_iter().enumerate() {
            store_half(silu_mul(gate, up), p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// Computes `silu(gate) * up`, where the first M / 2 rows of `a b` are gates and the others up. c
/// is `[m, n]` with m at most M / 2.
///
/// # Safety
/// As for [`product_rows`], but a has M rows whatever m is.
#[inline(always)]
pub(super) unsafe fn gate_rows<F: MulLanes, const M: usize>(p: &Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let sums = sums::<F, M, false>(p);
        for i in 0..p.m.min(M / 2) {
            let (gate, up) = (sums[i], sums[i + M / 2]);
            let gated = [silu_mul(gate[0], up[0]), silu_mul(gate[1], up[1])];
            store(gated, p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// Computes one block of an online softmax over the rows of scores `[keys, 2 N]`, in powers of two,
/// in place.
///
/// `state` is `[3, 2 N]`: the largest score of each column so far, the sum of the powers so far,
/// and (output only) the factor that rescales the sums of earlier blocks.
///
/// # Safety
/// As for [`Lanes`]. `scores` and `state` may be written.
#[inline(always)]
pub(super) unsafe fn softmax<V: Lanes>(keys: usize, scores: *mut f32, state: *mut f32) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let width = 2 * V::N;
        for half in 0..2 {
            let (scores, state) = (scores.add(half * V::N), state.add(half * V::N));
            let old = V::load(state);
            // Four accumulators: with one, each step would wait for the result of the last.
            let mut four = [old; 4];
            let fours = keys - keys % 4;
            for key in (0..fours).step_by(4) {
                for (i, lane) in four.iter_mut().enumerate() {
                    *lane = V::load(scores.add((key + i) * width)).max(*lane);
                }
            }
            for key in fours..keys {
                four[0] = V::load(scores.add(key * width)).max(four[0]);
            }
            let largest = four[0].max(four[1]).max(four[2].max(four[3]));
            let mut four = [V::splat(0.0); 4];
            for key in (0..fours).step_by(4) {
                for (i, lane) in four.iter_mut().enumerate() {
                    *lane = lane.add(power_of(scores.add((key + i) * width), largest));
                }
            }
            for key in fours..keys {
                four[0] = four[0].add(power_of(scores.add(key * width), largest));
            }
            let sum = four[0].add(four[1]).add(four[2].add(four[3]));
            let factor = exp2(old.sub(largest));
            V::load(state.add(width))
                .fma(factor, sum)
                .store(state.add(width));
            factor.store(state.add(2 * width));
            largest.store(state);
        }
    }
}

/// Computes `2^(score - largest)` in place and returns it.
///
/// # Safety
/// As for [`Lanes`]. A vector at `score` may be written.
#[inline(always)]
unsafe fn power_of<V: Lanes>(score: *mut f32, largest: V) -> V {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let power = exp2(V::load(score).sub(largest));
        power.store(score);
        power
    }
}

/// Multiplies every row of x `[rows, 2 N]` by the row `factor`.
///
/// # Safety
/// As for [`Lanes`]. `x` may be written, `factor` read.
#[inline(always)]
pub(super) unsafe fn scale_rows<V: Lanes>(rows: usize, x: *mut f32, factor: *const f32) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let factor = [V::load(factor), V::load(factor.add(V::N))];
        for row in 0..rows {
            let at = x.add(row * 2 * V::N);
            V::load(at).mul(factor[0]).store(at);
            V::load(at.add(V::N)).mul(factor[1]).store(at.add(V::N));
        }
    }
}
