//! Int8 and int16 products with NEON, dotprod and i8mm.

use std::arch::aarch64::*;

use super::int8_lanes::{Int8Lanes, Int8Product, sums_by_dot};
use super::neon::{Neon, NeonInt8};
use super::smmla;

/// How [`NeonInt8`] multiplies bytes: with NEON itself, widened to 16 bits.
pub(super) const WIDENED: u8 = 0;
/// How [`NeonInt8`] multiplies bytes: with `sdot`.
pub(super) const DOTPROD: u8 = 1;
/// How [`NeonInt8`] multiplies bytes: with `smmla`, and with `sdot` for a single row or word.
pub(super) const I8MM: u8 = 2;

// SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind
// a pointer.
impl<const DOT: u8> Int8Lanes for NeonInt8<DOT> {
    type Floats = Neon;
    const ZERO_POINT: u8 = 0;
    #[inline(always)]
    unsafe fn splat(x: u32) -> Self {
        NeonInt8(unsafe { vdupq_n_u32(x) })
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        NeonInt8(unsafe { vld1q_u32(from) })
    }
    #[inline(always)]
    unsafe fn dot(self, activations: Self, weights: Self) -> Self {
        unsafe {
            if DOT != WIDENED {
                let mut sum = self.0;
                // `vdotq_s32` is stable only from Rust 1.98 on.
                std::arch::asm!(
                    ".arch_extension dotprod",
                    "sdot {sum:v}.4s, {activations:v}.16b, {weights:v}.16b",
                    sum = inout(vreg) sum,
                    activations = in(vreg) activations.0,
                    weights = in(vreg) weights.0,
                    options(pure, nomem, nostack, preserves_flags),
                );
                return NeonInt8(sum);
            }
            let (a, w) = (
                vreinterpretq_s8_u32(activations.0),
                vreinterpretq_s8_u32(weights.0),
            );
            let low = vmull_s8(vget_low_s8(a), vget_low_s8(w));
            let high = vmull_high_s8(a, w);
            // Two products of numbers up to 127 fit into 16 bits.
            let pairs = vpaddq_s16(low, high);
            let sum = vpadalq_s16(vreinterpretq_s32_u32(self.0), pairs);
            NeonInt8(vreinterpretq_u32_s32(sum))
        }
    }
    #[inline(always)]
    unsafe fn sums<const M: usize, const ROWS: bool>(p: &Int8Product) -> [[Self; 2]; M] {
        unsafe {
            if DOT == I8MM {
                smmla::sums::<DOT, M, ROWS>(p)
            } else {
                sums_by_dot::<Self, M, ROWS>(p)
            }
        }
    }
    #[inline(always)]
    unsafe fn dot_int16([s, t]: [Self; 2], a: Self, [b, c]: [Self; 2]) -> [Self; 2] {
        unsafe {
            let signed = |x: Self| vreinterpretq_s16_u32(x.0);
            // All first values, each with its own sum, and all second values. The compiler
            // separates them once for all rows.
            let first = vuzp1q_s16(signed(b), signed(c));
            let second = vuzp2q_s16(signed(b), signed(c));
            let (mut s, mut t) = (vreinterpretq_s32_u32(s.0), vreinterpretq_s32_u32(t.0));
            s = vmlal_laneq_s16::<0>(s, vget_low_s16(first), signed(a));
            t = vmlal_high_laneq_s16::<0>(t, first, signed(a));
            s = vmlal_laneq_s16::<1>(s, vget_low_s16(second), signed(a));
            t = vmlal_high_laneq_s16::<1>(t, second, signed(a));
            [s, t].map(|sum| NeonInt8(vreinterpretq_u32_s32(sum)))
        }
    }
    #[inline(always)]
    unsafe fn to_floats(self) -> Neon {
        Neon(unsafe { vcvtq_f32_s32(vreinterpretq_s32_u32(self.0)) })
    }
    #[inline(always)]
    unsafe fn store_bytes(x: Neon, to: *mut u8) {
        unsafe {
            let words = vcvtnq_s32_f32(x.0);
            let halves = vreinterpret_u16_s16(vmovn_s32(words));
            let bytes = vmovn_u16(vcombine_u16(halves, halves));
            to.cast::<u32>()
                .write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_u8(bytes)));
        }
    }
}
