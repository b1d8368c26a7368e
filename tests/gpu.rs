//! What only a GPU can do: be absent, be too small, get lost. Software adapters will do.
#![cfg(feature = "gpu")]

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use common::{Noise, data, gpu};
use trm::backend::cpu::Cpu;
use trm::backend::gpu::{Gpu, Kernels};
use trm::backend::{Backend, Loaded, Program};
use trm::config::State;
use trm::plan::{Buffer, Call, Plan};
use trm::weights::{Tensor, Weights};
use trm::{
    Answer, Device, DeviceKind, Error, ErrorKind, HaltRule, LoadOptions, Model, Puzzle, Result, Session,
    Solver,
};

fn puzzles(n: usize) -> Vec<Puzzle> {
    let text = std::fs::read_to_string(data("puzzles/sudoku_4x4_test.csv")).unwrap();
    let lines = text.lines().skip(1).take(n);
    lines
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect()
}

fn solver() -> Solver {
    Solver::bundled("sudoku-4x4").unwrap().halt(HaltRule::Verified)
}

fn finish(session: &mut Session) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(step) = session.next_step().unwrap() {
        answers.extend(step.puzzles.into_iter().filter_map(|p| p.outcome));
    }
    answers.sort_by_key(|a| a.index);
    answers
}

fn expect_same(got: &[Answer], want: &[Answer]) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert_eq!(
            (g.index, &g.tokens, g.steps, g.valid),
            (w.index, &w.tokens, w.steps, w.valid)
        );
    }
}

#[test]
fn a_gpu_solves_like_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let puzzles = puzzles(5);
    // Fewer places than puzzles, so that some start in the middle.
    let on = |solver: Solver| finish(&mut solver.batch(3).session(&puzzles).unwrap());
    let cpu = on(solver().device(Device::Cpu));
    let got = on(solver().backend(Arc::new(gpu)));
    expect_same(&got, &cpu);
    assert!(got.iter().all(|a| a.device == "gpu"));
}

/// A device that is lost in mid-solve: every puzzle ends, with the CPU's answers, and the next solve runs on what is there.
#[test]
fn a_lost_device_loses_no_puzzle() {
    if gpu().is_none() {
        return;
    }
    let puzzles = puzzles(6);
    let slow = |solver: Solver| solver.batch(4).min_steps(3);
    let cpu = finish(&mut slow(solver().device(Device::Cpu)).session(&puzzles).unwrap());
    // Before the first step, and after the second.
    for steps in [0, 2] {
        let gpu = Gpu::open(None).unwrap();
        let solver = slow(solver().backend(Arc::new(gpu.clone())));
        let mut session = solver.session(&puzzles).unwrap();
        for _ in 0..steps {
            session.next_step().unwrap();
        }
        gpu.destroy();
        let answers = finish(&mut session);
        expect_same(&answers, &cpu);
        assert!(answers.iter().all(|a| a.device == "cpu"), "{answers:?}");
        expect_same(&finish(&mut solver.session(&puzzles).unwrap()), &cpu);
        assert_eq!(solver.solve(&puzzles[0]).unwrap().device, "cpu");
    }
}

#[test]
fn raw_access_reports_a_lost_device() {
    if gpu().is_none() {
        return;
    }
    let gpu = Gpu::open(None).unwrap();
    let solver = solver().backend(Arc::new(gpu.clone()));
    let mut stepper = solver.stepper(16, 2).unwrap();
    use trm::Stepper;
    stepper.load(0, &[2; 16], 0).unwrap();
    stepper.step(&[0]).unwrap();
    gpu.destroy();
    assert_eq!(stepper.step(&[0]).unwrap_err().kind(), ErrorKind::Device);
    assert_eq!(stepper.logits(0).unwrap_err().kind(), ErrorKind::Device);
    assert_eq!(
        stepper.load(0, &[2; 16], 0).unwrap_err().kind(),
        ErrorKind::Device
    );
    assert_eq!(solver.stepper(16, 2).unwrap_err().kind(), ErrorKind::Device);
}

/// More slots than a dispatch can have: an error for who has no stand-in.
#[test]
fn a_batch_that_does_not_fit_is_refused() {
    let Some(gpu) = gpu() else { return };
    let solver = solver().backend(Arc::new(gpu));
    let error = solver.stepper(16, 70_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device, "{error}");
}

/// A device that fails at one of the two ways of starting, as drivers do.
#[derive(Debug)]
struct Failing {
    fails_at_load: bool,
}

#[derive(Debug)]
struct FailingWeights;

impl Backend for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }
    fn load(&self, _: Weights) -> Result<Arc<dyn Loaded>> {
        if self.fails_at_load {
            return Err(Error::new(ErrorKind::Device, "out of memory"));
        }
        Ok(Arc::new(FailingWeights))
    }
}

impl Loaded for FailingWeights {
    fn program(&self, _: Arc<Plan>, _: usize) -> Result<Box<dyn Program>> {
        Err(Error::new(ErrorKind::Device, "a pipeline cannot be made"))
    }
}

#[test]
fn a_device_that_cannot_start_is_replaced() {
    let puzzles = puzzles(2);
    let cpu = finish(&mut solver().device(Device::Cpu).session(&puzzles).unwrap());
    for fails_at_load in [false, true] {
        let failing = Failing { fails_at_load };
        let answers = finish(&mut solver().backend(Arc::new(failing)).session(&puzzles).unwrap());
        expect_same(&answers, &cpu);
        assert!(answers.iter().all(|a| a.device == "cpu"));
    }
}

