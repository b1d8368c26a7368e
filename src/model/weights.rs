//! The tensors of a model: each named once, its shape checked against the [`Config`], read as f32.

use std::collections::HashMap;
use std::fmt;

use crate::config::{Config, Level, PosEncodings, State};
use crate::error::{Error, Result};

/// The name of a tensor: which part of the network it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Weight {
    /// Token embedding `[V, D]`.
    EmbedTokens,
    /// Learned positions `[L, D]`.
    EmbedPos,
    /// Answer head `[V, D]`.
    LmHead,
    /// Halting head `[2, D]`.
    QHead,
    /// Bias of the halting head `[2]`.
    QHeadBias,
    /// The row that a state starts from, `[D]`.
    Init(State),
    /// Query, key and value projections of block `1` of a network, `[3D, D]`.
    Qkv(Level, usize),
    /// Output projection of attention, `[D, D]`.
    OProj(Level, usize),
    /// Gate and up projections across positions, `[2T, L]`.
    TokenGateUp(Level, usize),
    /// Down projection across positions, `[L, T]`.
    TokenDown(Level, usize),
    /// Gate and up projections, `[2I, D]`.
    GateUp(Level, usize),
    /// Down projection, `[D, I]`.
    Down(Level, usize),
}

impl Weight {
    /// Its name in published checkpoints, without prefix: `L_level.layers.0.mlp.down_proj.weight`.
    pub fn name(self) -> String {
        match self {
            Weight::EmbedTokens => "embed_tokens.embedding_weight".into(),
            Weight::EmbedPos => "embed_pos.embedding_weight".into(),
            Weight::LmHead => "lm_head.weight".into(),
            Weight::QHead => "q_head.weight".into(),
            Weight::QHeadBias => "q_head.bias".into(),
            Weight::Init(state) => format!("{}_init", state.name().trim_start_matches("z_")),
            Weight::Qkv(net, i) => format!("{}.layers.{i}.self_attn.qkv_proj.weight", net.name()),
            Weight::OProj(net, i) => format!("{}.layers.{i}.self_attn.o_proj.weight", net.name()),
            Weight::TokenGateUp(net, i) => format!("{}.layers.{i}.mlp_t.gate_up_proj.weight", net.name()),
            Weight::TokenDown(net, i) => format!("{}.layers.{i}.mlp_t.down_proj.weight", net.name()),
            Weight::GateUp(net, i) => format!("{}.layers.{i}.mlp.gate_up_proj.weight", net.name()),
            Weight::Down(net, i) => format!("{}.layers.{i}.mlp.down_proj.weight", net.name()),
        }
    }

    /// The weight of a published name without prefix; none where no model has such a tensor.
    pub fn parse(name: &str) -> Option<Weight> {
        Some(match name {
            "embed_tokens.embedding_weight" => Weight::EmbedTokens,
            "embed_pos.embedding_weight" => Weight::EmbedPos,
            "lm_head.weight" => Weight::LmHead,
            "q_head.weight" => Weight::QHead,
            "q_head.bias" => Weight::QHeadBias,
            "H_init" => Weight::Init(State::H),
            "L_init" => Weight::Init(State::L),
            _ => return Weight::parse_low(name).or_else(|| Weight::parse_block(name)),
        })
    }

    /// `L1_init` .. `L6_init`
    fn parse_low(name: &str) -> Option<Weight> {
        let digit = name.strip_prefix('L')?.strip_suffix("_init")?;
        let low = (0..6u8).find(|i| digit == (i + 1).to_string())?;
        Some(Weight::Init(State::LowLevel(low)))
    }

    /// `H_level.layers.0.mlp.down_proj.weight`
    fn parse_block(name: &str) -> Option<Weight> {
        let (net, rest) = name.split_once(".layers.")?;
        let net = [Level::H, Level::L].into_iter().find(|n| n.name() == net)?;
        let (digits, rest) = rest.split_once('.')?;
        let block: usize = digits.parse().ok()?;
        // "01" and "+1" are not how a number is written in a name.
        if block.to_string() != digits {
            return None;
        }
        Some(match rest {
            "self_attn.qkv_proj.weight" => Weight::Qkv(net, block),
            "self_attn.o_proj.weight" => Weight::OProj(net, block),
            "mlp_t.gate_up_proj.weight" => Weight::TokenGateUp(net, block),
            "mlp_t.down_proj.weight" => Weight::TokenDown(net, block),
            "mlp.gate_up_proj.weight" => Weight::GateUp(net, block),
            "mlp.down_proj.weight" => Weight::Down(net, block),
            _ => return None,
        })
    }

