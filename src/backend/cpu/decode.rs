use crate::model::plan::{Dims, NO_TOKEN};

/// Computes logits `[S, V]` -> the token with the largest logit of each cell, the first one of
/// equals, or [`NO_TOKEN`] if a logit of the cell is not finite.
pub(super) fn decode(d: &Dims, logits: &[f32], answer: &mut [u32]) {
    for (cell, answer) in logits.chunks_exact(d.vocab).zip(answer) {
        let mut best = 0;
        // 0 times infinity and 0 times NaN are NaN.
        let mut zero = 0.0;
        for (token, logit) in cell.iter().enumerate() {
            zero += logit * 0.0;
            if *logit > cell[best] {
                best = token;
            }
        }
        *answer = if zero == 0.0 { best as u32 } else { NO_TOKEN };
    }
}
