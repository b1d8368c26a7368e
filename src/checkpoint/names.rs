//! Maps the names of tensors in checkpoints to the weights of a model. Only this file knows the
//! names that other programs use.
//!
//! Anything may precede a published name (`L_level.layers.0.mlp.down_proj.weight`): keys of nested
//! dicts (`state_dict`, `ema`), and attributes of wrapping modules (`model`, `inner`, `student`).
//! Wrappers that training frameworks put around a module (`_orig_mod`, `module`) may be anywhere in
//! a name. The tensors with the same wrappers form a group. One group is the model. A tensor of the
//! network that no published architecture has is unknown, and never dropped in silence.

use std::collections::BTreeMap;

use super::Dtype;
use super::index::TensorInfo;
use super::unknown::{UnknownKind, is_averaged, list};
use crate::config::{Level, State};
use crate::error::{Error, Result};
use crate::model::dtype::takes_dtype;
use crate::model::weights::Weight;

/// Suffix that turns the name of an int8 matrix into the name of its row scales.
pub(crate) const SCALE_SUFFIX: &str = ".scale";

/// Name of the puzzle embedding without wrappers.
pub(crate) const PUZZLE_EMB: &str = "puzzle_emb.weights";

/// Most parts of a published name, and of the name of its scales.
const MAX_NAME_PARTS: usize = 7;

/// Wrappers that frameworks put around a module at any depth. No published name has such a part.
const MODULE_WRAPPERS: &[&str] = &[
    "_orig_mod",
    "module",
    "_module",
    "_forward_module",
    "_fsdp_wrapped_module",
    "_fpw_module",
    "_checkpoint_wrapped_module",
    "_original_module",
    "base_layer",
];
/// First parts of the names of the re-implementation nano-trm, and the published ones.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("lenet", "L_level"),
    ("input_embedding", "embed_tokens"),
    ("z_H_init", "H_init"),
    ("z_L_init", "L_init"),
];
/// Names of the raw weights where the file gives the averaged ones the name of the model.
const RAW: &[&str] = &["current_model_state", "online_model"];
/// Other parts of a training checkpoint. They never belong to the model, and no note lists them.
const NOT_MODEL: &[&str] = &[
    "opt",
    "scheduler",
    "schedulers",
    "lr_scheduler",
    "lr_schedulers",
    "scaler",
    "grad_scaler",
    "rng",
    "rng_state",
    "rng_states",
    "cuda_rng_state",
    "carry",
    "callbacks",
    "loops",
    "loss",
    "loss_fn",
    "criterion",
    "metrics",
];
/// Buffers of the published modules that follow from other values, or that only training uses.
const UNUSED_BUFFERS: &[&str] = &[
    "puzzle_emb.local_weights",
    "puzzle_emb.local_ids",
    "rotary_emb.cos_cached",
    "rotary_emb.sin_cached",
    "rotary_emb.inv_freq",
];
/// Buffers outside the blocks that only training uses, and tables of rotary positions.
const UNUSED_TOP_LEVEL: &[&str] = &[
    "cos",
    "sin",
    "num_updates",
    "decay",
    "n_averaged",
    "initted",
    "step",
    "global_step",
    "epoch",
    "iteration",
];

/// The name in the file of each tensor of the model.
#[derive(Debug, Clone, Default)]
pub(crate) struct TensorNames {
    pub(crate) weights: BTreeMap<Weight, String>,
    /// The row scales of the int8 matrices.
    pub(crate) scales: BTreeMap<Weight, String>,
    pub(crate) puzzle_emb: Option<String>,
    /// Tensors inside the network that no published architecture has.
    pub(crate) unknown: Vec<String>,
    /// Notes for the user: which group was chosen, and which tensors were ignored.
    pub(crate) notes: Vec<String>,
}

/// Returns the error for a tensor that the model needs and the file does not hold.
pub(crate) fn missing_error(weight: Weight) -> Error {
    Error::checkpoint(format!("tensor \"{}\" is missing", weight.name()))
}

pub(crate) use super::unknown::{list_names, unknown_error};

/// What a published name means.
enum Known {
    Weight(Weight),
    Scale(Weight),
    PuzzleEmb,
}

/// Tensors with the same wrappers.
#[derive(Debug, Default)]
struct Group {
    /// The wrappers as one of the tensors has them, with the last dot.
    prefix: String,
    names: TensorNames,
}

impl Group {
    /// Returns the names of its tensors.
    fn members(&self) -> impl Iterator<Item = &String> {
        let TensorNames {
            weights, scales, ..
        } = &self.names;
        weights
            .values()
            .chain(scales.values())
            .chain(&self.names.puzzle_emb)
    }

    /// Returns whether it has the embedding, the answer head and a block.
    fn is_model(&self) -> bool {
        let weights = &self.names.weights;
        let has_block = |level| weights.contains_key(&Weight::Down(level, 0));
        weights.contains_key(&Weight::EmbedTokens)
            && weights.contains_key(&Weight::LmHead)
            && (has_block(Level::H) || has_block(Level::L))
    }

