//! What the shapes of a file's tensors tell of the model.

use std::collections::BTreeSet;

use super::Checkpoint;
use super::names::{Names, missing};
use crate::config::{Architecture, Level, Shapes, State};
use crate::error::{Error, Result};
use crate::model::weights::Weight;

/// Reads the sizes of a model off its tensors.
pub(crate) fn shapes(checkpoint: &Checkpoint, names: &Names) -> Result<Shapes> {
    let look = Look { checkpoint, names };
    let [vocab_size, hidden_size] = look.matrix(Weight::EmbedTokens)?;
    let variant = look.variant()?;
    let (h_layers, l_layers) = (look.layers(Level::H)?, look.layers(Level::L)?);
    let net = if l_layers > 0 { Level::L } else { Level::H };
    let [_, inner] = look.matrix(Weight::Down(net, 0))?;
    let token_down = Weight::TokenDown(net, 0);
    let (mlp_t, attention) = (look.has(token_down), look.has(Weight::Qkv(net, 0)));
    if mlp_t == attention {
        let which = if mlp_t {
            "both self_attn and mlp_t"
        } else {
            "neither self_attn nor mlp_t"
        };
        return Err(Error::checkpoint(format!("{}.layers.0 has {which}", net.name())));
    }
    let learned = look.has(Weight::EmbedPos);
    let across = if mlp_t {
        Some(look.matrix(token_down)?)
    } else {
        None
    };
    let positions = match across {
        Some([positions, _]) => Some(positions),
        None if learned => Some(look.matrix(Weight::EmbedPos)?[0]),
        None => None,
    };
    Ok(Shapes {
        variant,
        hidden_size,
        vocab_size,
        h_layers,
        l_layers,
        inner,
        token_inner: across.map(|a| a[1]),
        positions,
        learned,
        puzzle_emb: names
            .puzzle_emb
            .as_deref()
            .map(|name| look.dimensions(name))
            .transpose()?,
    })
}

struct Look<'a> {
    checkpoint: &'a Checkpoint,
    names: &'a Names,
}

impl Look<'_> {
    fn has(&self, weight: Weight) -> bool {
        self.names.weights.contains_key(&weight)
    }

    fn matrix(&self, weight: Weight) -> Result<[usize; 2]> {
        let name = self.names.weights.get(&weight).ok_or_else(|| missing(weight))?;
        self.dimensions(name)
    }

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
                Error::checkpoint(format!("has shape {shape:?}, not two sizes above 0"))
                    .context(format!("tensor \"{name}\"")),
            ),
        }
    }

    /// The tell-tale tensors of each published model.
    fn variant(&self) -> Result<Architecture> {
        let init = |state| self.has(Weight::Init(state));
        let level = |net| self.blocks(net).next().is_some();
        match (level(Level::H), level(Level::L)) {
            (true, true) => Ok(Architecture::Hrm),
            (true, false) => Ok(Architecture::Baseline),
            (false, true) if init(State::LowLevel(0)) => Ok(Architecture::Hier6),
            (false, true) if init(State::H) => Ok(Architecture::Trm),
            (false, true) => Ok(Architecture::SingleZ),
            (false, false) => Err(Error::checkpoint(
                "has no blocks: no tensor L_level.layers.0 or H_level.layers.0",
            )),
        }
    }

    /// The numbers of a network's blocks.
    fn blocks(&self, net: Level) -> impl Iterator<Item = usize> {
        self.names.weights.keys().filter_map(move |weight| match weight {
            Weight::Qkv(n, i)
            | Weight::OProj(n, i)
            | Weight::TokenGateUp(n, i)
            | Weight::TokenDown(n, i)
            | Weight::GateUp(n, i)
            | Weight::Down(n, i)
                if *n == net =>
            {
                Some(*i)
            }
            _ => None,
        })
    }

    fn layers(&self, net: Level) -> Result<usize> {
        let found: BTreeSet<usize> = self.blocks(net).collect();
        match found.iter().enumerate().find(|(expected, i)| expected != *i) {
            Some((expected, _)) => Err(missing(Weight::Down(net, expected))),
            None => Ok(found.len()),
        }
    }
}
