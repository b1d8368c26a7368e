//! The tensors of a model: their names, the shapes that a [`Config`] demands, and their f32 values.

use std::collections::HashMap;
use std::fmt;

use crate::config::{Architecture, Config, Level, PosEncodings, State};
use crate::error::{Error, Result};

/// Rows of the token embedding of a model with a symbol axis.
pub(crate) const ROLES: usize = 3;

/// Identifies a tensor of a model by its part of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Weight {
    /// Token embedding, `[V, D]`. With a symbol axis `[3, D]`: a cell of a field is blank, given as
    /// the field's symbol, or given as another symbol.
    EmbedTokens,
    /// Learned positions, `[L, D]`.
    EmbedPos,
    /// Answer head, `[V, D]`. With a symbol axis `[1, D]`.
    LmHead,
    /// Halting head, `[2, D]`: the halt row, then the continue row.
    QHead,
    /// Bias of the halting head, `[2]`.
    QHeadBias,
    /// Initial value of a state at every position, `[D]`.
    Init(State),
    /// Query, key and value projections, `[3D, D]`. As in all variants below, the fields are the
    /// level and the number of the block in it, from 0.
    Qkv(Level, usize),
    /// Output projection of attention, `[D, D]`.
    OProj(Level, usize),
    /// Gate and up projections across positions, `[2T, L]`.
    TokenGateUp(Level, usize),
    /// Down projection across positions, `[L, T]`.
    TokenDown(Level, usize),
    /// Gate and up projections of the messages within units, `[2M, D]`.
    UnitGateUp(Level, usize),
    /// Down projection of the sums of messages, `[D, M]`.
    UnitDown(Level, usize),
    /// Gate and up projections, `[2I, D]`.
    GateUp(Level, usize),
    /// Down projection, `[D, I]`.
    Down(Level, usize),
}

impl Weight {
    /// Returns the name in published checkpoints, without prefix, such as
    /// `L_level.layers.0.mlp.down_proj.weight`.
    pub fn name(self) -> String {
        match self {
            Self::EmbedTokens => "embed_tokens.embedding_weight".into(),
            Self::EmbedPos => "embed_pos.embedding_weight".into(),
            Self::LmHead => "lm_head.weight".into(),
            Self::QHead => "q_head.weight".into(),
            Self::QHeadBias => "q_head.bias".into(),
            Self::Init(state) => format!("{}_init", state.name().trim_start_matches("z_")),
            Self::Qkv(level, i) => {
                format!("{}.layers.{i}.self_attn.qkv_proj.weight", level.name())
            }
            Self::OProj(level, i) => {
                format!("{}.layers.{i}.self_attn.o_proj.weight", level.name())
            }
            Self::TokenGateUp(level, i) => {
                format!("{}.layers.{i}.mlp_t.gate_up_proj.weight", level.name())
            }
            Self::TokenDown(level, i) => {
                format!("{}.layers.{i}.mlp_t.down_proj.weight", level.name())
            }
            Self::UnitGateUp(level, i) => {
                format!("{}.layers.{i}.mixer.gate_up_proj.weight", level.name())
            }
            Self::UnitDown(level, i) => {
                format!("{}.layers.{i}.mixer.down_proj.weight", level.name())
            }
            Self::GateUp(level, i) => {
                format!("{}.layers.{i}.mlp.gate_up_proj.weight", level.name())
            }
            Self::Down(level, i) => format!("{}.layers.{i}.mlp.down_proj.weight", level.name()),
        }
    }

