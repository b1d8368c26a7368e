//! Every form in which people write puzzles, and what is said of those that cannot be read.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use trm::task::Content;
use trm_demo::board::{self, Board, Grid, Kind, NONE, find, find_file};

const EASY: &str = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
/// What breaks no rule.
const NO_CELLS: [usize; 0] = [];
const EASY_SOLVED: &str = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

fn digits(text: &str) -> Vec<u8> {
    text.bytes()
        .map(|c| c.wrapping_sub(b'0'))
        .map(|d| if d > 9 { 0 } else { d })
        .collect()
}

fn parsed(text: &str) -> Board {
    Board::parse(text).unwrap_or_else(|why| panic!("{text:?}: {why}"))
}

fn refused(text: &str) -> String {
    match Board::parse(text) {
        Ok(board) => panic!("{text:?} was read as {board:?}"),
        Err(why) => why,
    }
}

fn puzzles(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../puzzles")
        .join(name)
}

/// A maze of 4 x 4 with one way, and its answer.
const MAZE: &str = "S #G\n# # \n#   \n####\n";
const MAZE_SOLVED: &str = "So#G#o#o#ooo####";

fn maze() -> (Board, Vec<u8>) {
    (parsed(MAZE), MAZE_SOLVED.into())
}

#[test]
fn sudokus_are_read_however_they_are_broken_into_lines() {
    let board = parsed(EASY);
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
    let spaced: String = EASY.replace('.', "0").chars().flat_map(|c| [c, ' ']).collect();
    let ruled = "+-+-+\n|5 3 .|. 7 .|. . .|\n|6 . .|1 9 5|. . .|\n|. 9 8|. . .|. 6 .|\n------+-------+------\n\
                 8 . . | . 6 . | . . 3\n4 . . | 8 . 3 | . . 1\n7 . . | . 2 . | . . 6\n\n\
                 . 6 . . . . 2 8 .\n. . . 4 1 9 . . 5\n. . . . 8 . . 7 9\n";
    let bom = format!("\u{feff}\n\n  {EASY}\n");
    for text in [lines(9), lines(27), lines(10), spaced, ruled.into(), bom] {
        assert_eq!(parsed(&text), board, "{text}");
    }
    assert_eq!(parsed("1..4..1..1..4..1").kind(), Kind::sudoku(4));
    assert_eq!(parsed(&"0".repeat(36)), Board::sudoku(6));
    // One that breaks the rules is drawn, so that it can be mended.
    let wrong = parsed("11..............");
    assert_eq!(wrong.conflicts(None), [0, 1]);
    assert!(wrong.check().unwrap_err().contains("two 1s in row 1"));
}

#[test]
fn mazes_are_read_with_the_blanks_that_programs_cut_off() {
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
        assert_eq!(parsed(text), board, "{text:?}");
    }
    // Rows of free cells only, at the top, in the middle and at the end.
    assert_eq!(parsed("\n S#\n\n  G ").cells(), b"     S#       G ");
    assert_eq!(parsed("S##\nG##\n\n").cells(), b"S##G##   ");
    // No way, but a maze all the same.
    let shut = parsed("S#\n#G");
    assert_eq!(
        (shut.conflicts(None), board.conflicts(None)),
        (vec![0, 3], vec![])
    );
    assert!(shut.check().unwrap_err().contains("no way"));
}

#[test]
fn json_and_tables_are_read_as_the_library_reads_them() {
    let two = r#"[{"id": 7, "puzzle": "1..4..1..1..4..1"}, {"puzzle": "0"}]"#;
    let found = find(two, "").unwrap();
    assert_eq!((found.board.name().as_deref(), found.more), (Some("7"), true));
    let board = parsed("1..4..1..1..4..1");
    for text in [
        r#""1..4..1..1..4..1""#,
        r#"{"puzzle": ["1..4", "..1.", ".1..", "4..1"]}"#,
        "[[1,0,0,4],[0,0,1,0],[0,1,0,0],[4,0,0,1]]",
        "{\n\"puzzle\": [1,0,0,4,0,0,1,0,0,1,0,0,4,0,0,1]}",
        "puzzle,solution\n1..4..1..1..4..1,\n",
        "1..4..1..1..4..1\n................\n",
        r#"{"tokens": [2,1,1,5,1,1,2,1,1,2,1,1,5,1,1,2], "task": "sudoku"}"#,
    ] {
        assert_eq!(parsed(text), board, "{text}");
    }
    assert!(find("1..4..1..1..4..1\n................\n", "").unwrap().more);
    assert!(!find("1..4..1..1..4..1\n", "").unwrap().more);
    let maze = serde_json::json!({ "puzzle": ["S #G", "# # ", "#   ", "####"], "id": "small" });
    let maze = parsed(&maze.to_string());
    assert_eq!(
        (maze.cells(), maze.name().as_deref()),
        (parsed(MAZE).cells(), Some("small"))
    );
    for name in [
        "sudoku-4x4",
        "sudoku-6x6",
        "sudoku-9x9",
        "maze-10x10",
        "maze-15x15",
        "maze-20x20",
    ] {
        let board = Board::open(&puzzles(&format!("{name}.json"))).unwrap();
        assert_eq!(board.name().as_deref(), Some(name));
        board.check().unwrap();
    }
}

