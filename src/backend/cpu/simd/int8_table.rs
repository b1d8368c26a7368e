//! The int8 and int16 loops, compiled for each instruction set.

use super::elementwise;
use super::int8_lanes::{Int8Lanes, Int8Product};
use super::micro_int8;
use super::micro_int16::{self, Int16Product};
#[cfg(target_arch = "aarch64")]
use super::neon::NeonInt8;
#[cfg(target_arch = "aarch64")]
use super::neon_int8::{DOTPROD, I8MM, WIDENED};
use super::portable_int8::PortableInt8;
#[cfg(target_arch = "x86_64")]
use super::x86_int8::{AVX_VNNI, Avx2Int8, Avx512Int8, WIDENED};
use crate::backend::cpu::instructions::InstructionSet;

/// The int8 and [int16](super::int16) loops of one instruction set.
pub(super) struct Int8Table {
    /// The extension that multiplies bytes. `None`: they are widened to 16 bits.
    pub(super) extension: Option<&'static str>,
    /// See [`Int8Lanes::ZERO_POINT`].
    pub(super) zero_point: u8,
    pub(super) product_rows: unsafe fn(&Int8Product),
    pub(super) product_columns: unsafe fn(&Int8Product),
    pub(super) gate_columns: unsafe fn(&Int8Product),
    pub(super) gate_rows: unsafe fn(&Int8Product),
    pub(super) quantize_row: unsafe fn(&[f32], &mut [u8]) -> f32,
    pub(super) quantize_columns: unsafe fn(&[f32], &mut [u32], &mut [f32]),
    pub(super) int16_product_rows: unsafe fn(&Int16Product),
    pub(super) int16_quantize_row: unsafe fn(&[f32], &mut [u16], f32) -> f32,
    pub(super) int16_quantize_columns: unsafe fn(&[f32], &mut [u32], &mut [f32], f32),
    pub(super) int16_softmax: unsafe fn(&mut [f32], &mut [u16], f32) -> f32,
}

/// Calls the loop that is compiled for exactly `$p.m` rows, so that its sums stay in registers.
macro_rules! for_row_count {
    ($p:ident, $module:ident::$of:ident, [$($m:literal)*]) => {
        match $p.m {
            $($m => unsafe { $module::$of::<W, $m>($p) },)*
            _ => {}
        }
    };
}

