//! The f32 and bf16 loops, compiled for each instruction set, as safe functions, which check their
//! arguments.

use super::int8_table::{self, Int8Table};
use super::lanes::{Lanes, PackedWord};
use super::micro::{self, Product};
use super::tile::{BufferSum, Tile};
use super::{elementwise, portable};
use crate::backend::cpu::instructions::InstructionSet;

/// The f32 and bf16 loops of one instruction set.
struct KernelTable {
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
    add_norm: unsafe fn(&mut [f32], &BufferSum<'_>, usize, f32),
    add_norm_columns: unsafe fn(&mut Tile<'_>, &[f32], &mut [f32], f32),
    write_sum: unsafe fn(&BufferSum<'_>, usize, usize, &mut Tile<'_>),
    rotate_head: unsafe fn(&mut [f32], &[f32], &[f32]),
    bf16_row: unsafe fn(&[f32], &mut [f32]),
    bf16_columns: unsafe fn(&[f32], usize, &mut [f32]),
}

/// Calls the loop that is compiled for exactly `$p.m` rows, so that its sums stay in registers.
macro_rules! for_row_count {
    ($p:ident, $of:ident, [$($m:literal)*]) => {
        match $p.m {
            $($m => unsafe { micro::$of::<F, $m>($p) },)*
            _ => {}
        }
    };
}

/// Defines the table of an instruction set: the loops over the vector `$v`, the products over
/// operands `$f`, at most `$m` rows, and the target features `$features`.
macro_rules! table {
    ($name:ident, $v:ty, $f:ty, $m:literal, [$($each:literal)*] $(, $features:literal)?) => {
        static $name: KernelTable = {
            type V = $v;
            type F = $f;
            // SAFETY of all functions: the caller vouches for the instruction set and for the
            // memory.
            $(#[target_feature(enable = $features)])?
            unsafe fn product_rows(p: &Product) {
                for_row_count!(p, product_rows, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn product_columns(p: &Product) {
                for_row_count!(p, product_columns, [$($each)*]);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn gate_columns(p: &Product) {
                for_row_count!(p, gate_columns, [$($each)*]);
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
            unsafe fn add_norm(x: &mut [f32], sum: &BufferSum<'_>, start: usize, eps: f32) {
                elementwise::add_norm(x, sum, start, eps);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn add_norm_columns(
                x: &mut Tile<'_>,
                residual: &[f32],
                scale: &mut [f32],
                eps: f32,
            ) {
                elementwise::add_norm_columns(x, residual, scale, eps);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn write_sum(
                sum: &BufferSum<'_>,
                start: usize,
                stride: usize,
                out: &mut Tile<'_>,
            ) {
                elementwise::write_sum(sum, start, stride, out);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn rotate_head(head: &mut [f32], cos: &[f32], sin: &[f32]) {
                elementwise::rotate_head(head, cos, sin);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn bf16_row(x: &[f32], words: &mut [f32]) {
                elementwise::bf16_row(x, words);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn bf16_columns(x: &[f32], width: usize, words: &mut [f32]) {
                elementwise::bf16_columns(x, width, words);
            }
            KernelTable {
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
                rotate_head,
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

/// The compiled loops of an instruction set that this machine has.
#[derive(Clone, Copy)]
pub(in super::super) struct Simd {
    table: &'static KernelTable,
    pub(super) int8: &'static Int8Table,
    instructions: InstructionSet,
}

impl Simd {
    /// Returns the loops of `instructions`, or `None` if this machine lacks them.
    pub(in super::super) fn of(instructions: InstructionSet) -> Option<Self> {
        let table = match instructions {
            InstructionSet::Portable => &PORTABLE,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") =>
            {
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
        Some(Self {
            table,
            int8: int8_table::table(instructions),
            instructions,
        })
    }

    /// Returns the same loops with products of [words](PackedWord) of two bf16 along k, or `None`
    /// if this machine has no instruction for them.
    pub(in super::super) fn bf16(self) -> Option<Self> {
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 if is_x86_feature_detected!("avx512bf16") => Some(Self {
                table: &AVX512_BF16,
                ..self
            }),
            _ => None,
        }
    }

    /// Returns the words from one bf16 row of k elements to the next.
    pub(in super::super) fn bf16_stride(k: usize) -> usize {
        k.div_ceil(2).next_multiple_of(16)
    }

    /// Rounds a row to words of two bf16. Words beyond the row are zero.
    pub(in super::super) fn bf16_row(self, x: &[f32], words: &mut [PackedWord]) {
        assert!(x.len() <= 2 * words.len(), "the output row is too short");
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.bf16_row)(x, words) }
    }

    /// Rounds x `[rows, columns of a tile]` to words `[rows / 2, columns]` of two rows each.
    pub(in super::super) fn bf16_columns(self, x: &[f32], words: &mut [PackedWord]) {
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.bf16_columns)(x, self.cols(), words) }
    }

    /// Returns the rows of a tile.
    pub(in super::super) fn rows(self) -> usize {
        self.table.rows
    }

    /// Returns the columns of a tile.
    pub(in super::super) fn cols(self) -> usize {
        self.table.cols
    }

    /// Describes a product into `out`, which reads the first `a_end` elements of a.
    fn describe(
        self,
        a: &[PackedWord],
        a_end: usize,
        a_stride: usize,
        k: usize,
        panel: &[PackedWord],
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
            accumulate: false,
        }
    }

    /// Computes `out = a b`. The rows of a have `k` elements and are `a_stride` apart. b is a panel
    /// `[k, columns of a tile]`. out is at most a tile.
    pub(in super::super) fn product_rows(
        self,
        a: &[PackedWord],
        a_stride: usize,
        k: usize,
        panel: &[PackedWord],
        mut out: Tile<'_>,
    ) {
        let end = out.rows().saturating_sub(1) * a_stride + k;
        let p = self.describe(a, end, a_stride, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `describe` the memory.
        unsafe { (self.table.product_rows)(&p) }
    }

    /// Computes `out = a b`, or `out += a b` with `accumulate`. The columns of a are `a_stride`
    /// apart, and their first elements are read.
    pub(in super::super) fn product_columns(
        self,
        a: &[PackedWord],
        a_stride: usize,
        k: usize,
        panel: &[PackedWord],
        mut out: Tile<'_>,
        accumulate: bool,
    ) {
        let end = k.saturating_sub(1) * a_stride + if k == 0 { 0 } else { out.rows() };
        let p = self.describe(a, end, a_stride, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `describe` the memory.
        unsafe { (self.table.product_columns)(&Product { accumulate, ..p }) }
    }

    /// Computes `out = silu(a gate) * (a up)`. Like [`Simd::product_rows`], but the first half of
    /// the panel's columns are gates. out has at most half a tile's columns.
    pub(in super::super) fn gate_columns(
        self,
        a: &[PackedWord],
        a_stride: usize,
        k: usize,
        panel: &[PackedWord],
        mut out: Tile<'_>,
    ) {
        assert!(out.cols() <= self.cols() / 2, "a tile is too wide");
        let end = out.rows().saturating_sub(1) * a_stride + k;
        let p = self.describe(a, end, a_stride, k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `describe` the memory.
        unsafe { (self.table.gate_columns)(&p) }
    }

    /// Computes `out = silu(gate b) * (up b)`. `left` is a panel `[k, rows of a tile]`, and the
    /// first half of its rows are gates. out has at most half a tile's rows.
    pub(in super::super) fn gate_rows(
        self,
        left: &[PackedWord],
        k: usize,
        panel: &[PackedWord],
        mut out: Tile<'_>,
    ) {
        assert!(out.rows() <= self.rows() / 2, "a tile is too high");
        let p = self.describe(left, k * self.rows(), self.rows(), k, panel, &mut out);
        // SAFETY: `of` checked the instruction set, `describe` the memory; all rows of the panel
        // are there.
        unsafe { (self.table.gate_rows)(&p) }
    }

    /// Computes one block of an online softmax over the rows of `scores`, which is
    /// `[keys, columns of a tile]`. See [`micro::softmax`] for `state` `[3, columns]`.
    pub(in super::super) fn softmax(self, scores: &mut [f32], state: &mut [f32]) {
        assert!(
            3 * self.cols() <= state.len(),
            "the softmax state is too short"
        );
        let keys = scores.len() / self.cols();
        // SAFETY: `of` checked the instruction set; the memory was just checked.
        unsafe { (self.table.softmax)(keys, scores.as_mut_ptr(), state.as_mut_ptr()) }
    }

    /// Multiplies every row of x `[rows, columns of a tile]` by the row `factor`.
    pub(in super::super) fn scale_rows(self, x: &mut [f32], factor: &[f32]) {
        assert!(self.cols() <= factor.len(), "too few factors");
        // SAFETY: `of` checked the instruction set; the memory was just checked.
        unsafe { (self.table.scale_rows)(x.len() / self.cols(), x.as_mut_ptr(), factor.as_ptr()) }
    }

    /// Computes `x += sum` (its elements from `start` on), then divides x by its root mean square.
    pub(in super::super) fn add_norm(
        self,
        x: &mut [f32],
        sum: &BufferSum<'_>,
        start: usize,
        eps: f32,
    ) {
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.add_norm)(x, sum, start, eps) }
    }

    /// Computes `x += residual` for `[rows, width]`, then divides each column by its root mean
    /// square. `scale` is scratch memory for `width` elements.
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

    /// Writes a rectangle of a sum. Its rows start at `start` and are `stride` apart.
    pub(in super::super) fn write_sum(
        self,
        sum: &BufferSum<'_>,
        start: usize,
        stride: usize,
        mut out: Tile<'_>,
    ) {
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.write_sum)(sum, start, stride, &mut out) }
    }

    /// Rotates one head (RoPE) by angles with these cosines and sines.
    pub(in super::super) fn rotate_head(self, head: &mut [f32], cos: &[f32], sin: &[f32]) {
        // SAFETY: `of` checked the instruction set; the loop itself is safe.
        unsafe { (self.table.rotate_head)(head, cos, sin) }
    }
}

impl std::fmt::Debug for Simd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Simd({})", self.instructions.name())
    }
}