#[test]
fn devices_are_numbered_and_auto_takes_no_software() {
    let devices = trm::devices();
    for (number, device) in devices.iter().enumerate() {
        assert_eq!(device.number, number);
        assert!(!device.name.is_empty() && !device.backend.is_empty());
    }
    assert!(devices.is_sorted_by_key(|d| d.kind));
    if gpu().is_some() {
        assert!(devices.iter().any(|d| d.missing.is_none()));
    }
    if devices.iter().all(|d| d.kind == DeviceKind::Software) {
        assert_eq!(
            Solver::bundled("sudoku-9x9").unwrap().device_name().unwrap(),
            "cpu"
        );
    }
}

/// What is written comes back, slot by slot, and wrong lengths and slots are refused.
#[test]
fn memory_keeps_what_is_written() {
    let Some(gpu) = gpu() else { return };
    let solver = solver();
    let plan = Arc::new(solver.plan(16).unwrap());
    let loaded = gpu.load(solver.model().weights().unwrap()).unwrap();
    let mut program = loaded.program(plan.clone(), 3).unwrap();
    let mut noise = Noise(5);
    let values: Vec<Vec<f32>> = (0..3)
        .map(|_| noise.values(Buffer::Input.len(&plan.dims)))
        .collect();
    for (slot, values) in values.iter().enumerate() {
        program.write(Buffer::Input, slot, values).unwrap();
        program.write(Buffer::Halting, slot, &values[..2]).unwrap();
    }
    for (slot, values) in values.iter().enumerate() {
        let mut got = vec![0.0; values.len()];
        program.read(Buffer::Input, slot, &mut got).unwrap();
        assert_eq!(&got, values);
        program.read(Buffer::Halting, slot, &mut got[..2]).unwrap();
        assert_eq!(got[..2], values[..2]);
    }
    let kinds = [
        program.write(Buffer::Input, 3, &values[0]),
        program.write(Buffer::Input, 0, &values[0][1..]),
        program.write(Buffer::Tokens, 0, &[0.0; 16]),
        program.write_integers(Buffer::Halting, 0, &[0; 2]),
        program.read_integers(Buffer::Answer, 0, &mut [0; 15]),
        program.run(0..plan.calls.len() + 1, &[0]),
        program.run(0..1, &[1, 0]),
        program.run(0..1, &[3]),
    ];
    for refused in kinds {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Argument);
    }
}

/// A pass of the published sizes, end to end: the Sudoku model with `mlp_t`, and a block of the maze model with attention.
#[test]
fn full_size_agrees_with_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (case, cells, levels) in [("trm_mlp", 81, 2), ("trm_attention", 900, 1)] {
        let mut config = Model::open(data("golden").join(case), &LoadOptions::default())
            .unwrap()
            .config
            .clone();
        config.seq_len = Some(cells);
        (config.hidden_size, config.num_heads, config.inner) = (512, 8, 1536);
        (config.puzzle_emb_ndim, config.puzzle_emb_len) = (512, 16);
        (config.h_cycles, config.l_cycles, config.l_layers) = (1, 1, 2);
        if config.mlp_t {
            config.token_inner = 512;
        }
        let mut plan = trm::model::record(&config, cells);
        if levels == 1 {
            // lavapipe takes seconds for one block of this size.
            let is_end = |c: &Call| {
                matches!(
                    c,
                    Call::ProjectAddNorm {
                        input: Buffer::Gated,
                        ..
                    }
                )
            };
            let end = plan.calls.iter().position(is_end).unwrap();
            plan.calls.truncate(end + 1);
        }
        let plan = Arc::new(plan);
        let mut noise = Noise(11);
        let tensors: HashMap<_, _> = config
            .weights()
            .into_iter()
            .map(|weight| {
                let shape = weight.shape(&config);
                let scale = 1.7 / (*shape.last().unwrap() as f32).sqrt();
                let data = noise
                    .values(shape.iter().product())
                    .into_iter()
                    .map(|v| v * scale);
                let data = data.collect();
                (weight, Tensor { shape, data })
            })
            .collect();
        let weights = Weights::from_tensors(tensors);
        let tokens: Vec<u32> = (0..cells)
            .map(|_| noise.below(config.vocab_size) as u32)
            .collect();
        let state = noise.values(Buffer::Input.len(&plan.dims));
        let out = plan.calls.iter().rev().find_map(|c| match c {
            Call::ProjectAddNorm { out, .. } => Some(*out),
            _ => None,
        });
        let out = out.unwrap();
        let run = |loaded: Arc<dyn Loaded>| {
            let mut program = loaded.program(plan.clone(), 1).unwrap();
            program.write_integers(Buffer::Tokens, 0, &tokens).unwrap();
            for z in [State::H, State::L] {
                program.write(Buffer::State(z), 0, &state).unwrap();
            }
            program.run(0..plan.calls.len(), &[0]).unwrap();
            let mut values = vec![0.0; out.len(&plan.dims)];
            program.read(out, 0, &mut values).unwrap();
            values
        };
        let want = run(Cpu::new(Some(2)).unwrap().load(weights.clone()).unwrap());
        for kernels in [Kernels::Tiled, Kernels::Direct] {
            let gpu = gpu.clone().with_kernels(kernels);
            let got = run(gpu.load(weights.clone()).unwrap());
            let worst = want.iter().zip(&got).map(|(a, b)| (a - b).abs());
            let worst = worst.fold(0.0f32, |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) });
            eprintln!("{case}, {kernels:?}: differs by at most {worst:e}");
            assert!(worst < 1e-4, "{case} differs by {worst:e}, {kernels:?}");
        }
        assert!(want.iter().any(|v| v.abs() > 0.5), "{case} compares zeros");
    }
}
