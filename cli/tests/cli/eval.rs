//! `eval` against the figures of PyTorch on the same puzzles.

use crate::harness::*;

/// The figures of the published evaluation in PyTorch (float32) for the files in
/// `tests/data/puzzles`: puzzles, exact with the rule `head`, mean steps, halted, right among the
/// halted; exact with the rule `verified`, mean steps; exact after 16 steps.
type Figures = (&'static str, f64, f64, f64, u64, f64, f64, f64, f64);

const FIGURES: [Figures; 3] = [
    ("sudoku-4x4", 30.0, 30.0, 1.0, 30, 1.0, 30.0, 1.0, 30.0),
    ("sudoku-6x6", 40.0, 40.0, 1.275, 40, 1.0, 40.0, 1.275, 40.0),
    ("sudoku-9x9", 10.0, 10.0, 1.2, 10, 1.0, 10.0, 1.2, 10.0),
];

fn near(value: &serde_json::Value, expected: f64) {
    assert!(
        (value.as_f64().unwrap() - expected).abs() < 1e-3,
        "{value} is not {expected}"
    );
}

#[test]
fn accuracy_and_steps_are_those_of_pytorch() {
    for (name, puzzles, head, steps, halted, precision, verified, verified_steps, never) in FIGURES
    {
        let eval = |rule: &str| {
            let run = trm(&[
                "eval",
                &model(name),
                "--data",
                &data(&format!("{name}.csv")),
                "--halt",
                rule,
                "--json",
            ])
            .expect(0);
            run.summary()
        };
        let summary = eval("head");
        near(&summary["puzzles"], puzzles);
        near(&summary["exact"], head / puzzles);
        near(&summary["mean_steps"], steps);
        assert_eq!(summary["halted"], halted);
        near(&summary["halt_precision"], precision);
        near(&summary["halt_recall"], 1.0);
        assert_eq!(summary["halt"], "head");
        let summary = eval("verified");
        near(&summary["exact"], verified / puzzles);
        near(&summary["mean_steps"], verified_steps);
        let summary = eval("never");
        near(&summary["exact"], never / puzzles);
        near(&summary["mean_steps"], 16.0);
        assert_eq!(
            (&summary["halted"], &summary["halt_precision"]),
            (&0.into(), &serde_json::Value::Null)
        );
    }
}

#[test]
fn mazes_count_valid_paths_apart() {
    let eval = |rule: &str| {
        trm(&[
            "eval",
            &model("maze-10x10"),
            "--data",
            &data("maze-10x10.csv"),
            "--halt",
            rule,
            "--json",
        ])
        .expect(0)
        .summary()
    };
    let head = eval("head");
    near(&head["exact"], 10.0 / 12.0);
    near(&head["valid"], 1.0);
    near(&head["mean_steps"], 29.0 / 12.0);
    assert_eq!(head["halted"], 12);
    near(&head["halt_precision"], 10.0 / 12.0);
    let never = eval("never");
    near(&never["exact"], 8.0 / 12.0);
    near(&never["valid"], 0.75);
    near(&never["cell"], 0.97083);
}

#[test]
fn the_summary_has_the_promised_fields_and_limit_is_per_file() {
    let (sudoku, csv) = (model("sudoku-4x4"), data("sudoku-4x4.csv"));
    let run = trm(&[
        "eval", "--data", &csv, &csv, "--model", &sudoku, "--limit", "7", "--json",
    ])
    .expect(0);
    let summary = run.summary();
    let promised = [
        "type",
        "puzzles",
        "exact",
        "cell",
        "valid",
        "mean_steps",
        "halted",
        "halt_precision",
        "halt_recall",
        "halt",
        "puzzles_per_s",
        "device",
        "dtype",
    ];
    assert_eq!(&keys(&summary)[..promised.len()], promised);
    assert_eq!(
        (&summary["puzzles"], &summary["halt"], &summary["dtype"]),
        (&14.into(), &"head".into(), &"f32".into())
    );
    let run = trm(&["eval", &sudoku, "--data", &csv, "--limit", "7"]).expect(0);
    assert!(
        run.out.contains("sudoku-4x4.csv") && run.out.contains("100.00"),
        "{}",
        run.out
    );
}

#[test]
fn a_curve_tells_what_fewer_steps_would_solve() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("curve.svg");
    let (maze, csv) = (model("maze-10x10"), data("maze-10x10.csv"));
    let eval = |more: &[&str]| {
        trm(&[
            &["eval", &maze, "--data", &csv, "--halt", "never", "--json"],
            more,
        ]
        .concat())
        .expect(0)
    };
    let run = eval(&["--curve", picture.to_str().unwrap()]);
    let (curve, summary) = (run.records("curve").remove(0), run.summary());
    assert_eq!(
        (&curve["type"], &curve["file"]),
        (&"curve".into(), &"maze-10x10.csv".into())
    );
    assert_eq!(curve["exact"].as_array().unwrap().len(), 16);
    for (share, steps) in [
        ("exact", 1),
        ("exact", 2),
        ("valid", 2),
        ("exact", 16),
        ("valid", 16),
    ] {
        let fewer = eval(&["--max-steps", &steps.to_string()]).summary();
        assert_eq!(
            curve[share][steps - 1],
            fewer[share],
            "{share} after {steps}"
        );
    }
    assert_ne!(curve["exact"][0], summary["exact"], "it rises");
    assert_ne!(curve["exact"], curve["valid"]);
    let svg = std::fs::read_to_string(&picture).unwrap();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    for part in [
        "maze-10x10.csv, exact",
        ">valid<",
        "stroke-dasharray",
        ">16<",
    ] {
        assert!(svg.contains(part), "{part} is not in {svg}");
    }
    let nowhere = folder.path().join("no/curve.svg");
    let run = trm(&[
        "eval",
        &maze,
        "--data",
        &csv,
        "--curve",
        nowhere.to_str().unwrap(),
    ])
    .expect(2);
    assert!(run.err.contains("curve.svg"), "{}", run.err);
}

