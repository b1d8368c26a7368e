//! What was measured once and need not be measured again: a file of figures in a folder that the user or the app names.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// The largest file that is read; ours stay far below.
const LARGEST: u64 = 1 << 20;

/// Figures by name. Without a folder nothing is kept. A file that cannot be read counts as empty, one that cannot be written is
/// given up: both cost a measurement, no more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// The figures in a folder, which is made when the first one is kept.
    pub(crate) fn new(folder: Option<PathBuf>) -> Cache {
        Cache { folder }
    }

    /// Whether there is a folder.
    pub(crate) fn is_kept(&self) -> bool {
        self.folder.is_some()
    }

    /// A figure that was kept.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        read(&self.file()?)?.remove(name)
    }

    /// Keeps a figure. Another process that writes at the same time may lose one, never the file.
    pub(crate) fn keep(&self, name: &str, value: Value) {
        let (Some(folder), Some(file)) = (&self.folder, self.file()) else {
            return;
        };
        let mut all = read(&file).unwrap_or_default();
        all.insert(name.to_string(), value);
        let text = Value::Object(all).to_string();
        let draft = folder.join(format!("{NAME}.{}", std::process::id()));
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&draft, text))
            .and_then(|()| fs::rename(&draft, &file));
        if let Err(e) = written {
            log::info!("{}: {e}; what was measured is not kept", file.display());
        }
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(NAME))
    }
}

const NAME: &str = "trm-measured.json";

fn read(file: &Path) -> Option<Map<String, Value>> {
    let mut text = String::new();
    let opened = fs::File::open(file).ok()?;
    opened.take(LARGEST).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_kept_and_bad_files_count_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("made/when/needed");
        let cache = Cache::new(Some(below.clone()));
        assert_eq!(cache.get("a"), None);
        cache.keep("a", 1.into());
        cache.keep("b", "two".into());
        let again = Cache::new(Some(below.clone()));
        assert_eq!(
            (again.get("a"), again.get("b")),
            (Some(1.into()), Some("two".into()))
        );
        assert_eq!(
            fs::read_dir(&below).unwrap().count(),
            1,
            "no draft is left behind"
        );
        fs::write(below.join(NAME), "{\"a\": 1").unwrap();
        assert_eq!(again.get("a"), None);
        again.keep("c", 3.into());
        assert_eq!((again.get("a"), again.get("c")), (None, Some(3.into())));
        // A folder that cannot be made.
        let nowhere = Cache::new(Some(below.join(NAME).join("x")));
        nowhere.keep("a", 1.into());
        assert_eq!(nowhere.get("a"), None);
        Cache::default().keep("a", 1.into());
    }
}
