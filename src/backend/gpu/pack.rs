//! Packs a tensor into the 32-bit words that its kernel reads.
//!
//! The matrices of a block are transposed, padded and converted to the weight dtype; the section
//! "Weights" of `shaders/README.md` has the layout. Other tensors stay f32. `unpack4` of
//! `shaders/shared/weights.wgsl` is the inverse.

use crate::model::dtype::{WeightDtype, bf16_bits, f16_bits, int8_rows, takes_dtype};
use crate::model::weights::{Tensor, Weight};

/// Returns the value of the kernels' constant `FORMAT` for a weight dtype.
pub(super) fn format_code(dtype: WeightDtype) -> usize {
    match dtype {
        WeightDtype::F32 => 0,
        WeightDtype::F16 => 1,
        WeightDtype::Bf16 => 2,
        WeightDtype::Int8 => 3,
    }
}

/// Returns the words of a tensor.
///
/// The matrices of a block take the weight dtype and are stored as `[K, parts, N]`, padded with
/// zeros: K to a multiple of 4, N to a multiple of 16. For int8 the f32 scales `[parts, N]` follow.
pub(super) fn pack(weight: Weight, tensor: &Tensor, dtype: WeightDtype) -> Vec<u32> {
    let width = tensor.shape.last().copied().unwrap_or(1).max(1);
    let data = &tensor.data;
    if !takes_dtype(weight) {
        let transposed =
            (weight == Weight::LmHead).then(|| transpose_padded(data, width, 1, [1, 1]));
        return transposed
            .as_ref()
            .unwrap_or(data)
            .iter()
            .map(|v| v.to_bits())
            .collect();
    }
    let parts = match weight {
        Weight::GateUp(..) | Weight::TokenGateUp(..) | Weight::UnitGateUp(..) => 2,
        _ => 1,
    };
    let halves = |bits: fn(f32) -> u16| {
        let all: Vec<u16> = data.iter().map(|&v| bits(v)).collect();
        let pairs = transpose_padded(&all, width, parts, [4, 16]);
        pairs
            .chunks_exact(2)
            .map(|pair| {
                pair.iter()
                    .rev()
                    .fold(0, |word, &v| word << 16 | u32::from(v))
            })
            .collect()
    };
    match dtype {
        WeightDtype::F32 => transpose_padded(data, width, parts, [4, 16])
            .iter()
            .map(|v| v.to_bits())
            .collect(),
        WeightDtype::F16 => halves(f16_bits),
        WeightDtype::Bf16 => halves(bf16_bits),
        WeightDtype::Int8 => {
            let rows = int8_rows(data, width);
            let bytes = transpose_padded(&rows.values, width, parts, [4, 16]);
            let word = |four: &[i8]| {
                four.iter()
                    .rev()
                    .fold(0, |word, &v| word << 8 | u32::from(v as u8))
            };
            let scales = transpose_padded(&rows.scales, 1, parts, [1, 16]);
            bytes
                .chunks_exact(4)
                .map(word)
                .chain(scales.iter().map(|v| v.to_bits()))
                .collect()
        }
    }
}

/// Transposes `[parts * N, K]` to `[K, parts, N]`, padded with zeros: K to a multiple of
/// `k_multiple`, N to a multiple of `n_multiple`.
fn transpose_padded<T: Copy + Default>(
    data: &[T],
    k: usize,
    parts: usize,
    [k_multiple, n_multiple]: [usize; 2],
) -> Vec<T> {
    let n = (data.len() / k / parts).max(1);
    let stride = n.next_multiple_of(n_multiple);
    let mut out = vec![T::default(); k.next_multiple_of(k_multiple) * parts * stride];
    for (row, values) in data.chunks_exact(k).enumerate() {
        let column = row / n * stride + row % n;
        let targets = out.iter_mut().skip(column).step_by(parts * stride);
        targets
            .zip(values)
            .for_each(|(target, value)| *target = *value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Level;

    fn tensor(rows: usize, width: usize) -> Tensor {
        Tensor {
            shape: vec![rows, width],
            data: (0..rows * width).map(|i| i as f32 - 3.0).collect(),
        }
    }

    #[test]
    fn transposing_splits_and_pads() {
        let rows: Vec<i8> = (0..12).collect();
        let want = [0, 2, 4, 0, 6, 8, 10, 0, 1, 3, 5, 0, 7, 9, 11, 0];
        assert_eq!(transpose_padded(&rows, 2, 2, [1, 4]), want);
        assert_eq!(transpose_padded(&rows, 2, 2, [4, 4])[..16], want);
        assert_eq!(transpose_padded(&rows, 2, 2, [4, 4])[16..], [0; 16]);
        assert_eq!(
            transpose_padded(&rows, 2, 1, [1, 1])[..6],
            [0, 2, 4, 6, 8, 10]
        );
    }

    #[test]
    fn words_hold_what_the_shaders_unpack() {
        let (weight, tensor) = (Weight::Down(Level::L, 0), tensor(3, 2));
        // Column 0 of rows 0, 1 and 2 is -3, -1, 1.
        let f32s = pack(weight, &tensor, WeightDtype::F32);
        assert_eq!(f32s.len(), 64);
        assert_eq!(
            f32s[..4],
            [(-3f32).to_bits(), (-1f32).to_bits(), 1f32.to_bits(), 0]
        );
        assert_eq!(
            pack(weight, &tensor, WeightDtype::F16)[..2],
            [0xbc00_c200, 0x0000_3c00]
        );
        assert_eq!(
            pack(weight, &tensor, WeightDtype::Bf16)[..2],
            [0xbf80_c040, 0x0000_3f80]
        );
        let int8 = pack(weight, &tensor, WeightDtype::Int8);
        // Row 1 is -1, 0 and row 2 is 1, 2. Rounding 127 / 2 gives 63 or 64.
        assert_eq!(int8.len(), 16 + 16);
        assert_eq!(int8[0] & 0xffff, 0x8181);
        assert!([63, 64].contains(&(int8[0] >> 16)), "{:x}", int8[0]);
        assert_eq!(
            int8[16..19]
                .iter()
                .map(|&b| f32::from_bits(b))
                .collect::<Vec<_>>(),
            [3.0 / 127.0, 1.0 / 127.0, 2.0 / 127.0]
        );
        assert_eq!(int8[19..], [0; 13]);
    }

    #[test]
    fn heads_stay_f32() {
        for dtype in WeightDtype::ALL {
            let words = pack(Weight::LmHead, &tensor(2, 3), dtype);
            assert_eq!(words, [-3f32, 0.0, -2.0, 1.0, -1.0, 2.0].map(f32::to_bits));
            assert_eq!(
                pack(Weight::QHead, &tensor(2, 3), dtype)[1],
                (-2f32).to_bits()
            );
        }
    }
}
