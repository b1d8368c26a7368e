//! Hyper-parameters as they were given, in layers: the first source that has a key wins.

use serde_json::{Map, Value};

use super::yaml;
use crate::error::{Error, Result};

/// Longest configuration file that is read.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// Every key with a meaning for a model.
pub(super) const KNOWN: &[&str] = &[
    "H_cycles",
    "L_cycles",
    "H_layers",
    "L_layers",
    "hidden_size",
    "num_heads",
    "expansion",
    "pos_encodings",
    "rope_theta",
    "rms_norm_eps",
    "mlp_t",
    "puzzle_emb_ndim",
    "puzzle_emb_len",
    "halt_max_steps",
    "no_ACT_continue",
    "vocab_size",
    "seq_len",
    "num_puzzle_identifiers",
    "puzzle_ids",
    "task",
    "box",
];
/// Keys that are written by `convert` but decide nothing here.
const INFORMATION: &[&str] = &["format_version", "dtype", "source", "forward_dtype"];
/// Keys of training that decide nothing here; they occur where a whole `arch` was copied into a JSON file.
const TRAINING: &[&str] = &[
    "arch",
    "name",
    "loss",
    "halt_exploration_prob",
    "causal",
    "batch_size",
];
/// What `dataset.json` is asked for.
const DATASET: &[&str] = &["vocab_size", "seq_len", "num_puzzle_identifiers"];

/// What kind of source a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// `--set KEY=VALUE`.
    Option,
    /// The YAML that training writes: keys that it lacks have the published defaults.
    Training,
    /// `config.json`.
    Json,
    /// `dataset.json`.
    Dataset,
}

#[derive(Debug, Clone)]
struct Layer {
    origin: Origin,
    from: String,
    values: Map<String, Value>,
}

/// Layers of given hyper-parameters, the strongest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    layers: Vec<Layer>,
    /// Keys without a meaning here, kept for `convert`.
    pub(super) kept: Map<String, Value>,
    pub(super) notes: Vec<String>,
}

impl Settings {
    /// Adds the options of the command line as the next layer.
    pub(crate) fn add_options(&mut self, options: &[(String, String)]) -> Result<()> {
        let mut values = Map::new();
        for (key, text) in options {
            if !KNOWN.contains(&key.as_str()) {
                let known = KNOWN.join(", ");
                return Err(
                    Error::config(format!("no such hyper-parameter; there are: {known}"))
                        .context(format!("hyper-parameter {key}")),
                );
            }
            // A box as `convert --box` takes it.
            let value = match text.split_once([',', 'x']) {
                Some((rows, columns)) if key == "box" && !text.starts_with('[') => {
                    Value::Array(vec![yaml::scalar(rows.trim()), yaml::scalar(columns.trim())])
                }
                _ => written(text),
            };
            values.insert(key.clone(), value);
        }
        if !values.is_empty() {
            self.layers.push(Layer {
                origin: Origin::Option,
                from: "option".into(),
                values,
            });
        }
        Ok(())
    }

    /// Adds the annotations of an ONNX file as the next layer: `config`, a configuration file, or single hyper-parameters. Whether there were any.
    #[cfg(feature = "onnx")]
    pub(crate) fn add_metadata<'a>(
        &mut self,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<bool> {
        let mut values = Map::new();
        let mut any = false;
        for (key, text) in pairs {
            if key == "config" {
                self.add_file("metadata \"config\" of the file", text)?;
                any = true;
            } else if KNOWN.contains(&key) {
                values.insert(key.to_owned(), written(text));
            }
        }
        any |= !values.is_empty();
        self.layers.push(Layer {
            origin: Origin::Json,
            from: "metadata of the file".into(),
            values,
        });
        Ok(any)
    }

