//! The names of tensors in the wild. This file alone knows them.
//!
//! A published name (`L_level.layers.0.mlp.down_proj.weight`) comes behind any number of wrappers: the keys of nested
//! dicts (`state_dict`, `ema`), the attributes of wrapping modules (`model`, `inner`, `module`) and that of a compiled
//! one (`_orig_mod`). Tensors behind the same wrappers form a group; one group is the model.

use std::collections::BTreeMap;

use super::index::TensorInfo;
use crate::config::State;
use crate::error::{Error, Result};
use crate::model::dtype::takes_format;
use crate::model::weights::Weight;

/// Suffix that turns the name of an int8 matrix into the name of its row scales.
pub(crate) const SCALE: &str = ".scale";

/// Name of the puzzle embedding without prefix.
pub(crate) const PUZZLE_EMB: &str = "puzzle_emb.weights";

/// Names that say nothing but where a model was kept.
const WRAPPERS: &[&str] = &[
    "_orig_mod",
    "model",
    "inner",
    "module",
    "_module",
    "net",
    "network",
    "state_dict",
    "model_state_dict",
    "state",
    "params",
    "weights",
    "checkpoint",
];
/// Wrappers of averaged weights.
const AVERAGED: &[&str] = &[
    "ema",
    "model_ema",
    "ema_model",
    "ema_state_dict",
    "ema_model_state_dict",
    "ema_params",
    "shadow",
    "averaged",
];
/// What else lies in a checkpoint of training: never part of the model, and not worth a word.
const NOT_MODEL: &[&str] = &[
    "opt",
    "optim",
    "optims",
    "optimizer",
    "optimizers",
    "optimizer_state_dict",
    "optimizer_states",
    "scheduler",
    "schedulers",
    "lr_scheduler",
    "lr_schedulers",
    "scaler",
    "grad_scaler",
    "rng",
    "rng_state",
    "rng_states",
    "carry",
];
/// Buffers of the published modules that are derived, or used in training only.
const DERIVED: &[&str] = &[
    "puzzle_emb.local_weights",
    "puzzle_emb.local_ids",
    "rotary_emb.cos_cached",
    "rotary_emb.sin_cached",
    "rotary_emb.inv_freq",
    "cos",
    "sin",
    "num_updates",
    "decay",
    "n_averaged",
];

/// Which tensor of the file is which part of the model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) weights: BTreeMap<Weight, String>,
    /// The scales of matrices in int8.
    pub(crate) scales: BTreeMap<Weight, String>,
    pub(crate) puzzle_emb: Option<String>,
    /// What was chosen, and what was left aside.
    pub(crate) notes: Vec<String>,
}

/// Returns the error for a tensor that the model needs and the file does not hold.
pub(crate) fn missing(weight: Weight) -> Error {
    Error::checkpoint(format!("tensor \"{}\" is missing", weight.name()))
}

#[derive(Default)]
struct Group {
    averaged: bool,
    names: Names,
}

/// Assigns the tensors of a file.
pub(crate) fn assign(tensors: &BTreeMap<String, TensorInfo>) -> Result<Names> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut unknown = Vec::new();
    for name in tensors.keys() {
        let (wrappers, rest) = unwrap(name);
        if is_not_model(wrappers, rest) {
            continue;
        }
        let weight = Weight::parse(rest);
        let scaled = rest.strip_suffix(SCALE).and_then(Weight::parse);
        let scaled = scaled.filter(|w| takes_format(*w));
        if weight.is_none() && scaled.is_none() && rest != PUZZLE_EMB {
            unknown.push(name.as_str());
            continue;
        }
        let group = groups.entry(wrappers.to_owned()).or_default();
        group.averaged = wrappers.split('.').any(|w| AVERAGED.contains(&w));
        match (weight, scaled) {
            (Some(weight), _) => {
                group.names.weights.insert(weight, name.clone());
            }
            (None, Some(weight)) => {
                group.names.scales.insert(weight, name.clone());
            }
            (None, None) => group.names.puzzle_emb = Some(name.clone()),
        }
    }
    let mut names = choose(groups)?;
    if names.weights.is_empty() {
        return Err(not_a_model(&unknown));
    }
    if !unknown.is_empty() {
        names.notes.push(format!("left aside: {}", list(&unknown)));
    }
    Ok(names)
}

