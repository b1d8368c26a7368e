use super::packed::Matrix;
use super::project::{Rows, project};
use super::simd::{Place, Simd, Tile};
use crate::model::plan::Dims;

/// Cosines and sines of every position, `[L, head width / 2]` each.
#[derive(Debug)]
pub(super) struct Rope {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// The table of a model that turns queries and keys.
    pub(super) fn of(d: &Dims) -> Option<Rope> {
        let theta = d.rope_theta?;
        let width = d.head_dim();
        // In f32 as in training: at high positions the angle's rounding is visible.
        let frequency = |i: usize| (theta as f32).powf(-((2 * i) as f32) / width as f32);
        let angles =
            (0..d.positions).flat_map(|position| (0..width / 2).map(move |i| position as f32 * frequency(i)));
        let (sin, cos) = angles.map(f32::sin_cos).unzip();
        Some(Rope { cos, sin })
    }
}

/// Some rows and whole heads of: s `[L, D]`, qkv `[3D, D]` -> `[L, 3D]`, queries and keys turned.
pub(super) fn qkv_rope(
    d: &Dims,
    simd: Simd,
    s: Rows<'_>,
    qkv: Matrix<'_>,
    rope: Option<&Rope>,
    place: &Place,
    mut out: Tile<'_>,
) {
    let (rows, cols) = (out.rows(), out.cols());
    project(simd, s, qkv, place, out.part(0..rows, 0..cols));
    let Some(rope) = rope else { return };
    // The first 2D columns are the heads of the queries, then those of the keys.
    let turned = (2 * d.hidden).saturating_sub(place.cols.start).min(cols);
    let half = d.head_dim() / 2;
    for (i, position) in place.rows.clone().enumerate() {
        let angles = position * half..(position + 1) * half;
        for head in out.row(i)[..turned].chunks_exact_mut(d.head_dim()) {
            simd.turn(head, &rope.cos[angles.clone()], &rope.sin[angles.clone()]);
        }
    }
}
