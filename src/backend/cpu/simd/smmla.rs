//! The sums of a tile of int8 by ARM64's `smmla`: eight bytes of each of two rows times those of two columns, four sums at once, where
//! `sdot` has four bytes of one row.
//!
//! While it adds, two rows of four sums are two squares of two rows and two columns; in the end they are rows again.

use std::arch::aarch64::*;

use super::micro_int8::{Int8Product, add_word, start};
use super::words::NeonWords;

/// As [`micro_int8::sums`](super::micro_int8::sums), with the same sums.
///
/// # Safety
/// As for [`start`]; the machine has dotprod and i8mm.
#[inline(always)]
pub(super) unsafe fn sums<const BY: u8, const M: usize, const ROWS: bool>(
    p: &Int8Product,
) -> [[NeonWords<BY>; 2]; M] {
    // SAFETY: the caller vouches for the instruction set and for the memory of `p`: rows below M, words below k, and no others are read.
    unsafe {
        let mut sums = start::<_, M, ROWS>(p);
        let (row, word) = if ROWS { (p.a_stride, 1) } else { (1, p.a_stride) };
        let (mut a, mut b) = (p.a, p.b);
        squares(&mut sums);
        for _ in 0..p.k / 2 {
            let [first, second] = [b, b.add(8)];
            let (pairs, last) = sums.as_chunks_mut::<2>();
            if M % 2 == 1 {
                // The last row has no neighbour.
                let a = a.add((M - 1) * row);
                add_word::<_, ROWS>(a, p.a_stride, first, last);
                add_word::<_, ROWS>(a.add(word), p.a_stride, second, last);
            }
            let (c0, c1) = eight_bytes(vld1q_u32(first), vld1q_u32(second));
            let (c2, c3) = eight_bytes(vld1q_u32(first.add(4)), vld1q_u32(second.add(4)));
            for (i, pair) in pairs.iter_mut().enumerate() {
                add_squares::<BY, ROWS>(a.add(2 * i * row), p.a_stride, [c0, c1, c2, c3], pair);
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

/// Makes squares of each two rows, or rows of squares; a last row stays what it is.
///
/// # Safety
/// The machine has NEON.
#[inline(always)]
unsafe fn squares<const BY: u8>(sums: &mut [[NeonWords<BY>; 2]]) {
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

/// Two words along k of four columns: those of the first two columns, and those of the others.
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
/// One piece of assembly reads the rows and adds: the compiler else reads all rows of a tile at once, and has no registers left for the
/// sums. `vmmlaq_s32` is not stable in Rust 1.95 anyway.
///
/// # Safety
/// The machine has i8mm; these words may be read.
#[inline(always)]
unsafe fn add_squares<const BY: u8, const ROWS: bool>(
    a: *const u32,
    a_stride: usize,
    columns: [uint32x4_t; 4],
    [upper, lower]: &mut [[NeonWords<BY>; 2]; 2],
) {
    macro_rules! add {
        ($zip:literal) => {
            // SAFETY: the caller vouches for the instruction set, and for two words at each of two places.
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
        // Of each of two words two rows.
        add!("zip1 {rows:v}.4s, {rows:v}.4s, {next:v}.4s");
    }
}
