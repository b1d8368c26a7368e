//! Finds the files of a model: the tensors or the graph, and the configuration beside them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::FileFormat;
use super::shards::{NumberedName, is_index};
use crate::config::{MAX_CONFIG_BYTES, Settings};
use crate::error::{Error, Hint, Result};
use crate::files::open_regular;

/// Suffixes of files that may be a checkpoint or an ONNX graph.
const MODEL_SUFFIXES: &[&str] = &["safetensors", "pt", "pth", "ckpt", "bin", "onnx"];
/// Name of the configuration that [`Model::save`](crate::Model::save) writes.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// Name of the file of tensors that [`Model::save`](crate::Model::save) writes.
pub(crate) const MODEL_FILE: &str = "model.safetensors";
/// Names of the configuration that training programs write, in the order of the search.
const TRAINING_FILES: &[&str] = &[
    "all_config.yaml",
    "config.yaml",
    ".hydra/config.yaml",
    "hparams.yaml",
];
/// Paths of the description of the training data, in the order of the search.
const DATASET_FILES: &[&str] = &["dataset.json", "train/dataset.json", "test/dataset.json"];
/// Names of directories of checkpoints. The configuration may be in the directory above.
const CHECKPOINT_DIRECTORIES: &[&str] = &["checkpoints", "checkpoint", "ckpts", "ckpt"];
/// Names, without suffix, of files that training leaves beside the model.
const OTHER_STEMS: &[&str] = &["optimizer", "scheduler", "scaler", "training_args"];
/// Beginnings and ends of such names.
const OTHER_NAME_PARTS: &[&str] = &["rng_state", "_train_state", "optim_states"];

/// Most entries of a directory that are searched.
const MAX_DIRECTORY_ENTRIES: usize = 100_000;
/// Most file names in a message.
const MAX_SHOWN_NAMES: usize = 10;

/// The file or the files of a model.
#[derive(Debug)]
pub(crate) struct ModelFile {
    /// The file of tensors, the graph, the index of shards, or the first shard.
    pub(crate) path: PathBuf,
    pub(crate) layout: Layout,
    /// Says which file was chosen, if there were others.
    pub(crate) note: Option<String>,
}

/// How the tensors of a model are distributed over files.
#[derive(Debug)]
pub(crate) enum Layout {
    /// One file.
    Single,
    /// The path is an index that lists the files.
    Index,
    /// These files, whose names are numbered.
    Numbered(Vec<PathBuf>),
}

/// Returns the file of tensors, or the ONNX graph, of a model. A file is its own; a shard stands
/// for its model. In a directory it is, in this order:
/// 1. `model.safetensors`, if `config.json` is there, too;
/// 2. `step_N` with the largest N, with or without the suffix of a checkpoint;
/// 3. the only file whose name is that of a checkpoint, of an index of shards, or of a graph;
/// 4. the same in a directory `checkpoints` below it.
///
/// # Errors
/// The path cannot be read, or the directory has no such file or several.
pub(crate) fn model_file(path: &Path) -> Result<ModelFile> {
    let found = fs::metadata(path).map_err(|e| absent(path, e))?;
    if !found.is_dir() {
        return file_itself(path);
    }
    let names = file_names(path)?;
    if path.join(CONFIG_FILE).is_file() && path.join(MODEL_FILE).is_file() {
        let others: Vec<&str> = names
            .iter()
            .filter(|name| *name != MODEL_FILE && !name.ends_with(".onnx"))
            .filter(|name| step_number(name).is_some() || is_checkpoint(name) || is_index(name))
            .map(String::as_str)
            .collect();
        return Ok(ModelFile {
            note: (!others.is_empty()).then(|| {
                format!(
                    "{MODEL_FILE} is used; also in the directory: {}",
                    shown(&others)
                )
            }),
            ..single(path.join(MODEL_FILE))
        });
    }
    let candidates = candidates(path, &names);
    let mut steps: Vec<(u64, &String)> = names
        .iter()
        .filter_map(|name| Some((step_number(name)?, name)))
        .collect();
    steps.sort();
    if let Some((_, newest)) = steps.pop() {
        let others: Vec<&str> = names
            .iter()
            .filter(|name| *name != newest)
            .filter(|name| step_number(name).is_some() || is_checkpoint(name))
            .map(String::as_str)
            .collect();
        return Ok(ModelFile {
            note: (!others.is_empty()).then(|| {
                format!(
                    "{newest} is used, the step with the largest number; also in the directory: {}",
                    shown(&others)
                )
            }),
            ..single(path.join(newest))
        });
    }
    match candidates.len() {
        0 => in_checkpoint_directory(path)?.ok_or_else(|| no_model(&names).context(path.display())),
        1 => candidates
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(no_model(&names))),
        _ => {
            let several: Vec<String> = candidates
                .iter()
                .flatten()
                .filter_map(|file| Some(file.path.file_name()?.to_string_lossy().into_owned()))
                .collect();
            let several: Vec<&str> = several.iter().map(String::as_str).collect();
            Err(Error::checkpoint(format!(
                "holds several checkpoints ({}); name the one to load",
                shown(&several)
            ))
            .context(path.display()))
        }
    }
}

