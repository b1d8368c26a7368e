//! The safetensors format: a length, a JSON header, then the tensors without gaps.

use std::collections::BTreeMap;

use super::dtype::Dtype;
use super::index::{Index, TensorInfo};
use super::source::Source;
use crate::error::{Error, Result};

/// Longest header that is read: some ten thousand tensors. Parsing takes twenty times its size.
const MAX_HEADER: u64 = 1 << 20;

/// Whether a file that begins with `start` is of this format.
pub(super) fn recognises(start: &[u8]) -> bool {
    start.get(8) == Some(&b'{')
}

/// Reads the header.
pub(super) fn index(source: &Source) -> Result<Index> {
    let mut len = [0; 8];
    source.read_at(0, &mut len)?;
    let len = u64::from_le_bytes(len);
    if len > source.len().saturating_sub(8) {
        return Err(Error::checkpoint(format!(
            "cut short, or damaged: its header claims {len} bytes, the file has {}",
            source.len()
        )));
    }
    if len > MAX_HEADER {
        return Err(Error::checkpoint(format!(
            "its header has {len} bytes; the most that is read is {MAX_HEADER}"
        )));
    }
    parse(&source.read_vec(8, len)?, 8 + len, source.len())
}

/// Checks a header; its tensors begin at byte `start` of a file of `file_len` bytes.
pub(super) fn parse(header: &[u8], start: u64, file_len: u64) -> Result<Index> {
    let damaged = |e: serde_json::Error| Error::checkpoint(format!("its header is damaged: {e}")).with_source(e);
    // Parsing checks that shapes fit their bytes and that tensors follow one another without gap or overlap.
    let header: safetensors::tensor::Metadata = serde_json::from_slice(header).map_err(damaged)?;
    let end = start.checked_add(header.data_len() as u64);
    if end != Some(file_len) {
        return Err(Error::checkpoint(format!(
            "cut short, or damaged: its tensors need {} bytes after the header, the file has {}",
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
    Ok(Index { tensors, metadata })
}

/// Strides of a tensor without gaps, in elements.
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
