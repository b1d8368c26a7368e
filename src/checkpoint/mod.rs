//! Reads the files that training writes: an index of tensors, whose bytes are read on demand.
//!
//! Every file format gives the same [`Checkpoint`]: names, element types, shapes, strides and byte
//! offsets, all checked against the length of the file before any tensor is read. Checkpoints are
//! untrusted input. Nothing in a file is ever executed.

mod dtype;
mod index;
pub(crate) mod int8;
pub(crate) mod locate;
pub(crate) mod names;
mod pickle;
mod pickle_globals;
mod read;
mod rows;
mod safetensors;
pub(crate) mod shapes;
pub(crate) mod shards;
mod source;
mod stored;
mod torch;
mod unknown;
mod zip;

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

pub use dtype::Dtype;
pub use index::TensorInfo;
pub use rows::PuzzleRows;

use crate::error::{Error, Result};
use crate::file_kind::{EXPORT, FileKind};
use index::Index;
pub(crate) use source::Source;
pub(crate) use stored::StoredConfig;

/// Size of the buffer for hashing a file, in bytes.
const HASH_CHUNK_BYTES: usize = 1 << 20;

/// An open file of tensors. Opening reads the index only, not the tensors.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use trm_runtime::bundled;
/// use trm_runtime::low_level::checkpoint::Checkpoint;
///
/// let file = Checkpoint::from_bytes(bundled::bytes("sudoku-4x4").unwrap())?;
/// let head = file.read("lm_head.weight")?;
/// assert_eq!(head.shape, file.tensors()["lm_head.weight"].shape);
/// # }
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug)]
pub struct Checkpoint {
    /// The file, or the first of several.
    source: Source,
    /// The other files of a model that is stored in several.
    more: Vec<Source>,
    index: Index,
    format: FileFormat,
}

/// The format of a file of tensors. The first bytes of the file decide, never its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// A file written by `torch.save`: a zip archive with a pickle.
    Torch,
    /// A safetensors file.
    Safetensors,
}

impl Checkpoint {
    /// Opens a file written by `torch.save`, or a safetensors file.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or has another format. For a known format the message
    /// says how to convert it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::new(Source::open(path.as_ref())?)
    }

    /// Opens a file in memory. The bytes are kept and not copied.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self> {
        Self::new(Source::memory(bytes))
    }

    pub(crate) fn new(source: Source) -> Result<Self> {
        match index(&source) {
            Ok((format, index)) => Ok(Self {
                source,
                more: Vec::new(),
                index,
                format,
            }),
            Err(e) => Err(source.locate(e)),
        }
    }

    /// Returns whether a path still leads to the open file. True where the system cannot tell.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.source.is_at(path)
    }

    /// Returns the format of the file.
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// Returns all tensors by their names in the file.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.index.tensors
    }

    /// Returns the SHA-256 of the whole file, as 64 hexadecimal digits. A model of several files is
    /// hashed as if they were joined in the order of their names.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; HASH_CHUNK_BYTES];
        for source in self.sources() {
            let mut at = 0;
            while at < source.len() {
                let left = usize::try_from(source.len() - at).unwrap_or(usize::MAX);
                let part = &mut buffer[..left.min(HASH_CHUNK_BYTES)];
                source.read_at(at, part).map_err(|e| source.locate(e))?;
                hash.update(&*part);
                at += part.len() as u64;
            }
        }
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// Returns the metadata of a safetensors file. Empty for other formats.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.index.metadata
    }

    /// Returns the hyper-parameters that training stored in a file of `torch.save`.
    pub(crate) fn stored_configs(&self) -> &[StoredConfig] {
        &self.index.configs
    }

    /// Returns the keys of lists of averaged weights, which have no names.
    pub(crate) fn nameless_averages(&self) -> &[String] {
        &self.index.nameless_averages
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.source).chain(&self.more)
    }

    /// Returns the file that holds a tensor.
    fn source_of(&self, info: &TensorInfo) -> &Source {
        self.sources().nth(info.file).unwrap_or(&self.source)
    }

    /// Returns the size of all files in bytes.
    fn total_bytes(&self) -> u64 {
        self.sources().map(Source::len).sum()
    }
}

/// Returns whether the file is an ONNX model. Decides by the first two fields of its `ModelProto`:
/// the `ir_version`, 1 to 127, and the tag of a field that may follow it.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn is_onnx(source: &Source) -> Result<bool> {
    let start = source
        .read_vec(0, source.len().min(9))
        .map_err(|e| source.locate(e))?;
    // Tags of the fields 2, 3, 4, 6, 7, 8, 14 and 20 (length-delimited) and 5 (varint).
    let second_tags = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72, 0xa2];
    let is_model = matches!(start[..], [0x08, 1..=0x7f, tag, ..] if second_tags.contains(&tag));
    Ok(is_model && !safetensors::recognises(&start))
}

fn index(source: &Source) -> Result<(FileFormat, Index)> {
    let start = source.read_vec(0, source.len().min(512))?;
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Ok((FileFormat::Torch, torch::index(source)?));
    }
    // The length of a header can look like the beginning of another format.
    if safetensors::is_certain(&start) {
        return Ok((FileFormat::Safetensors, safetensors::index(source)?));
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

/// Returns the message for a known but unsupported format that begins with `start`.
fn unsupported(start: &[u8]) -> Option<String> {
    // A file of torch.save before version 1.6 begins with the pickled magic number
    // 0x1950a86a20f9469cfc6c.
    const LEGACY: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    let message = match start {
        [] => "is empty",
        [0x80, _, rest @ ..] if rest.starts_with(LEGACY) => {
            "is in the old format of torch.save (before version 1.6, or \
             _use_new_zipfile_serialization=False), which is not supported; load it with PyTorch \
             and save it again: torch.save(torch.load(\"OLD\", weights_only=True), \"NEW\")"
        }
        [0x80, 0..=5, ..] => {
            "is a plain pickle, not a file of torch.save; load it in Python and save its tensors \
             with torch.save"
        }
        _ if start.get(257..262) == Some(b"ustar") => {
            "is a tar archive, the oldest format of torch.save; load it with PyTorch and save it \
             again: torch.save(torch.load(\"OLD\"), \"NEW\")"
        }
        _ if safetensors::recognises(start) => return None,
        _ => return other_kind(start),
    }
    .to_owned();
    Some(message)
}

/// Returns the message for a file of another kind.
fn other_kind(start: &[u8]) -> Option<String> {
    let kind = FileKind::of(start)?;
    Some(match kind.advice {
        "" | EXPORT => format!(
            "is {}; only torch.save and safetensors files are supported",
            kind.name
        ),
        _ => kind.message(),
    })
}

/// Runs a pickle and collects its tensors, for the fuzz target.
#[cfg(fuzzing)]
pub fn fuzz_pickle(data: &[u8]) {
    let _ = torch::pickled_names(data);
}
