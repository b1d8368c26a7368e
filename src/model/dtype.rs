//! Weight dtypes: f32, and f32 rounded to f16, bf16, or int8 with one scale per output row.
//!
//! Only the matrices of a block take a dtype ([`takes_dtype`]). Embeddings, heads and biases
//! stay f32. They are a few percent of a model, a step reads them once, and they have the most
//! influence on the answer.

use std::fmt;
use std::str::FromStr;

use half::{bf16, f16};

use crate::error::{Error, Hint, Result};
use crate::model::weights::{Tensor, Weight, Weights};

/// The element type in which the matrices of the blocks are stored.
///
/// ```
/// use trm_runtime::WeightDtype;
///
/// assert_eq!("bf16".parse::<WeightDtype>()?, WeightDtype::Bf16);
/// assert_eq!(WeightDtype::default().name(), "f32");
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum WeightDtype {
    /// 32-bit float, exactly as read from the checkpoint.
    #[default]
    F32,
    /// 16-bit float with 11 significant bits.
    F16,
    /// 16-bit float with 8 significant bits: the upper half of an f32.
    Bf16,
    /// 8-bit integer, with an f32 scale per output row.
    Int8,
}

impl WeightDtype {
    /// All dtypes, the exact one first.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Int8];

    /// Returns the name: `f32`, `f16`, `bf16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

impl fmt::Display for WeightDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WeightDtype {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|dtype| dtype.name() == name);
        found.ok_or_else(|| {
            Error::argument(format!(
                "unknown weight dtype {name:?}: expected f32, f16, bf16 or int8"
            ))
        })
    }
}

/// Returns whether a tensor is one of the matrices that take a [`WeightDtype`]. All others stay
/// f32.
pub fn takes_dtype(weight: Weight) -> bool {
    matches!(
        weight,
        Weight::Qkv(..)
            | Weight::OProj(..)
            | Weight::GateUp(..)
            | Weight::Down(..)
            | Weight::TokenGateUp(..)
            | Weight::TokenDown(..)
            | Weight::UnitGateUp(..)
            | Weight::UnitDown(..)
    )
}

/// Returns the bits of the nearest f16, ties to even. A finite value stays finite: magnitudes above
/// 65504 become 65504.
pub fn f16_bits(value: f32) -> u16 {
    let limit = f16::MAX.to_f32();
    let value = if value.is_finite() {
        value.clamp(-limit, limit)
    } else {
        value
    };
    f16::from_f32(value).to_bits()
}

/// Returns the bits of the nearest bf16, ties to even. A finite value stays finite.
pub fn bf16_bits(value: f32) -> u16 {
    let limit = bf16::MAX.to_f32();
    let value = if value.is_finite() {
        value.clamp(-limit, limit)
    } else {
        value
    };
    bf16::from_f32(value).to_bits()
}

/// Checks that no finite value is beyond the range of `dtype`.
///
/// # Errors
/// [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) names the first value that is.
pub(crate) fn check_range(data: &[f32], dtype: WeightDtype) -> Result<()> {
    let limit = match dtype {
        WeightDtype::F16 => f16::MAX.to_f32(),
        WeightDtype::Bf16 => bf16::MAX.to_f32(),
        // Its scale is an f32.
        WeightDtype::F32 | WeightDtype::Int8 => return Ok(()),
    };
    match data.iter().find(|v| v.is_finite() && v.abs() > limit) {
        Some(value) => {
            let message = format!("holds {value:e}; the largest number of {dtype} is {limit:e}");
            Err(Error::checkpoint(message).with_hint(Hint::RepairWeights))
        }
        None => Ok(()),
    }
}

/// Returns the value of the f16 with these bits.
pub fn from_f16_bits(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32()
}

/// Returns the value of the bf16 with these bits.
pub fn from_bf16_bits(bits: u16) -> f32 {
    bf16::from_bits(bits).to_f32()
}

/// A matrix in int8. An element stands for `value * scale of its row`.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Rows {
    /// Values from -127 to 127, `[rows, width]`.
    pub values: Vec<i8>,
    /// Scale of each row, `[rows]`.
    pub scales: Vec<f32>,
}

/// Quantises `[rows, width]` elements to int8 with one scale per row, the largest magnitude of the
/// row divided by 127. The zero point is 0.
///
/// A row of zeros gets scale 0. A row with an infinite element or a NaN gets the scale NaN, so that
/// the damage stays visible in every product of the row.
pub fn int8_rows(data: &[f32], width: usize) -> Int8Rows {
    let mut rows = Int8Rows {
        values: Vec::with_capacity(data.len()),
        scales: Vec::with_capacity(data.len() / width.max(1)),
    };
    for row in data.chunks_exact(width.max(1)) {
        let scale = int8_scale(row);
        rows.values.extend(row.iter().map(|v| int8(*v, scale)));
        rows.scales.push(scale);
    }
    rows
}

