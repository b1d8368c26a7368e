//! Weights in the order in which the loops read them, packed once.

use std::collections::HashMap;

use super::aligned::Aligned;
use super::simd::{Int8Group, Shift, Simd, for_each_chosen};
use crate::model::dtype::{WeightDtype, int8, int8_scale, takes_dtype};
use crate::model::weights::{Tensor, Weight, Weights};

/// All weights of a model.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Those of `f32`.
    floats: HashMap<Weight, Packed>,
    int8: HashMap<Weight, Int8Packed>,
    /// In words of two along k.
    bf16: HashMap<Weight, Packed>,
}

/// A matrix that a product reads.
#[derive(Clone, Copy)]
pub(super) enum Matrix<'a> {
    F32(&'a Packed),
    Int8(&'a Int8Packed),
    Bf16(&'a Packed),
}

impl Prepared {
    /// Packs them, one after the other, so that never all are there twice.
    pub(super) fn of(weights: Weights, simd: Simd, format: WeightDtype, shift: &mut Shift<'_>) -> Prepared {
        let mut prepared = Prepared::default();
        for (weight, tensor) in weights.into_tensors() {
            match (Order::of(weight, &tensor, simd), format) {
                (Some(order), WeightDtype::Int8) if takes_dtype(weight) => {
                    prepared
                        .int8
                        .insert(weight, Int8Packed::of(&order, &tensor, shift));
                }
                (Some(order), WeightDtype::Bf16) if takes_dtype(weight) && simd.bf16().is_some() => {
                    let packed = Packed::of_bf16(&order, &tensor, simd, shift);
                    prepared.bf16.insert(weight, packed);
                }
                (Some(order), _) => {
                    prepared.floats.insert(weight, Packed::of(&order, &tensor, shift));
                }
                (None, _) => {
                    let mut data = Aligned::zeros(tensor.data.len());
                    data.get_mut().copy_from_slice(&tensor.data);
                    let k = tensor.shape.last().copied().unwrap_or(1);
                    prepared.floats.insert(weight, Packed { data, group: k, k });
                }
            }
        }
        prepared
    }

    /// A tensor that no product reads, as it is; of others what was packed.
    pub(super) fn plain(&self, weight: Weight) -> &[f32] {
        self.floats[&weight].data.get()
    }

    /// Whether some are in int8.
    pub(super) fn has_int8(&self) -> bool {
        !self.int8.is_empty()
    }

    /// Whether some are in bf16.
    pub(super) fn has_bf16(&self) -> bool {
        !self.bf16.is_empty()
    }

    /// A matrix.
    pub(super) fn matrix(&self, weight: Weight) -> Matrix<'_> {
        if let Some(int8) = self.int8.get(&weight) {
            return Matrix::Int8(int8);
        }
        match self.bf16.get(&weight) {
            Some(bf16) => Matrix::Bf16(bf16),
            None => Matrix::F32(&self.floats[&weight]),
        }
    }
}

impl Matrix<'_> {
    /// K.
    pub(super) fn k(self) -> usize {
        match self {
            Matrix::F32(packed) | Matrix::Bf16(packed) => packed.k,
            Matrix::Int8(packed) => packed.k,
        }
    }
}

/// In which order the rows of a matrix `[N, K]` are packed: in groups of as many as a tile has columns (a panel) or rows (a strip).
struct Order {
    rows: usize,
    k: usize,
    width: usize,
    /// Each group has rows of the first half of the matrix, gates, then as many of the second, which go through them.
    halves: bool,
    /// What bytes of activations are too large by.
    zero: i32,
}

impl Order {
    /// None for a tensor that no product reads.
    fn of(weight: Weight, tensor: &Tensor, simd: Simd) -> Option<Order> {
        let (width, halves) = match weight {
            Weight::GateUp(..) => (simd.cols(), true),
            Weight::Qkv(..) | Weight::OProj(..) | Weight::Down(..) | Weight::LmHead => (simd.cols(), false),
            Weight::TokenGateUp(..) => (simd.rows(), true),
            Weight::TokenDown(..) => (simd.rows(), false),
            _ => return None,
        };
        let k = tensor.shape.last().copied().unwrap_or(1);
        Some(Order {
            rows: tensor.data.len() / k.max(1),
            k,
            width,
            halves,
            zero: i32::from(simd.int8_zero()),
        })
    }

    fn groups(&self) -> usize {
        self.rows.div_ceil(self.width)
    }

    /// Which row a lane of a group is; none beyond the last.
    fn row(&self, group: usize, lane: usize) -> Option<usize> {
        if !self.halves {
            return Some(group * self.width + lane).filter(|row| *row < self.rows);
        }
        let (half, width) = (self.rows / 2, self.width / 2);
        let row = group * width + lane % width;
        (row < half).then_some(lane / width * half + row)
    }
}

impl Order {
    /// A group of `f32`.
    fn pack(&self, tensor: &Tensor, index: usize, group: &mut [f32]) {
        /// Of k at a time: what is written stays in the nearest cache.
        const BLOCK: usize = 64;
        let (k, width) = (self.k, self.width);
        for (block, out) in group.chunks_mut(BLOCK * width).enumerate() {
            for lane in 0..width {
                let Some(row) = self.row(index, lane) else {
                    continue;
                };
                let from = &tensor.data[row * k + block * BLOCK..][..out.len() / width];
                for (to, from) in out.chunks_exact_mut(width).zip(from) {
                    to[lane] = *from;
                }
            }
        }
    }

