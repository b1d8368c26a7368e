//! `arc` against the published rules, calculated by `tests/data/arc/make.py`, and against the
//! library, augmentation by augmentation.

use std::collections::HashMap;

use serde_json::{Value, json};
use trm_runtime::task::{Augmentation, Cells, Puzzle, TaskKind};
use trm_runtime::{HaltRule, Solver};

use crate::harness::{self, Noise, Run, Scratch, trm};

const CHALLENGES: &str = "tests/data/arc/challenges.json";
const SOLUTIONS: &str = "tests/data/arc/solutions.json";
const IDENTIFIERS: &str = "tests/data/arc/identifiers.json";

fn read(path: &str) -> Value {
    serde_json::from_slice(&harness::read(path)).unwrap()
}

/// Returns the votes of the stored predictions, and the submission.
fn stored(identifiers: &str, scratch: &Scratch) -> (Run, Value) {
    let output = scratch.path("submission.json");
    let run = trm(&[
        "arc",
        CHALLENGES,
        "--predictions",
        "tests/data/arc/predictions.safetensors",
        "--identifiers",
        identifiers,
        "--solutions",
        SOLUTIONS,
        "-o",
        &output,
        "--json",
    ])
    .expect(1);
    let submission = read(&output);
    (run, submission)
}

#[test]
fn stored_predictions_give_the_published_attempts_and_score() {
    let expected = read("tests/data/arc/expected.json");
    let (run, submission) = stored(IDENTIFIERS, &Scratch::new());
    assert_eq!(submission, expected["submission"]);
    let summary = run.summary();
    for (k, share) in expected["pass"].as_object().unwrap() {
        assert_eq!(summary["pass"][k], *share, "pass@{k}");
    }
    assert_eq!(summary["unknown"], 1);
    assert!(
        run.err.contains(expected["unknown"].as_str().unwrap()),
        "{}",
        run.err
    );
    assert!(
        run.err.contains("2 predictions belong to no test input"),
        "{}",
        run.err
    );
    assert_eq!(
        run.records("answer").len(),
        summary["puzzles"].as_u64().unwrap() as usize
    );

    // A planted bug: a quarter turn the wrong way.
    let scratch = Scratch::new();
    let turned = read(IDENTIFIERS).to_string().replace("t1|||", "t9|||");
    let turned = turned.replace("t3|||", "t1|||").replace("t9|||", "t3|||");
    let (_, wrong) = stored(&scratch.file("identifiers.json", turned), &scratch);
    assert_ne!(wrong, expected["submission"]);
}

#[test]
fn a_score_over_a_part_of_the_tasks_says_so() {
    let scratch = Scratch::new();
    let output = scratch.path("submission.json");
    let all = read(SOLUTIONS);
    let all = all.as_object().unwrap();
    let run = |solutions: &Value, json: &[&str]| {
        let file = scratch.file("solutions.json", solutions.to_string());
        let args = [
            "arc",
            CHALLENGES,
            "--predictions",
            "tests/data/arc/predictions.safetensors",
            "--identifiers",
            IDENTIFIERS,
            "--solutions",
            &file,
            "-o",
            &output,
        ];
        trm(&[&args[..], json].concat())
    };
    let (name, outputs) = all.iter().next().unwrap();
    let tasks = read(CHALLENGES).as_object().unwrap().len();
    let mut part = json!({});
    part[name] = outputs.clone();
    // Floats, rows as strings, and a task of somebody else.
    part["ffffffff"] = json!([[[1]]]);
    let table = run(&part, &[]).expect(1);
    assert!(
        table.out.contains(&format!("scored 1 of {tasks} tasks")),
        "{}",
        table.out
    );
    assert!(
        table
            .err
            .contains("1 solutions belong to no task of the input: ffffffff")
    );
    assert_eq!(run(&part, &["--json"]).expect(1).summary()["scored"], 1);
    let floats = outputs.to_string().replace(['0'], "0.0");
    let mut whole = json!({});
    whole[name] = serde_json::from_str(&floats).unwrap();
    assert_eq!(run(&whole, &["--json"]).expect(1).summary()["scored"], 1);
    let full = run(&read(SOLUTIONS), &["--json"]).expect(1);
    assert_eq!(full.summary()["scored"], all.len());
    // Solutions that are no grids, or too many of them.
    for (wrong, expected) in [
        (
            json!([[[1, 2], [3]]]),
            "output 1: row 2 has 1 cells, but row 1 has 2",
        ),
        (json!([[[1, 10]]]), "10 in row 1, column 2 is not a colour"),
        (json!([[[1.5]]]), "1.5 in row 1, column 1 is not a colour"),
        (json!([[]]), "has 0 rows"),
        (json!({"a": 1}), "expected a list of grids"),
        (
            json!([[[1]], [[1]], [[1]], [[1]], [[1]]]),
            "has 5 outputs, but the task has",
        ),
    ] {
        let mut solutions = json!({});
        solutions[name] = wrong;
        let run = run(&solutions, &[]).expect(2);
        assert!(
            run.err.contains(expected) && run.err.contains(name),
            "{}",
            run.err
        );
    }
    let run = run(&json!({"ffffffff": [[[1]]]}), &[]).expect(2);
    assert!(
        run.err.contains("none of the tasks; it has ffffffff"),
        "{}",
        run.err
    );
}

