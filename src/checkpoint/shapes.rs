//! Derives the sizes and the architecture of a model from the names and shapes of its tensors.

use std::collections::BTreeSet;

use super::Checkpoint;
use super::names::{TensorNames, missing_error};
use crate::config::{Architecture, Level, Shapes, State};
use crate::error::{Error, Result};
use crate::model::weights::Weight;

/// Returns the sizes and the architecture of a model with these tensors.
///
/// # Errors
/// A tensor is missing or has an unexpected number of dimensions, or the tensors belong to no
/// published architecture.
pub(crate) fn model_shapes(checkpoint: &Checkpoint, names: &TensorNames) -> Result<Shapes> {
    let reader = ShapeReader { checkpoint, names };
    let [embedded, hidden_size] = reader.matrix(Weight::EmbedTokens)?;
    let variant = reader.architecture()?;
    let (h_layers, l_layers) = (reader.layers(Level::H)?, reader.layers(Level::L)?);
    let level = if l_layers > 0 { Level::L } else { Level::H };
    let [_, inner] = reader.matrix(Weight::Down(level, 0))?;
    let token_down = Weight::TokenDown(level, 0);
    let unit_down = Weight::UnitDown(level, 0);
    let mlp_t = reader.has(token_down);
    let mixers = [
        ("self_attn", reader.has(Weight::Qkv(level, 0))),
        ("mlp_t", mlp_t),
        ("mixer", reader.has(unit_down)),
    ];
    let found: Vec<_> = mixers.iter().filter(|m| m.1).map(|m| m.0).collect();
    if found.len() != 1 {
        let which = match found.as_slice() {
            [] => "neither self_attn nor mlp_t".to_owned(),
            [one, others @ ..] => format!("both {one} and {}", others.join(" and ")),
        };
        return Err(Error::checkpoint(format!(
            "{}.layers.0 has {which}",
            level.name()
        )));
    }
    let learned_positions = reader.has(Weight::EmbedPos);
    // [L, T]
    let token_shape = if mlp_t {
        Some(reader.matrix(token_down)?)
    } else {
        None
    };
    let positions = match token_shape {
        Some([positions, _]) => Some(positions),
        None if learned_positions => Some(reader.matrix(Weight::EmbedPos)?[0]),
        None => None,
    };
    let rows = |weight| {
        let info = names
            .weights
            .get(&weight)
            .and_then(|name| checkpoint.tensors().get(name));
        info.and_then(|info| info.shape.first().copied())
    };
    Ok(Shapes {
        variant,
        hidden_size,
        vocab_size: (variant != Architecture::Symbols).then_some(embedded),
        h_layers,
        l_layers,
        inner,
        token_inner: token_shape.map(|shape| shape[1]),
        mixer_inner: match variant {
            Architecture::Symbols => Some(reader.matrix(unit_down)?[1]),
            _ => None,
        },
        positions,
        learned_positions,
        puzzle_emb: names
            .puzzle_emb
            .as_deref()
            .map(|name| reader.dimensions(name))
            .transpose()?,
        one_halting_output: [Weight::QHead, Weight::QHeadBias]
            .iter()
            .all(|weight| rows(*weight) == Some(1)),
    })
}

/// Looks up the shapes of a model's tensors.
struct ShapeReader<'a> {
    checkpoint: &'a Checkpoint,
    names: &'a TensorNames,
}

impl ShapeReader<'_> {
    fn has(&self, weight: Weight) -> bool {
        self.names.weights.contains_key(&weight)
    }

    /// Returns the shape of a matrix, `[rows, columns]`.
    fn matrix(&self, weight: Weight) -> Result<[usize; 2]> {
        let name = self
            .names
            .weights
            .get(&weight)
            .ok_or_else(|| missing_error(weight))?;
        self.dimensions(name)
    }

    /// Returns the shape of the tensor `name`, which must have two dimensions.
    fn dimensions(&self, name: &str) -> Result<[usize; 2]> {
        let shape = self
            .checkpoint
            .tensors()
            .get(name)
            .map(|info| info.shape.as_slice())
            .unwrap_or_default();
        match shape {
            [rows, columns] if *rows > 0 && *columns > 0 => Ok([*rows, *columns]),
            _ => Err(
                Error::checkpoint(format!("has shape {shape:?}, not two dimensions above 0"))
                    .context(format!("tensor \"{name}\"")),
            ),
        }
    }

    /// Returns the architecture, which the levels and the initial states identify.
    fn architecture(&self) -> Result<Architecture> {
        let init = |state| self.has(Weight::Init(state));
        let has_level = |level| self.blocks(level).next().is_some();
        match (has_level(Level::H), has_level(Level::L)) {
            (true, true) => Ok(Architecture::Hrm),
            (true, false) => Ok(Architecture::Baseline),
            (false, true) if self.has(Weight::UnitDown(Level::L, 0)) => Ok(Architecture::Symbols),
            (false, true) if init(State::LowLevel(0)) => Ok(Architecture::Hier6),
            (false, true) if init(State::H) => Ok(Architecture::Trm),
            (false, true) => Ok(Architecture::SingleZ),
            (false, false) => Err(Error::checkpoint(
                "has no blocks: no tensor L_level.layers.0 or H_level.layers.0",
            )),
        }
    }

    /// Returns the number of the block of each tensor of a level, in no particular order.
    fn blocks(&self, level: Level) -> impl Iterator<Item = usize> {
        self.names
            .weights
            .keys()
            .filter_map(move |weight| match weight {
                Weight::Qkv(n, i)
                | Weight::OProj(n, i)
                | Weight::TokenGateUp(n, i)
                | Weight::TokenDown(n, i)
                | Weight::UnitGateUp(n, i)
                | Weight::UnitDown(n, i)
                | Weight::GateUp(n, i)
                | Weight::Down(n, i)
                    if *n == level =>
                {
                    Some(*i)
                }
                _ => None,
            })
    }

    /// Returns the number of blocks of a level. Their numbers must have no gaps.
    fn layers(&self, level: Level) -> Result<usize> {
        let found: BTreeSet<usize> = self.blocks(level).collect();
        match found
            .iter()
            .enumerate()
            .find(|(expected, i)| expected != *i)
        {
            Some((expected, _)) => Err(missing_error(Weight::Down(level, expected))),
            None => Ok(found.len()),
        }
    }
}
