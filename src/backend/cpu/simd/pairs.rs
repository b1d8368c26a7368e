//! [`micro_pairs`](super::micro_pairs) behind functions that check what they are given.

use super::micro_pairs::PairProduct;
use super::table::Simd;
use super::tile::Tile;

/// The largest number that rows and columns are rounded to.
const LARGEST: f32 = 4095.0;

/// The largest number of both sides of a product of k elements whose sums fit 32 bits.
fn largest(k: usize) -> f32 {
    (i32::MAX as f32 / k.max(1) as f32).sqrt().floor().min(LARGEST)
}

/// A panel of pairs: words `[k / 2, width]`, and for each column what a number is worth.
#[derive(Clone, Copy)]
pub(in super::super) struct PairGroup<'a> {
    words: &'a [u32],
    scale: &'a [f32],
}

impl Simd {
    /// Elements from one row of k numbers to the next: the words, at the end what a number is worth.
    pub(in super::super) fn pair_stride(k: usize) -> usize {
        (k.div_ceil(2) + 1).next_multiple_of(16)
    }

    /// Rounds a row of k elements into `out`, [`Simd::pair_stride`] long.
    pub(in super::super) fn pair_row(self, x: &[f32], out: &mut [f32]) {
        assert!(out.len() == Simd::pair_stride(x.len()), "no room for a row");
        let (words, rest) = out.split_at_mut(x.len().div_ceil(2));
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        let scale = unsafe { (self.int8.pair_row)(x, shorts_of(words), largest(x.len())) };
        if let Some(last) = rest.last_mut() {
            *last = scale;
        }
    }

    /// Elements of a panel of k elements: its words, and for each column its scale.
    pub(in super::super) fn pair_group_len(self, k: usize) -> usize {
        (k.div_ceil(2) + 1) * self.cols()
    }

    /// The panel of k elements in `memory`, [`Simd::pair_group_len`] long.
    pub(in super::super) fn pair_group(self, k: usize, memory: &[f32]) -> PairGroup<'_> {
        let (words, scale) = memory.split_at(k.div_ceil(2) * self.cols());
        PairGroup {
            words: words_of(words),
            scale,
        }
    }

    /// Makes a rounded row of k elements a column of the panel in `memory`.
    pub(in super::super) fn pair_pack_row(self, row: &[f32], k: usize, column: usize, memory: &mut [f32]) {
        let rows = memory.chunks_exact_mut(self.cols());
        let scale = row.last();
        for (to, word) in rows.zip(row[..k.div_ceil(2)].iter().chain(scale)) {
            to[column] = *word;
        }
    }

    /// Rounds x `[k, columns of a tile]` to the panel in `memory`, for rows of [`Simd::pair_softmax`].
    pub(in super::super) fn pair_pack_columns(self, x: &[f32], k: usize, memory: &mut [f32]) {
        let (words, scale) = memory.split_at_mut(k.div_ceil(2) * self.cols());
        assert!(scale.len() == self.cols(), "a scale for each column");
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.int8.pair_columns)(x, words_of_mut(words), scale, LARGEST) }
    }

    /// The softmax of a row of k scores, in powers of two, as a row of whole numbers. The scores are room for whole tiles, and overwritten.
    pub(in super::super) fn pair_softmax(self, scores: &mut [f32], k: usize, out: &mut [f32]) {
        assert!(
            scores.len() == k.next_multiple_of(self.cols()) && out.len() == Simd::pair_stride(k),
            "no room for a softmax"
        );
        scores[k..].fill(f32::MIN);
        let most = i32::MAX as f32 / LARGEST;
        // SAFETY: `of` checked the instruction set; the scores are whole vectors.
        let scale = unsafe { (self.int8.pair_softmax)(scores, shorts_of(out), most) };
        if let Some(last) = out.last_mut() {
            *last = scale;
        }
    }

    /// [`Simd::product_rows`] of rounded rows with a panel.
    pub(in super::super) fn pair_product_rows(
        self,
        a: &[f32],
        k: usize,
        panel: PairGroup<'_>,
        mut out: Tile<'_>,
    ) {
        let (stride, words, width) = (Simd::pair_stride(k), k.div_ceil(2), self.cols());
        assert!(
            out.rows() * stride <= a.len()
                && words * width <= panel.words.len()
                && width <= panel.scale.len()
                && out.rows() <= self.rows()
                && out.cols() <= width,
            "a product reaches beyond its memory"
        );
        let p = PairProduct {
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
        unsafe { (self.int8.pair_product_rows)(&p) }
    }
}

fn shorts_of(floats: &mut [f32]) -> &mut [u16] {
    // SAFETY: any bits are two numbers, and any two an `f32`.
    unsafe { floats.align_to_mut::<u16>().1 }
}

fn words_of(floats: &[f32]) -> &[u32] {
    // SAFETY: any bits are a word, of the same size and alignment.
    unsafe { floats.align_to::<u32>().1 }
}

fn words_of_mut(floats: &mut [f32]) -> &mut [u32] {
    // SAFETY: as in `words_of`, and any word is an `f32`.
    unsafe { floats.align_to_mut::<u32>().1 }
}
