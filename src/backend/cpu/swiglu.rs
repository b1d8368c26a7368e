use super::packed::Matrix;
use super::project::{InputRows, for_each_micro_tile};
use super::simd::{Simd, Tile, TileIndex};

/// Computes some rows and columns of: input `[L, D]`, `gate_up` `[2I, D]` -> `[L, I]`, which is
/// `silu(gate) * up`.
pub(super) fn swiglu(
    simd: Simd,
    input: InputRows<'_>,
    gate_up: Matrix<'_>,
    index: &TileIndex,
    out: Tile<'_>,
) {
    for_each_micro_tile(
        simd,
        simd.cols() / 2,
        index,
        out,
        |panel, row, tile| match (input, gate_up) {
            (InputRows::F32(input), Matrix::F32(weight)) => {
                let k = Matrix::F32(weight).k();
                simd.gate_columns(&input[row * k..], k, k, weight.panel(panel), tile);
            }
            (InputRows::Int8(input), Matrix::Int8(weight)) => {
                let k = Matrix::Int8(weight).k();
                let rows = &input[row * Simd::int8_stride(k)..];
                simd.int8_gate_columns(rows, k, weight.panel(panel), tile);
            }
            (InputRows::Bf16(input, simd), Matrix::Bf16(weight)) => {
                let k = Matrix::Bf16(weight).k();
                let (stride, words) = (Simd::bf16_stride(k), k.div_ceil(2));
                simd.gate_columns(
                    &input[row * stride..],
                    stride,
                    words,
                    weight.panel(panel),
                    tile,
                );
            }
            _ => unreachable!("input rows have the dtype of the matrix"),
        },
    );
}
