//! The sums of messages within the units of a Sudoku.

use crate::config::UNITS;
use crate::model::plan::Dims;

/// Returns for each cell of each field the sums of the messages of the other members of its units:
/// row, column, box, row within the box, column within the box, and the symbols of the cell. Each
/// unit has a sixth of the channels.
///
/// messages `[K, S, M]` -> `[K, S, M]`.
pub(super) fn unit_sums(d: &Dims, messages: &[f32]) -> Vec<f32> {
    let side = d.tokens.isqrt();
    let [box_rows, box_cols] = d.box_shape;
    let width = d.mixer_inner / UNITS;
    let is_member = |unit: usize, [k, row, col]: [usize; 3], [j, r, c]: [usize; 3]| {
        let in_box = row / box_rows == r / box_rows && col / box_cols == c / box_cols;
        match unit {
            0 => j == k && r == row,
            1 => j == k && c == col,
            2 => j == k && in_box,
            3 => j == k && in_box && r == row,
            4 => j == k && in_box && c == col,
            _ => r == row && c == col,
        }
    };
    let place = |position: usize| {
        let cell = position % d.tokens;
        [position / d.tokens, cell / side, cell % side]
    };
    let mut out = vec![0.0; messages.len()];
    for (position, out) in out.chunks_exact_mut(d.mixer_inner).enumerate() {
        for (other, message) in messages.chunks_exact(d.mixer_inner).enumerate() {
            for unit in 0..UNITS {
                if other != position && is_member(unit, place(position), place(other)) {
                    let channels = unit * width..(unit + 1) * width;
                    out[channels.clone()]
                        .iter_mut()
                        .zip(&message[channels])
                        .for_each(|(o, m)| *o += m);
                }
            }
        }
    }
    out
}
