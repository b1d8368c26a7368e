//! Reads the index of a file of `torch.save`: a zip archive with a pickle (`NAME/data.pkl`) and one
//! entry per storage (`NAME/data/KEY`).

use std::collections::{BTreeMap, btree_map};

use super::index::{Checksum, Index, TensorInfo};
use super::pickle::{self, Id, Pickle, PickledTensor, Value};
use super::source::Source;
use super::stored::stored_configs;
use super::unknown::is_averaged;
use super::zip::{self, Entries};
use crate::error::{Error, Result};

/// Most levels of nested dicts that are searched for tensors.
const MAX_DEPTH: usize = 16;
/// Most items of dicts in a file.
const MAX_ITEMS: usize = 200_000;
/// Most tensors in a file.
const MAX_TENSORS: usize = 20_000;
/// Longest name of a tensor in bytes, the keys of enclosing dicts included.
const MAX_NAME_BYTES: usize = 512;

/// Reads the index of a file.
///
/// # Errors
/// The file cannot be read, is damaged, exceeds a limit, or has no tensors.
pub(super) fn index(source: &Source) -> Result<Index> {
    let entries = zip::entries(source)?;
    let prefix = prefix(&entries)?;
    check_byte_order(source, &entries, prefix)?;
    let name = format!("{prefix}data.pkl");
    let entry = entries
        .get(&name)
        .ok_or_else(|| Error::checkpoint("has no entry data.pkl"))?;
    if entry.size() > pickle::MAX_PICKLE_BYTES {
        return Err(Error::checkpoint(format!(
            "its pickle has {} bytes, far more than a checkpoint needs",
            entry.size()
        )));
    }
    let data = source.read_vec(entry.data(source)?, entry.size())?;
    // 0: the file was written without checksums.
    if entry.crc != 0 && crc32fast::hash(&data) != entry.crc {
        return Err(Error::checkpoint(
            "its pickle is damaged: the checksum differs",
        ));
    }
    let pickle = Pickle::load(&data)?;
    let mut storages = Storages {
        source,
        entries: &entries,
        prefix,
        located: BTreeMap::new(),
    };
    let mut tensors = BTreeMap::new();
    let (found, nameless_averages) = flatten(&pickle)?;
    for (name, tensor) in found {
        let info = storages
            .locate(tensor)
            .map_err(|e| e.context(format!("tensor \"{name}\"")))?;
        tensors.insert(name, info);
    }
    if tensors.is_empty() {
        return Err(no_tensors(&pickle));
    }
    Ok(Index {
        tensors,
        metadata: BTreeMap::new(),
        configs: stored_configs(&pickle),
        nameless_averages,
    })
}

/// Returns `NAME/` of the only entry `NAME/data.pkl`.
fn prefix(entries: &Entries) -> Result<&str> {
    let mut pickles = entries.keys().filter_map(|name| {
        name.strip_suffix("data.pkl")
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('/'))
    });
    let prefix = pickles.next().ok_or_else(|| {
        Error::checkpoint("is a zip archive, but not one of torch.save: it has no entry data.pkl")
    })?;
    if pickles.next().is_some() {
        return Err(Error::checkpoint("has several entries data.pkl"));
    }
    if entries.contains_key(&format!("{prefix}constants.pkl")) {
        return Err(Error::checkpoint(
            "is a TorchScript program; save the weights alone: torch.save(model.state_dict(), \
             path)",
        ));
    }
    Ok(prefix)
}

/// Checks that the elements are little-endian.
fn check_byte_order(source: &Source, entries: &Entries, prefix: &str) -> Result<()> {
    let Some(entry) = entries.get(&format!("{prefix}byteorder")) else {
        return Ok(());
    };
    let order = source.read_vec(entry.data(source)?, entry.size().min(16))?;
    if order != b"little" {
        return Err(Error::checkpoint(format!(
            "was written with byte order \"{}\"; only \"little\" is supported",
            order.escape_ascii()
        )));
    }
    Ok(())
}

/// Returns the error for a pickle without tensors.
fn no_tensors(pickle: &Pickle<'_>) -> Error {
    let hint = "save the weights alone: torch.save(model.state_dict(), path)";
    match (pickle.value(pickle.root), pickle.foreign.first()) {
        (Value::Foreign | Value::Object(_), Some(class)) => Error::checkpoint(format!(
            "holds a pickled object ({class}), which is never executed; {hint}"
        )),
        (Value::Dict(_), Some(class)) => Error::checkpoint(format!(
            "holds no tensors, but pickled objects ({class}), which are never executed; {hint}"
        )),
        (Value::Dict(_), None) => Error::checkpoint(format!("holds no tensors; {hint}")),
        _ => Error::checkpoint(format!("holds no dict of tensors; {hint}")),
    }
}

