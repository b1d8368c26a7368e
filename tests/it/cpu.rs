//! The kernels of the CPU with every instruction set of this machine, against the reference, at
//! sizes below, at and above the tiles. And the thread pool.

use std::sync::Arc;

use trm_runtime::low_level::backend::cpu::{Cpu, InstructionSet, physical_cores};
use trm_runtime::low_level::backend::lockstep::compare;
use trm_runtime::low_level::backend::reference::Reference;
use trm_runtime::low_level::backend::{Backend, DeviceWeights, SlotInput};
use trm_runtime::low_level::config::Level;
use trm_runtime::low_level::dtype::WeightDtype;
use trm_runtime::low_level::plan::{Buffer, Call, Dims, Plan};
use trm_runtime::low_level::weights::{Weight, Weights};

use crate::noise::Noise;
use crate::plans::{Z_H, Z_L, tensors, with_rope};

const TOLERANCE: f32 = 1e-5;

/// The sizes `[P, S, D, heads, I, T, V]`, with rotary positions if the width of a head is even.
fn dims(sizes: [usize; 7]) -> Dims {
    let d = crate::plans::dims(sizes);
    if d.head_dim().is_multiple_of(2) {
        with_rope(d)
    } else {
        d
    }
}

/// Rows around tiles of 4, 6, 12 and 14. Columns around tiles of 8, 16 and 32 and their halves.
/// Keys around blocks of 48, 72, 144 and 168. Heads of 1 to 64 columns.
fn sizes() -> Vec<Dims> {
    let all = [
        [0, 1, 1, 1, 1, 1, 1],
        [1, 2, 4, 2, 3, 2, 2],
        [0, 4, 8, 1, 4, 2, 3],
        [0, 5, 9, 3, 7, 3, 9],
        [1, 5, 16, 2, 8, 6, 16],
        [2, 5, 18, 1, 9, 7, 17],
        [0, 12, 32, 4, 16, 12, 32],
        [1, 13, 64, 1, 17, 14, 33],
        [2, 13, 66, 3, 48, 15, 6],
        [0, 29, 80, 2, 33, 28, 11],
        [1, 47, 96, 3, 40, 29, 11],
        [3, 70, 40, 4, 100, 65, 6],
        [2, 143, 128, 2, 24, 40, 6],
        [0, 168, 20, 2, 24, 24, 6],
        [16, 154, 34, 1, 65, 130, 11],
    ];
    all.map(dims).to_vec()
}

