//! Where the tensors of a file lie.

use std::collections::BTreeMap;

use super::dtype::Dtype;
use crate::error::{Error, Result};

/// A CRC-32 that the bytes of a tensor must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checksum(pub(super) u32);

/// A tensor in a file: its type, its shape, and where its elements lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Type of its elements.
    pub dtype: Dtype,
    /// Its shape, outermost first.
    pub shape: Vec<usize>,
    /// For each dimension the distance of neighbours, in elements.
    pub strides: Vec<usize>,
    /// Byte position of its first element in the file.
    pub offset: u64,
    pub(super) checksum: Option<Checksum>,
}

/// All tensors of a file by name, and its text annotations.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    pub(super) tensors: BTreeMap<String, TensorInfo>,
    pub(super) metadata: BTreeMap<String, String>,
}

impl TensorInfo {
    pub(super) fn new(dtype: Dtype, shape: Vec<usize>, strides: Vec<usize>) -> TensorInfo {
        TensorInfo {
            dtype,
            shape,
            strides,
            offset: 0,
            checksum: None,
        }
    }

    /// Puts the tensor's first element at element `offset` of a storage, and checks that its last lies inside too.
    pub(super) fn place(&mut self, start: u64, len: u64, offset: u64) -> Result<()> {
        let outside = || {
            Error::checkpoint(format!(
                "shape {:?} with strides {:?} from element {offset} does not fit its storage of {len} bytes",
                self.shape, self.strides
            ))
        };
        let size = self.dtype.size() as u64;
        self.elements().ok_or_else(outside)?;
        if size > 0 {
            let end = offset
                .checked_add(self.span().ok_or_else(outside)?)
                .and_then(|e| e.checked_mul(size));
            end.filter(|end| *end <= len).ok_or_else(outside)?;
        }
        let begin = offset
            .checked_mul(size)
            .and_then(|b| b.checked_add(start))
            .ok_or_else(outside)?;
        self.offset = begin;
        Ok(())
    }

    /// Number of elements, if it is a number that memory could hold.
    pub fn elements(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape
            .iter()
            .try_fold(1usize, |n, size| n.checked_mul(*size))
            .filter(|n| *n <= isize::MAX as usize / 8)
    }

    /// Elements from the first to the last, both included.
    pub(super) fn span(&self) -> Option<u64> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape
            .iter()
            .zip(&self.strides)
            .try_fold(1u64, |sum, (size, stride)| {
                let step = (*size as u64 - 1).checked_mul(*stride as u64)?;
                sum.checked_add(step)
            })
    }

    /// Bytes that its elements would take without gaps; none where the type is not known.
    pub fn stored_bytes(&self) -> Option<u64> {
        (self.elements()? as u64)
            .checked_mul(self.dtype.size() as u64)
            .filter(|_| self.dtype.size() > 0)
    }

    /// Whether the elements lie in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1usize;
        for (size, stride) in self.shape.iter().zip(&self.strides).rev() {
            if *size != 1 && *stride != step {
                return false;
            }
            step = step.saturating_mul(*size);
        }
        true
    }

    /// Whether two of its elements may be the same (other than by a stride of 0, which `expand` makes).
    pub(super) fn overlaps(&self) -> bool {
        let mut axes: Vec<(usize, usize)> = self
            .strides
            .iter()
            .copied()
            .zip(self.shape.iter().copied())
            .filter(|a| a.0 > 0 && a.1 > 1)
            .collect();
        axes.sort_unstable();
        let mut reach = 0usize;
        for (stride, size) in axes {
            if stride <= reach {
                return true;
            }
            reach = reach.saturating_add(stride.saturating_mul(size - 1));
        }
        false
    }
}