/// Returns the scale of a row in int8. The values of a quantised row give the same scale again, so
/// that quantising twice equals quantising once.
pub(crate) fn int8_scale(row: &[f32]) -> f32 {
    let largest = row.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    // 0 times infinity and 0 times NaN are NaN.
    if row.iter().map(|v| v * 0.0).sum::<f32>().is_nan() {
        return f32::NAN;
    }
    // 127 times the quotient is off by less than half a unit in the last place, so it rounds to
    // `largest` again. Near f32::MAX that product would be infinite, hence the bound.
    largest.min(3.4e38) / 127.0
}

/// Returns an element of a row in int8, from -127 to 127.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the last bits hold the number"
)]
pub(crate) fn int8(value: f32, scale: f32) -> i8 {
    // 1.5 * 2^23: adding it leaves the nearest integer, ties to even, in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // A subnormal scale is itself rounded, even to 0. The clamp keeps quotients beyond 127 at 127.
    let value = if scale > 0.0 { value / scale } else { 0.0 };
    (value.clamp(-127.0, 127.0) + ROUND).to_bits() as i8
}

impl Int8Rows {
    /// Returns the f32 values that the rows stand for, `[rows, width]`.
    pub fn values(&self) -> Vec<f32> {
        let width = self.values.len() / self.scales.len().max(1);
        let rows = self.values.chunks_exact(width.max(1)).zip(&self.scales);
        rows.flat_map(|(row, scale)| row.iter().map(move |v| f32::from(*v) * scale))
            .collect()
    }
}

impl Weights {
    /// Checks that every number of the matrices that take `dtype` is within its range. Rounding
    /// would replace a larger one by the largest of the range.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) names the tensor.
    pub fn check_range(&self, dtype: WeightDtype) -> Result<()> {
        let sorted = self.sorted().into_iter();
        sorted
            .filter(|(weight, _)| takes_dtype(*weight))
            .try_for_each(|(weight, tensor)| {
                check_range(&tensor.data, dtype)
                    .map_err(|e| e.context(format!("tensor \"{}\"", weight.name())))
            })
    }

    /// Returns these weights rounded to `dtype` and converted back to f32. The reference backend
    /// computes with them to check a backend that stores weights in `dtype`.
    #[must_use]
    pub fn rounded(self, dtype: WeightDtype) -> Self {
        let rounded = |(weight, tensor): (Weight, Tensor)| {
            let tensor = if takes_dtype(weight) {
                rounded(tensor, dtype)
            } else {
                tensor
            };
            (weight, tensor)
        };
        Self::from_tensors(self.into_tensors().map(rounded).collect())
    }
}

