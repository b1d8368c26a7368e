use super::packed::{Int8Packed, Matrix, Packed};
use super::simd::{Room, Scratch, Simd, Sum, Tile};
use crate::plan::Dims;

/// Scratch memory: s, what is gated, and what a byte of each channel is worth; the first two as words.
fn pieces(d: &Dims, simd: Simd, int8: bool) -> ([usize; 3], [usize; 2]) {
    let (l, t, width) = (d.positions, d.token_inner, simd.cols());
    let words = if int8 {
        [l.div_ceil(4) * width, t.div_ceil(4) * width]
    } else {
        [0, 0]
    };
    ([l * width, t * width, width], words)
}

/// The scratch memory that [`token_mix`] takes.
pub(super) fn room(d: &Dims, simd: Simd, int8: bool) -> Room {
    let (floats, words) = pieces(d, simd, int8);
    Room::of(&floats, &words)
}

/// Some channels from `first` on of: s `[L, D]`, gate_up `[2T, L]`, down `[L, T]` -> `[L, D]`.
///
/// The weights stand on the left of the channels `[L, C]`, so nothing is transposed, and all but the weights stays in the nearest caches.
pub(super) fn token_mix(
    d: &Dims,
    simd: Simd,
    sources: &Sum<'_>,
    first: usize,
    weights: [Matrix<'_>; 2],
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (l, width) = (d.positions, simd.cols());
    let (floats, words) = pieces(d, simd, matches!(weights[0], Matrix::Int8(_)));
    let ([s, gated, scale], words) = scratch.pieces_and_words(floats, words);
    if out.cols() < width {
        s.fill(0.0);
    }
    simd.write_sum(sources, first, d.hidden, Tile::of(s, l, out.cols(), width));
    match weights {
        [Matrix::F32(gate_up), Matrix::F32(down)] => mix(simd, [gate_up, down], s, gated, &mut out),
        [Matrix::Int8(gate_up), Matrix::Int8(down)] => {
            mix_int8(simd, [gate_up, down], s, gated, words, scale, &mut out);
        }
        _ => unreachable!("both matrices are of one kind"),
    }
    simd.add_norm_columns(&mut out, s, scale, d.eps);
}

/// `out = down silu(gate s) * (up s)`, with s `[L, C]` and room `[T, C]` for what is gated.
fn mix(simd: Simd, [gate_up, down]: [&Packed; 2], s: &[f32], gated: &mut [f32], out: &mut Tile<'_>) {
    let width = simd.cols();
    let (l, t) = (s.len() / width, gated.len() / width);
    each_strip(
        simd.rows() / 2,
        &mut Tile::of(gated, t, width, width),
        |strip, tile| {
            simd.gate_rows(gate_up.group(strip), l, s, tile);
        },
    );
    each_strip(simd.rows(), out, |strip, tile| {
        simd.product_columns(down.group(strip), simd.rows(), t, gated, tile, false);
    });
}

/// The same in int8, with room for the channels as words and for what a byte of each is worth.
fn mix_int8(
    simd: Simd,
    [gate_up, down]: [&Int8Packed; 2],
    s: &[f32],
    gated: &mut [f32],
    [words, gated_words]: [&mut [u32]; 2],
    scale: &mut [f32],
    out: &mut Tile<'_>,
) {
    let width = simd.cols();
    let (l, t) = (s.len() / width, gated.len() / width);
    simd.quantize_columns(s, words, scale);
    each_strip(
        simd.rows() / 2,
        &mut Tile::of(gated, t, width, width),
        |strip, tile| {
            simd.int8_gate_rows(gate_up.group(strip), l, (words, scale), tile);
        },
    );
    simd.quantize_columns(gated, gated_words, scale);
    each_strip(simd.rows(), out, |strip, tile| {
        simd.int8_product_columns(down.group(strip), t, (gated_words, scale), tile);
    });
}

/// Calls `compute(strip, tile)` for strips of so many rows.
fn each_strip(height: usize, out: &mut Tile<'_>, compute: impl Fn(usize, Tile<'_>)) {
    let (rows, cols) = (out.rows(), out.cols());
    for (strip, row) in (0..rows).step_by(height).enumerate() {
        compute(strip, out.part(row..rows.min(row + height), 0..cols));
    }
}
