//! The commands inspect, convert, trace, bench, devices, check, completions and man, and the help.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::json;

use crate::harness::*;

#[test]
fn inspect_tells_what_a_model_is() {
    let run = trm(&["inspect", &model("sudoku-9x9"), "--json"]).expect(0);
    let object = &run.json()[0];
    assert_eq!(run.out.lines().count(), 1);
    assert_eq!(object["parameters"], 523_906);
    assert_eq!(object["parameters_without_puzzle_emb"], 523_778);
    assert!((object["gflop_per_step"].as_f64().unwrap() - 0.7835).abs() < 1e-3);
    assert_eq!(object["hyper_parameters"]["L_cycles"]["value"], 3);
    assert!(
        object["hyper_parameters"]["L_cycles"]["from"]
            .as_str()
            .unwrap()
            .contains("config.json")
    );
    let tensors = object["tensors"].as_array().unwrap();
    let lm_head = tensors
        .iter()
        .find(|t| t["name"] == "lm_head.weight")
        .unwrap();
    assert_eq!(
        (&lm_head["shape"], &lm_head["dtype"], &lm_head["bytes"]),
        (&json!([11, 128]), &json!("F32"), &json!(5632))
    );
    let run = trm(&["inspect", "--model", &model("sudoku-9x9"), "--plan"]).expect(0);
    for word in [
        "L_cycles",
        "config.json",
        "523,906",
        "token_mix",
        "project_add_norm",
        "each refinement step",
    ] {
        assert!(run.out.contains(word), "{word} in {}", run.out);
    }
    trm(&["inspect"]).expect(2);
    trm(&["inspect", "README.md"]).expect(2);
}

#[test]
fn inspect_takes_hyper_parameters_by_hand() {
    let run = trm(&[
        "inspect",
        &model("sudoku-4x4"),
        "--set",
        "L_cycles=5",
        "--json",
    ])
    .expect(0);
    let cycles = &run.json()[0]["hyper_parameters"]["L_cycles"];
    assert_eq!(cycles["value"], 5);
    assert!(
        cycles["from"].as_str().unwrap().contains("--set"),
        "{cycles}"
    );
}