#[test]
fn efforts_are_compared() {
    let csv = data("sudoku-6x6.csv");
    let args = [
        "eval",
        "sudoku-6x6",
        "--data",
        &csv,
        "--max-steps",
        "1",
        "--effort",
        "1,4",
    ];
    let run = trm(&[&args[..], &["--json"]].concat()).expect(0);
    let (one, four) = (&run.records("effort")[0], run.summary());
    assert_eq!((&one["effort"], &four["effort"]), (&1.into(), &4.into()));
    assert!(
        one["exact"].as_f64() < four["exact"].as_f64(),
        "{}",
        run.out
    );
    let table = trm(&args).expect(0).out;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 3, "{table}");
    assert_eq!((rows[1][0], rows[2][0]), ("1", "4"), "{table}");
    // Another seed gives other starts of the same puzzles. The same seed repeats them.
    let exact = |seed| {
        trm(&[&args[..6], &["--effort", "4", "--seed", seed, "--json"]].concat()).summary()["exact"]
            .clone()
    };
    assert_eq!(exact("7"), exact("7"));
}

/// Returns a `.npy` file of bytes with the shape `[rows, cols]`.
fn npy(rows: &[Vec<u8>]) -> Vec<u8> {
    let header = format!(
        "{{'descr': '|u1', 'fortran_order': False, 'shape': ({}, {}), }}",
        rows.len(),
        rows[0].len()
    );
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((padded as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = padded - 1).bytes());
    bytes.extend(rows.iter().flatten());
    bytes
}