/// Splits a name into its wrappers and the rest.
fn unwrap(name: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some((first, _)) = name.get(at..).and_then(|rest| rest.split_once('.')) {
        if !WRAPPERS.contains(&first) && !AVERAGED.contains(&first) {
            break;
        }
        at += first.len() + 1;
    }
    let (wrappers, rest) = name.split_at_checked(at).unwrap_or(("", name));
    (wrappers.trim_end_matches('.'), rest)
}

fn is_not_model(wrappers: &str, rest: &str) -> bool {
    let first = rest.split('.').next().unwrap_or(rest);
    let within_state = wrappers.split('.').any(|w| w == "state") && first.parse::<u64>().is_ok();
    NOT_MODEL.contains(&first) || DERIVED.contains(&rest) || within_state
}

/// The group that is the model: the only one, or the averaged one.
fn choose(groups: BTreeMap<String, Group>) -> Result<Names> {
    let (averaged, plain): (Vec<_>, Vec<_>) = groups.into_iter().partition(|(_, group)| group.averaged);
    let averaged = only(averaged)?;
    let plain = only(plain)?;
    match (averaged, plain) {
        (Some((_, group)), None) | (None, Some((_, group))) => Ok(group.names),
        (None, None) => Ok(Names::default()),
        (Some((ema_at, ema)), Some((plain_at, plain))) => {
            Ok(prefer_averaged(&ema_at, ema.names, &plain_at, plain.names))
        }
    }
}

/// At most one group; two are an error, for nothing says which one is meant.
fn only(groups: Vec<(String, Group)>) -> Result<Option<(String, Group)>> {
    let mut groups = groups.into_iter();
    let first = groups.next();
    if let (Some((_, a)), Some((_, b))) = (&first, groups.next()) {
        let name = |names: &Names| {
            names
                .weights
                .values()
                .chain(names.scales.values())
                .chain(&names.puzzle_emb)
                .next()
                .cloned()
                .unwrap_or_default()
        };
        let (a, b) = (name(&a.names), name(&b.names));
        return Err(Error::checkpoint(format!(
            "holds more than one model (\"{a}\" and \"{b}\"); save the wanted one alone: torch.save(model.state_dict(), path)"
        )));
    }
    Ok(first)
}

/// Training publishes the averaged weights. They have no buffers where only parameters were averaged: those
/// (the initial states and the puzzle embedding) are then the model's own.
fn prefer_averaged(ema_at: &str, mut ema: Names, plain_at: &str, plain: Names) -> Names {
    let is_buffer = |w: &Weight| matches!(w, Weight::Init(State::H | State::L | State::LowLevel(_)));
    let lacking: Vec<_> = plain
        .weights
        .keys()
        .filter(|w| !ema.weights.contains_key(w))
        .collect();
    let plain_at = if plain_at.is_empty() {
        "the top level"
    } else {
        plain_at
    };
    if !lacking.iter().all(|w| is_buffer(w)) {
        let mut plain = plain;
        plain.notes.push(format!(
            "the averaged weights under \"{ema_at}\" are incomplete; those of \"{plain_at}\" are used"
        ));
        return plain;
    }
    let buffers = !lacking.is_empty() || (ema.puzzle_emb.is_none() && plain.puzzle_emb.is_some());
    ema.notes.push(if buffers {
        format!("the averaged weights under \"{ema_at}\" are used; the buffers that they lack are those of \"{plain_at}\"")
    } else {
        format!("the averaged weights under \"{ema_at}\" are used, not those of \"{plain_at}\"")
    });
    for (weight, name) in plain.weights {
        ema.weights.entry(weight).or_insert(name);
    }
    ema.puzzle_emb = ema.puzzle_emb.or(plain.puzzle_emb);
    ema
}

fn not_a_model(unknown: &[&str]) -> Error {
    let found = if unknown.is_empty() {
        "none".to_owned()
    } else {
        list(unknown)
    };
    Error::checkpoint(format!(
        "holds no tensor of a TRM, HRM or baseline; found: {found}"
    ))
}

fn list(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|n| format!("\"{n}\""))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}
