//! A refinement step as data: a flat list of kernel calls over named buffers.
//!
//! [`model`](crate::model) records a [`Plan`], a [backend](crate::backend) runs it. There are eight kernels; each has one
//! name, which is also its function, its file and its test.
//!
//! Letters: B slots of a batch, S grid tokens, P prefix positions, L = P + S, D hidden size, V vocabulary, I inner width of
//! the SwiGLU over channels, T inner width of the one over positions. Buffers are per slot and row-major.

use std::fmt;

use crate::config::{Config, PosEncodings, State};
use crate::model::weights::Weight;

/// The sizes that kernels are called with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dims {
    /// S, grid tokens.
    pub tokens: usize,
    /// P, prefix positions.
    pub prefix: usize,
    /// L = P + S.
    pub positions: usize,
    /// D.
    pub hidden: usize,
    /// V.
    pub vocab: usize,
    /// I.
    pub inner: usize,
    /// T, 0 for a model with attention.
    pub token_inner: usize,
    /// Attention heads; D / heads is the width of one.
    pub heads: usize,
    /// Added to the mean square in the norm.
    pub eps: f32,
    /// Base of the rotary embedding; `None` turns nothing.
    pub rope_theta: Option<f64>,
}

impl Dims {
    /// The sizes of `config` with S = `tokens`.
    pub fn new(config: &Config, tokens: usize) -> Dims {
        let prefix = config.prefix_len();
        Dims {
            tokens,
            prefix,
            positions: prefix + tokens,
            hidden: config.hidden_size,
            vocab: config.vocab_size,
            inner: config.inner,
            token_inner: config.token_inner,
            heads: config.num_heads,
            eps: config.rms_norm_eps,
            rope_theta: (config.pos_encodings == PosEncodings::Rope).then_some(config.rope_theta),
        }
    }

    /// The width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }
}

/// A named piece of memory that every slot of a batch has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Buffer {
    /// The puzzle, `[S]`, whole numbers.
    Tokens,
    /// Its row of the puzzle embedding, padded with zeros, `[P, D]`.
    Prefix,
    /// The scaled input x, `[L, D]`.
    Input,
    /// A carried state, `[L, D]`.
    State(State),
    /// What the mixer of a block leaves, `[L, D]`.
    Mixed,
    /// What a block leaves that is not the last of its network, `[L, D]`.
    Block,
    /// Queries, keys and values side by side, `[L, 3D]`.
    Qkv,
    /// What attention leaves, `[L, D]`.
    Attended,
    /// silu(gate) * up, `[L, I]`.
    Gated,
    /// The halting head's logits, halt and continue, `[2]`.
    Halting,
    /// The answer head's logits, `[S, V]`.
    Logits,
    /// The likeliest token of every cell, `[S]`, whole numbers.
    Answer,
}

impl Buffer {
    /// Whether the buffer holds whole numbers (`u32`) and not `f32`.
    pub fn is_integer(self) -> bool {
        matches!(self, Buffer::Tokens | Buffer::Answer)
    }

    /// Elements that one slot has.
    pub fn len(self, d: &Dims) -> usize {
        match self {
            Buffer::Tokens | Buffer::Answer => d.tokens,
            Buffer::Prefix => d.prefix * d.hidden,
            Buffer::Input | Buffer::State(_) | Buffer::Mixed | Buffer::Block | Buffer::Attended => {
                d.positions * d.hidden
            }
            Buffer::Qkv => d.positions * 3 * d.hidden,
            Buffer::Gated => d.positions * d.inner,
            Buffer::Halting => 2,
            Buffer::Logits => d.tokens * d.vocab,
        }
    }
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Buffer::Tokens => "tokens",
            Buffer::Prefix => "prefix",
            Buffer::Input => "x",
            Buffer::State(state) => return f.write_str(&state.name()),
            Buffer::Mixed => "mixed",
            Buffer::Block => "block",
            Buffer::Qkv => "qkv",
            Buffer::Attended => "attended",
            Buffer::Gated => "gated",
            Buffer::Halting => "halting",
            Buffer::Logits => "logits",
            Buffer::Answer => "answer",
        })
    }
}

/// One call of one of the eight kernels. A call never reads the buffer that it writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `x = sqrt(D) * (prefix ++ rows of the token embedding)`; with learned positions `x = sqrt(D/2) * (... + positions)`.
    Embed {
        /// `[V, D]`.
        embedding: Weight,
        /// `[L, D]`, where positions are learned.
        positions: Option<Weight>,
    },
    /// s = sum of the sources; `out = norm(s + down silu(gate s) * (up s))`, all across the positions, for each channel.
    TokenMix {
        /// `[2T, L]`.
        gate_up: Weight,
        /// `[L, T]`.
        down: Weight,
        /// 1 to 8 buffers that are added up.
        sources: Vec<Buffer>,
        /// Where the result goes.
        out: Buffer,
    },
    /// s = sum of the sources; `out = s qkv^T`, queries and keys turned by their position.
    QkvRope {
        /// `[3D, D]`.
        qkv: Weight,
        /// 1 to 8 buffers that are added up.
        sources: Vec<Buffer>,
        /// Where the result goes.
        out: Buffer,
    },
    /// `out = softmax(q k^T / sqrt(head width)) v` for each head; every position sees every other.
    Attention {
        /// Queries, keys, values.
        qkv: Buffer,
        /// Where the result goes.
        out: Buffer,
    },
    /// `out = silu(gate input) * (up input)`.
    Swiglu {
        /// `[2I, D]`.
        gate_up: Weight,
        /// What is projected.
        input: Buffer,
        /// Where the result goes.
        out: Buffer,
    },
    /// `out = norm(weight input + sum of the residuals)`.
    ProjectAddNorm {
        /// `[D, width of the input]`.
        weight: Weight,
        /// What is projected.
        input: Buffer,
        /// 1 to 8 buffers that are added up.
        residuals: Vec<Buffer>,
        /// Where the result goes.
        out: Buffer,
    },
    /// The two halting logits from a state's first position.
    Halt {
        /// `[2, D]`.
        weight: Weight,
        /// `[2]`.
        bias: Weight,
        /// The state that is read.
        state: Buffer,
    },
    /// The answer logits of the positions P.. of a state, and each cell's likeliest token.
    Decode {
        /// `[V, D]`.
        weight: Weight,
        /// The state that is read.
        state: Buffer,
    },
}

