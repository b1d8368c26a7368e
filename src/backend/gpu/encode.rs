//! From a kernel call to dispatches: which pipeline, which constants, which buffers, how many workgroups.

use super::arrange;
use super::device::MAX_GRID;
use super::pipelines::{
    ADD, ADD_NORM, ATTENTION, Constants, DECODE, EMBED, GATHER, HALT, Kernel, PROJECT_ADD_NORM,
    PROJECT_SPLIT, QKV_ROPE, SWIGLU, TOKEN_MIX,
};
use super::variant::{Shape, Variant};
use crate::model::dtype::WeightDtype;
use crate::model::plan::{Buffer, Call, Dims};
use crate::model::weights::Weight;

/// A dispatch that is not made yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dispatch {
    pub(super) kernel: &'static Kernel,
    pub(super) constants: Constants,
    /// In the order of the kernel's bindings.
    pub(super) operands: Vec<Operand>,
    /// Workgroups; the third axis is the live slots.
    pub(super) grid: [usize; 2],
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Kernel) -> bool {
        self.name == other.name
    }
}

/// What a binding is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operand {
    /// The list of live slots.
    Live,
    /// A buffer of the plan.
    Of(Buffer),
    /// A tensor of the model.
    The(Weight),
    /// Cosines and sines.
    Rope,
    /// When a slot ends by itself.
    HaltParams,
    /// Steps taken and whether it goes on, of every slot.
    Records,
    /// Workgroups of the dispatches of a step.
    Grids,
    /// Memory between the dispatches of a call, with the elements that a slot needs there.
    Scratch(Scratch, usize),
}

/// Memory that nothing outlives a call in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scratch {
    /// The sum of sources, where a kernel binds fewer than a call has, `[L, D]`.
    Sum,
    /// The first part of such a sum, `[L, D]`.
    FirstSum,
    /// Inner units between the dispatches of `token_mix_direct`, `[T, D]`.
    Gated,
    /// What is not normed yet: sums and their squares, or parts of a product.
    Products,
}

pub(super) use Operand::{Live, Of, The};

/// Sources that a kernel binds.
const SOURCES: usize = 4;

/// Sources that `add` binds.
const ADDED: usize = 5;

/// The dispatches of a call.
pub(super) fn dispatches(
    shape: &Shape<'_>,
    variant: Variant,
    format: WeightDtype,
) -> Vec<Dispatch> {
    let mut encoder = Encoder {
        d: shape.dims,
        format: arrange::number(format),
        all: Vec::new(),
    };
    encoder.call(shape, variant);
    encoder.all
}

/// What precedes a step that the host does not wait for.
pub(super) fn gather(slots: usize, grids: usize) -> Dispatch {
    Dispatch {
        kernel: &GATHER,
        constants: vec![("SLOTS", slots as f64), ("GRIDS", grids as f64)],
        operands: vec![Operand::Records, Live, Operand::Grids],
        grid: [1, 1],
    }
}

/// Whether a grid can be dispatched.
pub(super) fn fits(grid: [usize; 2], slots: usize) -> bool {
    [grid[0], grid[1], slots]
        .iter()
        .all(|&n| n <= MAX_GRID as usize)
}

/// Collects the dispatches of a call.
pub(super) struct Encoder<'a> {
    pub(super) d: &'a Dims,
    /// The kernels' `FORMAT`.
    pub(super) format: usize,
    all: Vec<Dispatch>,
}

