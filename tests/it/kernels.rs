//! Every kernel on every backend against the oracle, at sizes below, at and above the tiles.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use trm_runtime::low_level::backend::cpu::Cpu;
use trm_runtime::low_level::backend::lockstep::compare;
use trm_runtime::low_level::backend::reference::Reference;
use trm_runtime::low_level::backend::{Backend, DeviceWeights, Program, SlotInput};
use trm_runtime::low_level::config::{Level, State};
use trm_runtime::low_level::dtype::WeightDtype;
use trm_runtime::low_level::plan::{Buffer, Call, Dims, Plan};
use trm_runtime::low_level::weights::{Weight, Weights};

use crate::backends::{backends, gpu_backends};
use crate::long::long;
use crate::noise::Noise;
use crate::plans::{Z_H, Z_L, dims, symbol_dims, tensors, with_rope};

const TOLERANCE: f32 = 2e-5;

/// A plan that calls every kernel, with every number of sources, learned positions and rotation.
fn plan(d: Dims) -> Plan {
    let low: Vec<Buffer> = (0..6).map(|i| Buffer::State(State::LowLevel(i))).collect();
    let all = [&low[..], &[Z_H, Buffer::Input]].concat();
    let (net, i) = (Level::L, 0);
    let mix = |sources: &[Buffer], out| Call::TokenMix {
        gate_up: Weight::TokenGateUp(net, i),
        down: Weight::TokenDown(net, i),
        sources: sources.to_vec(),
        out,
    };
    let project = |weight, input, residuals: &[Buffer], out| Call::ProjectAddNorm {
        weight,
        input,
        residuals: residuals.to_vec(),
        out,
    };
    let calls = vec![
        Call::Embed {
            embedding: Weight::EmbedTokens,
            positions: Some(Weight::EmbedPos),
        },
        mix(&[Z_L], Buffer::Block),
        mix(&all, Buffer::Mixed),
        Call::QkvRope {
            qkv: Weight::Qkv(net, i),
            sources: all.clone(),
            out: Buffer::Qkv,
        },
        Call::Attention {
            qkv: Buffer::Qkv,
            out: Buffer::Attended,
        },
        project(
            Weight::OProj(net, i),
            Buffer::Attended,
            &[Z_L, Z_H, Buffer::Input],
            Buffer::Mixed,
        ),
        Call::QkvRope {
            qkv: Weight::Qkv(net, i),
            sources: vec![Z_L, Z_H],
            out: Buffer::Qkv,
        },
        Call::Attention {
            qkv: Buffer::Qkv,
            out: Buffer::Attended,
        },
        project(Weight::OProj(net, i), Buffer::Attended, &all, Buffer::Block),
        Call::Swiglu {
            gate_up: Weight::GateUp(net, i),
            sources: vec![Buffer::Mixed],
            out: Buffer::Gated,
        },
        project(Weight::Down(net, i), Buffer::Gated, &[Buffer::Mixed], Z_H),
        Call::Embed {
            embedding: Weight::EmbedTokens,
            positions: None,
        },
        Call::Halt {
            weight: Weight::QHead,
            bias: Weight::QHeadBias,
            state: Z_H,
        },
        Call::Decode {
            weight: Weight::LmHead,
            state: Z_H,
        },
    ];
    Plan {
        dims: d,
        embed_calls: 1,
        calls,
    }
}

/// A plan that calls every kernel of a model with a symbol axis.
fn symbol_plan(d: Dims) -> Plan {
    let (net, i) = (Level::L, 0);
    let sources = vec![Z_L, Z_H, Buffer::Input];
    let calls = vec![
        Call::Embed {
            embedding: Weight::EmbedTokens,
            positions: None,
        },
        Call::Swiglu {
            gate_up: Weight::UnitGateUp(net, i),
            sources: sources.clone(),
            out: Buffer::Messages,
        },
        Call::UnitSums {
            input: Buffer::Messages,
            out: Buffer::UnitSums,
        },
        Call::ProjectAddNorm {
            weight: Weight::UnitDown(net, i),
            input: Buffer::UnitSums,
            residuals: sources,
            out: Buffer::Mixed,
        },
        Call::Swiglu {
            gate_up: Weight::GateUp(net, i),
            sources: vec![Buffer::Mixed],
            out: Buffer::Gated,
        },
        Call::ProjectAddNorm {
            weight: Weight::Down(net, i),
            input: Buffer::Gated,
            residuals: vec![Buffer::Mixed],
            out: Z_H,
        },
        Call::Halt {
            weight: Weight::QHead,
            bias: Weight::QHeadBias,
            state: Z_H,
        },
        Call::Decode {
            weight: Weight::LmHead,
            state: Z_H,
        },
    ];
    Plan {
        dims: d,
        embed_calls: 1,
        calls,
    }
}

