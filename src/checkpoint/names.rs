//! Maps the names of tensors in checkpoints to the weights of a model. Only this file knows the
//! names that other programs use.
//!
//! Any number of wrappers may precede a published name (`L_level.layers.0.mlp.down_proj.weight`):
//! keys of nested dicts (`state_dict`, `ema`), attributes of wrapping modules (`model`, `inner`,
//! `module`), and the attribute of a compiled module (`_orig_mod`). The tensors with the same
//! wrappers form a group. One group is the model.

use std::collections::BTreeMap;

use super::index::TensorInfo;
use crate::config::State;
use crate::error::{Error, Result};
use crate::model::dtype::takes_dtype;
use crate::model::weights::Weight;

/// Suffix that turns the name of an int8 matrix into the name of its row scales.
pub(crate) const SCALE_SUFFIX: &str = ".scale";

/// Name of the puzzle embedding without wrappers.
pub(crate) const PUZZLE_EMB: &str = "puzzle_emb.weights";

/// Wrappers without a meaning of their own.
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
/// Other parts of a training checkpoint. They never belong to the model, and no note lists them.
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
/// Buffers of the published modules that follow from other values, or that only training uses.
const UNUSED_BUFFERS: &[&str] = &[
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

/// The name in the file of each tensor of the model.
#[derive(Debug, Clone, Default)]
pub(crate) struct TensorNames {
    pub(crate) weights: BTreeMap<Weight, String>,
    /// The row scales of the int8 matrices.
    pub(crate) scales: BTreeMap<Weight, String>,
    pub(crate) puzzle_emb: Option<String>,
    /// Notes for the user: which group was chosen, and which tensors were ignored.
    pub(crate) notes: Vec<String>,
}

/// Returns the error for a tensor that the model needs and the file does not hold.
pub(crate) fn missing_error(weight: Weight) -> Error {
    Error::checkpoint(format!("tensor \"{}\" is missing", weight.name()))
}

/// Tensors with the same wrappers.
#[derive(Default)]
struct Group {
    /// Whether they are averaged weights (EMA).
    averaged: bool,
    names: TensorNames,
}

/// Assigns the tensors of a file to the weights of a model.
///
/// # Errors
/// The file has no tensor of a model, or several models.
pub(crate) fn assign(tensors: &BTreeMap<String, TensorInfo>) -> Result<TensorNames> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut unknown = Vec::new();
    for name in tensors.keys() {
        let (wrappers, rest) = unwrap(name);
        if is_not_model(wrappers, rest) {
            continue;
        }
        let weight = Weight::parse(rest);
        let scaled = rest.strip_suffix(SCALE_SUFFIX).and_then(Weight::parse);
        let scaled = scaled.filter(|w| takes_dtype(*w));
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
        names
            .notes
            .push(format!("ignored tensors: {}", list(&unknown)));
    }
    Ok(names)
}

/// Splits a name into its wrappers, without the last dot, and the rest.
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

/// Returns whether a tensor is known not to belong to a model.
fn is_not_model(wrappers: &str, rest: &str) -> bool {
    let first = rest.split('.').next().unwrap_or(rest);
    let within_state = wrappers.split('.').any(|w| w == "state") && first.parse::<u64>().is_ok();
    NOT_MODEL.contains(&first) || UNUSED_BUFFERS.contains(&rest) || within_state
}

/// Returns the names of the group that is the model: the only group, or the averaged one of two.
fn choose(groups: BTreeMap<String, Group>) -> Result<TensorNames> {
    let (averaged, plain): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|(_, group)| group.averaged);
    let averaged = only(averaged)?;
    let plain = only(plain)?;
    match (averaged, plain) {
        (Some((_, group)), None) | (None, Some((_, group))) => Ok(group.names),
        (None, None) => Ok(TensorNames::default()),
        (Some((ema_at, ema)), Some((plain_at, plain))) => {
            Ok(prefer_averaged(&ema_at, ema.names, &plain_at, plain.names))
        }
    }
}

/// Returns the only group, if there is one. Several are an error, because nothing tells which one
/// the user wants.
fn only(groups: Vec<(String, Group)>) -> Result<Option<(String, Group)>> {
    let mut groups = groups.into_iter();
    let first = groups.next();
    if let (Some((_, a)), Some((_, b))) = (&first, groups.next()) {
        let name = |names: &TensorNames| {
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
            "holds more than one model (\"{a}\" and \"{b}\"); save only the one to load: \
             torch.save(model.state_dict(), path)"
        )));
    }
    Ok(first)
}

/// Returns the averaged weights (EMA), which training publishes, if they are complete. If training
/// averaged only parameters, the buffers (initial states, puzzle embedding) come from the plain
/// weights.
fn prefer_averaged(
    ema_at: &str,
    mut ema: TensorNames,
    plain_at: &str,
    plain: TensorNames,
) -> TensorNames {
    let is_buffer =
        |w: &Weight| matches!(w, Weight::Init(State::H | State::L | State::LowLevel(_)));
    let missing: Vec<_> = plain
        .weights
        .keys()
        .filter(|w| !ema.weights.contains_key(w))
        .collect();
    let plain_at = if plain_at.is_empty() {
        "the top level"
    } else {
        plain_at
    };
    if !missing.iter().all(|w| is_buffer(w)) {
        let mut plain = plain;
        plain.notes.push(format!(
            "the averaged weights under \"{ema_at}\" are incomplete; those of \"{plain_at}\" are \
             used"
        ));
        return plain;
    }
    let lacks_buffers =
        !missing.is_empty() || (ema.puzzle_emb.is_none() && plain.puzzle_emb.is_some());
    ema.notes.push(if lacks_buffers {
        format!(
            "the averaged weights under \"{ema_at}\" are used; their missing buffers come from \
             \"{plain_at}\""
        )
    } else {
        format!("the averaged weights under \"{ema_at}\" are used, not those of \"{plain_at}\"")
    });
    for (weight, name) in plain.weights {
        ema.weights.entry(weight).or_insert(name);
    }
    ema.puzzle_emb = ema.puzzle_emb.or(plain.puzzle_emb);
    ema
}

/// Returns the error for a file without a tensor of a model.
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

/// Returns the first names as a list, and the number of the others.
fn list(names: &[&str]) -> String {
    const MAX_SHOWN_NAMES: usize = 5;
    let mut text = names
        .iter()
        .take(MAX_SHOWN_NAMES)
        .map(|n| format!("\"{n}\""))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MAX_SHOWN_NAMES {
        text += &format!(" and {} more", names.len() - MAX_SHOWN_NAMES);
    }
    text
}
