//! Solving: answers, records, halting, batches.

use serde_json::Value;

use crate::harness::*;
use crate::skip::skip;

#[test]
fn every_number_format_solves_on_every_device() {
    let puzzle = "examples/puzzles/sudoku-4x4.json";
    let gpu = trm_runtime::devices()
        .iter()
        .any(|d| d.unsupported_reason.is_none());
    if !gpu {
        skip("GPU", "no GPU");
    }
    for device in ["cpu", "gpu"].iter().filter(|d| gpu || **d == "cpu") {
        for dtype in ["f32", "f16", "bf16", "int8"] {
            let run = trm(&["--device", device, "--dtype", dtype, "--json", puzzle]).expect(0);
            assert_eq!(run.records("answer")[0]["device"], **device, "{dtype}");
        }
    }
    let run = trm(&[
        "check",
        &model("sudoku-4x4"),
        "--device",
        "cpu",
        "--dtype",
        "int8",
    ]);
    run.expect(0);
}

#[test]
fn a_puzzle_gives_its_answer_and_nothing_else_on_standard_output() {
    let scratch = Scratch::new();
    let file = scratch.file("p.json", format!("\"{PUZZLE}\""));
    let run = trm(&["--model", &model("sudoku-4x4"), &file]).expect(0);
    assert_eq!(run.out, "3421\n1234\n4312\n2143\n");
    assert!(
        run.err.contains("solved in 1 step") && run.err.contains("(sudoku-4x4, cpu by auto: "),
        "{}",
        run.err
    );
    let quiet = trm(&["-q", "--model", &model("sudoku-4x4"), &file]).expect(0);
    assert_eq!((quiet.out, quiet.err), (run.out, String::new()));
}

