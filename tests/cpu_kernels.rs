//! The CPU's loops for every instruction set that this machine has, against the oracle, at sizes below, at and above their tiles;
//! and its team of threads.

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::Noise;
use trm::backend::cpu::{Cpu, Instructions, physical_cores};
use trm::backend::lockstep::compare;
use trm::backend::reference::Reference;
use trm::backend::{Backend, Case, Loaded};
use trm::config::{Net, State};
use trm::plan::{Buffer, Call, Dims, Plan};
use trm::quantize::Format;
use trm::weights::{Tensor, Weight, Weights};

const Z_H: Buffer = Buffer::State(State::H);
const Z_L: Buffer = Buffer::State(State::L);
const TOLERANCE: f32 = 1e-5;

/// `[P, S, D, heads, I, T, V]`.
fn dims([prefix, tokens, hidden, heads, inner, token_inner, vocab]: [usize; 7]) -> Dims {
    Dims {
        tokens,
        prefix,
        positions: prefix + tokens,
        hidden,
        vocab,
        inner,
        token_inner,
        heads,
        eps: 1e-5,
        rope_theta: ((hidden / heads).is_multiple_of(2)).then_some(10_000.0),
    }
}

/// Rows around tiles of 4, 6, 12 and 14; columns around tiles of 8, 16 and 32 and their halves; keys around blocks of 48, 72, 144 and 168;
/// heads of 1 to 64 columns.
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

/// Every kernel, with 1, 2, 3 and 5 sources.
fn plan(d: Dims) -> Plan {
    let (net, i) = (Net::L, 0);
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
        project(Weight::OProj(net, i), Buffer::Attended, &many[..3], Buffer::Block),
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
            input: Buffer::Mixed,
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
        embedding: 1,
        calls,
    }
}

fn tensors(d: &Dims, noise: &mut Noise) -> HashMap<Weight, Tensor> {
    let (l, h, v, i, t) = (d.positions, d.hidden, d.vocab, d.inner, d.token_inner);
    let (net, block) = (Net::L, 0);
    let shapes = [
        (Weight::EmbedTokens, vec![v, h]),
        (Weight::EmbedPos, vec![l, h]),
        (Weight::LmHead, vec![v, h]),
        (Weight::QHead, vec![2, h]),
        (Weight::QHeadBias, vec![2]),
        (Weight::Qkv(net, block), vec![3 * h, h]),
        (Weight::OProj(net, block), vec![h, h]),
        (Weight::TokenGateUp(net, block), vec![2 * t, l]),
        (Weight::TokenDown(net, block), vec![l, t]),
        (Weight::GateUp(net, block), vec![2 * i, h]),
        (Weight::Down(net, block), vec![h, i]),
    ];
    let made = shapes.into_iter().map(|(weight, shape)| {
        let scale = 1.7 / (*shape.last().unwrap() as f32).sqrt();
        let data = noise.values(shape.iter().product());
        let data = data.into_iter().map(|v| v * scale).collect();
        (weight, Tensor { shape, data })
    });
    made.collect()
}

fn cases(d: &Dims, slots: usize, noise: &mut Noise) -> Vec<Case> {
    let mut case = || Case {
        tokens: (0..d.tokens).map(|_| noise.below(d.vocab) as u32).collect(),
        prefix: noise.values(d.prefix * d.hidden),
        states: [Z_H, Z_L]
            .map(|s| (s, noise.values(d.positions * d.hidden)))
            .to_vec(),
    };
    (0..slots).map(|_| case()).collect()
}

/// The instruction sets of this machine; says which it lacks.
fn instructions() -> Vec<Instructions> {
    let (here, lacking): (Vec<_>, Vec<_>) = Instructions::ALL.into_iter().partition(|i| i.available());
    for i in lacking {
        eprintln!("skipped: this machine has no {}", i.name());
    }
    here
}

#[test]
fn every_instruction_set_agrees_with_the_oracle_at_every_size() {
    for (seed, d) in sizes().into_iter().enumerate() {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15 + seed as u64);
        let plan = Arc::new(plan(d));
        let weights = Weights::from_tensors(tensors(&d, &mut noise));
        let reference = Reference.load(weights.clone()).unwrap();
        let batches = [1, 3, 16].map(|slots| cases(&d, slots, &mut noise));
        for i in instructions() {
            let cpu = Cpu::with(Some(2), i).unwrap().load(weights.clone()).unwrap();
            for cases in &batches {
                let difference = compare(&*reference, &*cpu, &plan, cases, TOLERANCE).unwrap();
                if let Some(difference) = difference {
                    panic!("{}, {d:?}: {difference}", i.name());
                }
            }
        }
    }
}