impl Encoder<'_> {
    pub(super) fn push(
        &mut self,
        kernel: &'static Kernel,
        constants: &[(&'static str, usize)],
        operands: Vec<Operand>,
        grid: [usize; 2],
    ) {
        let whole = constants.iter().map(|&(name, value)| (name, value as f64));
        // The norm's is the only constant that is no whole number.
        let eps = kernel.norms.then_some(("EPS", self.d.eps.into()));
        self.all.push(Dispatch {
            kernel,
            constants: whole.chain(eps).collect(),
            operands,
            grid,
        });
    }

    fn call(&mut self, shape: &Shape<'_>, variant: Variant) {
        match (shape.call, variant) {
            (
                Call::Embed {
                    embedding,
                    positions,
                },
                _,
            ) => self.embed(*embedding, *positions),
            (
                Call::TokenMix {
                    gate_up,
                    down,
                    sources,
                    out,
                },
                Variant::Direct,
            ) => self.token_mix_direct([*gate_up, *down], sources, *out),
            (
                Call::TokenMix {
                    gate_up,
                    down,
                    sources,
                    out,
                },
                _,
            ) => self.token_mix([*gate_up, *down], sources, *out),
            (Call::QkvRope { qkv, sources, out }, Variant::Direct) => {
                self.qkv_rope_direct(*qkv, sources, *out)
            }
            (Call::QkvRope { qkv, sources, out }, _) => self.qkv_rope(*qkv, sources, *out),
            (Call::Attention { qkv, out }, Variant::Direct) => self.attention_direct(*qkv, *out),
            (Call::Attention { qkv, out }, _) => self.attention(*qkv, *out),
            (
                Call::Swiglu {
                    gate_up,
                    input,
                    out,
                },
                Variant::Direct,
            ) => self.swiglu_direct(*gate_up, *input, *out),
            (
                Call::Swiglu {
                    gate_up,
                    input,
                    out,
                },
                _,
            ) => self.swiglu(*gate_up, *input, *out),
            (
                Call::ProjectAddNorm {
                    weight,
                    input,
                    residuals,
                    out,
                },
                _,
            ) => {
                let projection = Projection {
                    weight: *weight,
                    input: *input,
                    width: shape.input_width,
                    residuals,
                    out: *out,
                };
                match variant {
                    Variant::Tiled => self.project(&projection),
                    Variant::Direct => self.project_direct(&projection),
                    Variant::Split { parts } => self.project_split(&projection, parts),
                }
            }
            (
                Call::Halt {
                    weight,
                    bias,
                    state,
                },
                _,
            ) => self.halt(*weight, *bias, *state),
            (Call::Decode { weight, state }, _) => self.decode(*weight, *state),
        }
    }

    fn embed(&mut self, embedding: Weight, positions: Option<Weight>) {
        let (l, h) = (self.d.positions, self.d.hidden);
        self.push(
            &EMBED,
            &[
                ("L", l),
                ("D", h),
                ("P", self.d.prefix),
                ("POSITIONS", positions.is_some().into()),
            ],
            vec![
                Live,
                Of(Buffer::Tokens),
                Of(Buffer::Prefix),
                The(embedding),
                The(positions.unwrap_or(embedding)),
                Of(Buffer::Input),
            ],
            [h.div_ceil(64), l.div_ceil(4)],
        );
    }

    fn token_mix(&mut self, [gate_up, down]: [Weight; 2], sources: &[Buffer], out: Buffer) {
        let (count, sources) = self.bound(sources);
        let (l, h) = (self.d.positions, self.d.hidden);
        let [invocations, rows, chunk] = token_mix_memory(self.d);
        self.push(
            &TOKEN_MIX,
            &[
                ("L", l),
                ("D", h),
                ("T", self.d.token_inner),
                ("SOURCES", count),
                ("WG", invocations),
                ("ROWS", rows),
                ("CHUNK", chunk),
                ("FORMAT", self.format),
            ],
            [&[Live, The(gate_up), The(down)], &sources[..], &[Of(out)]].concat(),
            [h.div_ceil(4), 1],
        );
    }

    fn qkv_rope(&mut self, qkv: Weight, sources: &[Buffer], out: Buffer) {
        let (count, sources) = self.bound(sources);
        let d = self.d;
        self.push(
            &QKV_ROPE,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("HEADS", d.heads),
                ("SOURCES", count),
                ("ROPE", d.rope_theta.is_some().into()),
                ("FORMAT", self.format),
            ],
            [&[Live, The(qkv), Operand::Rope], &sources[..], &[Of(out)]].concat(),
            [pairs(d).div_ceil(32), d.positions.div_ceil(32)],
        );
    }

    fn attention(&mut self, qkv: Buffer, out: Buffer) {
        let d = self.d;
        self.push(
            &ATTENTION,
            &[("L", d.positions), ("D", d.hidden), ("HEADS", d.heads)],
            vec![Live, Of(qkv), Of(out)],
            [
                d.positions.div_ceil(32),
                d.heads * d.head_dim().div_ceil(64),
            ],
        );
    }

    fn swiglu(&mut self, gate_up: Weight, input: Buffer, out: Buffer) {
        let d = self.d;
        self.push(
            &SWIGLU,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("I", d.inner),
                ("FORMAT", self.format),
            ],
            vec![Live, The(gate_up), Of(input), Of(out)],
            [d.inner.div_ceil(32), d.positions.div_ceil(32)],
        );
    }

    fn project(&mut self, p: &Projection<'_>) {
        let (count, residuals) = self.bound(p.residuals);
        let d = self.d;
        // An invocation for every 4 columns, as far as there are so many.
        let invocations = d.hidden.div_ceil(4).next_power_of_two().clamp(32, 256);
        self.push(
            &PROJECT_ADD_NORM,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("K", p.width),
                ("SOURCES", count),
                ("WG", invocations),
                ("FORMAT", self.format),
            ],
            [
                &[Live, The(p.weight), Of(p.input)],
                &residuals[..],
                &[Of(p.out)],
            ]
            .concat(),
            [1, d.positions.div_ceil(8)],
        );
    }

    fn project_split(&mut self, p: &Projection<'_>, parts: usize) {
        let (count, residuals) = self.bound(p.residuals);
        let d = self.d;
        let (l, h) = (d.positions, d.hidden);
        let products = Operand::Scratch(Scratch::Products, parts * l * h.next_multiple_of(16));
        self.push(
            &PROJECT_SPLIT,
            &[
                ("L", l),
                ("D", h),
                ("K", p.width),
                ("PARTS", parts),
                ("FORMAT", self.format),
            ],
            vec![Live, The(p.weight), Of(p.input), products],
            [h.div_ceil(32), parts * l.div_ceil(32)],
        );
        let invocations = h.div_ceil(4).next_power_of_two().clamp(32, 256);
        self.push(
            &ADD_NORM,
            &[
                ("L", l),
                ("D", h),
                ("PARTS", parts),
                ("SOURCES", count),
                ("WG", invocations),
            ],
            [&[Live, products], &residuals[..], &[Of(p.out)]].concat(),
            [1, l],
        );
    }

    fn halt(&mut self, weight: Weight, bias: Weight, state: Buffer) {
        self.push(
            &HALT,
            &[("L", self.d.positions), ("D", self.d.hidden)],
            vec![
                Live,
                The(weight),
                The(bias),
                Of(state),
                Operand::HaltParams,
                Of(Buffer::Halting),
                Operand::Records,
            ],
            [1, 1],
        );
    }

    fn decode(&mut self, weight: Weight, state: Buffer) {
        let d = self.d;
        self.push(
            &DECODE,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("P", d.prefix),
                ("V", d.vocab),
            ],
            vec![
                Live,
                The(weight),
                Of(state),
                Of(Buffer::Logits),
                Of(Buffer::Answer),
            ],
            [1, d.tokens.div_ceil(8)],
        );
    }

    /// The sources as a kernel binds them: their number, and four operands of which the kernel reads as many. Where there are more,
    /// the first ones are added up before.
    pub(super) fn bound(&mut self, sources: &[Buffer]) -> (usize, [Operand; SOURCES]) {
        let mut operands: Vec<Operand> = sources.iter().copied().map(Of).collect();
        if operands.len() > SOURCES {
            let rest = operands.split_off(operands.len() - (SOURCES - 1));
            let sum = self.add(&operands, Scratch::Sum);
            operands = [&[sum], &rest[..]].concat();
        }
        (operands.len(), filled(&operands))
    }

    /// The sources as one operand.
    pub(super) fn summed(&mut self, sources: &[Buffer]) -> Operand {
        let mut operands: Vec<Operand> = sources.iter().copied().map(Of).collect();
        if operands.len() > ADDED {
            let rest = operands.split_off(ADDED);
            let first = self.add(&operands, Scratch::FirstSum);
            operands = [&[first], &rest[..]].concat();
        }
        match operands[..] {
            [one] => one,
            _ => self.add(&operands, Scratch::Sum),
        }
    }

    /// Adds up to [`ADDED`] operands.
    fn add(&mut self, operands: &[Operand], to: Scratch) -> Operand {
        let (l, h) = (self.d.positions, self.d.hidden);
        let sum = Operand::Scratch(to, l * h);
        self.push(
            &ADD,
            &[("L", l), ("D", h), ("SOURCES", operands.len())],
            [&[Live][..], &filled::<ADDED>(operands), &[sum]].concat(),
            [h.div_ceil(64), l.div_ceil(4)],
        );
        sum
    }
}