    /// A group of bf16; `words` is room for a row.
    fn pack_bf16(&self, tensor: &Tensor, index: usize, simd: Simd, words: &mut [f32], group: &mut [f32]) {
        for lane in 0..self.width {
            let Some(row) = self.row(index, lane) else {
                continue;
            };
            simd.bf16_row(&tensor.data[row * self.k..][..self.k], words);
            for (to, word) in group.chunks_exact_mut(self.width).zip(&*words) {
                to[lane] = *word;
            }
        }
    }

    /// A lane of a group in int8; its sum, and what a byte is worth.
    fn pack_int8(&self, row: &[f32], lane: usize, words: &mut [u32]) -> (i32, f32) {
        let scale = int8_scale(row);
        let mut sum = 0;
        for (words, four) in words.chunks_exact_mut(self.width).zip(row.chunks(4)) {
            let mut bytes = [0u8; 4];
            bytes
                .iter_mut()
                .zip(four)
                .for_each(|(b, x)| *b = int8(*x, scale) as u8);
            sum += bytes.iter().map(|b| i32::from(*b as i8)).sum::<i32>();
            words[lane] = u32::from_ne_bytes(bytes);
        }
        (sum, scale)
    }
}

/// A matrix of `f32`: group after group, and in each k after k the elements of its rows. What is missing from the last group is zero.
#[derive(Debug)]
pub(super) struct Packed {
    data: Aligned,
    /// Elements of a group.
    group: usize,
    k: usize,
}

impl Packed {
    fn of(order: &Order, tensor: &Tensor, shift: &mut Shift<'_>) -> Packed {
        Packed::with(order, order.k, shift, |index, group| {
            order.pack(tensor, index, group)
        })
    }

    fn of_bf16(order: &Order, tensor: &Tensor, simd: Simd, shift: &mut Shift<'_>) -> Packed {
        let words = order.k.div_ceil(2);
        Packed::with(order, words, shift, |index, group| {
            order.pack_bf16(tensor, index, simd, &mut vec![0.0; words], group);
        })
    }

    /// Groups of so many words along k, each packed by `pack(index, group)`.
    fn with(
        order: &Order,
        words: usize,
        shift: &mut Shift<'_>,
        pack: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Packed {
        let len = words * order.width;
        let mut data = Aligned::zeros(order.groups() * len);
        let mut groups: Vec<_> = data.get_mut().chunks_exact_mut(len.max(1)).enumerate().collect();
        let all: Vec<usize> = (0..groups.len()).collect();
        for_each_chosen(shift, &mut groups, &all, |(index, group), _| {
            pack(*index, group);
        });
        Packed {
            data,
            group: len,
            k: order.k,
        }
    }

    /// A panel or a strip.
    pub(super) fn group(&self, index: usize) -> &[f32] {
        &self.data.get()[index * self.group..][..self.group]
    }
}

/// A matrix in int8, with a scale for each row: as [`Packed`], in words of four elements along k, zeros beyond the last.
#[derive(Debug)]
pub(super) struct Int8Packed {
    words: Aligned<u32>,
    /// What sums start with: what the bytes of activations are too large by, times the sum of the row, taken away.
    bias: Aligned<u32>,
    scale: Aligned,
    width: usize,
    k: usize,
}

impl Int8Packed {
    fn of(order: &Order, tensor: &Tensor, shift: &mut Shift<'_>) -> Int8Packed {
        let (k, width) = (order.k, order.width);
        let (lanes, len) = (order.groups() * width, k.div_ceil(4) * width);
        let (mut words, mut bias, mut scale) = (
            Aligned::zeros(order.groups() * len),
            Aligned::zeros(lanes),
            Aligned::zeros(lanes),
        );
        let of_group = words.get_mut().chunks_exact_mut(len.max(1));
        let of_lanes = bias
            .get_mut()
            .chunks_exact_mut(width)
            .zip(scale.get_mut().chunks_exact_mut(width));
        let mut groups: Vec<_> = of_group.zip(of_lanes).enumerate().collect();
        let all: Vec<usize> = (0..groups.len()).collect();
        for_each_chosen(shift, &mut groups, &all, |(index, (words, (bias, scale))), _| {
            for lane in 0..width {
                let Some(row) = order.row(*index, lane) else {
                    continue;
                };
                let (sum, worth) = order.pack_int8(&tensor.data[row * k..][..k], lane, words);
                (bias[lane], scale[lane]) = ((-order.zero * sum) as u32, worth);
            }
        });
        Int8Packed {
            words,
            bias,
            scale,
            width,
            k,
        }
    }

    /// A panel or a strip.
    pub(super) fn group(&self, index: usize) -> Int8Group<'_> {
        let (lanes, words) = (index * self.width, self.k.div_ceil(4) * self.width);
        Int8Group {
            words: &self.words.get()[index * words..][..words],
            bias: &self.bias.get()[lanes..][..self.width],
            scale: &self.scale.get()[lanes..][..self.width],
        }
    }
}
