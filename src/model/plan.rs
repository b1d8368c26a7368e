//! A refinement step as data: a flat list of kernel calls over named buffers.
//!
//! [`build_plan`](crate::model::build::build_plan) makes a [`Plan`], and a
//! [backend](crate::low_level::backend) runs it. There are nine kernels. Each has one name, which
//! is also the name of its function, its file and its test.
//!
//! Shapes use these letters: B slots of a batch, S grid tokens, P prefix positions, L = P + S
//! positions, D hidden size, V vocabulary size, I inner width of the SwiGLU over channels, T inner
//! width of the SwiGLU over positions. Buffers are per slot and row-major.
//!
//! In a model with a symbol axis L = K S: the positions are K fields of S cells, one field for each
//! symbol, and P is 0. M is the width of its messages. [`Dims::symbols`] tells `embed`, `halt` and
//! `decode` that there are fields.

use std::fmt;

use crate::config::{Config, PosEncodings, State};
use crate::model::weights::Weight;

/// The logit of the tokens 0 and 1, which are no symbols, in a model with a symbol axis.
pub const NOT_A_SYMBOL: f32 = -100.0;

/// The sizes that all kernel calls share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dims {
    /// S: grid tokens.
    pub tokens: usize,
    /// P: prefix positions.
    pub prefix: usize,
    /// L: positions, P + S or K S.
    pub positions: usize,
    /// D: hidden size.
    pub hidden: usize,
    /// V: vocabulary size.
    pub vocab: usize,
    /// I: inner width of the SwiGLU over channels.
    pub inner: usize,
    /// T: inner width of the SwiGLU over positions. 0 for a model with attention.
    pub token_inner: usize,
    /// K: symbols, each with a field of cells. 0 for a model without a symbol axis.
    pub symbols: usize,
    /// M: width of the messages within units. 0 for a model without a symbol axis.
    pub mixer_inner: usize,
    /// Rows and columns of a box of the grid, for the messages within units.
    pub box_shape: [usize; 2],
    /// Number of attention heads. Each has D / heads elements.
    pub heads: usize,
    /// Added to the mean square in the RMSNorm.
    pub eps: f32,
    /// Base of the rotary embedding. `None`: the model has no rotary embedding.
    pub rope_theta: Option<f64>,
}

impl Dims {
    /// Returns the sizes of `config` with S = `tokens`.
    pub fn new(config: &Config, tokens: usize) -> Self {
        let (prefix, symbols) = (config.prefix_len(), config.symbols());
        Self {
            tokens,
            prefix,
            positions: match symbols {
                0 => prefix + tokens,
                symbols => symbols * tokens,
            },
            hidden: config.hidden_size,
            vocab: config.vocab_size,
            inner: config.inner,
            token_inner: config.token_inner,
            symbols,
            mixer_inner: config.mixer_inner,
            box_shape: match symbols {
                0 => [0, 0],
                _ => config.unit_box(),
            },
            heads: config.num_heads,
            eps: config.rms_norm_eps,
            rope_theta: (config.pos_encodings == PosEncodings::Rope).then_some(config.rope_theta),
        }
    }

    /// Returns the width of one attention head, D / heads.
    pub fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }
}

/// The entry of [`Buffer::Answer`] for a cell with a logit that is infinite or NaN.
pub const NO_TOKEN: u32 = u32::MAX;

/// A named piece of memory, of which every slot of a batch has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Buffer {
    /// The tokens of the puzzle, `[S]`, `u32`.
    Tokens,
    /// The puzzle's row of the puzzle embedding, padded with zeros, `[P, D]`.
    Prefix,
    /// The scaled input x, `[L, D]`.
    Input,
    /// A carried state, `[L, D]`.
    State(State),
    /// Output of a block's mixer (attention or token mixing), `[L, D]`.
    Mixed,
    /// Output of a block that is not the last of its level, `[L, D]`.
    Block,
    /// Queries, keys and values side by side, `[L, 3D]`.
    Qkv,
    /// Output of attention, `[L, D]`.
    Attended,
    /// `silu(gate) * up`, `[L, I]`.
    Gated,
    /// Messages of the cells, `[L, M]`.
    Messages,
    /// Sums of the messages within units, `[L, M]`.
    UnitSums,
    /// The logits of the halting head, halt and continue, `[2]`.
    Halting,
    /// The logits of the answer head, `[S, V]`.
    Logits,
    /// The most probable token of every cell, `[S]`, `u32`; [`NO_TOKEN`] for a cell with a logit
    /// that is not finite.
    Answer,
}

