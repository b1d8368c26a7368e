//! The loops compiled for each instruction set, behind functions that check what they are given.

use super::int8::{self, Int8Table};
use super::lanes::Lanes;
use super::micro::{self, Product};
use super::tile::{Sum, Tile};
use super::{elementwise, portable};
use crate::backend::cpu::InstructionSet;

/// The loops of one instruction set.
struct Table {
    /// Rows of a tile.
    rows: usize,
    /// Columns of a tile: two vectors.
    cols: usize,
    product_rows: unsafe fn(&Product),
    product_columns: unsafe fn(&Product),
    gate_columns: unsafe fn(&Product),
    gate_rows: unsafe fn(&Product),
    softmax: unsafe fn(usize, *mut f32, *mut f32),
    scale_rows: unsafe fn(usize, *mut f32, *const f32),
    add_norm: unsafe fn(&mut [f32], &Sum<'_>, usize, f32),
    add_norm_columns: unsafe fn(&mut Tile<'_>, &[f32], &mut [f32], f32),
    write_sum: unsafe fn(&Sum<'_>, usize, usize, &mut Tile<'_>),
    turn: unsafe fn(&mut [f32], &[f32], &[f32]),
    bf16_row: unsafe fn(&[f32], &mut [f32]),
    bf16_columns: unsafe fn(&[f32], usize, &mut [f32]),
}

/// Runs the loop for exactly `$p.m` rows, so that its sums stay in registers.
macro_rules! by_rows {
    ($p:ident, $of:ident, [$($m:literal)*]) => {
        match $p.m {
            $($m => unsafe { micro::$of::<F, $m>($p) },)*
            _ => {}
        }
    };
}

/// The table of an instruction set: the loops over the vector `$v`, the products over factors `$f`, at most `$m` rows, with the target's features.
macro_rules! table {
    ($name:ident, $v:ty, $f:ty, $m:literal, [$($each:literal)*] $(, $features:literal)?) => {
        static $name: Table = {
            type V = $v;
            type F = $f;
            // SAFETY of all functions: whoever calls them vouches for the instruction set and for the memory.
            $(#[target_feature(enable = $features)])?
            unsafe fn product_rows(p: &Product) {
                by_rows!(p, product_rows, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn product_columns(p: &Product) {
                by_rows!(p, product_columns, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn gate_columns(p: &Product) {
                by_rows!(p, gate_columns, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn gate_rows(p: &Product) {
                unsafe { micro::gate_rows::<F, $m>(p) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn softmax(keys: usize, scores: *mut f32, state: *mut f32) {
                unsafe { micro::softmax::<V>(keys, scores, state) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn scale_rows(rows: usize, x: *mut f32, factor: *const f32) {
                unsafe { micro::scale_rows::<V>(rows, x, factor) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn add_norm(x: &mut [f32], sum: &Sum<'_>, start: usize, eps: f32) {
                elementwise::add_norm(x, sum, start, eps);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn add_norm_columns(x: &mut Tile<'_>, residual: &[f32], scale: &mut [f32], eps: f32) {
                elementwise::add_norm_columns(x, residual, scale, eps);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn write_sum(sum: &Sum<'_>, start: usize, stride: usize, out: &mut Tile<'_>) {
                elementwise::write_sum(sum, start, stride, out);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn turn(head: &mut [f32], cos: &[f32], sin: &[f32]) {
                elementwise::turn(head, cos, sin);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn bf16_row(x: &[f32], words: &mut [f32]) {
                elementwise::bf16_row(x, words);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn bf16_columns(x: &[f32], width: usize, words: &mut [f32]) {
                elementwise::bf16_columns(x, width, words);
            }
            Table {
                rows: $m,
                cols: 2 * <V as Lanes>::N,
                product_rows,
                product_columns,
                gate_columns,
                gate_rows,
                softmax,
                scale_rows,
                add_norm,
                add_norm_columns,
                write_sum,
                turn,
                bf16_row,
                bf16_columns,
            }
        };
    };
}

table!(PORTABLE, portable::Portable, portable::Portable, 4, [1 2 3 4]);
#[cfg(target_arch = "x86_64")]
table!(AVX2, super::x86::Avx2, super::x86::Avx2, 6, [1 2 3 4 5 6], "avx2,fma");
#[cfg(target_arch = "x86_64")]
table!(
    AVX512,
    super::x86::Avx512,
    super::x86::Avx512,
    14,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
table!(
    AVX512_BF16,
    super::x86::Avx512,
    super::x86::Avx512Bf16,
    14,
    [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"
);
#[cfg(target_arch = "aarch64")]
table!(NEON, super::neon::Neon, super::neon::Neon, 12, [1 2 3 4 5 6 7 8 9 10 11 12], "neon");

/// The loops of an instruction set that this machine has.
#[derive(Clone, Copy)]
pub(in super::super) struct Simd {
    table: &'static Table,
    pub(super) int8: &'static Int8Table,
    instructions: InstructionSet,
}

impl Simd {
    /// The loops of `instructions`, if this machine has them.
    pub(in super::super) fn of(instructions: InstructionSet) -> Option<Simd> {
        let table = match instructions {
            InstructionSet::Portable => &PORTABLE,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") => {
                &AVX2
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("fma") =>
            {
                &AVX512
            }
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon if std::arch::is_aarch64_feature_detected!("neon") => &NEON,
            _ => return None,
        };
        Some(Simd {
            table,
            int8: int8::table(instructions),
            instructions,
        })
    }

    /// The same, but products are of words of two bf16 along k, in memory of `f32`; none if this machine has no instructions for it.
    pub(in super::super) fn bf16(self) -> Option<Simd> {
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 if is_x86_feature_detected!("avx512bf16") => Some(Simd {
                table: &AVX512_BF16,
                ..self
            }),
            _ => None,
        }
    }

    /// Words from one row of k elements in bf16 to the next.
    pub(in super::super) fn bf16_stride(k: usize) -> usize {
        k.div_ceil(2).next_multiple_of(16)
    }

    /// Rounds a row to words of two bf16; those beyond it are zero.
    pub(in super::super) fn bf16_row(self, x: &[f32], words: &mut [f32]) {
        assert!(x.len() <= 2 * words.len(), "no room for a row");
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.bf16_row)(x, words) }
    }

    /// Rounds x `[rows, columns of a tile]` to words `[rows / 2, columns]` of two rows each.
    pub(in super::super) fn bf16_columns(self, x: &[f32], words: &mut [f32]) {
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.bf16_columns)(x, self.cols(), words) }
    }

    /// Rows of a tile.
    pub(in super::super) fn rows(self) -> usize {
        self.table.rows
    }

    /// Columns of a tile.
    pub(in super::super) fn cols(self) -> usize {
        self.table.cols
    }

    /// What a product of `tile` is, with a matrix a of `a_len` elements of which it reads the first `a_end`.
    fn describe(
        self,
        a: &[f32],
        a_end: usize,
        a_stride: usize,
        k: usize,
        panel: &[f32],
        out: &mut Tile<'_>,
    ) -> Product {
        assert!(
            a_end <= a.len()
                && k * self.cols() <= panel.len()
                && out.rows() <= self.rows()
                && out.cols() <= self.cols(),
            "a product reaches beyond its memory"
        );
        Product {
            m: out.rows(),
            n: out.cols(),
            k,
            a: a.as_ptr(),
            a_stride,
            b: panel.as_ptr(),
            c: out.as_mut_ptr(),
            c_stride: out.stride(),
            onto: false,
        }
    }

    /// `out = a b`: rows of a `a_stride` apart, each with `k` elements; b a panel `[k, columns of a tile]`; out at most a tile.
    pub(in super::super) fn product_rows(
        self,
        a: &[f32],
        a_stride: usize,
        k: usize,
        panel: &[f32],
        mut out: Tile<'_>,
    ) {
        let end = out.rows().saturating_sub(1) * a_stride + k;
        let p = self.describe(a, end, a_stride, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `describe` the memory.
        unsafe { (self.table.product_rows)(&p) }
    }

    /// `out = a b`, or with `onto` `out += a b`: columns of a `a_stride` apart, of which the first elements are taken.
    pub(in super::super) fn product_columns(
        self,
        a: &[f32],
        a_stride: usize,
        k: usize,
        panel: &[f32],
        mut out: Tile<'_>,
        onto: bool,
    ) {
        let end = k.saturating_sub(1) * a_stride + if k == 0 { 0 } else { out.rows() };
        let p = self.describe(a, end, a_stride, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `describe` the memory.
        unsafe { (self.table.product_columns)(&Product { onto, ..p }) }
    }

    /// `out = silu(a gate) * (a up)`: as [`Simd::product_rows`], where the first half of a panel's columns are the gates; out has at
    /// most half a tile's columns.
    pub(in super::super) fn gate_columns(
        self,
        a: &[f32],
        a_stride: usize,
        k: usize,
        panel: &[f32],
        mut out: Tile<'_>,
    ) {
        assert!(out.cols() <= self.cols() / 2, "a tile is too wide");
        let end = out.rows().saturating_sub(1) * a_stride + k;
        let p = self.describe(a, end, a_stride, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `describe` the memory.
        unsafe { (self.table.gate_columns)(&p) }
    }

    /// `out = silu(gate b) * (up b)`: a is a strip `[k, rows of a tile]`, the first half of its rows the gates; out has at most half a
    /// tile's rows.
    pub(in super::super) fn gate_rows(self, strip: &[f32], k: usize, panel: &[f32], mut out: Tile<'_>) {
        assert!(out.rows() <= self.rows() / 2, "a tile is too high");
        let p = self.describe(strip, k * self.rows(), self.rows(), k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `describe` the memory; all rows of the strip are there.
        unsafe { (self.table.gate_rows)(&p) }
    }

    /// A block of the softmax along the rows of `scores` `[keys, columns of a tile]`; see [`micro::softmax`] for `state`, `[3, columns]`.
    pub(in super::super) fn softmax(self, scores: &mut [f32], state: &mut [f32]) {
        assert!(3 * self.cols() <= state.len(), "no room for the state");
        let keys = scores.len() / self.cols();
        // SAFETY: `of` checked the instruction set; the memory was just checked.
        unsafe { (self.table.softmax)(keys, scores.as_mut_ptr(), state.as_mut_ptr()) }
    }

    /// Multiplies every row of x `[rows, columns of a tile]` with the row `factor`.
    pub(in super::super) fn scale_rows(self, x: &mut [f32], factor: &[f32]) {
        assert!(self.cols() <= factor.len(), "too few factors");
        // SAFETY: `of` checked the instruction set; the memory was just checked.
        unsafe { (self.table.scale_rows)(x.len() / self.cols(), x.as_mut_ptr(), factor.as_ptr()) }
    }

    /// `x += sum` (its elements from `start` on), then divides by the root mean square.
    pub(in super::super) fn add_norm(self, x: &mut [f32], sum: &Sum<'_>, start: usize, eps: f32) {
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.add_norm)(x, sum, start, eps) }
    }

    /// `x += residual` `[rows, width]`, then divides each column by its root mean square; `scale` is room for `width` elements.
    pub(in super::super) fn add_norm_columns(
        self,
        x: &mut Tile<'_>,
        residual: &[f32],
        scale: &mut [f32],
        eps: f32,
    ) {
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.add_norm_columns)(x, residual, scale, eps) }
    }

    /// Writes a rectangle of a sum: its rows start at `start` and are `stride` apart.
    pub(in super::super) fn write_sum(self, sum: &Sum<'_>, start: usize, stride: usize, mut out: Tile<'_>) {
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.write_sum)(sum, start, stride, &mut out) }
    }

    /// Turns one head by the angles whose cosines and sines these are.
    pub(in super::super) fn turn(self, head: &mut [f32], cos: &[f32], sin: &[f32]) {
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.turn)(head, cos, sin) }
    }
}

impl std::fmt::Debug for Simd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Simd({})", self.instructions.name())
    }
}