#[test]
fn convert_twice_gives_the_same_bytes_and_the_same_answers() {
    let scratch = Scratch::new();
    let (a, b) = (scratch.path("a"), scratch.path("b"));
    trm(&["convert", &model("sudoku-6x6"), "-o", &a]).expect(0);
    let run = trm(&["convert", &model("sudoku-6x6"), "-o", &b]).expect(0);
    assert!(
        run.err.contains("model.safetensors") && run.err.contains("config.json"),
        "{}",
        run.err
    );
    for name in ["config.json", "model.safetensors"] {
        let read = |dir: &str| std::fs::read(format!("{dir}/{name}")).unwrap();
        assert!(read(&a) == read(&b), "{name}");
    }
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(format!("{a}/config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["format_version"], &config["task"], &config["box"]),
        (&json!(1), &json!("sudoku"), &json!([2, 3]))
    );
    for key in [
        "H_cycles",
        "L_cycles",
        "vocab_size",
        "seq_len",
        "num_puzzle_identifiers",
        "dtype",
        "source",
    ] {
        assert!(!config[key].is_null(), "{key}");
    }
    let answers = |model: &str| -> Vec<_> {
        let run = trm(&["--model", model, "--json", &data("sudoku-6x6.csv")]);
        run.records("answer")
            .iter()
            .map(|a| (a["answer"].clone(), a["q_halt"].clone()))
            .collect()
    };
    assert_eq!(answers(&a), answers(&model("sudoku-6x6")));
    // The file holds its configuration.
    let alone = scratch.path("alone.safetensors");
    std::fs::copy(format!("{a}/model.safetensors"), &alone).unwrap();
    assert_eq!(answers(&alone), answers(&a));
}

#[test]
fn convert_follows_its_options() {
    let scratch = Scratch::new();
    let half = scratch.path("half");
    trm(&[
        "convert",
        &model("sudoku-4x4"),
        "-o",
        &half,
        "--dtype",
        "f16",
        "--task",
        "tokens",
        "--box",
        "4x1",
    ])
    .expect(0);
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(format!("{half}/config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["dtype"], &config["task"], &config["box"]),
        (&json!("f16"), &json!("tokens"), &json!([4, 1]))
    );
    let whole = scratch.path("whole");
    trm(&[
        "convert",
        &model("sudoku-4x4"),
        "-o",
        &whole,
        "--dtype",
        "f32",
    ])
    .expect(0);
    let size = |folder: &str| {
        std::fs::metadata(format!("{folder}/model.safetensors"))
            .unwrap()
            .len()
    };
    assert!(size(&half) < size(&whole) * 6 / 10);
    for bad in [
        &["--box", "9"][..],
        &["--dtype", "int4"],
        &["--puzzle-ids", "x"],
        &["--puzzle-ids", "5"],
    ] {
        trm(&[
            &[
                "convert",
                &model("sudoku-4x4"),
                "-o",
                &scratch.path("never"),
            ],
            bad,
        ]
        .concat())
        .expect(2);
    }
}

#[test]
fn a_model_stored_in_int8_is_small_and_solves_in_int8_unless_told() {
    let scratch = Scratch::new();
    let size = |folder: &str| {
        std::fs::metadata(format!("{folder}/model.safetensors"))
            .unwrap()
            .len() as f64
    };
    let whole = 4.0 * 450_818.0; // parameters in f32: the model itself is in f16
    for (dtype, most) in [("f32", 1.01), ("f16", 0.55), ("bf16", 0.55), ("int8", 0.30)] {
        let folder = scratch.path(dtype);
        let run = trm(&[
            "convert",
            &model("sudoku-6x6"),
            "-o",
            &folder,
            "--dtype",
            dtype,
            "--json",
        ])
        .expect(0);
        assert_eq!(run.json()[0]["dtype"], dtype);
        let share = size(&folder) / whole;
        assert!((most * 0.8..most).contains(&share), "{dtype}: {share}");
        let bench = |more: &[&str]| {
            let run =
                trm(&[&["bench", &folder, "--json", "--device", "cpu"], more].concat()).expect(0);
            let object = run.json().pop().unwrap();
            assert_eq!(object["dtype"], object["format"]);
            object["dtype"].clone()
        };
        if dtype == "int8" {
            assert_eq!(
                (bench(&[]), bench(&["--dtype", "f32"])),
                ("int8".into(), "f32".into())
            );
        }
    }
    // The same answers after the same steps as with weights that are rounded on loading.
    let csv = data("sudoku-6x6.csv");
    let eval = |model: &str, more: &[&str]| {
        let all = [
            &["eval", model, "--data", &csv, "--json", "--device", "cpu"],
            more,
        ]
        .concat();
        let summary = trm(&all).expect(0).summary();
        assert_eq!(summary["dtype"], "int8");
        ["exact", "cell", "mean_steps", "halted"].map(|key| summary[key].clone())
    };
    assert_eq!(
        eval(&scratch.path("int8"), &[]),
        eval(&model("sudoku-6x6"), &["--dtype", "int8"])
    );
    // Converting int8 to int8 loses nothing and stays int8.
    let again = scratch.path("again");
    trm(&["convert", &scratch.path("int8"), "-o", &again]).expect(0);
    let bytes = |folder: &str| std::fs::read(format!("{folder}/model.safetensors")).unwrap();
    assert!(bytes(&again) == bytes(&scratch.path("int8")));
    let inspect = |model: &str| {
        trm(&["inspect", model, "--json"])
            .expect(0)
            .json()
            .pop()
            .unwrap()
    };
    let (int8, f32) = (inspect(&again), inspect(&model("sudoku-6x6")));
    assert_eq!(int8["parameters"], f32["parameters"]);
    // Missing scales are an error. Under this name they count as the state of an optimizer.
    let mut damaged = bytes(&again);
    let at = damaged.windows(6).position(|w| w == b".scale").unwrap();
    damaged[at..at + 6].copy_from_slice(b".optim");
    let damaged = scratch.file("damaged.safetensors", damaged);
    let run = trm(&["inspect", &damaged]).expect(2);
    assert!(run.err.contains("scales"), "{run:#?}");
}

/// Writes an input of `trace`.
fn tensors(scratch: &Scratch, name: &str, list: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> String {
    let views = list.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
        )
    });
    scratch.file(name, serialize(views, None).unwrap())
}

fn i32s(values: impl IntoIterator<Item = i32>) -> Vec<u8> {
    values.into_iter().flat_map(i32::to_le_bytes).collect()
}

