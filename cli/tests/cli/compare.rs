//! `eval --compare`: what a weight dtype changes, also where a dtype cannot hold a model.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;

use crate::harness::*;

/// Returns the comparisons of a run on the CPU by dtype, and its summary.
fn compare(model: &str, csv: &str, more: &[&str]) -> (Vec<Value>, Value) {
    let csv = data(csv);
    let all = [
        "eval",
        model,
        "--data",
        &csv,
        "--compare",
        "f32",
        "--device",
        "cpu",
        "--json",
    ];
    let run = trm(&[&all[..], more].concat()).expect(0);
    (run.records("comparison"), run.summary())
}

/// Returns the mean and the least cosine after each step.
fn cosines(comparison: &Value) -> Vec<(f64, f64)> {
    let steps = comparison["cosine"].as_array().unwrap().iter();
    steps
        .map(|s| (s["mean"].as_f64().unwrap(), s["least"].as_f64().unwrap()))
        .collect()
}

#[test]
fn a_dtype_does_not_differ_from_itself() {
    let more = [
        "--dtype",
        "f32",
        "--limit",
        "5",
        "--max-steps",
        "3",
        "--no-halt",
    ];
    let (comparisons, summary) = compare(&model("sudoku-6x6"), "sudoku-6x6.csv", &more);
    let [same] = &comparisons[..] else {
        panic!("{comparisons:?}")
    };
    assert_eq!(
        (
            &same["halt_agreement"],
            &same["answers_differ"],
            &same["points"]
        ),
        (&1.0.into(), &0.into(), &0.0.into())
    );
    assert_eq!(cosines(same), [(1.0, 1.0); 3]);
    assert_eq!(same["exact"], same["baseline"]["exact"]);
    assert_eq!(same["exact"], summary["exact"]);
}

#[test]
fn every_dtype_is_compared_in_the_promised_fields() {
    let (comparisons, summary) = compare(&model("sudoku-4x4"), "sudoku-4x4.csv", &["--limit", "6"]);
    let formats: Vec<_> = comparisons.iter().map(|c| c["dtype"].clone()).collect();
    assert_eq!(formats, ["f16", "bf16", "int8"]);
    for comparison in &comparisons {
        let promised = [
            "type",
            "dtype",
            "device",
            "puzzles",
            "exact",
            "valid",
            "mean_steps",
            "halted",
            "points",
            "gained",
            "lost",
            "halt_agreement",
            "answers_differ",
            "cosine",
            "baseline",
            "halt",
            "schema",
        ];
        assert_eq!(keys(comparison), promised);
        assert_eq!(
            (
                &comparison["puzzles"],
                &comparison["exact"],
                &comparison["halt"]
            ),
            (&6.into(), &1.0.into(), &"head".into())
        );
        let baseline = &comparison["baseline"];
        let promised = ["dtype", "device", "exact", "valid", "mean_steps", "halted"];
        assert_eq!(keys(baseline), promised);
        assert_eq!(
            (&baseline["dtype"], &baseline["exact"]),
            (&"f32".into(), &1.0.into())
        );
        // All six end after the first step.
        let cosine = &comparison["cosine"][0];
        assert_eq!(keys(cosine), ["step", "puzzles", "mean", "least"]);
        assert_eq!(
            (&cosine["step"], &cosine["puzzles"]),
            (&1.into(), &6.into())
        );
        let (mean, least) = cosines(comparison)[0];
        // The file itself is in f16.
        let same = comparison["dtype"] == "f16";
        assert!(
            least <= mean && (mean == 1.0) == same && least > 0.99,
            "{comparison}"
        );
    }
    // Fewer bits, larger differences.
    let mean = |i: usize| cosines(&comparisons[i])[0].0;
    assert!(mean(0) > mean(1) && mean(1) > mean(2), "{comparisons:?}");
    // The summary is that of a run without comparison.
    assert_eq!(
        (&summary["puzzles"], &summary["dtype"]),
        (&6.into(), &"f32".into())
    );
    // The output without --json.
    let (model, csv) = (model("sudoku-4x4"), data("sudoku-4x4.csv"));
    let run = trm(&[
        "eval",
        &model,
        "--data",
        &csv,
        "--limit",
        "2",
        "--compare",
        "int8",
    ])
    .expect(0);
    for word in [
        "sudoku-4x4.csv",
        "\nf32",
        "\nint8",
        "halt alike",
        "cosine similarity of",
        "   1  0.99",
    ] {
        assert!(run.out.contains(word), "{word} in {}", run.out);
    }
    let run = trm(&["eval", &model, "--data", &csv, "--compare", "int4"]).expect(2);
    assert!(
        run.err.contains("int4") && run.err.contains("bf16"),
        "{run:#?}"
    );
}