    /// Returns the wrappers for messages.
    fn place(&self) -> &str {
        match self.prefix.trim_end_matches('.') {
            "" => "the top level",
            prefix => prefix,
        }
    }
}

/// Assigns the tensors of a file to the weights of a model.
///
/// # Errors
/// The file has no tensor of a model, or several models.
pub(crate) fn assign(tensors: &BTreeMap<String, TensorInfo>) -> Result<TensorNames> {
    let mut averaged: BTreeMap<String, Group> = BTreeMap::new();
    let mut plain: BTreeMap<String, Group> = BTreeMap::new();
    let mut unknown: Vec<&str> = Vec::new();
    let mut in_callbacks = None;
    for (name, info) in tensors {
        let parts: Vec<&str> = name
            .split('.')
            .filter(|part| !MODULE_WRAPPERS.contains(part))
            .collect();
        let found = find_known(&parts);
        let wrappers = parts
            .get(..found.as_ref().map_or(0, |found| found.0))
            .unwrap_or_default();
        if is_not_model(&parts) {
            let holds_copy = wrappers.contains(&"callbacks") && wrappers.iter().any(is_averaged);
            if holds_copy && in_callbacks.is_none() {
                in_callbacks = Some(wrappers.join("."));
            }
            continue;
        }
        let Some((_, known)) = found else {
            if !is_unused(&parts, info) {
                unknown.push(name);
            }
            continue;
        };
        let groups = match wrappers.iter().any(is_averaged) {
            true => &mut averaged,
            false => &mut plain,
        };
        let group = groups.entry(wrappers.join(".")).or_insert_with(|| Group {
            prefix: wrappers_of(name, parts.get(wrappers.len()).copied()),
            names: TensorNames::default(),
        });
        let earlier = match known {
            Known::Weight(weight) => group.names.weights.insert(weight, name.clone()),
            Known::Scale(weight) => group.names.scales.insert(weight, name.clone()),
            Known::PuzzleEmb => group.names.puzzle_emb.replace(name.clone()),
        };
        if let Some(earlier) = earlier {
            return Err(several_models(&earlier, name));
        }
    }
    let mut notes = Vec::new();
    let mut rest = Vec::new();
    let averaged = only(averaged, &mut rest, &mut notes)?;
    let plain = only(plain, &mut rest, &mut notes)?;
    let prefixes: Vec<String> = averaged
        .iter()
        .chain(&plain)
        .map(|group| group.prefix.clone())
        .collect();
    let mut names = match (averaged, plain) {
        (Some(group), None) | (None, Some(group)) => {
            if let Some(copy) = in_callbacks {
                notes.push(format!(
                    "the weights under \"{}\" are used, not the averaged ones under \"{copy}\"",
                    group.place()
                ));
            }
            group.names
        }
        (None, None) => TensorNames::default(),
        (Some(averaged), Some(plain)) => prefer_averaged(averaged, plain),
    };
    if names.weights.is_empty() {
        return Err(not_a_model(&unknown));
    }
    let (outside, inside): (Vec<&str>, Vec<&str>) = unknown
        .into_iter()
        .partition(|name| is_outside(name, &prefixes));
    names.unknown = inside.into_iter().map(str::to_owned).collect();
    names.unknown.append(&mut rest);
    names.unknown.sort_unstable();
    if !outside.is_empty() {
        notes.push(format!(
            "ignored tensors outside the network: {}",
            list(&outside)
        ));
    }
    names.notes.append(&mut notes);
    Ok(names)
}

/// Finds a published name at the end of a name. Returns the number of wrappers before it.
fn find_known(parts: &[&str]) -> Option<(usize, Known)> {
    (parts.len().saturating_sub(MAX_NAME_PARTS)..parts.len()).find_map(|start| {
        let name = published_name(parts.get(start..)?);
        if name == PUZZLE_EMB {
            return Some((start, Known::PuzzleEmb));
        }
        if let Some(weight) = Weight::parse(&name) {
            return Some((start, Known::Weight(weight)));
        }
        let weight = name.strip_suffix(SCALE_SUFFIX).and_then(Weight::parse)?;
        takes_dtype(weight).then_some((start, Known::Scale(weight)))
    })
}

/// Joins the parts of a name. Replaces the names of another implementation by the published ones.
fn published_name(parts: &[&str]) -> String {
    let (first, rest) = parts.split_first().unwrap_or((&"", &[]));
    let first = OTHER_NAMES
        .iter()
        .find(|(other, _)| other == first)
        .map_or(*first, |(_, published)| published);
    let mut name = first.to_owned();
    for part in rest {
        name.push('.');
        name.push_str(part);
    }
    name
}

/// Returns what precedes the part `first` in a name, with the last dot.
fn wrappers_of(name: &str, first: Option<&str>) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let end = parts
        .iter()
        .rposition(|part| Some(*part) == first)
        .unwrap_or(0);
    parts
        .iter()
        .take(end)
        .map(|part| format!("{part}."))
        .collect()
}

