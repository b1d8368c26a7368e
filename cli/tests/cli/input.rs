//! Input: all forms of puzzles, streams, and errors in them.

use crate::harness::*;

#[test]
fn every_form_of_input_is_read() {
    let scratch = Scratch::new();
    let forms = [
        ("plain.txt", format!("{PUZZLE}\n")),
        ("grid.txt", "....\n.2.4\n4.1.\n21.3\n".to_string()),
        ("string.json", format!("\"{PUZZLE}\"")),
        (
            "object.json",
            format!("{{\n  \"puzzle\": \"{PUZZLE}\"\n}}\n"),
        ),
        (
            "list.json",
            format!("[\"{PUZZLE}\", {{\"puzzle\": \"{PUZZLE}\"}}]"),
        ),
        (
            "stream.ndjson",
            format!("\"{PUZZLE}\"\n{{\"puzzle\":\"{PUZZLE}\"}}\n"),
        ),
        (
            "table.csv",
            format!("puzzle,solution\n{PUZZLE},{SOLUTION}\n{PUZZLE},{SOLUTION}\n"),
        ),
        (
            "windows.csv",
            format!("puzzle,solution\r\n{PUZZLE},{SOLUTION}\r\n"),
        ),
    ];
    for (name, content) in forms {
        let file = scratch.file(name, &content);
        for run in [
            trm(&["--model", &model("sudoku-4x4"), "--json", &file]),
            trm_with(
                &["--model", &model("sudoku-4x4"), "--json", "-"],
                content.as_bytes(),
            ),
        ] {
            let run = run.expect(0);
            let answers = run.records("answer");
            assert_eq!(
                answers.len(),
                content
                    .matches("21.3")
                    .count()
                    .max(content.matches(PUZZLE).count()),
                "{name}"
            );
            for answer in answers {
                let digits = answer["answer"]
                    .to_string()
                    .replace(|c: char| !c.is_ascii_digit(), "");
                assert_eq!(digits, SOLUTION, "{name}");
            }
        }
    }
}

