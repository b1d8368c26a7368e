//! What products of int8 need of an instruction set: a vector of 32-bit words, each four bytes along k or a sum.
//!
//! Weights are bytes with a sign, -127 .. 127. Activations are what the instructions multiply such bytes with: on x86 bytes without a sign,
//! on ARM64 bytes with one.

use super::elementwise::byte;
use super::lanes::Lanes;
use super::micro_int8::{self, Int8Product};
use super::portable::Portable;

/// A vector of words, as many as [`Words::Floats`] has elements.
///
/// # Safety
/// As for [`Lanes`].
pub(super) trait Words: Copy {
    /// The sums as `f32`.
    type Floats: Lanes;
    /// The byte of an activation that is zero: all are that much too large. 0x80 where they have no sign, else 0.
    const ZERO: u8;
    unsafe fn splat(x: u32) -> Self;
    unsafe fn load(from: *const u32) -> Self;
    /// `self` plus the four products of bytes of each word of `activations` and `weights`, exactly.
    unsafe fn dot(self, activations: Self, weights: Self) -> Self;
    /// The sums of a tile of exactly M rows, for instructions that do more than [`dot`](Words::dot). Asks for what
    /// [`micro_int8::start`] asks for.
    #[inline(always)]
    unsafe fn sums<const M: usize, const ROWS: bool>(p: &Int8Product) -> [[Self; 2]; M] {
        // SAFETY: the caller vouches for all of it.
        unsafe { micro_int8::sums::<Self, M, ROWS>(p) }
    }
    /// `sums` plus, for each word of `b`, the two products of its numbers of 16 bits and those of a word of `a`, wrapping around. All
    /// words of `a` are the same.
    unsafe fn dot_pairs(sums: [Self; 2], a: Self, b: [Self; 2]) -> [Self; 2];
    /// The words as whole numbers with a sign.
    unsafe fn to_floats(self) -> Self::Floats;
    /// Rounds to whole numbers, in -127 .. 127, and stores each as a byte, [`ZERO`](Words::ZERO) too large.
    unsafe fn store_bytes(x: Self::Floats, to: *mut u8);
}

/// Words as arrays.
#[derive(Clone, Copy)]
pub(super) struct PortableWords([u32; 4]);

