//! The loops of whole numbers compiled for each instruction set; those of int8 behind functions that check what they are given.

use super::elementwise;
use super::micro_int8::{self, Int8Product};
use super::micro_pairs::{self, PairProduct};
use super::table::Simd;
use super::tile::Tile;
use super::words::{self, Words};
use crate::backend::cpu::InstructionSet;

/// The loops of int8, and of [pairs](super::pairs) of 16 bits, of one instruction set.
pub(super) struct Int8Table {
    /// The extension that multiplies bytes.
    extension: Option<&'static str>,
    /// See [`Words::ZERO`].
    pub(super) zero: u8,
    product_rows: unsafe fn(&Int8Product),
    product_columns: unsafe fn(&Int8Product),
    gate_columns: unsafe fn(&Int8Product),
    gate_rows: unsafe fn(&Int8Product),
    quantize_row: unsafe fn(&[f32], &mut [u8]) -> f32,
    quantize_columns: unsafe fn(&[f32], &mut [u32], &mut [f32]),
    pub(super) pair_product_rows: unsafe fn(&PairProduct),
    pub(super) pair_row: unsafe fn(&[f32], &mut [u16], f32) -> f32,
    pub(super) pair_columns: unsafe fn(&[f32], &mut [u32], &mut [f32], f32),
    pub(super) pair_softmax: unsafe fn(&mut [f32], &mut [u16], f32) -> f32,
}

/// Runs the loop for exactly `$p.m` rows, so that its sums stay in registers.
macro_rules! by_rows {
    ($p:ident, $module:ident::$of:ident, [$($m:literal)*]) => {
        match $p.m {
            $($m => unsafe { $module::$of::<W, $m>($p) },)*
            _ => {}
        }
    };
}

