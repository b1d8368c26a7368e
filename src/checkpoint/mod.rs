//! Files that training leaves, as an index of tensors over bytes that are read on demand.
//!
//! Every format ends in the same [`Checkpoint`]: names, element types, shapes, strides and byte offsets, all checked
//! against the length of the file before anything is read. Nothing of a file is ever executed.

mod dtype;
mod index;
pub(crate) mod int8;
mod known;
pub(crate) mod locate;
pub(crate) mod names;
mod pickle;
mod read;
mod rows;
mod safetensors;
pub(crate) mod shapes;
mod source;
mod torch;
mod zip;

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

pub use dtype::Dtype;
pub use index::TensorInfo;
pub use rows::PuzzleRows;

use crate::error::{Error, Result};
use index::Index;
pub(crate) use source::Source;

/// Bytes that are hashed at a time.
const HASH_CHUNK_BYTES: usize = 1 << 20;

/// An open file of tensors. Opening reads only what says where the tensors are.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
    index: Index,
    format: FileFormat,
}

/// How a file stores its tensors; told from its bytes, never from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// `torch.save`: a zip archive with a pickle.
    Torch,
    /// safetensors.
    Safetensors,
}

impl Checkpoint {
    /// Opens a file of `torch.save` or a `.safetensors` file, whatever its name.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is in another format; the message names the format and the way out.
    pub fn open(path: impl AsRef<Path>) -> Result<Checkpoint> {
        Checkpoint::new(Source::open(path.as_ref())?)
    }

    /// The same for a file in memory, which is kept and not copied.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Checkpoint> {
        Checkpoint::new(Source::memory(bytes))
    }

    pub(crate) fn new(source: Source) -> Result<Checkpoint> {
        match index(&source) {
            Ok((format, index)) => Ok(Checkpoint {
                source,
                index,
                format,
            }),
            Err(e) => Err(source.locate(e)),
        }
    }

    /// How the file stores its tensors.
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// All tensors by their names in the file.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.index.tensors
    }

    /// SHA-256 of the whole file, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; HASH_CHUNK_BYTES];
        let mut at = 0;
        while at < self.source.len() {
            let len = (self.source.len() - at).min(HASH_CHUNK_BYTES as u64);
            let part = buffer.get_mut(..len as usize).unwrap_or_default();
            self.source.read_at(at, part).map_err(|e| self.source.locate(e))?;
            hash.update(part);
            at += len;
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Text annotations (safetensors only).
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.index.metadata
    }
}

/// Whether the file is an ONNX model, by its first fields (of `ModelProto`): the version of its representation, 1 to 127, and one that may follow.
pub(crate) fn is_onnx(source: &Source) -> Result<bool> {
    let start = source
        .read_vec(0, source.len().min(9))
        .map_err(|e| source.locate(e))?;
    // Fields 2, 3, 4, 6, 7, 8, 14 and 20 with a length, 5 as a number.
    let follows = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72, 0xa2];
    let begins = matches!(start[..], [0x08, 1..=0x7f, next, ..] if follows.contains(&next));
    Ok(begins && !safetensors::recognises(&start))
}

fn index(source: &Source) -> Result<(FileFormat, Index)> {
    let start = source.read_vec(0, source.len().min(512))?;
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Ok((FileFormat::Torch, torch::index(source)?));
    }
    if let Some(message) = unsupported(&start) {
        return Err(Error::checkpoint(message));
    }
    if safetensors::recognises(&start) {
        return Ok((FileFormat::Safetensors, safetensors::index(source)?));
    }
    Err(Error::checkpoint(
        "is neither a file of torch.save nor a .safetensors file, or its beginning is damaged",
    ))
}

/// What to say of a format that is not read.
fn unsupported(start: &[u8]) -> Option<&'static str> {
    // torch.save before version 1.6: a pickled magic number (0x1950a86a20f9469cfc6c) comes first.
    const LEGACY: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    Some(match start {
        [] => "is empty",
        [0x80, _, rest @ ..] if rest.starts_with(LEGACY) => {
            "is in the old format of torch.save (before version 1.6, or _use_new_zipfile_serialization=False), \
                which is not read; load it with PyTorch and save it anew: \
                torch.save(torch.load(\"OLD\", weights_only=True), \"NEW\")"
        }
        [0x80, 0..=5, ..] => {
            "is a plain pickle, not a file of torch.save; load it where it was made and save the tensors with torch.save"
        }
        _ if start.get(257..262) == Some(b"ustar") => {
            "is a tar archive, the oldest format of torch.save; load it with PyTorch and save it anew: \
             torch.save(torch.load(\"OLD\"), \"NEW\")"
        }
        [0x1f, 0x8b, ..] => "is compressed with gzip; unpack it first",
        _ if start.starts_with(b"\x89HDF\r\n") => "is an HDF5 file; only torch.save and safetensors are read",
        _ if start.starts_with(b"GGUF") => "is a GGUF file; only torch.save and safetensors are read",
        _ if start.starts_with(b"version https://git-lfs") => {
            "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"
        }
        _ if start.trim_ascii_start().starts_with(b"<") => {
            "is a web page, not a checkpoint; download the file itself"
        }
        _ => return None,
    })
}

/// Runs a pickle and collects its tensors, for the fuzzer.
#[cfg(fuzzing)]
pub fn fuzz_pickle(data: &[u8]) {
    let _ = torch::pickled_names(data);
}