/// One weight of each kernel changed a little, in its last row, where the tiles end: each must be seen.
#[test]
fn a_planted_bug_in_any_kernel_is_seen() {
    let d = dims([2, 29, 80, 2, 33, 29, 11]);
    let mut noise = Noise(3);
    let plan = Arc::new(plan(d));
    let right = tensors(&d, &mut noise);
    let reference = Reference.load(Weights::from_tensors(right.clone())).unwrap();
    let cases = cases(&d, 3, &mut noise);
    for i in instructions() {
        for weight in right.keys() {
            let mut wrong = right.clone();
            // Tokens choose their rows; of all others the last row matters.
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
        // Attention has no weights: another width of a head.
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

/// In int8 and bf16 every kernel stays near the oracle, on each instruction set; a wrong row of any matrix is seen.
#[test]
fn rounded_products_stay_near_the_oracle() {
    for (format, near) in [(Format::Int8, 0.05), (Format::Bf16, 0.02)] {
        stays_near_the_oracle(format, near);
    }
}

fn stays_near_the_oracle(format: Format, near: f32) {
    let large = |d: &Dims| d.positions > 12 && d.hidden >= 32;
    for (seed, d) in sizes().into_iter().filter(large).enumerate() {
        let mut noise = Noise(0x1234_5678_9abc + seed as u64);
        let plan = Arc::new(plan(d));
        let right = tensors(&d, &mut noise);
        let reference = Reference.load(Weights::from_tensors(right.clone())).unwrap();
        let cases = cases(&d, 3, &mut noise);
        for i in instructions() {
            let cpu = Cpu::with(Some(2), i).unwrap().with_format(format);
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
                // No cell may have the last token.
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

/// Attention of a model in int8 is of more than bytes: what these would lose, and what many small shares of the softmax weigh, is there.
#[test]
fn attention_in_int8_is_of_more_than_bytes() {
    for d in [dims([2, 81, 64, 2, 96, 40, 11]), dims([1, 200, 40, 1, 50, 30, 6])] {
        let l = d.positions;
        let mut noise = Noise(77);
        let plan = Arc::new(plan(d));
        let weights = Weights::from_tensors(tensors(&d, &mut noise));
        let mut qkv = noise.values(l * 3 * d.hidden);
        // Most queries find their own key, the others no difference between keys.
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
        let formats = |i: Instructions| [Some(Format::Int8), i.bf16().map(|_| Format::Bf16)];
        let ways = instructions()
            .into_iter()
            .flat_map(|i| formats(i).map(|format| (i, format)));
        for (i, format) in ways {
            let Some(format) = format else { continue };
            let cpu = Cpu::with(Some(2), i).unwrap().with_format(format);
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

/// Attention in f64: of queries and keys whose largest numbers are rounded to `most`, and with shares of the softmax rounded to parts of `parts`.
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
            let scores: Vec<f64> = keys.iter().map(|k| dot(k) / (width as f64).sqrt()).collect();
            let largest = scores.iter().copied().fold(f64::MIN, f64::max);
            let shares: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let sum: f64 = shares.iter().sum();
            for channel in 0..width {
                let value = |i: usize| qkv[i * 3 * d.hidden + 2 * d.hidden + head * width + channel] as f64;
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

/// All of a plan's results, as bits: with any number of threads, alone and in company.
#[test]
fn neither_threads_nor_neighbours_change_a_bit() {
    for d in [dims([2, 81, 64, 2, 96, 40, 11]), dims([1, 200, 40, 1, 50, 30, 6])] {
        let mut noise = Noise(99);
        let plan = Arc::new(plan(d));
        let weights = Weights::from_tensors(tensors(&d, &mut noise));
        let cases = cases(&d, 16, &mut noise);
        for i in instructions() {
            let results = |format, threads, slots: &[usize]| {
                let cpu = Cpu::with(Some(threads), i).unwrap().with_format(format);
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
            for format in [Format::F32, Format::Int8, Format::Bf16] {
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
fn the_team_is_of_one_thread_a_core_unless_told_else() {
    assert!(physical_cores() >= 1);
    assert_eq!(Cpu::new(None).unwrap().threads(), physical_cores().min(1024));
    assert_eq!(Cpu::new(Some(3)).unwrap().threads(), 3);
    for wrong in [0, 1025] {
        let error = Cpu::new(Some(wrong)).unwrap_err();
        assert_eq!(error.kind(), trm::ErrorKind::Argument);
    }
}

/// Programs of one team and of several, used by many threads at once: all get on, with the right results.
#[test]
fn many_callers_and_many_teams_do_not_stop_each_other() {
    let d = dims([1, 29, 32, 2, 33, 28, 11]);
    let mut noise = Noise(5);
    let plan = Arc::new(plan(d));
    let weights = Weights::from_tensors(tensors(&d, &mut noise));
    let cases = cases(&d, 1, &mut noise);
    let shared = Cpu::new(Some(3)).unwrap().load(weights.clone()).unwrap();
    let run = |loaded: &dyn Loaded, times: usize| {
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

/// Processor time of this process so far, where the system tells.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(10 * ticks)
}

/// In a process of its own, for other tests take processor time.
#[test]
#[cfg(target_os = "linux")]
fn an_idle_team_takes_no_processor_time() {
    const CHILD: &str = "TRM_TEST_IDLE_TEAM";
    if std::env::var_os(CHILD).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "an_idle_team_takes_no_processor_time"])
            .env(CHILD, "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let d = dims([1, 29, 32, 2, 33, 28, 11]);
    let mut noise = Noise(5);
    let plan = Arc::new(plan(d));
    let loaded = Cpu::new(Some(4))
        .unwrap()
        .load(Weights::from_tensors(tensors(&d, &mut noise)))
        .unwrap();
    let mut program = loaded.program(plan.clone(), 1).unwrap();
    program.run(0..plan.calls.len(), &[0]).unwrap();
    // The threads look for work a little longer than a step.
    std::thread::sleep(Duration::from_millis(300));
    let (start, before) = (Instant::now(), processor_time());
    std::thread::sleep(Duration::from_secs(1));
    let taken = processor_time() - before;
    assert!(
        taken * 20 < start.elapsed(),
        "{taken:?} of processor time in {:?}",
        start.elapsed()
    );
}
