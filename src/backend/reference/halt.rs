//! The halting head.

use super::project;
use crate::model::plan::Dims;

/// Returns the logits to halt and to continue, from the first position of a state.
///
/// state `[L, D]`, weight `[2, D]`, bias `[2]` -> `[2]`.
pub(super) fn halt(d: &Dims, state: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let logits = project(weight, &state[..d.hidden]);
    logits.iter().zip(bias).map(|(l, b)| l + b).collect()
}