impl Call {
    /// The kernel's name.
    pub fn kernel(&self) -> &'static str {
        match self {
            Call::Embed { .. } => "embed",
            Call::TokenMix { .. } => "token_mix",
            Call::QkvRope { .. } => "qkv_rope",
            Call::Attention { .. } => "attention",
            Call::Swiglu { .. } => "swiglu",
            Call::ProjectAddNorm { .. } => "project_add_norm",
            Call::Halt { .. } => "halt",
            Call::Decode { .. } => "decode",
        }
    }

    /// The buffers that it reads.
    pub fn reads(&self) -> Vec<Buffer> {
        match self {
            Call::Embed { .. } => vec![Buffer::Tokens, Buffer::Prefix],
            Call::TokenMix { sources, .. } | Call::QkvRope { sources, .. } => sources.clone(),
            Call::Attention { qkv, .. } => vec![*qkv],
            Call::Swiglu { input, .. } => vec![*input],
            Call::ProjectAddNorm { input, residuals, .. } => {
                std::iter::once(*input).chain(residuals.iter().copied()).collect()
            }
            Call::Halt { state, .. } | Call::Decode { state, .. } => vec![*state],
        }
    }

    /// The buffers that it writes.
    pub fn writes(&self) -> Vec<Buffer> {
        match self {
            Call::Embed { .. } => vec![Buffer::Input],
            Call::TokenMix { out, .. }
            | Call::QkvRope { out, .. }
            | Call::Attention { out, .. }
            | Call::Swiglu { out, .. }
            | Call::ProjectAddNorm { out, .. } => vec![*out],
            Call::Halt { .. } => vec![Buffer::Halting],
            Call::Decode { .. } => vec![Buffer::Logits, Buffer::Answer],
        }
    }

    /// The tensors that it multiplies with.
    pub fn weights(&self) -> Vec<Weight> {
        match *self {
            Call::Embed { embedding, positions } => std::iter::once(embedding).chain(positions).collect(),
            Call::TokenMix { gate_up, down, .. } => vec![gate_up, down],
            Call::QkvRope { qkv, .. } => vec![qkv],
            Call::Attention { .. } => vec![],
            Call::Swiglu { gate_up, .. } => vec![gate_up],
            Call::ProjectAddNorm { weight, .. } | Call::Decode { weight, .. } => vec![weight],
            Call::Halt { weight, bias, .. } => vec![weight, bias],
        }
    }

    /// Two for every multiply-add of its matrix products, for one slot.
    pub fn flops(&self, d: &Dims) -> u64 {
        let [l, s, h, v, i, t] =
            [d.positions, d.tokens, d.hidden, d.vocab, d.inner, d.token_inner].map(|n| n as u64);
        let multiply_adds = match self {
            Call::Embed { .. } => 0,
            Call::TokenMix { .. } => 3 * t * l * h,
            Call::QkvRope { .. } => 3 * l * h * h,
            Call::Attention { .. } => 2 * l * l * h,
            Call::Swiglu { .. } => 2 * i * l * h,
            Call::ProjectAddNorm { input, .. } => (input.len(d) as u64) * h,
            Call::Halt { .. } => 2 * h,
            Call::Decode { .. } => s * v * h,
        };
        2 * multiply_adds
    }
}

/// The calls that put a puzzle in place, then those of one refinement step.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The sizes that all calls share.
    pub dims: Dims,
    /// How many of `calls` run once for a puzzle, before its first step.
    pub embedding: usize,
    /// All calls, in order.
    pub calls: Vec<Call>,
}

impl Plan {
    /// The range of calls that run once for a puzzle.
    pub fn embed(&self) -> std::ops::Range<usize> {
        0..self.embedding
    }

    /// The range of calls that are one refinement step.
    pub fn step(&self) -> std::ops::Range<usize> {
        self.embedding..self.calls.len()
    }

    /// Every buffer that the calls touch, each once, in a fixed order.
    pub fn buffers(&self) -> Vec<Buffer> {
        let all = self
            .calls
            .iter()
            .flat_map(|c| c.reads().into_iter().chain(c.writes()));
        all.collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// Billions of floating-point operations of one refinement step of one slot: two for every multiply-add of a
    /// matrix product.
    pub fn gflop_per_step(&self) -> f64 {
        self.calls[self.step()]
            .iter()
            .map(|c| c.flops(&self.dims))
            .sum::<u64>() as f64
            / 1e9
    }
}

impl fmt::Display for Plan {
    /// One line a call, as `trm-run inspect --plan` prints it.
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
            } else if i == self.embedding {
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
