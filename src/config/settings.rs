//! Hyper-parameters as the user and the files give them. The first source that has a key wins.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::references::{resolve, unresolved_reason};
use super::spelling::{Spelled, published_names};
use super::yaml;
use crate::error::{Error, Hint, Result};

/// Size limit of a configuration file, in bytes.
pub(crate) const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Every key that determines a model.
const HYPER_PARAMETERS: &[&str] = &[
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
    "mixer",
    "mixer_inner",
    "mlp_inner",
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
/// Keys that a converted `config.json` has for information only.
const INFORMATION_KEYS: &[&str] = &["format_version", "dtype", "source", "forward_dtype"];
/// Keys that only training uses. A JSON file has them if a whole `arch` was copied into it.
const TRAINING_KEYS: &[&str] = &[
    "arch",
    "name",
    "loss",
    "halt_exploration_prob",
    "causal",
    "batch_size",
];
/// Keys that are read from `dataset.json`.
const DATASET_KEYS: &[&str] = &["vocab_size", "seq_len", "num_puzzle_identifiers"];

/// The kind of a source of hyper-parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Single hyper-parameters that the caller sets.
    Option,
    /// The YAML file that training writes. Keys that it lacks have the published defaults.
    Training,
    /// `config.json`.
    Json,
    /// `dataset.json`.
    Dataset,
    /// Hyper-parameters that training stored in the file of tensors.
    Stored,
}

/// One source of hyper-parameters.
#[derive(Debug, Clone)]
struct SettingsLayer {
    origin: Origin,
    /// Name of the source, for messages: a path, `option`, ...
    from: String,
    values: Map<String, Value>,
    /// The name in the source of each hyper-parameter with another name, with the source.
    other_names: BTreeMap<String, String>,
    /// Whether the caller gave the source, so that it overrides those of the model.
    given: bool,
}

impl SettingsLayer {
    fn new(origin: Origin, from: &str, values: Map<String, Value>) -> Self {
        Self {
            origin,
            from: from.to_owned(),
            values,
            other_names: BTreeMap::new(),
            given: origin == Origin::Option,
        }
    }

    /// Returns a value that is not null, with the name of its source.
    fn get(&self, key: &str) -> Option<(&Value, &str)> {
        let value = self.values.get(key).filter(|value| !value.is_null())?;
        let from = self.other_names.get(key).unwrap_or(&self.from);
        Some((value, from))
    }
}

/// Hyper-parameters by source, in order of precedence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    layers: Vec<SettingsLayer>,
    /// Keys of configuration files that are not hyper-parameters. A saved model keeps them.
    pub(super) extra: Map<String, Value>,
    /// Notes about the files, for the user.
    pub(super) notes: Vec<String>,
}

impl Settings {
    /// Adds single hyper-parameters, as `(name, value)`, as the next source.
    ///
    /// # Errors
    /// A name is not that of a hyper-parameter.
    pub(crate) fn add_options(&mut self, options: &[(String, String)]) -> Result<()> {
        let mut values = Map::new();
        for (key, text) in options {
            if !HYPER_PARAMETERS.contains(&key.as_str()) {
                let names = HYPER_PARAMETERS.join(", ");
                return Err(
                    Error::config(format!("is unknown; the hyper-parameters are {names}"))
                        .context(format!("hyper-parameter {key}")),
                );
            }
            // A box may be written as ROWSxCOLUMNS or ROWS,COLUMNS.
            let value = match text.split_once([',', 'x']) {
                Some((rows, columns)) if key == "box" && !text.starts_with('[') => {
                    Value::Array(vec![
                        yaml::scalar(rows.trim()),
                        yaml::scalar(columns.trim()),
                    ])
                }
                _ => parse_value(text),
            };
            values.insert(key.clone(), value);
        }
        if !values.is_empty() {
            self.layers
                .push(SettingsLayer::new(Origin::Option, "option", values));
        }
        Ok(())
    }

