//! Solving on a GPU: equal answers, lost devices, devices that cannot start, measured kernels.

use std::collections::HashMap;
use std::sync::Arc;

use crate::rebuild::Rebuild;
use trm_runtime::low_level::backend::cpu::Cpu;
use trm_runtime::low_level::backend::gpu::{Gpu, KernelSelection};
use trm_runtime::low_level::backend::lockstep::F32_TOLERANCE;
use trm_runtime::low_level::backend::{Backend, DeviceWeights, Program};
use trm_runtime::low_level::config::State;
use trm_runtime::low_level::plan::{Buffer, Call, Plan};
use trm_runtime::low_level::weights::{Tensor, Weights};
use trm_runtime::{
    Answer, Config, Device, DeviceKind, Error, ErrorKind, HaltRule, LoadOptions, Model, Result,
    Session, Solver,
};

use crate::data::data;
use crate::each::test_each;
use crate::gpu::gpu;
use crate::long::long;
use crate::noise::Noise;
use crate::puzzles::{puzzles, solver};

fn finish(session: &mut Session) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(ended) = session.next_answers().unwrap() {
        answers.extend(ended);
    }
    answers.sort_by_key(|a| a.index);
    answers
}

fn expect_same(got: &[Answer], want: &[Answer]) {
    assert_eq!(got.len(), want.len(), "number of answers");
    for (g, w) in got.iter().zip(want) {
        assert_eq!(
            (g.index, &g.tokens, g.steps, g.valid),
            (w.index, &w.tokens, w.steps, w.valid),
            "index, tokens, steps, valid"
        );
    }
}

#[test]
fn a_gpu_solves_like_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let puzzles = puzzles(5);
    // Fewer slots than puzzles, so that some start in the middle.
    let on =
        |solver: Solver| finish(&mut solver.rebuild(|b| b.batch(3)).session(&puzzles).unwrap());
    let cpu = on(solver().rebuild(|b| b.device(Device::Cpu)));
    let got = on(solver().rebuild(|b| b.backend(Arc::new(gpu))));
    expect_same(&got, &cpu);
    assert!(got.iter().all(|a| a.device == "gpu"));
}

/// Under every rule each puzzle of a batch ends at the same step on the GPU and on the CPU, whether
/// its steps are read always, never or sometimes.
#[test]
fn puzzles_halt_at_the_same_steps_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    // At a threshold this high some of these take two or three steps, and one never halts.
    let all = puzzles(100);
    let puzzles = [41, 0, 81, 45, 1, 48, 2, 50, 13, 53, 3].map(|number: usize| all[number].clone());
    let solver = solver().rebuild(|b| b.max_steps(5).batch(7));
    let on_gpu = solver.rebuild(|b| b.backend(Arc::new(gpu)));
    for (rule, threshold, min_steps) in [
        (HaltRule::Head, 0.999, 1),
        (HaltRule::Verified, 0.999, 2),
        (HaltRule::Never, 0.5, 1),
        (HaltRule::Head, 0.0, 3),
        (HaltRule::Head, 1.0, 1),
    ] {
        let with = |solver: &Solver| {
            solver.rebuild(|b| {
                b.halt_rule(rule)
                    .halt_threshold(threshold)
                    .min_steps(min_steps)
            })
        };
        let want = finish(
            &mut with(&solver)
                .rebuild(|b| b.device(Device::Cpu))
                .session(&puzzles)
                .unwrap(),
        );
        if rule != HaltRule::Never && threshold == 0.999 {
            let mut steps: Vec<usize> = want[..7].iter().map(|a| a.steps).collect();
            steps.sort_unstable();
            steps.dedup();
            assert!(
                steps.len() > 1,
                "the first batch halts at {steps:?}, which shows little"
            );
        }
        let halted = |answers: &[Answer]| answers.iter().map(|a| a.halted).collect::<Vec<_>>();
        for watched in [|_| false, |_| true, |turn: usize| turn % 3 == 1] {
            let mut session = with(&on_gpu).session(&puzzles).unwrap();
            let mut got = Vec::new();
            for turn in 0.. {
                let ended = if watched(turn) {
                    let step = session.next_step().unwrap();
                    step.map(|step| step.puzzles.into_iter().filter_map(|p| p.outcome).collect())
                } else {
                    session.next_answers().unwrap()
                };
                let Some(ended) = ended else { break };
                got.extend::<Vec<Answer>>(ended);
            }
            got.sort_by_key(|a| a.index);
            expect_same(&got, &want);
            assert_eq!(halted(&got), halted(&want));
            for (g, w) in got.iter().zip(&want) {
                assert!((g.halting.q_halt - w.halting.q_halt).abs() < 1e-3);
            }
        }
    }
}

