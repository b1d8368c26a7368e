use std::ops::Range;

use super::simd::{Matrix, matmul};
use super::tiles::Sum;
use crate::plan::Dims;

/// Cosines and sines of every position, `[L, head width / 2]` each.
#[derive(Debug)]
pub(super) struct Rope {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// The table of a model that turns queries and keys.
    pub(super) fn of(d: &Dims) -> Option<Rope> {
        let theta = d.rope_theta?;
        let width = d.head_dim();
        // In f32 as in training: at high positions the angle's rounding is visible.
        let frequency = |i: usize| (theta as f32).powf(-((2 * i) as f32) / width as f32);
        let angles =
            (0..d.positions).flat_map(|position| (0..width / 2).map(move |i| position as f32 * frequency(i)));
        let (sin, cos) = angles.map(f32::sin_cos).unzip();
        Some(Rope { cos, sin })
    }

    /// Turns one head of one position.
    fn turn(&self, position: usize, head: &mut [f32]) {
        let half = head.len() / 2;
        let (low, high) = head.split_at_mut(half);
        let table = self.cos[position * half..]
            .iter()
            .zip(&self.sin[position * half..]);
        for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(table) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

/// Some rows of: s `[L, D]`, qkv turned to `[D, 3D]` -> `[L, 3D]`, queries and keys turned.
pub(super) fn qkv_rope(
    d: &Dims,
    sources: &Sum<'_>,
    rows: Range<usize>,
    qkv: &[f32],
    rope: Option<&Rope>,
    out: &mut [f32],
) {
    let h = d.hidden;
    let mut s = vec![0.0; rows.len() * h];
    sources.write(rows.start * h..rows.end * h, &mut s);
    matmul(
        [rows.len(), 3 * h, h],
        1.0,
        Matrix::rows(&s, h),
        Matrix::rows(qkv, 3 * h),
        out,
        3 * h,
    );
    if let Some(rope) = rope {
        for (position, row) in rows.zip(out.chunks_exact_mut(3 * h)) {
            // The first 2D elements are the heads of the queries, then those of the keys.
            row[..2 * h]
                .chunks_exact_mut(d.head_dim())
                .for_each(|head| rope.turn(position, head));
        }
    }
}