/// The tensors of a pickle by name, and the keys of lists of averaged weights.
type Flattened<'p, 'a> = (BTreeMap<String, &'p PickledTensor<'a>>, Vec<String>);

/// Collects the tensors in nested dicts. A name is the keys joined by dots. Lists and foreign
/// objects are not searched.
fn flatten<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<Flattened<'p, 'a>> {
    const MAX_NAMELESS: usize = 4;
    let mut nameless = Vec::new();
    // Each tensor with the dict that holds it.
    let mut found: BTreeMap<String, (Id, &PickledTensor<'a>)> = BTreeMap::new();
    let mut pending: Vec<(String, Id, usize)> = vec![(String::new(), pickle.root, 0)];
    let mut items = 0;
    while let Some((path, id, depth)) = pending.pop() {
        let Value::Dict(dict) = pickle.value(id) else {
            continue;
        };
        items += dict.len();
        if items > MAX_ITEMS || found.len() > MAX_TENSORS {
            return Err(Error::checkpoint("holds far more tensors than a model has"));
        }
        for (key, value) in dict {
            let name = match pickle.value(*key) {
                Value::Str(key) if path.is_empty() => (*key).to_owned(),
                Value::Str(key) => format!("{path}.{key}"),
                Value::Int(key) => format!("{path}.{key}"),
                _ => continue,
            };
            match pickle.value(*value) {
                Value::Tensor(_) | Value::Dict(_) if name.len() > MAX_NAME_BYTES => {
                    return Err(Error::checkpoint(format!(
                        "has a tensor name of {} bytes; at most {MAX_NAME_BYTES} are supported",
                        name.len()
                    )));
                }
                Value::Tensor(tensor) => {
                    if let btree_map::Entry::Occupied(known) = found.entry(name.clone())
                        && known.get().0 != id
                    {
                        return Err(Error::checkpoint(format!(
                            "has two tensors \"{name}\", in different dicts"
                        )));
                    }
                    found.insert(name, (id, tensor.as_ref()));
                }
                Value::List(list) if nameless.len() < MAX_NAMELESS && depth < 4 => {
                    let first = list.first().map(|id| pickle.value(*id));
                    if name.split('.').any(is_averaged) && matches!(first, Some(Value::Tensor(_))) {
                        nameless.push(name);
                    }
                }
                Value::Dict(_) if depth < MAX_DEPTH => pending.push((name, *value, depth + 1)),
                _ => {}
            }
        }
    }
    let found = found
        .into_iter()
        .map(|(name, (_, tensor))| (name, tensor))
        .collect();
    Ok((found, nameless))
}

/// Finds the bytes of storages. Looks up each storage once.
struct Storages<'a> {
    source: &'a Source,
    entries: &'a Entries,
    prefix: &'a str,
    located: BTreeMap<&'a str, Storage>,
}

/// Position and size of a storage in the file, in bytes.
#[derive(Clone, Copy)]
struct Storage {
    start: u64,
    len: u64,
    /// CRC-32 of the bytes. 0: the file has no checksums.
    crc: u32,
}

impl<'a> Storages<'a> {
    /// Returns the position of a tensor in the file.
    fn locate(&mut self, tensor: &PickledTensor<'a>) -> Result<TensorInfo> {
        let storage = match self.located.entry(tensor.key) {
            btree_map::Entry::Occupied(known) => *known.get(),
            btree_map::Entry::Vacant(new) => {
                let name = format!("{}data/{}", self.prefix, tensor.key);
                let entry = self.entries.get(&name).ok_or_else(|| {
                    Error::checkpoint(format!(
                        "its storage \"{}\" is not in the file",
                        tensor.key.escape_default()
                    ))
                })?;
                *new.insert(Storage {
                    start: entry.data(self.source)?,
                    len: entry.size(),
                    crc: entry.crc,
                })
            }
        };
        let mut info = TensorInfo::new(tensor.dtype, tensor.shape.clone(), tensor.strides.clone());
        info.place(storage.start, storage.len, tensor.offset)?;
        let fills_storage = info.is_contiguous() && info.stored_bytes() == Some(storage.len);
        info.checksum = (fills_storage && storage.crc != 0).then_some(Checksum(storage.crc));
        Ok(info)
    }
}

/// Returns the names of a pickle's tensors, for the fuzz target.
#[cfg(fuzzing)]
pub(super) fn pickled_names(data: &[u8]) -> Result<Vec<String>> {
    let pickle = Pickle::load(data)?;
    Ok(flatten(&pickle)?.0.into_keys().collect())
}
