//! `--model step.onnx` gives the same results as the checkpoint it was exported from.

use std::path::Path;

use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::harness::{PUZZLE, SOLUTION, Scratch, data, keys, read, trm, trm_with};

/// Returns a graph with its weights beside it.
fn graph(name: &str, checkpoint: &str) -> (Scratch, String) {
    let scratch = Scratch::new();
    let file = Path::new(checkpoint).file_name().unwrap().to_str().unwrap();
    scratch.file(file, read(checkpoint));
    let graph = scratch.file("step.onnx", read(format!("tests/data/onnx/{name}.onnx")));
    (scratch, graph)
}

fn sudoku() -> (Scratch, String) {
    graph("sudoku-4x4", "models/sudoku-4x4/model.safetensors")
}

#[test]
fn a_graph_answers_as_its_checkpoint_does() {
    let (_scratch, graph) = sudoku();
    let file = data("sudoku-4x4.csv");
    let solve = |model: &str| {
        trm(&[
            "--model", model, "--device", "cpu", "--json", "--steps", &file,
        ])
        .expect(0)
        .json()
    };
    let (ours, theirs) = (solve("models/sudoku-4x4"), solve(&graph));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(keys(ours), keys(theirs));
        for key in keys(ours) {
            match key {
                "ms" | "seconds" => {}
                "q_halt" | "halt_probability" => {
                    let [a, b] = [ours, theirs].map(|record| record[key].as_f64().unwrap());
                    assert!((a - b).abs() < 1e-2, "{key}: {a} {b}");
                }
                _ => assert_eq!(ours[key], theirs[key], "{key}"),
            }
        }
    }
}

#[test]
fn eval_and_effort_run_a_graph() {
    let (_scratch, graph) = sudoku();
    let file = data("sudoku-4x4.csv");
    let summary = trm(&["eval", &graph, "--data", &file, "--json"])
        .expect(0)
        .summary();
    assert_eq!(
        (&summary["exact"], &summary["device"]),
        (&1.0.into(), &"cpu".into())
    );
    let run = trm_with(
        &["--model", &graph, "--effort", "3", "--json", "-"],
        PUZZLE.as_bytes(),
    )
    .expect(0);
    assert_eq!(run.records("answer")[0]["answer"], SOLUTION);
}

#[test]
fn a_folder_may_hold_a_graph() {
    let (scratch, graph) = sudoku();
    let several = trm(&["inspect", &scratch.path("")]).expect(2).err;
    assert!(
        several.contains("model.safetensors, step.onnx"),
        "{several}"
    );
    let weights = ("model.safetensors", "model_safetensors");
    std::fs::rename(scratch.path(weights.0), scratch.path(weights.1)).unwrap();
    let bytes = std::fs::read(&graph).unwrap();
    std::fs::write(
        &graph,
        rename(bytes, weights.0.as_bytes(), weights.1.as_bytes()),
    )
    .unwrap();
    trm_with(&["--model", &scratch.path(""), "-"], PUZZLE.as_bytes()).expect(0);
}

