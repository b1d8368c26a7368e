//! Reads tensors of any element type and any strides as f32.

use super::dtype::Dtype;
use super::index::TensorInfo;
use super::source::Source;
use super::{Checkpoint, Index};
use crate::error::{Error, Result};
use crate::model::weights::Tensor;

/// Size of a read from the file, in bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// Largest distance of neighbouring elements at which one read covers several of them, in bytes.
const MAX_GAP_BYTES: u64 = 4096;
/// Memory that reading may take for a file of any size, in bytes of f32.
const MIN_BUDGET_BYTES: u64 = 64 << 20;

impl Checkpoint {
    /// Reads the tensor `name`.
    ///
    /// # Errors
    /// The file has no such tensor, its element type is not supported, its bytes cannot be read or
    /// do not match their checksum, or it expands to many times the size of the file.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let read = || {
            let info = self.info(name)?;
            self.check_cost([name])?;
            let data = read(self.source_of(info), info)?;
            Ok(Tensor {
                shape: info.shape.clone(),
                data,
            })
        };
        read().map_err(|e: Error| self.locate(name, e))
    }

    /// Reads one row of a tensor: all elements whose first index is `row`.
    ///
    /// # Errors
    /// As [`Checkpoint::read`], or the tensor has no such row.
    pub fn read_row(&self, name: &str, row: usize) -> Result<Vec<f32>> {
        self.read_rows(name, row, 1)
    }

    /// Reads `count` rows of a tensor, from row `first` on.
    ///
    /// # Errors
    /// As [`Checkpoint::read_row`].
    pub fn read_rows(&self, name: &str, first: usize, count: usize) -> Result<Vec<f32>> {
        let read = || {
            let info = self.info(name)?;
            let rows = info.shape.first().copied().unwrap_or(0);
            if first.checked_add(count).is_none_or(|end| end > rows) {
                return Err(Error::argument(format!(
                    "row {first} is out of range: the tensor has {rows} rows"
                )));
            }
            let part = info.rows(first, count)?;
            if part.cost() > budget(self.total_bytes()) {
                return Err(expands());
            }
            read(self.source_of(info), &part)
        };
        read().map_err(|e: Error| self.locate(name, e))
    }

    /// Checks that the tensors `names` together are not far larger than the file. Without this
    /// check a stride of 0, or thousands of tensors over the same bytes, turn a small file into
    /// terabytes.
    ///
    /// # Errors
    /// They are far larger than the file, or one is missing.
    pub(crate) fn check_cost<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let mut sum = 0u64;
        for name in names {
            sum = sum.saturating_add(self.info(name)?.cost());
        }
        if sum > budget(self.total_bytes()) {
            Err(expands())
        } else {
            Ok(())
        }
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        let Index { tensors, .. } = &self.index;
        tensors
            .get(name)
            .ok_or_else(|| Error::checkpoint("is not in the file"))
    }

    /// Adds the file and the tensor to an error.
    pub(crate) fn locate(&self, name: &str, error: Error) -> Error {
        let error = error.context(format!("tensor \"{name}\""));
        match self.index.tensors.get(name) {
            Some(info) => self.source_of(info).locate(error),
            None => self.source.locate(error),
        }
    }
}

fn expands() -> Error {
    Error::checkpoint("expands to many times the size of the file, which no checkpoint does")
}

/// Returns the memory that reading may take, in bytes of f32.
fn budget(file_len: u64) -> u64 {
    // The smallest elements have one byte and become four bytes of f32.
    file_len.saturating_mul(4).max(MIN_BUDGET_BYTES)
}

impl TensorInfo {
    /// Returns the cost of reading in bytes: of memory or of the file, whichever is more.
    fn cost(&self) -> u64 {
        let memory = self
            .elements()
            .map_or(u64::MAX, |n| (n as u64).saturating_mul(4));
        let file = self
            .span()
            .map_or(u64::MAX, |n| n.saturating_mul(self.dtype.size() as u64));
        memory.max(file)
    }

    /// Returns the tensor of `count` rows from row `first` on.
    fn rows(&self, first: usize, count: usize) -> Result<Self> {
        let stride = self.strides.first().copied().unwrap_or(0) as u64;
        let skip = (first as u64)
            .checked_mul(stride)
            .and_then(|n| n.checked_mul(self.dtype.size() as u64));
        let offset = skip
            .and_then(|n| n.checked_add(self.offset))
            .ok_or_else(|| Error::checkpoint("is too large"))?;
        let mut shape = self.shape.clone();
        if let Some(rows) = shape.first_mut() {
            *rows = count;
        }
        Ok(Self {
            dtype: self.dtype,
            shape,
            strides: self.strides.clone(),
            offset,
            file: self.file,
            checksum: None,
        })
    }
}

fn read(source: &Source, info: &TensorInfo) -> Result<Vec<f32>> {
    if let Dtype::Other(name) = info.dtype {
        return Err(Error::checkpoint(format!(
            "has elements of type {name}, which is not supported"
        )));
    }
    let elements = info.elements().ok_or_else(expands)?;
    let mut data = Vec::new();
    data.try_reserve_exact(elements)
        .map_err(|e| Error::checkpoint("does not fit into memory").with_source(e))?;
    data.resize(elements, 0.0);
    if elements == 0 {
        return Ok(data);
    }
    if info.is_contiguous() {
        read_contiguous(source, info, &mut data)?;
    } else {
        read_strided(source, info, &mut data)?;
    }
    Ok(data)
}