    /// Returns the weight of a published name without prefix. `None`: no model has such a tensor.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "embed_tokens.embedding_weight" => Self::EmbedTokens,
            "embed_pos.embedding_weight" => Self::EmbedPos,
            "lm_head.weight" => Self::LmHead,
            "q_head.weight" => Self::QHead,
            "q_head.bias" => Self::QHeadBias,
            "H_init" => Self::Init(State::H),
            "L_init" => Self::Init(State::L),
            _ => return Self::parse_low(name).or_else(|| Self::parse_block(name)),
        })
    }

    /// Parses `L1_init` .. `L6_init`.
    fn parse_low(name: &str) -> Option<Self> {
        let digit = name.strip_prefix('L')?.strip_suffix("_init")?;
        let low = (0..6u8).find(|i| digit == (i + 1).to_string())?;
        Some(Self::Init(State::LowLevel(low)))
    }

    /// Parses the name of a block's weight, such as `H_level.layers.0.mlp.down_proj.weight`.
    fn parse_block(name: &str) -> Option<Self> {
        let (level, rest) = name.split_once(".layers.")?;
        let level = [Level::H, Level::L]
            .into_iter()
            .find(|l| l.name() == level)?;
        let (digits, rest) = rest.split_once('.')?;
        let block: usize = digits.parse().ok()?;
        // "01" and "+1" parse as numbers, but no published name has them.
        if block.to_string() != digits {
            return None;
        }
        Some(match rest {
            "self_attn.qkv_proj.weight" => Self::Qkv(level, block),
            "self_attn.o_proj.weight" => Self::OProj(level, block),
            "mlp_t.gate_up_proj.weight" => Self::TokenGateUp(level, block),
            "mlp_t.down_proj.weight" => Self::TokenDown(level, block),
            "mixer.gate_up_proj.weight" => Self::UnitGateUp(level, block),
            "mixer.down_proj.weight" => Self::UnitDown(level, block),
            "mlp.gate_up_proj.weight" => Self::GateUp(level, block),
            "mlp.down_proj.weight" => Self::Down(level, block),
            _ => return None,
        })
    }

    /// Returns the shape that a configuration demands.
    pub fn shape(self, config: &Config) -> Vec<usize> {
        self.dimensions(config).iter().map(|d| d.1).collect()
    }

    /// Returns the dimensions of the shape, each with its meaning for error messages.
    fn dimensions(self, c: &Config) -> Vec<(&'static str, usize)> {
        let d = ("hidden_size", c.hidden_size);
        let v = ("vocab_size", c.vocab_size);
        let l = (
            "puzzle_emb_len + seq_len",
            c.prefix_len().saturating_add(c.seq_len.unwrap_or(0)),
        );
        let i = ("inner width", c.inner);
        let t = ("inner width", c.token_inner);
        let m = ("mixer_inner", c.mixer_inner);
        let times = |what, n: usize, of: (_, usize)| (what, of.1.saturating_mul(n));
        let symbols = c.variant == Architecture::Symbols;
        match self {
            Self::EmbedTokens if symbols => vec![("blank, given and other", ROLES), d],
            Self::LmHead if symbols => vec![("one row for all symbols", 1), d],
            Self::EmbedTokens | Self::LmHead => vec![v, d],
            Self::EmbedPos => vec![l, d],
            Self::QHead => vec![("halt and continue", 2), d],
            Self::QHeadBias => vec![("halt and continue", 2)],
            Self::Init(_) => vec![d],
            Self::Qkv(..) => vec![times("3 hidden_size", 3, d), d],
            Self::OProj(..) => vec![d, d],
            Self::TokenGateUp(..) => vec![times("2 inner width", 2, t), l],
            Self::TokenDown(..) => vec![l, t],
            Self::UnitGateUp(..) => vec![times("2 mixer_inner", 2, m), d],
            Self::UnitDown(..) => vec![d, m],
            Self::GateUp(..) => vec![times("2 inner width", 2, i), d],
            Self::Down(..) => vec![d, i],
        }
    }

    /// Checks the shape `found` in a file.
    ///
    /// # Errors
    /// The shape is not the one that `config` demands.
    pub(crate) fn check_shape(self, config: &Config, found: &[usize]) -> Result<()> {
        let demanded = self.dimensions(config);
        if demanded.iter().map(|d| d.1).eq(found.iter().copied()) {
            return Ok(());
        }
        let names: Vec<_> = demanded.iter().map(|d| d.0).collect();
        let sizes: Vec<_> = demanded.iter().map(|d| d.1).collect();
        Err(Error::checkpoint(format!(
            "has shape {found:?}, but the configuration demands {sizes:?} ({})",
            names.join(" x ")
        )))
    }
}