#[test]
fn arrays_of_the_training_pipeline_are_evaluated() {
    let text = std::fs::read_to_string(data("sudoku-6x6.csv")).unwrap();
    let column = |i: usize| -> Vec<Vec<u8>> {
        let row = |line: &str| {
            line.split(',')
                .nth(i)
                .unwrap()
                .bytes()
                .map(|b| b - b'0' + 1)
                .collect()
        };
        text.lines().skip(1).map(row).collect()
    };
    let scratch = Scratch::new();
    let inputs = scratch.file("all__inputs.npy", npy(&column(0)));
    let mut labels = column(1);
    scratch.file("all__labels.npy", npy(&labels));
    let eval = || {
        trm(&["eval", &model("sudoku-6x6"), "--data", &inputs, "--json"])
            .expect(0)
            .summary()
    };
    let summary = eval();
    near(&summary["exact"], 1.0);
    near(&summary["valid"], 1.0);
    near(&summary["mean_steps"], 1.275);
    // Padding in labels does not count. Wrong labels do.
    for row in &mut labels {
        row[12..].fill(0);
    }
    labels[0] = column(0)[0].clone();
    scratch.file("all__labels.npy", npy(&labels));
    near(&eval()["exact"], 39.0 / 40.0);
    // A row without a known label has no solution. A label outside the vocabulary, and one that
    // contradicts the puzzle, are errors that name the cell.
    let broken = |at: usize, label: u8, expected: &str| {
        let mut labels = column(1);
        match at {
            0 => labels[3].fill(0),
            at => labels[3][at - 1] = label,
        }
        scratch.file("all__labels.npy", npy(&labels));
        let run = trm(&["eval", &model("sudoku-6x6"), "--data", &inputs, "--json"]).expect(1);
        let errors = run.records("error");
        assert_eq!(
            (errors.len(), &run.summary()["puzzles"]),
            (1, &39.into()),
            "{run:#?}"
        );
        assert!(
            errors[0].to_string().contains(expected),
            "{expected}: {errors:?}"
        );
    };
    broken(0, 0, "has no solution to compare with");
    broken(9, 255, "label 255 in row 2, column 3 is not a token");
    broken(36, 8, "label 8 in row 6, column 6 is not a token");
    let given = column(0)[3].iter().position(|&token| token > 1).unwrap();
    let other = column(0)[3][given] % 6 + 2;
    broken(given + 1, other, "belongs to another puzzle");
    // Without labels there is nothing to compare with.
    std::fs::remove_file(scratch.path("all__labels.npy")).unwrap();
    let run = trm(&["eval", &model("sudoku-6x6"), "--data", &inputs, "--json"]).expect(2);
    assert!(run.out.contains("solution"), "{}", run.out);
}

/// Returns a `.npy` file of one number for each row.
fn npy_list(numbers: &[u8]) -> Vec<u8> {
    let mut file = npy(&numbers.iter().map(|n| vec![*n]).collect::<Vec<_>>());
    let at = file.windows(4).position(|w| w == b", 1)").unwrap();
    file[at..at + 4].copy_from_slice(b",)  ");
    file
}

