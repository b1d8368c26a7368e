//! What is remembered from one time to the next.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The longest settings file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What is remembered. A field that a file lacks has its default, one that it has too many is left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// As `--model`: a bundled name, a path, or `auto`.
    pub model: String,
    /// As `--device`.
    pub device: String,
    /// Width and height of the window, in points.
    pub window: [f32; 2],
    /// `system`, `light` or `dark`.
    pub theme: String,
    /// Factor on top of the system's scale.
    pub zoom: f32,
    /// Steps a second; 0 is as fast as it goes.
    pub speed: f32,
    /// `easy`, `medium` or `hard`.
    pub difficulty: String,
    /// The board: `4`, `6`, `9`, `maze` or `arc`.
    pub board: String,
    /// Whether the heat map is shown.
    pub heat: bool,
    /// The models that were opened last, the newest first.
    pub models: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
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
    /// Where the platform keeps settings of programs; `None` where it does not say.
    pub fn path() -> Option<PathBuf> {
        let from = |name: &str| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let home = || from("HOME");
        let folder = if cfg!(windows) {
            from("APPDATA")
        } else if cfg!(target_vendor = "apple") {
            home().map(|home| home.join("Library/Application Support"))
        } else {
            // A relative path in XDG_CONFIG_HOME is to be ignored, its specification says.
            let xdg = from("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
            xdg.or_else(|| home().map(|home| home.join(".config")))
        };
        Some(folder?.join("trm-demo").join("settings.json"))
    }

    /// Reads the file. Where there is none these are the defaults; where it is no settings file too, with a note that says so.
    pub fn load(path: &Path) -> (Settings, Option<String>) {
        match Settings::read(path) {
            Ok(settings) => (settings.sane(), None),
            Err(None) => (Settings::default(), None),
            Err(Some(why)) => {
                let note = format!("{} is ignored: {why}", path.display());
                (Settings::default(), Some(note))
            }
        }
    }

    fn read(path: &Path) -> Result<Settings, Option<String>> {
        use std::io::Read;
        let file = match std::fs::File::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(None),
            file => file.map_err(|e| Some(e.to_string()))?,
        };
        let mut text = String::new();
        let read = file.take(MAX_BYTES).read_to_string(&mut text);
        read.map_err(|e| Some(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| Some(e.to_string()))
    }

    /// Numbers brought into their ranges: a file may say anything.
    fn sane(mut self) -> Settings {
        let within = |value: f32, low: f32, high: f32, default: f32| {
            if value.is_finite() {
                value.clamp(low, high)
            } else {
                default
            }
        };
        let usual = Settings::default();
        self.window[0] = within(self.window[0], 640.0, 16_384.0, usual.window[0]);
        self.window[1] = within(self.window[1], 480.0, 16_384.0, usual.window[1]);
        self.zoom = within(self.zoom, 0.4, 4.0, usual.zoom);
        self.speed = within(self.speed, 0.0, 60.0, usual.speed);
        self.models.truncate(8);
        self
    }

    /// Writes the file as a whole: who reads it meanwhile sees the old one or the new one.
    ///
    /// # Errors
    /// If the folder cannot be made or the file not be written.
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
