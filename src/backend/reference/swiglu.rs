//! The SwiGLU along the channels.

use super::{gated, project};
use crate::model::plan::Dims;

/// Returns `silu(gate input) * up input`.
///
/// input `[L, D]`, `gate_up` `[2I, D]` -> `[L, I]`.
pub(super) fn swiglu(d: &Dims, input: &[f32], gate_up: &[f32]) -> Vec<f32> {
    input
        .chunks_exact(d.hidden)
        .flat_map(|row| gated(&project(gate_up, row)))
        .collect()
}
