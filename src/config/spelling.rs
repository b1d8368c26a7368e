//! The names that training programs give to hyper-parameters, and the mappings in which they nest
//! them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Names of other programs, with the published ones. Of two names for one hyper-parameter the first
/// in this list counts.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("num_layers", "L_layers"),
    ("n_layers", "L_layers"),
    ("ffn_expansion", "expansion"),
    ("N_supervision_val", "halt_max_steps"),
    ("N_supervision", "halt_max_steps"),
    ("puzzle_emb_dim", "puzzle_emb_ndim"),
    ("use_mlp_t", "mlp_t"),
    ("use_mlp", "mlp_t"),
    ("pos_emb_type", "pos_encodings"),
    ("num_puzzles", "num_puzzle_identifiers"),
    ("n_heads", "num_heads"),
];
/// Mappings that hold hyper-parameters. Of two with the same key the first in this list counts.
const NESTED: &[&str] = &[
    "arch",
    "architecture",
    "model",
    "model_config",
    "model_cfg",
    "model_args",
    "net",
    "network",
    "init_args",
    "params",
    "hyper_parameters",
    "hparams",
    "config",
    "cfg",
    "value",
];
/// Most levels of such mappings.
const MAX_DEPTH: usize = 5;

/// Hyper-parameters under their published names.
#[derive(Debug, Default)]
pub(super) struct Spelled {
    pub(super) values: Map<String, Value>,
    /// The name in the file of each hyper-parameter with another name.
    pub(super) other_names: BTreeMap<String, String>,
}

/// Merges the keys of nested mappings with those beside them; the inner ones win. Replaces the
/// names of other programs by the published ones.
pub(super) fn published_names(all: Map<String, Value>) -> Spelled {
    let mut spelled = Spelled::default();
    gather(all, 0, &mut spelled);
    for (other, published) in OTHER_NAMES {
        let Some(value) = spelled.values.remove(*other) else {
            continue;
        };
        if spelled
            .values
            .get(*published)
            .is_some_and(|value| !value.is_null())
        {
            continue;
        }
        spelled
            .values
            .insert((*published).to_owned(), published_value(other, value));
        spelled
            .other_names
            .insert((*published).to_owned(), (*other).to_owned());
    }
    spelled
}

fn gather(mut all: Map<String, Value>, depth: usize, spelled: &mut Spelled) {
    for name in NESTED {
        let nested = match all.remove(*name) {
            Some(Value::Object(nested)) if depth < MAX_DEPTH => nested,
            Some(other) => {
                all.insert((*name).to_owned(), other);
                continue;
            }
            None => continue,
        };
        gather(nested, depth + 1, spelled);
    }
    for (key, value) in all {
        // Some loggers store each value with a description.
        let value = match value {
            Value::Object(mut map)
                if map.contains_key("value")
                    && map
                        .keys()
                        .all(|key| ["value", "desc"].contains(&key.as_str())) =>
            {
                map.remove("value").unwrap_or_default()
            }
            other => other,
        };
        match spelled.values.get(&key) {
            Some(known) if !known.is_null() => {}
            _ => {
                spelled.values.insert(key, value);
            }
        }
    }
}

/// Returns the published value of a hyper-parameter that has another name.
fn published_value(other: &str, value: Value) -> Value {
    if other != "pos_emb_type" {
        return value;
    }
    match value.as_str() {
        None if value.is_null() => "none".into(),
        Some("null") => "none".into(),
        Some("1d") => "rope".into(),
        _ => value,
    }
}
