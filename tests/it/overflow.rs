//! Numbers of a model that overflow: an error on every backend, for the puzzle that it concerns.

use trm_runtime::low_level::plan::NO_TOKEN;
use trm_runtime::{
    Device, Error, ErrorKind, HaltRule, Model, MultiStart, Puzzle, Solver, WeightDtype,
};

use crate::made::patched;

const PUZZLE: &str = "0000020440102103";
/// A puzzle without the digit 4, whose token is 5.
const WITHOUT_4: &str = "3021123003122103";

/// Tensors and values that overflow in different places: the input, a norm, the states, the heads.
const OVERFLOWS: [(&str, f32); 6] = [
    ("embed_tokens.embedding_weight", 3e38),
    // Finite, but its square is not: divided by infinity, everything would be 0.
    ("embed_tokens.embedding_weight", 1e25),
    ("H_init", -3e38),
    ("L_init", 1e30),
    ("lm_head.weight", 3e38),
    ("q_head.weight", 3e38),
];

/// The devices of this machine and the dtypes that they compute in differently.
fn devices() -> Vec<(Device, WeightDtype)> {
    let all = vec![
        (Device::Reference, WeightDtype::F32),
        (Device::Cpu, WeightDtype::F32),
        (Device::Cpu, WeightDtype::F16),
        (Device::Cpu, WeightDtype::Bf16),
        (Device::Cpu, WeightDtype::Int8),
    ];
    #[cfg(feature = "gpu")]
    if crate::gpu::gpu().is_some() {
        let gpu = [WeightDtype::F32, WeightDtype::F16].map(|dtype| (Device::Gpu(None), dtype));
        return [all, gpu.to_vec()].concat();
    }
    all
}

fn solver(model: Model, (device, dtype): (Device, WeightDtype)) -> Solver {
    let builder = Solver::builder().device(device).dtype(dtype).threads(2);
    builder.halt_rule(HaltRule::Never).build(model).unwrap()
}

fn expect_overflow(error: &Error) {
    expect_overflow_at(error, 1);
}

fn expect_overflow_at(error: &Error, step: usize) {
    assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error}");
    let text = error.to_string();
    let expected = format!("step {step}: the numbers of the model overflow");
    assert!(text.contains(&expected), "{text}");
    assert!(error.hint().is_some(), "no hint: {text}");
}

#[test]
fn every_backend_finds_numbers_that_overflow() {
    let puzzle: Puzzle = PUZZLE.parse().unwrap();
    for device in devices() {
        for (tensor, value) in OVERFLOWS {
            let solver = solver(patched(tensor, None, value), device);
            let what = format!("{device:?}, {tensor} = {value}");
            // Without steps, a GPU applies the halting policy itself.
            let error = solver.solve(&puzzle).expect_err(&what);
            // It reads the logits only after the last step.
            let late = matches!(device.0, Device::Gpu(_)) && tensor == "lm_head.weight";
            expect_overflow_at(&error, if late { 16 } else { 1 });
            assert_eq!(error.puzzle_index(), Some(0), "{what}");
            let mut session = solver.session(std::slice::from_ref(&puzzle)).unwrap();
            expect_overflow(&session.next_step().expect_err(&what));
            assert_eq!(session.unfinished(), 0);
            assert!(session.next_step().unwrap().is_none());
        }
    }
}

#[test]
fn the_other_puzzles_of_a_batch_go_on() {
    let puzzles = [WITHOUT_4, PUZZLE, WITHOUT_4].map(|text| text.parse::<Puzzle>().unwrap());
    let good: Puzzle = WITHOUT_4.parse().unwrap();
    for device in devices() {
        let intact = patched("q_head.bias", None, 0.5);
        let expected = solver(intact, device).solve(&good).unwrap();
        let model = patched("embed_tokens.embedding_weight", Some(5), 3e38);
        let broken = solver(model, device);
        let results: Vec<_> = broken.solve_many(puzzles.clone()).collect();
        assert_eq!(results.len(), 3);
        expect_overflow(results[1].as_ref().unwrap_err());
        for i in [0, 2] {
            let answer = results[i].as_ref().unwrap();
            assert_eq!((answer.index, &answer.tokens), (i, &expected.tokens));
            assert_eq!(answer.steps, expected.steps);
        }
        // Step by step, and with several starts.
        for starts in [1, 3] {
            let broken = broken
                .to_builder()
                .multi_start(MultiStart::new(starts))
                .build(broken.model().clone())
                .unwrap();
            let mut session = broken.session(&puzzles).unwrap();
            let (mut answered, mut failed) = (Vec::new(), Vec::new());
            while session.unfinished() > 0 {
                match session.next_step() {
                    Ok(step) => {
                        let puzzles = step.unwrap().puzzles.into_iter();
                        answered.extend(puzzles.filter_map(|p| p.outcome).map(|a| a.index));
                    }
                    Err(e) => {
                        expect_overflow(&e);
                        failed.push(e.puzzle_index().unwrap());
                    }
                }
            }
            answered.sort_unstable();
            assert_eq!(
                (answered, failed),
                (vec![0, 2], vec![1]),
                "{device:?}, {starts}"
            );
        }
    }
}

#[test]
fn a_stepper_marks_the_cells_and_says_what_is_wrong() {
    for device in devices() {
        let solver = solver(patched("lm_head.weight", None, 3e38), device);
        let mut stepper = solver.stepper(16, 2).unwrap();
        stepper.load(0, &[1; 16], 0).unwrap();
        stepper.step(&[0]).unwrap();
        assert!(stepper.answer(0).unwrap().contains(&NO_TOKEN), "{device:?}");
        let error = stepper.check_finite(0).unwrap_err().to_string();
        assert!(error.contains("logits of cell"), "{error}");
    }
    // Planted: an intact model passes.
    let solver = solver(
        patched("q_head.bias", None, 0.5),
        (Device::Cpu, WeightDtype::F32),
    );
    let mut stepper = solver.stepper(16, 1).unwrap();
    stepper.load(0, &[1; 16], 0).unwrap();
    stepper.step(&[0]).unwrap();
    stepper.check_finite(0).unwrap();
}
