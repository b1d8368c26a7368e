//! Queries, keys and values, with rotary position embedding (RoPE).

use super::project;
use crate::model::plan::Dims;

/// Returns queries, keys and values side by side, each as its heads side by side.
///
/// s `[L, D]`, qkv `[3D, D]` -> `[L, 3D]`. With a rotary base, queries and keys are rotated by
/// their position. Element i of a head pairs with element i + half (the rotate-half form).
pub(super) fn qkv_rope(d: &Dims, s: &[f32], qkv: &[f32]) -> Vec<f32> {
    let half = d.head_dim() / 2;
    let mut out = Vec::with_capacity(3 * s.len());
    for (position, row) in s.chunks_exact(d.hidden).enumerate() {
        let mut projected = project(qkv, row);
        if let Some(theta) = d.rope_theta {
            // The first 2D elements are the heads of queries and keys.
            for head in projected[..2 * d.hidden].chunks_exact_mut(d.head_dim()) {
                for i in 0..half {
                    #[allow(clippy::cast_possible_truncation, reason = "f32 as in training")]
                    let angle = position as f32
                        * (theta as f32).powf(-((2 * i) as f32) / d.head_dim() as f32);
                    let (sin, cos) = angle.sin_cos();
                    let (a, b) = (head[i], head[i + half]);
                    head[i] = a * cos - b * sin;
                    head[i + half] = b * cos + a * sin;
                }
            }
        }
        out.extend(projected);
    }
    out
}
