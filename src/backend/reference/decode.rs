//! The language-model head and its most likely tokens.

use super::project;
use crate::model::plan::{Dims, NO_TOKEN};

/// Returns the logits of the positions from P on, and the most likely token of each cell.
///
/// state `[L, D]`, weight `[V, D]` -> logits `[S, V]`, tokens `[S]`. The first token wins a tie. A
/// cell with a logit that is not finite has [`NO_TOKEN`].
pub(super) fn decode(d: &Dims, state: &[f32], weight: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let cells = state[d.prefix * d.hidden..].chunks_exact(d.hidden);
    let logits: Vec<f32> = cells.flat_map(|cell| project(weight, cell)).collect();
    let answer = logits.chunks_exact(d.vocab).map(argmax).collect();
    (logits, answer)
}

fn argmax(logits: &[f32]) -> u32 {
    if !logits.iter().all(|logit| logit.is_finite()) {
        return NO_TOKEN;
    }
    let mut best = 0;
    for (i, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = i;
        }
    }
    best as u32
}