/// A plan that calls every kernel, with 1, 2, 3, 4 and 5 sources.
fn plan(d: Dims) -> Plan {
    let (net, i) = (Level::L, 0);
    let many = [Z_L, Z_H, Buffer::Input, Buffer::Mixed, Buffer::Attended];
    let mix = |sources: &[Buffer], out| Call::TokenMix {
        gate_up: Weight::TokenGateUp(net, i),
        down: Weight::TokenDown(net, i),
        sources: sources.to_vec(),
        out,
    };
    let qkv = |sources: &[Buffer]| Call::QkvRope {
        qkv: Weight::Qkv(net, i),
        sources: sources.to_vec(),
        out: Buffer::Qkv,
    };
    let project = |weight, input, residuals: &[Buffer], out| Call::ProjectAddNorm {
        weight,
        input,
        residuals: residuals.to_vec(),
        out,
    };
    let attention = Call::Attention {
        qkv: Buffer::Qkv,
        out: Buffer::Attended,
    };
    let calls = vec![
        Call::Embed {
            embedding: Weight::EmbedTokens,
            positions: Some(Weight::EmbedPos),
        },
        mix(&many[..2], Buffer::Mixed),
        qkv(&many[..1]),
        attention.clone(),
        project(
            Weight::OProj(net, i),
            Buffer::Attended,
            &many[..3],
            Buffer::Block,
        ),
        mix(&many, Buffer::Block),
        qkv(&many[..4]),
        attention,
        project(
            Weight::OProj(net, i),
            Buffer::Attended,
            &[Z_L, Z_H, Buffer::Input, Buffer::Block],
            Buffer::Mixed,
        ),
        Call::Swiglu {
            gate_up: Weight::GateUp(net, i),
            sources: vec![Buffer::Mixed],
            out: Buffer::Gated,
        },
        project(Weight::Down(net, i), Buffer::Gated, &[Buffer::Mixed], Z_H),
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

fn cases(d: &Dims, slots: usize, noise: &mut Noise) -> Vec<SlotInput> {
    crate::plans::cases(d, &[Z_H, Z_L], slots, noise)
}

/// Returns the instruction sets that this machine has, and reports those that it lacks.
fn instructions() -> Vec<InstructionSet> {
    let (here, lacking): (Vec<_>, Vec<_>) =
        InstructionSet::ALL.into_iter().partition(|i| i.available());
    for i in lacking {
        eprintln!("skipped: this machine has no {}", i.name());
    }
    here
}

#[test]
fn every_instruction_set_agrees_with_the_reference_at_every_size() {
    let mut failed = Vec::new();
    for (seed, d) in sizes().into_iter().enumerate() {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15 + seed as u64);
        let plan = Arc::new(plan(d));
        let weights = Weights::from_tensors(tensors(&d, &mut noise));
        let reference = Reference.load(weights.clone()).unwrap();
        let batches = [1, 3, 16].map(|slots| cases(&d, slots, &mut noise));
        for i in instructions() {
            let cpu = Cpu::with(Some(2), i)
                .unwrap()
                .load(weights.clone())
                .unwrap();
            for cases in &batches {
                let difference = compare(&*reference, &*cpu, &plan, cases, TOLERANCE).unwrap();
                failed.extend(difference.map(|found| format!("{}, {d:?}: {found}", i.name())));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} differ:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// A planted bug: one weight of each kernel is changed a little, in its last row, where the tiles
/// end.
#[test]
fn a_planted_bug_in_any_kernel_is_seen() {
    let d = dims([2, 29, 80, 2, 33, 29, 11]);
    let mut noise = Noise(3);
    let plan = Arc::new(plan(d));
    let right = tensors(&d, &mut noise);
    let reference = Reference
        .load(Weights::from_tensors(right.clone()))
        .unwrap();
    let cases = cases(&d, 3, &mut noise);
    for i in instructions() {
        for weight in right.keys() {
            let mut wrong = right.clone();
            // Tokens choose their rows. Of all other weights the last row matters.
            for x in &mut wrong
                .get_mut(weight)
                .unwrap()
                .data
                .iter_mut()
                .rev()
                .take(d.positions)
            {
                *x += 0.01;
            }
            let wrong = Weights::from_tensors(wrong);
            let wrong = Cpu::with(Some(2), i).unwrap().load(wrong).unwrap();
            let seen = compare(&*reference, &*wrong, &plan, &cases, TOLERANCE).unwrap();
            let uses = |call: usize| plan.calls[call].weights().contains(weight);
            assert!(
                seen.as_ref().is_some_and(|s| uses(s.call)),
                "{}, {weight:?}: {seen:?}",
                i.name()
            );
        }
        // Attention has no weights, so its bug is another number of heads.
        let heads = Arc::new(Plan {
            dims: Dims { heads: 4, ..d },
            ..(*plan).clone()
        });
        let cpu = Cpu::with(Some(2), i)
            .unwrap()
            .load(Weights::from_tensors(right.clone()));
        let (mut a, mut b) = (
            reference.program(plan.clone(), 1).unwrap(),
            cpu.unwrap().program(heads, 1).unwrap(),
        );
        let mut results = [
            vec![0.0; d.positions * d.hidden],
            vec![0.0; d.positions * d.hidden],
        ];
        let qkv = noise.values(d.positions * 3 * d.hidden);
        for (program, result) in [&mut a, &mut b].into_iter().zip(&mut results) {
            program.write(Buffer::Qkv, 0, &qkv).unwrap();
            program.run(3..4, &[0]).unwrap();
            program.read(Buffer::Attended, 0, result).unwrap();
        }
        let differs = results[0]
            .iter()
            .zip(&results[1])
            .any(|(a, b)| (a - b).abs() > 1e-3);
        assert!(differs, "{}", i.name());
    }
}

/// In int8 and bf16 every kernel stays near the reference, with each instruction set. A wrong row
/// of any matrix is seen.
#[test]
fn rounded_products_stay_near_the_reference() {
    for (format, near) in [(WeightDtype::Int8, 0.05), (WeightDtype::Bf16, 0.02)] {
        stays_near_the_reference(format, near);
    }
}

fn stays_near_the_reference(format: WeightDtype, near: f32) {
    let large = |d: &Dims| d.positions > 12 && d.hidden >= 32;
    for (seed, d) in sizes().into_iter().filter(large).enumerate() {
        let mut noise = Noise(0x1234_5678_9abc + seed as u64);
        let plan = Arc::new(plan(d));
        let right = tensors(&d, &mut noise);
        let reference = Reference
            .load(Weights::from_tensors(right.clone()))
            .unwrap();
        let cases = cases(&d, 3, &mut noise);
        for i in instructions() {
            let cpu = Cpu::with(Some(2), i).unwrap().with_dtype(format);
            let load = |tensors| cpu.load(Weights::from_tensors(tensors)).unwrap();
            let seen = compare(&*reference, &*load(right.clone()), &plan, &cases, near).unwrap();
            assert_eq!(seen, None, "{}, {d:?}", i.name());
            let tight = compare(&*reference, &*load(right.clone()), &plan, &cases, 1e-4).unwrap();
            assert!(tight.is_some(), "{}: this is no {format}", i.name());
            if seed > 0 {
                continue;
            }
            for (weight, tensor) in &right {
                let mut wrong = right.clone();
                let row = *tensor.shape.last().unwrap();
                let data = &mut wrong.get_mut(weight).unwrap().data;
                let start = data.len() - row;
                data[start..].iter_mut().for_each(|x| *x = 1.0 - *x);
                let seen = compare(&*reference, &*load(wrong), &plan, &cases, near).unwrap();
                let uses = |call: usize| plan.calls[call].weights().contains(weight);
                // No cell has the last token.
                let unused = *weight == Weight::EmbedTokens;
                assert!(
                    unused || seen.as_ref().is_some_and(|s| uses(s.call)),
                    "{}, {weight:?}: {seen:?}",
                    i.name()
                );
            }
        }
    }
}

/// Attention of an int8 model is more precise than 8 bits. Rounding queries and keys, or the shares
/// of the softmax, to 8 bits would be seen.
#[test]
fn attention_in_int8_is_more_precise_than_8_bits() {
    for d in [
        dims([2, 81, 64, 2, 96, 40, 11]),
        dims([1, 200, 40, 1, 50, 30, 6]),
    ] {
        let l = d.positions;
        let mut noise = Noise(77);
        let plan = Arc::new(plan(d));
        let weights = Weights::from_tensors(tensors(&d, &mut noise));
        let mut qkv = noise.values(l * 3 * d.hidden);
        // Most queries match their own key. The others match all keys alike.
        for (i, row) in qkv.chunks_exact_mut(3 * d.hidden).enumerate() {
            let (q, rest) = row.split_at_mut(d.hidden);
            let strength = if i % 3 == 0 { 0.0 } else { 6.0 };
            q.iter_mut()
                .zip(rest)
                .for_each(|(q, k)| *q = *k * strength + *q * 0.1);
        }
        let exact = attended(&d, &qkv, f64::MAX, f64::MAX);
        let wrong = [
            attended(&d, &qkv, 127.0, f64::MAX),
            attended(&d, &qkv, f64::MAX, 255.0),
        ];
        let formats =
            |i: InstructionSet| [Some(WeightDtype::Int8), i.bf16().map(|_| WeightDtype::Bf16)];
        let ways = instructions()
            .into_iter()
            .flat_map(|i| formats(i).map(|format| (i, format)));
        for (i, format) in ways {
            let Some(format) = format else { continue };
            let cpu = Cpu::with(Some(2), i).unwrap().with_dtype(format);
            let loaded = cpu.load(weights.clone()).unwrap();
            let mut program = loaded.program(plan.clone(), 1).unwrap();
            program.write(Buffer::Qkv, 0, &qkv).unwrap();
            program.run(3..4, &[0]).unwrap();
            let mut got = vec![0.0; l * d.hidden];
            program.read(Buffer::Attended, 0, &mut got).unwrap();
            let far = |from: &[f64]| {
                let each = got.iter().zip(from).map(|(a, b)| (*a as f64 - b).abs());
                each.fold(0.0, f64::max)
            };
            assert!(far(&exact) < 1e-3, "{}: {}", i.name(), far(&exact));
            for wrong in &wrong {
                assert!(far(wrong) > 2e-3, "{}: {}", i.name(), far(wrong));
            }
        }
    }
}

/// Computes attention in f64. The largest element of a query or key is rounded to `most` units, and
/// the shares of the softmax to multiples of 1 / `parts`.
fn attended(d: &Dims, qkv: &[f32], most: f64, parts: f64) -> Vec<f64> {
    let width = d.head_dim();
    let rounded = |x: f64, unit: f64| {
        if unit > 1e-100 {
            (x / unit).round() * unit
        } else {
            x
        }
    };
    let row = |part: usize, head: usize, i: usize| -> Vec<f64> {
        let first = i * 3 * d.hidden + part * d.hidden + head * width;
        let row = &qkv[first..first + width];
        let unit = row.iter().fold(0.0f32, |a, x| a.max(x.abs())) as f64 / most;
        row.iter().map(|x| rounded(*x as f64, unit)).collect()
    };
    let mut out = vec![0.0; d.positions * d.hidden];
    for head in 0..d.heads {
        let all = |part| -> Vec<_> { (0..d.positions).map(|i| row(part, head, i)).collect() };
        let (queries, keys) = (all(0), all(1));
        for (i, query) in queries.iter().enumerate() {
            let dot = |key: &Vec<f64>| key.iter().zip(query).map(|(a, b)| a * b).sum::<f64>();
            let scores: Vec<f64> = keys
                .iter()
                .map(|k| dot(k) / (width as f64).sqrt())
                .collect();
            let largest = scores.iter().copied().fold(f64::MIN, f64::max);
            let shares: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let sum: f64 = shares.iter().sum();
            for channel in 0..width {
                let value =
                    |i: usize| qkv[i * 3 * d.hidden + 2 * d.hidden + head * width + channel] as f64;
                let weighed = shares
                    .iter()
                    .enumerate()
                    .map(|(i, s)| rounded(*s, 1.0 / parts) * value(i));
                out[i * d.hidden + head * width + channel] = weighed.sum::<f64>() / sum;
            }
        }
    }
    out
}

/// The logits of a plan are the same bits with any number of threads, alone and in a batch.
#[test]
fn neither_threads_nor_neighbours_change_a_bit() {
    for d in [
        dims([2, 81, 64, 2, 96, 40, 11]),
        dims([1, 200, 40, 1, 50, 30, 6]),
    ] {
        let mut noise = Noise(99);
        let plan = Arc::new(plan(d));
        let weights = Weights::from_tensors(tensors(&d, &mut noise));
        let cases = cases(&d, 16, &mut noise);
        for i in instructions() {
            let results = |format, threads, slots: &[usize]| {
                let cpu = Cpu::with(Some(threads), i).unwrap().with_dtype(format);
                let loaded = cpu.load(weights.clone()).unwrap();
                let mut program = loaded.program(plan.clone(), 16).unwrap();
                for &slot in slots {
                    cases[slot].write(&mut *program, slot).unwrap();
                }
                program.run(0..plan.calls.len(), slots).unwrap();
                let mut logits = vec![0.0; d.tokens * d.vocab];
                program.read(Buffer::Logits, slots[0], &mut logits).unwrap();
                logits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            for format in [WeightDtype::F32, WeightDtype::Int8, WeightDtype::Bf16] {
                let alone = results(format, 1, &[5]);
                assert_ne!(
                    alone,
                    results(format, 1, &[6]),
                    "different puzzles give different bits"
                );
                let all: Vec<usize> = (5..16).collect();
                for threads in [1, 2, 3, 7] {
                    for slots in [&all[..1], &all[..2], &all] {
                        let got = results(format, threads, slots);
                        let what = (i.name(), format, threads, slots.len());
                        assert_eq!(got, alone, "{what:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_thread_pool_has_one_thread_per_core_by_default() {
    assert!(physical_cores() >= 1);
    assert_eq!(
        Cpu::new(None).unwrap().threads(),
        physical_cores().min(1024)
    );
    assert_eq!(Cpu::new(Some(3)).unwrap().threads(), 3);
    for wrong in [0, 1025] {
        let error = Cpu::new(Some(wrong)).unwrap_err();
        assert_eq!(error.kind(), trm_runtime::ErrorKind::Argument);
    }
}

/// Programs that share a thread pool, and programs with their own, run in many threads at once. All
/// get the right results.
#[test]
fn callers_and_thread_pools_do_not_block_each_other() {
    let d = dims([1, 29, 32, 2, 33, 28, 11]);
    let mut noise = Noise(5);
    let plan = Arc::new(plan(d));
    let weights = Weights::from_tensors(tensors(&d, &mut noise));
    let cases = cases(&d, 1, &mut noise);
    let shared = Cpu::new(Some(3)).unwrap().load(weights.clone()).unwrap();
    let run = |loaded: &dyn DeviceWeights, times: usize| {
        let mut program = loaded.program(plan.clone(), 1).unwrap();
        let mut logits = vec![0.0; d.tokens * d.vocab];
        for _ in 0..times {
            cases[0].write(&mut *program, 0).unwrap();
            program.run(0..plan.calls.len(), &[0]).unwrap();
        }
        program.read(Buffer::Logits, 0, &mut logits).unwrap();
        logits
    };
    let expected = run(&*shared, 1);
    std::thread::scope(|scope| {
        for i in 0..6 {
            let (run, shared, expected, weights) = (&run, &shared, &expected, &weights);
            scope.spawn(move || {
                if i < 3 {
                    assert_eq!(&run(&**shared, 30), expected);
                } else {
                    let own = Cpu::new(Some(2)).unwrap().load(weights.clone()).unwrap();
                    assert_eq!(&run(&*own, 30), expected);
                }
            });
        }
    });
}
