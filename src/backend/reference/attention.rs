//! Multi-head attention.

use super::dot;
use crate::model::plan::Dims;

/// Returns `softmax(q k^T / sqrt(head width)) v` for each head, over all positions.
///
/// qkv `[L, 3D]` -> `[L, D]`.
pub(super) fn attention(d: &Dims, qkv: &[f32]) -> Vec<f32> {
    let width = d.head_dim();
    // `which` is 0 for the query, 1 for the key, 2 for the value.
    let head_of = |position: usize, which: usize, head: usize| {
        &qkv[position * 3 * d.hidden + which * d.hidden + head * width..][..width]
    };
    let mut out = vec![0.0; d.positions * d.hidden];
    for position in 0..d.positions {
        for head in 0..d.heads {
            let q = head_of(position, 0, head);
            let scale = 1.0 / (width as f32).sqrt();
            let scores: Vec<f32> = (0..d.positions)
                .map(|k| dot(q, head_of(k, 1, head)) * scale)
                .collect();
            let max = scores.iter().copied().fold(f32::MIN, f32::max);
            let exp: Vec<f32> = scores.iter().map(|s| (s - max).exp()).collect();
            let sum: f32 = exp.iter().sum();
            let to = &mut out[position * d.hidden + head * width..][..width];
            for (k, e) in exp.iter().enumerate() {
                to.iter_mut()
                    .zip(head_of(k, 2, head))
                    .for_each(|(o, v)| *o += e / sum * v);
            }
        }
    }
    out
}
