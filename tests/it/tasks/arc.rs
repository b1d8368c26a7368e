//! ARC grids and the names of their tasks.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use trm_runtime::task::{ArcGrid, Cells, Id, Identifiers, Puzzle, Task, TokenSpec};

use super::{EASY, arc, assert_says, error, text, token_spec, why};

#[test]
fn an_arc_grid_lies_on_its_canvas_as_published() {
    let problem = ArcGrid::default()
        .encode(
            &arc(None, vec![vec![0, 7], vec![9, 1]]),
            &token_spec(12, 16),
        )
        .expect("a grid");
    #[rustfmt::skip]
    assert_eq!(problem.tokens, [
        2, 9, 1, 0,
        11, 3, 1, 0,
        1, 1, 0, 0,
        0, 0, 0, 0,
    ]);
    assert_eq!((problem.rows, problem.cols, problem.puzzle_id), (4, 4, 0));
    // No room for the mark below, none at the right, none at all.
    let tall = ArcGrid::default()
        .encode(&arc(None, vec![vec![3]; 2]), &token_spec(12, 4))
        .expect("a grid");
    assert_eq!(tall.tokens, [5, 1, 5, 1]);
    let wide = ArcGrid::default()
        .encode(&arc(None, vec![vec![3, 3]]), &token_spec(12, 4))
        .expect("a grid");
    assert_eq!(wide.tokens, [5, 5, 1, 1]);
    let full = ArcGrid::default()
        .encode(&arc(None, vec![vec![3, 3]; 2]), &token_spec(12, 4))
        .expect("a grid");
    assert_eq!(full.tokens, [5, 5, 5, 5]);
    let usual = ArcGrid::default()
        .encode(&arc(None, vec![vec![0]]), &token_spec(12, None))
        .expect("a grid");
    assert_eq!((usual.tokens.len(), usual.rows), (900, 30));
    assert_eq!([0, 1, 2, 30, 31].map(|i| usual.tokens[i]), [2, 1, 0, 1, 0]);
}

#[test]
fn impossible_arc_grids_are_told_in_words() {
    let cases = [
        (
            vec![],
            "the grid is 0 x 0: this model takes 1 x 1 to 30 x 30",
        ),
        (vec![vec![]], "the grid is 1 x 0"),
        (vec![vec![0]; 31], "the grid is 31 x 1"),
        (vec![vec![0; 31]], "the grid is 1 x 31"),
        (
            vec![vec![0, 1], vec![0]],
            "row 2 of the grid has 1 cells, but row 1 has 2",
        ),
        (
            vec![vec![0, 10]],
            "10 in row 1, column 2 of the grid is not a colour: colours are 0 to 9",
        ),
        (vec![vec![0, -1]], "-1 in row 1, column 2"),
    ];
    for (test, part) in cases {
        let content = arc(None, test).cells;
        assert_says(
            &error(&ArcGrid::default(), content, &token_spec(12, 900)),
            part,
        );
    }
    let one = || arc(None, vec![vec![0]]).cells;
    assert_says(
        &error(&ArcGrid::default(), one(), &token_spec(11, 900)),
        "vocabulary of 12 tokens",
    );
    assert_says(
        &error(&ArcGrid::default(), one(), &token_spec(12, 97)),
        "but the model takes 97",
    );
    assert_says(
        &error(&ArcGrid::default(), one(), &token_spec(12, 1 << 60)),
        "square canvas",
    );
    assert_says(
        &error(
            &ArcGrid::default(),
            arc(None, vec![vec![0; 5]]).cells,
            &token_spec(12, 16),
        ),
        "to 4 x 4",
    );
    assert_says(
        &error(&ArcGrid::default(), text(EASY), &token_spec(12, 900)),
        "this is a string, not an ARC task",
    );
    let mut solved = arc(None, vec![vec![0]]);
    solved.solution = Some(Cells::Grid(vec![vec![12]]));
    let message = ArcGrid::default()
        .encode(&solved, &token_spec(12, 900))
        .expect_err("colour 12")
        .to_string();
    assert_says(
        &message,
        "solution: 12 in row 1, column 1 of the grid is not a colour",
    );
}