fn single(path: PathBuf) -> ModelFile {
    ModelFile {
        path,
        layout: Layout::Single,
        note: None,
    }
}

/// Returns what a path to a file means: the file, or the model of which it is a shard.
fn file_itself(path: &Path) -> Result<ModelFile> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(name) = name else {
        return Ok(single(path.to_owned()));
    };
    if is_index(name) {
        return Ok(ModelFile {
            layout: Layout::Index,
            ..single(path.to_owned())
        });
    }
    let Some(numbered) = NumberedName::parse(name).filter(|numbered| numbered.count > 1) else {
        return Ok(single(path.to_owned()));
    };
    let dir = parent(path);
    let found = shards_of(dir, &file_names(dir)?, &numbered)?;
    Ok(ModelFile {
        note: Some(format!(
            "{name} is one of {} files of a model; all of them are read",
            numbered.count
        )),
        ..found
    })
}

/// Returns the models in a directory, without the steps that training names `step_N`.
fn candidates(dir: &Path, names: &[String]) -> Vec<Result<ModelFile>> {
    let mut found = Vec::new();
    let mut seen: Vec<NumberedName> = Vec::new();
    for name in names {
        if is_index(name) {
            found.push(Ok(ModelFile {
                layout: Layout::Index,
                ..single(dir.join(name))
            }));
        } else if let Some(numbered) = NumberedName::parse(name).filter(|_| is_checkpoint(name)) {
            let listed = names.contains(&index_name(&numbered));
            if !listed && !seen.iter().any(|other| other.same_model(&numbered)) {
                found.push(shards_of(dir, names, &numbered));
                seen.push(numbered);
            }
        } else if is_checkpoint(name) {
            found.push(Ok(single(dir.join(name))));
        }
    }
    found
}

/// Returns the name of the index of numbered files.
fn index_name(numbered: &NumberedName) -> String {
    format!("{}.{}.index.json", numbered.stem, numbered.suffix)
}

/// Returns the model of a numbered file: by its index, or all files with its numbers.
///
/// # Errors
/// A number is missing.
fn shards_of(dir: &Path, names: &[String], numbered: &NumberedName) -> Result<ModelFile> {
    let index = index_name(numbered);
    if names.contains(&index) {
        return Ok(ModelFile {
            layout: Layout::Index,
            ..single(dir.join(index))
        });
    }
    let mut shards: Vec<(usize, PathBuf)> = names
        .iter()
        .filter_map(|name| Some((NumberedName::parse(name)?, name)))
        .filter(|(other, _)| other.same_model(numbered))
        .map(|(other, name)| (other.number, dir.join(name)))
        .collect();
    shards.sort();
    let numbers: Vec<usize> = shards.iter().map(|shard| shard.0).collect();
    // Some programs count from 0.
    let first = numbers.first().copied().unwrap_or(1).min(1);
    if !numbers.iter().copied().eq(first..first + numbered.count) {
        let missing = (first..first + numbered.count).find(|number| !numbers.contains(number));
        return Err(Error::checkpoint(format!(
            "has the files {numbers:?} of the {} of model \"{}\"; number {} is missing",
            numbered.count,
            numbered.stem,
            missing.unwrap_or(first)
        ))
        .context(dir.display()));
    }
    let paths: Vec<PathBuf> = shards.into_iter().map(|shard| shard.1).collect();
    Ok(ModelFile {
        path: paths.first().cloned().unwrap_or_default(),
        layout: Layout::Numbered(paths),
        note: None,
    })
}

/// Returns the model in the directory of checkpoints below `dir`. `None`: there is no such
/// directory.
///
/// # Errors
/// As [`model_file`].
fn in_checkpoint_directory(dir: &Path) -> Result<Option<ModelFile>> {
    let mut below = CHECKPOINT_DIRECTORIES.iter().map(|name| dir.join(name));
    let Some(below) = below.find(|below| below.is_dir()) else {
        return Ok(None);
    };
    // A directory of checkpoints has no other below it, so this ends.
    let is_nested = CHECKPOINT_DIRECTORIES
        .iter()
        .any(|name| below.join(name).is_dir());
    if is_nested {
        return Ok(None);
    }
    let found = model_file(&below)?;
    let note = found.note.clone().unwrap_or_else(|| {
        let file = found.path.strip_prefix(dir).unwrap_or(&found.path);
        format!("{} is used", file.display())
    });
    Ok(Some(ModelFile {
        note: Some(note),
        ..found
    }))
}