impl Buffer {
    /// Returns whether the elements are `u32`. All other buffers hold `f32`.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Tokens | Self::Answer)
    }

    /// Returns the number of elements in one slot.
    pub fn len(self, d: &Dims) -> usize {
        match self {
            Self::Tokens | Self::Answer => d.tokens,
            Self::Prefix => d.prefix * d.hidden,
            Self::Input | Self::State(_) | Self::Mixed | Self::Block | Self::Attended => {
                d.positions * d.hidden
            }
            Self::Qkv => d.positions * 3 * d.hidden,
            Self::Gated => d.positions * d.inner,
            Self::Messages | Self::UnitSums => d.positions * d.mixer_inner,
            Self::Halting => 2,
            Self::Logits => d.tokens * d.vocab,
        }
    }
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens => "tokens",
            Self::Prefix => "prefix",
            Self::Input => "x",
            Self::State(state) => return f.write_str(&state.name()),
            Self::Mixed => "mixed",
            Self::Block => "block",
            Self::Qkv => "qkv",
            Self::Attended => "attended",
            Self::Gated => "gated",
            Self::Messages => "messages",
            Self::UnitSums => "unit sums",
            Self::Halting => "halting",
            Self::Logits => "logits",
            Self::Answer => "answer",
        })
    }
}

/// One call of one of the nine kernels. A call never reads the buffer that it writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `x = sqrt(D) * (prefix ++ rows of the token embedding)`. With learned positions `x =
    /// sqrt(D/2) * (prefix ++ rows of the token embedding + positions)`. With a symbol axis, the
    /// row of a cell in the field of a symbol is 0 if the cell is blank (tokens 0 and 1), 1 if it
    /// has this symbol (token symbol + 2), 2 if it has another.
    Embed {
        /// Token embedding, `[V, D]`, or `[3, D]` with a symbol axis.
        embedding: Weight,
        /// Learned positions, `[L, D]`. `None`: the positions are not learned.
        positions: Option<Weight>,
    },
    /// `out = norm(s + down (silu(gate s) * (up s)))`, where s is the sum of the sources. The
    /// products run across the positions, for each channel.
    TokenMix {
        /// `[2T, L]`.
        gate_up: Weight,
        /// `[L, T]`.
        down: Weight,
        /// 1 to 8 buffers, which the kernel adds up.
        sources: Vec<Buffer>,
        /// The buffer that the call writes.
        out: Buffer,
    },
    /// `out = s qkv^T`, where s is the sum of the sources. Queries and keys are rotated by
    /// position.
    QkvRope {
        /// `[3D, D]`.
        qkv: Weight,
        /// 1 to 8 buffers, which the kernel adds up.
        sources: Vec<Buffer>,
        /// The buffer that the call writes.
        out: Buffer,
    },
    /// `out = softmax(q k^T / sqrt(head width)) v` for each head. No mask: every position attends
    /// to every position.
    Attention {
        /// Queries, keys and values, `[L, 3D]`.
        qkv: Buffer,
        /// The buffer that the call writes.
        out: Buffer,
    },
    /// `out = silu(gate s) * (up s)`, where s is the sum of the sources.
    Swiglu {
        /// `[2I, D]`, or `[2M, D]`.
        gate_up: Weight,
        /// 1 to 8 buffers, which the kernel adds up.
        sources: Vec<Buffer>,
        /// The buffer that the call writes, `[L, I]` or `[L, M]`.
        out: Buffer,
    },
    /// Sums the messages of the other members of each unit of a cell: a sixth of the channels each
    /// for the row, the column, the box, the row within the box, the column within the box, and the
    /// symbols of the cell.
    UnitSums {
        /// Messages, `[L, M]`.
        input: Buffer,
        /// The buffer that the call writes, `[L, M]`.
        out: Buffer,
    },
    /// `out = norm(weight input + sum of the residuals)`.
    ProjectAddNorm {
        /// `[D, width of input]`.
        weight: Weight,
        /// The buffer that is projected.
        input: Buffer,
        /// 1 to 8 buffers, which the kernel adds up.
        residuals: Vec<Buffer>,
        /// The buffer that the call writes.
        out: Buffer,
    },
    /// Computes the two halting logits from the first position of a state. With a symbol axis, from
    /// the mean over its positions.
    Halt {
        /// `[2, D]`.
        weight: Weight,
        /// `[2]`.
        bias: Weight,
        /// The state that the head reads, `[L, D]`.
        state: Buffer,
    },
    /// Computes the answer logits from the positions P.. of a state, and the most probable token of
    /// each cell. With a symbol axis, the logit of token k + 2 is the product of the one row of the
    /// weight with the cell in field k, and the tokens 0 and 1 have the logit [`NOT_A_SYMBOL`].
    Decode {
        /// `[V, D]`, or `[1, D]` with a symbol axis.
        weight: Weight,
        /// The state that the head reads, `[L, D]`.
        state: Buffer,
    },
}