#[test]
fn arc_answers_are_judged_where_the_output_is_known() {
    let mut given = arc(None, vec![vec![1, 2]]);
    let token_spec = token_spec(12, 9);
    let problem = ArcGrid::default()
        .encode(&given, &token_spec)
        .expect("a grid");
    assert_eq!(
        ArcGrid::default().verify(&problem, &problem.tokens).valid,
        None
    );
    given.solution = Some(Cells::Grid(vec![vec![4], vec![5]]));
    let problem = ArcGrid::default()
        .encode(&given, &token_spec)
        .expect("a grid");
    // Tokens outside the crop do not count.
    let right = [6, 1, 0, 7, 1, 9, 1, 1, 0];
    assert_eq!(
        ArcGrid::default().verify(&problem, &right).valid,
        Some(true)
    );
    assert_eq!(
        ArcGrid::default().decode(&problem, &right),
        Cells::Grid(vec![vec![4], vec![5]])
    );
    assert_says(
        &why(&ArcGrid::default(), &problem, &[6, 1, 0, 8, 1, 0, 1, 0, 0]),
        "1 cell differs",
    );
    assert_says(
        &why(&ArcGrid::default(), &problem, &[6, 6, 0, 7, 7, 0, 1, 1, 0]),
        "the grid is 2 x 2, but the solution is 2 x 1",
    );
    assert_says(
        &why(&ArcGrid::default(), &problem, &[]),
        "the grid is 0 x 0",
    );
    assert_eq!(
        ArcGrid::default().decode(&problem, &[1; 9]),
        Cells::Grid(vec![])
    );
}

/// Finds the largest rectangle of colours at the top left by trying all. The fewest rows win among
/// equals.
pub(crate) fn naive_crop(tokens: &[u32], n: usize) -> Vec<Vec<i64>> {
    let colours = |rows: usize, cols: usize| {
        (0..rows).all(|r| (0..cols).all(|c| (2..12).contains(&tokens[r * n + c])))
    };
    let sizes = (1..=n)
        .flat_map(|r| (1..=n).map(move |c| (r, c)))
        .filter(|&(r, c)| colours(r, c));
    let best = sizes.fold((0, 0), |best, size| {
        if size.0 * size.1 > best.0 * best.1 {
            size
        } else {
            best
        }
    });
    (0..best.0)
        .map(|r| {
            (0..best.1)
                .map(|c| i64::from(tokens[r * n + c]) - 2)
                .collect()
        })
        .collect()
}

fn identifiers(json: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("identifiers.json");
    fs::write(&path, json).expect("a file");
    (dir, path)
}

#[test]
fn a_task_is_found_by_its_plain_name_or_its_identity_transform() {
    let list = r#"["<blank>", "aaaa|||t0|||0123456789", "aaaa|||t3|||0123456789", "bbbb|||t0|||0213456789",
        "cccc|||t0|||0123456789", "cccc", "cccc", "d\u0064dd"]"#;
    let object = r#"{"<blank>": 0, "aaaa|||t0|||0123456789": 1, "aaaa|||t3|||0123456789": 2,
        "bbbb|||t0|||0213456789": 3, "cccc|||t0|||0123456789": 4, "cccc": 5, "dddd": 7}"#;
    for json in [list, object] {
        let (_dir, path) = identifiers(json);
        let names = Identifiers::open(&path).expect("identifiers");
        let find = |name| names.find(name).expect("readable");
        assert_eq!(
            ["aaaa", "bbbb", "cccc", "dddd", "<blank>", ""].map(find),
            [Some(1), None, Some(5), Some(7), None, None]
        );
        assert_eq!(names.clone().task_count().expect("readable"), 3);
    }
}