impl Words for PortableWords {
    type Floats = Portable;
    const ZERO: u8 = 0x80;
    #[inline(always)]
    unsafe fn splat(x: u32) -> Self {
        PortableWords([x; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        // SAFETY: the caller vouches for four words there.
        PortableWords(unsafe { from.cast::<[u32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn dot(self, activations: Self, weights: Self) -> Self {
        // Even and odd bytes as halves of a word: what the compiler makes multiplications of pairs of.
        PortableWords(std::array::from_fn(|i| {
            let (u, s) = (activations.0[i], weights.0[i] as i32);
            let products = (u & 0xff) as i32 * (s << 24 >> 24)
                + (u >> 8 & 0xff) as i32 * (s << 16 >> 24)
                + (u >> 16 & 0xff) as i32 * (s << 8 >> 24)
                + (u >> 24) as i32 * (s >> 24);
            self.0[i].wrapping_add(products as u32)
        }))
    }
    #[inline(always)]
    unsafe fn dot_pairs(sums: [Self; 2], a: Self, b: [Self; 2]) -> [Self; 2] {
        std::array::from_fn(|v| {
            PortableWords(std::array::from_fn(|i| {
                let (a, b) = (a.0[i] as i32, b[v].0[i] as i32);
                let low = (a << 16 >> 16).wrapping_mul(b << 16 >> 16);
                let high = (a >> 16).wrapping_mul(b >> 16);
                sums[v].0[i].wrapping_add(low as u32).wrapping_add(high as u32)
            }))
        })
    }
    #[inline(always)]
    unsafe fn to_floats(self) -> Portable {
        Portable::from(self.0.map(|x| x as i32 as f32))
    }
    #[inline(always)]
    unsafe fn store_bytes(x: Portable, to: *mut u8) {
        let mut floats = [0.0; 4];
        // SAFETY: four floats fit; the caller vouches for four bytes.
        unsafe {
            x.store(floats.as_mut_ptr());
            to.cast::<[u8; 4]>()
                .write_unaligned(floats.map(|x| byte(x, Self::ZERO)));
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::x86::{Avx2, Avx512};
    use super::Words;

    /// Sixteen words; asks for AVX-512 F, and VNNI or else BW.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx512Words<const VNNI: bool>(__m512i);

    // SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind a pointer.
    impl<const VNNI: bool> Words for Avx512Words<VNNI> {
        type Floats = Avx512;
        const ZERO: u8 = 0x80;
        #[inline(always)]
        unsafe fn splat(x: u32) -> Self {
            Avx512Words(unsafe { _mm512_set1_epi32(x as i32) })
        }
        #[inline(always)]
        unsafe fn load(from: *const u32) -> Self {
            Avx512Words(unsafe { _mm512_loadu_si512(from.cast()) })
        }
        #[inline(always)]
        unsafe fn dot(self, activations: Self, weights: Self) -> Self {
            unsafe {
                if VNNI {
                    return Avx512Words(_mm512_dpbusd_epi32(self.0, activations.0, weights.0));
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
                Avx512Words(_mm512_add_epi32(self.0, _mm512_add_epi32(even, odd)))
            }
        }
        #[inline(always)]
        unsafe fn dot_pairs([s, t]: [Self; 2], a: Self, [b, c]: [Self; 2]) -> [Self; 2] {
            unsafe {
                if VNNI {
                    return [
                        Avx512Words(dpwssd(s.0, a.0, b.0)),
                        Avx512Words(dpwssd(t.0, a.0, c.0)),
                    ];
                }
                [
                    Avx512Words(_mm512_add_epi32(s.0, _mm512_madd_epi16(a.0, b.0))),
                    Avx512Words(_mm512_add_epi32(t.0, _mm512_madd_epi16(a.0, c.0))),
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

    /// What multiplies bytes in [`Avx2Words`]: AVX2 itself, in 16 bits.
    pub(in super::super) const IN_16_BITS: u8 = 0;
    /// AVX-VNNI.
    pub(in super::super) const AVX_VNNI: u8 = 1;
    /// The same instruction of AVX-512 VNNI with VL, for tests: there are machines that have it and no AVX-VNNI.
    #[cfg(test)]
    pub(in super::super) const AVX512_VL: u8 = 2;

    /// `vpdpwssd`: of the intrinsic the compiler makes a multiplication and an addition, at half the speed.
    ///
    /// # Safety
    /// The CPU has AVX-512 F and VNNI.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn dpwssd(mut sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: it has the instruction, which only reads and writes these registers.
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

    /// Eight words; asks for AVX2, and for what multiplies.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2Words<const BY: u8>(__m256i);

    // SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind a pointer.
    impl<const BY: u8> Words for Avx2Words<BY> {
        type Floats = Avx2;
        const ZERO: u8 = 0x80;
        #[inline(always)]
        unsafe fn splat(x: u32) -> Self {
            Avx2Words(unsafe { _mm256_set1_epi32(x as i32) })
        }
        #[inline(always)]
        unsafe fn load(from: *const u32) -> Self {
            Avx2Words(unsafe { _mm256_loadu_si256(from.cast()) })
        }
        #[inline(always)]
        unsafe fn dot(self, activations: Self, weights: Self) -> Self {
            unsafe {
                if BY == AVX_VNNI {
                    return Avx2Words(_mm256_dpbusd_avx_epi32(self.0, activations.0, weights.0));
                }
                #[cfg(test)]
                if BY == AVX512_VL {
                    return Avx2Words(_mm256_dpbusd_epi32(self.0, activations.0, weights.0));
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
                Avx2Words(_mm256_add_epi32(self.0, _mm256_add_epi32(even, odd)))
            }
        }
        #[inline(always)]
        unsafe fn dot_pairs([s, t]: [Self; 2], a: Self, [b, c]: [Self; 2]) -> [Self; 2] {
            unsafe {
                [
                    Avx2Words(_mm256_add_epi32(s.0, _mm256_madd_epi16(a.0, b.0))),
                    Avx2Words(_mm256_add_epi32(t.0, _mm256_madd_epi16(a.0, c.0))),
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
}
#[cfg(target_arch = "x86_64")]
#[cfg(all(test, target_arch = "x86_64"))]
pub(super) use x86::AVX512_VL;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{AVX_VNNI, Avx2Words, Avx512Words, IN_16_BITS};

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::super::micro_int8::{self, Int8Product};
    use super::super::neon::Neon;
    use super::super::smmla;
    use super::Words;

    /// What multiplies bytes in [`NeonWords`]: NEON itself, in 16 bits.
    pub(in super::super) const NEON: u8 = 0;
    /// `sdot`.
    pub(in super::super) const DOTPROD: u8 = 1;
    /// `smmla`, and `sdot` where there is one row or one word only.
    pub(in super::super) const I8MM: u8 = 2;

    /// Four words; asks for NEON, and for what multiplies.
    #[derive(Clone, Copy)]
    pub(in super::super) struct NeonWords<const BY: u8>(pub(in super::super) uint32x4_t);

    // SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind a pointer.
    impl<const BY: u8> Words for NeonWords<BY> {
        type Floats = Neon;
        const ZERO: u8 = 0;
        #[inline(always)]
        unsafe fn splat(x: u32) -> Self {
            NeonWords(unsafe { vdupq_n_u32(x) })
        }
        #[inline(always)]
        unsafe fn load(from: *const u32) -> Self {
            NeonWords(unsafe { vld1q_u32(from) })
        }
        #[inline(always)]
        unsafe fn dot(self, activations: Self, weights: Self) -> Self {
            unsafe {
                if BY != NEON {
                    let mut sum = self.0;
                    // `vdotq_s32` is stable from Rust 1.98 on only.
                    std::arch::asm!(
                        ".arch_extension dotprod",
                        "sdot {sum:v}.4s, {activations:v}.16b, {weights:v}.16b",
                        sum = inout(vreg) sum,
                        activations = in(vreg) activations.0,
                        weights = in(vreg) weights.0,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                    return NeonWords(sum);
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
                NeonWords(vreinterpretq_u32_s32(sum))
            }
        }
        #[inline(always)]
        unsafe fn sums<const M: usize, const ROWS: bool>(p: &Int8Product) -> [[Self; 2]; M] {
            unsafe {
                if BY == I8MM {
                    smmla::sums::<BY, M, ROWS>(p)
                } else {
                    micro_int8::sums::<Self, M, ROWS>(p)
                }
            }
        }
        #[inline(always)]
        unsafe fn dot_pairs([s, t]: [Self; 2], a: Self, [b, c]: [Self; 2]) -> [Self; 2] {
            unsafe {
                let signed = |x: Self| vreinterpretq_s16_u32(x.0);
                // All first numbers, of which each has its own sum, and all second ones: parted once for all rows.
                let first = vuzp1q_s16(signed(b), signed(c));
                let second = vuzp2q_s16(signed(b), signed(c));
                let (mut s, mut t) = (vreinterpretq_s32_u32(s.0), vreinterpretq_s32_u32(t.0));
                s = vmlal_laneq_s16::<0>(s, vget_low_s16(first), signed(a));
                t = vmlal_high_laneq_s16::<0>(t, first, signed(a));
                s = vmlal_laneq_s16::<1>(s, vget_low_s16(second), signed(a));
                t = vmlal_high_laneq_s16::<1>(t, second, signed(a));
                [s, t].map(|sum| NeonWords(vreinterpretq_u32_s32(sum)))
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
}
#[cfg(target_arch = "aarch64")]
pub(super) use arm::{DOTPROD, I8MM, NEON, NeonWords};