#[test]
fn a_comparison_marks_what_runs_without_one() {
    for dtype in ["f32", "int8"] {
        let more = ["--dtype", dtype, "--batch", "7", "--halt", "verified"];
        let (comparisons, summary) = compare(&model("sudoku-6x6"), "sudoku-6x6.csv", &more);
        let (model, csv) = (model("sudoku-6x6"), data("sudoku-6x6.csv"));
        let alone = ["eval", &model, "--data", &csv, "--device", "cpu", "--json"];
        let alone = trm(&[&alone[..], &more].concat()).expect(0).summary();
        for key in keys(&alone) {
            if !["seconds", "puzzles_per_s"].contains(&key) {
                assert_eq!(summary[key], alone[key], "{key}");
            }
        }
        for key in ["exact", "valid", "mean_steps", "halted"] {
            assert_eq!(comparisons[0][key], alone[key], "{key}");
        }
    }
}

/// Returns the states after two steps of the first puzzles of a file, `[puzzle][step]`, from
/// `trace`.
fn traced(model: &str, inputs: &str, dtype: &str, scratch: &Scratch) -> Vec<Vec<Vec<f32>>> {
    let out = scratch.path("traced");
    let steps = [
        "--steps", "2", "-o", &out, "--dtype", dtype, "--device", "cpu",
    ];
    trm(&[&["trace", model, "--inputs", inputs][..], &steps].concat()).expect(0);
    let bytes = std::fs::read(&out).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let states = |puzzle: usize, step: usize| {
        let names = ["z_H", "z_L"].map(|z| format!("step{step}.{z}"));
        let tensors = names.iter().flat_map(|name| {
            let tensor = all.tensor(name).unwrap();
            let row = tensor.data().len() / tensor.shape()[0];
            tensor.data()[puzzle * row..][..row].to_vec()
        });
        let bytes: Vec<u8> = tensors.collect();
        let numbers = bytes.as_chunks().0.iter();
        numbers.map(|b| f32::from_le_bytes(*b)).collect()
    };
    (0..3)
        .map(|puzzle| (1..=2).map(|step| states(puzzle, step)).collect())
        .collect()
}

#[test]
fn the_cosine_is_that_of_the_states_that_trace_writes() {
    let scratch = Scratch::new();
    let name = model("sudoku-4x4");
    let csv = std::fs::read_to_string(data("sudoku-4x4.csv")).unwrap();
    let tokens: Vec<u8> = csv
        .lines()
        .skip(1)
        .take(3)
        .flat_map(|line| line.split(',').next().unwrap().bytes())
        .flat_map(|b| (i32::from(b - b'0') + 1).to_le_bytes())
        .collect();
    let inputs = TensorView::new(Dtype::I32, vec![3, 16], &tokens).unwrap();
    let inputs = scratch.file("inputs", serialize([("inputs", inputs)], None).unwrap());
    let more = [
        "--limit",
        "3",
        "--no-halt",
        "--max-steps",
        "2",
        "--batch",
        "2",
    ];
    let (comparisons, _) = compare(&name, "sudoku-4x4.csv", &more);
    let exact = traced(&name, &inputs, "f32", &scratch);
    for comparison in &comparisons {
        let rounded = traced(
            &name,
            &inputs,
            comparison["dtype"].as_str().unwrap(),
            &scratch,
        );
        for (step, (mean, least)) in cosines(comparison).into_iter().enumerate() {
            let cosine = |puzzle: usize| {
                let (a, b) = (&exact[puzzle][step], &rounded[puzzle][step]);
                let dot = |a: &[f32], b: &[f32]| {
                    a.iter()
                        .zip(b)
                        .map(|(a, b)| f64::from(*a) * f64::from(*b))
                        .sum::<f64>()
                };
                dot(a, b) / dot(a, a).sqrt() / dot(b, b).sqrt()
            };
            let all = [0, 1, 2].map(cosine);
            assert!(
                (mean - all.iter().sum::<f64>() / 3.0).abs() < 1e-9,
                "{all:?}, {comparison}"
            );
            let lowest = all.into_iter().fold(1.0, f64::min);
            assert!((least - lowest).abs() < 1e-9, "{all:?}, {comparison}");
        }
    }
}

/// Writes the 6x6 Sudoku model with one hidden unit of a block divided by 4096, and the weights of
/// the next matrix for it multiplied by as much. In f32 the model is the same to the last bit. In
/// int8 the scale of each row of the next matrix is so coarse that all its other elements become 0.
fn impossible_in_int8(scratch: &Scratch) -> String {
    let folder = scratch.path("impossible");
    trm(&[
        "convert",
        &model("sudoku-6x6"),
        "-o",
        &folder,
        "--dtype",
        "f32",
    ])
    .expect(0);
    let bytes = std::fs::read(format!("{folder}/model.safetensors")).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let tensors: Vec<_> = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let planted: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let mut data = tensor.data().to_vec();
            let shape = tensor.shape().to_vec();
            let scale = |x: &mut [u8; 4], by: f32| *x = (f32::from_le_bytes(*x) * by).to_le_bytes();
            let numbers = data.as_chunks_mut().0;
            match name.as_str() {
                // The last of the rows that multiply the gate.
                "L_level.layers.1.mlp.gate_up_proj.weight" => {
                    let row = numbers.len() - shape[1];
                    numbers[row..]
                        .iter_mut()
                        .for_each(|x| scale(x, 1.0 / 4096.0));
                }
                "L_level.layers.1.mlp.down_proj.weight" => {
                    let last = numbers.iter_mut().skip(shape[1] - 1).step_by(shape[1]);
                    last.for_each(|x| scale(x, 4096.0));
                }
                _ => {}
            }
            (name.clone(), shape, data)
        })
        .collect();
    let views = planted.iter().map(|(name, shape, data)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), data).unwrap(),
        )
    });
    let file = serialize(views, metadata.metadata().clone()).unwrap();
    std::fs::write(format!("{folder}/model.safetensors"), file).unwrap();
    folder
}

