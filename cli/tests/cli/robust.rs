//! What goes wrong around a model: numbers that overflow, pipes in its folder, limits of the
//! system, names that control the terminal, empty variables.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::*;
use crate::skip::skip;

/// Writes the 4x4 model with all values of some rows of a tensor replaced. Returns its folder.
fn patched(scratch: &Scratch, tensor: &str, rows: Option<usize>, value: f32) -> String {
    let mut bytes = read("models/sudoku-4x4/model.safetensors");
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let info = &header[tensor];
    assert_eq!(info["dtype"], "F32", "{tensor}");
    let offset = |i: usize| 8 + length + info["data_offsets"][i].as_u64().unwrap() as usize;
    let (mut start, mut end) = (offset(0), offset(1));
    if let Some(row) = rows {
        let row_bytes = (end - start) / info["shape"][0].as_u64().unwrap() as usize;
        start += row * row_bytes;
        end = start + row_bytes;
    }
    for value_bytes in bytes[start..end].chunks_exact_mut(4) {
        value_bytes.copy_from_slice(&value.to_le_bytes());
    }
    let folder = scratch.path("model");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(format!("{folder}/model.safetensors"), bytes).unwrap();
    let config = read("models/sudoku-4x4/config.json");
    std::fs::write(format!("{folder}/config.json"), config).unwrap();
    folder
}

const TOKENS: &str = r#"{"id":"t","tokens":[1,1,1,1,1,3,1,5,5,1,2,1,3,2,1,4]}"#;

/// Tensors and values that overflow in different places: the input, a norm, the states, the heads.
const OVERFLOWS: [(&str, f32); 6] = [
    ("embed_tokens.embedding_weight", 3e38),
    // Finite, but its square is not: a norm would divide by infinity, and everything would be 0.
    ("embed_tokens.embedding_weight", 1e25),
    ("H_init", -3e38),
    ("L_init", 1e30),
    ("lm_head.weight", 3e38),
    ("q_head.weight", 3e38),
];

#[test]
fn numbers_that_overflow_are_an_error_in_every_task() {
    let scratch = Scratch::new();
    for (tensor, value) in OVERFLOWS {
        let model = patched(&scratch, tensor, None, value);
        for device in ["cpu", "reference"] {
            let args = ["--model", &model, "--device", device, "-", "--json"];
            let tokens = [&args[..], &["--task", "tokens"]].concat();
            let run = trm_with(&tokens, TOKENS.as_bytes()).expect(2);
            let error = &run.records("error")[0];
            let text = error["error"].as_str().unwrap();
            assert_eq!(error["id"], "t");
            assert!(
                text.contains("step 1: the numbers of the model overflow"),
                "{text}"
            );
            assert!(text.contains("f32"), "what to do: {text}");
            assert_eq!(run.summary()["errors"], 1, "{run:?}");
            let sudoku = trm_with(&args, PUZZLE.as_bytes()).expect(2);
            assert_eq!(sudoku.records("error").len(), 1, "{tensor}: {sudoku:?}");
        }
    }
}

#[test]
fn numbers_that_overflow_are_an_error_in_eval_trace_and_check() {
    let scratch = Scratch::new();
    let model = patched(&scratch, "lm_head.weight", None, 3e38);
    let csv = data("sudoku-4x4.csv");
    let overflow = "the numbers of the model overflow";
    for more in [
        &[][..],
        &["--halt", "never"],
        &["--compare", "f32"],
        &["--effort", "2"],
    ] {
        let args = [&["eval", &model, "--data", &csv, "--limit", "3"], more].concat();
        let run = trm(&args).expect(2);
        assert!(run.err.contains(overflow), "{more:?}: {run:?}");
        assert!(!run.out.contains("0.00"), "{more:?}: {run:?}");
    }
    let header = json!({"inputs": {"dtype": "I32", "shape": [1, 16], "data_offsets": [0, 64]}});
    let header = header.to_string().into_bytes();
    let length = (header.len() as u64).to_le_bytes();
    let inputs = [&length[..], &header, &[1, 0, 0, 0].repeat(16)].concat();
    let inputs = scratch.file("inputs.safetensors", inputs);
    let output = scratch.path("trace.safetensors");
    let args = [
        "trace", &model, "--inputs", &inputs, "--steps", "1", "-o", &output,
    ];
    let run = trm(&args).expect(2);
    assert!(run.err.contains("sequence 0: step 1"), "{run:?}");
    assert!(!Path::new(&output).exists());
    // The comparison of kernels names the call, and blames no device.
    let run = trm(&["check", &model]).expect(2);
    assert!(
        run.err
            .contains("decode: the numbers of the model overflow"),
        "{run:?}"
    );
}

