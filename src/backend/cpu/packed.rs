//! Weights in the layout that the micro-kernels read, packed once when a model is loaded.

use std::collections::HashMap;

use super::aligned::Aligned;
use super::pool::PoolScope;
use super::simd::{Int8Panel, PackedWord, Simd, for_each_chosen};
use crate::model::dtype::{WeightDtype, int8, int8_scale, takes_dtype};
use crate::model::weights::{Tensor, Weight, Weights};

/// All weights of a model.
#[derive(Debug, Default)]
pub(super) struct PackedWeights {
    floats: HashMap<Weight, PackedMatrix>,
    int8: HashMap<Weight, PackedInt8Matrix>,
    /// Matrices of words of two bf16 along k.
    bf16: HashMap<Weight, PackedMatrix>,
}

/// A packed matrix, as a product reads it.
#[derive(Clone, Copy)]
pub(super) enum Matrix<'a> {
    F32(&'a PackedMatrix),
    Int8(&'a PackedInt8Matrix),
    Bf16(&'a PackedMatrix),
}

/// The number format in which products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    F32,
    Int8,
    Bf16,
}

impl PackedWeights {
    /// Packs the weights one after the other, so that only one of them exists twice at a time.
    pub(super) fn of(
        weights: Weights,
        simd: Simd,
        dtype: WeightDtype,
        scope: &mut PoolScope<'_>,
    ) -> Self {
        let mut all = Self::default();
        for (weight, tensor) in weights.into_tensors() {
            match (PackLayout::of(weight, &tensor, simd), dtype) {
                (Some(layout), WeightDtype::Int8) if takes_dtype(weight) => {
                    let packed = PackedInt8Matrix::of(&layout, &tensor, scope);
                    all.int8.insert(weight, packed);
                }
                (Some(layout), WeightDtype::Bf16)
                    if takes_dtype(weight) && simd.bf16().is_some() =>
                {
                    let packed = PackedMatrix::of_bf16(&layout, &tensor, simd, scope);
                    all.bf16.insert(weight, packed);
                }
                (Some(layout), _) => {
                    let packed = PackedMatrix::of(&layout, &tensor, scope);
                    all.floats.insert(weight, packed);
                }
                (None, _) => {
                    let mut data = Aligned::zeros(tensor.data.len());
                    data.get_mut().copy_from_slice(&tensor.data);
                    let k = tensor.shape.last().copied().unwrap_or(1);
                    let plain = PackedMatrix {
                        data,
                        panel_len: k,
                        k,
                    };
                    all.floats.insert(weight, plain);
                }
            }
        }
        all
    }

    /// Returns a tensor that no product reads, as it is. Other tensors are returned packed.
    pub(super) fn plain(&self, weight: Weight) -> &[f32] {
        self.floats[&weight].data.get()
    }

    /// Returns the arithmetic of the blocks' products.
    pub(super) fn arithmetic(&self) -> Arithmetic {
        if !self.int8.is_empty() {
            Arithmetic::Int8
        } else if !self.bf16.is_empty() {
            Arithmetic::Bf16
        } else {
            Arithmetic::F32
        }
    }

    /// Returns a matrix that a product reads.
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
    /// Returns K, the number of columns before packing.
    pub(super) fn k(self) -> usize {
        match self {
            Matrix::F32(packed) | Matrix::Bf16(packed) => packed.k,
            Matrix::Int8(packed) => packed.k,
        }
    }

    /// Returns the arithmetic of products with this matrix.
    pub(super) fn arithmetic(self) -> Arithmetic {
        match self {
            Matrix::F32(_) => Arithmetic::F32,
            Matrix::Int8(_) => Arithmetic::Int8,
            Matrix::Bf16(_) => Arithmetic::Bf16,
        }
    }
}

/// How the rows of a matrix `[N, K]` are packed: in panels of as many rows as a tile has columns
/// (right operand) or rows (left operand).
struct PackLayout {
    rows: usize,
    k: usize,
    /// Rows of a panel.
    width: usize,
    /// Whether the matrix is gate and up, one above the other. Then the first half of each panel is
    /// rows of gate, and the second half the matching rows of up.
    is_gate_up: bool,
    /// Zero point of int8 activations.
    zero_point: i32,
}

impl PackLayout {
    /// Returns the layout of a matrix, or `None` for a tensor that no product reads.
    fn of(weight: Weight, tensor: &Tensor, simd: Simd) -> Option<Self> {
        let (width, is_gate_up) = match weight {
            Weight::GateUp(..) | Weight::UnitGateUp(..) => (simd.cols(), true),
            Weight::Qkv(..)
            | Weight::OProj(..)
            | Weight::Down(..)
            | Weight::UnitDown(..)
            | Weight::LmHead => (simd.cols(), false),
            Weight::TokenGateUp(..) => (simd.rows(), true),
            Weight::TokenDown(..) => (simd.rows(), false),
            _ => return None,
        };
        let k = tensor.shape.last().copied().unwrap_or(1);
        Some(Self {
            rows: tensor.data.len() / k.max(1),
            k,
            width,
            is_gate_up,
            zero_point: i32::from(simd.int8_zero_point()),
        })
    }

    /// Returns the number of panels.
    fn panels(&self) -> usize {
        self.rows.div_ceil(self.width)
    }

    /// Returns the row of the matrix at a lane of a panel, or `None` for padding.
    fn row(&self, panel: usize, lane: usize) -> Option<usize> {
        if !self.is_gate_up {
            return Some(panel * self.width + lane).filter(|row| *row < self.rows);
        }
        let (half, width) = (self.rows / 2, self.width / 2);
        let row = panel * width + lane % width;
        (row < half).then_some(lane / width * half + row)
    }
}

impl PackLayout {
    /// Packs panel `index` of f32.
    fn pack(&self, tensor: &Tensor, index: usize, panel: &mut [f32]) {
        /// Elements along k that are packed at once, so that the output stays in the L1 cache.
        const BLOCK: usize = 64;
        let (k, width) = (self.k, self.width);
        for (block, out) in panel.chunks_mut(BLOCK * width).enumerate() {
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

    /// Packs panel `index` of bf16. `words` is scratch memory for a row.
    fn pack_bf16(
        &self,
        tensor: &Tensor,
        index: usize,
        simd: Simd,
        words: &mut [PackedWord],
        panel: &mut [PackedWord],
    ) {
        for lane in 0..self.width {
            let Some(row) = self.row(index, lane) else {
                continue;
            };
            simd.bf16_row(&tensor.data[row * self.k..][..self.k], words);
            for (to, word) in panel.chunks_exact_mut(self.width).zip(&*words) {
                to[lane] = *word;
            }
        }
    }

    /// Quantises a row into a lane of an int8 panel. Returns the sum of its values, and its scale.
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

/// A matrix of [words](PackedWord), f32 or bf16. Panel follows panel, and within a panel, for each
/// word along k, one element of each row. Padding of the last panel is zero.
#[derive(Debug)]
pub(super) struct PackedMatrix {
    data: Aligned<PackedWord>,
    /// Words of a panel.
    panel_len: usize,
    k: usize,
}

impl PackedMatrix {
    fn of(layout: &PackLayout, tensor: &Tensor, scope: &mut PoolScope<'_>) -> Self {
        Self::with(layout, layout.k, scope, |index, panel| {
            layout.pack(tensor, index, panel);
        })
    }

    fn of_bf16(
        layout: &PackLayout,
        tensor: &Tensor,
        simd: Simd,
        scope: &mut PoolScope<'_>,
    ) -> Self {
        let words = layout.k.div_ceil(2);
        Self::with(layout, words, scope, |index, panel| {
            layout.pack_bf16(tensor, index, simd, &mut vec![0.0; words], panel);
        })
    }

    /// Packs panels of `words` words along k, each with `pack(index, panel)`.
    fn with(
        layout: &PackLayout,
        words: usize,
        scope: &mut PoolScope<'_>,
        pack: impl Fn(usize, &mut [PackedWord]) + Sync,
    ) -> Self {
        let panel_len = words * layout.width;
        let mut data = Aligned::zeros(layout.panels() * panel_len);
        let panels = data.get_mut().chunks_exact_mut(panel_len.max(1));
        let mut panels: Vec<_> = panels.enumerate().collect();
        let all: Vec<usize> = (0..panels.len()).collect();
        for_each_chosen(scope, &mut panels, &all, |(index, panel), _| {
            pack(*index, panel);
        });
        Self {
            data,
            panel_len,
            k: layout.k,
        }
    }

    /// Returns panel `index`.
    pub(super) fn panel(&self, index: usize) -> &[PackedWord] {
        &self.data.get()[index * self.panel_len..][..self.panel_len]
    }
}

/// An int8 matrix with a scale for each row. It is laid out like [`PackedMatrix`], in words of four
/// values along k, padded with zeros.
#[derive(Debug)]
pub(super) struct PackedInt8Matrix {
    words: Aligned<u32>,
    /// The initial sum of each row: minus the zero point times the sum of the row.
    bias: Aligned<u32>,
    scale: Aligned,
    width: usize,
    k: usize,
}

impl PackedInt8Matrix {
    fn of(layout: &PackLayout, tensor: &Tensor, scope: &mut PoolScope<'_>) -> Self {
        let (k, width) = (layout.k, layout.width);
        let (lanes, panel_len) = (layout.panels() * width, k.div_ceil(4) * width);
        let (mut words, mut bias, mut scale) = (
            Aligned::zeros(layout.panels() * panel_len),
            Aligned::zeros(lanes),
            Aligned::zeros(lanes),
        );
        let panel_words = words.get_mut().chunks_exact_mut(panel_len.max(1));
        let panel_lanes = bias
            .get_mut()
            .chunks_exact_mut(width)
            .zip(scale.get_mut().chunks_exact_mut(width));
        let mut panels: Vec<_> = panel_words.zip(panel_lanes).enumerate().collect();
        let all: Vec<usize> = (0..panels.len()).collect();
        for_each_chosen(
            scope,
            &mut panels,
            &all,
            |(index, (words, (bias, scale))), _| {
                for lane in 0..width {
                    let Some(row) = layout.row(*index, lane) else {
                        continue;
                    };
                    let (sum, row_scale) =
                        layout.pack_int8(&tensor.data[row * k..][..k], lane, words);
                    (bias[lane], scale[lane]) = ((-layout.zero_point * sum) as u32, row_scale);
                }
            },
        );
        Self {
            words,
            bias,
            scale,
            width,
            k,
        }
    }

    /// Returns panel `index`.
    pub(super) fn panel(&self, index: usize) -> Int8Panel<'_> {
        let (lanes, words) = (index * self.width, self.k.div_ceil(4) * self.width);
        Int8Panel {
            words: &self.words.get()[index * words..][..words],
            bias: &self.bias.get()[lanes..][..self.width],
            scale: &self.scale.get()[lanes..][..self.width],
        }
    }
}