    /// Adds a configuration file, JSON or YAML by its first character, as the next layer.
    pub(crate) fn add_file(&mut self, from: &str, text: &str) -> Result<()> {
        let json = text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
        let value = if json { parse_json(text) } else { yaml::parse(text) };
        let Value::Object(all) = value.map_err(|e| e.context(from))? else {
            return Err(Error::config("is no mapping of hyper-parameters").context(from));
        };
        if json {
            self.add_json(from, all)
        } else {
            self.add_training(from, all)
        }
    }

    /// Adds `dataset.json` as the next layer.
    pub(crate) fn add_dataset(&mut self, from: &str, text: &str) -> Result<()> {
        let Value::Object(mut values) = parse_json(text).map_err(|e| e.context(from))? else {
            return Err(Error::config("is no JSON object").context(from));
        };
        values.retain(|key, _| DATASET.contains(&key.as_str()));
        self.layers.push(Layer {
            origin: Origin::Dataset,
            from: from.into(),
            values,
        });
        Ok(())
    }

    fn add_training(&mut self, from: &str, all: Map<String, Value>) -> Result<()> {
        let mut values = with_arch(all);
        if let Some(dtype) = values.get("forward_dtype") {
            self.kept.entry("forward_dtype").or_insert(dtype.clone());
        }
        values.retain(|key, _| KNOWN.contains(&key.as_str()));
        self.layers.push(Layer {
            origin: Origin::Training,
            from: from.into(),
            values,
        });
        Ok(())
    }

    fn add_json(&mut self, from: &str, all: Map<String, Value>) -> Result<()> {
        match all.get("format_version") {
            None | Some(Value::Null) => {}
            Some(version) if version.as_u64() == Some(1) => {}
            Some(other) => {
                return Err(Error::config(format!(
                    "format_version is {other}, only 1 is read; is this program too old?"
                ))
                .context(from));
            }
        }
        let mut values = with_arch(all);
        let is = |list: &[&str], key: &str| list.contains(&key);
        let mut unknown = Vec::new();
        for (key, value) in &values {
            if is(KNOWN, key) || is(TRAINING, key) {
                continue;
            }
            if !is(INFORMATION, key) {
                unknown.push(key.as_str());
            }
            self.kept.entry(key.clone()).or_insert(value.clone());
        }
        if !unknown.is_empty() {
            self.notes.push(format!(
                "{from}: unknown keys, kept but without effect: {}",
                unknown.join(", ")
            ));
        }
        values.retain(|key, _| is(KNOWN, key));
        self.layers.push(Layer {
            origin: Origin::Json,
            from: from.into(),
            values,
        });
        Ok(())
    }

    /// The value of a key and where it is from; null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<(&Value, &str)> {
        self.layers.iter().find_map(|layer| {
            let value = layer.values.get(key).filter(|v| !v.is_null())?;
            Some((value, layer.from.as_str()))
        })
    }

    /// The file that training wrote, if there is one.
    pub(super) fn training(&self) -> Option<&str> {
        self.file(Origin::Training)
    }

    /// Whether any file says how the model was configured.
    pub(super) fn configured(&self) -> Option<&str> {
        self.file(Origin::Training).or_else(|| self.file(Origin::Json))
    }

    fn file(&self, origin: Origin) -> Option<&str> {
        self.layers
            .iter()
            .find(|l| l.origin == origin)
            .map(|l| l.from.as_str())
    }
}

/// A value as people write it.
fn written(text: &str) -> Value {
    match text.starts_with(['[', '"']) {
        true => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        false => yaml::scalar(text),
    }
}

/// The keys of `arch`, then those beside it.
fn with_arch(mut all: Map<String, Value>) -> Map<String, Value> {
    match all.remove("arch") {
        Some(Value::Object(mut arch)) => {
            for (key, value) in all {
                arch.entry(key).or_insert(value);
            }
            arch
        }
        _ => all,
    }
}

/// Reads JSON; serde_json itself stops at 128 levels.
fn parse_json(text: &str) -> Result<Value> {
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).map_err(|e| Error::config(format!("is not valid JSON: {e}")).with_source(e))
}
