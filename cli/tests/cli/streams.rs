//! Streams of puzzles: order, folders, cancelling.

use crate::harness::{PUZZLE, SOLUTION, Scratch, interrupt, model, trm, trm_with};

/// A puzzle that takes many steps; the easy one takes one.
const HARD: &str =
    "..............3.85..1.2.......5.7.....4...1...9.......5......73..2.1........4...9";
const EASY: &str =
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";

#[test]
fn unordered_answers_do_not_wait_for_a_slow_one() {
    let input = format!("{HARD}\n{EASY}\nbroken\n{EASY}\n{EASY}\n");
    let model = model("sudoku-9x9");
    let run = |more: &[&str]| {
        let args = [&["--model", &model, "--json", "--batch", "2", "-"], more].concat();
        let run = trm_with(&args, input.as_bytes()).expect(1);
        assert_eq!(run.summary()["puzzles"], 4);
        let mut records = run.json();
        records.pop();
        for record in &mut records {
            record.as_object_mut().unwrap().remove("ms");
        }
        records
    };
    let ordered = run(&[]);
    let unordered = run(&["--unordered"]);
    let ids = |records: &[serde_json::Value]| -> Vec<u64> {
        records.iter().map(|r| r["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids(&ordered), [0, 1, 2, 3, 4]);
    assert_eq!(ids(&unordered)[4], 0, "{unordered:?}");
    let mut sorted = unordered;
    sorted.sort_by_key(|r| r["id"].as_u64());
    assert_eq!(sorted, ordered);
}

#[test]
fn unordered_steps_come_as_they_are_taken() {
    let input = format!("{HARD}\n{EASY}\n");
    let args = ["--json", "--steps", "--unordered", "--batch", "2", "-"];
    let run = trm_with(&args, input.as_bytes()).expect(0);
    let of = |id: u64| move |r: &&serde_json::Value| r["id"] == id;
    let records = run.json();
    let slow: Vec<_> = records
        .iter()
        .filter(of(0))
        .map(|r| r["step"].as_u64())
        .collect();
    let last = slow.len() as u64 - 1;
    let steps: Vec<_> = (1..=last).map(Some).chain([None]).collect();
    assert!(last > 3);
    assert_eq!(slow, steps);
    // Steps of the second puzzle come before the first one has ended.
    let position = |kind: &str, id: u64| {
        records
            .iter()
            .position(|r| r["type"] == kind && r["id"] == id)
    };
    assert!(position("answer", 1) < position("answer", 0), "{}", run.out);
}

#[test]
fn until_valid_goes_on_with_new_starts() {
    let sudoku = model("sudoku-9x9");
    // One step is too few for this start of the puzzle, but not for all starts.
    let args = ["--model", &sudoku, "--max-steps", "1", "--json", "-"];
    let one = trm_with(&args, HARD.as_bytes()).expect(1);
    assert_eq!(one.records("answer")[0]["valid"], false);
    let more = ["--effort", "8", "--until-valid", "--timeout", "2"];
    let run = trm_with(&[&args[..], &more].concat(), HARD.as_bytes());
    let answer = &run.records("answer")[0];
    assert!(
        answer["valid"] == true || answer["ms"].as_f64() > Some(2000.0),
        "{answer}"
    );
    trm(&["--timeout", "2", "x"]).expect(2);
}

#[test]
fn a_folder_is_its_files_of_puzzles_by_name() {
    let scratch = Scratch::new();
    scratch.file(
        "b.csv",
        format!("puzzle,solution\n{PUZZLE},{SOLUTION}\n{PUZZLE},{SOLUTION}\n"),
    );
    scratch.file(
        "a.json",
        format!("{{\"id\": \"first\", \"puzzle\": \"{PUZZLE}\", \"solution\": \"{SOLUTION}\"}}"),
    );
    scratch.file("notes.md", "no puzzle");
    let folder = scratch.path("");
    let run = trm(&["--json", &folder]).expect(0);
    let ids: Vec<_> = run
        .records("answer")
        .iter()
        .map(|r| r["id"].clone())
        .collect();
    assert_eq!(
        ids,
        ["first".into(), serde_json::json!(1), serde_json::json!(2)]
    );
    let run = trm(&["eval", "sudoku-4x4", "--data", &folder]).expect(0);
    let rows: Vec<&str> = run
        .out
        .lines()
        .skip(1)
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert_eq!(rows, ["a.json", "b.csv", "all"], "{}", run.out);
}

#[test]
fn a_folder_without_puzzles_is_an_error() {
    let scratch = Scratch::new();
    scratch.file("notes.md", "no puzzle");
    let run = trm(&[&scratch.path("")]).expect(2);
    assert!(
        run.err.contains("no file of puzzles in it ends in .json"),
        "{}",
        run.err
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_lets_the_puzzles_at_work_end_and_begins_no_other() {
    use std::io::Write;
    const MANY: usize = 200;
    let model = model("sudoku-4x4");
    let mut child = crate::harness::program(&[
        "--model",
        &model,
        "--json",
        "--steps",
        "--no-halt",
        "--max-steps",
        "50",
        "--batch",
        "2",
        "-",
    ])
    .stdin(std::process::Stdio::piped())
    .spawn()
    .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(format!("{PUZZLE}\n").repeat(MANY).as_bytes())
        .unwrap();
    let run = interrupt(child);
    let run = run.expect(130);
    let mut begun: Vec<_> = run
        .records("step")
        .iter()
        .map(|r| r["id"].as_u64())
        .collect();
    begun.dedup();
    begun.sort();
    begun.dedup();
    let answers = run.records("answer");
    let ended: Vec<_> = answers.iter().map(|r| r["id"].as_u64()).collect();
    assert_eq!(begun, ended);
    assert!(
        !ended.is_empty() && ended.len() < MANY,
        "{} ended",
        ended.len()
    );
    assert!(answers.iter().all(|r| r["steps"] == 50));
    drop(stdin);
}

/// Half a minute: `cargo test --release --test cli hundred_thousand -- --ignored --nocapture`.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "long"]
fn a_hundred_thousand_lines_take_no_more_memory_than_ten_thousand() {
    use std::io::{BufRead, BufReader, Write};
    const LINES: u64 = 100_000;
    let model = model("sudoku-4x4");
    for order in [&[][..], &["--unordered"]] {
        let args = [&["--model", &model, "--json", "-"], order].concat();
        let mut child = crate::harness::program(&args)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            for line in 0..LINES {
                let text = if line % 1000 == 999 {
                    "{broken"
                } else {
                    PUZZLE
                };
                writeln!(
                    stdin,
                    "{}",
                    text.replace(PUZZLE, &format!("{{\"puzzle\":\"{PUZZLE}\"}}"))
                )
                .unwrap();
            }
        });
        let status = format!("/proc/{}/status", child.id());
        let peak = || {
            let text = std::fs::read_to_string(&status).unwrap();
            let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let (mut answers, mut errors, mut before) = (0, 0, 0);
        let start = std::time::Instant::now();
        for (number, line) in BufReader::new(child.stdout.take().unwrap())
            .lines()
            .enumerate()
        {
            let record: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            match record["type"].as_str().unwrap() {
                "answer" => {
                    assert_eq!(record["answer"], SOLUTION);
                    answers += 1;
                }
                "error" => errors += 1,
                _ => {
                    assert_eq!(
                        (record["puzzles"].as_u64(), record["errors"].as_u64()),
                        (Some(99_900), Some(100))
                    );
                    let after = peak();
                    let seconds = start.elapsed().as_secs_f64();
                    eprintln!(
                        "{order:?}: {before} kB after 10,000 lines, {after} kB after {LINES}, {seconds:.0} s"
                    );
                    assert!(after < before + 1024, "{before} kB, then {after} kB");
                    continue;
                }
            }
            if order.is_empty() {
                assert_eq!(record["id"], number);
            }
            if number == 10_000 {
                before = peak();
            }
        }
        writer.join().unwrap();
        assert_eq!((answers, errors), (99_900, 100));
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
}
