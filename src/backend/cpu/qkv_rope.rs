use super::packed::Matrix;
use super::project::{InputRows, project};
use super::simd::{Simd, Tile, TileIndex};
use crate::model::plan::Dims;

/// Cosines and sines of the rotation angles of every position, `[L, head width / 2]` each.
#[derive(Debug)]
pub(super) struct Rope {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// Computes the table, or returns `None` for a model without rotary position encodings.
    pub(super) fn of(d: &Dims) -> Option<Self> {
        let theta = d.rope_theta?;
        let width = d.head_dim();
        // In f32 as in training: at high positions the rounding of the angle is visible.
        #[allow(clippy::cast_possible_truncation, reason = "f32 as in training")]
        let frequency = |i: usize| (theta as f32).powf(-((2 * i) as f32) / width as f32);
        let angles = (0..d.positions)
            .flat_map(|position| (0..width / 2).map(move |i| position as f32 * frequency(i)));
        let (sin, cos) = angles.map(f32::sin_cos).unzip();
        Some(Self { cos, sin })
    }
}

/// Computes some rows and whole heads of: s `[L, D]`, qkv `[3D, D]` -> `[L, 3D]`. Queries and keys
/// are rotated.
pub(super) fn qkv_rope(
    d: &Dims,
    simd: Simd,
    s: InputRows<'_>,
    qkv: Matrix<'_>,
    rope: Option<&Rope>,
    index: &TileIndex,
    mut out: Tile<'_>,
) {
    let (rows, cols) = (out.rows(), out.cols());
    project(simd, s, qkv, index, out.sub_tile(0..rows, 0..cols));
    let Some(rope) = rope else { return };
    // The first 2D columns are the heads of the queries, then those of the keys.
    let rotated = (2 * d.hidden).saturating_sub(index.cols.start).min(cols);
    let half = d.head_dim() / 2;
    for (i, position) in index.rows.clone().enumerate() {
        let angles = position * half..(position + 1) * half;
        for head in out.row(i)[..rotated].chunks_exact_mut(d.head_dim()) {
            simd.rotate_head(head, &rope.cos[angles.clone()], &rope.sin[angles.clone()]);
        }
    }
}
