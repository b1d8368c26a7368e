//! The input of a puzzle.

use crate::model::plan::Dims;

/// Returns `sqrt(D) * embedding`, or with learned positions `sqrt(D) * sqrt(1/2) * (embedding +
/// positions)`. The embedding is the prefix, then the rows of the tokens.
///
/// tokens `[S]`, prefix `[P, D]`, embedding `[V, D]`, positions `[L, D]` -> `[L, D]`.
///
/// With a symbol axis the embedding is `[3, D]`, and the row of a cell depends on the field: 0 for
/// a blank, 1 for the field's symbol, 2 for another symbol.
pub(super) fn embed(
    d: &Dims,
    tokens: &[u32],
    prefix: &[f32],
    embedding: &[f32],
    positions: Option<&[f32]>,
) -> Vec<f32> {
    let mut x = prefix.to_vec();
    for field in 0..d.symbols.max(1) {
        for &token in tokens {
            let row = match token as usize {
                token if d.symbols == 0 => token,
                0 | 1 => 0,
                token if token - 2 == field => 1,
                _ => 2,
            };
            x.extend_from_slice(&embedding[row * d.hidden..][..d.hidden]);
        }
    }
    if let Some(positions) = positions {
        x.iter_mut()
            .zip(positions)
            .for_each(|(x, p)| *x = 0.5f32.sqrt() * (*x + p));
    }
    let scale = (d.hidden as f32).sqrt();
    x.iter_mut().for_each(|x| *x *= scale);
    x
}
