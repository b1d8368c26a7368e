//! Measurements that choose and tune a device, kept in a file so that they are made once.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::files::open_regular;
use crate::output::{Destination, Draft};

/// Largest file that is read. Ours stay far below.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Measurements by name, in a folder that the user or the app names. Without a folder nothing is
/// stored. A file that cannot be read counts as empty, and a failed write is only logged: both cost
/// one more measurement.
#[derive(Debug, Clone, Default)]
pub(crate) struct MeasurementCache {
    folder: Option<PathBuf>,
}

impl MeasurementCache {
    /// Creates a cache over a folder. The first [`put`](MeasurementCache::put) creates the folder.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// Whether measurements are stored at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.folder.is_some()
    }

    /// Returns a stored measurement.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        read(&self.file()?)?.remove(name)
    }

    /// Stores a measurement. If another process writes at the same time, one of the two
    /// measurements may be lost, but never the file.
    pub(crate) fn put(&self, name: &str, value: Value) {
        let (Some(folder), Some(file)) = (&self.folder, self.file()) else {
            return;
        };
        let mut all = read(&file).unwrap_or_default();
        all.insert(name.to_string(), value);
        let text = Value::Object(all).to_string();
        if let Err(e) = write(folder, &file, &text) {
            log::info!("{e}; the measurement is not stored");
        }
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(FILE_NAME))
    }
}

const FILE_NAME: &str = "trm-measured.json";

fn write(folder: &Path, file: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::io(folder.display(), e))?;
    let Destination::File(target) = Destination::of(file)? else {
        return Err(Error::argument("is not a regular file").context(file.display()));
    };
    let mut draft = Draft::create(&target)?;
    let written = draft.file().write_all(text.as_bytes());
    written.map_err(|e| Error::io(file.display(), e))?;
    draft.replace()
}

fn read(file: &Path) -> Option<Map<String, Value>> {
    let mut text = String::new();
    let opened = open_regular(file).ok()?;
    opened.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder may be somebody else's: a pipe is neither opened nor replaced.
    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_folder_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let cache = MeasurementCache::new(Some(folder.path().into()));
        let started = std::time::Instant::now();
        assert_eq!(cache.get("a"), None);
        cache.put("a", 1.into());
        assert_eq!(cache.get("a"), None);
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        assert!(std::os::unix::fs::FileTypeExt::is_fifo(&kind), "{kind:?}");
        assert!(started.elapsed() < std::time::Duration::from_secs(2));
    }

    #[test]
    fn measurements_are_stored_and_bad_files_count_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("made/when/needed");
        let cache = MeasurementCache::new(Some(below.clone()));
        assert_eq!(cache.get("a"), None);
        cache.put("a", 1.into());
        cache.put("b", "two".into());
        let again = MeasurementCache::new(Some(below.clone()));
        assert_eq!(
            (again.get("a"), again.get("b")),
            (Some(1.into()), Some("two".into()))
        );
        assert_eq!(
            fs::read_dir(&below).unwrap().count(),
            1,
            "no draft is left behind"
        );
        fs::write(below.join(FILE_NAME), "{\"a\": 1").unwrap();
        assert_eq!(again.get("a"), None);
        again.put("c", 3.into());
        assert_eq!((again.get("a"), again.get("c")), (None, Some(3.into())));
        // This folder cannot be created.
        let nowhere = MeasurementCache::new(Some(below.join(FILE_NAME).join("x")));
        nowhere.put("a", 1.into());
        assert_eq!(nowhere.get("a"), None);
        MeasurementCache::default().put("a", 1.into());
    }
}
