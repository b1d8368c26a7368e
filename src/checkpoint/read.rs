//! Tensors of any element type and any strides, read as f32.

use super::dtype::Dtype;
use super::index::TensorInfo;
use super::source::Source;
use super::{Checkpoint, Index};
use crate::error::{Error, Result};
use crate::model::weights::Tensor;

/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;
/// Neighbours further apart than this are read one by one.
const NEAR: u64 = 4096;
/// What may be read even of a tiny file, in bytes of f32.
const FREE: u64 = 64 << 20;

impl Checkpoint {
    /// Reads a tensor.
    ///
    /// # Errors
    /// There is no such tensor, its element type is not read, its bytes cannot be read or fail their checksum, or it
    /// expands to far more than the file has.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let read = || {
            let info = self.info(name)?;
            self.check_cost([name])?;
            let data = read(&self.source, info)?;
            Ok(Tensor {
                shape: info.shape.clone(),
                data,
            })
        };
        read().map_err(|e: Error| self.locate(name, e))
    }

    /// Reads one row of a tensor: all its elements whose first index is `row`.
    ///
    /// # Errors
    /// As [`Checkpoint::read`]; or there is no such row.
    pub fn read_row(&self, name: &str, row: usize) -> Result<Vec<f32>> {
        self.read_rows(name, row, 1)
    }

    /// Reads `count` rows from `first` on.
    ///
    /// # Errors
    /// As [`Checkpoint::read_row`].
    pub fn read_rows(&self, name: &str, first: usize, count: usize) -> Result<Vec<f32>> {
        let read = || {
            let info = self.info(name)?;
            let rows = info.shape.first().copied().unwrap_or(0);
            if first.checked_add(count).is_none_or(|end| end > rows) {
                return Err(Error::argument(format!(
                    "row {first} is not there: it has {rows}"
                )));
            }
            let part = info.rows(first, count)?;
            if part.cost() > budget(self.source.len()) {
                return Err(expands());
            }
            read(&self.source, &part)
        };
        read().map_err(|e: Error| self.locate(name, e))
    }

    /// Checks that reading all of `names` takes no more than the file could honestly hold: a stride of 0, or thousands
    /// of tensors over the same bytes, make terabytes out of a small file.
    pub(crate) fn check_cost<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let mut sum = 0u64;
        for name in names {
            sum = sum.saturating_add(self.info(name)?.cost());
        }
        if sum > budget(self.source.len()) {
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
        self.source.locate(error.context(format!("tensor \"{name}\"")))
    }
}

fn expands() -> Error {
    Error::checkpoint("expands to many times the size of the file, which no checkpoint does")
}

fn budget(file_len: u64) -> u64 {
    // Four bytes of f32 for each byte of the file: a file of bytes or bools is the densest there is.
    file_len.saturating_mul(4).max(FREE)
}

impl TensorInfo {
    /// Bytes of memory, or of the file, that reading takes, whichever is more.
    fn cost(&self) -> u64 {
        let memory = self.elements().map_or(u64::MAX, |n| (n as u64).saturating_mul(4));
        let file = self
            .span()
            .map_or(u64::MAX, |n| n.saturating_mul(self.dtype.size() as u64));
        memory.max(file)
    }

    fn rows(&self, first: usize, count: usize) -> Result<TensorInfo> {
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
        Ok(TensorInfo {
            dtype: self.dtype,
            shape,
            strides: self.strides.clone(),
            offset,
            checksum: None,
        })
    }
}

fn read(source: &Source, info: &TensorInfo) -> Result<Vec<f32>> {
    if let Dtype::Other(name) = info.dtype {
        return Err(Error::checkpoint(format!(
            "has elements of type {name}, which is not read"
        )));
    }
    let elements = info.elements().ok_or_else(expands)?;
    let mut data = Vec::new();
    data.try_reserve_exact(elements)
        .map_err(|e| Error::checkpoint("does not fit the memory").with_source(e))?;
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
    let mut buffer = vec![0; CHUNK.min(data.len() * size)];
    let mut offset = info.offset;
    let mut crc = crc32fast::Hasher::new();
    for part in data.chunks_mut(CHUNK / size) {
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
            "is damaged: its bytes do not have the checksum that the file states",
        )),
        _ => Ok(()),
    }
}

/// Reads in the order of the file, whatever the order of the dimensions, so that a transposed tensor is not read
/// once per row.
fn read_strided(source: &Source, info: &TensorInfo, data: &mut [f32]) -> Result<()> {
    if info.overlaps() {
        return Err(Error::checkpoint(
            "has elements that overlap one another, which no checkpoint has",
        ));
    }
    let mut to = vec![1usize; info.shape.len()];
    for i in (1..to.len()).rev() {
        to[i - 1] = to[i] * info.shape[i];
    }
    let mut axes: Vec<Axis> = info
        .shape
        .iter()
        .zip(&info.strides)
        .zip(to)
        .filter(|((size, _), _)| **size != 1)
        .map(|((size, from), to)| Axis {
            size: *size,
            from: *from,
            to,
            at: 0,
        })
        .collect();
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.from));
    let near = axes
        .iter()
        .rev()
        .find(|a| a.from > 0)
        .map_or(0, |a| a.from as u64 * info.dtype.size() as u64);
    let mut window = Window {
        source,
        dtype: info.dtype,
        start: 0,
        bytes: Vec::new(),
        ahead: near <= NEAR,
    };
    let end = info.offset + info.span().unwrap_or(0) * info.dtype.size() as u64;
    let (mut from, mut at) = (0u64, 0usize);
    loop {
        let value = window.element(info.offset + from * info.dtype.size() as u64, end)?;
        if let Some(slot) = data.get_mut(at) {
            *slot = value;
        }
        if !advance(&mut axes, &mut from, &mut at) {
            return Ok(());
        }
    }
}

struct Axis {
    size: usize,
    /// Distance of neighbours in the file and in the result, in elements.
    from: usize,
    to: usize,
    at: usize,
}

/// Moves to the next element, innermost axis first; false after the last.
fn advance(axes: &mut [Axis], from: &mut u64, to: &mut usize) -> bool {
    for axis in axes.iter_mut().rev() {
        axis.at += 1;
        if axis.at < axis.size {
            *from += axis.from as u64;
            *to += axis.to;
            return true;
        }
        axis.at = 0;
        *from -= axis.from as u64 * (axis.size as u64 - 1);
        *to -= axis.to * (axis.size - 1);
    }
    false
}

/// The part of the file around the last element.
struct Window<'a> {
    source: &'a Source,
    dtype: Dtype,
    start: u64,
    bytes: Vec<u8>,
    /// Whether the next elements are near enough to read them too.
    ahead: bool,
}

impl Window<'_> {
    fn element(&mut self, offset: u64, end: u64) -> Result<f32> {
        let size = self.dtype.size();
        let inside =
            |start: u64, bytes: &[u8]| offset >= start && offset + size as u64 <= start + bytes.len() as u64;
        if !inside(self.start, &self.bytes) {
            let wanted = if self.ahead { CHUNK as u64 / 4 } else { size as u64 };
            self.bytes = self.source.read_vec(offset, wanted.min(end - offset))?;
            self.start = offset;
        }
        let mut value = [0.0];
        let at = (offset - self.start) as usize;
        self.dtype
            .decode(self.bytes.get(at..at + size).unwrap_or_default(), &mut value);
        Ok(value[0])
    }
}