/// Defines the table of an instruction set: the loops over the vector `$w`, with products by the
/// extension `$extension` if any, at most `$m` rows, and the target features `$features`.
macro_rules! table {
    (
        $name:ident, $w:ty, $extension:expr, $m:literal, [$($each:literal)*]
        $(, $features:literal)?
    ) => {
        static $name: Int8Table = {
            type W = $w;
            // SAFETY of all functions: the caller vouches for the instruction set and for the
            // memory.
            $(#[target_feature(enable = $features)])?
            unsafe fn product_rows(p: &Int8Product) {
                for_row_count!(p, micro_int8::product_rows, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn product_columns(p: &Int8Product) {
                for_row_count!(p, micro_int8::product_columns, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn gate_columns(p: &Int8Product) {
                for_row_count!(p, micro_int8::gate_columns, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn gate_rows(p: &Int8Product) {
                unsafe { micro_int8::gate_rows::<W, $m>(p) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn quantize_row(x: &[f32], bytes: &mut [u8]) -> f32 {
                unsafe { micro_int8::quantize_row::<W>(x, bytes) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn quantize_columns(x: &[f32], words: &mut [u32], scale: &mut [f32]) {
                elementwise::quantize_columns(x, words, scale, W::ZERO_POINT);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn int16_product_rows(p: &Int16Product) {
                for_row_count!(p, micro_int16::product_rows, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn int16_quantize_row(x: &[f32], shorts: &mut [u16], max: f32) -> f32 {
                elementwise::int16_quantize_row(x, shorts, max)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn int16_quantize_columns(
                x: &[f32],
                words: &mut [u32],
                scale: &mut [f32],
                max: f32,
            ) {
                elementwise::int16_quantize_columns(x, words, scale, max);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn int16_softmax(scores: &mut [f32], out: &mut [u16], max: f32) -> f32 {
                unsafe { micro_int16::softmax::<W>(scores, out, max) }
            }
            Int8Table {
                extension: $extension,
                zero_point: W::ZERO_POINT,
                product_rows,
                product_columns,
                gate_columns,
                gate_rows,
                quantize_row,
                quantize_columns,
                int16_product_rows,
                int16_quantize_row,
                int16_quantize_columns,
                int16_softmax,
            }
        };
    };
}

table!(PORTABLE, PortableInt8, None, 4, [1 2 3 4]);
#[cfg(target_arch = "x86_64")]
table!(
    AVX2,
    Avx2Int8<WIDENED>,
    None,
    6,
    [1 2 3 4 5 6],
    "avx2,fma"
);
#[cfg(target_arch = "x86_64")]
table!(
    AVX2_VNNI,
    Avx2Int8<AVX_VNNI>,
    Some("avx_vnni"),
    6,
    [1 2 3 4 5 6],
    "avx2,fma,avxvnni"
);
#[cfg(all(test, target_arch = "x86_64"))]
table!(
    AVX2_VL,
    Avx2Int8<{ super::x86_int8::AVX512_VL }>,
    Some("avx512_vnni of 256 bits"),
    6,
    [1 2 3 4 5 6],
    "avx2,fma,avx512f,avx512vl,avx512vnni"
);
#[cfg(target_arch = "x86_64")]
table!(
    AVX512,
    Avx512Int8<false>,
    None,
    14,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
table!(
    AVX512_VNNI,
    Avx512Int8<true>,
    Some("avx512_vnni"),
    14,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"
);
#[cfg(target_arch = "aarch64")]
table!(
    NEON,
    NeonInt8<WIDENED>,
    None,
    12,
    [1 2 3 4 5 6 7 8 9 10 11 12],
    "neon"
);
#[cfg(target_arch = "aarch64")]
table!(
    NEON_DOTPROD,
    NeonInt8<DOTPROD>,
    Some("dotprod"),
    12,
    [1 2 3 4 5 6 7 8 9 10 11 12],
    "neon,dotprod"
);
#[cfg(target_arch = "aarch64")]
table!(
    NEON_I8MM,
    NeonInt8<I8MM>,
    Some("i8mm"),
    12,
    [1 2 3 4 5 6 7 8 9 10 11 12],
    "neon,dotprod,i8mm"
);

/// Returns whether this machine has i8mm and dotprod, which `smmla` sums need for odd rows and
/// words. No CPU is known that has only one of them.
#[cfg(target_arch = "aarch64")]
fn has_i8mm() -> bool {
    std::arch::is_aarch64_feature_detected!("i8mm")
        && std::arch::is_aarch64_feature_detected!("dotprod")
}

/// Returns the table of an instruction set that this machine has, with the best int8 extension that
/// it has.
pub(super) fn table(instructions: InstructionSet) -> &'static Int8Table {
    match instructions {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 if is_x86_feature_detected!("avx512vnni") => &AVX512_VNNI,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => &AVX512,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 if is_x86_feature_detected!("avxvnni") => &AVX2_VNNI,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => &AVX2,
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon if has_i8mm() => &NEON_I8MM,
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon if std::arch::is_aarch64_feature_detected!("dotprod") => &NEON_DOTPROD,
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon => &NEON,
        _ => &PORTABLE,
    }
}

/// Returns all tables of an instruction set, and whether this machine can run each. For tests.
#[cfg(test)]
pub(super) fn tables(instructions: InstructionSet) -> Vec<(&'static Int8Table, bool)> {
    let here = instructions.available();
    match instructions {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => vec![
            (&AVX512, here),
            (&AVX512_VNNI, here && is_x86_feature_detected!("avx512vnni")),
        ],
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => {
            let vl = is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512vnni");
            vec![
                (&AVX2, here),
                (&AVX2_VNNI, here && is_x86_feature_detected!("avxvnni")),
                (&AVX2_VL, here && vl),
            ]
        }
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon => vec![
            (&NEON, here),
            (
                &NEON_DOTPROD,
                here && std::arch::is_aarch64_feature_detected!("dotprod"),
            ),
            (&NEON_I8MM, here && has_i8mm()),
        ],
        _ => vec![(&PORTABLE, here)],
    }
}

impl Int8Table {
    /// Returns the name of the extension that multiplies bytes. For tests.
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.extension.unwrap_or("in 16 bits")
    }
}
