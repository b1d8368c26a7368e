//! From a kernel call to dispatches: which pipeline, which constants, which buffers, how many workgroups.

use super::device::MAX_GRID;
use super::pipelines::{
    ADD, ATTENTION, Constants, DECODE, EMBED, GATHER, HALT, Kernel, PROJECT_ADD_NORM, QKV_ROPE, SWIGLU,
    TOKEN_MIX,
};
use crate::plan::{Buffer, Call, Dims};
use crate::weights::Weight;

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
    Rule,
    /// Steps taken and whether it goes on, of every slot.
    Records,
    /// Workgroups of the dispatches of a step.
    Grids,
    /// The sum of the first sources of a call that has more than a kernel binds.
    Sum,
}

use Operand::{Live, Of, The};

/// Sources that a kernel binds.
const SOURCES: usize = 4;

/// The dispatches of a call. `input_width` is K of a projection.
pub(super) fn dispatches(call: &Call, d: &Dims, input_width: usize) -> Vec<Dispatch> {
    let mut all = Vec::new();
    let (l, h) = (d.positions, d.hidden);
    let elements = [h.div_ceil(64), l.div_ceil(4)];
    match call {
        Call::Embed { embedding, positions } => all.push(Dispatch {
            kernel: &EMBED,
            constants: constants(&[
                ("L", l),
                ("D", h),
                ("P", d.prefix),
                ("POSITIONS", positions.is_some().into()),
            ]),
            operands: vec![
                Live,
                Of(Buffer::Tokens),
                Of(Buffer::Prefix),
                The(*embedding),
                The(positions.unwrap_or(*embedding)),
                Of(Buffer::Input),
            ],
            grid: elements,
        }),
        Call::TokenMix {
            gate_up,
            down,
            sources,
            out,
        } => {
            let (count, sources) = bound(sources, d, &mut all);
            let mut constants = constants(&[("L", l), ("D", h), ("T", d.token_inner), ("SOURCES", count)]);
            constants.push(("EPS", d.eps.into()));
            constants.extend(token_mix_memory(d));
            all.push(Dispatch {
                kernel: &TOKEN_MIX,
                constants,
                operands: [&[Live, The(*gate_up), The(*down)], &sources[..], &[Of(*out)]].concat(),
                grid: [h.div_ceil(4), 1],
            });
        }
        Call::QkvRope { qkv, sources, out } => {
            let (count, sources) = bound(sources, d, &mut all);
            let rope = d.rope_theta.is_some().into();
            let pairs = 3 * d.heads * d.head_dim().div_ceil(2);
            all.push(Dispatch {
                kernel: &QKV_ROPE,
                constants: constants(&[
                    ("L", l),
                    ("D", h),
                    ("HEADS", d.heads),
                    ("SOURCES", count),
                    ("ROPE", rope),
                ]),
                operands: [&[Live, The(*qkv), Operand::Rope], &sources[..], &[Of(*out)]].concat(),
                grid: [pairs.div_ceil(32), l.div_ceil(32)],
            });
        }
        Call::Attention { qkv, out } => all.push(Dispatch {
            kernel: &ATTENTION,
            constants: constants(&[("L", l), ("D", h), ("HEADS", d.heads)]),
            operands: vec![Live, Of(*qkv), Of(*out)],
            grid: [l.div_ceil(32), d.heads * d.head_dim().div_ceil(64)],
        }),
        Call::Swiglu { gate_up, input, out } => all.push(Dispatch {
            kernel: &SWIGLU,
            constants: constants(&[("L", l), ("D", h), ("I", d.inner)]),
            operands: vec![Live, The(*gate_up), Of(*input), Of(*out)],
            grid: [d.inner.div_ceil(32), l.div_ceil(32)],
        }),
        Call::ProjectAddNorm {
            weight,
            input,
            residuals,
            out,
        } => {
            let (count, residuals) = bound(residuals, d, &mut all);
            // An invocation for every 4 columns, as far as there are so many.
            let invocations = h.div_ceil(4).next_power_of_two().clamp(32, 256);
            let mut constants = constants(&[
                ("L", l),
                ("D", h),
                ("K", input_width),
                ("SOURCES", count),
                ("WG", invocations),
            ]);
            constants.push(("EPS", d.eps.into()));
            all.push(Dispatch {
                kernel: &PROJECT_ADD_NORM,
                constants,
                operands: [&[Live, The(*weight), Of(*input)], &residuals[..], &[Of(*out)]].concat(),
                grid: [1, l.div_ceil(8)],
            });
        }
        Call::Halt { weight, bias, state } => all.push(Dispatch {
            kernel: &HALT,
            constants: constants(&[("L", l), ("D", h)]),
            operands: vec![
                Live,
                The(*weight),
                The(*bias),
                Of(*state),
                Operand::Rule,
                Of(Buffer::Halting),
                Operand::Records,
            ],
            grid: [1, 1],
        }),
        Call::Decode { weight, state } => all.push(Dispatch {
            kernel: &DECODE,
            constants: constants(&[("L", l), ("D", h), ("P", d.prefix), ("V", d.vocab)]),
            operands: vec![
                Live,
                The(*weight),
                Of(*state),
                Of(Buffer::Logits),
                Of(Buffer::Answer),
            ],
            grid: [1, d.tokens.div_ceil(8)],
        }),
    }
    all
}

