//! What int8 products need of an instruction set: a vector of 32-bit words, each of which holds
//! four int8 values along k or one sum.
//!
//! Weights are signed bytes, -127 to 127. Activations are stored as the instruction expects:
//! unsigned with zero point 128 for `vpdpbusd` (x86), signed for `sdot` and `smmla` (ARM64).

use super::lanes::Lanes;

/// A vector of 32-bit words, as many as [`Int8Lanes::Floats`] has elements.
///
/// # Safety
/// As for [`Lanes`].
pub(super) trait Int8Lanes: Copy {
    /// The vector of `f32` that sums are converted to.
    type Floats: Lanes;
    /// Zero point of the activations: 0x80 if their bytes are unsigned, else 0.
    const ZERO_POINT: u8;
    /// Returns a vector of copies of `x`.
    unsafe fn splat(x: u32) -> Self;
    /// Loads a vector. The pointer need not be aligned.
    unsafe fn load(from: *const u32) -> Self;
    /// Returns `self` plus, for each word, the four byte products of `activations` and `weights`.
    /// The result is exact.
    unsafe fn dot(self, activations: Self, weights: Self) -> Self;
    /// Returns the sums of a tile of exactly M rows. Overridden for instructions that compute more
    /// than one [`dot`](Int8Lanes::dot). The safety requirements are those of [`start`].
    #[inline(always)]
    unsafe fn sums<const M: usize, const ROWS: bool>(p: &Int8Product) -> [[Self; 2]; M] {
        // SAFETY: the caller vouches for all of it.
        unsafe { sums_by_dot::<Self, M, ROWS>(p) }
    }
    /// Returns `sums` plus, for each word of `b`, the two products of its int16 values with those
    /// of a word of `a`, wrapping around. All words of `a` are equal.
    unsafe fn dot_int16(sums: [Self; 2], a: Self, b: [Self; 2]) -> [Self; 2];
    /// Converts the words, as signed integers, to `f32`.
    unsafe fn to_floats(self) -> Self::Floats;
    /// Rounds to integers from -127 to 127, adds the [zero point](Int8Lanes::ZERO_POINT), and
    /// stores each as a byte.
    unsafe fn store_bytes(x: Self::Floats, to: *mut u8);
}

/// The operands of an int8 product of one tile: `c = (bias + a b) * row_scale * col_scale`. a, b
/// and c are laid out as in [`micro::Product`](super::micro::Product), in words of four bytes along
/// k.
///
/// In a product by rows, b holds the weights and the bias belongs to columns. In a product by
/// columns, a holds the weights and the bias belongs to rows.
#[derive(Clone, Copy)]
pub(super) struct Int8Product {
    /// Rows of the tile, from 1 to M.
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
    /// Elements from one row's scale to the next.
    pub(super) row_scale_stride: usize,
    pub(super) col_scale: *const f32,
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
}

/// Returns the initial sums, the bias, of a tile of exactly M rows.
///
/// # Safety
/// As for [`Lanes`]. `p` describes memory that may be read, for M rows.
#[inline(always)]
pub(super) unsafe fn start<W: Int8Lanes, const M: usize, const ROWS: bool>(
    p: &Int8Product,
) -> [[W; 2]; M] {
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

/// Adds the products of one word along k: one row of b with as many rows of a as there are sums.
///
/// # Safety
/// As for [`Lanes`]. These words may be read.
#[inline(always)]
pub(super) unsafe fn add_word<W: Int8Lanes, const ROWS: bool>(
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

/// Returns the sums of a tile of exactly M rows, word by word.
///
/// # Safety
/// As for [`start`].
#[inline(always)]
pub(super) unsafe fn sums_by_dot<W: Int8Lanes, const M: usize, const ROWS: bool>(
    p: &Int8Product,
) -> [[W; 2]; M] {
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