#[test]
fn the_folder_of_a_data_set_is_read() {
    let scratch = Scratch::new();
    let tokens = |text: &str| text.bytes().map(|b| b - b'0' + 1).collect::<Vec<u8>>();
    let root = |name: &str, content: &[u8]| {
        let path = scratch.path(name);
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    let data = scratch.path("data");
    let eval = || trm(&["eval", &model("sudoku-4x4"), "--data", &data, "--json"]);
    root("data/identifiers.json", b"[\"<blank>\"]");
    root("data/test_puzzles.json", b"{\"a\": 1}");
    root("data/train/all__inputs.npy", b"not read");
    root(
        "data/test/dataset.json",
        b"{\"num_puzzle_identifiers\": 1, \"vocab_size\": 6}",
    );
    root("data/test/notes.json", b"{\"note\": \"not a puzzle\"}");
    root(
        "data/test/all__inputs.npy",
        &npy(&[tokens(PUZZLE), tokens(PUZZLE)]),
    );
    root(
        "data/test/all__labels.npy",
        &npy(&[tokens(SOLUTION), tokens(SOLUTION)]),
    );
    root("data/test/all__puzzle_identifiers.npy", &npy_list(&[0, 0]));
    root("data/test/all__puzzle_indices.npy", &npy_list(&[0, 1, 2]));
    let run = eval().expect(0);
    assert_eq!(run.summary()["puzzles"], 2);
    near(&run.summary()["exact"], 1.0);
    for name in [
        "its part test is read",
        "identifiers.json",
        "dataset.json",
        "notes.json",
    ] {
        assert!(run.err.contains(name), "{name}: {}", run.err);
    }
    // Arrays that do not belong together.
    root("data/test/all__puzzle_identifiers.npy", &npy_list(&[0]));
    let run = eval().expect(1);
    assert!(
        run.out.contains("fewer puzzle identifiers than puzzles"),
        "{}",
        run.out
    );
    // Without arrays, what is no puzzle is a note, and what is a broken one is an error.
    let puzzles = scratch.path("puzzles");
    root(
        "puzzles/a.csv",
        format!("puzzle,solution\n{PUZZLE},{SOLUTION}\n").as_bytes(),
    );
    root("puzzles/README.txt", b"Puzzles for everyone\n");
    root("puzzles/dataset.json", b"{\"vocab_size\": 6}");
    root(
        "puzzles/about.json",
        b"{\"author\": \"me\", \"year\": 2026}",
    );
    let run = trm(&["eval", &model("sudoku-4x4"), "--data", &puzzles, "--json"]).expect(0);
    assert!(
        run.err.contains("README.txt") && run.err.contains("about.json"),
        "{}",
        run.err
    );
    root("puzzles/broken.json", b"{\"puzzle\": ");
    trm(&["eval", &model("sudoku-4x4"), "--data", &puzzles, "--json"]).expect(1);
    std::fs::remove_file(scratch.path("puzzles/a.csv")).unwrap();
    std::fs::remove_file(scratch.path("puzzles/broken.json")).unwrap();
    let run = trm(&["eval", &model("sudoku-4x4"), "--data", &puzzles]).expect(2);
    assert!(run.err.contains("no file in it has puzzles"), "{}", run.err);
}

#[test]
fn a_solution_without_a_known_cell_is_none() {
    let file = "tests/data/field/solution-all-zero.csv";
    let run = trm(&["eval", &model("sudoku-4x4"), "--data", file]).expect(2);
    assert!(
        run.err.contains("line 2") && run.err.contains("has no solution"),
        "{}",
        run.err
    );
    for solution in [".".repeat(16), "0.0.".repeat(4)] {
        let text = format!("puzzle,solution\n{PUZZLE},{solution}\n");
        let run = trm_with(
            &["eval", &model("sudoku-4x4"), "--data", "-"],
            text.as_bytes(),
        );
        assert!(run.expect(2).err.contains("has no solution"), "{solution}");
    }
    let zeros = [0; 16];
    let tokens = [1, 1, 1, 1, 1, 3, 1, 5, 5, 1, 2, 1, 3, 2, 1, 4];
    let tokens = serde_json::json!({ "tokens": tokens, "solution": zeros }).to_string();
    let run = trm_with(
        &["eval", &model("sudoku-4x4"), "--data", "-"],
        tokens.as_bytes(),
    );
    assert!(run.expect(2).err.contains("has no solution"));
    // A solution of another puzzle is an error that names the cell.
    let text = format!("puzzle,solution\n{PUZZLE},4321123443122143\n{PUZZLE},{SOLUTION}\n");
    let run = trm_with(
        &["eval", &model("sudoku-4x4"), "--data", "-"],
        text.as_bytes(),
    )
    .expect(1);
    assert!(
        run.err.contains("line 2") && run.err.contains("solution:"),
        "{}",
        run.err
    );
}

#[test]
fn a_record_without_solution_is_an_error_that_names_it() {
    let input = format!(
        "{{\"puzzle\":\"{PUZZLE}\",\"solution\":\"{SOLUTION}\"}}\n{{\"id\":\"bare\",\"puzzle\":\"{PUZZLE}\"}}\n"
    );
    let run = trm_with(
        &["eval", &model("sudoku-4x4"), "--data", "-"],
        input.as_bytes(),
    )
    .expect(1);
    assert!(
        run.err.contains("line 2") && run.err.contains("no solution"),
        "{}",
        run.err
    );
    trm(&["eval", &model("sudoku-4x4"), "--data", "nowhere.csv"]).expect(2);
    trm(&["eval", &model("sudoku-4x4")]).expect(2);
    trm(&["eval", "--data", &data("sudoku-4x4.csv")]).expect(2);
}
