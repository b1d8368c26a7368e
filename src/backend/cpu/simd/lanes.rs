//! What the inner loops need of an instruction set: a vector of `f32`.

/// A 32-bit word in memory of `f32`. It holds the bits of values that are packed along k: two bf16,
/// two int16 or four int8, and then it is not a number. In products of f32, it holds one f32.
pub(in super::super) type PackedWord = f32;

/// A vector of [`Lanes::N`] `f32`.
///
/// # Safety
/// Every method requires that the CPU has the instruction set of the type. Methods that take a
/// pointer require that [`Lanes::N`] elements there may be read or written. No alignment is
/// required.
pub(super) trait Lanes: Copy {
    /// Number of elements.
    const N: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// Returns the larger of each pair, or `other` where `other` is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// Returns the smaller of each pair, or `other` where `other` is NaN.
    unsafe fn min(self, other: Self) -> Self;
    /// Returns `self * factor + add`.
    unsafe fn fma(self, factor: Self, add: Self) -> Self;
    /// Rounds to the nearest integer.
    unsafe fn round(self) -> Self;
    /// Returns `self * 2^n` for an integer n. Neither `2^n` nor the result may be subnormal or
    /// infinite.
    unsafe fn scale(self, n: Self) -> Self;
    /// Returns `1 / self` for normal numbers, to 2 units in the last place.
    unsafe fn reciprocal(self) -> Self;
}

/// A vector of operands of a product: each word is an `f32`, or a [`PackedWord`].
///
/// # Safety
/// As for [`Lanes`].
pub(super) trait MulLanes: Copy {
    /// The accumulator: a vector of sums, with as many elements as this has words.
    type Acc: Lanes;
    /// Returns a vector of copies of `word`.
    unsafe fn broadcast(word: PackedWord) -> Self;
    /// Loads a vector of words.
    unsafe fn load_words(from: *const PackedWord) -> Self;
    /// Returns `self * other + acc` for each word.
    unsafe fn mul_add(self, other: Self, acc: Self::Acc) -> Self::Acc;
}

impl<V: Lanes> MulLanes for V {
    type Acc = V;
    #[inline(always)]
    unsafe fn broadcast(word: PackedWord) -> Self {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { V::splat(word) }
    }
    #[inline(always)]
    unsafe fn load_words(from: *const PackedWord) -> Self {
        // SAFETY: the caller vouches for the instruction set and the memory.
        unsafe { V::load(from) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, other: Self, acc: Self) -> Self {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { self.fma(other, acc) }
    }
}

/// Returns e^x, to 2 units in the last place on [-87, 88], clamped outside. NaN stays NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2. e^r is a polynomial of least relative error.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(super) unsafe fn exp<V: Lanes>(x: V) -> V {
    const POLYNOMIAL: [f32; 7] = [
        0.001_384_364_4,
        0.008_374_163,
        0.041_668,
        0.166_664_32,
        0.499_999_94,
        1.0,
        1.0,
    ];
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        // The bounds are the first operands: `max` and `min` return the second one if it is NaN.
        let x = V::splat(88.0).min(V::splat(-87.0).max(x));
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        // ln 2 in two parts. The first is short enough for its product with n to be exact.
        let r = n.fma(V::splat(-0.693_359_4), x);
        let r = n.fma(V::splat(2.121_944_4e-4), r);
        horner(r, &POLYNOMIAL).scale(n)
    }
}

/// Returns 2^x for x up to 127, to 2 units in the last place. x below -125 is clamped. NaN stays
/// NaN.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(super) unsafe fn exp2<V: Lanes>(x: V) -> V {
    const POLYNOMIAL: [f32; 7] = [
        1.535_335_2e-4,
        0.001_339_888_8,
        0.009_618_438,
        0.055_503_324,
        0.240_226_48,
        std::f32::consts::LN_2,
        1.0,
    ];
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let x = V::splat(-125.0).max(x);
        let n = x.round();
        horner(x.sub(n), &POLYNOMIAL).scale(n)
    }
}

/// Evaluates the polynomial with these coefficients, the highest first.
#[inline(always)]
unsafe fn horner<V: Lanes, const N: usize>(x: V, coefficients: &[f32; N]) -> V {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let mut p = V::splat(coefficients[0]);
        for c in &coefficients[1..] {
            p = p.fma(x, V::splat(*c));
        }
        p
    }
}

/// Returns `silu(gate) * up`, which is `gate / (1 + e^-gate) * up`.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(super) unsafe fn silu_mul<V: Lanes>(gate: V, up: V) -> V {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let e = exp(V::splat(0.0).sub(gate));
        gate.mul(up).mul(e.add(V::splat(1.0)).reciprocal())
    }
}
