//! Opens a model whose tensors are in several files (shards): those that an index
//! (`model.safetensors.index.json`) lists, or those whose names are numbered
//! (`model-00001-of-00002.safetensors`).

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::index::Index;
use super::source::Source;
use super::{Checkpoint, index};
use crate::error::{Error, Result};

/// End of the name of an index.
const INDEX_SUFFIX: &str = ".index.json";
/// Size limit of an index, in bytes: tens of thousands of tensors.
const MAX_INDEX_BYTES: u64 = 4 << 20;
/// Most files of a model. All of them are open at the same time.
const MAX_SHARDS: usize = 256;
/// Most tensors of all files together.
const MAX_TENSORS: usize = 20_000;

/// An opened model of several files, and notes for the user.
pub(crate) type OpenedShards = (Checkpoint, Vec<String>);

/// Returns whether a file name is that of an index.
pub(crate) fn is_index(name: &str) -> bool {
    name.len() > INDEX_SUFFIX.len() && name.ends_with(INDEX_SUFFIX)
}

/// The parts of a numbered name, `STEM-00001-of-00002.SUFFIX`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NumberedName {
    pub(crate) stem: String,
    pub(crate) suffix: String,
    pub(crate) count: usize,
    pub(crate) number: usize,
}

impl NumberedName {
    /// Parses a file name. `None`: it is not numbered.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (rest, suffix) = name.rsplit_once('.')?;
        let (rest, count) = rest.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let parse = |digits: &str| {
            let is_number =
                (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten()
        };
        Some(Self {
            stem: stem.to_owned(),
            suffix: suffix.to_owned(),
            count: parse(count)?,
            number: parse(number)?,
        })
    }

    /// Returns whether both names are numbers of one model.
    pub(crate) fn same_model(&self, other: &Self) -> bool {
        (&self.stem, &self.suffix, self.count) == (&other.stem, &other.suffix, other.count)
    }
}

/// Opens all shards that an index lists.
///
/// # Errors
/// The index is damaged or names a file outside its directory; a shard is missing or damaged; the
/// tensors of a shard are not those that the index lists for it.
pub(crate) fn open_index(path: &Path) -> Result<OpenedShards> {
    let at = |e: Error| e.context(path.display());
    let listed = read_index(path)?;
    let mut files: Vec<&str> = listed.weight_map.values().map(String::as_str).collect();
    files.sort_unstable();
    files.dedup();
    for file in &files {
        check_name(file).map_err(at)?;
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    let paths: Vec<PathBuf> = files.iter().map(|file| dir.join(file)).collect();
    for path in &paths {
        if !path.exists() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            return Err(at(Error::checkpoint(format!(
                "lists the shard \"{name}\", which is not in the directory"
            ))));
        }
    }
    let checkpoint = open_files(&paths).map_err(|e| match paths.is_empty() {
        true => at(e),
        false => e,
    })?;
    let stored_in = |file: usize| files.get(file).copied().unwrap_or_default();
    for (name, file) in &listed.weight_map {
        match checkpoint.tensors().get(name) {
            Some(info) if stored_in(info.file) == file => {}
            Some(info) => {
                return Err(at(Error::checkpoint(format!(
                    "lists tensor \"{name}\" in \"{file}\", but it is in \"{}\"",
                    stored_in(info.file)
                ))));
            }
            None => {
                return Err(at(Error::checkpoint(format!(
                    "lists tensor \"{name}\" in \"{file}\", which does not hold it"
                ))));
            }
        }
    }
    for (name, info) in checkpoint.tensors() {
        if !listed.weight_map.contains_key(name) {
            return Err(at(Error::checkpoint(format!(
                "does not list tensor \"{name}\", which is in \"{}\": the index and the shards do \
                 not belong together",
                stored_in(info.file)
            ))));
        }
    }
    let stored: u64 = checkpoint
        .tensors()
        .values()
        .filter_map(super::TensorInfo::stored_bytes)
        .sum();
    let mut notes = Vec::new();
    if let Some(total) = listed.total_size.filter(|total| *total != stored) {
        notes.push(format!(
            "the index states a total of {total} bytes, but the shards hold {stored}"
        ));
    }
    Ok((checkpoint, notes))
}