    /// The shape that a configuration demands.
    pub fn shape(self, config: &Config) -> Vec<usize> {
        self.dimensions(config).iter().map(|d| d.1).collect()
    }

    /// Each dimension of the shape with what it is, for messages.
    fn dimensions(self, c: &Config) -> Vec<(&'static str, usize)> {
        let d = ("hidden_size", c.hidden_size);
        let v = ("vocab_size", c.vocab_size);
        let l = (
            "puzzle_emb_len + seq_len",
            c.prefix_len().saturating_add(c.seq_len.unwrap_or(0)),
        );
        let i = ("inner width", c.inner);
        let t = ("inner width", c.token_inner);
        let times = |what, n: usize, of: (_, usize)| (what, of.1.saturating_mul(n));
        match self {
            Weight::EmbedTokens | Weight::LmHead => vec![v, d],
            Weight::EmbedPos => vec![l, d],
            Weight::QHead => vec![("halt and continue", 2), d],
            Weight::QHeadBias => vec![("halt and continue", 2)],
            Weight::Init(_) => vec![d],
            Weight::Qkv(..) => vec![times("3 hidden_size", 3, d), d],
            Weight::OProj(..) => vec![d, d],
            Weight::TokenGateUp(..) => vec![times("2 inner width", 2, t), l],
            Weight::TokenDown(..) => vec![l, t],
            Weight::GateUp(..) => vec![times("2 inner width", 2, i), d],
            Weight::Down(..) => vec![d, i],
        }
    }

    /// Checks a shape found in a file.
    pub(crate) fn check_shape(self, config: &Config, found: &[usize]) -> Result<()> {
        let demanded = self.dimensions(config);
        if demanded.iter().map(|d| d.1).eq(found.iter().copied()) {
            return Ok(());
        }
        let names: Vec<_> = demanded.iter().map(|d| d.0).collect();
        let sizes: Vec<_> = demanded.iter().map(|d| d.1).collect();
        Err(Error::checkpoint(format!(
            "shape {found:?}, but the configuration demands {sizes:?} ({})",
            names.join(" x ")
        )))
    }
}

impl Config {
    /// All tensors that the model has, but for its puzzle embedding.
    pub fn weights(&self) -> Vec<Weight> {
        let mut all = vec![Weight::EmbedTokens];
        if self.pos_encodings == PosEncodings::Learned {
            all.push(Weight::EmbedPos);
        }
        all.extend([Weight::LmHead, Weight::QHead, Weight::QHeadBias]);
        all.extend(self.states().into_iter().map(Weight::Init));
        for (net, blocks) in self.nets() {
            for i in 0..blocks {
                all.extend(if self.mlp_t {
                    [Weight::TokenGateUp(net, i), Weight::TokenDown(net, i)]
                } else {
                    [Weight::Qkv(net, i), Weight::OProj(net, i)]
                });
                all.extend([Weight::GateUp(net, i), Weight::Down(net, i)]);
            }
        }
        all
    }
}

/// A tensor in memory, row-major.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    /// Its shape, outermost first.
    pub shape: Vec<usize>,
    /// Its elements.
    pub data: Vec<f32>,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor{:?}", self.shape)
    }
}

/// All weights of a model but the rows of its puzzle embedding.
#[derive(Debug, Clone)]
pub struct Weights {
    tensors: HashMap<Weight, Tensor>,
}

impl Weights {
    /// Takes tensors that are known to be right.
    pub(crate) fn collect(
        config: &Config,
        mut make: impl FnMut(Weight) -> Result<Tensor>,
    ) -> Result<Weights> {
        let tensors: Result<_> = config
            .weights()
            .into_iter()
            .map(|weight| Ok((weight, make(weight)?)))
            .collect();
        Ok(Weights { tensors: tensors? })
    }

    /// Weights for a plan that no configuration describes, as the kernels' own tests record them.
    pub fn from_tensors(tensors: HashMap<Weight, Tensor>) -> Weights {
        Weights { tensors }
    }

    /// All tensors, in no order.
    pub fn into_tensors(self) -> impl Iterator<Item = (Weight, Tensor)> {
        self.tensors.into_iter()
    }

    /// A tensor.
    ///
    /// # Panics
    /// If it is none of the [`Config::weights`] that these weights were made for.
    pub fn get(&self, weight: Weight) -> &Tensor {
        &self.tensors[&weight]
    }
}

/// An error if an element is infinite or not a number.
pub(crate) fn check_finite(data: &[f32]) -> Result<()> {
    match data.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(Error::checkpoint(format!(
            "holds {}, first at element {at}; training diverged, or the file is damaged",
            data.get(at).copied().unwrap_or(f32::NAN)
        ))),
        None => Ok(()),
    }
}
