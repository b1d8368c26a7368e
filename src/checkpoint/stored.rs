//! Finds the hyper-parameters that training stored in a pickle beside the tensors, and returns them
//! as JSON values. Objects of foreign classes (dataclasses, namespaces, `DictConfig`) are read as
//! the mappings that the file states for them.

use serde_json::{Map, Number, Value as Json};

use super::pickle::{Id, Pickle, Value};

/// Keys under which training programs store hyper-parameters.
pub(super) const CONFIG_KEYS: &[&str] = &[
    "hyper_parameters",
    "hyperparameters",
    "hparams",
    "config",
    "cfg",
    "conf",
    "configuration",
    "all_config",
    "arch",
    "args",
    "model_args",
    "model_cfg",
    "model_config",
    "model_kwargs",
    "train_config",
    "training_args",
    "settings",
];
/// Most levels of nested dicts that are searched for the keys.
const MAX_SEARCH_DEPTH: usize = 3;
/// Most levels of a stored configuration.
const MAX_DEPTH: usize = 24;
/// Most values of all stored configurations of a file.
const MAX_VALUES: usize = 20_000;
/// Most attributes of an object that are searched for one that holds its content.
const MAX_SEARCHED_ATTRIBUTES: usize = 64;
/// Longest string of a configuration, in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// Hyper-parameters that a file stores beside its tensors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredConfig {
    /// The keys that lead to it, joined by dots, such as `hyper_parameters`. Empty: the top level
    /// of the file.
    pub(crate) key: String,
    /// A mapping, or the text of a configuration file.
    pub(crate) value: Json,
}

/// Returns the configurations of a pickle, in the order of the file, and the scalars at its top
/// level last.
pub(super) fn stored_configs(pickle: &Pickle<'_>) -> Vec<StoredConfig> {
    let mut reader = Reader {
        pickle,
        values_left: MAX_VALUES,
    };
    let mut found = Vec::new();
    let mut pending = vec![(String::new(), pickle.root, 0)];
    while let Some((path, id, depth)) = pending.pop() {
        let Value::Dict(items) = pickle.value(id) else {
            continue;
        };
        let mut inner = Vec::new();
        for (key, value) in items {
            let Value::Str(key) = pickle.value(*key) else {
                continue;
            };
            let name = match path.is_empty() {
                true => (*key).to_owned(),
                false => format!("{path}.{key}"),
            };
            if CONFIG_KEYS.contains(key) {
                let value = reader.json(*value, 0);
                if matches!(value, Json::Object(_) | Json::String(_)) {
                    found.push(StoredConfig { key: name, value });
                }
            } else if depth < MAX_SEARCH_DEPTH {
                inner.push((name, *value, depth + 1));
            }
        }
        // The stack returns the last first.
        pending.extend(inner.into_iter().rev());
    }
    if let Value::Dict(items) = pickle.value(pickle.root) {
        let scalars = reader.scalars(items);
        if !scalars.is_empty() {
            found.push(StoredConfig {
                key: String::new(),
                value: Json::Object(scalars),
            });
        }
    }
    found
}

struct Reader<'p, 'a> {
    pickle: &'p Pickle<'a>,
    /// Values that may still be read, so that shared parts of a hostile pickle cannot multiply.
    values_left: usize,
}

impl Reader<'_, '_> {
    /// Returns a value as JSON. `null`: it has no form in JSON, or a limit is reached.
    fn json(&mut self, id: Id, depth: usize) -> Json {
        if depth > MAX_DEPTH || self.values_left == 0 {
            return Json::Null;
        }
        self.values_left -= 1;
        match self.pickle.value(id) {
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::from(*value),
            Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Str(text) if text.len() <= MAX_TEXT_BYTES => Json::from(*text),
            Value::Tuple(items) => self.list(items, depth),
            Value::List(items) => self.list(items, depth),
            Value::Dict(items) => self.mapping(items, depth),
            Value::Object(object) => match (object.items.is_empty(), object.state) {
                (false, _) => self.mapping(&object.items, depth),
                (true, Some(state)) => self.attributes(state, depth),
                (true, None) => object
                    .argument
                    .map_or(Json::Null, |id| self.json(id, depth + 1)),
            },
            _ => Json::Null,
        }
    }

    fn list(&mut self, items: &[Id], depth: usize) -> Json {
        let mut list = Vec::new();
        for id in items {
            if self.values_left == 0 {
                break;
            }
            list.push(self.json(*id, depth + 1));
        }
        Json::Array(list)
    }

    fn mapping(&mut self, items: &[(Id, Id)], depth: usize) -> Json {
        let mut map = Map::new();
        for (key, value) in items {
            if self.values_left == 0 {
                break;
            }
            match self.pickle.value(*key) {
                Value::Str(key) => {
                    let value = self.json(*value, depth + 1);
                    map.insert((*key).to_owned(), value);
                }
                _ => self.values_left -= 1,
            }
        }
        Json::Object(map)
    }

    /// Returns the attributes of an object. Some classes keep their content in one attribute.
    fn attributes(&mut self, state: Id, depth: usize) -> Json {
        let state = match self.pickle.value(state) {
            // The attributes in a dict, then those in slots.
            Value::Tuple(parts) => {
                let is_dict = |id: &&Id| matches!(self.pickle.value(**id), Value::Dict(_));
                parts.iter().take(2).find(is_dict).copied().unwrap_or(state)
            }
            _ => state,
        };
        let content = match self.pickle.value(state) {
            Value::Dict(items) => {
                let holders = ["_content", "_val", "_fields", "__dict__", "_store"];
                let is_holder = |key: &Id| match self.pickle.value(*key) {
                    Value::Str(key) => holders.contains(key),
                    _ => false,
                };
                let mut searched = items.iter().take(MAX_SEARCHED_ATTRIBUTES);
                searched.find(|(key, _)| is_holder(key)).map(|item| item.1)
            }
            _ => None,
        };
        self.json(content.unwrap_or(state), depth + 1)
    }

    /// Returns the numbers, booleans and strings of a dict.
    fn scalars(&mut self, items: &[(Id, Id)]) -> Map<String, Json> {
        let mut map = Map::new();
        for (key, value) in items {
            let is_scalar = matches!(
                self.pickle.value(*value),
                Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_)
            );
            if let (true, Value::Str(key)) = (is_scalar, self.pickle.value(*key)) {
                let value = self.json(*value, 0);
                map.insert((*key).to_owned(), value);
            }
        }
        map
    }
}
