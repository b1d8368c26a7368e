//! Finds the files of a model: the tensors or the graph, and the configuration beside them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::FileFormat;
use crate::config::{MAX_CONFIG_BYTES, Settings};
use crate::error::{Error, Result};
use crate::files::open_regular;

/// Suffixes of files that may be a checkpoint or an ONNX graph.
const MODEL_SUFFIXES: &[&str] = &["safetensors", "pt", "pth", "ckpt", "bin", "onnx"];
/// Name of the configuration that [`Model::save`](crate::Model::save) writes.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// Name of the file of tensors that [`Model::save`](crate::Model::save) writes.
pub(crate) const MODEL_FILE: &str = "model.safetensors";
/// Name of the configuration that training writes.
const TRAINING_FILE: &str = "all_config.yaml";
/// Paths of the description of the training data, in the order of the search.
const DATASET_FILES: &[&str] = &["dataset.json", "train/dataset.json", "test/dataset.json"];

/// Most entries of a directory that are searched.
const MAX_DIRECTORY_ENTRIES: usize = 100_000;
/// Most file names in a message.
const MAX_SHOWN_NAMES: usize = 10;

/// Returns the file of tensors, or the ONNX graph, of a model. A file is its own. In a directory it
/// is, in this order:
/// 1. `model.safetensors`, if `config.json` is there, too;
/// 2. `step_N` with the largest N;
/// 3. the only file whose name is that of a checkpoint or a graph.
///
/// # Errors
/// The path cannot be read, or the directory has no such file or several.
pub(crate) fn model_file(path: &Path) -> Result<PathBuf> {
    let found = fs::metadata(path).map_err(|e| Error::io(path.display(), e))?;
    if !found.is_dir() {
        return Ok(path.to_owned());
    }
    if path.join(CONFIG_FILE).is_file() && path.join(MODEL_FILE).is_file() {
        return Ok(path.join(MODEL_FILE));
    }
    let names = file_names(path)?;
    if let Some(newest) = names
        .iter()
        .filter_map(|name| Some((step_number(name)?, name)))
        .max()
    {
        return Ok(path.join(newest.1));
    }
    let candidates: Vec<_> = names.iter().filter(|name| is_checkpoint(name)).collect();
    match candidates.as_slice() {
        [only] => Ok(path.join(only)),
        [] => Err(no_model(&names).context(path.display())),
        several => {
            let several: Vec<_> = several
                .iter()
                .take(MAX_SHOWN_NAMES)
                .map(|s| s.as_str())
                .collect();
            Err(Error::checkpoint(format!(
                "holds several checkpoints ({}); name the one to load",
                several.join(", ")
            ))
            .context(path.display()))
        }
    }
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

/// Returns N of the name `step_N`.
fn step_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step_")?;
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

/// Returns whether a name is that of a checkpoint or an ONNX graph.
fn is_checkpoint(name: &str) -> bool {
    let suffix = Path::new(name).extension().and_then(|s| s.to_str());
    name == "checkpoint" || suffix.is_some_and(|s| MODEL_SUFFIXES.contains(&s))
}

/// Returns the error for a directory without a model.
fn no_model(names: &[String]) -> Error {
    let found = match names {
        [] => "no file".to_owned(),
        _ => {
            let more = if names.len() > MAX_SHOWN_NAMES {
                " ..."
            } else {
                ""
            };
            format!(
                "{}{more}",
                names
                    .iter()
                    .take(MAX_SHOWN_NAMES)
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
    };
    Error::checkpoint(format!(
        "holds no model: neither {CONFIG_FILE} with {MODEL_FILE}, nor step_N, nor one file \
         *.safetensors, *.pt, *.pth, *.ckpt, *.bin, *.onnx; found: {found}"
    ))
}

/// Adds the configuration file beside a file of tensors. Returns whether there is one. If both
/// `config.json` and `all_config.yaml` are there, only the one that belongs to `format` is read:
/// `config.json` for safetensors, `all_config.yaml` for `torch.save`.
///
/// # Errors
/// The configuration cannot be read, or is invalid.
pub(crate) fn add_config_beside(
    file: &Path,
    format: FileFormat,
    settings: &mut Settings,
) -> Result<bool> {
    let dir = parent(file);
    let order = match format {
        FileFormat::Safetensors => [CONFIG_FILE, TRAINING_FILE],
        FileFormat::Torch => [TRAINING_FILE, CONFIG_FILE],
    };
    for name in order {
        if let Some(text) = read_config_if_exists(&dir.join(name))? {
            settings
                .add_file(name, &text)
                .map_err(|e| e.context(dir.display()))?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds the description of the training data, `dataset.json`, if there is one.
///
/// # Errors
/// The file cannot be read, or is invalid.
pub(crate) fn add_dataset_beside(file: &Path, settings: &mut Settings) -> Result<()> {
    let dir = parent(file);
    for name in DATASET_FILES {
        if let Some(text) = read_config_if_exists(&dir.join(name))? {
            return settings
                .add_dataset(name, &text)
                .map_err(|e| e.context(dir.display()));
        }
    }
    Ok(())
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
    add_dataset_beside(file, settings)
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
