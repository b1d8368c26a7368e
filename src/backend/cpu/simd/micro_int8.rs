//! The products of [`micro`](super::micro) with int8: bytes of activations, each too large by [`Words::ZERO`], times bytes of weights.
//! The sums are exact; they start at minus that times the sum of the weights.

use super::elementwise::{byte, scales_of};
use super::lanes::{Lanes, silu_mul};
use super::micro::{store, store_half};
use super::words::Words;

/// A product of one tile: `c = (bias + a b) * row_scale * col_scale`; a, b, c as in [`micro::Product`](super::micro::Product), but in
/// words of four bytes along k.
///
/// In a product of rows the weights are b, and the bias is of columns; in one of columns they are a, and it is of rows.
#[derive(Clone, Copy)]
pub(super) struct Int8Product {
    /// Rows of the tile, at least 1 and at most M.
    pub(super) m: usize,
    /// Columns that are stored.
    pub(super) n: usize,
    /// Words along k.
    pub(super) k: usize,
    pub(super) a: *const u32,
    pub(super) a_stride: usize,
    pub(super) b: *const u32,
    pub(super) bias: *const u32,
    pub(super) row_scale: *const f32,
    /// From one row's scale to the next one's.
    pub(super) row_scale_stride: usize,
    pub(super) col_scale: *const f32,
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
}

/// What the sums of a tile of exactly M rows start with.
///
/// # Safety
/// As for [`Lanes`]; `p` describes memory that may be read, for M rows.
#[inline(always)]
pub(super) unsafe fn start<W: Words, const M: usize, const ROWS: bool>(p: &Int8Product) -> [[W; 2]; M] {
    // SAFETY: the caller vouches for the instruction set and for the memory of `p`.
    unsafe {
        let mut sums = [[W::splat(0); 2]; M];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = if ROWS {
                [W::load(p.bias), W::load(p.bias.add(W::Floats::N))]
            } else {
                [W::splat(*p.bias.add(i)); 2]
            };
        }
        sums
    }
}

/// Adds the products of one word of k: of as many rows of a as there are sums, and one row of b.
///
/// # Safety
/// As for [`Lanes`]; these words may be read.
#[inline(always)]
pub(super) unsafe fn add_word<W: Words, const ROWS: bool>(
    a: *const u32,
    a_stride: usize,
    b: *const u32,
    sums: &mut [[W; 2]],
) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let row = [W::load(b), W::load(b.add(W::Floats::N))];
        for (i, sum) in sums.iter_mut().enumerate() {
            let x = W::splat(*a.add(if ROWS { i * a_stride } else { i }));
            *sum = if ROWS {
                [sum[0].dot(x, row[0]), sum[1].dot(x, row[1])]
            } else {
                [sum[0].dot(row[0], x), sum[1].dot(row[1], x)]
            };
        }
    }
}

/// The sums of a tile of exactly M rows, word by word.
///
/// # Safety
/// As for [`start`].
#[inline(always)]
pub(super) unsafe fn sums<W: Words, const M: usize, const ROWS: bool>(p: &Int8Product) -> [[W; 2]; M] {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let mut sums = start::<W, M, ROWS>(p);
        let (mut a, mut b) = (p.a, p.b);
        for _ in 0..p.k {
            add_word::<W, ROWS>(a, p.a_stride, b, &mut sums);
            a = a.add(if ROWS { 1 } else { p.a_stride });
            b = b.add(2 * W::Floats::N);
        }
        sums
    }
}

/// The values of a tile: the sums, scaled.
///
/// # Safety
/// As for [`start`].
#[inline(always)]
unsafe fn values<W: Words, const M: usize, const ROWS: bool>(p: &Int8Product) -> [[W::Floats; 2]; M] {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let sums = W::sums::<M, ROWS>(p);
        let scales = [
            W::Floats::load(p.col_scale),
            W::Floats::load(p.col_scale.add(W::Floats::N)),
        ];
        let mut values = [scales; M];
        for (i, value) in values.iter_mut().enumerate() {
            let row = W::Floats::splat(*p.row_scale.add(i * p.row_scale_stride));
            *value = [
                sums[i][0].to_floats().mul(row.mul(scales[0])),
                sums[i][1].to_floats().mul(row.mul(scales[1])),
            ];
        }
        values
    }
}

/// A product of rows.
///
/// # Safety
/// As for [`Lanes`]; `p` describes memory that may be read, c written; m is M.
#[inline(always)]
pub(super) unsafe fn product_rows<W: Words, const M: usize>(p: &Int8Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        for (i, row) in values::<W, M, true>(p).into_iter().enumerate() {
            store(row, p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// A product of columns.
///
/// # Safety
/// As for [`product_rows`].
#[inline(always)]
pub(super) unsafe fn product_columns<W: Words, const M: usize>(p: &Int8Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        for (i, row) in values::<W, M, false>(p).into_iter().enumerate() {
            store(row, p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// As [`micro::gate_columns`](super::micro::gate_columns).
///
/// # Safety
/// As for [`product_rows`].
#[inline(always)]
pub(super) unsafe fn gate_columns<W: Words, const M: usize>(p: &Int8Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        for (i, [gate, up]) in values::<W, M, true>(p).into_iter().enumerate() {
            store_half(silu_mul(gate, up), p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// As [`micro::gate_rows`](super::micro::gate_rows).
///
/// # Safety
/// As for [`product_rows`], but a, bias and scale have M rows whatever m is.
#[inline(always)]
pub(super) unsafe fn gate_rows<W: Words, const M: usize>(p: &Int8Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let values = values::<W, M, false>(p);
        for i in 0..p.m.min(M / 2) {
            let (gate, up) = (values[i], values[i + M / 2]);
            let gated = [silu_mul(gate[0], up[0]), silu_mul(gate[1], up[1])];
            store(gated, p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// Quantises a row to bytes, those beyond it [zero](Words::ZERO); what a byte is worth.
///
/// # Safety
/// As for [`Lanes`]; `bytes` is as long as `x` or longer.
#[inline(always)]
pub(super) unsafe fn quantize_row<W: Words>(x: &[f32], bytes: &mut [u8]) -> f32 {
    let (factor, scale) = scales_of(x, 127.0);
    let whole = x.len() - x.len() % W::Floats::N;
    // SAFETY: the caller vouches for the instruction set; a vector from `i` on ends at or before `whole`, which is inside both.
    unsafe {
        let factor = W::Floats::splat(factor);
        for i in (0..whole).step_by(W::Floats::N) {
            W::store_bytes(
                W::Floats::load(x.as_ptr().add(i)).mul(factor),
                bytes.as_mut_ptr().add(i),
            );
        }
    }
    bytes[whole..].fill(W::ZERO);
    let rest = bytes[whole..].iter_mut().zip(&x[whole..]);
    rest.for_each(|(b, x)| *b = byte(x * factor, W::ZERO));
    scale
}
