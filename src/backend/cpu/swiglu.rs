use super::packed::Matrix;
use super::project::{Rows, each};
use super::simd::{Place, Simd, Tile};

/// Some rows and columns of: input `[L, D]`, gate_up `[2I, D]` -> silu(gate) * up `[L, I]`.
pub(super) fn swiglu(simd: Simd, input: Rows<'_>, gate_up: Matrix<'_>, place: &Place, out: Tile<'_>) {
    each(simd, simd.cols() / 2, place, out, |panel, row, tile| {
        match (input, gate_up) {
            (Rows::F32(input), Matrix::F32(weight)) => {
                let k = Matrix::F32(weight).k();
                simd.gate_columns(&input[row * k..], k, k, weight.group(panel), tile);
            }
            (Rows::Int8(input), Matrix::Int8(weight)) => {
                let k = Matrix::Int8(weight).k();
                let rows = &input[row * Simd::int8_stride(k)..];
                simd.int8_gate_columns(rows, k, weight.group(panel), tile);
            }
            (Rows::Bf16(input, simd), Matrix::Bf16(weight)) => {
                let k = Matrix::Bf16(weight).k();
                let (stride, words) = (Simd::bf16_stride(k), k.div_ceil(2));
                simd.gate_columns(&input[row * stride..], stride, words, weight.group(panel), tile);
            }
            _ => unreachable!("rows are in the format of the matrix"),
        }
    });
}