/// What precedes a step that the host does not wait for.
pub(super) fn gather(slots: usize, grids: usize) -> Dispatch {
    Dispatch {
        kernel: &GATHER,
        constants: constants(&[("SLOTS", slots), ("GRIDS", grids)]),
        operands: vec![Operand::Records, Live, Operand::Grids],
        grid: [1, 1],
    }
}

/// Whether a grid can be dispatched.
pub(super) fn fits(grid: [usize; 2], slots: usize) -> bool {
    [grid[0], grid[1], slots].iter().all(|&n| n <= MAX_GRID as usize)
}

fn constants(integers: &[(&'static str, usize)]) -> Constants {
    integers
        .iter()
        .map(|&(name, value)| (name, value as f64))
        .collect()
}

/// The sources as a kernel binds them: their number, and four operands of which the kernel reads as many. Where there are more,
/// the first ones are added up before.
fn bound(sources: &[Buffer], d: &Dims, before: &mut Vec<Dispatch>) -> (usize, [Operand; SOURCES]) {
    let mut operands: Vec<Operand> = sources.iter().copied().map(Of).collect();
    if operands.len() > SOURCES {
        let rest = operands.split_off(operands.len() - (SOURCES - 1));
        before.push(Dispatch {
            kernel: &ADD,
            constants: constants(&[("L", d.positions), ("D", d.hidden), ("SOURCES", operands.len())]),
            operands: [&[Live][..], &filled::<5>(&operands), &[Operand::Sum]].concat(),
            grid: [d.hidden.div_ceil(64), d.positions.div_ceil(4)],
        });
        operands = [&[Operand::Sum], &rest[..]].concat();
    }
    (operands.len(), filled(&operands))
}

/// `N` operands; those that the kernel does not read repeat the first.
fn filled<const N: usize>(operands: &[Operand]) -> [Operand; N] {
    std::array::from_fn(|i| operands.get(i).or(operands.first()).copied().unwrap_or(Live))
}

/// How `token_mix` spends its 16 KiB: 1024 vectors for s, for the inner units, and one for each invocation.
fn token_mix_memory(d: &Dims) -> Constants {
    let invocations = if d.positions <= 64 { 64 } else { 128 };
    let left = 1024 - invocations;
    // Units at a time: fewer than this would make s in workgroup memory a bad bargain.
    let rows = if d.positions + 64 <= left { d.positions } else { 1 };
    let chunk = d.token_inner.min(left - rows);
    constants(&[("WG", invocations), ("ROWS", rows), ("CHUNK", chunk)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Net, State};

    fn dims(positions: usize, hidden: usize, token_inner: usize) -> Dims {
        Dims {
            tokens: positions,
            prefix: 0,
            positions,
            hidden,
            vocab: 11,
            inner: 1536,
            token_inner,
            heads: 8,
            eps: 1e-5,
            rope_theta: Some(1e4),
        }
    }

    /// One call of every kernel, with `sources` sources where it has any.
    fn calls(sources: usize) -> Vec<Call> {
        let (net, out) = (Net::L, Buffer::Mixed);
        let sources: Vec<Buffer> = (0..sources as u8).map(|i| Buffer::State(State::Low(i))).collect();
        vec![
            Call::Embed {
                embedding: Weight::EmbedTokens,
                positions: None,
            },
            Call::TokenMix {
                gate_up: Weight::TokenGateUp(net, 0),
                down: Weight::TokenDown(net, 0),
                sources: sources.clone(),
                out,
            },
            Call::QkvRope {
                qkv: Weight::Qkv(net, 0),
                sources: sources.clone(),
                out: Buffer::Qkv,
            },
            Call::Attention {
                qkv: Buffer::Qkv,
                out: Buffer::Attended,
            },
            Call::Swiglu {
                gate_up: Weight::GateUp(net, 0),
                input: out,
                out: Buffer::Gated,
            },
            Call::ProjectAddNorm {
                weight: Weight::Down(net, 0),
                input: Buffer::Gated,
                residuals: sources,
                out: Buffer::Block,
            },
            Call::Halt {
                weight: Weight::QHead,
                bias: Weight::QHeadBias,
                state: out,
            },
            Call::Decode {
                weight: Weight::LmHead,
                state: out,
            },
        ]
    }

    /// The constants of every dispatch are those that the shader declares, none missing, and its workgroup memory and invocations
    /// stay within what WebGPU promises.
    #[test]
    fn constants_are_the_shaders_and_keep_its_limits() {
        let sizes = [
            dims(1, 8, 1),
            dims(97, 512, 512),
            dims(916, 512, 2560),
            dims(1100, 2048, 4096),
        ];
        for (d, sources) in sizes.iter().flat_map(|d| [1, 4, 5, 8].map(|n| (d, n))) {
            for dispatch in calls(sources).iter().flat_map(|call| dispatches(call, d, 1536)) {
                let name = dispatch.kernel.name;
                let mut module = dispatch.kernel.parsed();
                // Expressions of overrides have no name.
                let mut declared: Vec<_> = module
                    .overrides
                    .iter()
                    .filter_map(|(_, o)| o.name.clone())
                    .collect();
                let mut given: Vec<_> = dispatch.constants.iter().map(|c| c.0.to_string()).collect();
                declared.sort();
                given.sort();
                assert_eq!(declared, given, "{name}");
                let mut validator = naga::valid::Validator::new(
                    naga::valid::ValidationFlags::all(),
                    naga::valid::Capabilities::empty(),
                );
                let info = validator.validate(&module).unwrap();
                let constants = dispatch
                    .constants
                    .iter()
                    .map(|(n, v)| (n.to_string(), *v))
                    .collect();
                let (fixed, _) =
                    naga::back::pipeline_constants::process_overrides(&module, &info, None, &constants)
                        .unwrap();
                module = fixed.into_owned();
                let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
                assert!(invocations <= 256, "{name}: {invocations} invocations");
                let memory: u32 = module
                    .global_variables
                    .iter()
                    .filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup)
                    .map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx()))
                    .sum();
                assert!(memory <= 16 << 10, "{name} at L {}: {memory} bytes", d.positions);
                assert!(fits(dispatch.grid, 16));
            }
        }
    }

    #[test]
    fn more_sources_than_a_kernel_binds_are_added_up_before() {
        let d = dims(97, 512, 512);
        for (sources, names) in [(4, vec!["qkv_rope"]), (8, vec!["add", "qkv_rope"])] {
            let all = dispatches(&calls(sources)[2], &d, 512);
            assert_eq!(all.iter().map(|d| d.kernel.name).collect::<Vec<_>>(), names);
        }
        let all = dispatches(&calls(8)[2], &d, 512);
        let read = |dispatch: &Dispatch| {
            let states = dispatch
                .operands
                .iter()
                .filter(|o| matches!(o, Of(Buffer::State(_))));
            states.count()
        };
        assert_eq!((read(&all[0]), read(&all[1])), (5, 3), "each source once");
    }
}