#[test]
fn inspect_tells_what_is_known() {
    let (_scratch, graph) = sudoku();
    let object = &trm(&["inspect", &graph, "--json"]).expect(0).json()[0];
    assert_eq!(object["variant"], "ONNX graph with the states z_H, z_L");
    assert_eq!(
        (&object["parameters"], &object["gflop_per_step"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(object["config"]["seq_len"], 16);
    assert!(object["config"].get("H_cycles").is_none());
    let text = trm(&["inspect", &graph, "--plan"]).expect(0).out;
    assert!(
        text.contains("halt_max_steps") && text.contains("not available for an ONNX graph"),
        "{text}"
    );
}

#[test]
fn bench_times_a_graph_beside_its_checkpoint() {
    let (_scratch, graph) = sudoku();
    let run = trm(&[
        "bench",
        "models/sudoku-4x4",
        "--against",
        &graph,
        "--json",
        "--device",
        "cpu",
        "--dtype",
        "f32",
    ])
    .expect(0);
    let object = &run.json()[0];
    let against = &object["against"];
    assert_eq!(
        (&object["dtype"], &against["dtype"]),
        (&"f32".into(), &"ONNX".into())
    );
    assert_eq!(object["steps"], against["steps"]);
    assert!(against["step_ratio"].as_f64().unwrap() > 0.0);
    assert!(against["largest_difference"].as_f64().unwrap() < 1e-2);
    assert_eq!(against["gflop_per_step"], Value::Null);
    let alone = trm(&["bench", "models/sudoku-4x4", "--json"]).expect(0);
    assert!(alone.json()[0].get("against").is_none());
    let run = trm(&[
        "bench",
        "models/sudoku-4x4",
        "--against",
        "models/sudoku-6x6",
    ])
    .expect(2);
    assert!(run.err.contains("differ in size"), "{}", run.err);
}

#[test]
fn trace_gives_states_and_logits_but_no_embedding() {
    let case = "tests/data/golden/trm_mlp";
    let (scratch, graph) = graph("trm_mlp", &format!("{case}/step_100"));
    let bytes = read(format!("{case}/expected.safetensors"));
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    // From the state after the first step in PyTorch. Then the graph needs no initial state.
    let given = ["inputs", "puzzle_identifiers", "step1.z_H", "step1.z_L"];
    let views = given.map(|name| {
        (
            name.trim_start_matches("step1."),
            expected.tensor(name).unwrap(),
        )
    });
    let input = scratch.file(
        "in.safetensors",
        safetensors::serialize(views, None).unwrap(),
    );
    // Without initial states, and with the weights in a file that is not taken for a checkpoint.
    let bare = Scratch::new();
    bare.file("weights1", std::fs::read(scratch.path("step_100")).unwrap());
    let mut lone = std::fs::read(&graph).unwrap();
    for (from, to) in [
        ("H_init", "H_inix"),
        ("L_init", "L_inix"),
        ("step_100", "weights1"),
    ] {
        lone = rename(lone, from.as_bytes(), to.as_bytes());
    }
    let bare_graph = bare.file("step.onnx", lone);
    for model in [&graph, &bare_graph] {
        let output = scratch.path("out.safetensors");
        trm(&[
            "trace", model, "--inputs", &input, "--steps", "2", "-o", &output,
        ])
        .expect(0);
        let written = std::fs::read(&output).unwrap();
        let written = SafeTensors::deserialize(&written).unwrap();
        assert_eq!(written.names().len(), 2 * 5, "{:?}", written.names());
        for name in ["z_H", "z_L", "logits", "q_halt", "q_continue"] {
            let floats = |file: &SafeTensors<'_>, name: String| -> Vec<f32> {
                let data = file.tensor(&name).unwrap().data().to_vec();
                data.chunks_exact(4)
                    .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                    .collect()
            };
            let (ours, theirs) = (
                floats(&written, format!("step1.{name}")),
                floats(&expected, format!("step2.{name}")),
            );
            let worst = ours
                .iter()
                .zip(&theirs)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(
                ours.len() == theirs.len() && worst < 2e-4,
                "{name}: {worst:e}"
            );
        }
    }
    // Solving needs them.
    let tokens = json!({ "tokens": vec![1; 16] }).to_string();
    let run = trm_with(&["--model", &bare_graph, "-"], tokens.as_bytes()).expect(2);
    assert!(run.err.contains("H_init"), "{}", run.err);
}

/// Replaces a name wherever it occurs in a file.
fn rename(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..][..to.len()].copy_from_slice(to);
        }
    }
    bytes
}

