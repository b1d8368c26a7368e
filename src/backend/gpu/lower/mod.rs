//! Lowering: from a call of the plan to dispatches of kernels.
//!
//! A [`Dispatch`] names its kernel, its constants, what it binds (as [`Operand`]s, not yet buffers)
//! and its grid. This file lowers to tiled and split kernels, `direct.rs` to those without
//! workgroup memory. `memory.rs` binds the buffers.

mod direct;
#[cfg(test)]
mod tests;

use super::device::MAX_WORKGROUPS_PER_AXIS;
use super::pack::format_code;
use super::pipelines::{
    ADD, ADD_NORM, ATTENTION, Constants, DECODE, EMBED, GATHER, HALT, Kernel, PROJECT_ADD_NORM,
    PROJECT_SPLIT, QKV_ROPE, SWIGLU, TOKEN_MIX, UNIT_SUMS,
};
use super::selection::{CallShape, KernelImpl};
use crate::model::dtype::WeightDtype;
use crate::model::plan::{Buffer, Call, Dims};
use crate::model::weights::Weight;

/// A dispatch, not yet bound to buffers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dispatch {
    pub(super) kernel: &'static Kernel,
    pub(super) constants: Constants,
    /// In the order of the kernel's bindings.
    pub(super) operands: Vec<Operand>,
    /// Workgroups along x and y. Those along z are the live slots.
    pub(super) grid: [usize; 2],
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a kernel binds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operand {
    /// The list of live slots.
    LiveSlots,
    /// A buffer of the plan.
    PlanBuffer(Buffer),
    /// A tensor of the model.
    Tensor(Weight),
    /// Cosines and sines of RoPE.
    Rope,
    /// When a slot halts.
    HaltParams,
    /// Steps taken and whether it is live, of every slot.
    SlotStatuses,
    /// Workgroups of the dispatches of a step.
    Grids,
    /// A scratch buffer, with the elements that this dispatch needs of it per slot.
    Scratch(Scratch, usize),
}

/// A buffer whose content is used within one call only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scratch {
    /// The sum of sources, if a call has more than its kernel binds, `[L, D]`.
    Sum,
    /// The first part of such a sum, `[L, D]`.
    FirstSum,
    /// Inner units between the dispatches of direct `token_mix`, `[T, D]`.
    Gated,
    /// Sums before their norm, with their squares, or the parts of a product.
    Products,
}

use Operand::{LiveSlots, PlanBuffer, Tensor};

/// The most sources that a kernel of the plan binds.
const MAX_BOUND_SOURCES: usize = 4;

/// The most sources that `add` binds.
const MAX_ADD_SOURCES: usize = 5;

/// Lowers a call to its dispatches, in their order.
pub(super) fn lower(
    shape: &CallShape<'_>,
    implementation: KernelImpl,
    dtype: WeightDtype,
) -> Vec<Dispatch> {
    let mut lowering = Lowering {
        d: shape.dims,
        format: format_code(dtype),
        dispatches: Vec::new(),
    };
    lowering.call(shape, implementation);
    lowering.dispatches
}

/// Returns the dispatch that precedes a step which the host does not wait for.
pub(super) fn gather(slots: usize, grids: usize) -> Dispatch {
    Dispatch {
        kernel: &GATHER,
        constants: vec![("SLOTS", slots as f64), ("GRIDS", grids as f64)],
        operands: vec![Operand::SlotStatuses, LiveSlots, Operand::Grids],
        grid: [1, 1],
    }
}

/// Returns whether a grid is within the limits of a dispatch.
pub(super) fn fits_dispatch_limits(grid: [usize; 2], slots: usize) -> bool {
    [grid[0], grid[1], slots]
        .iter()
        .all(|&n| n <= MAX_WORKGROUPS_PER_AXIS as usize)
}

/// Collects the dispatches of a call.
struct Lowering<'a> {
    d: &'a Dims,
    /// The kernels' constant `FORMAT`.
    format: usize,
    dispatches: Vec<Dispatch>,
}

