//! Vectors as arrays. The compiler turns them into the instructions of the target.

use super::lanes::Lanes;

/// Four `f32`.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 4]);

impl From<[f32; 4]> for Portable {
    #[inline(always)]
    fn from(values: [f32; 4]) -> Self {
        Self(values)
    }
}

impl Portable {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Portable {
    const N: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for four elements there.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for four elements there.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.with(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.with(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, add: Self) -> Self {
        // Two roundings. `mul_add`, with one, is a function call on targets without such an
        // instruction.
        Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + add.0[i]))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // 1.5 * 2^23: adding it leaves no bits for a fraction.
        const ROUND: f32 = 12_582_912.0;
        Self(self.0.map(|x| (x + ROUND) - ROUND))
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        // The last bits of n + ROUND are n, which is added to the exponent.
        const ROUND: f32 = 12_582_912.0;
        self.with(n, |x, n| {
            f32::from_bits(x.to_bits().wrapping_add((n + ROUND).to_bits() << 23))
        })
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        Self(self.0.map(|x| 1.0 / x))
    }
}
