use super::packed::{Arithmetic, Matrix, PackedInt8Matrix, PackedMatrix};
use super::scratch::{Scratch, ScratchSize};
use super::simd::{BufferSum, PackedWord, Simd, Tile};
use crate::model::plan::Dims;

/// Lengths of the scratch parts: s, the gated values, the scale of each channel, and then s and the
/// gated values as bf16 words. The second list is s and the gated values as int8 words.
fn scratch_lengths(d: &Dims, simd: Simd, arithmetic: Arithmetic) -> ([usize; 5], [usize; 2]) {
    let (l, t, width) = (d.positions, d.token_inner, simd.cols());
    let words = |used_by: Arithmetic, values_per_word: usize| {
        [l, t].map(|k| {
            if arithmetic == used_by {
                k.div_ceil(values_per_word) * width
            } else {
                0
            }
        })
    };
    let [s_words, gated_words] = words(Arithmetic::Bf16, 2);
    (
        [l * width, t * width, width, s_words, gated_words],
        words(Arithmetic::Int8, 4),
    )
}

/// Returns the scratch memory that [`token_mix`] needs.
pub(super) fn scratch_size(d: &Dims, simd: Simd, arithmetic: Arithmetic) -> ScratchSize {
    let (floats, words) = scratch_lengths(d, simd, arithmetic);
    ScratchSize::of(&floats, &words)
}

/// Computes some channels from `first` on of: s `[L, D]`, `gate_up` `[2T, L]`, down `[L, T]` ->
/// `[L, D]`.
///
/// The weights are the left operand and the channels `[L, C]` the right one, so nothing is
/// transposed. Everything except the weights stays in the L1 and L2 caches.
pub(super) fn token_mix(
    d: &Dims,
    simd: Simd,
    sources: &BufferSum<'_>,
    first: usize,
    weights: [Matrix<'_>; 2],
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let (l, width) = (d.positions, simd.cols());
    let (floats, words) = scratch_lengths(d, simd, weights[0].arithmetic());
    let ([s, gated, scale, s_words, gated_words], words) = scratch.split_with_u32(floats, words);
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
            mix_bf16(
                simd,
                [gate_up, down],
                s,
                gated,
                [s_words, gated_words],
                &mut out,
            );
        }
        _ => unreachable!("both matrices are of one kind"),
    }
    simd.add_norm_columns(&mut out, s, scale, d.eps);
}

/// Computes `out = down (silu(gate s) * (up s))` in f32. s is `[L, C]`. `gated` is scratch memory
/// `[T, C]`.
fn mix(
    simd: Simd,
    [gate_up, down]: [&PackedMatrix; 2],
    s: &[f32],
    gated: &mut [f32],
    out: &mut Tile<'_>,
) {
    let width = simd.cols();
    let (l, t) = (s.len() / width, gated.len() / width);
    for_each_row_tile(
        simd.rows() / 2,
        &mut Tile::of(gated, t, width, width),
        |panel, tile| simd.gate_rows(gate_up.panel(panel), l, s, tile),
    );
    for_each_row_tile(simd.rows(), out, |panel, tile| {
        simd.product_columns(down.panel(panel), simd.rows(), t, gated, tile, false);
    });
}

/// Computes [`mix`] in bf16, with scratch memory for both operands as bf16 words.
fn mix_bf16(
    simd: Simd,
    matrices: [&PackedMatrix; 2],
    s: &[f32],
    gated: &mut [f32],
    [s_words, gated_words]: [&mut [PackedWord]; 2],
    out: &mut Tile<'_>,
) {
    let Some(products) = simd.bf16() else {
        unreachable!("matrices are bf16 only where the machine can multiply bf16");
    };
    let ([gate_up, down], width) = (matrices, simd.cols());
    let t = gated.len() / width;
    simd.bf16_columns(s, s_words);
    for_each_row_tile(
        simd.rows() / 2,
        &mut Tile::of(gated, t, width, width),
        |panel, tile| {
            products.gate_rows(gate_up.panel(panel), s_words.len() / width, s_words, tile);
        },
    );
    simd.bf16_columns(gated, gated_words);
    for_each_row_tile(simd.rows(), out, |panel, tile| {
        let (left, words) = (down.panel(panel), gated_words.len() / width);
        products.product_columns(left, simd.rows(), words, gated_words, tile, false);
    });
}

/// Computes [`mix`] in int8, with scratch memory for both operands as int8 words and for the scale
/// of each channel.
fn mix_int8(
    simd: Simd,
    [gate_up, down]: [&PackedInt8Matrix; 2],
    s: &[f32],
    gated: &mut [f32],
    [words, gated_words]: [&mut [u32]; 2],
    scale: &mut [f32],
    out: &mut Tile<'_>,
) {
    let width = simd.cols();
    let (l, t) = (s.len() / width, gated.len() / width);
    simd.quantize_columns(s, words, scale);
    for_each_row_tile(
        simd.rows() / 2,
        &mut Tile::of(gated, t, width, width),
        |panel, tile| simd.int8_gate_rows(gate_up.panel(panel), l, (words, scale), tile),
    );
    simd.quantize_columns(gated, gated_words, scale);
    for_each_row_tile(simd.rows(), out, |panel, tile| {
        simd.int8_product_columns(down.panel(panel), t, (gated_words, scale), tile);
    });
}

/// Calls `compute(panel, tile)` for tiles of `height` rows.
fn for_each_row_tile(height: usize, out: &mut Tile<'_>, compute: impl Fn(usize, Tile<'_>)) {
    let (rows, cols) = (out.rows(), out.cols());
    for (panel, row) in (0..rows).step_by(height).enumerate() {
        compute(panel, out.sub_tile(row..rows.min(row + height), 0..cols));
    }
}
