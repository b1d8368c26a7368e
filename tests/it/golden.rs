//! Every variant against PyTorch: weights and outputs that the published code wrote in float32.

use std::sync::Arc;

use trm_runtime::low_level::backend::reference::Reference;
use trm_runtime::low_level::backend::{Backend, DeviceWeights};
use trm_runtime::low_level::dtype::WeightDtype;
use trm_runtime::low_level::{Inspect, PlanStepper, Stepper};
use trm_runtime::{LoadOptions, Model};

use crate::backends::{backends, gpu_backends};
use crate::data::data;
use crate::each::test_each;
use crate::expected::{CASES, Expected, TOLERANCE, differs_by};
use crate::long::long;

/// Runs a case on a backend and returns what differs.
fn run(model: &Arc<Model>, loaded: &dyn DeviceWeights, expected: &Expected) -> Vec<String> {
    let ids = expected.integers("puzzle_identifiers");
    let tokens = expected.integers("inputs").len() / ids.len();
    let mut stepper = PlanStepper::new(model.clone(), loaded, tokens, ids.len()).unwrap();
    crate::expected::run(&mut stepper, model, expected)
}

/// Returns whether a case runs on a GPU too.
fn on_gpu(case: &str) -> bool {
    long() || ["hrm", "trm_attention", "trm_mlp", "trm_symbols"].contains(&case)
}

#[test]
fn every_variant_equals_pytorch_on_every_backend() {
    test_each(CASES.map(|case| (case, case)), |case| {
        let directory = data("golden").join(case);
        let model = Arc::new(Model::open(&directory, &LoadOptions::default()).unwrap());
        let expected = Expected::open(&directory);
        let backends = backends(&model.take_weights().unwrap(), on_gpu(case));
        test_each(backends, |loaded| {
            let failures = run(&model, &*loaded, &expected);
            assert!(failures.is_empty(), "{failures:#?}");
        });
    });
}

/// Returns the states and logits of two steps of a case, from its tokens.
fn two_steps(model: &Arc<Model>, loaded: &dyn DeviceWeights, expected: &Expected) -> Vec<f32> {
    let ids = expected.integers("puzzle_identifiers");
    let inputs = expected.integers("inputs");
    let tokens = inputs.len() / ids.len();
    let mut stepper = PlanStepper::new(model.clone(), loaded, tokens, ids.len()).unwrap();
    for (slot, &id) in ids.iter().enumerate() {
        stepper
            .load(slot, &inputs[slot * tokens..][..tokens], id)
            .unwrap();
    }
    let live: Vec<usize> = (0..ids.len()).collect();
    let mut found = Vec::new();
    for _ in 0..2 {
        stepper.step(&live).unwrap();
        for &slot in &live {
            for state in model.config.states() {
                found.extend(stepper.state(slot, state).unwrap());
            }
            found.extend(stepper.logits(slot).unwrap());
        }
    }
    found
}

/// A GPU with weights in a dtype computes what the reference computes with the rounded weights. The
/// second step starts from the rounding errors of the first: an H200 was off by 2.1e-4 after both.
/// Hence twice the tolerance, which is for one step.
#[test]
fn every_weight_format_computes_what_it_stands_for() {
    const TWICE: f32 = 2.0 * TOLERANCE;
    for case in ["trm_mlp", "trm_attention", "trm_symbols"] {
        let directory = data("golden").join(case);
        let model = Arc::new(Model::open(&directory, &LoadOptions::default()).unwrap());
        let expected = Expected::open(&directory);
        let weights = model.take_weights().unwrap();
        let exact = Reference.load(weights.clone()).unwrap();
        let exact = two_steps(&model, &*exact, &expected);
        let compute = |format: WeightDtype| {
            let rounded = Reference.load(weights.clone().rounded(format)).unwrap();
            let rounded = two_steps(&model, &*rounded, &expected);
            let changed = differs_by(TWICE, "rounding", &rounded, &exact);
            assert!(changed.is_some(), "rounding changes nothing");
            if !(long() || format == WeightDtype::Int8) {
                return;
            }
            test_each(gpu_backends(format), |backend| {
                let loaded = backend.load(weights.clone()).unwrap();
                let got = two_steps(&model, &*loaded, &expected);
                let differs = differs_by(TWICE, "a state or logit", &got, &rounded);
                assert_eq!(differs, None, "{case}");
            });
        };
        test_each(
            [WeightDtype::F16, WeightDtype::Bf16, WeightDtype::Int8].map(|f| (f, f)),
            compute,
        );
    }
}

/// The comparison must see a wrong cycle count, head count, position encoding and epsilon.
#[test]
fn the_comparison_catches_planted_bugs() {
    let planted = [
        ("trm_attention", "L_cycles", "2"),
        ("hrm", "H_cycles", "1"),
        ("trm_singlez", "num_heads", "8"),
        ("trm_no_prefix", "pos_encodings", "none"),
        ("trm_mlp", "rms_norm_eps", "0.001"),
        ("trm_symbols", "box", "3x2"),
    ];
    test_each(planted.map(|bug| (bug.0, bug)), |(case, key, wrong)| {
        let directory = data("golden").join(case);
        let options = LoadOptions {
            set: vec![(key.into(), wrong.into())],
            ..LoadOptions::default()
        };
        let model = Arc::new(Model::open(&directory, &options).unwrap());
        let backends = backends(&model.take_weights().unwrap(), on_gpu(case));
        test_each(backends, |loaded| {
            let failures = run(&model, &*loaded, &Expected::open(&directory));
            assert!(!failures.is_empty(), "{key} = {wrong} went unseen");
        });
    });
}
