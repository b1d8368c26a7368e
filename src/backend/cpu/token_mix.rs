use super::packed::{Int8Packed, Matrix, Packed};
use super::simd::{Room, Scratch, Simd, Sum, Tile};
use crate::model::plan::Dims;

/// Scratch memory: s, what is gated, and what a byte of each channel is worth; the first two in words of bf16 and as words of int8.
fn pieces(d: &Dims, simd: Simd, packed: [bool; 2]) -> ([usize; 5], [usize; 2]) {
    let (l, t, width) = (d.positions, d.token_inner, simd.cols());
    let words = |yes: bool, each: usize| [l, t].map(|k| if yes { k.div_ceil(each) * width } else { 0 });
    let ([int8, bf16], [l, t]) = (packed, [l * width, t * width]);
    let [s, gated] = words(bf16, 2);
    ([l, t, width, s, gated], words(int8, 4))
}

/// The scratch memory that [`token_mix`] takes.
///
/// `packed`: whether matrices are in int8, in bf16.
pub(super) fn room(d: &Dims, simd: Simd, packed: [bool; 2]) -> Room {
    let (floats, words) = pieces(d, simd, packed);
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
    let packed = [
        matches!(weights[0], Matrix::Int8(_)),
        matches!(weights[0], Matrix::Bf16(_)),
    ];
    let (floats, words) = pieces(d, simd, packed);
    let ([s, gated, scale, s_words, gated_words], words) = scratch.pieces_and_words(floats, words);
    if out.cols() < width {
        s.fill(0.0);
    }
    simd.write_sum(sources, first, d.hidden, Tile::of(s, l, out.cols(), width));
    match weights {
        [Matrix::F32(gate_up), Matrix::F32(down)] => mix(simd, [gate_up, down], s, gated, &mut out),
        [Matrix::Int8(gate_up), Matrix::Int8(down)] => {
            mix_int8(simd, [gate_up, down], s, gated, words, scale, &mut out);
        }
        [Matrix::Bf16(gate_up), Matrix::Bf16(down)] => {
            mix_bf16(simd, [gate_up, down], s, gated, [s_words, gated_words], &mut out);
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

/// The same in bf16, with room for both in words.
fn mix_bf16(
    simd: Simd,
    matrices: [&Packed; 2],
    s: &[f32],
    gated: &mut [f32],
    [s_words, gated_words]: [&mut [f32]; 2],
    out: &mut Tile<'_>,
) {
    let Some(products) = simd.bf16() else {
        unreachable!("matrices are in bf16 where the machine can multiply it");
    };
    let ([gate_up, down], width) = (matrices, simd.cols());
    let t = gated.len() / width;
    simd.bf16_columns(s, s_words);
    each_strip(
        simd.rows() / 2,
        &mut Tile::of(gated, t, width, width),
        |strip, tile| products.gate_rows(gate_up.group(strip), s_words.len() / width, s_words, tile),
    );
    simd.bf16_columns(gated, gated_words);
    each_strip(simd.rows(), out, |strip, tile| {
        let (group, words) = (down.group(strip), gated_words.len() / width);
        products.product_columns(group, simd.rows(), words, gated_words, tile, false);
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
