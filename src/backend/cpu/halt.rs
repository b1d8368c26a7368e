use crate::model::plan::Dims;

/// Computes the halting logits: state `[L, D]`, weight `[2, D]`, bias `[2]` -> `[2]`. Only the
/// first position of the state is read; with a symbol axis, the mean over all positions.
pub(super) fn halt(d: &Dims, state: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    if d.symbols > 0 {
        return halt_on_mean(d, state, weight, bias, out);
    }
    for ((out, row), bias) in out.iter_mut().zip(weight.chunks_exact(d.hidden)).zip(bias) {
        *out = bias + row.iter().zip(state).map(|(w, z)| w * z).sum::<f32>();
    }
}

/// Computes the halting logits of the mean over all positions.
fn halt_on_mean(d: &Dims, state: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    /// Partial sums, so that the compiler can use vectors.
    const LANES: usize = 16;
    for ((out, row), bias) in out.iter_mut().zip(weight.chunks_exact(d.hidden)).zip(bias) {
        let mut sums = [0.0; LANES];
        for position in state.chunks_exact(d.hidden) {
            for (z, w) in position.chunks(LANES).zip(row.chunks(LANES)) {
                sums.iter_mut()
                    .zip(z.iter().zip(w))
                    .for_each(|(sum, (z, w))| *sum += z * w);
            }
        }
        *out = bias + sums.iter().sum::<f32>() / d.positions as f32;
    }
}
