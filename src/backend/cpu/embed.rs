use crate::model::plan::Dims;

/// Computes tokens `[S]` and prefix `[P, D]` -> x `[L, D]`.
pub(super) fn embed(
    d: &Dims,
    tokens: &[u32],
    prefix: &[f32],
    embedding: &[f32],
    positions: Option<&[f32]>,
    out: &mut [f32],
) {
    let (head, cells) = out.split_at_mut(prefix.len());
    head.copy_from_slice(prefix);
    for (&token, cell) in tokens.iter().zip(cells.chunks_exact_mut(d.hidden)) {
        cell.copy_from_slice(&embedding[token as usize * d.hidden..][..d.hidden]);
    }
    let scale = (d.hidden as f32).sqrt();
    match positions {
        None => out.iter_mut().for_each(|x| *x *= scale),
        Some(positions) => {
            let half = std::f32::consts::FRAC_1_SQRT_2;
            out.iter_mut()
                .zip(positions)
                .for_each(|(x, p)| *x = half * (*x + p) * scale);
        }
    }
}
