//! Int16 micro-kernels, two values to a word, for what int8 rounds too coarsely: the scores and the
//! weights of attention. The sums are exact as long as they fit 32 bits.

use super::elementwise::scale_to_i16;
use super::int8_lanes::Int8Lanes;
use super::lanes::{Lanes, exp2};
use super::micro::store;

/// The operands of an int16 product of one tile: `c = a b * row_scale * col_scale`. a, b and c are
/// laid out as in [`micro::Product`](super::micro::Product), in words of two values along k.
#[derive(Clone, Copy)]
pub(super) struct Int16Product {
    /// Rows of the tile, from 1 to M.
    pub(super) m: usize,
    /// Columns that are stored.
    pub(super) n: usize,
    /// Words along k.
    pub(super) k: usize,
    pub(super) a: *const u32,
    pub(super) a_stride: usize,
    pub(super) b: *const u32,
    /// The scales of the rows of a, `a_stride` apart.
    pub(super) row_scale: *const f32,
    pub(super) col_scale: *const f32,
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
}

/// Computes a product by rows, of exactly M rows.
///
/// # Safety
/// As for [`Lanes`]. `p` describes memory that may be read, and c may be written. m is M.
#[inline(always)]
pub(super) unsafe fn product_rows<W: Int8Lanes, const M: usize>(p: &Int16Product) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let n = W::Floats::N;
        let mut sums = [[W::splat(0); 2]; M];
        let (mut a, mut b) = (p.a, p.b);
        for _ in 0..p.k {
            let row = [W::load(b), W::load(b.add(n))];
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = W::splat(*a.add(i * p.a_stride));
                *sum = W::dot_int16(*sum, x, row);
            }
            a = a.add(1);
            b = b.add(2 * n);
        }
        let scales = [
            W::Floats::load(p.col_scale),
            W::Floats::load(p.col_scale.add(n)),
        ];
        for (i, sum) in sums.into_iter().enumerate() {
            let row = W::Floats::splat(*p.row_scale.add(i * p.a_stride));
            let scaled = [
                sum[0].to_floats().mul(row.mul(scales[0])),
                sum[1].to_floats().mul(row.mul(scales[1])),
            ];
            store(scaled, p.c.add(i * p.c_stride), p.n);
        }
    }
}

/// Writes the softmax of a row of scores, in powers of two, as int16, and returns its scale. The
/// sum of the values is at most `max_sum`.
///
/// # Safety
/// As for [`Lanes`]. The scores are whole vectors.
#[inline(always)]
pub(super) unsafe fn softmax<W: Int8Lanes>(
    scores: &mut [f32],
    out: &mut [u16],
    max_sum: f32,
) -> f32 {
    let n = W::Floats::N;
    // SAFETY: the caller vouches for the instruction set and for the memory.
    let sum = unsafe {
        let mut lanes = [W::Floats::splat(f32::MIN); 4];
        for (i, chunk) in scores.chunks_exact(n).enumerate() {
            lanes[i % 4] = W::Floats::load(chunk.as_ptr()).max(lanes[i % 4]);
        }
        let largest = lanes[0].max(lanes[1]).max(lanes[2].max(lanes[3]));
        let largest = W::Floats::splat(elements(largest).into_iter().fold(f32::MIN, f32::max));
        let mut lanes = [W::Floats::splat(0.0); 4];
        for (i, chunk) in scores.chunks_exact_mut(n).enumerate() {
            let power = exp2(W::Floats::load(chunk.as_ptr()).sub(largest));
            power.store(chunk.as_mut_ptr());
            lanes[i % 4] = lanes[i % 4].add(power);
        }
        let sum = lanes[0].add(lanes[1]).add(lanes[2].add(lanes[3]));
        elements(sum)[..n].iter().sum::<f32>()
    };
    // Rounding may increase the sum by up to half a unit per value.
    let budget = max_sum - scores.len() as f32;
    let factor = (budget / sum).min(i16::MAX as f32);
    scale_to_i16(scores, factor, out);
    1.0 / (factor * sum)
}

/// Returns the elements of a vector, padded with `f32::MIN`.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
unsafe fn elements<V: Lanes>(x: V) -> [f32; 16] {
    let mut all = [f32::MIN; 16];
    // SAFETY: the caller vouches for the instruction set; no vector is longer than 16 elements.
    unsafe { x.store(all.as_mut_ptr()) };
    all
}
