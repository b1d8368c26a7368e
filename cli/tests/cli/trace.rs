//! `trace` against PyTorch: states, logits and halting logits, from tokens and from a stored state.

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::harness::{Scratch, read, trm};

/// Absolute tolerance of states and logits.
const TOLERANCE: f32 = 2e-4;

/// The cases of `tests/data/golden`.
const CASES: [&str; 10] = [
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

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (values, _) = tensor.data().as_chunks();
    values.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn trace_gives_what_pytorch_computed() {
    let scratch = Scratch::new();
    let output = scratch.path("out.safetensors");
    for case in CASES {
        let folder = format!("tests/data/golden/{case}");
        let bytes = read(format!("{folder}/expected.safetensors"));
        let expected = SafeTensors::deserialize(&bytes).unwrap();
        for from in 0..2 {
            let given = |name: &&str| match name.split_once('.') {
                None => *name != "input_embedding",
                Some((step, what)) => from == 1 && step == "step1" && what.starts_with('z'),
            };
            let given = expected.names().into_iter().filter(given);
            let views: Vec<(&str, TensorView<'_>)> = given
                .map(|name| {
                    (
                        name.trim_start_matches("step1."),
                        expected.tensor(name).unwrap(),
                    )
                })
                .collect();
            let input = safetensors::serialize(views, None).unwrap();
            let input = scratch.file("in.safetensors", input);
            trm(&[
                "trace", "--steps", "1", "--inputs", &input, "-o", &output, &folder,
            ])
            .expect(0);
            let written = read(&output);
            let written = SafeTensors::deserialize(&written).unwrap();
            let mut compared = 0;
            for name in written.names() {
                let want = match name.strip_prefix("step1.") {
                    Some(what) => format!("step{}.{what}", from + 1),
                    None => name.to_string(),
                };
                let (got, want) = (floats(&written, name), floats(&expected, &want));
                assert_eq!(got.len(), want.len(), "{case}: {name}");
                let differences = got.iter().zip(&want).map(|(g, w)| (g - w).abs());
                let worst =
                    differences.fold(
                        0.0f32,
                        |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) },
                    );
                assert!(
                    worst <= TOLERANCE,
                    "{case}: {name} of step {} differs by {worst:e}",
                    from + 1
                );
                compared += 1;
            }
            assert!(compared >= 5, "{case}: {compared} tensors");
        }
    }
}
