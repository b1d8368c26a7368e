//! Tensors whose bytes are in files beside the graph.
//!
//! Every reference is checked before anything is read. The files are read, not mapped, so that a
//! file that is cut in the meantime is an error and not a signal.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use tract_onnx::data_resolver::ModelDataResolver;
use tract_onnx::pb::{self, tensor_proto::DataLocation};
use tract_onnx::prelude::TractResult;

use crate::checkpoint::Source;
use crate::error::{Error, Result};

/// Size limit of all tensors in files beside the graph, in bytes.
const MAX_BYTES: u64 = 1 << 32;
/// Tensors that share bytes may be this much larger than the files that they are in...
const MAX_EXPANSION: u64 = 4;
/// ...or this large, in bytes.
const MIN_EXPANDED_BYTES: u64 = 64 << 20;
/// Most files that a graph may refer to.
const MAX_FILES: usize = 4096;

/// The files that a graph refers to.
#[derive(Default)]
pub(super) struct ExternalFiles {
    /// The folder of the graph. `None`: the graph was not read from a file.
    folder: Option<PathBuf>,
    /// By location, as the graph names it.
    locations: HashMap<String, PathBuf>,
    /// By path without links.
    sources: HashMap<PathBuf, Source>,
    /// Total size of the files.
    file_bytes: u64,
    /// Total size of the tensors.
    tensor_bytes: u64,
}

/// Bytes in a file beside the graph.
#[derive(Debug)]
pub(super) struct Range {
    path: PathBuf,
    offset: u64,
    len: u64,
}

impl ExternalFiles {
    /// Creates an empty set of files in the folder of `graph`.
    pub(super) fn beside(graph: Option<&Path>) -> Self {
        let folder = graph.map(|path| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        });
        Self {
            folder,
            ..Self::default()
        }
    }

    /// Returns the folder of the graph as tract takes it.
    pub(super) fn folder(&self) -> Option<&str> {
        self.folder.as_deref().and_then(Path::to_str)
    }

    /// Checks the reference of a tensor that has `len` bytes. Opens the file.
    ///
    /// # Errors
    /// The reference is incomplete, leaves the folder of the graph, is not to a regular file, or is
    /// to bytes that the file does not have.
    pub(super) fn add(&mut self, tensor: &pb::TensorProto, len: u64) -> Result<Range> {
        let [mut location, mut offset, mut stored_len] = [None; 3];
        for entry in &tensor.external_data {
            let value = match entry.key.as_str() {
                "location" => &mut location,
                "offset" => &mut offset,
                "length" => &mut stored_len,
                _ => continue,
            };
            if value.replace(entry.value.as_str()).is_some() {
                return Err(Error::checkpoint(format!(
                    "names the {} of its data twice",
                    entry.key
                )));
            }
        }
        let location = location
            .ok_or_else(|| Error::checkpoint("is in another file, but does not name that file"))?;
        let number = |text: Option<&str>, what: &str| match text {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| {
                Error::checkpoint(format!("has {text:.40?} as the {what} of its data"))
            }),
        };
        let offset = number(offset, "offset")?.unwrap_or(0);
        let path = self.open(location)?;
        let file_len = self.sources[&path].len();
        let in_file = |message: String| Error::checkpoint(message).context(path.display());
        let stored_len = match number(stored_len, "length")? {
            Some(stored_len) => stored_len,
            None => file_len.saturating_sub(offset),
        };
        if stored_len != len {
            return Err(in_file(format!(
                "the graph takes {stored_len} bytes for a tensor of {len} bytes"
            )));
        }
        if offset.checked_add(len).is_none_or(|end| end > file_len) {
            return Err(in_file(format!(
                "the graph takes {len} bytes at byte {offset}, but the file has {file_len}"
            )));
        }
        self.tensor_bytes += len;
        let limit = (MAX_EXPANSION * self.file_bytes)
            .max(MIN_EXPANDED_BYTES)
            .min(MAX_BYTES);
        if self.tensor_bytes > limit {
            return Err(in_file(format!(
                "the tensors outside the graph take more than {} MiB, the limit for their files",
                limit >> 20
            )));
        }
        Ok(Range { path, offset, len })
    }

    /// Opens the file at `location`, once. Returns its path without links.
    fn open(&mut self, location: &str) -> Result<PathBuf> {
        if let Some(path) = self.locations.get(location) {
            return Ok(path.clone());
        }
        let at = |message: &str| {
            Error::checkpoint(format!("its data are in {location:.200?}: {message}"))
        };
        let folder = self.folder.as_deref().ok_or_else(|| {
            at("only a graph that is read from a file can refer to files beside it")
        })?;
        let mut components = Path::new(location).components();
        if location.is_empty()
            || !components.all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
        {
            return Err(at("only files in the folder of the graph are read"));
        }
        if self.folder().is_none() {
            return Err(at(
                "the path of the folder must be UTF-8 for graphs that refer to other files",
            ));
        }
        if self.locations.len() >= MAX_FILES {
            return Err(at(&format!(
                "the graph refers to more than {MAX_FILES} files"
            )));
        }
        let resolve = |path: &Path| {
            let found = path.canonicalize();
            found.map_err(|e| at(&e.to_string()).with_source(e))
        };
        let folder = resolve(folder)?;
        let path = resolve(&folder.join(location))?;
        if !path.starts_with(&folder) {
            return Err(at("the link leaves the folder of the graph"));
        }
        if !self.sources.contains_key(&path) {
            let source = Source::open(&path)?;
            self.file_bytes = self.file_bytes.saturating_add(source.len());
            self.sources.insert(path.clone(), source);
        }
        self.locations.insert(location.to_owned(), path.clone());
        Ok(path)
    }

    /// Reads bytes that [`Self::add`] has checked.
    ///
    /// # Errors
    /// The file cannot be read, or was cut in the meantime.
    pub(super) fn read(&self, range: &Range) -> Result<Vec<u8>> {
        let source = &self.sources[&range.path];
        let bytes = source.read_vec(range.offset, range.len);
        bytes.map_err(|e| e.context(range.path.display()))
    }
}

/// Gives tract the bytes of a tensor, from a file that was checked.
impl ModelDataResolver for ExternalFiles {
    fn read_bytes_from_path(
        &self,
        buffer: &mut Vec<u8>,
        path: &Path,
        offset: usize,
        len: Option<usize>,
    ) -> TractResult<()> {
        let source = self.sources.get(path);
        let exchanged = || Error::checkpoint("was exchanged").context(path.display());
        let source = source.ok_or_else(exchanged)?;
        let offset = offset as u64;
        let len = len.map_or(source.len().saturating_sub(offset), |len| len as u64);
        let bytes = source.read_vec(offset, len);
        *buffer = bytes.map_err(|e| e.context(path.display()))?;
        Ok(())
    }
}

/// Returns whether the bytes of a tensor are in a file beside the graph.
pub(super) fn is_external(tensor: &pb::TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}