/// Token 5 is the digit 4. The first puzzle has none, so its answer does not depend on the row.
#[test]
fn a_puzzle_that_overflows_does_not_spoil_the_others_of_its_batch() {
    let scratch = Scratch::new();
    let model = patched(&scratch, "embed_tokens.embedding_weight", Some(5), 3e38);
    let without_4 = "3021123003122103";
    let input = format!("{without_4}\n{PUZZLE}\n{without_4}\n");
    for more in [&[][..], &["--effort", "3"], &["--unordered"], &["--steps"]] {
        let args = [&["--model", &model, "-", "--json", "--halt", "never"], more].concat();
        let run = trm_with(&args, input.as_bytes()).expect(1);
        let (answers, errors) = (run.records("answer"), run.records("error"));
        assert_eq!((answers.len(), errors.len()), (2, 1), "{more:?}: {run:?}");
        assert_eq!(
            (&errors[0]["line"], &errors[0]["id"]),
            (&2.into(), &1.into())
        );
        let good = [
            &[
                "--model",
                "models/sudoku-4x4",
                "-",
                "--json",
                "--halt",
                "never",
            ],
            more,
        ];
        let good = trm_with(&good.concat(), input.as_bytes()).expect(0);
        for answer in &answers {
            let same = good.records("answer");
            let same = same.iter().find(|a| a["id"] == answer["id"]).unwrap();
            if more != ["--effort", "3"] {
                assert_eq!(answer["q_halt"], same["q_halt"], "the same bits");
            }
            assert_eq!(answer["answer"], same["answer"]);
        }
    }
}

/// Returns whether the solution was printed, whatever its lines.
fn has_solution(run: &Run) -> bool {
    run.out.replace('\n', "") == SOLUTION
}

/// Runs the program, which must end within some seconds.
fn within(limit: Duration, args: &[&str], input: &str) -> Run {
    let started = Instant::now();
    let mut child = program(args).stdin(Stdio::piped()).spawn().unwrap();
    // The program may end before it has read everything.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > limit {
            child.kill().unwrap();
            panic!("{args:?} did not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    run(child.wait_with_output().unwrap())
}

#[cfg(unix)]
#[test]
fn what_lies_beside_a_model_is_read_only_if_it_is_a_regular_file() {
    use std::os::unix::net::UnixListener;
    let make_pipe = |path: &str| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let scratch = Scratch::new();
    let folder = scratch.path("model");
    for name in ["config.json", "dataset.json", "train/dataset.json"] {
        for kind in ["a pipe", "a socket", "a folder", "a device"] {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(format!("{folder}/train")).unwrap();
            let weights = read("models/sudoku-4x4/model.safetensors");
            std::fs::write(format!("{folder}/model.safetensors"), weights).unwrap();
            let path = format!("{folder}/{name}");
            let listener = match kind {
                "a pipe" => {
                    make_pipe(&path);
                    None
                }
                "a socket" => Some(UnixListener::bind(&path).unwrap()),
                "a folder" => {
                    std::fs::create_dir(&path).unwrap();
                    None
                }
                _ => {
                    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
                    None
                }
            };
            let file = format!("{folder}/model.safetensors");
            let run = within(Duration::from_secs(20), &["--model", &file, "-"], PUZZLE).expect(2);
            let expected = format!("{name}: is not a regular file, but {kind}");
            assert!(run.err.contains(&expected), "{expected}: {run:?}");
            drop(listener);
        }
    }
    // The names of the rows of an ARC model, and the labels beside tokens.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    make_pipe(&format!("{folder}/identifiers.json"));
    let arc = [
        "arc",
        "tests/data/arc/challenges.json",
        "--predictions",
        "tests/data/arc/predictions.safetensors",
        "--identifiers",
        &format!("{folder}/identifiers.json"),
        "-o",
        &scratch.path("out.json"),
    ];
    let run = within(Duration::from_secs(20), &arc, "").expect(2);
    assert!(run.err.contains("but a pipe"), "{run:?}");
    make_pipe(&format!("{folder}/all__labels.npy"));
    let inputs = format!("{folder}/all__inputs.npy");
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 16), }\n";
    let mut array = b"\x93NUMPY\x01\x00".to_vec();
    array.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    array.extend(header.bytes());
    array.extend([1; 16]);
    std::fs::write(&inputs, array).unwrap();
    let eval = ["eval", "sudoku-4x4", "--data", &inputs];
    let run = within(Duration::from_secs(20), &eval, "").expect(2);
    assert!(
        run.err.contains("all__labels.npy: is not a regular file"),
        "{run:?}"
    );
}

