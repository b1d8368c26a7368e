//! The settings that the program keeps between sessions.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The maximum size of a settings file.
const MAX_SETTINGS_BYTES: u64 = 1 << 20;
/// The number of recent models to keep.
pub(crate) const MAX_RECENT_MODELS: usize = 8;
/// The minimum speed of a run with a limited speed.
pub(crate) const MIN_STEPS_PER_SECOND: f32 = 0.5;
/// The maximum speed of a run with a limited speed.
pub(crate) const MAX_STEPS_PER_SECOND: f32 = 60.0;

/// The settings. A missing field of the file takes its default, and an unknown field is ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The model as `--model` takes it: a bundled name, a path, or `auto`.
    pub model: String,
    /// The device as `--device` takes it.
    pub device: String,
    /// Width and height of the window, in points.
    pub window: [f32; 2],
    /// The theme: `system`, `light` or `dark`.
    pub theme: String,
    /// The zoom factor on top of the system's scale.
    pub zoom: f32,
    /// The speed in steps per second. 0 means no limit.
    pub speed: f32,
    /// The difficulty of generated puzzles: `easy`, `medium` or `hard`.
    pub difficulty: String,
    /// The board: `4`, `6`, `9`, `maze` or `arc`.
    pub board: String,
    /// Whether the heat map is shown.
    pub heat: bool,
    /// Paths of the models that were opened last, newest first.
    pub models: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "auto".into(),
            device: "auto".into(),
            window: [1180.0, 780.0],
            theme: "system".into(),
            zoom: 1.0,
            speed: 3.0,
            difficulty: "easy".into(),
            board: "9".into(),
            heat: false,
            models: Vec::new(),
        }
    }
}

impl Settings {
    /// Returns the path of the settings file, or `None` if the system does not define one.
    pub fn path() -> Option<PathBuf> {
        let from_env = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let home = || from_env("HOME");
        let folder = if cfg!(windows) {
            from_env("APPDATA")
        } else if cfg!(target_vendor = "apple") {
            home().map(|home| home.join("Library/Application Support"))
        } else {
            // The XDG specification says to ignore a relative path.
            let xdg = from_env("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
            xdg.or_else(|| home().map(|home| home.join(".config")))
        };
        Some(folder?.join("trm-demo").join("settings.json"))
    }

    /// Reads the file. Returns the defaults if there is no file, and with a note if it is invalid.
    pub fn load(path: &Path) -> (Self, Option<String>) {
        match Self::read(path) {
            Ok(settings) => (settings.clamped(), None),
            Err(None) => (Self::default(), None),
            Err(Some(reason)) => {
                let note = format!("{} is ignored: {reason}", path.display());
                (Self::default(), Some(note))
            }
        }
    }

    /// Reads the file. The error is `None` if there is no file.
    fn read(path: &Path) -> Result<Self, Option<String>> {
        use std::io::Read;
        let file = match std::fs::File::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(None),
            file => file.map_err(|e| Some(e.to_string()))?,
        };
        let mut text = String::new();
        let read = file.take(MAX_SETTINGS_BYTES).read_to_string(&mut text);
        read.map_err(|e| Some(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| Some(e.to_string()))
    }

    /// Returns the settings with all numbers in their ranges.
    fn clamped(mut self) -> Self {
        let clamp = |value: f32, min: f32, max: f32, default: f32| match value.is_finite() {
            true => value.clamp(min, max),
            false => default,
        };
        let defaults = Self::default();
        self.window[0] = clamp(self.window[0], 640.0, 16_384.0, defaults.window[0]);
        self.window[1] = clamp(self.window[1], 480.0, 16_384.0, defaults.window[1]);
        self.zoom = clamp(self.zoom, 0.4, 4.0, defaults.zoom);
        self.speed = clamp(self.speed, 0.0, MAX_STEPS_PER_SECOND, defaults.speed);
        self.models.truncate(MAX_RECENT_MODELS);
        self
    }

    /// Writes the file atomically: a reader sees either the old file or the new one.
    ///
    /// # Errors
    /// If the folder cannot be created, or the file cannot be written.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let new = path.with_extension("json.new");
        std::fs::write(&new, text)?;
        std::fs::rename(&new, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/settings.json");
        assert_eq!(Settings::load(&path), (Settings::default(), None));
        let settings = Settings {
            model: "maze-10x10".into(),
            window: [1000.0, 700.0],
            heat: true,
            ..Settings::default()
        };
        settings.save(&path).unwrap();
        assert_eq!(Settings::load(&path), (settings, None));
    }

    #[test]
    fn a_corrupt_file_is_ignored_with_a_note() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        for text in ["", "{", "[1]", "{\"zoom\": \"big\"}", "\u{0}\u{1}"] {
            std::fs::write(&path, text).unwrap();
            let (settings, note) = Settings::load(&path);
            assert_eq!(settings, Settings::default());
            assert!(note.unwrap().contains("is ignored"), "{text}");
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(Settings::load(&path).1.is_some());
    }

    #[test]
    fn numbers_are_brought_into_their_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        std::fs::write(
            &path,
            r#"{"zoom": 900, "window": [1, -5], "speed": 1e30, "new": 1}"#,
        )
        .unwrap();
        let (settings, note) = Settings::load(&path);
        assert_eq!(note, None);
        assert_eq!(
            (settings.zoom, settings.window, settings.speed),
            (4.0, [640.0, 480.0], 60.0)
        );
    }
}
