//! Reads the index of a safetensors file: the length of the header, a JSON header, then the tensors
//! without gaps.

use std::collections::BTreeMap;

use super::dtype::Dtype;
use super::index::{Index, TensorInfo};
use super::source::Source;
use crate::error::{Error, Result};

/// Size limit of the header, in bytes: about ten thousand tensors. Parsing takes twenty times as
/// much memory.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Returns whether a file that begins with `start` has this format.
pub(super) fn recognises(start: &[u8]) -> bool {
    start.get(8) == Some(&b'{')
}

/// Returns whether a file that begins with `start` has this format and no other: the length of the
/// header is below 4 GiB.
pub(super) fn is_certain(start: &[u8]) -> bool {
    recognises(start) && start.get(4..8) == Some(&[0; 4])
}

/// Reads the index of a file.
///
/// # Errors
/// The file cannot be read, is damaged, or its header is too large.
pub(super) fn index(source: &Source) -> Result<Index> {
    let mut len = [0; 8];
    source.read_at(0, &mut len)?;
    let len = u64::from_le_bytes(len);
    if len > source.len().saturating_sub(8) {
        return Err(Error::checkpoint(format!(
            "is cut short or damaged: its header claims {len} bytes, but the file has {}",
            source.len()
        )));
    }
    if len > MAX_HEADER_BYTES {
        return Err(Error::checkpoint(format!(
            "its header has {len} bytes; at most {MAX_HEADER_BYTES} are supported"
        )));
    }
    parse(&source.read_vec(8, len)?, 8 + len, source.len())
}

/// Parses and checks a header. The tensors begin at byte `start` of a file of `file_len` bytes.
///
/// # Errors
/// The header is damaged, or does not fit the file.
pub(super) fn parse(header: &[u8], start: u64, file_len: u64) -> Result<Index> {
    let damaged = |e: serde_json::Error| {
        Error::checkpoint(format!("its header is damaged: {e}")).with_source(e)
    };
    // Parsing checks that the shapes fit the byte ranges, and that the ranges have no gaps or
    // overlaps.
    let header: safetensors::tensor::Metadata = serde_json::from_slice(header).map_err(damaged)?;
    let end = start.checked_add(header.data_len() as u64);
    if end != Some(file_len) {
        return Err(Error::checkpoint(format!(
            "is cut short or damaged: its tensors need {} bytes after the header, but the file \
             has {}",
            header.data_len(),
            file_len.saturating_sub(start)
        )));
    }
    let mut tensors = BTreeMap::new();
    for (name, found) in header.tensors() {
        let dtype = dtype(found.dtype);
        let mut info = TensorInfo::new(dtype, found.shape.clone(), row_major(&found.shape));
        let len = (found.data_offsets.1 - found.data_offsets.0) as u64;
        info.place(start + found.data_offsets.0 as u64, len, 0)
            .map_err(|e| e.context(format!("tensor \"{name}\"")))?;
        tensors.insert(name, info);
    }
    let metadata = header
        .metadata()
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    Ok(Index {
        tensors,
        metadata,
        ..Index::default()
    })
}

/// Returns the strides of a row-major tensor without gaps, in elements.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides: Vec<usize> = shape
        .iter()
        .rev()
        .scan(1usize, |step, size| {
            let stride = *step;
            *step = step.saturating_mul(*size);
            Some(stride)
        })
        .collect();
    strides.reverse();
    strides
}

fn dtype(dtype: safetensors::Dtype) -> Dtype {
    use safetensors::Dtype as S;
    match dtype {
        S::F64 => Dtype::F64,
        S::F32 => Dtype::F32,
        S::F16 => Dtype::F16,
        S::BF16 => Dtype::BF16,
        S::I64 => Dtype::I64,
        S::I32 => Dtype::I32,
        S::I16 => Dtype::I16,
        S::I8 => Dtype::I8,
        S::U8 => Dtype::U8,
        S::BOOL => Dtype::Bool,
        S::U16 => Dtype::Other("U16"),
        S::U32 => Dtype::Other("U32"),
        S::U64 => Dtype::Other("U64"),
        S::F8_E4M3 => Dtype::Other("F8_E4M3"),
        S::F8_E5M2 => Dtype::Other("F8_E5M2"),
        S::C64 => Dtype::Other("C64"),
        _ => Dtype::Other("of an unknown type"),
    }
}
