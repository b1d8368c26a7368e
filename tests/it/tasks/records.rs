//! Streams of puzzles: every form that people write, and untrusted input.

use proptest::prelude::*;
use std::io::{BufReader, Cursor};
use trm_runtime::task::{Cells, Id, InputRecord, NpyRows, Puzzle, RecordError, Records};

const FOUR: &str = "1..4..1..1..4..1";
const NINE: [&str; 9] = [
    "53..7....",
    "6..195...",
    ".98....6.",
    "8...6...3",
    "4..8.3..1",
    "7...2...6",
    ".6....28.",
    "...419..5",
    "....8..79",
];

fn read(input: impl Into<Vec<u8>>, name: &str) -> Vec<Result<InputRecord, RecordError>> {
    Records::new(Cursor::new(input.into()), name).collect()
}

/// Returns `number@line id puzzle / solution` for a record, `number@line id ! error` for a broken
/// one.
fn shown(input: impl Into<Vec<u8>>, name: &str) -> Vec<String> {
    let show = |item: Result<InputRecord, RecordError>| match item {
        Ok(InputRecord {
            puzzle,
            number,
            line,
        }) => {
            let mut text = place(number, line, puzzle.id.as_ref());
            text += &puzzle.cells.to_json().to_string();
            if let Some(solution) = &puzzle.solution {
                text += &format!(" / {}", solution.to_json());
            }
            if let Some(task) = &puzzle.task {
                text += &format!(" task={task}");
            }
            if let Some(row) = puzzle.puzzle_id {
                text += &format!(" row={row}");
            }
            text
        }
        Err(e) => format!("{}! {}", place(e.number, e.line, e.id.as_ref()), e.error),
    };
    read(input, name).into_iter().map(show).collect()
}

fn place(number: u64, line: Option<u64>, id: Option<&Id>) -> String {
    let line = line.map_or("-".to_owned(), |line| line.to_string());
    let id = id
        .map(|id| format!(" {}", id.to_json()))
        .unwrap_or_default();
    format!("{number}@{line}{id} ")
}

fn check(input: impl Into<Vec<u8>>, expected: &[&str]) {
    let input = input.into();
    let printed = String::from_utf8_lossy(&input).into_owned();
    assert_eq!(shown(input, "-"), expected, "{printed}");
}