#[test]
fn a_solution_stays_until_the_puzzle_is_another() {
    let mut board = parsed(&format!(
        r#"{{"id": "easy", "puzzle": "{EASY}", "solution": "{EASY_SOLVED}"}}"#
    ));
    assert_eq!(board.solution().unwrap().cells, digits(EASY_SOLVED));
    assert!(board.to_puzzle().solution.is_some());
    assert!(board.set(2, 4));
    assert_eq!((board.solution(), board.to_puzzle().solution), (None, None));
    assert_eq!(board.to_puzzle().id, Some("easy".into()));
    assert!(board.undo() && board.solution().is_some());
    let why = refused(&format!(r#"{{"puzzle": "{EASY}", "solution": "12"}}"#));
    assert!(why.contains("solution"), "{why}");
}

#[test]
fn a_task_file_of_arc_is_read_with_its_pairs() {
    let found = find_file(&puzzles("arc/007bbfb7.json")).unwrap();
    let board = found.board;
    assert_eq!((board.kind(), found.more), (Kind::arc(3, 3), false));
    assert_eq!(board.name().as_deref(), Some("007bbfb7"));
    let pairs = board.demonstrations();
    assert!(
        pairs.len() >= 2
            && pairs
                .iter()
                .all(|(input, output)| input.len() == 3 && output.len() == 9)
    );
    board.check().unwrap();
    assert_eq!(parsed(&board.to_text()), board);
    assert!(
        matches!(board.to_puzzle().content, Content::Arc(arc) if arc.task.as_deref() == Some("007bbfb7"))
    );

    let task = r#"{"id": "t", "puzzle_id": 5, "train": [{"input": [[1]], "output": [[2, 3]]}],
                   "test": [{"input": [[4, 0]], "output": [[5], [6]]}, {"input": [[9]]}]}"#;
    let found = find(task, "").unwrap();
    let solution = Grid {
        rows: 2,
        cols: 1,
        cells: vec![5, 6],
    };
    assert_eq!((found.more, found.board.solution()), (true, Some(solution)));
    assert_eq!(found.board.to_puzzle().puzzle_id, Some(5));
    assert_eq!(found.board.conflicts(Some(&[5, 7])), [1]);
    assert_eq!(found.board.conflicts(Some(&[5])), NO_CELLS);
    assert_eq!(found.board.conflicts(None), NO_CELLS);
    // Numbers that are no Sudoku are a grid of colours.
    assert_eq!(parsed(r#"{"puzzle": [[1,2,3],[4,5,6]]}"#).kind(), Kind::arc(2, 3));
    assert_eq!(
        parsed("[[9,0,0,0],[0,0,0,0],[0,0,0,0],[0,0,0,0]]").kind(),
        Kind::arc(4, 4)
    );
    let nine = serde_json::json!({ "task": "arc", "puzzle": vec![[0; 9]; 9] });
    assert_eq!(parsed(&nine.to_string()).kind(), Kind::arc(9, 9));
}

#[test]
fn errors_say_what_is_wrong_and_what_is_taken() {
    let line = format!("S{}G", " ".repeat(51 * 51 - 2));
    let cases = [
        ("", "81 digits"),
        (" \n\t", "ARC task files"),
        ("hello", "neither a Sudoku"),
        ("12345", "(16, 36, 81, ...): this one has 5"),
        (
            "1..4..1..1..9..1",
            "'9' in row 4, column 1 is out of range: a 4 x 4 Sudoku has 1 to 4",
        ),
        (
            &"0".repeat(256),
            "this Sudoku is 16 x 16: 4 x 4, 6 x 6 and 9 x 9 are drawn",
        ),
        ("# #\n# #\n# #", "no start: mark it with S"),
        ("#S#\n# #\n#S#", "2 starts: mark only one"),
        ("#S#\n# #\n# #", "no goal: mark it with G"),
        ("#So\n# G\n# #", "already has a path"),
        ("#S#\n# G", "square"),
        ("#S\nxG", "'x' in row 2, column 1 is not a maze cell"),
        (&line, "51 x 51: 2 x 2 to 50 x 50 are drawn"),
        ("{\"puzzle\": ", "no JSON"),
        ("{\"board\": \"12\"}", "needs `puzzle`"),
        ("[]", "there is no puzzle in it"),
        ("{\"tokens\": [1, 2]}", "raw tokens"),
        ("{\"puzzle\": \"12\", \"task\": \"chess\"}", "no task \"chess\""),
        (
            "{\"puzzle\": [[1, 2], [3]]}",
            "row 2 of the grid has 1 cells, but row 1 has 2",
        ),
        (
            "{\"puzzle\": [[10]]}",
            "10 in row 1, column 1 of the grid is no colour",
        ),
        ("[1, 2, 3]", "this one has 3"),
        (
            "{\"train\": [{\"input\": [[77]], \"output\": [[1]]}], \"test\": [{\"input\": [[1]]}]}",
            "train[0].input: 77",
        ),
        ("puzzle,solution\n\"12", "line 2"),
    ];
    for (text, part) in cases {
        let why = refused(text);
        assert!(
            why.contains(part),
            "{:?}: {why}",
            text.chars().take(80).collect::<String>()
        );
        assert!(why.len() < 400, "{why}");
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
        parsed(EASY)
    );
    let why = |path: &Path| Board::open(path).unwrap_err();
    let large = why(&write("large.txt", &vec![b'1'; board::MAX_BYTES + 1]));
    assert!(large.contains("large.txt: is larger than 8 MiB"), "{large}");
    assert!(why(&write("image.png", b"\x89PNG\xff\xfe")).contains("is not text"));
    assert!(why(folder.path()).contains("is not a file"));
    assert!(why(&folder.path().join("absent.json")).contains("absent.json"));
    let short = why(&write("short.csv", b"puzzle\n12\n"));
    assert!(short.contains("short.csv") && short.contains("line 2"), "{short}");
    #[cfg(unix)]
    assert!(why(Path::new("/dev/zero")).contains("is not a file"));
}

#[test]
fn answers_are_read_in_the_form_that_the_library_gives() {
    let board = parsed("1..4..1..1..4..1");
    let answer = board.answer(&Content::Text("1.34341221434321".into()));
    assert_eq!((answer.rows, answer.cells), (4, digits("1034341221434321")));
    let (board, solved) = maze();
    let rows = Content::Rows(vec!["So#G".into(), "#o#o".into(), "#oo?".into(), "####".into()]);
    let answer = board.answer(&rows).cells;
    assert_eq!(answer[..11], solved[..11]);
    assert_eq!(answer[11], NONE);
    assert!(board.conflicts(Some(&answer)).contains(&11));
    let board = Board::empty(Kind::arc(2, 2));
    let grid = board.answer(&Content::Grid(vec![vec![1, 2, 3]]));
    assert_eq!(
        (grid.rows, grid.cols, grid.cells.as_slice()),
        (1, 3, [1, 2, 3].as_slice())
    );
    assert_eq!(
        board.answer(&Content::Grid(vec![vec![1], vec![]])),
        Grid::default()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), name in "[a-z.]{0,8}") {
        let _ = find(&text, &name);
    }

    #[test]
    fn no_text_like_a_puzzle_makes_it_panic(text in "[0-9#SGo. \\n\\r,\\[\\]{}\":|+-]{0,120}") {
        if let Ok(board) = Board::parse(&text) {
            let _ = (board.conflicts(None), board.check(), board.to_text());
        }
    }

    #[test]
    fn no_json_makes_it_panic(text in "\\{\"(puzzle|test|train|tokens)\": ?\\[(\\[[0-9, -]{0,9}\\],? ?|\"[.0-9#SG ]{0,9}\",?){0,6}\\]\\}") {
        let _ = Board::parse(&text);
    }
}
