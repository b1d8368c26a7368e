//! The SwiGLU along the positions (`mlp_t`).

use super::{gated, project, rms_norm};
use crate::model::plan::Dims;

/// Returns `norm(s + down SwiGLU(s))` for each channel, along the positions.
///
/// s `[L, D]`, `gate_up` `[2T, L]`, down `[L, T]` -> `[L, D]`.
pub(super) fn token_mix(d: &Dims, s: &[f32], gate_up: &[f32], down: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; s.len()];
    for channel in 0..d.hidden {
        let column: Vec<f32> = s.iter().skip(channel).step_by(d.hidden).copied().collect();
        let mut mixed = project(down, &gated(&project(gate_up, &column)));
        mixed.iter_mut().zip(&column).for_each(|(m, c)| *m += c);
        rms_norm(&mut mixed, d.eps);
        out.iter_mut()
            .skip(channel)
            .step_by(d.hidden)
            .zip(mixed)
            .for_each(|(o, m)| *o = m);
    }
    out
}