/// Returns whether a tensor is known not to belong to a model.
fn is_not_model(parts: &[&str]) -> bool {
    let within_state = parts
        .windows(2)
        .any(|pair| matches!(pair, ["state", number] if number.parse::<u64>().is_ok()));
    let is_other = |part: &&str| NOT_MODEL.contains(part) || part.starts_with("optim");
    within_state || parts.iter().any(is_other)
}

/// Returns whether a tensor has no effect on the answers: a derived buffer, or a counter.
fn is_unused(parts: &[&str], info: &TensorInfo) -> bool {
    let name = parts.join(".");
    let ends_with = |buffer: &str| {
        name.strip_suffix(buffer)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if UNUSED_BUFFERS.iter().any(|buffer| ends_with(buffer)) {
        return true;
    }
    let is_counter = info.elements() == Some(1)
        && matches!(
            info.dtype,
            Dtype::I64 | Dtype::I32 | Dtype::Bool | Dtype::U8
        );
    !parts.contains(&"layers")
        && (is_counter || UNUSED_TOP_LEVEL.iter().any(|buffer| ends_with(buffer)))
}

/// Returns whether an unknown tensor lies in another part of the file than the model, and does not
/// look like a part of a network.
fn is_outside(name: &str, prefixes: &[String]) -> bool {
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let own = first(name);
    UnknownKind::of(name) == UnknownKind::Other
        && !name
            .split('.')
            .any(|part| part == "layers" || part == "blocks")
        && prefixes
            .iter()
            .all(|prefix| !prefix.is_empty() && first(prefix) != own)
}

/// Returns the only group that is a model. The tensors of the others go to `rest`. Without a whole
/// model it is the largest group, so that what is missing can be named.
///
/// # Errors
/// There are several models, because nothing tells which one the user wants.
fn only(
    groups: BTreeMap<String, Group>,
    rest: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Result<Option<Group>> {
    let mut groups: Vec<Group> = groups.into_values().collect();
    let is_raw = |group: &Group| group.prefix.split('.').any(|part| RAW.contains(&part));
    let wholes = groups.iter().filter(|group| group.is_model()).count();
    if wholes > 1
        && let Some(raw) = groups.iter().position(|g| g.is_model() && is_raw(g))
    {
        let raw = groups.remove(raw);
        notes.push(format!(
            "the weights under \"{}\" are not used: they are those before averaging",
            raw.place()
        ));
    }
    groups.sort_by_key(|group| {
        (
            !group.is_model(),
            std::cmp::Reverse(group.members().count()),
        )
    });
    let mut groups = groups.into_iter();
    let first = groups.next();
    for other in groups {
        if let (true, Some(first)) = (other.is_model(), &first) {
            let name = |group: &Group| group.members().next().cloned().unwrap_or_default();
            return Err(several_models(&name(first), &name(&other)));
        }
        rest.extend(other.members().cloned());
    }
    Ok(first)
}

/// Returns the error for a file with more than one model.
fn several_models(a: &str, b: &str) -> Error {
    Error::checkpoint(format!(
        "holds more than one model (\"{a}\" and \"{b}\"); save only the one to load: \
         torch.save(model.state_dict(), path)"
    ))
}

/// Returns the averaged weights (EMA), which training publishes, if they are complete. If training
/// averaged only parameters, the buffers (initial states, puzzle embedding) come from the plain
/// weights.
fn prefer_averaged(averaged: Group, plain: Group) -> TensorNames {
    let is_buffer =
        |w: &Weight| matches!(w, Weight::Init(State::H | State::L | State::LowLevel(_)));
    let (averaged_at, plain_at) = (averaged.place().to_owned(), plain.place().to_owned());
    let (mut averaged, plain) = (averaged.names, plain.names);
    let missing: Vec<_> = plain
        .weights
        .keys()
        .filter(|w| !averaged.weights.contains_key(w))
        .collect();
    if !missing.iter().all(|w| is_buffer(w)) {
        let mut plain = plain;
        plain.notes.push(format!(
            "the averaged weights under \"{averaged_at}\" are incomplete; those of \"{plain_at}\" \
             are used"
        ));
        return plain;
    }
    let lacks_buffers =
        !missing.is_empty() || (averaged.puzzle_emb.is_none() && plain.puzzle_emb.is_some());
    averaged.notes.push(if lacks_buffers {
        format!(
            "the averaged weights under \"{averaged_at}\" are used; their missing buffers come \
             from \"{plain_at}\""
        )
    } else {
        format!(
            "the averaged weights under \"{averaged_at}\" are used, not those of \"{plain_at}\""
        )
    });
    for (weight, name) in plain.weights {
        averaged.weights.entry(weight).or_insert(name);
    }
    averaged.puzzle_emb = averaged.puzzle_emb.or(plain.puzzle_emb);
    averaged
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