/// Returns the error for a path that cannot be read. A URL, or what looks like the name of a model
/// on a hub, gets a hint.
fn absent(path: &Path, error: std::io::Error) -> Error {
    let text = path.to_str().unwrap_or_default();
    if let Some((scheme, rest)) = text.split_once("://") {
        let error = Error::checkpoint("is an address, not a file: models are read from files")
            .context(path.display());
        return match scheme {
            "hf" => error.with_hint(Hint::FetchFromHub(
                hub_name(rest).unwrap_or(rest).to_owned(),
            )),
            _ => error.with_hint(Hint::DownloadFile(text.to_owned())),
        };
    }
    let not_found = error.kind() == std::io::ErrorKind::NotFound;
    let error = Error::io(path.display(), error);
    match hub_name(text).filter(|_| not_found) {
        Some(name) => error.with_hint(Hint::FetchFromHub(name.to_owned())),
        None => error,
    }
}

/// Returns the name `user/model` of a model on a hub, if the text has this form and does not begin
/// with a directory. The name of a host may precede it.
fn hub_name(text: &str) -> Option<&str> {
    let is_part = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
    };
    let text = text.trim_end_matches('/');
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [_, _] => text,
        [host, _, _] if host.contains('.') => text.split_once('/')?.1,
        _ => return None,
    };
    let (user, model) = name.split_once('/')?;
    let is_file = step_number(model).is_some() || is_checkpoint(model) || is_index(model);
    (is_part(user) && is_part(model) && !is_file && !Path::new(user).exists()).then_some(name)
}

