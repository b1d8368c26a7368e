use super::project;
use crate::model::plan::Dims;

/// state `[L, D]`, weight `[2, D]`, bias `[2]` -> `[2]`: the logits to halt and to continue, from the first position.
pub(super) fn halt(d: &Dims, state: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let logits = project(weight, &state[..d.hidden]);
    logits.iter().zip(bias).map(|(l, b)| l + b).collect()
}
