use super::*;
use crate::config::{Level, State};

fn dims(positions: usize, hidden: usize, token_inner: usize) -> Dims {
    Dims {
        tokens: positions,
        prefix: 0,
        positions,
        hidden,
        vocab: 11,
        inner: 1536,
        token_inner,
        symbols: 0,
        mixer_inner: 12,
        box_shape: [3, 3],
        heads: 8,
        eps: 1e-5,
        rope_theta: Some(1e4),
    }
}

/// Returns one call of every kernel, with `sources` sources if it has sources.
fn calls(sources: usize) -> Vec<Call> {
    let (net, out) = (Level::L, Buffer::Mixed);
    let sources: Vec<Buffer> = (0..sources as u8)
        .map(|i| Buffer::State(State::LowLevel(i)))
        .collect();
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
            sources: vec![out],
            out: Buffer::Gated,
        },
        Call::UnitSums {
            input: Buffer::Messages,
            out: Buffer::UnitSums,
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

/// Lowers a call to each of its implementations.
fn every_implementation(
    call: &Call,
    d: &Dims,
    dtype: WeightDtype,
) -> Vec<(KernelImpl, Vec<Dispatch>)> {
    let shape = CallShape {
        call,
        dims: d,
        input_width: 1536,
        slots: 1,
    };
    let lowered = |i| (i, lower(&shape, i, dtype));
    shape.implementations().into_iter().map(lowered).collect()
}

/// Returns the module as a pipeline sees it, with its overrides replaced by the constants. Panics
/// unless the constants are exactly the shader's overrides.
fn resolve(dispatch: &Dispatch) -> naga::Module {
    let name = dispatch.kernel.name;
    let module = dispatch.kernel.parsed();
    // An override that is an expression of others has no name.
    let names = module.overrides.iter().filter_map(|(_, o)| o.name.clone());
    let mut declared: Vec<_> = names.collect();
    let mut given: Vec<_> = dispatch.constants.iter().map(|c| c.0.to_string()).collect();
    declared.sort();
    given.sort();
    assert_eq!(declared, given, "{name}");
    let flags = naga::valid::ValidationFlags::all();
    let mut validator =
        naga::valid::Validator::new(flags, naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32);
    let info = validator.validate(&module).unwrap();
    let constants = dispatch.constants.iter().map(|(n, v)| (n.to_string(), *v));
    let constants = constants.collect();
    let (fixed, _) =
        naga::back::pipeline_constants::process_overrides(&module, &info, None, &constants)
            .unwrap();
    fixed.into_owned()
}

/// Workgroup memory and invocations stay within WebGPU's default limits in every implementation. A
/// direct kernel has no workgroup memory.
#[test]
fn constants_are_the_overrides_and_keep_the_limits() {
    let sizes = [
        dims(1, 8, 1),
        dims(97, 512, 512),
        dims(916, 512, 2560),
        dims(1100, 2048, 4096),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (d, sources) in sizes.iter().flat_map(|d| [1, 4, 5, 8].map(|n| (d, n))) {
        let dtype = WeightDtype::ALL[sources % 4];
        let all = calls(sources);
        for (implementation, dispatch) in all
            .iter()
            .flat_map(|call| every_implementation(call, d, dtype))
            .flat_map(|(v, all)| all.into_iter().map(move |dispatch| (v, dispatch)))
        {
            let name = dispatch.kernel.name;
            seen.insert(name);
            let module = resolve(&dispatch);
            let size = module.entry_points[0].workgroup_size;
            assert!(
                size.iter().product::<u32>() <= 256 && size[1] <= 8,
                "{name}: {size:?}"
            );
            let memory: u32 = module
                .global_variables
                .iter()
                .filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup)
                .map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx()))
                .sum();
            assert!(
                memory <= 16 << 10,
                "{name} at L {}: {memory} bytes",
                d.positions
            );
            assert!(
                implementation != KernelImpl::Direct || memory == 0,
                "{name}"
            );
            assert!(fits_dispatch_limits(dispatch.grid, 16));
        }
    }
    let gather = gather(300, 9);
    resolve(&gather);
    seen.insert(gather.kernel.name);
    let files: std::collections::BTreeSet<_> = super::super::pipelines::ALL
        .iter()
        .map(|k| k.name)
        .collect();
    assert_eq!(seen, files, "every kernel is dispatched");
}

