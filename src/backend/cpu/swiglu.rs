use std::ops::Range;

use super::simd::{Matrix, matmul, silu_mul};
use crate::plan::Dims;

/// Some rows of: input `[L, D]`, gate_up turned to `[D, 2I]` -> `[L, I]`.
pub(super) fn swiglu(d: &Dims, input: &[f32], rows: Range<usize>, gate_up: &[f32], out: &mut [f32]) {
    let (h, i) = (d.hidden, d.inner);
    let input = Matrix::rows(&input[rows.start * h..], h);
    let mut projected = vec![0.0; rows.len() * 2 * i];
    matmul(
        [rows.len(), 2 * i, h],
        1.0,
        input,
        Matrix::rows(gate_up, 2 * i),
        &mut projected,
        2 * i,
    );
    for (row, out) in projected.chunks_exact(2 * i).zip(out.chunks_exact_mut(i)) {
        let (gate, up) = row.split_at(i);
        silu_mul(gate, up, out);
    }
}