#[test]
fn damaged_and_hostile_identifiers_are_errors() {
    let long_name = format!(r#"["{}"]"#, "a".repeat(100_000));
    let escapes = format!(r#"["{}"]"#, r#"\""#.repeat(100_000));
    let nested = "[".repeat(100_000);
    let many: String = format!(
        "[{}\"x\"]",
        (0..600_000)
            .map(|i| format!("\"{i}\","))
            .collect::<String>()
    );
    let cases = [
        ("", "expected a list of names"),
        ("[\"a\"", "the file is truncated"),
        ("[\"a", "the file is truncated"),
        ("[\"a\\", "the file is truncated"),
        ("[", "expected a name"),
        ("[\"a\" \"b\"]", "expected a comma"),
        ("[\"a\\q\"]", "a name is not a JSON string"),
        ("{\"a\" 1}", "expected `:` after a name"),
        ("[\"a\"] x", "something follows"),
        ("[1]", "expected a name"),
        ("3", "expected a list of names"),
        (nested.as_str(), "expected a name"),
        (r#"{"a": 4294967296}"#, "a row is out of range"),
        (r#"{"a": -1}"#, "expected the row of a name"),
        (long_name.as_str(), "a name is too long"),
        (escapes.as_str(), "a name is too long"),
        (many.as_str(), "more tasks than ARC can have"),
    ];
    for (json, part) in cases {
        let (_dir, path) = identifiers(json);
        let message = Identifiers::open(&path)
            .expect("opens")
            .find("a")
            .expect_err("an error")
            .to_string();
        assert_says(&message, part);
        assert_says(
            &message,
            "identifiers.json: is not a list of puzzle identifiers",
        );
    }
    assert_says(
        &Identifiers::open("no/such/identifiers.json")
            .expect_err("no file")
            .to_string(),
        "identifiers.json",
    );
}

#[test]
fn names_of_another_puzzle_embedding_are_refused() {
    let whole = r#"["<blank>", "aaaa", "bbbb", "cccc"]"#;
    let whole_object = r#"{"bbbb": 2, "<blank>": 0, "cccc": 3, "aaaa": 1}"#;
    for json in [whole, whole_object] {
        let (_dir, path) = identifiers(json);
        let names = Identifiers::open(&path).expect("opens").for_rows(4);
        names.check().expect("the names of this model");
    }
    for (json, part) in [
        (
            r#"["<blank>", "aaaa", "bbbb"]"#,
            "names 3 rows, but the puzzle embedding",
        ),
        (
            r#"["<blank>", "x", "aaaa", "bbbb", "cccc"]"#,
            "names 5 rows",
        ),
        (
            r#"["aaaa", "bbbb", "cccc", "dddd"]"#,
            "row 0 to \"aaaa\": it must be <blank>",
        ),
        (
            r#"["aaaa", "<blank>", "bbbb", "cccc"]"#,
            "row 0 to \"aaaa\"",
        ),
        (r#"["", "aaaa", "bbbb", "cccc"]"#, "row 0 to \"\""),
        (
            r#"{"<blank>": 0, "a": 1, "b": 2, "c": 4}"#,
            "names rows that",
        ),
        (
            r#"{"<blank>": 0, "a": 1, "b": 2, "c": 2}"#,
            "row 2 to more than one name",
        ),
        (
            r#"{"<blank>": 1, "a": 2, "b": 3, "c": 4}"#,
            "names rows that",
        ),
        ("[]", "names 0 rows"),
    ] {
        let (_dir, path) = identifiers(json);
        let names = Identifiers::open(&path).expect("opens").for_rows(4);
        let errors = [
            names.check().expect_err("another model"),
            names.find("aaaa").map(drop).expect_err("another model"),
            names
                .augmentations(["aaaa"])
                .map(drop)
                .expect_err("another model"),
        ];
        for error in errors {
            assert_says(&error.to_string(), part);
            assert_says(&error.to_string(), "identifiers.json");
        }
    }
    // Without a known number of rows the blank is still demanded.
    for json in [r#"["aaaa", "bbbb"]"#, r#"{"aaaa": 1}"#, "[]"] {
        let (_dir, path) = identifiers(json);
        let error = Identifiers::open(&path).expect("opens").check();
        assert_says(&error.expect_err("no blank").to_string(), "<blank>");
    }
}

#[test]
fn refused_names_are_not_read_again() {
    let (dir, path) = identifiers(r#"["<blank>", "aaaa"]"#);
    let names = Identifiers::open(&path).expect("opens").for_rows(3);
    let first = names.find("aaaa").expect_err("another model").to_string();
    fs::remove_file(&path).expect("removed");
    for _ in 0..2 {
        let again = names.clone().find("aaaa").expect_err("another model");
        assert_eq!(again.to_string(), first);
    }
    // A pipe would block for ever.
    let pipe = dir.path().join("pipe.json");
    #[cfg(unix)]
    {
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        let error = Identifiers::open(&pipe).expect_err("a pipe").to_string();
        assert_says(&error, "not a regular file");
    }
}

#[test]
fn a_list_as_long_as_the_published_one_is_searched() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("identifiers.json");
    let mut file = BufWriter::new(fs::File::create(&path).expect("a file"));
    write!(file, "[\"<blank>\"").expect("written");
    for row in 1..900_000 {
        // Every thousandth name is a task, the others are its augmentations.
        match row % 1000 {
            1 => write!(file, ", \"{:08x}\"", row / 1000),
            i => write!(file, ", \"{:08x}|||t{}|||0{:09}\"", row / 1000, i % 8, i),
        }
        .expect("written");
    }
    write!(file, "]").expect("written");
    file.into_inner().expect("flushed");
    let names = Identifiers::open(&path).expect("identifiers");
    assert_eq!(names.find("0000037f").expect("readable"), Some(895_001));
    assert_eq!(names.find("00000384").expect("readable"), None);
    assert_eq!(names.task_count().expect("readable"), 900);
}

#[test]
fn an_arc_task_needs_its_row_of_the_puzzle_embedding() {
    let (_dir, path) = identifiers(r#"["<blank>", "007bbfb7", "00d62c1b", "far"]"#);
    let known = ArcGrid {
        identifiers: Some(Identifiers::open(path).expect("identifiers")),
    };
    let model = TokenSpec {
        vocab_size: 12,
        seq_len: Some(900),
        num_puzzle_identifiers: 4,
    };
    let row = |task: &ArcGrid, puzzle: &Puzzle| {
        task.encode(puzzle, &model)
            .map(|p| p.puzzle_id)
            .map_err(|e| e.to_string())
    };
    let named = |name| arc(Some(name), vec![vec![0]]);
    assert_eq!(row(&known, &named("00d62c1b")), Ok(2));
    let mut by_id = arc(None, vec![vec![0]]);
    by_id.id = Some(Id::Text("007bbfb7".to_owned()));
    assert_eq!(row(&known, &by_id), Ok(1));
    by_id.cells = Cells::Grid(vec![vec![0]]);
    assert_eq!(row(&known, &by_id), Ok(1));
    let mut given = named("unseen");
    given.puzzle_id = Some(2);
    assert_eq!(row(&known, &given), Ok(2));
    assert_eq!(row(&ArcGrid::default(), &given), Ok(2));
    given.puzzle_id = Some(4);
    assert_says(
        &row(&known, &given).expect_err("4 rows"),
        "puzzle_id is 4, but the model knows only 0 to 3",
    );
    let message = row(&known, &named("unse\u{1b}en")).expect_err("unseen");
    assert_says(
        &message,
        r"ARC task unse\u{1b}en is not among the 3 puzzles that this checkpoint was trained on",
    );
    // A model with fewer or more rows is another one, and every name may have the wrong row.
    for rows in [3, 5] {
        let other = TokenSpec {
            num_puzzle_identifiers: rows,
            ..model
        };
        for name in ["00d62c1b", "far"] {
            let error = known
                .encode(&named(name), &other)
                .expect_err("another model");
            assert_says(
                &error.to_string(),
                &format!("names 4 rows, but the puzzle embedding of the model has {rows}"),
            );
        }
    }
    assert_says(
        &row(&known, &arc(None, vec![vec![0]])).expect_err("no name"),
        "give it an id",
    );
    let message = row(&ArcGrid::default(), &named("007bbfb7")).expect_err("no identifiers");
    assert_says(
        &message,
        "ARC task 007bbfb7 needs identifiers.json beside the model, or a puzzle_id in the document",
    );
    let one = TokenSpec {
        num_puzzle_identifiers: 1,
        ..model
    };
    assert_eq!(
        ArcGrid::default()
            .encode(&named("any"), &one)
            .expect("row 0")
            .puzzle_id,
        0
    );
}
