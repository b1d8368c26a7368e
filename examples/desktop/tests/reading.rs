//! Reading puzzles: all accepted forms, and the messages about everything else.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use trm_demo::board::{self, Board, Grid, INVALID, Kind, read_first, read_first_in_file};
use trm_runtime::task::Cells;

mod common;

use common::{EASY, EASY_SOLVED, MAZE, NO_CELLS, digits, maze, parse};

/// Returns reason a text is not accepted.
fn error(text: &str) -> String {
    match Board::parse(text) {
        Ok(board) => panic!("{text:?} was read as {board:?}"),
        Err(reason) => reason,
    }
}

/// Texts like the JSON of a puzzle.
const JSON_LIKE: &str = concat!(
    r#"\{"(puzzle|test|train|tokens)": ?"#,
    r#"\[(\[[0-9, -]{0,9}\],? ?|"[.0-9#SG ]{0,9}",?){0,6}\]\}"#
);

/// Returns the path of an example puzzle.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../puzzles")
        .join(name)
}

#[test]
fn sudokus_are_read_with_any_line_breaks() {
    let board = parse(EASY);
    assert_eq!(
        (board.kind(), board.cells()),
        (Kind::sudoku(9), digits(EASY).as_slice())
    );
    let lines = |n: usize| {
        let rows: Vec<String> = EASY
            .as_bytes()
            .chunks(n)
            .map(|row| String::from_utf8_lossy(row).into())
            .collect();
        rows.join("\r\n")
    };
    let spaced: String = EASY
        .replace('.', "0")
        .chars()
        .flat_map(|c| [c, ' '])
        .collect();
    let ruled = "+-+-+\n|5 3 .|. 7 .|. . .|\n|6 . .|1 9 5|. . .|\n|. 9 8|. . .|. 6 .|\n\
                 ------+-------+------\n\
                 8 . . | . 6 . | . . 3\n4 . . | 8 . 3 | . . 1\n7 . . | . 2 . | . . 6\n\n\
                 . 6 . . . . 2 8 .\n. . . 4 1 9 . . 5\n. . . . 8 . . 7 9\n";
    let bom = format!("\u{feff}\n\n  {EASY}\n");
    for text in [lines(9), lines(27), lines(10), spaced, ruled.into(), bom] {
        assert_eq!(parse(&text), board, "{text}");
    }
    assert_eq!(parse("1..4..1..1..4..1").kind(), Kind::sudoku(4));
    assert_eq!(parse(&"0".repeat(36)), Board::sudoku(6));
    // A Sudoku that breaks the rules is accepted, so that the user can correct it.
    let wrong = parse("11..............");
    assert_eq!(wrong.conflicts(None), [0, 1]);
    assert!(wrong.check().unwrap_err().contains("two 1s in row 1"));
}

#[test]
fn mazes_are_read_without_trailing_blanks() {
    let (board, _) = maze();
    assert_eq!(
        (board.kind(), board.cells()),
        (Kind::maze(4), b"S #G# # #   ####".as_slice())
    );
    for text in [
        "S #G\r\n# #\r\n#\r\n####",
        "\n\nS #G\n# # \n#\n####\n\n\n",
        "S #G# # #   ####\n",
    ] {
        assert_eq!(parse(text), board, "{text:?}");
    }
    // Rows without a wall at the top, in the middle and at the end.
    assert_eq!(parse("\n S#\n\n  G ").cells(), b"     S#       G ");
    assert_eq!(parse("S##\nG##\n\n").cells(), b"S##G##   ");
    // A maze without a solution is accepted.
    let unsolvable = parse("S#\n#G");
    assert_eq!(
        (unsolvable.conflicts(None), board.conflicts(None)),
        (vec![0, 3], vec![])
    );
    assert!(unsolvable.check().unwrap_err().contains("no path leads"));
}