impl Call {
    /// Returns the name of the kernel.
    pub fn kernel(&self) -> &'static str {
        match self {
            Self::Embed { .. } => "embed",
            Self::TokenMix { .. } => "token_mix",
            Self::QkvRope { .. } => "qkv_rope",
            Self::Attention { .. } => "attention",
            Self::Swiglu { .. } => "swiglu",
            Self::UnitSums { .. } => "unit_sums",
            Self::ProjectAddNorm { .. } => "project_add_norm",
            Self::Halt { .. } => "halt",
            Self::Decode { .. } => "decode",
        }
    }

    /// Returns the buffers that the call reads.
    pub fn reads(&self) -> Vec<Buffer> {
        match self {
            Self::Embed { .. } => vec![Buffer::Tokens, Buffer::Prefix],
            Self::TokenMix { sources, .. }
            | Self::QkvRope { sources, .. }
            | Self::Swiglu { sources, .. } => sources.clone(),
            Self::Attention { qkv, .. } => vec![*qkv],
            Self::UnitSums { input, .. } => vec![*input],
            Self::ProjectAddNorm {
                input, residuals, ..
            } => std::iter::once(*input)
                .chain(residuals.iter().copied())
                .collect(),
            Self::Halt { state, .. } | Self::Decode { state, .. } => vec![*state],
        }
    }

    /// Returns the buffers that the call writes.
    pub fn writes(&self) -> Vec<Buffer> {
        match self {
            Self::Embed { .. } => vec![Buffer::Input],
            Self::TokenMix { out, .. }
            | Self::QkvRope { out, .. }
            | Self::Attention { out, .. }
            | Self::Swiglu { out, .. }
            | Self::UnitSums { out, .. }
            | Self::ProjectAddNorm { out, .. } => vec![*out],
            Self::Halt { .. } => vec![Buffer::Halting],
            Self::Decode { .. } => vec![Buffer::Logits, Buffer::Answer],
        }
    }

    /// Returns the weights that the call reads.
    pub fn weights(&self) -> Vec<Weight> {
        match *self {
            Self::Embed {
                embedding,
                positions,
            } => std::iter::once(embedding).chain(positions).collect(),
            Self::TokenMix { gate_up, down, .. } => vec![gate_up, down],
            Self::QkvRope { qkv, .. } => vec![qkv],
            Self::Attention { .. } | Self::UnitSums { .. } => vec![],
            Self::Swiglu { gate_up, .. } => vec![gate_up],
            Self::ProjectAddNorm { weight, .. } | Self::Decode { weight, .. } => vec![weight],
            Self::Halt { weight, bias, .. } => vec![weight, bias],
        }
    }

    /// Returns the floating-point operations of the call for one slot: two for every multiply-add
    /// of its matrix products.
    pub fn flops(&self, d: &Dims) -> u64 {
        let [l, s, h, v, t] =
            [d.positions, d.tokens, d.hidden, d.vocab, d.token_inner].map(|n| n as u64);
        let multiply_adds = match self {
            Self::Embed { .. } => 0,
            Self::TokenMix { .. } => 3 * t * l * h,
            Self::QkvRope { .. } => 3 * l * h * h,
            Self::Attention { .. } => 2 * l * l * h,
            Self::Swiglu { out, .. } => 2 * (out.len(d) as u64) * h,
            Self::UnitSums { .. } => 0,
            Self::ProjectAddNorm { input, .. } => (input.len(d) as u64) * h,
            Self::Halt { .. } => 2 * h,
            Self::Decode { .. } if d.symbols > 0 => l * h,
            Self::Decode { .. } => s * v * h,
        };
        2 * multiply_adds
    }
}

/// The calls that embed a puzzle, followed by those of one refinement step.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The sizes that all calls share.
    pub dims: Dims,
    /// Number of leading `calls` that run once per puzzle, before its first step.
    pub embed_calls: usize,
    /// All calls, in order.
    pub calls: Vec<Call>,
}

impl Plan {
    /// Returns the range of calls that run once per puzzle.
    pub fn embed(&self) -> std::ops::Range<usize> {
        0..self.embed_calls
    }

    /// Returns the range of calls that make up one refinement step.
    pub fn step(&self) -> std::ops::Range<usize> {
        self.embed_calls..self.calls.len()
    }

    /// Returns every buffer that the calls read or write, each once, in a fixed order.
    pub fn buffers(&self) -> Vec<Buffer> {
        let all = self
            .calls
            .iter()
            .flat_map(|c| c.reads().into_iter().chain(c.writes()));
        all.collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// Returns the work of one refinement step of one slot in GFLOP (10^9 floating-point
    /// operations). Every multiply-add of a matrix product counts as two operations.
    pub fn gflop_per_step(&self) -> f64 {
        self.calls[self.step()]
            .iter()
            .map(|c| c.flops(&self.dims))
            .sum::<u64>() as f64
            / 1e9
    }
}

impl fmt::Display for Plan {
    /// Writes one line per call: kernel, buffers read, buffers written, weights.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |buffers: Vec<Buffer>| {
            buffers
                .iter()
                .map(|b| b.to_string())
                .collect::<Vec<_>>()
                .join(" + ")
        };
        for (i, call) in self.calls.iter().enumerate() {
            if i == 0 {
                writeln!(f, "once for a puzzle:")?;
            } else if i == self.embed_calls {
                writeln!(f, "each refinement step:")?;
            }
            let weights: Vec<String> = call.weights().iter().map(|w| w.name()).collect();
            writeln!(
                f,
                "  {:<16} {} -> {}   {}",
                call.kernel(),
                join(call.reads()),
                join(call.writes()),
                weights.join(", ")
            )?;
        }
        Ok(())
    }
}