fn weights(d: &Dims, noise: &mut Noise) -> Weights {
    Weights::from_tensors(tensors(d, noise))
}

fn cases(d: &Dims, slots: usize, noise: &mut Noise) -> Vec<SlotInput> {
    let states = [State::H, State::L]
        .into_iter()
        .chain((0..6).map(State::LowLevel));
    let mut states: Vec<Buffer> = states.map(Buffer::State).collect();
    if d.symbols > 0 {
        states.truncate(2);
    }
    crate::plans::cases(d, &states, slots, noise)
}

/// Positions around the row tile (48), hidden sizes around the channel tile (32) and the vector
/// widths, and odd sizes.
fn sizes() -> Vec<Dims> {
    vec![
        dims([0, 1, 2, 1, 1, 1, 1]),
        dims([1, 1, 4, 2, 3, 2, 2]),
        dims([0, 7, 6, 1, 5, 9, 3]),
        dims([2, 29, 30, 3, 17, 31, 6]),
        dims([0, 32, 32, 4, 32, 32, 6]),
        dims([1, 46, 34, 1, 33, 16, 11]),
        dims([0, 48, 64, 2, 64, 48, 7]),
        dims([16, 33, 36, 3, 40, 50, 12]),
        dims([1, 96, 96, 3, 256, 64, 6]),
        dims([16, 81, 66, 1, 100, 130, 11]),
        dims([3, 142, 40, 2, 24, 24, 6]),
        // Heads of 40 and of 64.
        dims([2, 50, 80, 2, 64, 32, 11]),
        dims([1, 64, 128, 2, 96, 64, 11]),
    ]
}

/// The [`sizes`] that run on a GPU without [`long`].
const ON_GPU: [usize; 5] = [0, 3, 7, 9, 12];