#[test]
fn trace_gives_states_logits_and_halting_values() {
    let scratch = Scratch::new();
    let tokens = || i32s((0..3).flat_map(|_| PUZZLE.bytes().map(|b| i32::from(b - b'0') + 1)));
    let input = tensors(
        &scratch,
        "in",
        &[("inputs", Dtype::I32, vec![3, 16], tokens())],
    );
    let out = scratch.path("out.safetensors");
    let model = model("sudoku-4x4");
    trm(&[
        "trace", &model, "--inputs", &input, "--steps", "2", "-o", &out, "--batch", "2",
    ])
    .expect(0);
    let bytes = std::fs::read(&out).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let shapes = [
        ("input_embedding", vec![3, 16, 64]),
        ("step1.z_H", vec![3, 16, 64]),
        ("step1.z_L", vec![3, 16, 64]),
        ("step1.logits", vec![3, 16, 6]),
        ("step1.q_halt", vec![3]),
        ("step1.q_continue", vec![3]),
        ("step2.z_H", vec![3, 16, 64]),
    ];
    assert_eq!(all.len(), 11);
    for (name, shape) in &shapes {
        let tensor = all.tensor(name).unwrap();
        assert_eq!(
            (tensor.shape(), tensor.dtype()),
            (&shape[..], Dtype::F32),
            "{name}"
        );
    }
    // The three sequences are the same puzzle, so they give the same numbers.
    let z = all.tensor("step2.z_H").unwrap().data();
    let third = z.len() / 3;
    assert!(z[..third] == z[third..2 * third] && z[..third] == z[2 * third..]);
    // From the states after step 1, one step gives step 2.
    let state = |name: &str| all.tensor(name).unwrap().data().to_vec();
    let shape = vec![3, 16, 64];
    let given = [
        ("inputs", Dtype::I32, vec![3, 16], tokens()),
        ("puzzle_identifiers", Dtype::I32, vec![3], i32s([0; 3])),
        ("z_H", Dtype::F32, shape.clone(), state("step1.z_H")),
        ("z_L", Dtype::F32, shape.clone(), state("step1.z_L")),
    ];
    let input = tensors(&scratch, "in2", &given);
    let next = scratch.path("next.safetensors");
    trm(&[
        "trace", &model, "--inputs", &input, "--steps", "1", "-o", &next,
    ])
    .expect(0);
    let bytes = std::fs::read(&next).unwrap();
    let again = SafeTensors::deserialize(&bytes).unwrap();
    for name in ["z_H", "z_L", "logits", "q_halt", "q_continue"] {
        let (a, b) = (
            again.tensor(&format!("step1.{name}")).unwrap(),
            all.tensor(&format!("step2.{name}")).unwrap(),
        );
        assert!(a.data() == b.data(), "{name}");
    }
    // The reference backend gives nearly the same.
    trm(&[
        "trace",
        &model,
        "--inputs",
        &input,
        "--steps",
        "1",
        "-o",
        &next,
        "--device",
        "reference",
    ])
    .expect(0);
    let bytes = std::fs::read(&next).unwrap();
    let oracle = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |bytes: &[u8]| {
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect::<Vec<f32>>()
    };
    let (a, b) = (
        oracle.tensor("step1.logits").unwrap(),
        all.tensor("step2.logits").unwrap(),
    );
    assert!(
        floats(a.data())
            .iter()
            .zip(floats(b.data()))
            .all(|(a, b)| (a - b).abs() < 2e-4)
    );
}

