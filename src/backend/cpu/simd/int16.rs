//! Int16 products as safe functions, which check their arguments. Attention uses them in models
//! with int8 or bf16 weights.

use super::lanes::PackedWord;
use super::micro_int16::Int16Product;
use super::table::Simd;
use super::tile::Tile;

/// The largest quantised value: 12 bits and a sign.
const MAX_VALUE: f32 = 4095.0;

/// Returns the largest quantised value of both operands for which sums of k products fit 32 bits.
fn max_value(k: usize) -> f32 {
    (i32::MAX as f32 / k.max(1) as f32)
        .sqrt()
        .floor()
        .min(MAX_VALUE)
}

/// A panel of int16: words of two values along k, `[k / 2, width]`, and a scale for each column.
#[derive(Clone, Copy)]
pub(in super::super) struct Int16Panel<'a> {
    words: &'a [u32],
    scale: &'a [f32],
}

impl Simd {
    /// Returns the words from one row of k values to the next. The last word is the scale, as
    /// `f32`.
    pub(in super::super) fn int16_stride(k: usize) -> usize {
        (k.div_ceil(2) + 1).next_multiple_of(16)
    }

    /// Quantises a row of k elements into `out`, which is [`Simd::int16_stride`] long.
    pub(in super::super) fn int16_quantize_row(self, x: &[f32], out: &mut [PackedWord]) {
        assert!(
            out.len() == Self::int16_stride(x.len()),
            "the output row has the wrong length"
        );
        let (words, rest) = out.split_at_mut(x.len().div_ceil(2));
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        let scale =
            unsafe { (self.int8.int16_quantize_row)(x, shorts_of(words), max_value(x.len())) };
        if let Some(last) = rest.last_mut() {
            *last = scale;
        }
    }

    /// Returns the words of a panel of depth k, including the scale of each column.
    pub(in super::super) fn int16_panel_len(self, k: usize) -> usize {
        (k.div_ceil(2) + 1) * self.cols()
    }

    /// Returns the panel of depth k in `memory`, which is [`Simd::int16_panel_len`] long.
    pub(in super::super) fn int16_panel(self, k: usize, memory: &[PackedWord]) -> Int16Panel<'_> {
        let (words, scale) = memory.split_at(k.div_ceil(2) * self.cols());
        Int16Panel {
            words: words_of(words),
            scale,
        }
    }

    /// Copies a quantised row of k elements into a column of the panel in `memory`.
    pub(in super::super) fn int16_pack_row(
        self,
        row: &[PackedWord],
        k: usize,
        column: usize,
        memory: &mut [PackedWord],
    ) {
        let rows = memory.chunks_exact_mut(self.cols());
        let scale = row.last();
        for (to, word) in rows.zip(row[..k.div_ceil(2)].iter().chain(scale)) {
            to[column] = *word;
        }
    }

    /// Quantises x `[k, columns of a tile]` into the panel in `memory`, for products with rows of
    /// [`Simd::int16_softmax`].
    pub(in super::super) fn int16_pack_columns(
        self,
        x: &[f32],
        k: usize,
        memory: &mut [PackedWord],
    ) {
        let (words, scale) = memory.split_at_mut(k.div_ceil(2) * self.cols());
        assert!(scale.len() == self.cols(), "a scale for each column");
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.int8.int16_quantize_columns)(x, words_of_mut(words), scale, MAX_VALUE) }
    }

    /// Writes the softmax of a row of k scores, in powers of two, as a quantised row. `scores` is
    /// padded to whole tiles, and overwritten.
    pub(in super::super) fn int16_softmax(
        self,
        scores: &mut [f32],
        k: usize,
        out: &mut [PackedWord],
    ) {
        assert!(
            scores.len() == k.next_multiple_of(self.cols()) && out.len() == Self::int16_stride(k),
            "scores or output row have the wrong length"
        );
        scores[k..].fill(f32::MIN);
        let max_sum = i32::MAX as f32 / MAX_VALUE;
        // SAFETY: `of` checked the instruction set; the scores are whole vectors.
        let scale = unsafe { (self.int8.int16_softmax)(scores, shorts_of(out), max_sum) };
        if let Some(last) = out.last_mut() {
            *last = scale;
        }
    }

    /// Computes [`Simd::product_rows`] of quantised rows with an int16 panel.
    pub(in super::super) fn int16_product_rows(
        self,
        a: &[PackedWord],
        k: usize,
        panel: Int16Panel<'_>,
        mut out: Tile<'_>,
    ) {
        let (stride, words, width) = (Self::int16_stride(k), k.div_ceil(2), self.cols());
        assert!(
            out.rows() * stride <= a.len()
                && words * width <= panel.words.len()
                && width <= panel.scale.len()
                && out.rows() <= self.rows()
                && out.cols() <= width,
            "a product reaches beyond its memory"
        );
        let p = Int16Product {
            m: out.rows(),
            n: out.cols(),
            k: words,
            a: a.as_ptr().cast(),
            a_stride: stride,
            b: panel.words.as_ptr(),
            row_scale: a.as_ptr().wrapping_add(stride - 1),
            col_scale: panel.scale.as_ptr(),
            c: out.as_mut_ptr(),
            c_stride: out.stride(),
        };
        // SAFETY: `of` checked the instruction set; the memory was just checked.
        unsafe { (self.int8.int16_product_rows)(&p) }
    }
}

fn shorts_of(words: &mut [PackedWord]) -> &mut [u16] {
    // SAFETY: any bits are two `u16`, and any two `u16` are an `f32`.
    unsafe { words.align_to_mut::<u16>().1 }
}

fn words_of(words: &[PackedWord]) -> &[u32] {
    // SAFETY: any bits are a `u32`, of the same size and alignment.
    unsafe { words.align_to::<u32>().1 }
}

fn words_of_mut(words: &mut [PackedWord]) -> &mut [u32] {
    // SAFETY: as in `words_of`, and any `u32` is an `f32`.
    unsafe { words.align_to_mut::<u32>().1 }
}