#[test]
fn a_document_is_read_in_every_form() {
    check("", &[]);
    check("\n \n\t\r\n", &[]);
    check("[]", &[]);
    check(FOUR, &[r#"0@1 "1..4..1..1..4..1""#]);
    check(
        format!("\u{feff}{FOUR}\r\n"),
        &[r#"0@1 "1..4..1..1..4..1""#],
    );
    check(format!("\n\n  {FOUR}  "), &[r#"0@3 "1..4..1..1..4..1""#]);
    check(r#""1..4..1..1..4..1""#, &[r#"0@1 "1..4..1..1..4..1""#]);
    check("[1,0,0,1]", &["0@1 [1,0,0,1]"]);
    check("[[1,0],[0,1]]", &["0@1 [[1,0],[0,1]]"]);
    check(r#"["1.",".1"]"#, &[r#"0@1 ["1.",".1"]"#]);
    check(r##"["S#","  "]"##, &[r##"0@1 ["S#","  "]"##]);
    check(
        r#"{"id": "a", "puzzle": "1..4", "solution": "1234", "task": "sudoku", "puzzle_id": 3}"#,
        &[r#"0@1 "a" "1..4" / "1234" task=sudoku row=3"#],
    );
    check(
        r#"{"id": 12, "puzzle": [[1,0],[0,1]], "solution": [1,2,2,1]}"#,
        &["0@1 12 [[1,0],[0,1]] / [1,2,2,1]"],
    );
    check(
        r#"{"puzzle": [1,0], "solution": null, "id": null, "other": 1}"#,
        &["0@1 [1,0]"],
    );
    check(
        r#"{"tokens": [1,2,3], "puzzle_id": 0, "solution": [3,2,1]}"#,
        &["0@1 [1,2,3] / [3,2,1] row=0"],
    );
    check("\n{\n \"puzzle\":\n \"1..4\"\n}\n", &[r#"0@2 "1..4""#]);
}

#[test]
fn lists_are_read_item_by_item() {
    check(r#"["1..4","4..1"]"#, &[r#"0@1 "1..4""#, r#"1@1 "4..1""#]);
    check("[[1,0,0,1],[0,1,1,0]]", &["0@1 [1,0,0,1]", "1@1 [0,1,1,0]"]);
    check("[[1,0,0,1]]", &["0@1 [1,0,0,1]"]);
    check(
        "[[[1,0],[0,1]],[[0,1],[1,0]]]",
        &["0@1 [[1,0],[0,1]]", "1@1 [[0,1],[1,0]]"],
    );
    check(
        "[\n{\"id\":1,\"puzzle\":\"1..4\"},\n{\"id\":2,\"puzzle\":7},\n{\"id\":3,\"puzzle\":[1]}\n]",
        &[
            r#"0@- 1 "1..4""#,
            "1@- 2 ! -: `puzzle`: must be a string, a list of rows, or a list of numbers, not a number",
            "2@- 3 [1]",
        ],
    );
}

#[test]
fn arc_documents_give_a_puzzle_per_test_input() {
    let task = r#"{"train":[{"input":[[1,2]],"output":[[2,1]]}],"test":[{"input":[[3,4]]}]}"#;
    let two = r#"{"id":"t","test":[{"input":[[1]],"output":[[2]]},{"input":[[3]],"output":null}],"train":[]}"#;
    check(task, &["0@1 [[3,4]]"]);
    check(two, &[r#"0@1 "t-1" [[1]] / [[2]]"#, r#"1@1 "t-2" [[3]]"#]);
    check(
        format!(r#"{{"a": {task}, "b": {two}}}"#),
        &[
            r#"0@1 "a" [[3,4]]"#,
            r#"1@1 "t-1" [[1]] / [[2]]"#,
            r#"2@1 "t-2" [[3]]"#,
        ],
    );
    check(
        r#"{"id":5,"test":[{"input":[[3,4]]}],"solution":[[4,3]]}"#,
        &["0@1 5 [[3,4]] / [[4,3]]"],
    );

    // The name of the file is the name of the task.
    assert_eq!(
        shown(task, "some/where/007bbfb7.json"),
        [r#"0@1 "007bbfb7" [[3,4]]"#]
    );
    assert_eq!(
        shown(format!("{task}\n{task}"), "tasks.ndjson"),
        ["0@1 [[3,4]]", "1@2 [[3,4]]"]
    );
    assert_eq!(shown(format!("[{task}]"), "tasks.json"), ["0@1 [[3,4]]"]);
    let records = read(task, "007bbfb7.json");
    let Cells::Arc(arc) = &records[0].as_ref().unwrap().puzzle.cells else {
        panic!("no ARC puzzle")
    };
    assert_eq!(arc.task.as_deref(), Some("007bbfb7"));
    assert_eq!(*arc.train, [(vec![vec![1, 2]], vec![vec![2, 1]])]);
}

#[test]
fn streams_of_json_are_read_document_by_document() {
    check(
        "{\"puzzle\":\"1..4\"}\n\n\"4..1\"\n[1,2]\r\n{\"id\":9,\"puzzle\":[true]}\n{\"puzzle\n{\"puzzle\":\"..41\"}",
        &[
            r#"0@1 "1..4""#,
            r#"1@3 "4..1""#,
            "2@4 [1,2]",
            "3@5 9 ! -: line 5: `puzzle`: value 1 is true or false, not a whole number",
            "4@6 ! -: line 6: invalid JSON: EOF while parsing a string (column 8)",
            r#"5@7 "..41""#,
        ],
    );
    // Documents of several lines, one after the other.
    check(
        "{\n\"puzzle\":\"1..4\"\n}\n{\n\"puzzle\":\"4..1\"}\n[1]",
        &[r#"0@1 "1..4""#, r#"1@4 "4..1""#, "2@6 [1]"],
    );
    // A broken first line does not turn the stream into one document.
    for broken in [
        "{\"puzzle\":\"1.",
        "{\"puzzle\":",
        "{\"puzzle\":[1,",
        "{",
        "{\"puzzle\":1..4}",
        "{]",
    ] {
        let found = shown(
            format!("{broken}\n{{\"puzzle\":\"..41\"}}\n{{\"puzzle\":\"1...\"}}\n"),
            "-",
        );
        assert_eq!(found.len(), 3, "{broken}: {found:?}");
        assert!(
            found[0].starts_with("0@1 ! -: line 1: invalid JSON"),
            "{broken}: {found:?}"
        );
        assert_eq!(found[1..], [r#"1@2 "..41""#, r#"2@3 "1...""#], "{broken}");
    }
    let found = shown("\"1.\n\"..41\"\n", "-");
    assert_eq!(found[1..], [r#"1@2 "..41""#]);
}

#[test]
fn one_unreadable_document_is_one_error() {
    for (input, line) in [
        ("{", 1),
        ("[1,", 1),
        ("[\n1,\n", 3),
        ("\"abc", 1),
        ("\n{\"puzzle\": 1..4}", 2),
        ("{\n\"puzzle\":\n1..4\n}\n", 3),
        ("[[1,2],\n[3,4]\n", 3),
        ("[\n{\"puzzle\":\"1..4\"}\n{\"puzzle\":\"4..1\"}\n]", 3),
        ("{\"train\":[\n{\"input\":[[1]],\"output\":[[1]]}\n", 3),
        ("{\"puzzle\": \"53\nabc\n", 1),
    ] {
        let found = read(input, "x");
        assert_eq!(found.len(), 1, "{input:?}: {found:?}");
        match &found[0] {
            Err(e) => {
                assert!((1..=line).contains(&e.line.unwrap()), "{input:?}: {e}");
                assert!(e.to_string().starts_with("x: line "), "{e}");
            }
            Ok(record) => panic!("{input:?}: {record:?}"),
        }
    }
    assert_eq!(
        shown(b"1\xfc\n\xff\n".to_vec(), "-"),
        ["0@1 ! -: line 1: this is not text (not UTF-8): byte 2 of the line"]
    );
}

#[test]
fn errors_name_the_field() {
    for (document, expected) in [
        (
            "{}",
            "an object needs `puzzle`, or `tokens`, or `train` and `test`",
        ),
        (r#"{"Puzle": 1}"#, "this one has `Puzle`"),
        (r#"{"puzzle": "1", "tokens": [1]}"#, "can have only one of"),
        (r#"{"puzzle": ""}"#, "`puzzle`: is empty"),
        (r#"{"puzzle": []}"#, "`puzzle`: is empty"),
        (r#"{"puzzle": {}}"#, "`puzzle`: must be a string"),
        (
            r#"{"puzzle": [[1,2],[3,"4"]]}"#,
            "`puzzle`: row 2: value 2 is a string",
        ),
        (r#"{"puzzle": [[1,2],3]}"#, "`puzzle`: row 2 is a number"),
        (r#"{"puzzle": ["12",3]}"#, "`puzzle`: row 2 is a number"),
        (
            r#"{"puzzle": [1.5]}"#,
            "value 1 is a number that is not whole",
        ),
        (
            r#"{"puzzle": [1, 9223372036854775808]}"#,
            "value 2 is a number out of range",
        ),
        (r#"{"puzzle": "1", "solution": 3}"#, "`solution`: must be"),
        (
            r#"{"puzzle": "1", "id": [1]}"#,
            "`id`: must be a string or a whole number",
        ),
        (r#"{"puzzle": "1", "id": -1}"#, "`id`: must be"),
        (r#"{"puzzle": "1", "task": 1}"#, "`task`: must be"),
        (
            r#"{"puzzle": "1", "puzzle_id": 4294967296}"#,
            "`puzzle_id`: 4294967296 is out of range",
        ),
        (
            r#"{"puzzle": "1", "puzzle_id": "x"}"#,
            "`puzzle_id`: must be",
        ),
        (r#"{"tokens": [[1]]}"#, "`tokens`: "),
        (r#"{"tokens": "12"}"#, "`tokens`: must be a flat list"),
        (r#"{"train": []}"#, "no `test` input"),
        (r#"{"test": []}"#, "no `test` input"),
        (r#"{"test": 1}"#, "`test`: must be a list of pairs"),
        (
            r#"{"test": [{"output": [[1]]}]}"#,
            "pair 1 of `test`: has no `input`",
        ),
        (
            r#"{"test": [{"input": [[1]]}, {"input": [1]}]}"#,
            "pair 2 of `test`: `input`: must be a list of rows",
        ),
        (
            r#"{"test": [{"input": [[1]]}], "train": [{"input": [[1]]}]}"#,
            "pair 1 of `train`: has no `output`",
        ),
        (r#"{"a": {"test": []}}"#, "no `test` input"),
        ("true", "must be a string"),
        ("[1, null]", "value 2 is null"),
        ("[[1], 2]", "row 2 is a number"),
    ] {
        let value: serde_json::Value = serde_json::from_str(document).unwrap();
        let error = Puzzle::from_json(value.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{document}: {error}");
        assert_eq!(Puzzle::all_from_json(value).unwrap_err().to_string(), error);
    }
    let many = format!("{{\"puzzle\": \"{}\"}}", "1".repeat(65_537));
    assert!(
        many.parse::<Puzzle>()
            .unwrap_err()
            .to_string()
            .contains("has 65537 cells; the limit is 65536")
    );
    assert!(
        Puzzle::from_json(serde_json::json!([[1, 2, 3], [3, 4, 5]]))
            .unwrap_err()
            .to_string()
            .contains("several")
    );
    assert!(
        "[]".parse::<Puzzle>()
            .unwrap_err()
            .to_string()
            .contains("empty")
    );
    assert!(
        "".parse::<Puzzle>()
            .unwrap_err()
            .to_string()
            .contains("empty")
    );
    let mut deep = serde_json::json!(1);
    for _ in 0..100 {
        deep = serde_json::Value::Array(vec![deep]);
    }
    assert!(
        Puzzle::from_json(deep)
            .unwrap_err()
            .to_string()
            .contains("nested too deeply")
    );
}

#[test]
fn tables_are_read_line_by_line() {
    check(
        "puzzle,solution\n1..4,1234\r\n\n4..1,\n",
        &[r#"0@2 "1..4" / "1234""#, r#"1@4 "4..1""#],
    );
    check("\u{feff}Puzzle\r\n1..4\r\n", &[r#"0@2 "1..4""#]);
    check(
        "maze,solution\n S G,oSoG\nS# G,\n",
        &[r#"0@2 " S G" / "oSoG""#, r##"1@3 "S# G""##],
    );
    check(
        "source,question,answer,rating\nx,1..4,1234,5\n\"a, \"\"b\"\"\",\"4..1\",1234,\n",
        &[r#"0@2 "1..4" / "1234""#, r#"1@3 "4..1" / "1234""#],
    );
    check(
        "\"id\",\"puzzle\",task,puzzle_id\n7,1..4,sudoku,3\n007,4..1,,\n",
        &[r#"0@2 7 "1..4" task=sudoku row=3"#, r#"1@3 "007" "4..1""#],
    );
    check(
        "puzzle,solution\n1..4\n\"1..4,x\n1,2,3\n,1234\n1..4,1234\n",
        &[
            "0@2 ! -: line 2: the line has 1 fields, but the header has 2: a field with a comma needs quotes",
            "1@3 ! -: line 3: a quote is not closed on its line",
            "2@4 ! -: line 4: the line has 3 fields, but the header has 2: a field with a comma needs quotes",
            "3@5 ! -: line 5: the puzzle: is empty",
            r#"4@6 "1..4" / "1234""#,
        ],
    );
    let found = shown("a,b\n1,2\n3,4\n", "t.csv");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("t.csv: line 1: the first line of a table must name its columns"),
        "{found:?}"
    );
}

#[test]
fn the_files_of_the_repository_are_read() {
    for (name, count, cells) in [
        ("sudoku_4x4_test", 500, 16),
        ("sudoku_6x6_minimal_test", 1000, 36),
        ("sudoku_6x6_mixed_test", 1000, 36),
        ("sudoku_9x9_minimal_test", 1000, 81),
        ("sudoku_9x9_mixed_test", 1000, 81),
        ("sudoku_9x9_newspaper_test", 1000, 81),
        ("sudoku_extreme_test_500", 500, 81),
        ("maze_10x10_test_1000", 1000, 100),
    ] {
        let path = format!("tests/data/puzzles/{name}.csv");
        let file = BufReader::new(std::fs::File::open(&path).unwrap());
        let records: Vec<InputRecord> = Records::new(file, &path).map(Result::unwrap).collect();
        assert_eq!(records.len(), count, "{name}");
        for (i, record) in records.iter().enumerate() {
            assert_eq!((record.number, record.line), (i as u64, Some(i as u64 + 2)));
            assert_eq!(record.puzzle.cells.count(), cells);
            assert_eq!(
                record.puzzle.solution.as_ref().map(Cells::count),
                Some(cells)
            );
        }
        // The same puzzles as plain text: one per line, and as grids below each other.
        let n = cells.isqrt();
        let (mut lines, mut grids) = (String::new(), String::new());
        for record in &records {
            let text = record.puzzle.cells.to_string();
            lines += &format!("{text}\n");
            for row in text.as_bytes().chunks(n) {
                grids += &format!("{}\n", std::str::from_utf8(row).unwrap());
            }
        }
        let texts: Vec<Cells> = read(lines, "x")
            .into_iter()
            .map(|r| r.unwrap().puzzle.cells)
            .collect();
        assert!(
            texts.iter().eq(records.iter().map(|r| &r.puzzle.cells)),
            "{name}"
        );
        let rows = |text: &Cells| {
            text.to_json().as_str().map(|text| {
                text.as_bytes()
                    .chunks(n)
                    .map(|row| String::from_utf8_lossy(row).into_owned())
                    .collect()
            })
        };
        let found: Vec<Cells> = read(grids, "x")
            .into_iter()
            .map(|r| r.unwrap().puzzle.cells)
            .collect();
        let expected: Vec<Cells> = records
            .iter()
            .filter_map(|r| rows(&r.puzzle.cells))
            .map(Cells::Rows)
            .collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        assert!(found == expected, "{name}");
    }
}

#[test]
fn plain_text_is_read_in_every_form() {
    let nine = NINE.join("");
    let rows = serde_json::json!(NINE).to_string();
    check(nine.clone(), &[&format!("0@1 \"{nine}\"")]);
    check(NINE.join("\n"), &[&format!("0@1 {rows}")]);
    check(NINE.join("\r\n"), &[&format!("0@1 {rows}")]);
    check(
        format!("{nine}\n{nine}\n\n{nine}\n"),
        &[
            &format!("0@1 \"{nine}\""),
            &format!("1@2 \"{nine}\""),
            &format!("2@4 \"{nine}\""),
        ],
    );
    // A broken line in a stream, at the start and later.
    for at in 0..3 {
        let mut lines = [nine.as_str(); 3];
        lines[at] = &nine[1..];
        let found = read(lines.join("\n"), "-");
        let cells: Vec<usize> = found
            .iter()
            .map(|r| r.as_ref().unwrap().puzzle.cells.count())
            .collect();
        assert_eq!(
            cells,
            lines.iter().map(|line| line.len()).collect::<Vec<_>>()
        );
    }
    // The first line is broken, but as long as the others: neither a grid of 16 x 16 nor one of
    // three rows.
    let first = FOUR.replace('4', "9");
    assert_eq!(read(format!("{first}\n{FOUR}\n{FOUR}\n"), "-").len(), 3);
    let (first, maze) = ("   S  #         ", "   S  #      G  ");
    assert_eq!(
        read(format!("{first}\n{}", format!("{maze}\n").repeat(20)), "-").len(),
        21
    );
    // As newspapers print it.
    let mut newspaper = String::from("+-------+-------+-------+\n");
    for (i, row) in NINE.iter().enumerate() {
        let boxes: Vec<String> = row
            .as_bytes()
            .chunks(3)
            .map(|b| b.iter().map(|&c| format!("{} ", c as char)).collect())
            .collect();
        newspaper += &format!("| {}|\n", boxes.join("| "));
        if i % 3 == 2 {
            newspaper += "+-------+-------+-------+\n\n";
        }
    }
    check(newspaper.clone(), &[&format!("0@2 {rows}")]);
    assert_eq!(
        newspaper
            .parse::<Puzzle>()
            .unwrap()
            .cells
            .to_json()
            .to_string(),
        rows
    );
    // A row of 16 with digits above 4 is no Sudoku of 4 x 4.
    let sixteen = "12..5...9.A.....\n".repeat(16);
    assert_eq!(read(sixteen, "-").len(), 1);
    assert_eq!(read(format!("{FOUR}\n").repeat(16), "-").len(), 16);
    // The third line is broken: nine rows all the same.
    let mut ragged = NINE;
    ragged[2] = ".98...6.";
    assert_eq!(read(ragged.join("\n"), "-").len(), 1);
}

#[test]
fn mazes_keep_their_blanks() {
    check(
        "#S##\n#  #\n# G \n    \n",
        &[r##"0@1 ["#S##","#  #","# G ","    "]"##],
    );
    check(
        "    \n S  \n  G \n   #",
        &[r##"0@1 ["    "," S  ","  G ","   #"]"##],
    );
    check(
        "\n \n    \n S  \n  G \n   #",
        &[r##"0@3 ["    "," S  ","  G ","   #"]"##],
    );
    check(
        "S  \n   \n  G\n\n#S#\n   \n G#\n",
        &[
            r##"0@1 ["S  ","   ","  G"]"##,
            r##"1@5 ["#S#","   "," G#"]"##,
        ],
    );
    // Too few rows are one broken maze, not the start of the next.
    check(
        "S# \n   \n\nS  \n  #\n  G\n",
        &[r##"0@1 ["S# ","   "]"##, r##"1@4 ["S  ","  #","  G"]"##],
    );
    let line = "S  #            G";
    check(&line[1..], &[r##"0@1 "  #            G""##]);
    let alone = "   S  #      G  ";
    check(
        format!("{alone}\n{alone}"),
        &[&format!("0@1 \"{alone}\""), &format!("1@2 \"{alone}\"")],
    );
    let text = "    \n S  \n  G \n   #\n";
    assert_eq!(
        text.parse::<Puzzle>().unwrap().cells.to_string(),
        text.trim_end_matches('\n')
    );
    assert_eq!(
        alone.parse::<Puzzle>().unwrap().cells,
        Cells::Text(alone.into())
    );
    let json = format!("\"{alone}\"");
    assert_eq!(
        json.parse::<Puzzle>().unwrap().cells,
        Cells::Text(alone.into())
    );
}

/// Text with the characters that matter to the parsers.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{\"puzzle\":"),
        Just("\"1..4\""),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just("\n"),
        Just("\r\n"),
        Just("\""),
        Just("\\"),
        Just("1"),
        Just("0.."),
        Just("#"),
        Just(" "),
        Just("S"),
        Just("G"),
        Just("o"),
        Just("\"train\":"),
        Just("\"test\":"),
        Just("\"input\":[[1]]"),
        Just("{"),
        Just("\"id\":1,"),
        Just("puzzle,solution\n"),
        Just("1..4..1..1..4..1\n"),
        Just("  S        G    \n"),
        Just("|"),
        Just("---\n"),
        Just("\u{feff}"),
        Just("é"),
        Just("null"),
        Just("{\"puzzle\":\"1..4\"}\n"),
        Just("-1"),
        Just("1e9"),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn contents() -> impl Strategy<Value = Cells> {
    let numbers = |n: std::ops::Range<usize>| proptest::collection::vec(any::<i64>(), n);
    prop_oneof![
        "[0-9.]{1,100}".prop_map(Cells::Text),
        "[ #]{0,10}#[ #SG]{0,10}".prop_map(Cells::Text),
        proptest::collection::vec("[ #SG0-9.]{1,12}", 2..12).prop_map(Cells::Rows),
        numbers(1..50).prop_map(Cells::List),
        proptest::collection::vec(numbers(1..8), 1..8).prop_map(Cells::Grid),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_read_to_the_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(read(bytes.clone(), "x.json"));
        if let Ok(rows) = NpyRows::open(Cursor::new(bytes)) {
            prop_assert!(rows.count() < 400);
        }
    }

    #[test]
    fn any_text_is_read_to_the_end(text in texts(), cut in 0..100_usize) {
        let items = read(text.clone(), "x.json");
        prop_assert!(items.len() <= text.len());
        for (i, item) in items.iter().enumerate() {
            let (number, line) = match item {
                Ok(record) => (record.number, record.line),
                Err(error) => (error.number, error.line),
            };
            prop_assert_eq!(number, i as u64);
            let last = 1 + text.matches('\n').count() as u64;
            prop_assert!(line.is_none_or(|line| (1..=last).contains(&line)));
        }
        drop(text.parse::<Puzzle>());
        // The records do not depend on how the bytes arrive.
        let slow = BufReader::with_capacity(1 + cut % 7, Cursor::new(text.clone()));
        let slow: Vec<String> = Records::new(slow, "x.json").map(|item| format!("{item:?}")).collect();
        prop_assert_eq!(slow, items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_printed_as_json_is_read_as_the_same(
        content in contents(),
        solution in contents(),
        number in any::<u64>(),
    ) {
        let document = serde_json::json!({ "id": number, "puzzle": content.to_json(), "solution": solution.to_json() });
        let puzzle = Puzzle::from_json(document.clone()).unwrap();
        prop_assert_eq!(puzzle.id, Some(Id::Number(number)));
        prop_assert_eq!(&puzzle.cells, &content);
        prop_assert_eq!(puzzle.solution, Some(solution));
        let records = read(document.to_string(), "x");
        prop_assert_eq!(records.len(), 1);
        prop_assert_eq!(&records[0].as_ref().unwrap().puzzle.cells, &content);
        let pretty = serde_json::to_string_pretty(&document).unwrap();
        let records = read(pretty, "x");
        prop_assert_eq!(&records[0].as_ref().unwrap().puzzle.cells, &content);
    }
}