/// A device is lost while it solves: every puzzle ends with the answer of the CPU, and the next
/// solve runs on the CPU.
#[test]
fn a_lost_device_loses_no_puzzle() {
    if gpu().is_none() {
        return;
    }
    let puzzles = puzzles(6);
    let slow = |solver: Solver| solver.rebuild(|b| b.batch(4).min_steps(3));
    let cpu = finish(
        &mut slow(solver().rebuild(|b| b.device(Device::Cpu)))
            .session(&puzzles)
            .unwrap(),
    );
    // Before the first step, and after the second.
    for steps in [0, 2] {
        let gpu = Gpu::open(None).unwrap();
        let solver = slow(solver().rebuild(|b| b.backend(Arc::new(gpu.clone()))));
        let mut session = solver.session(&puzzles).unwrap();
        for step in 0..steps {
            // The second one leaves steps in flight.
            match step {
                0 => drop(session.next_step().unwrap()),
                _ => assert!(session.next_answers().unwrap().unwrap().is_empty()),
            }
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
    let solver = solver().rebuild(|b| b.backend(Arc::new(gpu.clone())));
    let mut stepper = solver.stepper(16, 2).unwrap();
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

/// More slots than a dispatch can have are an error in a stepper.
#[test]
fn a_batch_that_does_not_fit_is_refused() {
    let Some(gpu) = gpu() else { return };
    let solver = solver().rebuild(|b| b.backend(Arc::new(gpu)));
    let error = solver.stepper(16, 70_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device, "{error}");
}

/// A device that fails when it loads weights, or when it makes a program.
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
    fn tolerance(&self) -> f32 {
        F32_TOLERANCE
    }
    fn load(&self, _: Weights) -> Result<Arc<dyn DeviceWeights>> {
        if self.fails_at_load {
            return Err(Error::new(ErrorKind::Device, "out of memory"));
        }
        Ok(Arc::new(FailingWeights))
    }
}

impl DeviceWeights for FailingWeights {
    fn program(&self, _: Arc<Plan>, _: usize) -> Result<Box<dyn Program>> {
        Err(Error::new(ErrorKind::Device, "a pipeline cannot be made"))
    }
}

#[test]
fn a_device_that_cannot_start_is_replaced() {
    let puzzles = puzzles(2);
    let cpu = finish(
        &mut solver()
            .rebuild(|b| b.device(Device::Cpu))
            .session(&puzzles)
            .unwrap(),
    );
    for fails_at_load in [false, true] {
        let failing = Failing { fails_at_load };
        let answers = finish(
            &mut solver()
                .rebuild(|b| b.backend(Arc::new(failing)))
                .session(&puzzles)
                .unwrap(),
        );
        expect_same(&answers, &cpu);
        assert!(answers.iter().all(|a| a.device == "cpu"));
    }
}

#[test]
fn devices_are_numbered_and_auto_takes_no_software() {
    let devices = trm_runtime::devices();
    for (number, device) in devices.iter().enumerate() {
        assert_eq!(device.number, number);
        assert!(!device.name.is_empty() && !device.backend.is_empty());
    }
    assert!(devices.is_sorted_by_key(|d| d.kind));
    if gpu().is_some() {
        assert!(devices.iter().any(|d| d.unsupported_reason.is_none()));
    }
    if devices.iter().all(|d| d.kind == DeviceKind::Software) {
        assert_eq!(
            Solver::bundled("sudoku-9x9")
                .unwrap()
                .device_name()
                .unwrap(),
            "cpu"
        );
    }
}

/// What is written is read back slot by slot. Wrong lengths and slots are errors.
#[test]
fn memory_keeps_what_is_written() {
    let Some(gpu) = gpu() else { return };
    let solver = solver();
    let plan = Arc::new(solver.plan(16).unwrap());
    let loaded = gpu.load(solver.model().take_weights().unwrap()).unwrap();
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

/// Returns the model of a golden case at the published sizes, with random weights.
fn full_size(case: &str, cells: usize, (h_cycles, l_cycles): (usize, usize)) -> (Config, Weights) {
    let mut config = Model::open(data("golden").join(case), &LoadOptions::default())
        .unwrap()
        .config
        .clone();
    config.seq_len = Some(cells);
    (config.hidden_size, config.num_heads, config.inner) = (512, 8, 1536);
    (config.puzzle_emb_ndim, config.puzzle_emb_len) = (512, 16);
    (config.h_cycles, config.l_cycles, config.l_layers) = (h_cycles, l_cycles, 2);
    if config.mlp_t {
        config.token_inner = 512;
    }
    let mut noise = Noise(12);
    let tensors: HashMap<_, _> = config
        .weights()
        .into_iter()
        .map(|weight| {
            let shape = weight.shape(&config);
            let scale = 1.7 / (*shape.last().unwrap() as f32).sqrt();
            let values = noise.values(shape.iter().product()).into_iter();
            let data = values.map(|v| v * scale).collect();
            (weight, Tensor { shape, data })
        })
        .collect();
    (config, Weights::from_tensors(tensors))
}

/// One pass at the published sizes: the Sudoku model with `mlp_t`, and a block of the maze model
/// with attention.
#[test]
fn full_size_agrees_with_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let cases = [("trm_mlp", 81), ("trm_attention", 900)].map(|case| (case.0, case));
    test_each(cases, |(case, cells)| {
        let (config, weights) = full_size(case, cells, (1, 1));
        let mut plan = trm_runtime::low_level::build::build_plan(&config, cells);
        // A pass only: an adapter in software takes seconds for one of the maze model.
        let ends = |c: &Call| c.writes().contains(&Buffer::State(State::L));
        let pass = plan.calls.iter().position(ends).unwrap();
        plan.calls.truncate(pass + 1);
        let plan = Arc::new(plan);
        let mut noise = Noise(11);
        let tokens: Vec<u32> = (0..cells)
            .map(|_| noise.below(config.vocab_size) as u32)
            .collect();
        let state = noise.values(Buffer::Input.len(&plan.dims));
        let out = plan.calls.iter().rev().find_map(|c| match c {
            Call::ProjectAddNorm { out, .. } => Some(*out),
            _ => None,
        });
        let out = out.unwrap();
        let run = |loaded: Arc<dyn DeviceWeights>| {
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
        let ways = [
            ("tiled", KernelSelection::Tiled),
            ("direct", KernelSelection::Direct),
        ];
        test_each(ways, |kernels| {
            let gpu = gpu.clone().with_kernels(kernels);
            let got = run(gpu.load(weights.clone()).unwrap());
            let worst = want.iter().zip(&got).map(|(a, b)| (a - b).abs());
            let worst = worst.fold(
                0.0f32,
                |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) },
            );
            eprintln!("{case}, {kernels:?}: differs by at most {worst:e}");
            assert!(worst < 1e-4, "differs by {worst:e}");
        });
        assert!(want.iter().any(|v| v.abs() > 0.5), "{case} compares zeros");
    });
}

/// A device that the app opened gives the same answers, and the CPU takes over when it is lost. A
/// device with small limits is an error.
#[test]
fn an_app_hands_in_its_own_device() {
    use trm_runtime::low_level::backend::gpu::wgpu;
    if gpu().is_none() {
        return;
    }
    let open = |required_limits: wgpu::Limits| {
        pollster::block_on(async {
            // As an app does it: with validation of indirect dispatches.
            let instance =
                wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
            let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default());
            let adapter = adapter.await.unwrap();
            let wanted = wgpu::DeviceDescriptor {
                required_limits,
                ..Default::default()
            };
            let (device, queue) = adapter.request_device(&wanted).await.unwrap();
            (adapter, device, queue)
        })
    };
    let puzzles = puzzles(5);
    let cpu = finish(
        &mut solver()
            .rebuild(|b| b.device(Device::Cpu))
            .session(&puzzles)
            .unwrap(),
    );
    let (adapter, device, queue) = open(wgpu::Limits::default());
    let gpu = Gpu::from_device(&adapter, device.clone(), queue).unwrap();
    assert!(
        gpu.description().contains("of the app"),
        "{}",
        gpu.description()
    );
    let solver = solver().rebuild(|b| b.backend(Arc::new(gpu)));
    let answers = finish(&mut solver.rebuild(|b| b.batch(2)).session(&puzzles).unwrap());
    expect_same(&answers, &cpu);
    assert!(answers.iter().all(|a| a.device == "gpu"));

    let mut session = solver
        .rebuild(|b| b.min_steps(3))
        .session(&puzzles)
        .unwrap();
    assert!(session.next_answers().unwrap().unwrap().is_empty());
    device.destroy();
    let answers = finish(&mut session);
    assert!(
        answers
            .iter()
            .all(|a| a.device == "cpu" && a.valid == Some(true))
    );

    let (adapter, device, queue) = open(wgpu::Limits::downlevel_defaults());
    let error = Gpu::from_device(&adapter, device, queue).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device);
    assert!(error.to_string().contains("storage_buffers"), "{error}");
}