#[test]
fn an_invalid_grid_is_an_error() {
    let scratch = Scratch::new();
    let (file, output) = (model(&scratch), scratch.path("submission.json"));
    for (grid, why) in [
        (
            "[[1, 2], [3]]",
            "row 2 of the grid has 1 cells, but row 1 has 2",
        ),
        (
            "[[1, 10]]",
            "10 in row 1, column 2 of the grid is not a colour",
        ),
        ("[[1,1,1,1,1,1,1,1,1,1,1,1,1]]", "takes 1 x 1 to 12 x 12"),
    ] {
        let task = format!(r#"{{"007bbfb7": {{"train": [], "test": [{{"input": {grid}}}]}}}}"#);
        let task = scratch.file("task.json", task);
        let run = trm(&[
            "arc", &task, "--model", &file, "--device", "cpu", "-o", &output,
        ])
        .expect(2);
        assert!(run.err.contains(why), "{}", run.err);
        assert!(!std::path::Path::new(&output).exists());
    }
}

#[test]
fn without_identifiers_stored_predictions_mean_nothing() {
    let output = Scratch::new().path("submission.json");
    let predictions = "tests/data/arc/predictions.safetensors";
    let run = trm(&[
        "arc",
        CHALLENGES,
        "--predictions",
        predictions,
        "-o",
        &output,
    ])
    .expect(2);
    assert!(run.err.contains("--identifiers"), "{}", run.err);
    let run = trm(&["arc", CHALLENGES, "-o", &output]).expect(2);
    assert!(run.err.contains("no model"), "{}", run.err);
}

/// Negative numbers and fractions are not taken for the nearest token or identifier.
#[test]
fn predictions_that_are_not_integers_are_an_error() {
    let scratch = Scratch::new();
    let original = harness::read("tests/data/arc/predictions.safetensors");
    let header_end = 8 + u64::from_le_bytes(original[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(original[8..header_end].to_vec()).unwrap();
    let offset = |name: &str| {
        let header: Value = serde_json::from_str(&header).unwrap();
        header_end + header[name]["data_offsets"][0].as_u64().unwrap() as usize
    };
    for (name, from, to, bytes, why) in [
        ("puzzle_identifiers", "I32", "I32", vec![0xff; 4], "-1;"),
        (
            "puzzle_identifiers",
            "I32",
            "F32",
            1.5_f32.to_le_bytes().to_vec(),
            "1.5;",
        ),
        (
            "preds",
            "U8",
            "I8",
            vec![0xff; 65 * 144],
            "row 0: has the value -1;",
        ),
    ] {
        let mut file = original.clone();
        let dtype = |dtype: &str| format!("\"{name}\":{{\"dtype\":\"{dtype}\"");
        let changed = header.replace(&dtype(from), &dtype(to));
        file[8..header_end].copy_from_slice(changed.as_bytes());
        file[offset(name)..][..bytes.len()].copy_from_slice(&bytes);
        let predictions = scratch.file("predictions.safetensors", file);
        let output = scratch.path("submission.json");
        let run = trm(&[
            "arc",
            CHALLENGES,
            "--predictions",
            &predictions,
            "--identifiers",
            IDENTIFIERS,
            "-o",
            &output,
        ])
        .expect(2);
        for part in [&predictions, name, why, "expected an integer from 0"] {
            assert!(run.err.contains(part), "{part}: {}", run.err);
        }
        assert!(!std::path::Path::new(&output).exists());
    }
}

#[test]
fn another_kind_of_file_is_an_error() {
    let scratch = Scratch::new();
    let output = scratch.path("submission.json");
    let model = "models/sudoku-4x4/model.safetensors";
    let run = trm(&[
        "arc",
        CHALLENGES,
        "--predictions",
        model,
        "--identifiers",
        IDENTIFIERS,
        "-o",
        &output,
    ])
    .expect(2);
    assert!(run.err.contains("has no tensor \"inputs\""), "{}", run.err);
    let run = trm(&[
        "arc",
        "examples/puzzles/sudoku-4x4.json",
        "--model",
        "sudoku-4x4",
        "-o",
        &output,
    ])
    .expect(2);
    assert!(run.err.contains("not an ARC task"), "{}", run.err);
    let solutions = scratch.file("solutions.json", "{\"007bbfb7\": []}");
    let run = trm(&[
        "arc",
        CHALLENGES,
        "--model",
        "sudoku-4x4",
        "--solutions",
        &solutions,
        "-o",
        &output,
    ])
    .expect(2);
    assert!(
        run.err
            .contains("0 outputs, but the task has 1 test inputs"),
        "{}",
        run.err
    );
    assert!(!std::path::Path::new(&output).exists());
}

/// Writes an ARC model with random weights and a canvas of 12 x 12 that knows the tasks of the test
/// data.
fn model(scratch: &Scratch) -> String {
    const D: usize = 32;
    let rows = read(IDENTIFIERS).as_array().unwrap().len();
    let mut noise = Noise(7);
    let block = |name: &str| format!("L_level.layers.0.{name}.weight");
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = [
        ("H_init".to_string(), vec![D]),
        ("L_init".into(), vec![D]),
        ("embed_tokens.embedding_weight".into(), vec![12, D]),
        ("lm_head.weight".into(), vec![12, D]),
        ("q_head.weight".into(), vec![2, D]),
        ("q_head.bias".into(), vec![2]),
        (block("self_attn.qkv_proj"), vec![3 * D, D]),
        (block("self_attn.o_proj"), vec![D, D]),
        (block("mlp.gate_up_proj"), vec![512, D]),
        (block("mlp.down_proj"), vec![D, 256]),
        ("puzzle_emb.weights".into(), vec![rows, D]),
    ]
    .into_iter()
    .map(|(name, shape)| (name, shape.clone(), noise.bytes(shape.iter().product())))
    .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name, view.unwrap())
    });
    let file = scratch.file(
        "model.safetensors",
        safetensors::serialize(views, None).unwrap(),
    );
    let config = json!({
        "format_version": 1, "task": "arc", "H_cycles": 1, "L_cycles": 1, "num_heads": 2, "expansion": 4, "pos_encodings": "rope",
        "puzzle_emb_ndim": D, "puzzle_emb_len": 1, "no_ACT_continue": true, "halt_max_steps": 3, "seq_len": 144,
    });
    scratch.file("config.json", config.to_string());
    scratch.file("identifiers.json", harness::read(IDENTIFIERS));
    file
}