#[cfg(feature = "bundled")]
#[test]
fn the_bundled_model_that_fits_is_taken_for_each_puzzle() {
    let scratch = Scratch::new();
    let six = std::fs::read_to_string(data("sudoku-6x6.csv")).unwrap();
    let six = six.lines().nth(1).unwrap().split(',').next().unwrap();
    let maze = std::fs::read_to_string(data("maze-10x10.csv")).unwrap();
    let maze = maze.lines().nth(1).unwrap().split(',').next().unwrap();
    let lines: String = [PUZZLE, six, PUZZLE, maze, PUZZLE]
        .iter()
        .map(|p| format!("{}\n", serde_json::json!({ "puzzle": p })))
        .collect();
    let run = trm(&["--json", &scratch.file("p.ndjson", lines)]);
    let answers = run.records("answer");
    assert_eq!(
        answers
            .iter()
            .map(|a| a["id"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    assert_eq!(
        answers
            .iter()
            .map(|a| a["task"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["sudoku", "sudoku", "sudoku", "maze", "sudoku"]
    );
    assert_eq!(answers[4]["answer"], SOLUTION);
    // No bundled model fits this puzzle.
    let run = trm_with(&["-"], ".".repeat(256).as_bytes()).expect(2);
    assert!(
        run.err.contains("16x16") && run.err.contains("sudoku-9x9"),
        "{}",
        run.err
    );
}

#[test]
fn json_records_have_the_promised_fields() {
    let run = trm(&[
        "--model",
        &model("sudoku-6x6"),
        "--json",
        "--steps",
        "--threads",
        "1",
        &data("sudoku-6x6.csv"),
    ])
    .expect(0);
    let records = run.json();
    for record in &records {
        match record["type"].as_str().unwrap() {
            "step" => {
                assert_eq!(
                    keys(record),
                    [
                        "type",
                        "id",
                        "step",
                        "answer",
                        "halt_probability",
                        "changed"
                    ]
                );
                assert!(record["changed"].is_u64() && record["halt_probability"].is_f64());
            }
            "answer" => {
                let fields = [
                    "type",
                    "id",
                    "task",
                    "answer",
                    "valid",
                    "steps",
                    "halted",
                    "q_halt",
                    "halt_probability",
                    "device",
                    "ms",
                    "correct",
                ];
                assert_eq!(keys(record), fields);
                assert_eq!(
                    (&record["task"], &record["device"]),
                    (&"sudoku".into(), &"cpu".into())
                );
                assert!(
                    record["valid"].is_boolean()
                        && record["halted"].is_boolean()
                        && record["steps"].is_u64()
                );
                assert!(
                    record["ms"].is_f64()
                        && record["q_halt"].is_f64()
                        && record["correct"].is_boolean()
                );
                assert_eq!(record["answer"].as_str().unwrap().len(), 36);
            }
            kind => assert_eq!(kind, "summary"),
        }
    }
    let summary = run.summary();
    assert_eq!(
        keys(&summary),
        [
            "type",
            "puzzles",
            "valid",
            "errors",
            "mean_steps",
            "seconds",
            "device",
            "schema"
        ]
    );
    assert_eq!(
        (&summary["puzzles"], &summary["valid"], &summary["errors"]),
        (&40.into(), &40.into(), &0.into())
    );
    assert_eq!(
        (&summary["schema"], &summary["device"]),
        (&1.into(), &"cpu".into())
    );
    // In the order of the input: the steps of a puzzle, from 1, then its answer.
    let mut expected = (0, 1);
    for record in &records[..records.len() - 1] {
        assert_eq!(record["id"], expected.0);
        if record["type"] == "step" {
            assert_eq!(record["step"], expected.1);
            expected.1 += 1;
        } else {
            assert_eq!(record["steps"], expected.1 - 1);
            expected = (expected.0 + 1, 1);
        }
    }
    // No step records without --steps.
    let run = trm(&[
        "--model",
        &model("sudoku-6x6"),
        "--json",
        &data("sudoku-6x6.csv"),
    ])
    .expect(0);
    assert!(run.records("step").is_empty() && run.records("answer").len() == 40);
}

#[test]
fn a_maze_tells_whether_its_path_is_shortest() {
    let (model, data) = (model("maze-10x10"), data("maze-10x10.csv"));
    // After two steps some are not solved.
    let run = trm(&["--model", &model, "--json", "--max-steps", "2", &data]).expect(1);
    let answers = run.records("answer");
    assert_eq!(answers.len(), 12);
    for answer in &answers {
        assert_eq!(answer["task"], "maze");
        assert!(
            answer["shortest"].is_boolean() && answer["valid"].is_boolean(),
            "{answer}"
        );
        assert!(
            answer["valid"] == true || answer["shortest"] == false,
            "{answer}"
        );
    }
    assert!(
        answers.iter().any(|a| a["valid"] == true) && answers.iter().any(|a| a["valid"] == false)
    );
}

#[test]
fn ids_come_back_as_they_were_given() {
    let input = format!(
        "{{\"id\":\"first\",\"puzzle\":\"{PUZZLE}\"}}\n{{\"puzzle\":\"{PUZZLE}\",\"solution\":\"{SOLUTION}\"}}\n{{\"id\":77,\"puzzle\":\"{PUZZLE}\"}}\n"
    );
    let run = trm_with(
        &["--model", &model("sudoku-4x4"), "--json", "-"],
        input.as_bytes(),
    )
    .expect(0);
    let answers = run.records("answer");
    assert_eq!(
        answers
            .iter()
            .map(|a| a["id"].clone())
            .collect::<Vec<Value>>(),
        [Value::from("first"), 1.into(), 77.into()]
    );
    assert_eq!(
        answers
            .iter()
            .map(|a| a.get("correct").cloned())
            .collect::<Vec<_>>(),
        [None, Some(true.into()), None]
    );
}

#[test]
fn the_answer_has_the_form_of_the_puzzle() {
    let rows = serde_json::json!(["....", ".2.4", "4.1.", "21.3"]);
    let grid = serde_json::json!([[0, 0, 0, 0], [0, 2, 0, 4], [4, 0, 1, 0], [2, 1, 0, 3]]);
    let tokens =
        serde_json::json!({ "tokens": PUZZLE.bytes().map(|b| b - b'0' + 1).collect::<Vec<_>>() });
    let input = format!(
        "{rows}\n{}\n{tokens}\n",
        serde_json::json!({ "puzzle": grid, "task": "sudoku" })
    );
    let run = trm_with(
        &["--model", &model("sudoku-4x4"), "--json", "-"],
        input.as_bytes(),
    )
    .expect(0);
    let answers: Vec<Value> = run
        .records("answer")
        .into_iter()
        .map(|a| a["answer"].clone())
        .collect();
    let solution: Vec<u32> = SOLUTION.bytes().map(|b| u32::from(b - b'0')).collect();
    let raw: Vec<u32> = solution.iter().map(|d| d + 1).collect();
    assert_eq!(
        answers[0],
        serde_json::json!(["3421", "1234", "4312", "2143"])
    );
    assert_eq!(
        answers[1],
        serde_json::json!(solution.chunks(4).collect::<Vec<_>>())
    );
    assert_eq!(answers[2], serde_json::json!(raw));
}

#[test]
fn halting_rules_and_limits_set_the_steps() {
    let steps = |args: &[&str]| -> Vec<u64> {
        let (model, data) = (model("sudoku-6x6"), data("sudoku-6x6.csv"));
        let run = trm(&[&["--model", &model, "--json", &data], args].concat());
        run.records("answer")
            .iter()
            .map(|a| a["steps"].as_u64().unwrap())
            .collect()
    };
    let sum = |args: &[&str]| steps(args).iter().sum::<u64>();
    // PyTorch takes 1.275 steps on average for these 40 puzzles, and its halting head is always
    // right.
    assert_eq!(sum(&["--halt", "head"]), 51);
    assert_eq!(sum(&["--halt", "verified"]), 51);
    assert_eq!(steps(&[]), steps(&["--halt", "verified"]));
    assert_eq!(steps(&["--halt", "never"]), [16; 40]);
    assert_eq!(steps(&["--no-halt", "--max-steps", "3"]), [3; 40]);
    assert!(steps(&["--min-steps", "2"]).iter().all(|s| *s >= 2));
    assert_eq!(
        steps(&["--halt-threshold", "1", "--max-steps", "4"]),
        [4; 40]
    );
    // A halting head that always halts is believed, or is not.
    assert_eq!(sum(&["--halt", "head", "--halt-threshold", "0"]), 40);
    assert!((41..51).contains(&sum(&["--halt", "verified", "--halt-threshold", "0"])));
    let run = trm(&[
        "--model",
        &model("sudoku-6x6"),
        "--json",
        "--no-halt",
        &data("sudoku-6x6.csv"),
    ])
    .expect(0);
    assert!(run.records("answer").iter().all(|a| a["halted"] == false));
}

#[test]
fn answers_do_not_depend_on_batch_or_threads_bit_for_bit() {
    let answers = |batch: &str, threads: &str| {
        let model = model("maze-10x10");
        let run = trm(&[
            "--model",
            &model,
            "--json",
            "--max-steps",
            "3",
            "--batch",
            batch,
            "--threads",
            threads,
            &data("maze-10x10.csv"),
        ]);
        let of = |a: &Value| {
            (
                a["id"].clone(),
                a["answer"].clone(),
                a["q_halt"].clone(),
                a["steps"].clone(),
            )
        };
        run.records("answer").iter().map(of).collect::<Vec<_>>()
    };
    let one = answers("1", "1");
    assert_eq!(one.len(), 12);
    assert!(one.iter().any(|a| a.2 != one[0].2));
    for (batch, threads) in [("3", "1"), ("16", "2"), ("64", "3")] {
        assert!(
            one == answers(batch, threads),
            "batch {batch}, threads {threads}"
        );
    }
}

#[test]
fn the_reference_agrees_with_the_cpu() {
    let run = |device: &str| {
        trm(&[
            "--model",
            &model("sudoku-4x4"),
            "--json",
            "--device",
            device,
            &data("sudoku-4x4.csv"),
        ])
        .expect(0)
    };
    let (cpu, oracle) = (run("cpu"), run("reference"));
    let answers = |run: &Run| {
        run.records("answer")
            .iter()
            .map(|a| a["answer"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(answers(&cpu), answers(&oracle));
    assert!(
        oracle
            .records("answer")
            .iter()
            .all(|a| a["device"] == "reference")
    );
}

#[test]
fn an_invalid_answer_is_exit_1_and_says_why() {
    // A hard puzzle, and a single step.
    let hard = "..............3.85..1.2.......5.7.....4...1...9.......5......73..2.1........4...9";
    let run = trm_with(
        &["--model", &model("sudoku-9x9"), "--max-steps", "1", "-"],
        hard.as_bytes(),
    )
    .expect(1);
    assert!(run.err.contains("not solved in 1 step"), "{}", run.err);
    assert!(run.err.lines().count() >= 2, "{}", run.err);
    assert_eq!(run.out.lines().count(), 9);
}

#[test]
fn the_environment_sets_defaults() {
    let mut command = program(&["--json", &data("sudoku-4x4.csv")]);
    command
        .env("TRM_MODEL", model("sudoku-4x4"))
        .env("TRM_DEVICE", "reference");
    let run = finish(command).expect(0);
    assert_eq!(run.summary()["device"], "reference");
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_quietly() {
    use std::io::{BufRead, BufReader};
    let (model, file) = (model("sudoku-6x6"), data("sudoku-6x6.csv"));
    let mut child = program(&[
        "--model",
        &model,
        "--json",
        "--no-halt",
        "--batch",
        "1",
        &file,
    ])
    .spawn()
    .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert!(first.contains("\"answer\""));
    // The reader and its buffer are gone.
    let run = run(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(run.err, "");
}

#[cfg(unix)]
#[test]
fn ctrl_c_lets_the_step_end_prints_the_summary_and_exits_130() {
    let (model, file) = (model("sudoku-9x9"), data("sudoku-9x9.csv"));
    let child = program(&[
        "--model",
        &model,
        "--json",
        "--steps",
        "--no-halt",
        "--max-steps",
        "100000",
        &file,
    ])
    .spawn()
    .unwrap();
    let run = interrupt(child);
    let run = run.expect(130);
    assert_eq!(run.summary()["puzzles"], 0);
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_waiting_for_input_ends_too() {
    use std::io::Write;
    let mut child = program(&["--model", &model("sudoku-4x4"), "--json", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{{\"puzzle\":\"{PUZZLE}\"}}").unwrap();
    let run = interrupt(child);
    // The answer comes although the input is still open.
    assert!(
        run.out.lines().next().unwrap().contains(SOLUTION),
        "{}",
        run.out
    );
    assert_eq!(run.expect(130).summary()["puzzles"], 1);
    drop(stdin);
}
