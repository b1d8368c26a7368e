//! Products of whole numbers of 16 bits, two to a word, for what int8 rounds too much: the scores and the shares of attention. The sums
//! are exact as long as they fit 32 bits.

use super::elementwise::shorts;
use super::lanes::{Lanes, exp2};
use super::micro::store;
use super::words::Words;

/// A product of one tile: `c = a b * row_scale * col_scale`; a, b, c as in [`micro::Product`](super::micro::Product), but in words of two
/// numbers along k.
#[derive(Clone, Copy)]
pub(super) struct PairProduct {
    /// Rows of the tile, at least 1 and at most M.
    pub(super) m: usize,
    /// Columns that are stored.
    pub(super) n: usize,
    /// Words along k.
    pub(super) k: usize,
    pub(super) a: *const u32,
    pub(super) a_stride: usize,
    pub(super) b: *const u32,
    /// As far apart as the rows of a.
    pub(super) row_scale: *const f32,
    pub(super) col_scale: *const f32,
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
}

/// A product of exactly M rows.
///
/// # Safety
/// As for [`Lanes`]; `p` describes memory that may be read, c written; m is M.
#[inline(always)]
pub(super) unsafe fn product_rows<W: Words, const M: usize>(p: &PairProduct) {
    // SAFETY: the caller vouches for all of it.
    unsafe {
        let n = W::Floats::N;
        let mut sums = [[W::splat(0); 2]; M];
        let (mut a, mut b) = (p.a, p.b);
        for _ in 0..p.k {
            let row = [W::load(b), W::load(b.add(n))];
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = W::splat(*a.add(i * p.a_stride));
                *sum = W::dot_pairs(*sum, x, row);
            }
            a = a.add(1);
            b = b.add(2 * n);
        }
        let scales = [W::Floats::load(p.col_scale), W::Floats::load(p.col_scale.add(n))];
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

/// The softmax of a row of scores, in powers of two, as whole numbers with a scale, which is returned. Their sum is at most `most`, and
/// none is larger than 16 bits hold.
///
/// # Safety
/// As for [`Lanes`]; the scores are whole vectors.
#[inline(always)]
pub(super) unsafe fn softmax<W: Words>(scores: &mut [f32], out: &mut [u16], most: f32) -> f32 {
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
    // Half of the numbers may be rounded up.
    let room = most - scores.len() as f32;
    let factor = (room / sum).min(i16::MAX as f32);
    shorts(scores, factor, out);
    1.0 / (factor * sum)
}

/// The elements of a vector; beyond, the least number there is.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
unsafe fn elements<V: Lanes>(x: V) -> [f32; 16] {
    let mut all = [f32::MIN; 16];
    // SAFETY: the caller vouches for the instruction set; no vector is longer.
    unsafe { x.store(all.as_mut_ptr()) };
    all
}