/// Runs the program under a limit of the system. `None` without the tools, or without the right.
#[cfg(target_os = "linux")]
fn limited(limit: &str, args: &[&str], input: &str) -> Option<Run> {
    let as_nobody = "setpriv --reuid=65534 --clear-groups prlimit";
    let works = Command::new("sh")
        .args(["-c", &format!("{as_nobody} true")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        skip("PRLIMIT", "no `setpriv` and `prlimit`, or not root");
        return None;
    }
    // The build may lie in a folder that only its owner may enter.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("trm-run");
    std::fs::copy(env!("CARGO_BIN_EXE_trm-run"), &copy).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let mut command = Command::new("timeout");
    command.arg("60").args(as_nobody.split(' ')).arg(limit);
    command.arg(&copy).args(args).current_dir("/");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    Some(run(child.wait_with_output().unwrap()))
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_processes_gives_an_error_or_fewer_threads() {
    let mut codes = Vec::new();
    for processes in 1..=6 {
        let limit = format!("--nproc={processes}");
        let Some(run) = limited(&limit, &["-"], PUZZLE) else {
            return;
        };
        assert!(!run.err.contains("panicked"), "{processes}: {run:?}");
        match run.code {
            Some(0) => assert!(has_solution(&run), "{processes}: {run:?}"),
            Some(2) => assert!(run.err.contains("thread"), "{processes}: {run:?}"),
            _ => panic!("{processes}: {run:?}"),
        }
        codes.push(run.code);
    }
    assert!(
        codes.contains(&Some(2)) && codes.contains(&Some(0)),
        "{codes:?}"
    );
    // Threads that were asked for are an error, which does not blame the puzzle.
    let args = ["-", "--threads", "64"];
    let Some(run) = limited("--nproc=8", &args, PUZZLE) else {
        return;
    };
    let run = run.expect(2);
    assert!(
        run.err.contains("of 64 threads could be started"),
        "{run:?}"
    );
    assert!(
        run.err.contains("--threads") && !run.err.contains("line 1"),
        "{run:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_batch_that_does_not_fit_into_memory_is_an_error() {
    let maze = String::from_utf8(read("tests/data/puzzles/maze_20x20_test_200.csv"));
    let Ok(maze) = maze.map(|text| text.lines().take(3).collect::<Vec<_>>().join("\n")) else {
        panic!("the test data are not text");
    };
    for args in [
        ["-", "--device", "cpu", "--effort", "64", "--batch", "4096"],
        [
            "-",
            "--device",
            "reference",
            "--effort",
            "256",
            "--batch",
            "4096",
        ],
    ] {
        let Some(run) = limited("--as=400000000", &args, &maze) else {
            return;
        };
        let run = run.expect(2);
        let said = run.err.contains("not enough memory: a batch of") && run.err.contains(" MB");
        assert!(said && run.err.contains("--batch"), "{run:?}");
    }
}

#[test]
fn names_of_files_and_models_do_not_control_the_terminal() {
    let scratch = Scratch::new();
    let name = "a\x1b]0;owned\x07\u{202e}b";
    let csv = scratch.file(&format!("{name}.csv"), read(data("sudoku-4x4.csv")));
    let model = scratch.path(name);
    std::fs::create_dir(&model).unwrap();
    for file in ["config.json", "model.safetensors"] {
        let bytes = read(format!("models/sudoku-4x4/{file}"));
        std::fs::write(format!("{model}/{file}"), bytes).unwrap();
    }
    let limit = ["--limit", "2"];
    let (inspect, check) = (["inspect", &model], ["check", &model]);
    let eval = [&["eval", &model, "--data", &csv], &limit[..]].concat();
    for args in [
        &inspect[..],
        &check,
        &["bench", &model, "--threads", "1"],
        &eval,
        &[&eval[..], &["--compare", "f32"]].concat(),
        &[&eval[..], &["--effort", "1,2"]].concat(),
        &["--model", &model, &csv],
    ] {
        let run = trm(args);
        let text = run.out.clone() + &run.err;
        assert!(run.code == Some(0), "{run:?}");
        assert!(
            !text.contains('\x1b') && !text.contains('\u{202e}'),
            "{args:?}: {run:?}"
        );
    }
}

#[test]
fn empty_variables_count_as_not_set_and_switches_may_be_repeated() {
    let solved = |command: Command| {
        let run = finish(command).expect(0);
        assert!(has_solution(&run), "{run:?}");
        run
    };
    let scratch = Scratch::new();
    let file = scratch.file("p.txt", PUZZLE);
    for name in [
        "TRM_MODEL",
        "TRM_DEVICE",
        "TRM_CPU",
        "TRM_CACHE_DIR",
        "TRM_LOG",
    ] {
        let mut command = program(&[&file]);
        command.env(name, "");
        solved(command);
    }
    let mut all = program(&[&file, "-q", "-q"]);
    all.env("TRM_MODEL", "").env("TRM_DEVICE", "");
    assert_eq!(solved(all).err, "");
    for twice in ["-q", "-v", "--json", "--no-halt"] {
        trm(&[&file, twice, twice]).expect(0);
    }
    // A set variable counts, and an option wins over it.
    let mut command = program(&[&file]);
    command.env("TRM_MODEL", "no such model");
    assert!(finish(command).expect(2).err.contains("no such model"));
    let mut command = program(&[&file, "--model", "sudoku-4x4"]);
    command.env("TRM_MODEL", "no such model");
    solved(command);
    trm(&[&file, "--model", ""]).expect(2);
}

#[test]
fn a_score_over_a_part_says_so() {
    let (model, csv) = (model("sudoku-4x4"), data("sudoku-4x4.csv"));
    let eval = |more: &[&str]| trm(&[&["eval", &model, "--data", &csv], more].concat());
    let part = "a part of the data";
    assert!(!eval(&[]).expect(0).err.contains(part));
    for more in [&["--limit", "3"][..], &["--limit", "3", "--effort", "1,2"]] {
        let run = eval(more).expect(0);
        assert!(
            run.err.contains("scored 3 puzzles, a part of the data"),
            "{run:?}"
        );
    }
    assert_eq!(eval(&["--limit", "3", "--json"]).summary()["limit"], 3);
    assert_eq!(eval(&["--json"]).summary()["limit"], Value::Null);

    let scratch = Scratch::new();
    let broken = [read(&csv), b"1100000000000000,3421123443122143\n".to_vec()].concat();
    let broken = scratch.file("broken.csv", broken);
    let run = trm(&["eval", &model, "--data", &broken]).expect(1);
    assert!(
        run.err.contains("1 records in error are not counted"),
        "{run:?}"
    );
}
