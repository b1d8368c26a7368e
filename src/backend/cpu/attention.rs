use std::ops::Range;

use super::simd::{Matrix, matmul, softmax};
use crate::plan::Dims;

/// Some rows of: qkv `[L, 3D]` -> `[L, D]`, all heads.
pub(super) fn attention(d: &Dims, qkv: &[f32], rows: Range<usize>, out: &mut [f32]) {
    let (l, h, width) = (d.positions, d.hidden, d.head_dim());
    let scale = 1.0 / (width as f32).sqrt();
    let mut scores = vec![0.0; rows.len() * l];
    for first in (0..h).step_by(width) {
        let q = Matrix::rows(&qkv[rows.start * 3 * h + first..], 3 * h);
        let k = Matrix::rows(&qkv[h + first..], 3 * h);
        let v = Matrix::rows(&qkv[2 * h + first..], 3 * h);
        matmul([rows.len(), l, width], scale, q, k.t(), &mut scores, l);
        scores.chunks_exact_mut(l).for_each(softmax);
        matmul(
            [rows.len(), width, l],
            1.0,
            Matrix::rows(&scores, l),
            v,
            &mut out[first..],
            h,
        );
    }
}
