use crate::model::plan::Dims;

/// Computes the halting logits: state `[L, D]`, weight `[2, D]`, bias `[2]` -> `[2]`. Only the
/// first position of the state is read.
pub(super) fn halt(d: &Dims, state: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    for ((out, row), bias) in out.iter_mut().zip(weight.chunks_exact(d.hidden)).zip(bias) {
        *out = bias + row.iter().zip(state).map(|(w, z)| w * z).sum::<f32>();
    }
}
