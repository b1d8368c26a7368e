//! The input of a puzzle.

use crate::model::plan::Dims;

/// Returns `sqrt(D) * embedding`, or with learned positions `sqrt(D) * sqrt(1/2) * (embedding +
/// positions)`. The embedding is the prefix, then the rows of the tokens.
///
/// tokens `[S]`, prefix `[P, D]`, embedding `[V, D]`, positions `[L, D]` -> `[L, D]`.
pub(super) fn embed(
    d: &Dims,
    tokens: &[u32],
    prefix: &[f32],
    embedding: &[f32],
    positions: Option<&[f32]>,
) -> Vec<f32> {
    let mut x = prefix.to_vec();
    for &token in tokens {
        x.extend_from_slice(&embedding[token as usize * d.hidden..][..d.hidden]);
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
