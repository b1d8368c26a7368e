//! The language-model head and its most likely tokens.

use super::project;
use crate::model::plan::{Dims, NO_TOKEN, NOT_A_SYMBOL};

/// Returns the logits of the positions from P on, and the most likely token of each cell.
///
/// state `[L, D]`, weight `[V, D]` -> logits `[S, V]`, tokens `[S]`. The first token wins a tie. A
/// cell with a logit that is not finite has [`NO_TOKEN`].
///
/// With a symbol axis: state `[K, S, D]`, weight `[1, D]`. The logit of token k + 2 comes from
/// field k, and the tokens 0 and 1 have a fixed one.
pub(super) fn decode(d: &Dims, state: &[f32], weight: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let cells = state[d.prefix * d.hidden..].chunks_exact(d.hidden);
    let mut logits: Vec<f32> = cells.flat_map(|cell| project(weight, cell)).collect();
    if d.symbols > 0 {
        let of_fields = logits;
        logits = Vec::with_capacity(d.tokens * d.vocab);
        for cell in 0..d.tokens {
            logits.extend([NOT_A_SYMBOL; 2]);
            logits.extend((0..d.symbols).map(|field| of_fields[field * d.tokens + cell]));
        }
    }
    let answer = logits.chunks_exact(d.vocab).map(argmax).collect();
    (logits, answer)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a vocabulary has at most 2^20 tokens"
)]
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
