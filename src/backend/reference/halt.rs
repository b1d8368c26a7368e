//! The halting head.

use super::project;
use crate::model::plan::Dims;

/// Returns the logits to halt and to continue, from the first position of a state. With a symbol
/// axis, from the mean over its positions.
///
/// state `[L, D]`, weight `[2, D]`, bias `[2]` -> `[2]`.
pub(super) fn halt(d: &Dims, state: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let rows = match d.symbols {
        0 => 1,
        _ => d.positions,
    };
    let mut mean = vec![0.0; d.hidden];
    for row in state.chunks_exact(d.hidden).take(rows) {
        mean.iter_mut()
            .zip(row)
            .for_each(|(m, z)| *m += z / rows as f32);
    }
    let logits = project(weight, &mean);
    logits.iter().zip(bias).map(|(l, b)| l + b).collect()
}
