use super::dot;
use crate::model::plan::Dims;

/// qkv `[L, 3D]` -> `[L, D]`: for each head, `softmax(q k^T / sqrt(head width)) v` over all positions.
pub(super) fn attention(d: &Dims, qkv: &[f32]) -> Vec<f32> {
    let width = d.head_dim();
    let part = |position: usize, which: usize, head: usize| {
        &qkv[position * 3 * d.hidden + which * d.hidden + head * width..][..width]
    };
    let mut out = vec![0.0; d.positions * d.hidden];
    for position in 0..d.positions {
        for head in 0..d.heads {
            let q = part(position, 0, head);
            let scale = 1.0 / (width as f32).sqrt();
            let scores: Vec<f32> = (0..d.positions)
                .map(|k| dot(q, part(k, 1, head)) * scale)
                .collect();
            let max = scores.iter().copied().fold(f32::MIN, f32::max);
            let exp: Vec<f32> = scores.iter().map(|s| (s - max).exp()).collect();
            let sum: f32 = exp.iter().sum();
            let to = &mut out[position * d.hidden + head * width..][..width];
            for (k, e) in exp.iter().enumerate() {
                to.iter_mut()
                    .zip(part(k, 2, head))
                    .for_each(|(o, v)| *o += e / sum * v);
            }
        }
    }
    out
}
