//! Int8 and int16 products with AVX-512 and AVX2.

use std::arch::x86_64::*;

use super::int8_lanes::Int8Lanes;
use super::x86::{Avx2, Avx512};

/// Sixteen 32-bit words. Needs AVX-512 F, and VNNI or else BW.
#[derive(Clone, Copy)]
pub(super) struct Avx512Int8<const VNNI: bool>(__m512i);

// SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind
// a pointer.
impl<const VNNI: bool> Int8Lanes for Avx512Int8<VNNI> {
    type Floats = Avx512;
    const ZERO_POINT: u8 = 0x80;
    #[inline(always)]
    unsafe fn splat(x: u32) -> Self {
        Self(unsafe { _mm512_set1_epi32(x as i32) })
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        Self(unsafe { _mm512_loadu_si512(from.cast()) })
    }
    #[inline(always)]
    unsafe fn dot(self, activations: Self, weights: Self) -> Self {
        unsafe {
            if VNNI {
                return Self(_mm512_dpbusd_epi32(self.0, activations.0, weights.0));
            }
            // Even and odd bytes as 16 bits: multiplying bytes in pairs would saturate.
            let low = _mm512_set1_epi16(0xff);
            let even = _mm512_madd_epi16(
                _mm512_and_si512(activations.0, low),
                _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(weights.0)),
            );
            let odd = _mm512_madd_epi16(
                _mm512_srli_epi16::<8>(activations.0),
                _mm512_srai_epi16::<8>(weights.0),
            );
            Self(_mm512_add_epi32(self.0, _mm512_add_epi32(even, odd)))
        }
    }
    #[inline(always)]
    unsafe fn dot_int16([s, t]: [Self; 2], a: Self, [b, c]: [Self; 2]) -> [Self; 2] {
        unsafe {
            if VNNI {
                return [Self(dpwssd(s.0, a.0, b.0)), Self(dpwssd(t.0, a.0, c.0))];
            }
            [
                Self(_mm512_add_epi32(s.0, _mm512_madd_epi16(a.0, b.0))),
                Self(_mm512_add_epi32(t.0, _mm512_madd_epi16(a.0, c.0))),
            ]
        }
    }
    #[inline(always)]
    unsafe fn to_floats(self) -> Avx512 {
        Avx512(unsafe { _mm512_cvtepi32_ps(self.0) })
    }
    #[inline(always)]
    unsafe fn store_bytes(x: Avx512, to: *mut u8) {
        unsafe {
            let words = _mm512_add_epi32(_mm512_cvtps_epi32(x.0), _mm512_set1_epi32(128));
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(words));
        }
    }
}

/// How [`Avx2Int8`] multiplies bytes: with AVX2 itself, widened to 16 bits.
pub(super) const WIDENED: u8 = 0;
/// How [`Avx2Int8`] multiplies bytes: with `vpdpbusd` of AVX-VNNI.
pub(super) const AVX_VNNI: u8 = 1;
/// How [`Avx2Int8`] multiplies bytes: with `vpdpbusd` of AVX-512 VNNI and VL. For tests on machines
/// that lack AVX-VNNI.
#[cfg(test)]
pub(super) const AVX512_VL: u8 = 2;

/// Returns `sum` plus the pairwise int16 products of `a` and `b`, with `vpdpwssd`. The compiler
/// turns the intrinsic into a multiplication and an addition, at half the speed.
///
/// # Safety
/// The CPU has AVX-512 F and VNNI.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn dpwssd(mut sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: the CPU has the instruction, which only reads and writes these registers.
    unsafe {
        std::arch::asm!(
            "vpdpwssd {sum}, {a}, {b}",
            sum = inout(zmm_reg) sum,
            a = in(zmm_reg) a,
            b = in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// Eight 32-bit words. Needs AVX2, and the extension that `DOT` names.
#[derive(Clone, Copy)]
pub(super) struct Avx2Int8<const DOT: u8>(__m256i);

// SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind
// a pointer.
impl<const DOT: u8> Int8Lanes for Avx2Int8<DOT> {
    type Floats = Avx2;
    const ZERO_POINT: u8 = 0x80;
    #[inline(always)]
    unsafe fn splat(x: u32) -> Self {
        Self(unsafe { _mm256_set1_epi32(x as i32) })
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        Self(unsafe { _mm256_loadu_si256(from.cast()) })
    }
    #[inline(always)]
    unsafe fn dot(self, activations: Self, weights: Self) -> Self {
        unsafe {
            if DOT == AVX_VNNI {
                return Self(_mm256_dpbusd_avx_epi32(self.0, activations.0, weights.0));
            }
            #[cfg(test)]
            if DOT == AVX512_VL {
                return Self(_mm256_dpbusd_epi32(self.0, activations.0, weights.0));
            }
            let low = _mm256_set1_epi16(0xff);
            let even = _mm256_madd_epi16(
                _mm256_and_si256(activations.0, low),
                _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights.0)),
            );
            let odd = _mm256_madd_epi16(
                _mm256_srli_epi16::<8>(activations.0),
                _mm256_srai_epi16::<8>(weights.0),
            );
            Self(_mm256_add_epi32(self.0, _mm256_add_epi32(even, odd)))
        }
    }
    #[inline(always)]
    unsafe fn dot_int16([s, t]: [Self; 2], a: Self, [b, c]: [Self; 2]) -> [Self; 2] {
        unsafe {
            [
                Self(_mm256_add_epi32(s.0, _mm256_madd_epi16(a.0, b.0))),
                Self(_mm256_add_epi32(t.0, _mm256_madd_epi16(a.0, c.0))),
            ]
        }
    }
    #[inline(always)]
    unsafe fn to_floats(self) -> Avx2 {
        Avx2(unsafe { _mm256_cvtepi32_ps(self.0) })
    }
    #[inline(always)]
    unsafe fn store_bytes(x: Avx2, to: *mut u8) {
        unsafe {
            let words = _mm256_add_epi32(_mm256_cvtps_epi32(x.0), _mm256_set1_epi32(128));
            let (low, high) = (
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            let halves = _mm_packs_epi32(low, high);
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(halves, halves));
        }
    }
}
