use crate::model::plan::Dims;

/// Computes logits `[S, V]` -> the token with the largest logit of each cell, the first one of
/// equals.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a vocabulary has at most 2^20 tokens"
)]
pub(super) fn decode(d: &Dims, logits: &[f32], answer: &mut [u32]) {
    for (cell, answer) in logits.chunks_exact(d.vocab).zip(answer) {
        let mut best = 0;
        for (token, logit) in cell.iter().enumerate() {
            if *logit > cell[best] {
                best = token;
            }
        }
        *answer = best as u32;
    }
}
