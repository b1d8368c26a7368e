//! Weight dtypes on whole models: a wrong weight is seen in each, and a file stored in int8 solves
//! like one that is rounded on loading.

use std::sync::Arc;

use crate::rebuild::Rebuild;
use trm_runtime::low_level::backend::cpu::Cpu;
use trm_runtime::low_level::backend::lockstep::Difference;
use trm_runtime::low_level::backend::{Backend, DeviceWeights};
use trm_runtime::low_level::weights::{Weight, Weights};
use trm_runtime::{SaveOptions, Solver, WeightDtype};

/// The CPU backend with one wrong row in one matrix.
#[derive(Debug)]
struct Wrong(Cpu, Weight);

impl Backend for Wrong {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn tolerance(&self) -> f32 {
        self.0.tolerance()
    }

    fn load(&self, weights: Weights) -> trm_runtime::Result<Arc<dyn DeviceWeights>> {
        let damage = |(weight, mut tensor): (Weight, trm_runtime::low_level::weights::Tensor)| {
            if weight == self.1 {
                let row = tensor.shape[1];
                tensor.data[..row].iter_mut().for_each(|x| *x = 1.0 - *x);
            }
            (weight, tensor)
        };
        self.0.load(Weights::from_tensors(
            weights.into_tensors().map(damage).collect(),
        ))
    }
}

fn check(solver: &Solver, format: WeightDtype) -> Option<Difference> {
    let (tokens, vocab) = (
        solver.model().config.seq_len.unwrap(),
        solver.model().config.vocab_size,
    );
    let puzzle = |start: usize| {
        (0..tokens)
            .map(|i| ((start + i * i) % vocab) as u32)
            .collect()
    };
    let model = solver.model().clone();
    let solver = solver.to_builder().dtype(format).build(model).unwrap();
    let tolerance = solver.check_tolerance().unwrap();
    solver
        .check(&[puzzle(0), puzzle(3)], tolerance, &mut |_| {})
        .unwrap()
}

#[test]
fn check_sees_a_wrong_row_in_every_format() {
    for name in ["sudoku-9x9", "maze-10x10"] {
        let solver = Solver::bundled(name).unwrap();
        for format in WeightDtype::ALL {
            let cpu = || Cpu::new(Some(2)).unwrap().with_dtype(format);
            let right = solver.rebuild(|b| b.backend(Arc::new(cpu())));
            assert_eq!(check(&right, format), None, "{name}, {format}");
            let matrices = solver.model().config.weights().into_iter();
            for weight in matrices.filter(|w| trm_runtime::low_level::dtype::takes_dtype(*w)) {
                let wrong = solver.rebuild(|b| b.backend(Arc::new(Wrong(cpu(), weight))));
                let seen = check(&wrong, format).map(|d| d.kernel);
                let expected = match weight {
                    Weight::Qkv(..) => "qkv_rope",
                    Weight::OProj(..) | Weight::Down(..) => "project_add_norm",
                    Weight::GateUp(..) => "swiglu",
                    _ => "token_mix",
                };
                assert_eq!(seen, Some(expected), "{name}, {format}, {weight:?}");
            }
        }
    }
}

/// Returns the logits after two steps, as bits.
fn bits(solver: &Solver) -> Vec<u32> {
    let tokens = solver.model().config.seq_len.unwrap();
    let mut stepper = solver.stepper(tokens, 1).unwrap();
    let puzzle: Vec<u32> = (0..tokens as u32).map(|i| 1 + i % 4).collect();
    stepper.load(0, &puzzle, 0).unwrap();
    (0..2).for_each(|_| stepper.step(&[0]).unwrap());
    stepper
        .logits(0)
        .unwrap()
        .into_iter()
        .map(f32::to_bits)
        .collect()
}

#[test]
fn a_file_in_int8_gives_the_bits_of_one_that_is_rounded_when_loaded() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["sudoku-6x6", "maze-10x10"] {
        let solver = Solver::builder()
            .device(trm_runtime::Device::Cpu)
            .bundled(name)
            .unwrap();
        let embedding = solver.model().puzzle_rows.is_some();
        // A file of 16 bits rounds the puzzle embedding too, which rounding on loading does not.
        let halved = |format| embedding && matches!(format, WeightDtype::F16 | WeightDtype::Bf16);
        for format in WeightDtype::ALL.into_iter().filter(|f| !halved(*f)) {
            let options = SaveOptions {
                dtype: format,
                ..SaveOptions::default()
            };
            let folder = dir.path().join(name).join(format.name());
            solver.model().save(&folder, &options).unwrap();
            // A file of 16 bits is computed in f32 by default.
            let told = |solver: Solver| match format {
                WeightDtype::Bf16 => solver.rebuild(|b| b.dtype(format)),
                _ => solver,
            };
            let stored = told(
                Solver::builder()
                    .device(trm_runtime::Device::Cpu)
                    .open(&folder)
                    .unwrap(),
            );
            let rounded = bits(&solver.rebuild(|b| b.dtype(format)));
            assert!(bits(&stored) == rounded, "{name}, {format}");
            let file = std::fs::read(folder.join("model.safetensors")).unwrap();
            let lone = told(
                Solver::builder()
                    .device(trm_runtime::Device::Cpu)
                    .from_bytes(file)
                    .unwrap(),
            );
            assert!(bits(&lone) == rounded, "{name}, {format}");
            let exact = bits(&solver.rebuild(|b| b.dtype(WeightDtype::F32)));
            // `sudoku-6x6` is in f16 itself.
            let same = matches!(format, WeightDtype::F32 | WeightDtype::F16);
            assert_eq!(exact == rounded, same, "{name}, {format}");
        }
    }
}
