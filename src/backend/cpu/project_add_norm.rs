use super::simd::{Place, Simd, Sum, Tile};
use crate::model::plan::Dims;

/// Some whole rows that [`project`](super::project::project) has left in `out`: adds the residuals `[L, D]` and norms.
pub(super) fn add_norm(d: &Dims, simd: Simd, residuals: &Sum<'_>, place: &Place, mut out: Tile<'_>) {
    for (i, row) in place.rows.clone().enumerate() {
        simd.add_norm(out.row(i), residuals, row * d.hidden, d.eps);
    }
}