#[test]
fn json_and_csv_are_read() {
    let two = r#"[{"id": 7, "puzzle": "1..4..1..1..4..1"}, {"puzzle": "0"}]"#;
    let first = read_first(two, "").unwrap();
    assert_eq!(
        (first.board.name().as_deref(), first.has_more),
        (Some("7"), true)
    );
    let board = parse("1..4..1..1..4..1");
    for text in [
        r#""1..4..1..1..4..1""#,
        r#"{"puzzle": ["1..4", "..1.", ".1..", "4..1"]}"#,
        "[[1,0,0,4],[0,0,1,0],[0,1,0,0],[4,0,0,1]]",
        "{\n\"puzzle\": [1,0,0,4,0,0,1,0,0,1,0,0,4,0,0,1]}",
        "puzzle,solution\n1..4..1..1..4..1,\n",
        "1..4..1..1..4..1\n................\n",
        r#"{"tokens": [2,1,1,5,1,1,2,1,1,2,1,1,5,1,1,2], "task": "sudoku"}"#,
    ] {
        assert_eq!(parse(text), board, "{text}");
    }
    assert!(
        read_first("1..4..1..1..4..1\n................\n", "")
            .unwrap()
            .has_more
    );
    assert!(!read_first("1..4..1..1..4..1\n", "").unwrap().has_more);
    let maze = serde_json::json!({ "puzzle": ["S #G", "# # ", "#   ", "####"], "id": "small" });
    let maze = parse(&maze.to_string());
    assert_eq!(
        (maze.cells(), maze.name().as_deref()),
        (parse(MAZE).cells(), Some("small"))
    );
    for name in [
        "sudoku-4x4",
        "sudoku-6x6",
        "sudoku-9x9",
        "maze-10x10",
        "maze-15x15",
        "maze-20x20",
    ] {
        let board = Board::open(&example(&format!("{name}.json"))).unwrap();
        assert_eq!(board.name().as_deref(), Some(name));
        board.check().unwrap();
    }
}