#[test]
fn more_sources_than_a_kernel_binds_are_summed_first() {
    let d = dims(97, 512, 512);
    let names = |sources, implementation| -> Vec<&str> {
        let all = every_implementation(&calls(sources)[2], &d, WeightDtype::F32);
        let (_, dispatches) = all.into_iter().find(|(v, _)| *v == implementation).unwrap();
        dispatches.iter().map(|d| d.kernel.name).collect()
    };
    assert_eq!(names(4, KernelImpl::Tiled), ["qkv_rope"]);
    assert_eq!(names(8, KernelImpl::Tiled), ["add", "qkv_rope"]);
    assert_eq!(names(1, KernelImpl::Direct), ["qkv_rope_direct"]);
    assert_eq!(names(3, KernelImpl::Direct), ["add", "qkv_rope_direct"]);
    assert_eq!(
        names(8, KernelImpl::Direct),
        ["add", "add", "qkv_rope_direct"]
    );
    for (implementation, dispatches) in every_implementation(&calls(8)[2], &d, WeightDtype::F32) {
        let read = dispatches.iter().flat_map(|dispatch| {
            // A binding that is not read repeats the first source.
            let sources = dispatch
                .constants
                .iter()
                .find(|c| c.0 == "SOURCES")
                .map_or(1, |c| c.1 as usize);
            let is_source =
                |o: &&Operand| matches!(o, PlanBuffer(Buffer::State(_)) | Operand::Scratch(..));
            dispatch.operands.iter().filter(is_source).take(sources)
        });
        let states: Vec<_> = read.filter(|o| matches!(o, PlanBuffer(_))).collect();
        assert_eq!(states.len(), 8, "{implementation:?}: each source once");
    }
}

/// No dispatch reads what it writes. A scratch buffer is read only after an earlier dispatch of the
/// call has written it.
#[test]
fn scratch_is_written_before_it_is_read() {
    let d = dims(97, 512, 512);
    for (implementation, dispatches) in [1, 3, 8].iter().flat_map(|&n| {
        let all = calls(n);
        all.iter()
            .flat_map(|call| every_implementation(call, &d, WeightDtype::Int8))
            .collect::<Vec<_>>()
    }) {
        let mut written: Vec<Operand> = Vec::new();
        for dispatch in &dispatches {
            let (read, out) = dispatch.operands.split_at(dispatch.kernel.read_count());
            for operand in read {
                assert!(
                    !out.contains(operand),
                    "{implementation:?} {}",
                    dispatch.kernel.name
                );
                assert!(
                    !matches!(operand, Operand::Scratch(..)) || written.contains(operand),
                    "{implementation:?}"
                );
            }
            written.extend(out);
        }
        assert!(matches!(
            written.last(),
            Some(PlanBuffer(_) | Operand::SlotStatuses)
        ));
    }
}

#[test]
fn tiled_kernels_take_three_dispatches_for_an_mlp_block_and_five_for_an_attention_block() {
    let d = dims(97, 512, 512);
    let count = |calls_of_block: &[usize]| -> usize {
        let all = calls(3);
        calls_of_block
            .iter()
            .map(|&i| {
                every_implementation(&all[i], &d, WeightDtype::F32)[0]
                    .1
                    .len()
            })
            .sum()
    };
    assert_eq!(count(&[1, 4, 5]), 3);
    assert_eq!(count(&[2, 3, 5, 4, 5]), 5);
}