impl Lowering<'_> {
    fn push(
        &mut self,
        kernel: &'static Kernel,
        constants: &[(&'static str, usize)],
        operands: Vec<Operand>,
        grid: [usize; 2],
    ) {
        let integers = constants.iter().map(|&(name, value)| (name, value as f64));
        // EPS is the only constant that is not an integer.
        let eps = kernel.has_eps().then_some(("EPS", self.d.eps.into()));
        self.dispatches.push(Dispatch {
            kernel,
            constants: integers.chain(eps).collect(),
            operands,
            grid,
        });
    }

    fn call(&mut self, shape: &CallShape<'_>, implementation: KernelImpl) {
        match (shape.call, implementation) {
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
                KernelImpl::Direct,
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
            (Call::QkvRope { qkv, sources, out }, KernelImpl::Direct) => {
                self.qkv_rope_direct(*qkv, sources, *out);
            }
            (Call::QkvRope { qkv, sources, out }, _) => self.qkv_rope(*qkv, sources, *out),
            (Call::Attention { qkv, out }, KernelImpl::Direct) => self.attention_direct(*qkv, *out),
            (Call::Attention { qkv, out }, _) => self.attention(*qkv, *out),
            (
                Call::Swiglu {
                    gate_up,
                    sources,
                    out,
                },
                KernelImpl::Direct,
            ) => self.swiglu_direct(*gate_up, sources, *out),
            (
                Call::Swiglu {
                    gate_up,
                    sources,
                    out,
                },
                _,
            ) => self.swiglu(*gate_up, sources, *out),
            (Call::UnitSums { input, out }, _) => self.unit_sums(*input, *out),
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
                match implementation {
                    KernelImpl::Tiled => self.project(&projection),
                    KernelImpl::Direct => self.project_direct(&projection),
                    KernelImpl::Split { parts } => self.project_split(&projection, parts),
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
                ("SYMBOLS", self.d.symbols),
            ],
            vec![
                LiveSlots,
                PlanBuffer(Buffer::Tokens),
                PlanBuffer(Buffer::Prefix),
                Tensor(embedding),
                Tensor(positions.unwrap_or(embedding)),
                PlanBuffer(Buffer::Input),
            ],
            [h.div_ceil(64), l.div_ceil(4)],
        );
    }

    fn token_mix(&mut self, [gate_up, down]: [Weight; 2], sources: &[Buffer], out: Buffer) {
        let (count, sources) = self.bind_sources(sources);
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
            [
                &[LiveSlots, Tensor(gate_up), Tensor(down)],
                &sources[..],
                &[PlanBuffer(out)],
            ]
            .concat(),
            [h.div_ceil(4), 1],
        );
    }

    fn qkv_rope(&mut self, qkv: Weight, sources: &[Buffer], out: Buffer) {
        let (count, sources) = self.bind_sources(sources);
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
            [
                &[LiveSlots, Tensor(qkv), Operand::Rope],
                &sources[..],
                &[PlanBuffer(out)],
            ]
            .concat(),
            [channel_pairs(d).div_ceil(32), d.positions.div_ceil(32)],
        );
    }

    fn attention(&mut self, qkv: Buffer, out: Buffer) {
        let d = self.d;
        self.push(
            &ATTENTION,
            &[("L", d.positions), ("D", d.hidden), ("HEADS", d.heads)],
            vec![LiveSlots, PlanBuffer(qkv), PlanBuffer(out)],
            [
                d.positions.div_ceil(32),
                d.heads * d.head_dim().div_ceil(64),
            ],
        );
    }

    fn swiglu(&mut self, gate_up: Weight, sources: &[Buffer], out: Buffer) {
        let source = self.sum_sources(sources);
        let d = self.d;
        let inner = out.len(d) / d.positions;
        self.push(
            &SWIGLU,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("I", inner),
                ("FORMAT", self.format),
            ],
            vec![LiveSlots, Tensor(gate_up), source, PlanBuffer(out)],
            [inner.div_ceil(32), d.positions.div_ceil(32)],
        );
    }

    fn unit_sums(&mut self, input: Buffer, out: Buffer) {
        let d = self.d;
        let [box_rows, box_cols] = d.box_shape;
        self.push(
            &UNIT_SUMS,
            &[
                ("K", d.symbols),
                ("SIDE", d.tokens.isqrt()),
                ("BOX_ROWS", box_rows),
                ("BOX_COLS", box_cols),
                ("M", d.mixer_inner),
            ],
            vec![LiveSlots, PlanBuffer(input), PlanBuffer(out)],
            [d.mixer_inner.div_ceil(16), d.positions.div_ceil(4)],
        );
    }

    fn project(&mut self, p: &Projection<'_>) {
        let (count, residuals) = self.bind_sources(p.residuals);
        let d = self.d;
        // One invocation for every 4 columns, between 32 and 256.
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
                &[LiveSlots, Tensor(p.weight), PlanBuffer(p.input)],
                &residuals[..],
                &[PlanBuffer(p.out)],
            ]
            .concat(),
            [1, d.positions.div_ceil(8)],
        );
    }

    fn project_split(&mut self, p: &Projection<'_>, parts: usize) {
        let (count, residuals) = self.bind_sources(p.residuals);
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
            vec![LiveSlots, Tensor(p.weight), PlanBuffer(p.input), products],
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
            [&[LiveSlots, products], &residuals[..], &[PlanBuffer(p.out)]].concat(),
            [1, l],
        );
    }

    fn halt(&mut self, weight: Weight, bias: Weight, state: Buffer) {
        self.push(
            &HALT,
            &[
                ("L", self.d.positions),
                ("D", self.d.hidden),
                (
                    "ROWS",
                    match self.d.symbols {
                        0 => 1,
                        _ => self.d.positions,
                    },
                ),
            ],
            vec![
                LiveSlots,
                Tensor(weight),
                Tensor(bias),
                PlanBuffer(state),
                Operand::HaltParams,
                PlanBuffer(Buffer::Halting),
                Operand::SlotStatuses,
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
                ("SYMBOLS", d.symbols),
            ],
            vec![
                LiveSlots,
                Tensor(weight),
                PlanBuffer(state),
                PlanBuffer(Buffer::Logits),
                PlanBuffer(Buffer::Answer),
            ],
            [1, d.tokens.div_ceil(8)],
        );
    }

    /// Returns the sources as a kernel binds them: their number, and four operands of which the
    /// kernel reads that many. If a call has more, `add` first sums the first ones.
    fn bind_sources(&mut self, sources: &[Buffer]) -> (usize, [Operand; MAX_BOUND_SOURCES]) {
        let mut operands: Vec<Operand> = sources.iter().copied().map(PlanBuffer).collect();
        if operands.len() > MAX_BOUND_SOURCES {
            let rest = operands.split_off(operands.len() - (MAX_BOUND_SOURCES - 1));
            let sum = self.add(&operands, Scratch::Sum);
            operands = [&[sum], &rest[..]].concat();
        }
        (operands.len(), pad_operands(&operands))
    }

    /// Returns the sources as one operand. `add` sums them if there are several.
    fn sum_sources(&mut self, sources: &[Buffer]) -> Operand {
        let mut operands: Vec<Operand> = sources.iter().copied().map(PlanBuffer).collect();
        if operands.len() > MAX_ADD_SOURCES {
            let rest = operands.split_off(MAX_ADD_SOURCES);
            let first = self.add(&operands, Scratch::FirstSum);
            operands = [&[first], &rest[..]].concat();
        }
        match operands[..] {
            [one] => one,
            _ => self.add(&operands, Scratch::Sum),
        }
    }

    /// Pushes an `add` of up to [`MAX_ADD_SOURCES`] operands and returns its result.
    fn add(&mut self, operands: &[Operand], to: Scratch) -> Operand {
        let (l, h) = (self.d.positions, self.d.hidden);
        let sum = Operand::Scratch(to, l * h);
        self.push(
            &ADD,
            &[("L", l), ("D", h), ("SOURCES", operands.len())],
            [
                &[LiveSlots][..],
                &pad_operands::<MAX_ADD_SOURCES>(operands),
                &[sum],
            ]
            .concat(),
            [h.div_ceil(64), l.div_ceil(4)],
        );
        sum
    }
}

