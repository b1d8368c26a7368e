//! The sums of an int8 tile with ARM64's `smmla`. It multiplies eight bytes of each of two rows
//! with those of two columns: four sums at once, where `sdot` multiplies four bytes of one row.
//!
//! During the sum, two rows of four sums are stored as two 2 x 2 squares. At the end they become
//! rows again.

use std::arch::aarch64::*;

use super::int8_lanes::{Int8Product, add_word, start};
use super::neon::NeonInt8;

/// Returns the same sums as [`sums_by_dot`](super::int8_lanes::sums_by_dot).
///
/// # Safety
/// As for [`start`]. The machine has dotprod and i8mm.
#[inline(always)]
pub(super) unsafe fn sums<const DOT: u8, const M: usize, const ROWS: bool>(
    p: &Int8Product,
) -> [[NeonInt8<DOT>; 2]; M] {
    // SAFETY: the caller vouches for the instruction set and for the memory of `p`: rows below M,
    // words below k, and no others are read.
    unsafe {
        let mut sums = start::<_, M, ROWS>(p);
        let (row, word) = if ROWS {
            (p.a_stride, 1)
        } else {
            (1, p.a_stride)
        };
        let (mut a, mut b) = (p.a, p.b);
        squares(&mut sums);
        for _ in 0..p.k / 2 {
            let [first, second] = [b, b.add(8)];
            let (pairs, last) = sums.as_chunks_mut::<2>();
            if M % 2 == 1 {
                // The last row has no partner.
                let a = a.add((M - 1) * row);
                add_word::<_, ROWS>(a, p.a_stride, first, last);
                add_word::<_, ROWS>(a.add(word), p.a_stride, second, last);
            }
            let (c0, c1) = eight_bytes(vld1q_u32(first), vld1q_u32(second));
            let (c2, c3) = eight_bytes(vld1q_u32(first.add(4)), vld1q_u32(second.add(4)));
            for (i, pair) in pairs.iter_mut().enumerate() {
                add_squares::<DOT, ROWS>(a.add(2 * i * row), p.a_stride, [c0, c1, c2, c3], pair);
            }
            (a, b) = (a.add(2 * word), b.add(16));
        }
        squares(&mut sums);
        if !p.k.is_multiple_of(2) {
            add_word::<_, ROWS>(a, p.a_stride, b, &mut sums);
        }
        sums
    }
}

/// Turns each two rows into 2 x 2 squares, or squares back into rows. An odd last row is unchanged.
///
/// # Safety
/// The machine has NEON.
#[inline(always)]
unsafe fn squares<const DOT: u8>(sums: &mut [[NeonInt8<DOT>; 2]]) {
    for [upper, lower] in sums.as_chunks_mut::<2>().0 {
        for (u, l) in upper.iter_mut().zip(lower) {
            // SAFETY: the caller vouches for the instruction set.
            unsafe {
                let (x, y) = (vreinterpretq_u64_u32(u.0), vreinterpretq_u64_u32(l.0));
                u.0 = vreinterpretq_u32_u64(vzip1q_u64(x, y));
                l.0 = vreinterpretq_u32_u64(vzip2q_u64(x, y));
            }
        }
    }
}

/// Interleaves two words along k of four columns. Returns those of the first two columns, and those
/// of the other two.
///
/// # Safety
/// The machine has NEON.
#[inline(always)]
unsafe fn eight_bytes(first: uint32x4_t, second: uint32x4_t) -> (uint32x4_t, uint32x4_t) {
    // SAFETY: the caller vouches for the instruction set.
    unsafe { (vzip1q_u32(first, second), vzip2q_u32(first, second)) }
}

/// Adds the products of two words along k of two rows and eight columns.
///
/// One assembly block reads the rows and adds. Otherwise the compiler reads all rows of a tile at
/// once and has no registers left for the sums. `vmmlaq_s32` is not stable in Rust 1.95 either.
///
/// # Safety
/// The machine has i8mm; these words may be read.
#[inline(always)]
unsafe fn add_squares<const DOT: u8, const ROWS: bool>(
    a: *const u32,
    a_stride: usize,
    columns: [uint32x4_t; 4],
    [upper, lower]: &mut [[NeonInt8<DOT>; 2]; 2],
) {
    macro_rules! add {
        ($zip:literal) => {
            // SAFETY: the caller vouches for the instruction set, and for two words at each of two
            // addresses.
            unsafe {
                std::arch::asm!(
                    ".arch_extension i8mm",
                    "ldr {rows:d}, [{a}]",
                    "ldr {next:d}, [{a_next}]",
                    $zip,
                    "smmla {u0:v}.4s, {rows:v}.16b, {c0:v}.16b",
                    "smmla {l0:v}.4s, {rows:v}.16b, {c1:v}.16b",
                    "smmla {u1:v}.4s, {rows:v}.16b, {c2:v}.16b",
                    "smmla {l1:v}.4s, {rows:v}.16b, {c3:v}.16b",
                    a = in(reg) a,
                    a_next = in(reg) a.add(a_stride),
                    rows = out(vreg) _,
                    next = out(vreg) _,
                    u0 = inout(vreg) upper[0].0,
                    l0 = inout(vreg) lower[0].0,
                    u1 = inout(vreg) upper[1].0,
                    l1 = inout(vreg) lower[1].0,
                    c0 = in(vreg) columns[0],
                    c1 = in(vreg) columns[1],
                    c2 = in(vreg) columns[2],
                    c3 = in(vreg) columns[3],
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
        };
    }
    if ROWS {
        // Two words of each of two rows.
        add!("zip1 {rows:v}.2d, {rows:v}.2d, {next:v}.2d");
    } else {
        // Two rows of each of two words.
        add!("zip1 {rows:v}.4s, {rows:v}.4s, {next:v}.4s");
    }
}
