//! NEON of ARM64.

use std::arch::aarch64::*;

use super::lanes::Lanes;

/// Four `f32`. Needs NEON, which every ARM64 CPU has.
#[derive(Clone, Copy)]
pub(super) struct Neon(pub(super) float32x4_t);

/// Four 32-bit words. Needs NEON, and the extension that `DOT` names, one of the constants of
/// `neon_int8.rs`.
#[derive(Clone, Copy)]
pub(super) struct NeonInt8<const DOT: u8>(pub(super) uint32x4_t);

// SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind
// a pointer.
impl Lanes for Neon {
    const N: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Neon(unsafe { vdupq_n_f32(x) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Neon(unsafe { vld1q_f32(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { vst1q_f32(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Neon(unsafe { vaddq_f32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Neon(unsafe { vsubq_f32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Neon(unsafe { vmulq_f32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // Returns NaN if either operand is NaN.
        Neon(unsafe { vmaxq_f32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // Returns NaN if either operand is NaN.
        Neon(unsafe { vminq_f32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, add: Self) -> Self {
        Neon(unsafe { vfmaq_f32(add.0, self.0, factor.0) })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Neon(unsafe { vrndnq_f32(self.0) })
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        unsafe {
            let exponent = vshlq_n_s32::<23>(vcvtnq_s32_f32(n.0));
            Neon(vreinterpretq_f32_s32(vaddq_s32(
                vreinterpretq_s32_f32(self.0),
                exponent,
            )))
        }
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        Neon(unsafe { vdivq_f32(vdupq_n_f32(1.0), self.0) })
    }
}
