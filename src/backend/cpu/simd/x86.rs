//! AVX-512 and AVX2 with FMA.

use std::arch::x86_64::*;

use super::lanes::{Lanes, MulLanes, PackedWord};

/// Sixteen `f32`. Needs AVX-512 F.
#[derive(Clone, Copy)]
pub(super) struct Avx512(pub(super) __m512);

// SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind
// a pointer.
impl Lanes for Avx512 {
    const N: usize = 16;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(x) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, add: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, add.0) })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(unsafe {
            _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)
        })
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        Self(unsafe { _mm512_scalef_ps(self.0, n.0) })
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        unsafe {
            // 14 bits, doubled by one Newton step.
            let guess = _mm512_rcp14_ps(self.0);
            let error = _mm512_fnmadd_ps(self.0, guess, _mm512_set1_ps(1.0));
            Self(_mm512_fmadd_ps(guess, error, guess))
        }
    }
}

/// Sixteen pairs of bf16, the first value in the lower half of the word. Needs AVX-512 F and BF16.
#[derive(Clone, Copy)]
pub(super) struct Avx512Bf16(__m512bh);

// SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind
// a pointer; any bits are two bf16.
impl MulLanes for Avx512Bf16 {
    type Acc = Avx512;
    #[inline(always)]
    unsafe fn broadcast(word: PackedWord) -> Self {
        unsafe {
            Self(std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(
                word.to_bits() as i32,
            )))
        }
    }
    #[inline(always)]
    unsafe fn load_words(from: *const PackedWord) -> Self {
        unsafe {
            Self(std::mem::transmute::<__m512i, __m512bh>(
                _mm512_loadu_si512(from.cast()),
            ))
        }
    }
    #[inline(always)]
    unsafe fn mul_add(self, other: Self, acc: Avx512) -> Avx512 {
        Avx512(unsafe { _mm512_dpbf16_ps(acc.0, self.0, other.0) })
    }
}

/// Eight `f32`. Needs AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(pub(super) __m256);

// SAFETY of all blocks below: the caller vouches for the instruction set, and for the memory behind
// a pointer.
impl Lanes for Avx2 {
    const N: usize = 8;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(x) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm256_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(unsafe { _mm256_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(unsafe { _mm256_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, add: Self) -> Self {
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, add.0) })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(unsafe {
            _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)
        })
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        unsafe {
            let exponent = _mm256_slli_epi32::<23>(_mm256_cvtps_epi32(n.0));
            let bits = _mm256_add_epi32(_mm256_castps_si256(self.0), exponent);
            Self(_mm256_castsi256_ps(bits))
        }
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        Self(unsafe { _mm256_div_ps(_mm256_set1_ps(1.0), self.0) })
    }
}