/// The fields of `Call::ProjectAddNorm`.
struct Projection<'a> {
    weight: Weight,
    input: Buffer,
    /// K: elements of an input row.
    width: usize,
    residuals: &'a [Buffer],
    out: Buffer,
}

/// Returns the pairs of channels that RoPE rotates, in all heads of queries, keys and values.
fn channel_pairs(d: &Dims) -> usize {
    3 * d.heads * d.head_dim().div_ceil(2)
}

/// Returns `N` operands. Those that the kernel does not read repeat the first.
fn pad_operands<const N: usize>(operands: &[Operand]) -> [Operand; N] {
    std::array::from_fn(|i| {
        operands
            .get(i)
            .or(operands.first())
            .copied()
            .unwrap_or(LiveSlots)
    })
}

/// Returns how `token_mix` divides its 16 KiB of workgroup memory, as `WG`, `ROWS` and `CHUNK`:
/// 1000 4-vectors for sums of squares, s and inner units.
fn token_mix_memory(d: &Dims) -> [usize; 3] {
    // An invocation computes 4 inner units, or 4 positions of one of 4 channels.
    let items = d.positions.max(d.token_inner.div_ceil(4));
    let invocations = items.next_power_of_two().clamp(64, 128);
    let left = 1000 - invocations / 4;
    // s in workgroup memory pays only if at least 64 inner units fit beside it.
    let rows = if d.positions + 64 <= left {
        d.positions
    } else {
        1
    };
    let chunk = d.token_inner.next_multiple_of(4).min((left - rows) / 4 * 4);
    [invocations, rows, chunk]
}
