//! Int8 products as safe functions, which check their arguments.

use super::int8_lanes::Int8Product;
use super::lanes::PackedWord;
use super::table::Simd;
use super::tile::Tile;

/// A panel of int8 weights: `width` rows of a matrix, as wide or as high as a tile.
#[derive(Clone, Copy)]
pub(in super::super) struct Int8Panel<'a> {
    /// Words of four int8 along k, `[k / 4, width]`.
    pub(in super::super) words: &'a [u32],
    /// The initial sum of each row, `[width]`: minus the zero point times the sum of the row.
    pub(in super::super) bias: &'a [u32],
    /// The scale of each row, `[width]`.
    pub(in super::super) scale: &'a [f32],
}

impl Simd {
    /// Returns the extension that multiplies bytes, if there is one.
    pub(in super::super) fn int8_extension(self) -> Option<&'static str> {
        self.int8.extension
    }

    /// Returns the zero point of quantised activations.
    pub(in super::super) fn int8_zero_point(self) -> u8 {
        self.int8.zero_point
    }

    /// Returns the words from one quantised row of k elements to the next. The last word is the
    /// scale, as `f32`.
    pub(in super::super) fn int8_stride(k: usize) -> usize {
        (k.div_ceil(4) + 1).next_multiple_of(16)
    }

    /// Quantises a row of k elements into `out`, which is [`Simd::int8_stride`] long.
    pub(in super::super) fn quantize_row(self, x: &[f32], out: &mut [PackedWord]) {
        assert!(
            out.len() == Self::int8_stride(x.len()),
            "the output row has the wrong length"
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

    /// Quantises the columns of x `[rows, columns of a tile]` into words `[rows / 4, columns]` and
    /// the scale of each column.
    pub(in super::super) fn quantize_columns(
        self,
        x: &[f32],
        words: &mut [u32],
        scale: &mut [f32],
    ) {
        assert!(scale.len() == self.cols(), "a scale for each column");
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.int8.quantize_columns)(x, words, scale) }
    }

    /// Describes a product by rows. a starts with the first of the quantised rows of k elements.
    fn int8_rows(
        self,
        a: &[PackedWord],
        k: usize,
        panel: Int8Panel<'_>,
        out: &mut Tile<'_>,
    ) -> Int8Product {
        let (stride, words, width) = (Self::int8_stride(k), k.div_ceil(4), self.cols());
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

    /// Describes a product by columns. b is words `[k / 4, columns of a tile]` and a scale for each
    /// column.
    fn int8_columns(
        self,
        left: Int8Panel<'_>,
        k: usize,
        (b, col_scale): (&[u32], &[f32]),
        out: &mut Tile<'_>,
    ) -> Int8Product {
        let (words, height) = (k.div_ceil(4), self.rows());
        assert!(
            words * height <= left.words.len()
                && height <= left.bias.len()
                && height <= left.scale.len()
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
            a: left.words.as_ptr(),
            a_stride: height,
            b: b.as_ptr(),
            bias: left.bias.as_ptr(),
            row_scale: left.scale.as_ptr(),
            row_scale_stride: 1,
            col_scale: col_scale.as_ptr(),
            c: out.as_mut_ptr(),
            c_stride: out.stride(),
        }
    }

    /// Computes [`Simd::product_rows`] of quantised rows with an int8 panel.
    pub(in super::super) fn int8_product_rows(
        self,
        a: &[PackedWord],
        k: usize,
        panel: Int8Panel<'_>,
        mut out: Tile<'_>,
    ) {
        let p = self.int8_rows(a, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `int8_rows` the memory.
        unsafe { (self.int8.product_rows)(&p) }
    }

    /// Computes [`Simd::gate_columns`] of quantised rows with an int8 panel.
    pub(in super::super) fn int8_gate_columns(
        self,
        a: &[PackedWord],
        k: usize,
        panel: Int8Panel<'_>,
        mut out: Tile<'_>,
    ) {
        assert!(out.cols() <= self.cols() / 2, "a tile is too wide");
        let p = self.int8_rows(a, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `int8_rows` the memory.
        unsafe { (self.int8.gate_columns)(&p) }
    }

    /// Computes [`Simd::product_columns`] of an int8 panel on the left with quantised columns.
    pub(in super::super) fn int8_product_columns(
        self,
        left: Int8Panel<'_>,
        k: usize,
        columns: (&[u32], &[f32]),
        mut out: Tile<'_>,
    ) {
        let p = self.int8_columns(left, k, columns, &mut out);
        // SAFETY: `of` checked the instruction set, `int8_columns` the memory.
        unsafe { (self.int8.product_columns)(&p) }
    }

    /// Computes [`Simd::gate_rows`] of an int8 panel on the left with quantised columns.
    pub(in super::super) fn int8_gate_rows(
        self,
        left: Int8Panel<'_>,
        k: usize,
        columns: (&[u32], &[f32]),
        mut out: Tile<'_>,
    ) {
        assert!(out.rows() <= self.rows() / 2, "a tile is too high");
        let p = self.int8_columns(left, k, columns, &mut out);
        // SAFETY: `of` checked the instruction set, `int8_columns` the memory; all rows of the
        // panel are there.
        unsafe { (self.int8.gate_rows)(&p) }
    }
}
