use rayon::prelude::*;

use super::simd::{Matrix, matmul, rms_norm_columns, silu_mul};
use super::tiles::{Sum, run_tiles};
use crate::plan::Dims;

/// Channels of a tile.
const TILE: usize = 32;

/// s `[L, D]` of each live slot, gate_up `[2T, L]`, down `[L, T]` -> `[L, D]`.
///
/// A tile of channels `[L, C]` is a matrix on whose left the weights are multiplied, so nothing is transposed; the tiles are
/// computed in `channels` and then put back into the rows of `out`.
pub(super) fn token_mix<'a>(
    d: &Dims,
    live: &[usize],
    sources: impl Fn(usize) -> Sum<'a> + Sync,
    gate_up: &[f32],
    down: &[f32],
    channels: &mut Vec<f32>,
    out: &mut [f32],
) {
    let slot_len = d.positions * d.hidden;
    channels.resize(out.len(), 0.0);
    run_tiles(
        channels,
        slot_len,
        d.positions * TILE,
        live,
        |slot, index, tile| {
            mix(d, &sources(slot), index * TILE, gate_up, down, tile);
        },
    );
    out.par_chunks_exact_mut(slot_len)
        .zip(channels.par_chunks_exact(slot_len))
        .enumerate()
        .for_each(|(slot, (out, channels))| {
            if live.binary_search(&slot).is_ok() {
                for (index, tile) in channels.chunks(d.positions * TILE).enumerate() {
                    let width = tile.len() / d.positions;
                    for (row, from) in out.chunks_exact_mut(d.hidden).zip(tile.chunks_exact(width)) {
                        row[index * TILE..][..width].copy_from_slice(from);
                    }
                }
            }
        });
}

/// One tile of channels from `first` on: out `[L, C]`.
fn mix(d: &Dims, sources: &Sum<'_>, first: usize, gate_up: &[f32], down: &[f32], out: &mut [f32]) {
    let (l, t) = (d.positions, d.token_inner);
    let width = out.len() / l;
    let mut s = vec![0.0; out.len()];
    for (row, s) in s.chunks_exact_mut(width).enumerate() {
        let start = row * d.hidden + first;
        sources.write(start..start + width, s);
    }
    let mut projected = vec![0.0; 2 * t * width];
    matmul(
        [2 * t, width, l],
        1.0,
        Matrix::rows(gate_up, l),
        Matrix::rows(&s, width),
        &mut projected,
        width,
    );
    let (gate, up) = projected.split_at(t * width);
    let mut gated = vec![0.0; t * width];
    silu_mul(gate, up, &mut gated);
    matmul(
        [l, width, t],
        1.0,
        Matrix::rows(down, t),
        Matrix::rows(&gated, width),
        out,
        width,
    );
    rms_norm_columns(out, &s, width, d.eps);
}
