//! What PyTorch computed for every variant, and how a stepper is compared with it.

use std::path::Path;

use safetensors::SafeTensors;
use trm_runtime::Model;
use trm_runtime::low_level::Inspect;

/// Absolute, on states and logits.
pub(crate) const TOLERANCE: f32 = 2e-4;
/// The likeliest token must agree where the two largest logits differ by more than this.
const CLEAR: f32 = 1e-3;

/// A file of expected values: `inputs`, and states, logits and halting logits of each step K as
/// `stepK.*`.
pub(crate) struct Expected(pub(crate) Vec<u8>);

impl Expected {
    pub(crate) fn open(directory: &Path) -> Self {
        Self(std::fs::read(directory.join("expected.safetensors")).unwrap())
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let bytes = file
            .tensor(name)
            .unwrap_or_else(|e| panic!("{name}: {e}"))
            .data()
            .to_vec();
        bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    pub(crate) fn integers(&self, name: &str) -> Vec<u32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let bytes = file.tensor(name).unwrap().data().to_vec();
        bytes
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }
}

/// Returns the part of one slot of a tensor whose first axis is the batch.
pub(crate) fn share(all: &[f32], slot: usize, slots: usize) -> &[f32] {
    let len = all.len() / slots;
    &all[slot * len..][..len]
}

pub(crate) fn differs(what: &str, got: &[f32], want: &[f32]) -> Option<String> {
    differs_by(TOLERANCE, what, got, want)
}

pub(crate) fn differs_by(tolerance: f32, what: &str, got: &[f32], want: &[f32]) -> Option<String> {
    assert_eq!(got.len(), want.len(), "{what}");
    let worst = got
        .iter()
        .zip(want)
        .map(|(g, w)| (g - w).abs())
        .fold(
            0.0f32,
            |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) },
        );
    (worst > tolerance).then(|| format!("{what} differs by {worst:e}"))
}

/// Compares the states, logits, halting logits and answers of a stepper with `stepK`.
fn compare(
    stepper: &dyn Inspect,
    model: &Model,
    expected: &Expected,
    step: usize,
    slots: usize,
) -> Vec<String> {
    let mut failures = Vec::new();
    let vocab = model.config.vocab_size;
    let name = |what: &str| format!("step{step}.{what}");
    for slot in 0..slots {
        for state in model.config.states() {
            let want = expected.floats(&name(&state.name()));
            failures.extend(differs(
                &name(&state.name()),
                &stepper.state(slot, state).unwrap(),
                share(&want, slot, slots),
            ));
        }
        let logits = expected.floats(&name("logits"));
        let want = share(&logits, slot, slots);
        failures.extend(differs(
            &name("logits"),
            &stepper.logits(slot).unwrap(),
            want,
        ));
        let halting = stepper.halting(slot).unwrap();
        failures.extend(differs(
            &name("q_halt"),
            &[halting.q_halt],
            &[expected.floats(&name("q_halt"))[slot]],
        ));
        failures.extend(differs(
            &name("q_continue"),
            &[halting.q_continue],
            &[expected.floats(&name("q_continue"))[slot]],
        ));
        for (cell, token) in stepper.answer(slot).unwrap().into_iter().enumerate() {
            let mut ranked: Vec<(f32, u32)> = want[cell * vocab..][..vocab]
                .iter()
                .copied()
                .zip(0..)
                .collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            if ranked[0].0 - ranked[1].0 > CLEAR && ranked[0].1 != token {
                failures.push(format!(
                    "{} of cell {cell}: {token} instead of {}",
                    name("argmax"),
                    ranked[0].1
                ));
            }
        }
    }
    failures
}

/// Runs a case in a stepper with one slot for each of its sequences. The first step starts from the
/// tokens, each further one from the stored state before it.
pub(crate) fn run(stepper: &mut dyn Inspect, model: &Model, expected: &Expected) -> Vec<String> {
    let ids = expected.integers("puzzle_identifiers");
    let inputs = expected.integers("inputs");
    let (slots, tokens) = (ids.len(), inputs.len() / ids.len());
    let live: Vec<usize> = (0..slots).collect();
    let mut failures = Vec::new();
    let embedding = expected.floats("input_embedding");
    for slot in 0..slots {
        stepper
            .load(slot, &inputs[slot * tokens..][..tokens], ids[slot])
            .unwrap();
        if !model.is_onnx() {
            let got = stepper.input_embedding(slot).unwrap();
            failures.extend(differs(
                "input_embedding",
                &got,
                share(&embedding, slot, slots),
            ));
        }
    }
    for step in 1..=4 {
        if step > 1 {
            for state in model.config.states() {
                let before = expected.floats(&format!("step{}.{}", step - 1, state.name()));
                for slot in 0..slots {
                    stepper
                        .set_state(slot, state, share(&before, slot, slots))
                        .unwrap();
                }
            }
        }
        stepper.step(&live).unwrap();
        failures.extend(compare(stepper, model, expected, step, slots));
    }
    failures
}

/// The names of the cases.
pub(crate) const CASES: [&str; 10] = [
    "hrm",
    "transformers_baseline",
    "trm_attention",
    "trm_continue",
    "trm_hier6",
    "trm_learned_pos",
    "trm_mlp",
    "trm_no_prefix",
    "trm_singlez",
    "trm_symbols",
];