#[test]
fn what_a_dtype_cannot_hold_is_seen() {
    let scratch = Scratch::new();
    let csv = "sudoku-6x6.csv";
    let (whole, summary) = compare(&model("sudoku-6x6"), csv, &["--limit", "20"]);
    let (planted, same) = compare(&impossible_in_int8(&scratch), csv, &["--limit", "20"]);
    for key in ["exact", "cell", "mean_steps"] {
        assert_eq!(same[key], summary[key], "{key}");
    }
    for (whole, planted) in whole.iter().zip(&planted) {
        let (whole_mean, _) = cosines(whole)[0];
        let (mean, least) = cosines(planted)[0];
        if planted["dtype"] == "int8" {
            assert!(
                whole_mean > 0.999 && mean < 0.99 && least < mean,
                "{planted}"
            );
            assert!(
                planted["halt_agreement"].as_f64().unwrap() < 0.9,
                "{planted}"
            );
            assert!(planted["answers_differ"].as_u64().unwrap() > 0, "{planted}");
            assert!(planted["points"].as_f64().unwrap() < -5.0, "{planted}");
            let count = |key: &str| planted[key].as_f64().unwrap();
            assert!(count("lost") > count("gained"), "{planted}");
            assert!((count("gained") - count("lost") - count("points") / 5.0).abs() < 1e-9);
        } else {
            assert!(mean > 0.9999, "{planted}");
            assert_eq!(planted["answers_differ"], 0, "{planted}");
        }
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_prints_the_comparison_so_far() {
    use std::io::Write;
    let args = ["--data", "-", "--compare", "f32", "--batch", "1", "--json"];
    let mut child = program(&[&["eval", &model("sudoku-4x4")][..], &args].concat())
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let good = format!("{{\"puzzle\":\"{PUZZLE}\",\"solution\":\"{SOLUTION}\"}}");
    // The error of the record comes after the first puzzle has ended.
    writeln!(stdin, "{good}\n{{\"puzzle\":\"{PUZZLE}\"}}").unwrap();
    let run = interrupt(child);
    assert!(
        run.out.lines().next().unwrap().contains("no solution"),
        "{}",
        run.out
    );
    let run = run.expect(130);
    let comparisons = run.records("comparison");
    assert_eq!(comparisons.len(), 3);
    assert!(
        comparisons
            .iter()
            .all(|c| c["puzzles"] == 1 && c["exact"] == 1.0)
    );
    assert_eq!(run.summary()["puzzles"], 1);
    drop(stdin);
}

#[test]
fn puzzles_of_several_sizes_are_compared_size_by_size() {
    let scratch = Scratch::new();
    let folder = scratch.path("any");
    std::fs::create_dir(&folder).unwrap();
    let from = model("maze-10x10");
    let weights = read(format!("{from}/model.safetensors"));
    std::fs::write(format!("{folder}/model.safetensors"), weights).unwrap();
    let mut config: Value = serde_json::from_slice(&read(format!("{from}/config.json"))).unwrap();
    config["seq_len"] = Value::Null;
    std::fs::write(format!("{folder}/config.json"), config.to_string()).unwrap();
    let record = |rows: &[&str], solved: &[&str]| {
        serde_json::json!({ "puzzle": rows, "solution": solved }).to_string()
    };
    let small = record(&["S  ", "## ", "G  "], &["Soo", "##o", "Goo"]);
    let large = record(
        &["S   ", "### ", "G   ", "    "],
        &["Sooo", "###o", "Gooo", "    "],
    );
    let input = [&small, &large, &small, &small, &large].map(|s| format!("{s}\n"));
    let args = [
        "--data",
        "-",
        "--compare",
        "f32",
        "--max-steps",
        "2",
        "--json",
    ];
    let run = trm_with(
        &[&["eval", &folder][..], &args].concat(),
        input.concat().as_bytes(),
    )
    .expect(0);
    for comparison in run.records("comparison") {
        assert_eq!(comparison["puzzles"], 5, "{comparison}");
        assert_eq!(comparison["cosine"][0]["puzzles"], 5, "{comparison}");
    }
    assert_eq!(run.summary()["puzzles"], 5);
}