/// Kernel implementations that are chosen by measuring give the same answers. The measurement is
/// kept and used the next time.
#[test]
fn kernels_are_measured_once() {
    let Some(gpu) = gpu() else { return };
    let puzzles = puzzles(3);
    let cpu = finish(
        &mut solver()
            .rebuild(|b| b.device(Device::Cpu))
            .session(&puzzles)
            .unwrap(),
    );
    let folder = tempfile::tempdir().unwrap();
    let measured = || {
        gpu.clone()
            .with_kernels(KernelSelection::Measured)
            .with_cache_dir(folder.path())
    };
    expect_same(
        &finish(
            &mut solver()
                .rebuild(|b| b.backend(Arc::new(measured())))
                .session(&puzzles)
                .unwrap(),
        ),
        &cpu,
    );
    let file = std::fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let kept = std::fs::read_to_string(&file).unwrap();
    for kernel in ["token_mix", "swiglu", "project_add_norm"] {
        assert!(kept.contains(kernel), "{kept}");
    }
    assert!(!kept.contains("embed"), "there is nothing to choose");

    // A file with other choices is followed.
    let split = kept
        .replace("\"tiled\"", "\"direct\"")
        .replace("\"split\"", "\"direct\"");
    std::fs::write(&file, &split).unwrap();
    let before = gpu.resource_count();
    expect_same(
        &finish(
            &mut solver()
                .rebuild(|b| b.backend(Arc::new(measured())))
                .session(&puzzles)
                .unwrap(),
        ),
        &cpu,
    );
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        split,
        "nothing was measured"
    );
    assert!(gpu.resource_count() > before);
    // A damaged file is written anew.
    std::fs::write(&file, "{").unwrap();
    expect_same(
        &finish(
            &mut solver()
                .rebuild(|b| b.backend(Arc::new(measured())))
                .session(&puzzles)
                .unwrap(),
        ),
        &cpu,
    );
    assert!(std::fs::read_to_string(&file).unwrap().contains("swiglu"));
}

/// A step of two bundled models, and with [`long`] of all, call by call against the reference.
#[test]
fn bundled_models_agree_with_the_reference() {
    let Some(gpu) = gpu() else { return };
    let few = ["sudoku-9x9", "maze-10x10"];
    let names = if long() {
        trm_runtime::bundled::NAMES
    } else {
        &few
    };
    test_each(names.iter().map(|name| (name, *name)), |name| {
        let solver = Solver::builder()
            .backend(Arc::new(gpu.clone()))
            .bundled(name)
            .unwrap();
        let config = &solver.model().config;
        let (cells, vocab) = (config.seq_len.unwrap(), config.vocab_size);
        let mut noise = Noise(3);
        let tokens = (0..cells).map(|_| noise.below(vocab) as u32).collect();
        let mut calls = 0;
        let found = solver.check(&[tokens], 1e-4, &mut |_| calls += 1).unwrap();
        assert!(found.is_none(), "{found:?}");
        assert!(calls > 50, "{calls} comparisons");
    });
}
