use crate::model::plan::Dims;

/// Computes tokens `[S]` and prefix `[P, D]` -> x `[L, D]`. With a symbol axis, the row of a cell
/// is 0 for a blank, 1 for the symbol of the field, 2 for another symbol.
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
    for (position, cell) in cells.chunks_exact_mut(d.hidden).enumerate() {
        let (field, token) = (position / d.tokens, tokens[position % d.tokens] as usize);
        let row = match token {
            token if d.symbols == 0 => token,
            0 | 1 => 0,
            token if token - 2 == field => 1,
            _ => 2,
        };
        cell.copy_from_slice(&embedding[row * d.hidden..][..d.hidden]);
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
