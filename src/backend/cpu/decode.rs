use super::simd::{Matrix, matmul};
use crate::plan::Dims;

/// state `[L, D]`, weight turned to `[D, V]` -> logits `[S, V]`.
pub(super) fn logits(d: &Dims, state: &[f32], weight: &[f32], out: &mut [f32]) {
    let cells = Matrix::rows(&state[d.prefix * d.hidden..], d.hidden);
    matmul(
        [d.tokens, d.vocab, d.hidden],
        1.0,
        cells,
        Matrix::rows(weight, d.vocab),
        out,
        d.vocab,
    );
}

/// logits `[S, V]` -> the likeliest token of each cell, the first of equals.
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
