//! Int8 micro-kernels: activations with a [zero point](Int8Lanes::ZERO_POINT) times signed weights.
//!
//! The sums are exact. They start with a bias of minus the zero point times the sum of the weights,
//! which cancels the zero point.

use super::elementwise::{byte, scales_of};
use super::int8_lanes::{Int8Lanes, Int8Product};
use super::lanes::{Lanes, silu_mul};
use super::micro::{store, store_half};

/// Returns the scaled sums of a tile of exactly M rows.
///
/// # Safety
/// As for [`Lanes`]. `p` describes memory that may be read, for M rows.
#[inline(always)]
unsafe fn values<W: Int8Lanes, const M: usize, const ROWS: bool>(
    p: &Int8Product,
) -> [[W::Floats; 2]; M] {
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

/// Computes a product by rows.
///
/// # Safety
/// As for [`Lanes`]. `p` describes memory that may be read, and c may be written. m is M.
#[inline(always)]
pub(super) unsafe fn product_rows<W: Int8Lanes, const M: usize>(p: &Int8Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        for (i, row) in values::<W, M, true>(p).into_iter().enumerate() {
            store(row, p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// Computes a product by columns.
///
/// # Safety
/// As for [`product_rows`].
#[inline(always)]
pub(super) unsafe fn product_columns<W: Int8Lanes, const M: usize>(p: &Int8Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        for (i, row) in values::<W, M, false>(p).into_iter().enumerate() {
            store(row, p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// Like [`micro::gate_columns`](super::micro::gate_columns).
///
/// # Safety
/// As for [`product_rows`].
#[inline(always)]
pub(super) unsafe fn gate_columns<W: Int8Lanes, const M: usize>(p: &Int8Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        for (i, [gate, up]) in values::<W, M, true>(p).into_iter().enumerate() {
            store_half(silu_mul(gate, up), p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// Like [`micro::gate_rows`](super::micro::gate_rows).
///
/// # Safety
/// As for [`product_rows`], but a, bias and row scale have M rows whatever m is.
#[inline(always)]
pub(super) unsafe fn gate_rows<W: Int8Lanes, const M: usize>(p: &Int8Product) {
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

/// Quantises a row to bytes and returns its scale. Bytes beyond the row are the
/// [zero point](Int8Lanes::ZERO_POINT).
///
/// # Safety
/// As for [`Lanes`]. `bytes` is as long as `x` or longer.
#[inline(always)]
pub(super) unsafe fn quantize_row<W: Int8Lanes>(x: &[f32], bytes: &mut [u8]) -> f32 {
    let (factor, scale) = scales_of(x, 127.0);
    let whole = x.len() - x.len() % W::Floats::N;
    // SAFETY: the caller vouches for the instruction set; a vector from `i` on ends at or before
    // `whole`, which is inside both.
    unsafe {
        let factor = W::Floats::splat(factor);
        for i in (0..whole).step_by(W::Floats::N) {
            W::store_bytes(
                W::Floats::load(x.as_ptr().add(i)).mul(factor),
                bytes.as_mut_ptr().add(i),
            );
        }
    }
    bytes[whole..].fill(W::ZERO_POINT);
    let rest = bytes[whole..].iter_mut().zip(&x[whole..]);
    rest.for_each(|(b, x)| *b = byte(x * factor, W::ZERO_POINT));
    scale
}