#[test]
fn a_model_answers_every_augmentation_that_it_knows() {
    let scratch = Scratch::new();
    let file = model(&scratch);
    let output = scratch.path("submission.json");
    let run = |more: &[&str]| {
        let args = [
            &[
                "arc", CHALLENGES, "--model", &file, "--device", "cpu", "-o", &output, "--json",
            ],
            more,
        ]
        .concat();
        let run = trm(&args).expect(1);
        (run.summary(), run.records("answer"), read(&output))
    };
    let (summary, answers, submission) = run(&[]);
    // Five tasks with 9 rows each, one of them with another test input. Nothing for the unknown
    // task.
    let tests: usize = read(CHALLENGES)
        .as_object()
        .unwrap()
        .values()
        .map(|t| t["test"].as_array().unwrap().len())
        .sum();
    assert_eq!(summary["predictions"], 9 * (tests - 1));
    assert_eq!(answers.len(), tests);

    // The same by hand: every augmentation solved alone, by all steps, and counted by its text.
    let solver = Solver::builder()
        .halt_rule(HaltRule::Never)
        .kind(TaskKind::Arc)
        .device(trm_runtime::Device::Cpu)
        .open(&file)
        .unwrap();
    let name = "007bbfb7";
    let test: Vec<Vec<i64>> =
        serde_json::from_value(read(CHALLENGES)[name]["test"][0]["input"].clone()).unwrap();
    let mut pooled: HashMap<String, (usize, f64, usize)> = HashMap::new();
    for (row, identifier) in read(IDENTIFIERS).as_array().unwrap().iter().enumerate() {
        let identifier = identifier.as_str().unwrap();
        let form: Augmentation = match identifier.split_once("|||") {
            None if identifier == name => Augmentation::IDENTITY,
            Some((task, form)) if task == name => form.parse().unwrap(),
            _ => continue,
        };
        let mut puzzle = Puzzle::from(Cells::Grid(form.apply(&test)));
        puzzle.puzzle_id = Some(row as u32);
        let answer = solver.solve(&puzzle).unwrap();
        assert_eq!(answer.steps, 3);
        let Cells::Grid(grid) = &answer.cells else {
            panic!("{answer:?}")
        };
        let order = pooled.len();
        let entry = pooled
            .entry(json!(form.undo(grid)).to_string())
            .or_insert((0, 0.0, order));
        entry.0 += 1;
        entry.1 += f64::from(answer.halt_probability);
    }
    let mut ranked: Vec<_> = pooled
        .iter()
        .map(|(grid, (n, sum, order))| (*n, sum / *n as f64, usize::MAX - order, grid))
        .collect();
    ranked.sort_by(|a, b| b.partial_cmp(a).unwrap());
    assert!(ranked.len() > 1);
    assert_eq!(submission[name][0]["attempt_1"].to_string(), *ranked[0].3);
    assert_eq!(submission[name][0]["attempt_2"].to_string(), *ranked[1].3);

    let (few, _, _) = run(&["--augment", "2", "--batch", "3"]);
    assert_eq!(few["predictions"], 2 * (tests - 1));
    let (_, _, again) = run(&["--batch", "5", "--threads", "1"]);
    assert_eq!(again, submission, "whatever the batch");
}

