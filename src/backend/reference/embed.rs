use crate::model::plan::Dims;

/// Tokens `[S]` and prefix `[P, D]` -> x `[L, D]`: `sqrt(D) * embedding`, or `sqrt(D) * sqrt(1/2) * (embedding + position)`.
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
