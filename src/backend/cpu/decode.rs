use super::packed::Matrix;
use super::project::{InputRows, project};
use super::scratch::{Scratch, ScratchSize};
use super::simd::{Simd, Tile, TileIndex};
use crate::model::plan::{Dims, NO_TOKEN, NOT_A_SYMBOL};

/// Computes logits `[S, V]` -> the token with the largest logit of each cell, the first one of
/// equals, or [`NO_TOKEN`] if a logit of the cell is not finite.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a vocabulary has at most 2^20 tokens"
)]
pub(super) fn decode(d: &Dims, logits: &[f32], answer: &mut [u32]) {
    for (cell, answer) in logits.chunks_exact(d.vocab).zip(answer) {
        let mut best = 0;
        // 0 times infinity and 0 times NaN are NaN.
        let mut zero = 0.0;
        for (token, logit) in cell.iter().enumerate() {
            zero += logit * 0.0;
            if *logit > cell[best] {
                best = token;
            }
        }
        *answer = if zero == 0.0 { best as u32 } else { NO_TOKEN };
    }
}

/// Returns the scratch memory of [`symbol_logits`]: the logits of one symbol for a tile of cells.
pub(super) fn scratch_size(simd: Simd) -> ScratchSize {
    ScratchSize::of(&[2 * simd.rows()], &[])
}

/// Computes some rows of the logits of a model with a symbol axis: state `[K, S, D]`, weight
/// `[1, D]` -> `[S, K + 2]`. The tokens 0 and 1 have a fixed logit.
pub(super) fn symbol_logits(
    d: &Dims,
    simd: Simd,
    state: &[f32],
    weight: Matrix<'_>,
    index: &TileIndex,
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let rows = out.rows();
    let [of_symbol] = scratch.split([rows]);
    for row in 0..rows {
        out.row(row)[..2].fill(NOT_A_SYMBOL);
    }
    for symbol in 0..d.symbols {
        let first = symbol * d.tokens + index.rows.start;
        let of_field = TileIndex {
            matrix: index.matrix,
            rows: first..first + rows,
            cols: 0..1,
        };
        let tile = Tile::of(of_symbol, rows, 1, 1);
        project(simd, InputRows::F32(state), weight, &of_field, tile);
        for (row, logit) in of_symbol.iter().enumerate() {
            out.row(row)[symbol + 2] = *logit;
        }
    }
}