#[test]
fn inconsistent_inputs_of_trace_are_errors() {
    let scratch = Scratch::new();
    let good = || ("inputs", Dtype::I32, vec![1, 16], i32s([1; 16]));
    let floats = |n: usize| vec![0u8; 4 * n];
    let state = |name: &'static str, shape: Vec<usize>| {
        let n = shape.iter().product();
        (name, Dtype::F32, shape, floats(n))
    };
    let cases = [
        (
            "names",
            vec![("input", Dtype::I32, vec![1, 16], i32s([1; 16]))],
            "input",
        ),
        (
            "missing",
            vec![("puzzle_identifiers", Dtype::I32, vec![1], i32s([0]))],
            "inputs",
        ),
        (
            "shape",
            vec![("inputs", Dtype::I32, vec![16], i32s([1; 16]))],
            "[B, S]",
        ),
        (
            "empty",
            vec![("inputs", Dtype::I32, vec![0, 16], vec![])],
            "which is empty",
        ),
        (
            "dtype",
            vec![("inputs", Dtype::I64, vec![1, 16], vec![0; 128])],
            "I64",
        ),
        (
            "length",
            vec![("inputs", Dtype::I32, vec![1, 15], i32s([1; 15]))],
            "16",
        ),
        (
            "token",
            vec![("inputs", Dtype::I32, vec![1, 16], i32s([6; 16]))],
            "token 6",
        ),
        (
            "negative",
            vec![("inputs", Dtype::I32, vec![1, 16], i32s([-1; 16]))],
            "token -1",
        ),
        (
            "ids",
            vec![
                good(),
                ("puzzle_identifiers", Dtype::I32, vec![2], i32s([0; 2])),
            ],
            "puzzle_identifiers",
        ),
        (
            "negative id",
            vec![
                good(),
                ("puzzle_identifiers", Dtype::I32, vec![1], i32s([-1])),
            ],
            "puzzle_identifiers",
        ),
        ("half", vec![good(), state("z_H", vec![1, 16, 64])], "z_L"),
        (
            "state",
            vec![
                good(),
                state("z_H", vec![1, 16, 64]),
                state("z_L", vec![1, 16, 63]),
            ],
            "z_L",
        ),
    ];
    let out = scratch.path("never.safetensors");
    let model = model("sudoku-4x4");
    for (name, list, word) in cases {
        let input = tensors(&scratch, "in", &list);
        let run = trm(&[
            "trace", &model, "--inputs", &input, "--steps", "1", "-o", &out,
        ])
        .expect(2);
        assert!(
            run.err.starts_with("error: ") && run.err.contains(word),
            "{name}: {}",
            run.err
        );
    }
    let garbage = scratch.file("garbage", [0xff; 64]);
    trm(&[
        "trace", &model, "--inputs", &garbage, "--steps", "1", "-o", &out,
    ])
    .expect(2);
    trm(&[
        "trace", &model, "--inputs", "nowhere", "--steps", "1", "-o", &out,
    ])
    .expect(2);
    let left: Vec<_> = std::fs::read_dir(std::path::Path::new(&out).parent().unwrap())
        .unwrap()
        .collect();
    assert_eq!(
        left.len(),
        2,
        "a failed trace leaves files behind: {left:?}"
    );
}