#[test]
fn what_a_graph_does_not_do_is_an_error() {
    let (scratch, graph) = sudoku();
    let puzzle = scratch.file("puzzle.txt", PUZZLE);
    let cases: [(&[&str], &str); 5] = [
        (
            &["--model", &graph, "--device", "gpu", &puzzle],
            "the CPU alone",
        ),
        (
            &["--model", &graph, "--dtype", "int8", &puzzle],
            "number format",
        ),
        (&["check", &graph], "ONNX graph"),
        (
            &["convert", &graph, "-o", &scratch.path("out")],
            "ONNX graph",
        ),
        (
            &[
                "eval",
                &graph,
                "--data",
                &data("sudoku-4x4.csv"),
                "--compare",
                "int8",
            ],
            "number format",
        ),
    ];
    for (args, part) in cases {
        let run = trm(args).expect(2);
        assert!(run.err.contains(part), "{args:?}: {}", run.err);
    }
    let damaged = scratch.file("damaged.onnx", &std::fs::read(&graph).unwrap()[..2000]);
    let run = trm(&["inspect", &damaged]).expect(2);
    assert!(
        run.err.contains("damaged.onnx") && run.err.contains("is damaged or cut short"),
        "{}",
        run.err
    );
}

/// Every hostile file ends in an error within 2 seconds of processor time and 2 GB of address
/// space, and without the text of a panic.
#[cfg(target_os = "linux")]
#[test]
fn hostile_files_take_neither_time_nor_memory() {
    let scratch = Scratch::new();
    for case in crate::onnx_hostile::cases() {
        let file = scratch.file("hostile.onnx", &case.file);
        let run = limited("2000000", &["inspect", &file]);
        assert_eq!(run.status.code(), Some(2), "{}: {run:?}", case.name);
        let text = String::from_utf8_lossy(&run.stderr);
        assert!(text.starts_with("error: "), "{}: {text}", case.name);
        assert!(!text.contains("panicked"), "{}: {text}", case.name);
        for part in &case.says {
            assert!(
                text.contains(part),
                "{}: {part:?} is not in: {text}",
                case.name
            );
        }
    }
}

/// A graph at the limit of what may be computed while loading is read within 2 GB.
#[cfg(target_os = "linux")]
#[test]
fn loading_takes_bounded_memory() {
    use crate::onnx_file::{integers, node, step};
    let nodes = [
        node("ConstantOfShape", &["shape"], &["a"], &[]),
        node("Exp", &["a"], &["b"], &[]),
        node("ReduceMax", &["b"], &["y"], &[]),
    ];
    let file = step(&nodes, &[integers("shape", &[16_000_000])]);
    let scratch = Scratch::new();
    let run = limited("2000000", &["inspect", &scratch.file("limit.onnx", file)]);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
}

/// A token for which the graph has no row.
#[cfg(target_os = "linux")]
#[test]
fn panics_of_tract_are_errors_without_output() {
    use crate::onnx_file::{floats, node, step};
    let nodes = [node("Gather", &["rows", "inputs"], &["y"], &[])];
    let file = step(&nodes, &[floats("rows", &[2, 3], &[0.0; 6])]);
    let scratch = Scratch::new();
    let graph = scratch.file("step.onnx", file);
    let args = ["--model", &graph, "-", "--task", "tokens"];
    trm_with(&args, br#"{"tokens":[0,1,0,1]}"#).expect(0);
    let run = trm_with(&args, br#"{"tokens":[0,1,0,5]}"#).expect(2);
    assert_eq!(
        run.err,
        "error: tract could not run the graph: it met an internal error; the file is damaged, or uses \
         unsupported operations\n"
    );
}

/// Runs the program with 2 seconds of processor time, and a limit of its address space in kB.
#[cfg(target_os = "linux")]
fn limited(kilobytes: &str, args: &[&str]) -> std::process::Output {
    let script = r#"ulimit -t 2 && ulimit -v "$0" && exec "$@""#;
    std::process::Command::new("sh")
        .args(["-c", script, kilobytes, env!("CARGO_BIN_EXE_trm-run")])
        .args(args)
        .output()
        .unwrap()
}