/// A call of `project_add_norm`.
pub(super) struct Projection<'a> {
    pub(super) weight: Weight,
    pub(super) input: Buffer,
    /// K, elements of a row of the input.
    pub(super) width: usize,
    pub(super) residuals: &'a [Buffer],
    pub(super) out: Buffer,
}

/// Pairs of channels that are turned together, in all heads of queries, keys and values.
pub(super) fn pairs(d: &Dims) -> usize {
    3 * d.heads * d.head_dim().div_ceil(2)
}

/// `N` operands; those that the kernel does not read repeat the first.
fn filled<const N: usize>(operands: &[Operand]) -> [Operand; N] {
    std::array::from_fn(|i| {
        operands
            .get(i)
            .or(operands.first())
            .copied()
            .unwrap_or(Live)
    })
}

/// How `token_mix` spends its 16 KiB, as invocations, rows and a chunk: 1000 vectors for s and for the inner units.
fn token_mix_memory(d: &Dims) -> [usize; 3] {
    // An invocation has 4 inner units, or 4 positions of one of 4 channels.
    let most = d.positions.max(d.token_inner.div_ceil(4));
    let invocations = most.next_power_of_two().clamp(64, 128);
    let left = 1000 - invocations / 4;
    // Units at a time: fewer than this would make s in workgroup memory a bad bargain.
    let rows = if d.positions + 64 <= left {
        d.positions
    } else {
        1
    };
    let chunk = d.token_inner.next_multiple_of(4).min((left - rows) / 4 * 4);
    [invocations, rows, chunk]
}

#[cfg(test)]
mod tests;