#[test]
fn several_files_are_one_input() {
    let scratch = Scratch::new();
    let a = scratch.file("a.txt", PUZZLE);
    let b = scratch.file("b.csv", format!("puzzle,solution\n{PUZZLE},{SOLUTION}\n"));
    let run = trm(&["--model", &model("sudoku-4x4"), "--json", &a, &b, &a]).expect(0);
    assert_eq!(
        run.records("answer")
            .iter()
            .map(|r| r["id"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
    let run = trm(&["--model", &model("sudoku-4x4"), &a, &b]).expect(0);
    assert_eq!(
        run.out,
        "3421\n1234\n4312\n2143\n\n3421\n1234\n4312\n2143\n"
    );
    // A missing file is a record that could not be read.
    let run = trm(&[
        "--model",
        &model("sudoku-4x4"),
        "--json",
        &a,
        "nowhere.csv",
        &b,
    ])
    .expect(1);
    assert!(
        run.records("error")[0]["error"]
            .as_str()
            .unwrap()
            .contains("nowhere.csv")
    );
    assert_eq!(run.summary()["puzzles"], 2);
}

#[test]
fn a_broken_record_is_an_error_record_and_the_stream_goes_on() {
    let input = format!(
        "{{\"puzzle\":\"{PUZZLE}\"}}\nnot json {{\n{{\"id\":\"bad\",\"puzzle\":\"1100000000000000\"}}\n{{\"puzzle\":\"123\"}}\n{{\"puzzle\":\"{PUZZLE}\"}}\n"
    );
    let run = trm_with(
        &["--model", &model("sudoku-4x4"), "--json", "-"],
        input.as_bytes(),
    )
    .expect(1);
    let kinds: Vec<_> = run
        .json()
        .iter()
        .map(|r| r["type"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(
        kinds,
        ["answer", "error", "error", "error", "answer", "summary"]
    );
    let errors = run.records("error");
    assert_eq!(
        errors
            .iter()
            .map(|e| e["line"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [2, 3, 4]
    );
    assert_eq!(errors[1]["id"], "bad");
    assert!(
        errors
            .iter()
            .all(|e| !e["error"].as_str().unwrap().is_empty())
    );
    let summary = run.summary();
    assert_eq!(
        (&summary["puzzles"], &summary["errors"], &summary["valid"]),
        (&2.into(), &3.into(), &2.into())
    );
    assert_eq!(run.records("answer")[1]["id"], 4);
    // Without --json the message names the place too.
    let run = trm_with(&["--model", &model("sudoku-4x4"), "-"], input.as_bytes()).expect(1);
    assert_eq!(
        run.err.lines().filter(|l| l.starts_with("error: ")).count(),
        3,
        "{}",
        run.err
    );
    assert!(run.err.contains("line 3"), "{}", run.err);
}

#[test]
fn nothing_that_can_be_run_is_exit_2() {
    let scratch = Scratch::new();
    let sudoku = model("sudoku-4x4");
    let empty = scratch.file("empty.json", "");
    let blank = scratch.file("blank.txt", " \n\n");
    let broken = scratch.file("broken.json", "{\"puzzle\": ");
    let impossible = scratch.file("impossible.json", "\"1100000000000000\"");
    let good = scratch.file("good.txt", PUZZLE);
    let cases: &[&[&str]] = &[
        &["--model", &sudoku, &empty],
        &["--model", &sudoku, &blank],
        &["--model", &sudoku, &broken],
        &["--model", &sudoku, &impossible],
        &["--model", &sudoku, "nowhere.json"],
        &["--model", &sudoku, "."],
        &["--model", "nowhere", &good],
        &["--model", &good, &good],
        &["--model", &sudoku, "--device", "gpu:9999", &good],
        &["--model", &sudoku, "--device", "abacus", &good],
        &["--model", &sudoku, "--dtype", "int4", &good],
        &["--model", &sudoku, "--batch", "0", &good],
        &["--model", &sudoku, "--halt", "sometimes", &good],
        &["--model", &sudoku, "--halt-threshold", "2", &good],
        &[
            "--model",
            &sudoku,
            "--min-steps",
            "9",
            "--max-steps",
            "8",
            &good,
        ],
        &["--model", &sudoku, "--set", "L_cycles", &good],
        &["--model", &sudoku, "--task", "chess", &good],
        &["--model", &sudoku, "--no-such-option", &good],
        &[],
    ];
    for case in cases {
        for json in [&["--json"][..], &[]] {
            let run = trm(&[json, *case].concat()).expect(2);
            assert!(run.err.contains("error: "), "{case:?}: {run:#?}");
            assert!(run.records("answer").is_empty(), "{case:?}");
        }
    }
}

#[test]
fn a_line_of_20_mb_is_an_error_soon_and_the_stream_goes_on() {
    let mut input = format!("{{\"puzzle\":\"{PUZZLE}\"}}\n").into_bytes();
    input.extend(std::iter::repeat_n(b'1', 20 << 20));
    input.extend(format!("\n{{\"puzzle\":\"{PUZZLE}\"}}\n").bytes());
    let start = std::time::Instant::now();
    let run = trm_with(&["--model", &model("sudoku-4x4"), "--json", "-"], &input).expect(1);
    let kinds: Vec<_> = run
        .json()
        .iter()
        .map(|r| r["type"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(kinds, ["answer", "error", "answer", "summary"]);
    assert!(run.out.len() < 10_000, "the error repeats the line");
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn raw_tokens_run_on_any_model() {
    let tokens: Vec<u8> = PUZZLE.bytes().map(|b| b - b'0' + 1).collect();
    let input = serde_json::json!({ "tokens": tokens, "puzzle_id": 0 }).to_string();
    let run = trm_with(
        &["--model", &model("sudoku-4x4"), "--json", "-"],
        input.as_bytes(),
    )
    .expect(0);
    let answer = &run.records("answer")[0];
    assert_eq!(
        (&answer["task"], &answer["valid"]),
        (&"tokens".into(), &serde_json::Value::Null)
    );
    for bad in [
        "{\"tokens\":[1,2,3]}",
        "{\"tokens\":[99,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}",
        "{\"tokens\":[-1]}",
        "{\"tokens\":[]}",
    ] {
        trm_with(
            &["--model", &model("sudoku-4x4"), "--json", "-"],
            bad.as_bytes(),
        )
        .expect(2);
    }
}

#[test]
fn wrong_puzzles_get_a_message_for_people() {
    let cases = [
        ("sudoku-4x4", "1100000000000000", "row 1"),
        ("sudoku-4x4", "9000000000000000", "9"),
        ("sudoku-4x4", "123", "3"),
        ("sudoku-9x9", "0000020440102103", "9 x 9"),
        ("maze-10x10", "#S  #   ##", ""),
    ];
    for (name, puzzle, word) in cases {
        let run = trm_with(&["--model", &model(name), "-"], puzzle.as_bytes()).expect(2);
        assert!(
            run.err.starts_with("error: ") && run.err.contains(word),
            "{puzzle}: {}",
            run.err
        );
    }
}

/// The files of users in tests/data/field, as the program reads them.
#[test]
fn files_of_users_are_solved_or_named() {
    let field = |name: &str| format!("tests/data/field/{name}");
    for (name, count) in [
        ("sudoku-blank-2d.txt", 1),
        ("sudoku-star-border.txt", 1),
        ("sudoku-titled-grids.txt", 2),
        ("sudoku-comment-trailing.txt", 2),
        ("sudoku-metadata.sdk", 1),
        ("sudoku-comma-empty.csv", 1),
        ("table-no-header.csv", 1),
        ("table-semicolon.csv", 1),
        ("numpy-print.txt", 1),
        ("nested-api.json", 1),
        ("puzzle-integer.json", 1),
        ("board-strings.json", 1),
        ("maze-blocks.txt", 1),
        ("maze-dots.txt", 1),
        ("maze-indented.txt", 1),
        ("maze-size-header.txt", 1),
        ("maze-spaced.txt", 1),
        ("maze-trailing-blanks-lost.txt", 1),
        ("maze-grid-tokens.json", 1),
    ] {
        // A grid of numbers says its task itself.
        let run = trm(&["--json", &field(name)]).expect(0);
        let valid = run
            .records("answer")
            .iter()
            .filter(|r| r["valid"] == true)
            .count();
        assert_eq!(valid, count, "{name}: {}", run.out);
    }
    for (name, expected) in [
        ("lfs.csv", "Git LFS pointer"),
        ("page.csv", "a web page"),
        ("fake.parquet", "a Parquet file"),
        ("fake.xlsx", "a spreadsheet"),
        ("utf16.txt", "text in UTF-16"),
        ("maze-not-square.txt", "10 rows of 11 cells"),
        ("maze-tabs.txt", "line 1, column 3: '\\t' (U+0009)"),
        ("maze-0-1.txt", "no start and no goal"),
    ] {
        let run = trm(&[&field(name)]).expect(2);
        assert!(
            run.err.contains(expected) && run.err.contains(name),
            "{name}: {}",
            run.err
        );
    }
}

#[test]
fn a_puzzle_can_be_the_argument() {
    for puzzle in [
        PUZZLE,
        &PUZZLE.replace('0', "."),
        &format!("\"{PUZZLE}\""),
        &PUZZLE.replace('0', "*"),
    ] {
        let run = trm(&["--model", &model("sudoku-4x4"), "--json", puzzle]).expect(0);
        let answer = &run.records("answer")[0];
        assert_eq!(
            (&answer["answer"], &answer["valid"]),
            (&SOLUTION.into(), &true.into())
        );
    }
    // A file of this name is read, and a name of a file is none.
    let scratch = Scratch::new();
    scratch.file("0000020440102103", format!("puzzle\n{PUZZLE}\n{PUZZLE}\n"));
    let mut command = program(&["--json", "0000020440102103"]);
    command.current_dir(scratch.path(""));
    let run = finish(command).expect(0);
    assert_eq!(run.records("answer").len(), 2);
    assert!(
        run.err.contains("note: 0000020440102103 is read as a file"),
        "{}",
        run.err
    );
    for name in ["sudoku.txt", "S", "1234", "puzzles.json"] {
        let run = trm(&[name]).expect(2);
        assert!(
            run.err.contains(name) && run.err.contains("No such file"),
            "{}",
            run.err
        );
    }
}

#[cfg(unix)]
#[test]
fn endless_input_is_an_error_within_seconds() {
    let start = std::time::Instant::now();
    let zeros = trm(&["/dev/zero"]).expect(2);
    assert!(zeros.err.contains("a file of zero bytes"), "{}", zeros.err);
    // A pipe without an end of a line: the writer ends when the program does.
    let mut child = program(&["--model", &model("sudoku-4x4"), "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let piece = [b'1'; 1 << 16];
        while std::io::Write::write_all(&mut stdin, &piece).is_ok() {}
    });
    let run = run(child.wait_with_output().unwrap()).expect(2);
    writer.join().unwrap();
    assert!(
        run.err.contains("no line ends within 64 MiB"),
        "{}",
        run.err
    );
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
