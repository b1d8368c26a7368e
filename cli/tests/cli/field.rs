//! Checkpoints as users have them: what no published network has, names of another model, several
//! files, and models that are elsewhere.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::harness::{PUZZLE, Scratch, read, trm, trm_with};

const MODEL: &str = "models/sudoku-4x4/model.safetensors";
const LORA: &str = "L_level.layers.0.mlp.down_proj.lora_A.weight";

/// Returns a bundled model with a further tensor.
fn with_tensor(name: &str) -> Vec<u8> {
    let file = read(MODEL);
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    let zeros = vec![0; 4 * 64];
    let mut views: Vec<(String, TensorView<'_>)> = tensors.tensors();
    views.push((
        name.to_string(),
        TensorView::new(Dtype::F32, vec![1, 64], &zeros).unwrap(),
    ));
    let metadata = header.metadata().clone();
    safetensors::serialize(views, metadata).unwrap()
}

#[test]
fn unknown_parts_of_a_network_are_refused_by_every_command() {
    let scratch = Scratch::new();
    let model = scratch.file("adapted.safetensors", with_tensor(LORA));
    let data = "tests/data/puzzles/sudoku_4x4_test.csv";
    let tokens = [1u8, 0, 0, 0].repeat(16);
    let view = TensorView::new(Dtype::I32, vec![1, 16], &tokens).unwrap();
    let inputs = safetensors::serialize([("inputs", view)], None).unwrap();
    let inputs = scratch.file("in.safetensors", inputs);
    let output = scratch.path("out");
    let trace = scratch.path("trace.safetensors");
    let commands: Vec<Vec<&str>> = vec![
        vec!["--model", &model, "-"],
        vec!["--model", &model, "-", "-q"],
        vec!["--model", &model, "-", "--json"],
        vec!["inspect", &model],
        vec!["convert", &model, "-o", &output],
        vec!["eval", &model, "--data", data, "--limit", "1"],
        vec!["bench", &model],
        vec!["bench", "sudoku-4x4", "--against", &model],
        vec!["check", &model],
        vec![
            "trace", &model, "--inputs", &inputs, "--steps", "1", "-o", &trace,
        ],
    ];
    for args in &commands {
        let run = trm_with(args, PUZZLE.as_bytes()).expect(2);
        assert!(run.err.contains(LORA), "{args:?}: {}", run.err);
        assert!(
            run.err.contains("LoRA") && run.err.contains("merge"),
            "{}",
            run.err
        );
        assert!(
            run.err.contains("hint: --ignore-unknown-tensors"),
            "{}",
            run.err
        );
    }
    assert!(
        !std::path::Path::new(&output).exists(),
        "convert wrote something"
    );
    // With the switch every command goes on, and says what is left out.
    for args in &commands[..6] {
        let args = [args.as_slice(), &["--ignore-unknown-tensors"]].concat();
        let run = trm_with(&args, PUZZLE.as_bytes()).expect(0);
        let told = run.err.contains(LORA) && run.err.contains("another network");
        assert_eq!(told, !args.contains(&"-q"), "{args:?}: {}", run.err);
    }
    let converted = trm_with(&["--model", &output, "-"], PUZZLE.as_bytes()).expect(0);
    assert!(!converted.err.contains("unknown"), "{}", converted.err);
    let run = trm(&["inspect", &model, "--ignore-unknown-tensors", "--json"]).expect(0);
    let notes = run.json()[0]["notes"].to_string();
    assert!(notes.contains(LORA), "{notes}");
}

#[test]
fn names_of_another_arc_model_are_refused() {
    const SMALL: &str = "tests/data/arc/small";
    let names: Vec<Value> =
        serde_json::from_slice(&read(format!("{SMALL}/identifiers.json"))).unwrap();
    let (short, mut long, mut shifted) = (&names[..20], names.clone(), names.clone());
    long.insert(1, "00000000".into());
    shifted.rotate_left(1);
    let scratch = Scratch::new();
    for file in ["config.json", "model.safetensors"] {
        scratch.file(file, read(format!("{SMALL}/{file}")));
    }
    let (model, tasks) = (scratch.path("."), format!("{SMALL}/tasks.json"));
    let output = scratch.path("submission.json");
    for (names, words) in [
        (
            short,
            "names 20 rows, but the puzzle embedding of the model has 33",
        ),
        (&names[1..], "names 32 rows"),
        (&long[..], "names 34 rows"),
        (&shifted[..], "it must be <blank>"),
    ] {
        let text = serde_json::to_string(names).unwrap();
        let file = scratch.file("names.json", &text);
        // Given by an option, and beside the model.
        let _ = std::fs::remove_file(scratch.path("identifiers.json"));
        let arc = ["arc", &tasks, "--model", &model, "-o", &output];
        let run = trm(&[&arc[..], &["--identifiers", &file]].concat()).expect(2);
        assert!(run.err.contains(words), "{}", run.err);
        scratch.file("identifiers.json", &text);
        let eval = ["eval", &model, "--data", &tasks, "--task", "arc"];
        let solve = ["--model", &model, &tasks];
        for args in [&arc[..], &eval, &solve] {
            let run = trm(args).expect(2);
            assert!(run.err.contains(words), "{args:?}: {}", run.err);
            assert!(
                run.err.contains("identifiers.json"),
                "{args:?}: {}",
                run.err
            );
        }
        assert!(!std::path::Path::new(&output).exists());
    }
    // Stored predictions have no model to compare with, but the blank row is known.
    let shifted = serde_json::to_string(&shifted).unwrap();
    let file = scratch.file("names.json", shifted);
    let predictions = "tests/data/arc/predictions.safetensors";
    let run = trm(&[
        "arc",
        &tasks,
        "--predictions",
        predictions,
        "--identifiers",
        &file,
        "-o",
        &output,
    ])
    .expect(2);
    assert!(run.err.contains("it must be <blank>"), "{}", run.err);
}

#[test]
fn the_step_that_was_chosen_is_told() {
    let scratch = Scratch::new();
    let config = read("models/sudoku-4x4/config.json");
    for name in ["step_3", "step_20"] {
        scratch.file(name, read(MODEL));
    }
    scratch.file("config.json", config);
    let folder = scratch.path(".");
    let run = trm_with(&["--model", &folder, "-"], PUZZLE.as_bytes()).expect(0);
    assert!(run.err.contains("step_20 is used"), "{}", run.err);
    assert!(run.err.contains("step_3"), "{}", run.err);
    let run = trm(&["inspect", &folder]).expect(0);
    let note = run.out.lines().find(|line| line.starts_with("note"));
    assert!(
        note.is_some_and(|note| note.contains("step_20 is used")),
        "{}",
        run.out
    );
    let run = trm(&["inspect", &folder, "--json"]).expect(0);
    let record = &run.json()[0];
    assert!(
        record["file"].as_str().unwrap().ends_with("step_20"),
        "{record}"
    );
    let run = trm_with(&["--model", &folder, "-", "-q"], PUZZLE.as_bytes()).expect(0);
    assert!(run.err.is_empty(), "{}", run.err);
}

#[test]
fn inspect_names_the_source_of_stored_hyper_parameters() {
    let scratch = Scratch::new();
    let file = read(MODEL);
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    let config = header.metadata().clone().unwrap().remove("config").unwrap();
    let metadata = [("hyper_parameters".to_string(), config)];
    let metadata = metadata.into_iter().collect();
    let file = safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap();
    let model = scratch.file("model.safetensors", file);
    let run = trm(&["inspect", &model]).expect(0);
    let line = run
        .out
        .lines()
        .find(|line| line.trim().starts_with("L_cycles"));
    assert!(
        line.is_some_and(|line| line.contains("metadata \"hyper_parameters\" of the file")),
        "{}",
        run.out
    );
    trm_with(&["--model", &model, "-"], PUZZLE.as_bytes()).expect(0);
}

#[test]
fn a_model_that_is_elsewhere_gets_a_hint() {
    for (model, hint) in [
        (
            "some-user/trm-sudoku",
            "hf download some-user/trm-sudoku --local-dir trm-sudoku",
        ),
        (
            "hf://some-user/trm-sudoku",
            "hf download some-user/trm-sudoku",
        ),
        (
            "https://hub.example/m.safetensors",
            "curl -L -O https://hub.example/m.safetensors",
        ),
        (
            "http://hub.example/m.ckpt",
            "curl -L -O http://hub.example/m.ckpt",
        ),
    ] {
        for args in [&["--model", model, "-"][..], &["inspect", model]] {
            let run = trm_with(args, PUZZLE.as_bytes()).expect(2);
            assert!(run.err.contains(hint), "{args:?}: {}", run.err);
            assert!(run.err.contains(model), "{args:?}: {}", run.err);
        }
    }
    let run = trm(&["inspect", "sudoku-4x5"]).expect(2);
    assert!(
        run.err.contains("the bundled models are sudoku-4x4"),
        "{}",
        run.err
    );
    assert!(!run.err.contains("hint"), "{}", run.err);
}

#[test]
fn a_model_without_end_is_refused_at_once() {
    let start = std::time::Instant::now();
    let run = trm_with(
        &[
            "--model",
            "sudoku-4x4",
            "-",
            "--set",
            "halt_max_steps=1048576",
        ],
        PUZZLE.as_bytes(),
    )
    .expect(2);
    assert!(run.err.contains("halt_max_steps is 1048576"), "{}", run.err);
    assert!(
        run.err.contains("hint: give --set halt_max_steps=16"),
        "{}",
        run.err
    );
    assert!(start.elapsed().as_secs() < 5);
}