/// Opens files whose tensors together are one model.
///
/// # Errors
/// There is no file or too many, one is damaged or has another format than the first, or two hold
/// a tensor of the same name.
pub(crate) fn open_files(paths: &[PathBuf]) -> Result<Checkpoint> {
    let (Some(first), true) = (paths.first(), paths.len() <= MAX_SHARDS) else {
        return Err(Error::checkpoint(format!(
            "has {} shards; from 1 to {MAX_SHARDS} are supported",
            paths.len()
        )));
    };
    let mut whole = Checkpoint::new(Source::open(first)?)?;
    for (file, path) in paths.iter().enumerate().skip(1) {
        let source = Source::open(path)?;
        let (format, shard) = index(&source).map_err(|e| source.locate(e))?;
        if format != whole.format {
            return Err(source.locate(Error::checkpoint(
                "has another format than the other shards of the model",
            )));
        }
        merge(&mut whole.index, shard, file).map_err(|e| source.locate(e))?;
        whole.more.push(source);
    }
    Ok(whole)
}

/// Adds the index of shard number `file`.
fn merge(whole: &mut Index, shard: Index, file: usize) -> Result<()> {
    for (name, mut info) in shard.tensors {
        info.file = file;
        if whole.tensors.len() >= MAX_TENSORS {
            return Err(Error::checkpoint(format!(
                "the shards hold more than {MAX_TENSORS} tensors"
            )));
        }
        if whole.tensors.contains_key(&name) {
            return Err(
                Error::checkpoint("is in another shard, too").context(format!("tensor \"{name}\""))
            );
        }
        whole.tensors.insert(name, info);
    }
    for (key, value) in shard.metadata {
        whole.metadata.entry(key).or_insert(value);
    }
    whole.nameless_averages.extend(shard.nameless_averages);
    for config in shard.configs {
        if !whole.configs.contains(&config) {
            whole.configs.push(config);
        }
    }
    Ok(())
}

/// Checks that a shard is a plain file name, so that an index cannot name files elsewhere.
fn check_name(name: &str) -> Result<()> {
    let plain =
        !name.is_empty() && !name.contains(['/', '\\', ':', '\0']) && !name.starts_with('.');
    match plain {
        true => Ok(()),
        false => Err(Error::checkpoint(format!(
            "names the shard \"{}\", which is not the name of a file in its directory",
            name.escape_debug()
        ))),
    }
}

/// The content of an index.
struct ShardIndex {
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
    /// Size of all tensors in bytes, as stated.
    total_size: Option<u64>,
}

fn read_index(path: &Path) -> Result<ShardIndex> {
    let io = |e| Error::io(path.display(), e);
    let at = |e: Error| e.context(path.display());
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(at(Error::checkpoint("is not a regular file")));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_INDEX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(io)?;
    if bytes.len() as u64 > MAX_INDEX_BYTES {
        return Err(at(Error::checkpoint(format!(
            "has more than {MAX_INDEX_BYTES} bytes, the limit for an index of shards"
        ))));
    }
    let damaged = |e: serde_json::Error| {
        at(Error::checkpoint(format!("is not an index of shards: {e}")).with_source(e))
    };
    let parsed: ParsedIndex = serde_json::from_slice(&bytes).map_err(damaged)?;
    let weight_map = parsed.weight_map.filter(|map| !map.is_empty());
    let weight_map = weight_map.ok_or_else(|| {
        at(Error::checkpoint(
            "is not an index of shards: it has no weight_map with the file of each tensor",
        ))
    })?;
    Ok(ShardIndex {
        weight_map,
        total_size: parsed.total_size,
    })
}

#[derive(Default)]
struct ParsedIndex {
    weight_map: Option<BTreeMap<String, String>>,
    total_size: Option<u64>,
}

impl<'de> Deserialize<'de> for ParsedIndex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = ParsedIndex;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with weight_map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ParsedIndex, A::Error> {
                let mut parsed = ParsedIndex::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "weight_map" => {
                            parsed.weight_map = Some(map.next_value::<UniqueKeys>()?.0);
                        }
                        _ => {
                            let value: serde_json::Value = map.next_value()?;
                            let total = value.get("total_size").and_then(|size| size.as_u64());
                            parsed.total_size = parsed.total_size.or(total);
                        }
                    }
                }
                Ok(parsed)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A map of strings in which no key is given twice.
struct UniqueKeys(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = UniqueKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the file of each tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueKeys, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if entries.contains_key(&key) {
                        return Err(A::Error::custom(format!(
                            "tensor \"{key}\" is listed twice"
                        )));
                    }
                    entries.insert(key, value);
                }
                Ok(UniqueKeys(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_names() {
        let name = NumberedName::parse("model-00002-of-00010.safetensors").unwrap();
        assert_eq!(
            (name.stem.as_str(), name.number, name.count),
            ("model", 2, 10)
        );
        for other in [
            "model.safetensors",
            "model-of-2.bin",
            "model-1-of-x.bin",
            "model-1-of-2",
            "m-1234567-of-2.bin",
        ] {
            assert_eq!(NumberedName::parse(other), None, "{other}");
        }
    }
}