fn rounded(mut tensor: Tensor, dtype: WeightDtype) -> Tensor {
    let each =
        |data: &mut [f32], round: fn(f32) -> f32| data.iter_mut().for_each(|v| *v = round(*v));
    match dtype {
        WeightDtype::F32 => {}
        WeightDtype::F16 => each(&mut tensor.data, |v| from_f16_bits(f16_bits(v))),
        WeightDtype::Bf16 => each(&mut tensor.data, |v| from_bf16_bits(bf16_bits(v))),
        WeightDtype::Int8 => {
            let width = tensor.shape.last().copied().unwrap_or(1);
            tensor.data = int8_rows(&tensor.data, width).values();
        }
    }
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Level;

    #[test]
    fn names_are_read_back() {
        for dtype in WeightDtype::ALL {
            assert_eq!(dtype.name().parse::<WeightDtype>().unwrap(), dtype);
        }
        assert!("F32".parse::<WeightDtype>().is_err());
    }

    #[test]
    fn halves_are_nearest_ties_to_even_and_stay_finite() {
        // 1 + 2^-11 is halfway between 1 and 1 + 2^-10, and 1 + 3 * 2^-11 halfway between an odd
        // and an even neighbour.
        let step = 2f32.powi(-10);
        assert_eq!(from_f16_bits(f16_bits(1.0 + step / 2.0)), 1.0);
        assert_eq!(from_f16_bits(f16_bits(1.0 + step * 1.5)), 1.0 + 2.0 * step);
        assert_eq!(from_f16_bits(f16_bits(-1e6)), -65504.0);
        assert_eq!(from_f16_bits(f16_bits(6e-8)), 2f32.powi(-24));
        let step = 2f32.powi(-7);
        assert_eq!(from_bf16_bits(bf16_bits(1.0 + step / 2.0)), 1.0);
        assert_eq!(
            from_bf16_bits(bf16_bits(1.0 + step * 1.5)),
            1.0 + 2.0 * step
        );
        assert!(from_bf16_bits(bf16_bits(f32::MAX)).is_finite());
        for bits in [f16_bits, bf16_bits] {
            assert_eq!(bits(f32::NEG_INFINITY) >> 15, 1);
        }
        assert!(
            from_f16_bits(f16_bits(f32::NAN)).is_nan()
                && from_bf16_bits(bf16_bits(f32::NAN)).is_nan()
        );
        assert!(from_f16_bits(f16_bits(f32::INFINITY)).is_infinite());
    }

    #[test]
    fn rows_of_int8_reach_their_largest_value_and_round_to_even() {
        let rows = int8_rows(&[-254.0, 1.0, 3.0, 200.0, 0.0, 0.0, -0.0, 0.0], 4);
        assert_eq!(rows.values, [-127, 0, 2, 100, 0, 0, 0, 0]);
        assert_eq!(rows.scales, [2.0, 0.0]);
        assert_eq!(rows.values(), [-254.0, 0.0, 4.0, 200.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn every_row_is_off_by_half_a_step_at_most() {
        let data: Vec<f32> = (0..600)
            .map(|i| ((i * i) as f32 * 0.37).sin() * (1 + i / 60) as f32)
            .collect();
        let rows = int8_rows(&data, 60);
        for (i, (got, want)) in rows.values().iter().zip(&data).enumerate() {
            let step = rows.scales[i / 60];
            assert!((got - want).abs() <= 0.5001 * step, "{i}: {got} for {want}");
        }
        assert!(rows.values.iter().any(|v| v.abs() == 127));
    }

    #[test]
    fn rounding_twice_is_rounding_once() {
        for i in 0..20_000u32 {
            let largest = f32::from_bits(0x3f80_0000 + i * 977);
            let once = int8_rows(&[largest, -0.3 * largest, 0.0, 0.77 * largest], 4);
            assert_eq!(int8_rows(&once.values(), 4), once, "{largest}");
        }
        for largest in [f32::MAX, f32::MIN_POSITIVE, 1e-40, 1e-44] {
            let once = int8_rows(&[largest, -largest], 2);
            assert!(once.values().iter().all(|v| v.is_finite()), "{largest}");
            assert_eq!(int8_rows(&once.values(), 2), once, "{largest}");
        }
    }

    /// A row of tiny values adds no error, and the damage of a damaged row stays visible.
    #[test]
    fn extreme_rows_are_harmless_or_visible() {
        let tiny = int8_rows(&[1e-45, -1e-45], 2);
        assert!(tiny.values().iter().all(|v| v.abs() <= 1e-43));
        let huge = int8_rows(&[f32::MAX, -f32::MAX], 2);
        assert_eq!(huge.values, [127, -127]);
        for damage in [f32::NAN, f32::INFINITY] {
            let rows = int8_rows(&[1.0, damage, 1.0, 2.0], 2);
            assert!(rows.values()[..2].iter().all(|v| v.is_nan()), "{damage}");
            assert_eq!(rows.values[2..], [64, 127]);
        }
    }

    #[test]
    fn weights_beyond_the_range_of_a_dtype_are_errors() {
        let with = |weight, value| {
            let shape = vec![2, 3];
            let data = vec![0.1, value, 0.2, 0.3, 0.4, 0.5];
            Weights::from_tensors([(weight, Tensor { shape, data })].into())
        };
        let block = Weight::Down(Level::L, 0);
        let error = with(block, -1e6).check_range(WeightDtype::F16).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tensor \"L_level.layers.0.mlp.down_proj.weight\": holds -1e6; the largest number of \
             f16 is 6.5504e4"
        );
        assert!(
            with(block, f32::MAX)
                .check_range(WeightDtype::Bf16)
                .is_err()
        );
        // These fit: another dtype, the largest number, and a tensor that stays f32.
        assert!(with(block, -1e6).check_range(WeightDtype::Bf16).is_ok());
        assert!(with(block, f32::MAX).check_range(WeightDtype::Int8).is_ok());
        assert!(with(block, 65504.0).check_range(WeightDtype::F16).is_ok());
        assert!(
            with(Weight::LmHead, 1e6)
                .check_range(WeightDtype::F16)
                .is_ok()
        );
        // Every backend checks it.
        let cpu = crate::backend::cpu::Cpu::new(Some(1)).unwrap();
        let cpu = cpu.with_dtype(WeightDtype::F16);
        assert!(crate::backend::Backend::load(&cpu, with(block, 1e6)).is_err());
    }

    #[test]
    fn only_matrices_of_blocks_are_rounded() {
        let tensor = |shape: Vec<usize>| {
            let len = shape.iter().product();
            Tensor {
                shape,
                data: vec![0.1; len],
            }
        };
        let block = Weight::Down(Level::L, 1);
        let tensors = [
            (Weight::LmHead, tensor(vec![2, 3])),
            (block, tensor(vec![3, 2])),
        ];
        let weights = Weights::from_tensors(tensors.into_iter().collect());
        for dtype in [WeightDtype::F16, WeightDtype::Bf16] {
            let rounded = weights.clone().rounded(dtype);
            assert_eq!(rounded.get(Weight::LmHead).data, [0.1; 6]);
            assert_ne!(rounded.get(block).data, [0.1; 6]);
        }
        let exact = weights.clone().rounded(WeightDtype::F32);
        assert_eq!(exact.get(block).data, [0.1; 6]);
        let rounded = weights.rounded(WeightDtype::Int8);
        assert!(
            rounded
                .get(block)
                .data
                .iter()
                .all(|v| (v - 0.1).abs() < 1e-7)
        );
    }
}