fn read_contiguous(source: &Source, info: &TensorInfo, data: &mut [f32]) -> Result<()> {
    let size = info.dtype.size();
    let mut buffer = vec![0; CHUNK_BYTES.min(data.len() * size)];
    let mut offset = info.offset;
    let mut crc = crc32fast::Hasher::new();
    for part in data.chunks_mut(CHUNK_BYTES / size) {
        let bytes = buffer.get_mut(..part.len() * size).unwrap_or_default();
        source.read_at(offset, bytes)?;
        if info.checksum.is_some() {
            crc.update(bytes);
        }
        info.dtype.decode(bytes, part);
        offset += bytes.len() as u64;
    }
    match info.checksum {
        Some(expected) if expected.0 != crc.finalize() => Err(Error::checkpoint(
            "is damaged: its bytes do not match the checksum in the file",
        )),
        _ => Ok(()),
    }
}

/// Reads a tensor with any strides, in the order of the file. In the order of the dimensions, a
/// transposed tensor would be read once per row.
fn read_strided(source: &Source, info: &TensorInfo, data: &mut [f32]) -> Result<()> {
    if info.overlaps() {
        return Err(Error::checkpoint(
            "has overlapping elements, which no valid checkpoint has",
        ));
    }
    let mut out_strides = vec![1usize; info.shape.len()];
    for i in (1..out_strides.len()).rev() {
        out_strides[i - 1] = out_strides[i] * info.shape[i];
    }
    let mut axes: Vec<Axis> = info
        .shape
        .iter()
        .zip(&info.strides)
        .zip(out_strides)
        .filter(|((size, _), _)| **size != 1)
        .map(|((size, file_stride), out_stride)| Axis {
            size: *size,
            file_stride: *file_stride,
            out_stride,
            index: 0,
        })
        .collect();
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.file_stride));
    let gap_bytes = axes
        .iter()
        .rev()
        .find(|axis| axis.file_stride > 0)
        .map_or(0, |axis| axis.file_stride as u64 * info.dtype.size() as u64);
    let mut window = ReadWindow {
        source,
        dtype: info.dtype,
        start: 0,
        bytes: Vec::new(),
        reads_ahead: gap_bytes <= MAX_GAP_BYTES,
    };
    let end = info.offset + info.span().unwrap_or(0) * info.dtype.size() as u64;
    // Positions of the element in the file and in `data`, in elements.
    let (mut in_file, mut in_data) = (0u64, 0usize);
    loop {
        let value = window.element(info.offset + in_file * info.dtype.size() as u64, end)?;
        if let Some(element) = data.get_mut(in_data) {
            *element = value;
        }
        if !advance(&mut axes, &mut in_file, &mut in_data) {
            return Ok(());
        }
    }
}

/// A dimension of a tensor, and the index of the current element along it.
struct Axis {
    size: usize,
    /// Distance of neighbours in the file, in elements.
    file_stride: usize,
    /// Distance of neighbours in the result, in elements.
    out_stride: usize,
    index: usize,
}

/// Moves to the next element, innermost axis first. Returns `false` after the last.
fn advance(axes: &mut [Axis], in_file: &mut u64, in_data: &mut usize) -> bool {
    for axis in axes.iter_mut().rev() {
        axis.index += 1;
        if axis.index < axis.size {
            *in_file += axis.file_stride as u64;
            *in_data += axis.out_stride;
            return true;
        }
        axis.index = 0;
        *in_file -= axis.file_stride as u64 * (axis.size as u64 - 1);
        *in_data -= axis.out_stride * (axis.size - 1);
    }
    false
}

/// The bytes of the file that were read last.
struct ReadWindow<'a> {
    source: &'a Source,
    dtype: Dtype,
    /// Position of `bytes` in the file.
    start: u64,
    bytes: Vec<u8>,
    /// Whether a read covers the next elements, too.
    reads_ahead: bool,
}

impl ReadWindow<'_> {
    /// Reads the element at byte `offset` of a tensor that ends at byte `end`.
    fn element(&mut self, offset: u64, end: u64) -> Result<f32> {
        let size = self.dtype.size();
        let inside = |start: u64, bytes: &[u8]| {
            offset >= start && offset + size as u64 <= start + bytes.len() as u64
        };
        if !inside(self.start, &self.bytes) {
            let len = if self.reads_ahead {
                CHUNK_BYTES as u64 / 4
            } else {
                size as u64
            };
            self.bytes = self.source.read_vec(offset, len.min(end - offset))?;
            self.start = offset;
        }
        let mut value = [0.0];
        #[allow(clippy::cast_possible_truncation, reason = "inside `bytes`")]
        let at = (offset - self.start) as usize;
        self.dtype.decode(
            self.bytes.get(at..at + size).unwrap_or_default(),
            &mut value,
        );
        Ok(value[0])
    }
}