/// Returns the names of the files in a directory, sorted.
fn file_names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = fs::read_dir(dir).map_err(|e| Error::io(dir.display(), e))?;
    for entry in entries.take(MAX_DIRECTORY_ENTRIES) {
        let name = entry.map_err(|e| Error::io(dir.display(), e))?.file_name();
        // Skips names that are not valid Unicode, because no file of a model has one.
        if let Ok(name) = name.into_string()
            && dir.join(&name).is_file()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Returns the directory of a file, `.` for a bare name.
pub(crate) fn parent(file: &Path) -> &Path {
    file.parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Returns N of the name `step_N`, which may have the suffix of a checkpoint.
fn step_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step_")?;
    let digits = match digits.split_once('.') {
        Some((digits, suffix)) if MODEL_SUFFIXES.contains(&suffix) => digits,
        _ => digits,
    };
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

/// Returns whether a name is that of a checkpoint or an ONNX graph. The state of an optimizer and
/// other files that training leaves beside a checkpoint are not.
fn is_checkpoint(name: &str) -> bool {
    let Some((stem, suffix)) = name.rsplit_once('.') else {
        return name == "checkpoint";
    };
    let is_other =
        OTHER_STEMS.contains(&stem) || OTHER_NAME_PARTS.iter().any(|part| stem.contains(part));
    MODEL_SUFFIXES.contains(&suffix) && !is_other
}

/// Returns the first names as a list.
fn shown(names: &[&str]) -> String {
    let more = if names.len() > MAX_SHOWN_NAMES {
        " ..."
    } else {
        ""
    };
    let first: Vec<&str> = names.iter().take(MAX_SHOWN_NAMES).copied().collect();
    first.join(", ") + more
}

/// Returns the error for a directory without a model.
fn no_model(names: &[String]) -> Error {
    if names.iter().any(|name| name.ends_with(".distcp")) {
        return Error::checkpoint(
            "is a distributed checkpoint (torch.distributed.checkpoint), which is not supported; \
             convert it first: python -m torch.distributed.checkpoint.format_utils dcp_to_torch \
             DIRECTORY model.pt",
        );
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = match names.as_slice() {
        [] => "no file".to_owned(),
        names => shown(names),
    };
    Error::checkpoint(format!(
        "holds no model: neither {CONFIG_FILE} with {MODEL_FILE}, nor step_N, nor one file \
         *.safetensors, *.pt, *.pth, *.ckpt, *.bin, *.onnx; found: {found}"
    ))
}

/// Adds the configuration file beside a file of tensors. Returns its path. If both `config.json`
/// and that of a training program are there, only the one that belongs to `format` is read:
/// `config.json` for safetensors, the other for `torch.save`. For a file in a directory
/// `checkpoints` the directory above is searched next.
///
/// # Errors
/// The configuration cannot be read, or is invalid.
pub(crate) fn add_config_beside(
    file: &Path,
    format: FileFormat,
    settings: &mut Settings,
) -> Result<Option<PathBuf>> {
    let dir = parent(file);
    let found = add_config_of(dir, format, settings)?;
    if found.is_some() {
        return Ok(found);
    }
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = dir.file_name().and_then(|name| name.to_str());
    match dir.parent() {
        Some(above) if name.is_some_and(|name| CHECKPOINT_DIRECTORIES.contains(&name)) => {
            add_config_of(above, format, settings)
        }
        _ => Ok(None),
    }
}

/// Adds the configuration file of a directory. Returns its path.
fn add_config_of(
    dir: &Path,
    format: FileFormat,
    settings: &mut Settings,
) -> Result<Option<PathBuf>> {
    let training = TRAINING_FILES.iter().copied();
    let order: Vec<&str> = match format {
        FileFormat::Safetensors => std::iter::once(CONFIG_FILE).chain(training).collect(),
        FileFormat::Torch => training.chain([CONFIG_FILE]).collect(),
    };
    for name in order {
        let path = dir.join(name);
        let Some(text) = read_config_if_exists(&path)? else {
            continue;
        };
        // Other programs use these names, too: such a file counts only if it has a hyper-parameter.
        let added = match name {
            CONFIG_FILE | "all_config.yaml" => settings.add_file(name, &text).map(|()| true),
            _ => settings.add_file_if_useful(name, &text),
        };
        if added.map_err(|e| e.context(dir.display()))? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Adds the description of the training data, `dataset.json`, if there is one. Returns its path.
///
/// # Errors
/// The file cannot be read, or is invalid.
pub(crate) fn add_dataset_beside(file: &Path, settings: &mut Settings) -> Result<Option<PathBuf>> {
    let dir = parent(file);
    for name in DATASET_FILES {
        let path = dir.join(name);
        if let Some(text) = read_config_if_exists(&path)? {
            settings
                .add_dataset(name, &text)
                .map_err(|e| e.context(dir.display()))?;
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Adds the settings beside an ONNX file: the configuration, if `configuration` is set, and the
/// description of the training data.
///
/// # Errors
/// A file cannot be read, or is invalid.
#[cfg(feature = "onnx")]
pub(crate) fn add_settings_beside(
    file: &Path,
    configuration: bool,
    settings: &mut Settings,
) -> Result<()> {
    if configuration {
        add_config_beside(file, FileFormat::Safetensors, settings)?;
    }
    add_dataset_beside(file, settings).map(drop)
}

/// Returns the files beside an ONNX file from which settings may be read.
#[cfg(feature = "onnx")]
pub(crate) fn settings_beside(file: &Path) -> Vec<PathBuf> {
    let names = std::iter::once(CONFIG_FILE).chain(TRAINING_FILES.iter().copied());
    let paths = names.chain(DATASET_FILES.iter().copied());
    paths
        .map(|name| parent(file).join(name))
        .filter(|path| path.is_file())
        .collect()
}

/// Returns the checkpoints beside an ONNX file: `model.safetensors`, and `step_N` with the largest
/// N.
///
/// # Errors
/// The directory cannot be read.
#[cfg(feature = "onnx")]
pub(crate) fn checkpoints_beside(file: &Path) -> Result<Vec<PathBuf>> {
    let dir = parent(file);
    let names = file_names(dir)?;
    let newest = names
        .iter()
        .filter_map(|name| Some((step_number(name)?, name)))
        .max();
    let model = names.iter().filter(|name| *name == MODEL_FILE);
    Ok(model
        .chain(newest.map(|newest| newest.1))
        .map(|name| dir.join(name))
        .collect())
}

fn read_config_if_exists(path: &Path) -> Result<Option<String>> {
    // Whatever has the name is opened, so that a pipe or a folder is an error and not overlooked.
    if path.exists() {
        read_config(path).map(Some)
    } else {
        Ok(None)
    }
}

/// Reads a configuration file.
///
/// # Errors
/// The file cannot be read, is larger than [`MAX_CONFIG_BYTES`], or is not UTF-8.
pub(crate) fn read_config(path: &Path) -> Result<String> {
    let at = |e| Error::io(path.display(), e);
    let mut bytes = Vec::new();
    open_regular(path)
        .and_then(|f| f.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes))
        .map_err(at)?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES {
        return Err(Error::config(format!(
            "has more than {MAX_CONFIG_BYTES} bytes, the limit for a configuration file"
        ))
        .context(path.display()));
    }
    String::from_utf8(bytes).map_err(|e| {
        Error::config("is not UTF-8 text")
            .context(path.display())
            .with_source(e)
    })
}
