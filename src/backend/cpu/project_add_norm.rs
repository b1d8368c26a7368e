use super::simd::{BufferSum, Simd, Tile, TileIndex};
use crate::model::plan::Dims;

/// Adds the residuals `[L, D]` to complete rows that [`project`](super::project::project) has
/// written, then divides each row by its root mean square.
pub(super) fn add_norm(
    d: &Dims,
    simd: Simd,
    residuals: &BufferSum<'_>,
    index: &TileIndex,
    mut out: Tile<'_>,
) {
    for (i, row) in index.rows.clone().enumerate() {
        simd.add_norm(out.row(i), residuals, row * d.hidden, d.eps);
    }
}