impl Config {
    /// Returns all tensors of the model except its puzzle embedding.
    pub fn weights(&self) -> Vec<Weight> {
        let mut all = vec![Weight::EmbedTokens];
        if self.pos_encodings == PosEncodings::Learned {
            all.push(Weight::EmbedPos);
        }
        all.extend([Weight::LmHead, Weight::QHead, Weight::QHeadBias]);
        all.extend(self.states().into_iter().map(Weight::Init));
        for (level, blocks) in self.levels() {
            for i in 0..blocks {
                all.extend(if self.variant == Architecture::Symbols {
                    [Weight::UnitGateUp(level, i), Weight::UnitDown(level, i)]
                } else if self.mlp_t {
                    [Weight::TokenGateUp(level, i), Weight::TokenDown(level, i)]
                } else {
                    [Weight::Qkv(level, i), Weight::OProj(level, i)]
                });
                all.extend([Weight::GateUp(level, i), Weight::Down(level, i)]);
            }
        }
        all
    }
}

/// A tensor of f32 in memory, row-major.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    /// Size of each dimension, outermost first.
    pub shape: Vec<usize>,
    /// The elements, as many as the product of `shape`.
    pub data: Vec<f32>,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor{:?}", self.shape)
    }
}

/// All weights of a model except its puzzle embedding.
#[derive(Debug, Clone)]
pub struct Weights {
    tensors: HashMap<Weight, Tensor>,
}

impl Weights {
    /// Collects the tensors of a model. `make` returns each, in the shape that `config` demands.
    ///
    /// # Errors
    /// The first error of `make`.
    pub(crate) fn collect(
        config: &Config,
        mut make: impl FnMut(Weight) -> Result<Tensor>,
    ) -> Result<Self> {
        let tensors: Result<_> = config
            .weights()
            .into_iter()
            .map(|weight| Ok((weight, make(weight)?)))
            .collect();
        Ok(Self { tensors: tensors? })
    }

    /// Creates weights from single tensors, for a plan without a [`Config`], such as that of a
    /// kernel test.
    pub fn from_tensors(tensors: HashMap<Weight, Tensor>) -> Self {
        Self { tensors }
    }

    /// Returns all tensors, in no particular order.
    pub fn into_tensors(self) -> impl Iterator<Item = (Weight, Tensor)> {
        self.tensors.into_iter()
    }

    /// Returns all tensors, in the order of [`Weight`].
    pub(crate) fn sorted(&self) -> Vec<(Weight, &Tensor)> {
        let mut all: Vec<_> = self
            .tensors
            .iter()
            .map(|(w, tensor)| (*w, tensor))
            .collect();
        all.sort_by_key(|(weight, _)| *weight);
        all
    }

    /// Returns the size of all elements in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let lengths = self.tensors.values().map(|tensor| tensor.data.len());
        lengths.sum::<usize>().saturating_mul(size_of::<f32>())
    }

    /// Returns the tensor of `weight`.
    ///
    /// # Panics
    /// These weights do not contain it: it is not one of the [`Config::weights`] of the model.
    pub fn get(&self, weight: Weight) -> &Tensor {
        &self.tensors[&weight]
    }
}

/// Checks that no element is infinite or NaN.
///
/// # Errors
/// An element is infinite or NaN; the message gives the first.
pub(crate) fn check_finite(data: &[f32]) -> Result<()> {
    match data.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(Error::checkpoint(format!(
            "holds {}, first at element {at}; training diverged, or the file is damaged",
            data.get(at).copied().unwrap_or(f32::NAN)
        ))),
        None => Ok(()),
    }
}
