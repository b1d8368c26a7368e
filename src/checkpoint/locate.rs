//! Which files a path means: the tensors, and the configuration beside them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::FileFormat;
use crate::config::Settings;
use crate::error::{Error, Result};

const SUFFIXES: &[&str] = &["safetensors", "pt", "pth", "ckpt", "bin", "onnx"];
const CONFIG: &str = "config.json";
const MODEL: &str = "model.safetensors";
const TRAINING: &str = "all_config.yaml";
/// Where training data describes itself, the nearest first.
const DATASETS: &[&str] = &["dataset.json", "train/dataset.json", "test/dataset.json"];

/// Most entries of a directory that are looked at.
const MAX_ENTRIES: usize = 100_000;

/// The file of tensors that `path` means: itself; or in a directory `model.safetensors` beside `config.json`, else
/// the newest `step_N`, else the only file that looks like a checkpoint.
pub(crate) fn tensors(path: &Path) -> Result<PathBuf> {
    let found = fs::metadata(path).map_err(|e| Error::io(path.display(), e))?;
    if !found.is_dir() {
        return Ok(path.to_owned());
    }
    if path.join(CONFIG).is_file() && path.join(MODEL).is_file() {
        return Ok(path.join(MODEL));
    }
    let names = names(path)?;
    if let Some(newest) = names.iter().filter_map(|name| Some((step(name)?, name))).max() {
        return Ok(path.join(newest.1));
    }
    let candidates: Vec<_> = names.iter().filter(|name| is_checkpoint(name)).collect();
    match candidates.as_slice() {
        [only] => Ok(path.join(only)),
        [] => Err(none(&names).context(path.display())),
        several => {
            let several: Vec<_> = several.iter().take(10).map(|s| s.as_str()).collect();
            Err(Error::checkpoint(format!(
                "holds several checkpoints ({}); name the one to load",
                several.join(", ")
            ))
            .context(path.display()))
        }
    }
}

/// The files of a directory, sorted.
fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = fs::read_dir(dir).map_err(|e| Error::io(dir.display(), e))?;
    for entry in entries.take(MAX_ENTRIES) {
        let name = entry.map_err(|e| Error::io(dir.display(), e))?.file_name();
        // A name that is no Unicode is none of those that are looked for.
        if let Ok(name) = name.into_string()
            && dir.join(&name).is_file()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The directory of a file; `.` for a bare name.
pub(crate) fn parent(file: &Path) -> &Path {
    file.parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// N of `step_N`.
fn step(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step_")?;
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

fn is_checkpoint(name: &str) -> bool {
    let suffix = Path::new(name).extension().and_then(|s| s.to_str());
    name == "checkpoint" || suffix.is_some_and(|s| SUFFIXES.contains(&s))
}

fn none(names: &[String]) -> Error {
    let found = match names {
        [] => "no file".to_owned(),
        _ => {
            let more = if names.len() > 10 { " ..." } else { "" };
            format!(
                "{}{more}",
                names
                    .iter()
                    .take(10)
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
    };
    Error::checkpoint(format!(
        "holds no model: neither {CONFIG} with {MODEL}, nor step_N, nor one file *.safetensors, *.pt, *.pth, *.ckpt, *.bin, *.onnx; found: {found}"
    ))
}

/// Adds the configuration beside a file of tensors. Where both kinds lie there, the one that was written with the file
/// counts: `config.json` for safetensors, `all_config.yaml` for `torch.save`; the other is not read.
pub(crate) fn beside(file: &Path, format: FileFormat, settings: &mut Settings) -> Result<bool> {
    let dir = parent(file);
    let order = match format {
        FileFormat::Safetensors => [CONFIG, TRAINING],
        FileFormat::Torch => [TRAINING, CONFIG],
    };
    for name in order {
        if let Some(text) = read_if_there(&dir.join(name))? {
            settings.add_file(name, &text).map_err(|e| e.context(dir.display()))?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds the description of the training data, where it is found.
pub(crate) fn dataset(file: &Path, settings: &mut Settings) -> Result<()> {
    let dir = parent(file);
    for name in DATASETS {
        if let Some(text) = read_if_there(&dir.join(name))? {
            return settings.add_dataset(name, &text).map_err(|e| e.context(dir.display()));
        }
    }
    Ok(())
}

/// Adds what lies beside an ONNX file: a configuration, if one is wanted, and the description of the training data.
#[cfg(feature = "onnx")]
pub(crate) fn settings_beside(file: &Path, configuration: bool, settings: &mut Settings) -> Result<()> {
    if configuration {
        beside(file, FileFormat::Safetensors, settings)?;
    }
    dataset(file, settings)
}

/// The checkpoint beside an ONNX file, if there is one: `model.safetensors`, and the newest `step_N`.
#[cfg(feature = "onnx")]
pub(crate) fn checkpoints_beside(file: &Path) -> Result<Vec<PathBuf>> {
    let dir = parent(file);
    let names = names(dir)?;
    let newest = names.iter().filter_map(|name| Some((step(name)?, name))).max();
    let own = names.iter().filter(|name| *name == MODEL);
    Ok(own
        .chain(newest.map(|newest| newest.1))
        .map(|name| dir.join(name))
        .collect())
}

fn read_if_there(path: &Path) -> Result<Option<String>> {
    if path.is_file() {
        read(path).map(Some)
    } else {
        Ok(None)
    }
}

/// Reads a configuration file of a decent size.
pub(crate) fn read(path: &Path) -> Result<String> {
    let at = |e| Error::io(path.display(), e);
    if !fs::metadata(path).map_err(at)?.is_file() {
        return Err(Error::config("is not a regular file").context(path.display()));
    }
    let mut bytes = Vec::new();
    let limit = crate::config::MAX_FILE;
    fs::File::open(path)
        .and_then(|f| f.take(limit + 1).read_to_end(&mut bytes))
        .map_err(at)?;
    if bytes.len() as u64 > limit {
        return Err(Error::config(format!(
            "has more than {limit} bytes, far too many for a configuration"
        ))
        .context(path.display()));
    }
    String::from_utf8(bytes).map_err(|e| Error::config("is not UTF-8 text").context(path.display()).with_source(e))
}