/// A model that was trained for minutes on eight tasks makes the attempts that PyTorch makes.
#[test]
fn a_trained_model_hands_in_what_pytorch_does() {
    const SMALL: &str = "tests/data/arc/small";
    let scratch = Scratch::new();
    let output = scratch.path("submission.json");
    let file = |name: &str| format!("{SMALL}/{name}");
    let run = trm(&[
        "arc",
        &file("tasks.json"),
        "--model",
        SMALL,
        "--solutions",
        &file("solutions.json"),
        "-o",
        &output,
        "--device",
        "cpu",
        "--json",
    ])
    .expect(0);
    let (ours, theirs) = (read(&output), read(&file("submission.json")));
    assert_eq!(ours, theirs);
    let summary = run.summary();
    // The score of the attempts of PyTorch.
    let solutions = read(&file("solutions.json"));
    let right = |task: &str, attempts: usize| {
        let tests = solutions[task]
            .as_array()
            .unwrap()
            .iter()
            .zip(theirs[task].as_array().unwrap());
        tests
            .map(|(solution, made)| {
                (1..=attempts).any(|k| made[format!("attempt_{k}")] == *solution)
            })
            .map(|right| f64::from(u8::from(right)))
            .sum::<f64>()
            / solutions[task].as_array().unwrap().len() as f64
    };
    for attempts in [1, 2] {
        let tasks = solutions.as_object().unwrap();
        let share =
            tasks.keys().map(|task| right(task, attempts)).sum::<f64>() / tasks.len() as f64;
        assert!(share > 0.0, "it has learnt nothing");
        let told = summary["pass"][attempts.to_string()].as_f64().unwrap();
        assert!(
            (told - share).abs() < 1e-6,
            "pass@{attempts}: {told}, {share}"
        );
    }
}
