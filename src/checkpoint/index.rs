//! The index of a file: type, shape and position of every tensor.

use std::collections::BTreeMap;

use super::dtype::Dtype;
use super::stored::StoredConfig;
use crate::error::{Error, Result};

/// The CRC-32 that a file states for the bytes of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checksum(pub(super) u32);

/// The type, the shape and the position of a tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Type of the elements.
    pub dtype: Dtype,
    /// Size of each dimension, outermost first.
    pub shape: Vec<usize>,
    /// Distance of neighbouring elements along each dimension, in elements.
    pub strides: Vec<usize>,
    /// Position of the first element in the file, in bytes.
    pub offset: u64,
    /// Number of the file that holds it, among those of the model.
    pub(super) file: usize,
    /// Set only if the file states a checksum for exactly these bytes.
    pub(super) checksum: Option<Checksum>,
}

/// All tensors of a file by name, and its metadata.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    pub(super) tensors: BTreeMap<String, TensorInfo>,
    pub(super) metadata: BTreeMap<String, String>,
    /// Hyper-parameters that training stored in a pickle.
    pub(super) configs: Vec<StoredConfig>,
    /// Keys of lists of averaged weights. Lists give their tensors no names.
    pub(super) nameless_averages: Vec<String>,
}

impl TensorInfo {
    /// Creates a tensor whose position is set by [`TensorInfo::place`].
    pub(super) fn new(dtype: Dtype, shape: Vec<usize>, strides: Vec<usize>) -> Self {
        Self {
            dtype,
            shape,
            strides,
            offset: 0,
            file: 0,
            checksum: None,
        }
    }

    /// Places the tensor's first element at element `offset` of a storage, which has `len` bytes
    /// from byte `start` of the file.
    ///
    /// # Errors
    /// An element lies outside the storage.
    pub(super) fn place(&mut self, start: u64, len: u64, offset: u64) -> Result<()> {
        let outside = || {
            Error::checkpoint(format!(
                "shape {:?} with strides {:?} from element {offset} does not fit its storage of \
                 {len} bytes",
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

    /// Returns the number of elements. `None`: more than memory can hold.
    pub fn elements(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape
            .iter()
            .try_fold(1usize, |n, size| n.checked_mul(*size))
            .filter(|n| *n <= isize::MAX as usize / 8)
    }

    /// Returns the number of elements from the first to the last in the file, both included.
    /// `None`: it overflows.
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

    /// Returns the size of the elements without gaps, in bytes. `None`: the type is not supported,
    /// or the size overflows.
    pub fn stored_bytes(&self) -> Option<u64> {
        (self.elements()? as u64)
            .checked_mul(self.dtype.size() as u64)
            .filter(|_| self.dtype.size() > 0)
    }

    /// Returns whether the elements are in row-major order without gaps.
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

    /// Returns whether two elements may share bytes. A stride of 0, which `expand` makes, is
    /// allowed.
    pub(super) fn overlaps(&self) -> bool {
        let mut axes: Vec<(usize, usize)> = self
            .strides
            .iter()
            .copied()
            .zip(self.shape.iter().copied())
            .filter(|a| a.0 > 0 && a.1 > 1)
            .collect();
        axes.sort_unstable();
        // Distance from the first to the last element along the axes so far.
        let mut extent = 0usize;
        for (stride, size) in axes {
            if stride <= extent {
                return true;
            }
            extent = extent.saturating_add(stride.saturating_mul(size - 1));
        }
        false
    }
}
