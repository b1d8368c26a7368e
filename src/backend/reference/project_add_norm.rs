//! A projection, its residual and the norm.

use super::{project, rms_norm};
use crate::model::plan::Dims;

/// Returns `norm(residual + weight input)`, along the channels.
///
/// input `[L, K]`, weight `[D, K]`, residual `[L, D]` -> `[L, D]`.
pub(super) fn project_add_norm(
    d: &Dims,
    input: &[f32],
    weight: &[f32],
    residual: &[f32],
) -> Vec<f32> {
    let width = weight.len() / d.hidden;
    let mut out = residual.to_vec();
    for (row, out) in input
        .chunks_exact(width)
        .zip(out.chunks_exact_mut(d.hidden))
    {
        out.iter_mut()
            .zip(project(weight, row))
            .for_each(|(o, p)| *o += p);
        rms_norm(out, d.eps);
    }
    out
}