    /// Adds the metadata of an ONNX file as the next source: the key `config`, which holds a whole
    /// configuration file, and single hyper-parameters. Returns whether there were any.
    ///
    /// # Errors
    /// The value of `config` is not a valid configuration file.
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
            } else if HYPER_PARAMETERS.contains(&key) {
                values.insert(key.to_owned(), parse_value(text));
            }
        }
        any |= !values.is_empty();
        self.layers.push(SettingsLayer::new(
            Origin::Json,
            "metadata of the file",
            values,
        ));
        Ok(any)
    }

    /// Adds the text of a configuration file that the caller gave, as the next source.
    ///
    /// # Errors
    /// As [`Settings::add_file`].
    pub(crate) fn add_given_file(&mut self, from: &str, text: &str) -> Result<()> {
        self.add_file(from, text)?;
        if let Some(layer) = self.layers.last_mut() {
            layer.given = true;
        }
        Ok(())
    }

    /// Adds the text of a configuration file as the next source, if it has a hyper-parameter.
    /// Returns whether it has.
    ///
    /// # Errors
    /// As [`Settings::add_file`].
    pub(crate) fn add_file_if_useful(&mut self, from: &str, text: &str) -> Result<bool> {
        self.add_file(from, text)?;
        let is_useless = |layer: &mut SettingsLayer| {
            layer.values.retain(|key, _| !is_ambiguous(key));
            layer.values.is_empty()
        };
        Ok(self.layers.pop_if(is_useless).is_none())
    }

    /// Adds hyper-parameters that training stored in the file of tensors, as the next source. They
    /// are a mapping, or the text of a configuration file.
    pub(crate) fn add_stored(&mut self, from: &str, value: &Value) {
        let all = match value {
            Value::Object(all) => Some(all.clone()),
            Value::String(text) if text.contains(['\n', '{']) => {
                let parsed = parse_json(text).or_else(|_| yaml::parse(text));
                match parsed {
                    Ok(Value::Object(all)) => Some(all),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some(all) = all else {
            return;
        };
        let mut layer = training_layer(Origin::Stored, from, all);
        layer.values.retain(|key, _| !is_ambiguous(key));
        if !layer.values.is_empty() {
            self.layers.push(layer);
        }
    }

    /// Returns the value of a single hyper-parameter that a file stores as text.
    pub(crate) fn value_of_text(text: &str) -> Value {
        parse_value(text)
    }

    /// Adds the text of a configuration file as the next source. A text that begins with `{` is
    /// JSON, any other is YAML.
    ///
    /// # Errors
    /// The text is neither valid JSON nor valid YAML, is not a mapping, or has an unsupported
    /// `format_version`.
    pub(crate) fn add_file(&mut self, from: &str, text: &str) -> Result<()> {
        let json = text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with('{');
        let value = if json {
            parse_json(text)
        } else {
            yaml::parse(text)
        };
        let Value::Object(all) = value.map_err(|e| e.context(from))? else {
            return Err(Error::config("is not a mapping of hyper-parameters").context(from));
        };
        if json {
            self.add_json(from, all)
        } else {
            self.add_training(from, all);
            Ok(())
        }
    }

    /// Adds the text of `dataset.json` as the next source.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub(crate) fn add_dataset(&mut self, from: &str, text: &str) -> Result<()> {
        let Value::Object(mut values) = parse_json(text).map_err(|e| e.context(from))? else {
            return Err(Error::config("is not a JSON object").context(from));
        };
        values.retain(|key, _| DATASET_KEYS.contains(&key.as_str()));
        self.layers
            .push(SettingsLayer::new(Origin::Dataset, from, values));
        Ok(())
    }

    fn add_training(&mut self, from: &str, all: Map<String, Value>) {
        let arch = all.get("arch").unwrap_or(&Value::Null);
        if let Some(dtype) = arch.get("forward_dtype").or(all.get("forward_dtype")) {
            self.extra.entry("forward_dtype").or_insert(dtype.clone());
        }
        self.layers
            .push(training_layer(Origin::Training, from, all));
    }

    fn add_json(&mut self, from: &str, all: Map<String, Value>) -> Result<()> {
        match all.get("format_version") {
            None | Some(Value::Null) => {}
            Some(version) if version.as_u64() == Some(1) => {}
            Some(other) => {
                return Err(Error::config(format!(
                    "format_version is {other}; only version 1 is supported"
                ))
                .context(from));
            }
        }
        let mut all = all;
        resolve(&mut all);
        // The configuration of another program nests its hyper-parameters, or names them otherwise.
        let spelled = published_names(all.clone());
        let mut values = with_arch(all);
        let is = |list: &[&str], key: &str| list.contains(&key);
        let mut unknown = Vec::new();
        for (key, value) in &values {
            if is(HYPER_PARAMETERS, key) || is(TRAINING_KEYS, key) {
                continue;
            }
            if !is(INFORMATION_KEYS, key) {
                unknown.push(key.as_str());
            }
            self.extra.entry(key.clone()).or_insert(value.clone());
        }
        if !unknown.is_empty() {
            self.notes.push(format!(
                "{from}: unknown keys are kept but have no effect: {}",
                unknown.join(", ")
            ));
        }
        values.retain(|key, _| is(HYPER_PARAMETERS, key));
        let mut layer = SettingsLayer::new(Origin::Json, from, values);
        layer.add_missing(spelled);
        self.layers.push(layer);
        Ok(())
    }

    /// Returns the value of a key and the name of its source. A null value counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<(&Value, &str)> {
        self.layers.iter().find_map(|layer| layer.get(key))
    }

    /// Checks that the hyper-parameters which training stored in the file of tensors agree with
    /// those of the files beside it, unless the caller gave the value.
    ///
    /// # Errors
    /// They do not.
    pub(super) fn check_agreement(&self) -> Result<()> {
        for key in HYPER_PARAMETERS {
            let is_given = |layer: &SettingsLayer| layer.given && layer.get(key).is_some();
            if self.layers.iter().any(is_given) {
                continue;
            }
            let stored = self.layers.iter().filter(|l| l.origin == Origin::Stored);
            for (value, from) in stored.filter_map(|layer| layer.get(key)) {
                let Some((first, first_from)) = self.get(key) else {
                    continue;
                };
                if !same(first, value) {
                    let error = Error::config(format!(
                        "{key} is {} ({first_from}), but {} ({from}): the two do not belong \
                         together",
                        short(first),
                        short(value)
                    ));
                    let example = ((*key).to_owned(), short(first));
                    return Err(error.with_hint(Hint::SetHyperparameters(vec![example])));
                }
            }
        }
        Ok(())
    }

    /// Returns whether one of the sources is the file that training writes.
    pub(super) fn has_training_file(&self) -> bool {
        self.has(Origin::Training) || self.has_whole_stored_config()
    }

    /// Returns whether one of the sources is a configuration file.
    pub(super) fn has_config_file(&self) -> bool {
        self.has(Origin::Training) || self.has(Origin::Json) || self.has_whole_stored_config()
    }

    /// Returns whether training stored its configuration, and not only single values.
    fn has_whole_stored_config(&self) -> bool {
        self.layers
            .iter()
            .any(|layer| layer.origin == Origin::Stored && layer.get("H_cycles").is_some())
    }

    fn has(&self, origin: Origin) -> bool {
        self.layers.iter().any(|layer| layer.origin == origin)
    }
}

