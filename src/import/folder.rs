//! The two files of a saved model, `model.safetensors` and `config.json`, which change together.
//!
//! Two files cannot be renamed at once. So [`replace`] first gives the new configuration the name
//! `.config.json.next`, then renames the tensors, then the configuration. The tensors hold the text
//! of their configuration, too. A reader that finds it in `.config.json.next` knows that the third
//! step is missing and `config.json` belongs to the model before. So the folder is that model or
//! the new one at any time, also after a crash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::checkpoint::{Checkpoint, locate};
use crate::error::{Error, ErrorKind, Result};
use crate::output::{Draft, FolderLock, Placement, sync_folder};

/// Name of the configuration while the tensors are renamed.
const NEXT_FILE: &str = ".config.json.next";

/// The two files of a folder, with all links resolved.
#[derive(Debug)]
pub(super) struct ModelFolder {
    pub(super) model: PathBuf,
    pub(super) config: PathBuf,
}

impl ModelFolder {
    /// Gives both drafts their names. One run at a time does it.
    ///
    /// # Errors
    /// A file cannot be flushed or renamed. If the tensors were renamed already, the folder is read
    /// as the new model nevertheless.
    pub(super) fn replace(&self, mut model: Draft, mut config: Draft) -> Result<()> {
        let at = |path: &Path, e: io::Error| Error::io(path.display(), e);
        model.make_durable().map_err(|e| at(&self.model, e))?;
        config.make_durable().map_err(|e| at(&self.config, e))?;
        let folder = locate::parent(&self.config);
        let _lock = FolderLock::take(folder)?;
        let next = next_file(&self.config);
        self.finish_interrupted(&next)?;
        {
            let mut placement = Placement::begin();
            placement
                .rename(&mut config, &next)
                .map_err(|e| at(&next, e))?;
            placement.rename(&mut model, &self.model).map_err(|e| {
                let _ = fs::remove_file(&next);
                at(&self.model, e)
            })?;
            fs::rename(&next, &self.config).map_err(|e| at(&self.config, e))?;
        }
        sync_folder(folder);
        sync_folder(locate::parent(&self.model));
        Ok(())
    }

    /// Finishes a save that was killed between its steps, or removes what it left.
    fn finish_interrupted(&self, next: &Path) -> Result<()> {
        if fs::symlink_metadata(next).is_err() {
            return Ok(());
        }
        let stored = Checkpoint::open(&self.model).ok();
        let stored = stored.as_ref().and_then(stored_config);
        let done = match stored.is_some_and(|stored| is_config(next, stored)) {
            true => fs::rename(next, &self.config),
            false => fs::remove_file(next),
        };
        done.map_err(|e| Error::io(next.display(), e))
    }
}

/// Returns whether a save of `checkpoint` was interrupted before it replaced the `config.json`
/// beside it, which then belongs to another model.
pub(super) fn is_config_outdated(file: &Path, checkpoint: &Checkpoint) -> bool {
    let config = locate::parent(file).join(locate::CONFIG_FILE);
    let config = config.canonicalize().unwrap_or(config);
    stored_config(checkpoint).is_some_and(|stored| is_config(&next_file(&config), stored))
}

/// Returns the configuration that [`Model::save`](super::Model::save) writes into the metadata of
/// the file.
pub(super) fn stored_config(checkpoint: &Checkpoint) -> Option<&str> {
    let text = checkpoint.metadata().get("config")?;
    text.trim_start().starts_with('{').then_some(text)
}

/// Returns the error for a file that other programs replaced each time that it was opened.
pub(super) fn always_replaced(file: &Path) -> Error {
    let message = "is replaced again and again while it is opened; try again later";
    Error::new(ErrorKind::Io, message).context(file.display())
}

fn next_file(config: &Path) -> PathBuf {
    locate::parent(config).join(NEXT_FILE)
}

/// Returns whether a file holds the same configuration as a text.
fn is_config(file: &Path, text: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    let is_file = fs::symlink_metadata(file).is_ok_and(|found| found.is_file());
    let found = is_file.then(|| locate::read_config(file).ok()).flatten();
    found
        .and_then(|found| parse(&found))
        .is_some_and(|found| parse(text) == Some(found))
}