fn expect_none(failed: &[String]) {
    assert!(
        failed.is_empty(),
        "{} differ:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[test]
fn every_kernel_agrees_on_every_backend_at_every_size() {
    let rotated = sizes().into_iter().filter(|d| d.head_dim() % 2 == 0);
    let all: Vec<Dims> = sizes().into_iter().chain(rotated.map(with_rope)).collect();
    let mut failed = Vec::new();
    for (seed, d) in all.into_iter().enumerate() {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15 + seed as u64);
        let plan = Arc::new(plan(d));
        let weights = weights(&d, &mut noise);
        let on_gpu = long() || ON_GPU.contains(&(seed % sizes().len()));
        let backends = backends(&weights, on_gpu);
        for slots in [1, 3, 16] {
            let cases = cases(&d, slots, &mut noise);
            for (name, loaded) in &backends[1..] {
                let difference =
                    compare(&*backends[0].1, &**loaded, &plan, &cases, TOLERANCE).unwrap();
                failed.extend(
                    difference.map(|found| format!("{name}, {slots} slots, {d:?}: {found}")),
                );
            }
        }
    }
    expect_none(&failed);
}

/// Sudokus of 2 to 9 digits with boxes of every form, and odd widths.
fn symbol_sizes() -> [Dims; 6] {
    [
        symbol_dims([1, 1, 1, 1, 1, 6]),
        symbol_dims([2, 1, 2, 6, 5, 12]),
        symbol_dims([4, 2, 2, 9, 17, 6]),
        symbol_dims([6, 2, 3, 16, 24, 24]),
        symbol_dims([6, 3, 2, 33, 20, 30]),
        symbol_dims([9, 3, 3, 64, 128, 144]),
    ]
}

#[test]
fn every_kernel_of_the_symbol_axis_agrees_on_every_backend() {
    let mut failed = Vec::new();
    for (seed, d) in symbol_sizes().into_iter().enumerate() {
        let mut noise = Noise(0x5b_0715 + seed as u64);
        let plan = Arc::new(symbol_plan(d));
        let weights = weights(&d, &mut noise);
        let backends = backends(&weights, true);
        for slots in [1, 3] {
            let cases = cases(&d, slots, &mut noise);
            for (name, loaded) in &backends[1..] {
                let difference =
                    compare(&*backends[0].1, &**loaded, &plan, &cases, TOLERANCE).unwrap();
                failed.extend(
                    difference.map(|found| format!("{name}, {slots} slots, {d:?}: {found}")),
                );
            }
        }
    }
    expect_none(&failed);
}

/// More positions, or more inner units, than the workgroup memory of `token_mix` holds.
#[test]
fn sizes_beyond_the_memory_of_a_workgroup_agree() {
    let mut failed = Vec::new();
    for (seed, d) in [
        dims([0, 920, 4, 1, 3, 8, 2]),
        dims([1, 32, 6, 1, 5, 2100, 3]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut noise = Noise(0xb19 + seed as u64);
        let plan = Arc::new(plan(d));
        let weights = weights(&d, &mut noise);
        let cases = cases(&d, 2, &mut noise);
        for format in [WeightDtype::F32, WeightDtype::Int8] {
            let rounded = Reference.load(weights.clone().rounded(format)).unwrap();
            for (name, backend) in gpu_backends(format).into_iter().take(2) {
                let loaded = backend.load(weights.clone()).unwrap();
                let difference = compare(&*rounded, &*loaded, &plan, &cases, TOLERANCE).unwrap();
                failed.extend(difference.map(|found| format!("{name}, {format}, {d:?}: {found}")));
            }
        }
    }
    expect_none(&failed);
}

/// The dtypes that round, each with sizes: odd ones, and with [`long`] heads of 32, 40 and 64.
fn formats() -> Vec<(WeightDtype, Dims)> {
    let odd = dims([2, 29, 30, 3, 17, 31, 6]);
    let heads_of_40 = with_rope(dims([2, 50, 80, 2, 64, 32, 11]));
    let heads_of_64 = with_rope(dims([1, 64, 128, 2, 96, 64, 11]));
    let all = [
        dims([0, 7, 6, 1, 5, 9, 3]),
        odd,
        with_rope(dims([1, 96, 96, 3, 256, 64, 6])),
        heads_of_40,
        heads_of_64,
    ];
    if !long() {
        return vec![
            (WeightDtype::F16, odd),
            (WeightDtype::Bf16, odd),
            (WeightDtype::Int8, odd),
        ];
    }
    let f16 = [odd, heads_of_40, heads_of_64].map(|d| (WeightDtype::F16, d));
    let bf16 = [odd, heads_of_40].map(|d| (WeightDtype::Bf16, d));
    let int8 = all.map(|d| (WeightDtype::Int8, d));
    f16.into_iter().chain(bf16).chain(int8).collect()
}

/// The reference gets the rounded weights, so that the tolerance is that of f32.
#[test]
fn every_weight_format_agrees_with_what_it_stands_for() {
    let mut failed = Vec::new();
    for (seed, (format, d)) in formats().into_iter().enumerate() {
        let mut noise = Noise(0x51_7cc1 + seed as u64);
        let plan = Arc::new(plan(d));
        let weights = weights(&d, &mut noise);
        let rounded = Reference.load(weights.clone().rounded(format)).unwrap();
        for (name, backend) in gpu_backends(format) {
            let loaded = backend.load(weights.clone()).unwrap();
            for slots in [1, 3, 16] {
                let cases = cases(&d, slots, &mut noise);
                let difference = compare(&*rounded, &*loaded, &plan, &cases, TOLERANCE).unwrap();
                failed.extend(difference.map(|found| format!("{name}, {format}, {d:?}: {found}")));
            }
        }
    }
    expect_none(&failed);
}

/// A planted bug: one element of a matrix is doubled. The comparison must name the kernel that
/// reads it. Compared with weights that are not rounded, the first kernel must be named.
#[test]
fn lockstep_names_the_kernel_that_reads_a_wrong_weight() {
    let d = dims([2, 29, 32, 2, 17, 31, 6]);
    let mut noise = Noise(21);
    let plan = Arc::new(plan(d));
    let weights = weights(&d, &mut noise);
    let cases = cases(&d, 2, &mut noise);
    let few = [WeightDtype::F32, WeightDtype::Int8];
    for &format in if long() { &WeightDtype::ALL[..] } else { &few } {
        let exact = Reference.load(weights.clone()).unwrap();
        let rounded = Reference.load(weights.clone().rounded(format)).unwrap();
        for (name, backend) in gpu_backends(format) {
            if format != WeightDtype::F32 {
                let loaded = backend.load(weights.clone()).unwrap();
                let found = compare(&*exact, &*loaded, &plan, &cases, TOLERANCE).unwrap();
                let found =
                    found.unwrap_or_else(|| panic!("{name}, {format}: rounding went unseen"));
                assert_eq!(found.kernel, "token_mix", "{name}, {format}");
            }
            let block = (Level::L, 0);
            for planted in [
                Weight::Qkv,
                Weight::OProj,
                Weight::TokenGateUp,
                Weight::TokenDown,
                Weight::GateUp,
                Weight::Down,
            ]
            .map(|make: fn(Level, usize) -> Weight| make(block.0, block.1))
            {
                let mut tensors: HashMap<_, _> = weights.clone().into_tensors().collect();
                // The largest element, so that no scale of int8 hides it.
                let data = &mut tensors.get_mut(&planted).unwrap().data;
                let largest = data.iter_mut().max_by(|a, b| a.abs().total_cmp(&b.abs()));
                *largest.unwrap() *= 2.0;
                let loaded = backend.load(Weights::from_tensors(tensors)).unwrap();
                let reads = |call: &Call| call.weights().contains(&planted);
                let call = plan.calls.iter().position(reads).unwrap();
                let found = compare(&*rounded, &*loaded, &plan, &cases, TOLERANCE).unwrap();
                assert_eq!(
                    found.map(|f| f.call),
                    Some(call),
                    "{name}, {format}, {planted:?}"
                );
            }
        }
    }
}

/// A backend with a planted bug: one element that one call writes is wrong.
#[derive(Debug)]
struct Planted {
    inner: Arc<dyn DeviceWeights>,
    call: usize,
    buffer: Buffer,
}

#[derive(Debug)]
struct PlantedProgram {
    inner: Box<dyn Program>,
    call: usize,
    buffer: Buffer,
}

impl DeviceWeights for Planted {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> trm_runtime::Result<Box<dyn Program>> {
        Ok(Box::new(PlantedProgram {
            inner: self.inner.program(plan, slots)?,
            call: self.call,
            buffer: self.buffer,
        }))
    }
}

impl Program for PlantedProgram {
    fn plan(&self) -> &Plan {
        self.inner.plan()
    }
    fn run(&mut self, calls: Range<usize>, live: &[usize]) -> trm_runtime::Result<()> {
        self.inner.run(calls.clone(), live)?;
        let (buffer, slot) = (self.buffer, *live.last().unwrap());
        if calls.contains(&self.call) && buffer.is_integer() {
            let mut values = vec![0; buffer.len(&self.plan().dims)];
            self.inner.read_integers(buffer, slot, &mut values)?;
            *values.last_mut().unwrap() ^= 1;
            self.inner.write_integers(buffer, slot, &values)?;
        } else if calls.contains(&self.call) {
            let mut values = vec![0.0; buffer.len(&self.plan().dims)];
            self.inner.read(buffer, slot, &mut values)?;
            *values.last_mut().unwrap() += 2e-3;
            self.inner.write(buffer, slot, &values)?;
        }
        Ok(())
    }
    fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> trm_runtime::Result<()> {
        self.inner.write(buffer, slot, values)
    }
    fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> trm_runtime::Result<()> {
        self.inner.read(buffer, slot, values)
    }
    fn write_integers(
        &mut self,
        buffer: Buffer,
        slot: usize,
        values: &[u32],
    ) -> trm_runtime::Result<()> {
        self.inner.write_integers(buffer, slot, values)
    }
    fn read_integers(
        &self,
        buffer: Buffer,
        slot: usize,
        values: &mut [u32],
    ) -> trm_runtime::Result<()> {
        self.inner.read_integers(buffer, slot, values)
    }
}

#[test]
fn lockstep_names_the_kernel_with_a_planted_bug() {
    let d = dims([2, 29, 32, 2, 17, 31, 6]);
    names_planted_bugs(plan(d));
    names_planted_bugs(symbol_plan(symbol_dims([4, 2, 2, 32, 17, 12])));
}

fn names_planted_bugs(plan: Plan) {
    let mut noise = Noise(7);
    let d = plan.dims;
    let plan = Arc::new(plan);
    let weights = weights(&d, &mut noise);
    let cases = cases(&d, 3, &mut noise);
    let backends = backends(&weights, true);
    for (name, inner) in &backends[1..] {
        let writes = plan.calls.iter().map(|call| (call.kernel(), call.writes()));
        let planted = writes
            .enumerate()
            .flat_map(|(call, (kernel, all))| all.into_iter().map(move |b| (call, kernel, b)));
        for (call, kernel, buffer) in planted {
            let planted = Planted {
                inner: inner.clone(),
                call,
                buffer,
            };
            let found = compare(&*backends[0].1, &planted, &plan, &cases, TOLERANCE)
                .unwrap()
                .expect("unseen");
            assert_eq!(
                (found.call, found.kernel, found.buffer, found.slot),
                (call, kernel, buffer, 2),
                "{name}"
            );
        }
    }
}

/// The results of a slot depend neither on the batch nor on the number of threads, bit for bit.
#[test]
fn a_slot_gets_the_same_bits_alone_and_in_a_batch() {
    let d = dims([2, 81, 64, 2, 96, 40, 11]);
    let mut noise = Noise(99);
    let plan = Arc::new(plan(d));
    let weights = weights(&d, &mut noise);
    let cases = cases(&d, 5, &mut noise);
    let run = |loaded: &dyn DeviceWeights, chosen: &[usize], slots: usize| {
        let mut program = loaded.program(plan.clone(), slots).unwrap();
        for (slot, &case) in chosen.iter().enumerate() {
            program
                .write_integers(Buffer::Tokens, slot, &cases[case].tokens)
                .unwrap();
            program
                .write(Buffer::Prefix, slot, &cases[case].prefix)
                .unwrap();
            for (state, values) in &cases[case].states {
                program.write(*state, slot, values).unwrap();
            }
        }
        let live: Vec<usize> = (0..chosen.len()).collect();
        program.run(0..plan.calls.len(), &live).unwrap();
        chosen
            .iter()
            .enumerate()
            .map(|(slot, &case)| {
                let mut logits = vec![0.0; d.tokens * d.vocab];
                program.read(Buffer::Logits, slot, &mut logits).unwrap();
                (
                    case,
                    logits.into_iter().map(f32::to_bits).collect::<Vec<_>>(),
                )
            })
            .collect::<HashMap<_, _>>()
    };
    let cpu = |threads| {
        Cpu::new(Some(threads))
            .unwrap()
            .load(weights.clone())
            .unwrap()
    };
    let gpu = backends(&weights, true)
        .into_iter()
        .filter(|(name, _)| name.starts_with("gpu"));
    let gpu = gpu.map(|(name, loaded)| (name, [(); 4].map(|()| loaded.clone())));
    for (name, devices) in gpu.chain([("cpu", [1, 2, 3, 5].map(cpu))]) {
        let alone: HashMap<_, _> = (0..5)
            .flat_map(|case| run(&*devices[0], &[case], 1))
            .collect();
        let batches = [
            (vec![0, 1, 2, 3, 4], 5),
            (vec![4, 2, 0], 4),
            (vec![3, 1], 7),
            (vec![2], 2),
        ];
        for (loaded, (chosen, slots)) in devices.iter().zip(batches) {
            for (case, bits) in run(&**loaded, &chosen, slots) {
                assert_eq!(bits, alone[&case], "case {case} on {name} among {chosen:?}");
            }
        }
        assert_ne!(
            alone[&0], alone[&1],
            "different puzzles give different bits"
        );
    }
}