#[test]
fn a_solution_is_kept_while_the_puzzle_is_unchanged() {
    let mut board = parse(&format!(
        r#"{{"id": "easy", "puzzle": "{EASY}", "solution": "{EASY_SOLVED}"}}"#
    ));
    assert_eq!(board.solution().unwrap().cells, digits(EASY_SOLVED));
    assert!(board.to_puzzle().solution.is_some());
    assert!(board.set(2, 4));
    assert_eq!((board.solution(), board.to_puzzle().solution), (None, None));
    assert_eq!(board.to_puzzle().id, Some("easy".into()));
    assert!(board.undo() && board.solution().is_some());
    let reason = error(&format!(r#"{{"puzzle": "{EASY}", "solution": "12"}}"#));
    assert!(reason.contains("solution"), "{reason}");
}

#[test]
fn an_arc_task_file_is_read_with_its_example_pairs() {
    let first = read_first_in_file(&example("arc/007bbfb7.json")).unwrap();
    let board = first.board;
    assert_eq!((board.kind(), first.has_more), (Kind::arc(3, 3), false));
    assert_eq!(board.name().as_deref(), Some("007bbfb7"));
    let pairs = board.demonstrations();
    assert!(
        pairs.len() >= 2
            && pairs
                .iter()
                .all(|(input, output)| input.len() == 3 && output.len() == 9)
    );
    board.check().unwrap();
    assert_eq!(parse(&board.to_text()), board);
    let Cells::Arc(arc) = board.to_puzzle().cells else {
        panic!("the puzzle is not an ARC task")
    };
    assert_eq!(arc.task.as_deref(), Some("007bbfb7"));

    let task = r#"{"id": "t", "puzzle_id": 5, "train": [{"input": [[1]], "output": [[2, 3]]}],
                   "test": [{"input": [[4, 0]], "output": [[5], [6]]}, {"input": [[9]]}]}"#;
    let first = read_first(task, "").unwrap();
    let solution = Grid {
        rows: 2,
        cols: 1,
        cells: vec![5, 6],
    };
    assert_eq!(
        (first.has_more, first.board.solution()),
        (true, Some(solution))
    );
    assert_eq!(first.board.to_puzzle().puzzle_id, Some(5));
    assert_eq!(first.board.conflicts(Some(&[5, 7])), [1]);
    assert_eq!(first.board.conflicts(Some(&[5])), NO_CELLS);
    assert_eq!(first.board.conflicts(None), NO_CELLS);
    // Rows of numbers that cannot be a Sudoku are an ARC grid.
    assert_eq!(
        parse(r#"{"puzzle": [[1,2,3],[4,5,6]]}"#).kind(),
        Kind::arc(2, 3)
    );
    assert_eq!(
        parse("[[9,0,0,0],[0,0,0,0],[0,0,0,0],[0,0,0,0]]").kind(),
        Kind::arc(4, 4)
    );
    let nine = serde_json::json!({ "task": "arc", "puzzle": vec![[0; 9]; 9] });
    assert_eq!(parse(&nine.to_string()).kind(), Kind::arc(9, 9));
}

#[test]
fn errors_say_what_is_wrong_and_what_is_accepted() {
    let line = format!("S{}G", " ".repeat(51 * 51 - 2));
    let cases = [
        ("", "81 digits"),
        (" \n\t", "ARC task file"),
        ("hello", "neither a Sudoku"),
        ("12345", "(16, 36, 81, ...), but this one has 5"),
        (
            "1..4..1..1..9..1",
            "'9' in row 4, column 1 is out of range: a 4 x 4 Sudoku has 1 to 4",
        ),
        (
            &"0".repeat(256),
            "this Sudoku is 16 x 16; supported sizes: 4 x 4, 6 x 6 and 9 x 9",
        ),
        ("# #\n# #\n# #", "no start: mark it with S"),
        ("#S#\n# #\n#S#", "2 starts: mark only one"),
        ("#S#\n# #\n# #", "no goal: mark it with G"),
        ("#So\n# G\n# #", "already has a path"),
        ("#S#\n# G", "square"),
        ("#S\nxG", "'x' in row 2, column 1 is not a maze cell"),
        (&line, "51 x 51; supported sizes: 2 x 2 to 50 x 50"),
        ("{\"puzzle\": ", "invalid JSON"),
        ("{\"board\": \"12\"}", "needs `puzzle`"),
        ("[]", "no puzzle found"),
        ("{\"tokens\": [1, 2]}", "raw tokens"),
        (
            "{\"puzzle\": \"12\", \"task\": \"chess\"}",
            "no task \"chess\"",
        ),
        (
            "{\"puzzle\": [[1, 2], [3]]}",
            "row 2 of the grid has 1 cells, but row 1 has 2",
        ),
        (
            "{\"puzzle\": [[10]]}",
            "10 in row 1, column 1 of the grid is not a colour",
        ),
        ("[1, 2, 3]", "this one has 3"),
        (
            "{\"train\": [{\"input\": [[77]], \"output\": [[1]]}], \"test\": [{\"input\": [[1]]}]}",
            "train[0].input: 77",
        ),
        ("puzzle,solution\n\"12", "line 2"),
    ];
    for (text, part) in cases {
        let reason = error(text);
        assert!(
            reason.contains(part),
            "{:?}: {reason}",
            text.chars().take(80).collect::<String>()
        );
        assert!(reason.len() < 400, "{reason}");
    }
}

#[test]
fn files_are_opened_within_limits() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    assert_eq!(
        Board::open(&write("easy.txt", EASY.as_bytes())).unwrap(),
        parse(EASY)
    );
    let reason = |path: &Path| Board::open(path).unwrap_err();
    let large = reason(&write(
        "large.txt",
        &vec![b'1'; board::MAX_PUZZLE_BYTES + 1],
    ));
    assert!(large.contains("large.txt: is larger than 8 MiB"), "{large}");
    assert!(reason(&write("image.png", b"\x89PNG\xff\xfe")).contains("is not text"));
    assert!(reason(folder.path()).contains("is not a file"));
    assert!(reason(&folder.path().join("absent.json")).contains("absent.json"));
    let short = reason(&write("short.csv", b"puzzle\n12\n"));
    assert!(
        short.contains("short.csv") && short.contains("line 2"),
        "{short}"
    );
    #[cfg(unix)]
    assert!(reason(Path::new("/dev/zero")).contains("is not a file"));
}

#[test]
fn answers_of_the_library_are_converted_to_board_values() {
    let board = parse("1..4..1..1..4..1");
    let answer = board.answer(&Cells::Text("1.34341221434321".into()));
    assert_eq!((answer.rows, answer.cells), (4, digits("1034341221434321")));
    let (board, solved) = maze();
    let rows = Cells::Rows(vec![
        "So#G".into(),
        "#o#o".into(),
        "#oo?".into(),
        "####".into(),
    ]);
    let answer = board.answer(&rows).cells;
    assert_eq!(answer[..11], solved[..11]);
    assert_eq!(answer[11], INVALID);
    assert!(board.conflicts(Some(&answer)).contains(&11));
    let board = Board::empty(Kind::arc(2, 2));
    let grid = board.answer(&Cells::Grid(vec![vec![1, 2, 3]]));
    assert_eq!(
        (grid.rows, grid.cols, grid.cells.as_slice()),
        (1, 3, [1, 2, 3].as_slice())
    );
    assert_eq!(
        board.answer(&Cells::Grid(vec![vec![1], vec![]])),
        Grid::default()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_causes_a_panic(text in any::<String>(), name in "[a-z.]{0,8}") {
        let _ = read_first(&text, &name);
    }

    #[test]
    fn no_puzzle_like_text_causes_a_panic(text in "[0-9#SGo. \\n\\r,\\[\\]{}\":|+-]{0,120}") {
        if let Ok(board) = Board::parse(&text) {
            let _ = (board.conflicts(None), board.check(), board.to_text());
        }
    }

    #[test]
    fn no_json_causes_a_panic(text in JSON_LIKE) {
        let _ = Board::parse(&text);
    }
}