/// Parses the value of a single hyper-parameter: a JSON list or string, or a YAML scalar.
fn parse_value(text: &str) -> Value {
    match text.starts_with(['[', '"']) {
        true => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        false => yaml::scalar(text),
    }
}

/// Returns the hyper-parameters of a training program's configuration.
fn training_layer(origin: Origin, from: &str, mut all: Map<String, Value>) -> SettingsLayer {
    resolve(&mut all);
    let mut layer = SettingsLayer::new(origin, from, Map::new());
    layer.add_missing(published_names(all));
    layer
}

impl SettingsLayer {
    /// Adds the hyper-parameters that the layer does not have yet.
    fn add_missing(&mut self, spelled: Spelled) {
        for (key, value) in spelled.values {
            let is_known = self.values.get(&key).is_some_and(|value| !value.is_null());
            if is_known || !HYPER_PARAMETERS.contains(&key.as_str()) {
                continue;
            }
            if let Some(other) = spelled.other_names.get(&key) {
                let from = format!("{other} in {}", self.from);
                self.other_names.insert(key.clone(), from);
            }
            self.values.insert(key, value);
        }
    }
}

/// Returns whether other programs use a key for something else: `task` is often `train`.
fn is_ambiguous(key: &str) -> bool {
    matches!(key, "task" | "box")
}

/// Returns whether two values of a hyper-parameter are the same: 4 and 4.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Returns a value as text for a message.
pub(super) fn short(value: &Value) -> String {
    const MAX_SHOWN_CHARS: usize = 40;
    if let Some((text, _)) = unresolved_reason(value) {
        return format!("\"{text}\"");
    }
    let text = value.to_string();
    match text.chars().count() > MAX_SHOWN_CHARS {
        true => text
            .chars()
            .take(MAX_SHOWN_CHARS)
            .chain("...".chars())
            .collect(),
        false => text,
    }
}

/// Merges the keys of `arch` with those beside it. The keys of `arch` win.
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

/// Reads JSON. `serde_json` limits nesting to 128 levels.
fn parse_json(text: &str) -> Result<Value> {
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text)
        .map_err(|e| Error::config(format!("is not valid JSON: {e}")).with_source(e))
}
