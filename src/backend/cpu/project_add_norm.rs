use std::ops::Range;

use super::simd::{Matrix, matmul, rms_norm};
use super::tiles::Sum;
use crate::plan::Dims;

/// Some rows of: input `[L, K]`, weight turned to `[K, D]`, residual `[L, D]` -> `[L, D]`.
pub(super) fn project_add_norm(
    d: &Dims,
    input: &[f32],
    rows: Range<usize>,
    weight: &[f32],
    residual: &Sum<'_>,
    out: &mut [f32],
) {
    let h = d.hidden;
    let k = weight.len() / h;
    let input = Matrix::rows(&input[rows.start * k..], k);
    matmul([rows.len(), h, k], 1.0, input, Matrix::rows(weight, h), out, h);
    let mut s = vec![0.0; rows.len() * h];
    residual.write(rows.start * h..rows.end * h, &mut s);
    for (out, s) in out.chunks_exact_mut(h).zip(s.chunks_exact(h)) {
        rms_norm(out, s, d.eps);
    }
}