#[test]
fn bench_tells_the_promised_numbers() {
    let run = trm(&[
        "bench",
        &model("sudoku-4x4"),
        "--batch",
        "2",
        "--threads",
        "1",
        "--json",
    ])
    .expect(0);
    let object = &run.json()[0];
    for key in [
        "step_ms_min",
        "step_ms_median",
        "gflop_per_step",
        "gflops",
        "puzzles_per_s",
        "load_ms",
    ] {
        assert!(object[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert!(object["step_ms_min"].as_f64() <= object["step_ms_median"].as_f64());
    assert_eq!(
        (&object["device"], &object["dtype"], &object["format"]),
        (&json!("cpu"), &json!("f32"), &json!("f32"))
    );
    assert_eq!(
        (&object["threads"], &object["batch"]),
        (&json!(1), &json!(2))
    );
    if cfg!(target_os = "linux") {
        assert!(object["rss_mb"].as_f64().unwrap() > 1.0);
    }
}

#[test]
fn devices_tells_of_the_cpu_and_what_was_chosen() {
    let cpu = |forced: &str| {
        let mut command = program(&["devices", "--json"]);
        command.env("TRM_CPU", forced);
        let all = finish(command).expect(0).json();
        assert_eq!(all.len(), 1, "one object");
        assert!(all[0]["devices"].is_array() && all[0]["auto"].is_string());
        all[0]["cpu"].clone()
    };
    let found = cpu("");
    assert_eq!(
        keys(&found),
        [
            "architecture",
            "instructions",
            "best",
            "forced",
            "features",
            "int8",
            "bf16",
            "physical_cores",
            "logical_cores",
            "threads"
        ]
    );
    assert_eq!(found["architecture"], std::env::consts::ARCH);
    assert_eq!(
        (&found["instructions"], &found["forced"]),
        (&found["best"], &json!(false))
    );
    let has = |feature: &str| found["features"][feature] == true;
    let best = found["best"].as_str().unwrap();
    let ours = [("avx512", "avx512f"), ("avx2", "avx2"), ("neon", "neon")];
    for (name, feature) in ours {
        assert!(best != name || has(feature), "{found}");
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(
            found["int8"] == "avx512_vnni",
            best == "avx512" && has("avx512_vnni")
        );
        assert!(has("avx2") || best == "portable");
    }
    let [threads, physical, logical] =
        ["threads", "physical_cores", "logical_cores"].map(|n| found[n].as_u64().unwrap());
    assert!(1 <= threads && threads <= physical && physical <= logical);

    let forced = cpu("portable");
    assert_eq!(
        (
            &forced["instructions"],
            &forced["best"],
            &forced["forced"],
            &forced["int8"]
        ),
        (
            &json!("portable"),
            &found["best"],
            &json!(true),
            &json!(null)
        )
    );
    assert_eq!(forced["features"], found["features"]);

    let mut command = program(&["devices"]);
    command.env("TRM_CPU", "portable");
    let run = finish(command).expect(0);
    let mut lines = run.out.lines();
    let first = lines.next().unwrap();
    assert!(
        first.starts_with("cpu portable (")
            && first.contains("forced by TRM_CPU; the best here is"),
        "{first}"
    );
    assert!(
        run.out
            .contains(&format!("{physical} physical, {logical} logical"))
    );
    let mut command = program(&["devices"]);
    command.env("TRM_CPU", "sse9");
    let run = finish(command).expect(2);
    assert!(run.err.contains("TRM_CPU=sse9") && run.err.contains("avx512, avx2, neon, portable"));
}

#[test]
fn every_command_has_help_with_examples() {
    for command in [
        "inspect",
        "convert",
        "eval",
        "trace",
        "bench",
        "check",
        "devices",
        "completions",
        "man",
    ] {
        let run = trm(&[command, "--help"]).expect(0);
        assert!(
            run.out.contains("Examples:") && run.out.contains(&format!("trm-run {command}")),
            "{command}: {}",
            run.out
        );
    }
    let run = trm(&["--help"]).expect(0);
    assert!(
        run.out.contains("Examples:")
            && run.out.contains("130")
            && run.out.contains("--halt-threshold")
    );
    assert!(trm(&["--version"]).expect(0).out.starts_with("trm-run "));
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(
            trm(&["completions", shell])
                .expect(0)
                .out
                .contains("trm-run"),
            "{shell}"
        );
    }
    assert!(trm(&["man"]).expect(0).out.contains(".TH trm-run"));
    trm(&["completions", "tcsh"]).expect(2);
}

#[test]
fn check_compares_the_cpu_with_the_reference() {
    for model in ["sudoku-4x4", "tests/data/golden/trm_mlp"] {
        let run = trm(&["check", model, "--json"]).expect(0);
        let report = run.json().pop().unwrap();
        assert_eq!(
            (&report["type"], &report["ok"], &report["first"]),
            (&json!("check"), &json!(true), &json!(null))
        );
        assert_eq!(report["device"], "cpu");
        let largest = report["largest"]["difference"].as_f64().unwrap();
        assert!(largest > 0.0 && largest < 1e-4, "{run:#?}");
        // In f16 the kernels compute with the same numbers. In int8, and in bf16 if the processor
        // multiplies it, the CPU rounds the inputs too, and check prints the tolerance.
        let bf16 = trm_runtime::cpu().unwrap().bf16.is_some();
        for (dtype, tolerance) in [
            ("f16", 1e-4),
            ("bf16", if bf16 { 0.01 } else { 1e-4 }),
            ("int8", 0.05),
        ] {
            let all = [
                "check", model, "--json", "--dtype", dtype, "--device", "cpu",
            ];
            let report = trm(&all).expect(0).json().pop().unwrap();
            let given = report["tolerance"].as_f64().unwrap();
            assert!((given / tolerance - 1.0).abs() < 1e-5, "{report}");
            let largest = report["largest"]["difference"].as_f64().unwrap();
            assert_eq!(
                (&report["dtype"], largest > 1e-4),
                (&json!(dtype), tolerance > 1e-4)
            );
        }
    }
    let run = trm(&["check", "tests/data/golden/hrm"]).expect(2);
    assert!(run.err.contains("seq_len"), "{run:#?}");
    trm(&["check", "tests/data/golden/hrm", "--set", "seq_len=9"]).expect(0);
}