/// The table of an instruction set: the loops over the words `$w`, whose products are those of an extension or not, at most `$m` rows,
/// with the target's features.
macro_rules! table {
    ($name:ident, $w:ty, $extension:expr, $m:literal, [$($each:literal)*] $(, $features:literal)?) => {
        static $name: Int8Table = {
            type W = $w;
            // SAFETY of all functions: whoever calls them vouches for the instruction set and for the memory.
            $(#[target_feature(enable = $features)])?
            unsafe fn product_rows(p: &Int8Product) {
                by_rows!(p, micro_int8::product_rows, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn product_columns(p: &Int8Product) {
                by_rows!(p, micro_int8::product_columns, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn gate_columns(p: &Int8Product) {
                by_rows!(p, micro_int8::gate_columns, [$($each)*]);
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
                elementwise::quantize_columns(x, words, scale, W::ZERO);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn pair_product_rows(p: &PairProduct) {
                by_rows!(p, micro_pairs::product_rows, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn pair_row(x: &[f32], shorts: &mut [u16], most: f32) -> f32 {
                elementwise::pair_row(x, shorts, most)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn pair_columns(x: &[f32], words: &mut [u32], scale: &mut [f32], most: f32) {
                elementwise::pair_columns(x, words, scale, most);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn pair_softmax(scores: &mut [f32], out: &mut [u16], most: f32) -> f32 {
                unsafe { micro_pairs::softmax::<W>(scores, out, most) }
            }
            Int8Table {
                extension: $extension,
                zero: W::ZERO,
                product_rows,
                product_columns,
                gate_columns,
                gate_rows,
                quantize_row,
                quantize_columns,
                pair_product_rows,
                pair_row,
                pair_columns,
                pair_softmax,
            }
        };
    };
}

table!(PORTABLE, words::PortableWords, None, 4, [1 2 3 4]);
#[cfg(target_arch = "x86_64")]
table!(
    AVX2,
    words::Avx2Words<{ words::IN_16_BITS }>,
    None,
    6,
    [1 2 3 4 5 6],
    "avx2,fma"
);
#[cfg(target_arch = "x86_64")]
table!(
    AVX2_VNNI,
    words::Avx2Words<{ words::AVX_VNNI }>,
    Some("avx_vnni"),
    6,
    [1 2 3 4 5 6],
    "avx2,fma,avxvnni"
);
#[cfg(all(test, target_arch = "x86_64"))]
table!(
    AVX2_VL,
    words::Avx2Words<{ words::AVX512_VL }>,
    Some("avx512_vnni of 256 bits"),
    6,
    [1 2 3 4 5 6],
    "avx2,fma,avx512f,avx512vl,avx512vnni"
);
#[cfg(target_arch = "x86_64")]
table!(
    AVX512,
    words::Avx512Words<false>,
    None,
    14,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
table!(
    AVX512_VNNI,
    words::Avx512Words<true>,
    Some("avx512_vnni"),
    14,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"
);
#[cfg(target_arch = "aarch64")]
table!(
    NEON,
    words::NeonWords<{ words::NEON }>,
    None,
    12,
    [1 2 3 4 5 6 7 8 9 10 11 12],
    "neon"
);
#[cfg(target_arch = "aarch64")]
table!(
    NEON_DOTPROD,
    words::NeonWords<{ words::DOTPROD }>,
    Some("dotprod"),
    12,
    [1 2 3 4 5 6 7 8 9 10 11 12],
    "neon,dotprod"
);
#[cfg(target_arch = "aarch64")]
table!(
    NEON_I8MM,
    words::NeonWords<{ words::I8MM }>,
    Some("i8mm"),
    12,
    [1 2 3 4 5 6 7 8 9 10 11 12],
    "neon,dotprod,i8mm"
);

/// Whether this machine has i8mm, and dotprod, which its products end with. No processor is known that has only one of them.
#[cfg(target_arch = "aarch64")]
fn has_i8mm() -> bool {
    std::arch::is_aarch64_feature_detected!("i8mm") && std::arch::is_aarch64_feature_detected!("dotprod")
}

/// The table for an instruction set that this machine has; of those with and without instructions for int8 the one that it has.
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

/// All tables over tiles of these instructions, and whether this machine has each, for tests.
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
    /// What it multiplies bytes with, for tests.
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.extension.unwrap_or("in 16 bits")
    }
}

/// A panel or a strip of weights in int8: words `[k / 4, width]`, and for each row what its sums start with and what a byte is worth.
#[derive(Clone, Copy)]
pub(in super::super) struct Int8Group<'a> {
    pub(in super::super) words: &'a [u32],
    pub(in super::super) bias: &'a [u32],
    pub(in super::super) scale: &'a [f32],
}

impl Simd {
    /// The extension that multiplies bytes, if there is one.
    pub(in super::super) fn int8_extension(self) -> Option<&'static str> {
        self.int8.extension
    }

    /// The byte of a quantised value that is zero: all are that much too large.
    pub(in super::super) fn int8_zero(self) -> u8 {
        self.int8.zero
    }

    /// Elements from one quantised row of k elements to the next: the words, at the end what a byte is worth.
    pub(in super::super) fn int8_stride(k: usize) -> usize {
        (k.div_ceil(4) + 1).next_multiple_of(16)
    }

    /// Quantises a row of k elements into `out`, [`Simd::int8_stride`] long.
    pub(in super::super) fn quantize_row(self, x: &[f32], out: &mut [f32]) {
        assert!(
            out.len() == Simd::int8_stride(x.len()),
            "no room for a quantised row"
        );
        let (words, rest) = out.split_at_mut(x.len().div_ceil(4));
        // SAFETY: any bits are four bytes, and any bytes an `f32`.
        let (_, bytes, _) = unsafe { words.align_to_mut::<u8>() };
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        let scale = unsafe { (self.int8.quantize_row)(x, bytes) };
        if let Some(last) = rest.last_mut() {
            *last = scale;
        }
    }

    /// Quantises the columns of x `[rows, columns of a tile]` into words `[rows / 4, columns]` and what a byte of each is worth.
    pub(in super::super) fn quantize_columns(self, x: &[f32], words: &mut [u32], scale: &mut [f32]) {
        assert!(scale.len() == self.cols(), "a scale for each column");
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.int8.quantize_columns)(x, words, scale) }
    }

    /// What a product of rows is: a starts with the first of the quantised rows of k elements.
    fn int8_rows(self, a: &[f32], k: usize, panel: Int8Group<'_>, out: &mut Tile<'_>) -> Int8Product {
        let (stride, words, width) = (Simd::int8_stride(k), k.div_ceil(4), self.cols());
        assert!(
            out.rows() * stride <= a.len()
                && words * width <= panel.words.len()
                && width <= panel.bias.len()
                && width <= panel.scale.len()
                && out.rows() <= self.rows()
                && out.cols() <= width,
            "a product reaches beyond its memory"
        );
        Int8Product {
            m: out.rows(),
            n: out.cols(),
            k: words,
            a: a.as_ptr().cast(),
            a_stride: stride,
            b: panel.words.as_ptr(),
            bias: panel.bias.as_ptr(),
            row_scale: a.as_ptr().wrapping_add(stride - 1),
            row_scale_stride: stride,
            col_scale: panel.scale.as_ptr(),
            c: out.as_mut_ptr(),
            c_stride: out.stride(),
        }
    }

    /// What a product of columns is: b are words `[k / 4, columns of a tile]`, with what a byte of each column is worth.
    fn int8_columns(
        self,
        strip: Int8Group<'_>,
        k: usize,
        (b, col_scale): (&[u32], &[f32]),
        out: &mut Tile<'_>,
    ) -> Int8Product {
        let (words, height) = (k.div_ceil(4), self.rows());
        assert!(
            words * height <= strip.words.len()
                && height <= strip.bias.len()
                && height <= strip.scale.len()
                && words * self.cols() <= b.len()
                && self.cols() <= col_scale.len()
                && out.rows() <= height
                && out.cols() <= self.cols(),
            "a product reaches beyond its memory"
        );
        Int8Product {
            m: out.rows(),
            n: out.cols(),
            k: words,
            a: strip.words.as_ptr(),
            a_stride: height,
            b: b.as_ptr(),
            bias: strip.bias.as_ptr(),
            row_scale: strip.scale.as_ptr(),
            row_scale_stride: 1,
            col_scale: col_scale.as_ptr(),
            c: out.as_mut_ptr(),
            c_stride: out.stride(),
        }
    }

    /// [`Simd::product_rows`] of quantised rows with a panel in int8.
    pub(in super::super) fn int8_product_rows(
        self,
        a: &[f32],
        k: usize,
        panel: Int8Group<'_>,
        mut out: Tile<'_>,
    ) {
        let p = self.int8_rows(a, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `int8_rows` the memory.
        unsafe { (self.int8.product_rows)(&p) }
    }

    /// [`Simd::gate_columns`] of quantised rows with a panel in int8.
    pub(in super::super) fn int8_gate_columns(
        self,
        a: &[f32],
        k: usize,
        panel: Int8Group<'_>,
        mut out: Tile<'_>,
    ) {
        assert!(out.cols() <= self.cols() / 2, "a tile is too wide");
        let p = self.int8_rows(a, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `int8_rows` the memory.
        unsafe { (self.int8.gate_columns)(&p) }
    }

    /// [`Simd::product_columns`] of a strip in int8 with quantised columns.
    pub(in super::super) fn int8_product_columns(
        self,
        strip: Int8Group<'_>,
        k: usize,
        columns: (&[u32], &[f32]),
        mut out: Tile<'_>,
    ) {
        let p = self.int8_columns(strip, k, columns, &mut out);
        // SAFETY: `of` checked the instruction set, `int8_columns` the memory.
        unsafe { (self.int8.product_columns)(&p) }
    }

    /// [`Simd::gate_rows`] of a strip in int8 with quantised columns.
    pub(in super::super) fn int8_gate_rows(
        self,
        strip: Int8Group<'_>,
        k: usize,
        columns: (&[u32], &[f32]),
        mut out: Tile<'_>,
    ) {
        assert!(out.rows() <= self.rows() / 2, "a tile is too high");
        let p = self.int8_columns(strip, k, columns, &mut out);
        // SAFETY: `of` checked the instruction set, `int8_columns` the memory; all rows of the strip are there.
        unsafe { (self.int8.gate_rows)(&p) }
    }
}
