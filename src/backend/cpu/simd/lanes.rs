//! What the inner loops need of an instruction set: a vector of `f32`.

/// A vector of [`Lanes::N`] `f32`.
///
/// # Safety
/// Every method demands that the CPU has the instruction set of the type; those that take a pointer, that [`Lanes::N`] elements
/// there may be read or written. No alignment is demanded.
pub(super) trait Lanes: Copy {
    /// Elements of a vector.
    const N: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// The larger of each pair; `other` where that is no number.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller of each pair; `other` where that is no number.
    unsafe fn min(self, other: Self) -> Self;
    /// `self * factor + add`.
    unsafe fn fma(self, factor: Self, add: Self) -> Self;
    /// To the nearest whole number.
    unsafe fn round(self) -> Self;
    /// `self * 2^n` for whole n, where neither `2^n` nor the result is subnormal or infinite.
    unsafe fn scale(self, n: Self) -> Self;
    /// `1 / self`, to 2 units in the last place, for normal numbers.
    unsafe fn reciprocal(self) -> Self;
}

/// What products multiply: a vector whose words are `f32`, or hold several numbers along k.
///
/// # Safety
/// As for [`Lanes`].
pub(super) trait Factors: Copy {
    /// Vectors of sums, with as many elements as this has words.
    type Sum: Lanes;
    unsafe fn repeat(word: f32) -> Self;
    unsafe fn read(from: *const f32) -> Self;
    /// `self * other + sum`, for each word.
    unsafe fn times(self, other: Self, sum: Self::Sum) -> Self::Sum;
}

impl<V: Lanes> Factors for V {
    type Sum = V;
    #[inline(always)]
    unsafe fn repeat(word: f32) -> Self {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { V::splat(word) }
    }
    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: the caller vouches for the instruction set and the memory.
        unsafe { V::load(from) }
    }
    #[inline(always)]
    unsafe fn times(self, other: Self, sum: Self) -> Self {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { self.fma(other, sum) }
    }
}

/// e^x, to 2 units in the last place on [-87, 88], clamped outside. No number stays none.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by a polynomial of least relative error.
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
        // The bounds come first: a maximum gives its second operand where one is no number.
        let x = V::splat(88.0).min(V::splat(-87.0).max(x));
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        // ln 2 in two parts, the first short enough for n times it to be exact.
        let r = n.fma(V::splat(-0.693_359_4), x);
        let r = n.fma(V::splat(2.121_944_4e-4), r);
        horner(r, &POLYNOMIAL).scale(n)
    }
}

/// 2^x, to 2 units in the last place, for x up to 127; below -125 it is clamped. No number stays none.
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

/// The polynomial with these coefficients, the highest first.
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

/// `gate / (1 + e^-gate) * up`.
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
