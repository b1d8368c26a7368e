//! Puzzles as forums, spreadsheets and other programs write them: files of users, and siblings.

use std::fs;
use std::io::{BufReader, Cursor};

use proptest::prelude::*;
use trm_runtime::task::{
    ArcGrid, Cells, InputRecord, Maze, Puzzle, RecordError, Records, Sudoku, Task, TaskKind,
    TokenSpec, detect,
};

use super::{EASY, assert_says, token_spec};
use crate::data::data;

const SOLVED: &str =
    "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

/// A maze of 10 x 10.
const MAZE: [&str; 10] = [
    " #    #   ",
    "## # #    ",
    "   #     #",
    " #    #   ",
    " #  #    #",
    "     # #  ",
    " #  #    #",
    " ##  ##   ",
    "    ## G##",
    "  #S  #  #",
];

fn read(input: impl Into<Vec<u8>>, name: &str) -> Vec<Result<InputRecord, RecordError>> {
    Records::new(Cursor::new(input.into()), name).collect()
}

fn field(name: &str) -> Vec<Result<InputRecord, RecordError>> {
    read(fs::read(data("field").join(name)).expect(name), name)
}

/// The kind of a puzzle, its tokens and those of its solution.
type Encoded = (TaskKind, Vec<u32>, Option<Vec<u32>>);

/// Encodes a puzzle for a model of its own size.
fn encode(puzzle: &Puzzle) -> Result<Encoded, String> {
    let kind = detect(puzzle, None, None, None).map_err(|e| e.to_string())?;
    let task: &dyn Task = match kind {
        TaskKind::Sudoku => &Sudoku::default(),
        TaskKind::Maze => &Maze,
        TaskKind::Arc | TaskKind::Tokens => return Err(format!("is {kind}")),
    };
    let encoded = task.encode(puzzle, &token_spec(66, None));
    encoded
        .map(|e| (kind, e.tokens, e.solution))
        .map_err(|e| e.to_string())
}

fn digits(text: &str) -> Vec<u32> {
    text.chars()
        .map(|c| c.to_digit(36).unwrap_or(0) + 1)
        .collect()
}

fn maze_tokens() -> Vec<u32> {
    let token = |c| "?# SGo".find(c).expect("a maze cell") as u32;
    MAZE.concat().chars().map(token).collect()
}

/// Checks that `items` are `count` times the Sudoku [`EASY`], or the maze [`MAZE`].
fn check(items: &[Result<InputRecord, RecordError>], count: usize, expected: &[u32], what: &str) {
    assert_eq!(items.len(), count, "{what}: {items:?}");
    for item in items {
        let record = item.as_ref().unwrap_or_else(|e| panic!("{what}: {e}"));
        let (_, tokens, _) =
            encode(&record.puzzle).unwrap_or_else(|e| panic!("{what}: {e}: {record:?}"));
        assert_eq!(tokens, expected, "{what}: {record:?}");
        // What was read can be printed and read again.
        let printed = record.puzzle.cells.to_json();
        let again = Puzzle::from_json(printed).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(again.cells, record.puzzle.cells, "{what}");
    }
}

#[test]
fn sudokus_of_users_are_read() {
    for (name, count) in [
        ("sudoku-blank-2a.txt", 1),
        ("sudoku-blank-2d.txt", 1),
        ("sudoku-blank-3f.txt", 1),
        ("sudoku-blank-78.txt", 1),
        ("sudoku-underscores.txt", 1),
        ("sudoku-comma-empty.csv", 1),
        ("sudoku-comma-rows.csv", 1),
        ("sudoku-comment-first.txt", 2),
        ("sudoku-comment-trailing.txt", 2),
        ("sudoku-slash-comment.txt", 1),
        ("sudoku-metadata.sdk", 1),
        ("sudoku-rating.txt", 1),
        ("sudoku-star-border.txt", 1),
        ("sudoku-titled-grids.txt", 2),
        ("sudoku-url.txt", 1),
        ("numpy-print.txt", 1),
        ("table-board-header.csv", 1),
        ("table-comment-first.csv", 1),
        ("table-no-header.csv", 1),
        ("table-semicolon.csv", 1),
        ("key-board.json", 1),
        ("key-question.jsonl", 1),
        ("board-strings.json", 1),
        ("whole-floats.json", 1),
        ("puzzle-empty-string.json", 1),
        ("puzzle-integer.json", 1),
        ("puzzle-null.json", 1),
        ("puzzle-strings.json", 1),
        ("nested-api.json", 1),
    ] {
        check(&field(name), count, &digits(EASY), name);
    }
    // The solution of a table or a wrapper comes with its puzzle.
    for name in [
        "table-board-header.csv",
        "table-comment-first.csv",
        "table-no-header.csv",
        "table-semicolon.csv",
        "key-question.jsonl",
        "nested-api.json",
    ] {
        let record = field(name).pop().expect(name).expect(name);
        let (_, _, solution) = encode(&record.puzzle).expect(name);
        assert_eq!(solution, Some(digits(SOLVED)), "{name}");
    }
}

/// Returns the rows of the Sudoku with another blank, joined.
fn grid(blank: &str, join: &str) -> Vec<String> {
    let cell = |c: char| {
        if c == '.' {
            blank.to_owned()
        } else {
            c.to_string()
        }
    };
    let chars: Vec<char> = EASY.chars().collect();
    let row = |row: &[char]| row.iter().map(|&c| cell(c)).collect::<Vec<_>>().join(join);
    chars.chunks(9).map(row).collect()
}

/// Returns the rows with a bar between the boxes, and a line between the bands.
fn boxed(rows: &[String], bar: &str, edge: &str, line: &str) -> String {
    let third = rows[0].chars().count() / 3;
    let mut text = format!("{edge}\n");
    for (i, row) in rows.iter().enumerate() {
        if i == 3 || i == 6 {
            text += &format!("{line}\n");
        }
        let chars: Vec<char> = row.chars().collect();
        let boxes: Vec<String> = chars.chunks(third).map(|b| b.iter().collect()).collect();
        text += &format!("{bar}{}{bar}\n", boxes.join(bar));
    }
    text + edge + "\n"
}

#[test]
fn sudokus_in_other_notations_are_read() {
    let lines = |blank: &str| grid(blank, "").join("\n");
    let one = |blank: &str| EASY.replace('.', blank);
    let padded = grid(".", "")
        .iter()
        .map(|r| r.replace(' ', "."))
        .collect::<Vec<_>>();
    let spaced: Vec<String> = grid(".", " ")
        .iter()
        .map(|row| {
            row.split(' ')
                .collect::<Vec<_>>()
                .chunks(3)
                .map(|b| format!(" {} ", b.join(" ")))
                .collect()
        })
        .collect();
    let blank_spaced: Vec<String> = grid(" ", " ")
        .iter()
        .map(|row| {
            let cells: Vec<char> = row.chars().step_by(2).collect();
            cells
                .chunks(3)
                .map(|b| format!(" {} {} {} ", b[0], b[1], b[2]))
                .collect()
        })
        .collect();
    let wide = EASY.chars().map(|c| match c {
        '.' => '０',
        c => char::from_u32(c as u32 - 0x30 + 0xff10).expect("a digit"),
    });
    let lists = |open: &str, close: &str, blank: &str, comma: &str| {
        let rows: Vec<String> = grid(blank, comma)
            .iter()
            .map(|row| format!("{open}{row}{close}"))
            .collect();
        rows.join(&format!("{comma}\n "))
    };
    let markdown = {
        let row = |row: &String| format!("| {} |", row.replace(',', " | "));
        let rows: Vec<String> = grid(" ", ",").iter().map(row).collect();
        format!(
            "{}\n{}\n{}",
            rows[0],
            "|---".repeat(9) + "|",
            rows[1..].join("\n")
        )
    };
    let latex = {
        let rows: Vec<String> = grid(" ", " & ")
            .iter()
            .map(|row| format!("{row} \\\\ \\hline"))
            .collect();
        format!(
            "\\begin{{tabular}}{{ccccccccc}}\n{}\n\\end{{tabular}}",
            rows.join("\n")
        )
    };
    let cases: Vec<(&str, String, usize)> = vec![
        ("X for blanks", one("X"), 1),
        ("underscores on one line", one("_"), 1),
        ("rows of stars", lines("*"), 1),
        ("rows of dashes", lines("-"), 1),
        ("rows of question marks", lines("?"), 1),
        ("rows of x with spaces", grid("x", " ").join("\n"), 1),
        ("spaces for blanks", lines(" "), 1),
        (
            "spaces for blanks, lost at the ends",
            grid(" ", "")
                .iter()
                .map(|r| r.trim_end())
                .collect::<Vec<_>>()
                .join("\n"),
            1,
        ),
        (
            "spaces between cells and for blanks",
            grid(" ", " ").join("\n"),
            1,
        ),
        (
            "a frame of + and -",
            boxed(&padded, "|", "+---+---+---+", "+---+---+---+"),
            1,
        ),
        (
            "a frame of stars",
            boxed(&padded, "*", "*************", "*************"),
            1,
        ),
        (
            "a frame of =",
            boxed(&padded, "|", "=============", "============="),
            1,
        ),
        (
            "a frame with points",
            boxed(
                &spaced,
                "|",
                ".-------.-------.-------.",
                ":-------+-------+-------:",
            ),
            1,
        ),
        (
            "box-drawing characters",
            boxed(
                &spaced,
                "│",
                "┌───────┬───────┬───────┐",
                "├───────┼───────┼───────┤",
            ),
            1,
        ),
        (
            "double box-drawing characters",
            boxed(
                &spaced,
                "║",
                "╔═══════╦═══════╦═══════╗",
                "╠═══════╬═══════╬═══════╣",
            ),
            1,
        ),
        (
            "a frame and spaces for blanks",
            boxed(
                &blank_spaced,
                "|",
                "+-------+-------+-------+",
                "+-------+-------+-------+",
            ),
            1,
        ),
        (
            "a frame and dashes for blanks",
            boxed(&grid("-", ""), "|", "+===+===+===+", "+===+===+===+"),
            1,
        ),
        (
            "indented",
            lines(".").lines().map(|l| format!("    {l}\n")).collect(),
            1,
        ),
        (
            "comments of //",
            format!("// easy\n{EASY}\n// another\n{EASY}\n"),
            2,
        ),
        ("comments of ;", format!("; easy\n{EASY}\n"), 1),
        (
            "a comment and an empty line",
            format!("# easy\n\n{}\n", lines("0")),
            1,
        ),
        ("a comment at the end", format!("{EASY} ; 7.2\n"), 1),
        (
            "a section",
            format!("[Puzzle]\n{}\n[State]\n{}\n", lines("."), lines("1")),
            1,
        ),
        (
            "numbered titles",
            format!("Puzzle 1 (easy)\n{EASY}\nPuzzle 2 (hard)\n{EASY}\n"),
            2,
        ),
        (
            "titles and empty lines",
            format!(
                "Sudoku one:\n\n{}\n\nSudoku two:\n\n{}\n",
                lines("."),
                lines("0")
            ),
            2,
        ),
        ("a size", format!("9\n{}\n", lines("0")), 1),
        ("two sizes", format!("9 9\n{}\n", lines("0")), 1),
        (
            "a rating after a space",
            format!("{EASY} 1.2\n{EASY} 3.4\n"),
            2,
        ),
        (
            "a hash before and a rating behind",
            format!("0000183b305c {EASY}  1.2\n"),
            1,
        ),
        ("a rating after a tab", format!("{EASY}\t2.6\t1\n"), 1),
        ("a rating after a comma", format!("{EASY},2.6\n"), 1),
        (
            "a URL with two parameters",
            format!("http://example.org/s?p={}&id=7\n", one("0")),
            1,
        ),
        (
            "a URL with a path",
            format!("https://example.org/play/{}\n", one("0")),
            1,
        ),
        (
            "a puzzle and its solution with a tab",
            format!("{EASY}\t{SOLVED}\n"),
            1,
        ),
        (
            "a number, a puzzle and its solution",
            format!("17;{EASY};{SOLVED}\n"),
            1,
        ),
        ("carriage returns", lines(".").replace('\n', "\r\n"), 1),
        ("a byte order mark", format!("\u{feff}{}", lines(".")), 1),
        ("no-break spaces", grid(".", "\u{a0}").join("\n"), 1),
        ("full-width digits", wide.collect(), 1),
        ("zero-width spaces", format!("\u{200b}{EASY}\u{200b}"), 1),
        ("empty squares", lines("□"), 1),
        ("middle dots", lines("·"), 1),
        ("tabs", grid("0", "\t").join("\n"), 1),
        ("tabs and empty cells", grid("", "\t").join("\n"), 1),
        (
            "tabs, empty cells lost at the ends",
            grid("", "\t")
                .iter()
                .map(|r| r.trim_end().to_owned())
                .collect::<Vec<_>>()
                .join("\n"),
            1,
        ),
        ("semicolons and empty cells", grid("", ";").join("\n"), 1),
        (
            "commas at the ends",
            grid("0", ",").iter().map(|r| format!("{r},\n")).collect(),
            1,
        ),
        ("commas and spaces", grid("0", ", ").join("\n"), 1),
        (
            "decimals",
            grid("0", ",").join("\n").replace(',', ".0,") + ".0",
            1,
        ),
        (
            "quotes and commas",
            grid("0", "\",\"")
                .iter()
                .map(|r| format!("\"{r}\"\n"))
                .collect(),
            1,
        ),
        ("Markdown", markdown, 1),
        ("LaTeX", latex, 1),
        (
            "LaTeX, the sudoku package",
            grid(" ", "|")
                .iter()
                .map(|row| format!("|{row}|.\n"))
                .collect(),
            1,
        ),
        (
            "NumPy with points",
            format!("[{}]", lists("[", "]", "0.", " ").replace("3 ", "3. ")),
            1,
        ),
        (
            "array()",
            format!("array([{}])", lists("[", "]", "0", ", ")),
            1,
        ),
        (
            "array() with its type",
            format!("np.array([{}], dtype=int32)", lists("[", "]", "0", ", ")),
            1,
        ),
        (
            "tensor()",
            format!("tensor([{}])", lists("[", "]", "0", ", ")),
            1,
        ),
        (
            "an assignment",
            format!("board = [{}]\n", lists("[", "]", "0", ", ")),
            1,
        ),
        ("tuples", format!("[{}]", lists("(", ")", "0", ", ")), 1),
        ("None", format!("[{}]", lists("[", "]", "None", ", ")), 1),
        (
            "characters in single quotes",
            format!(
                "[{}]",
                lists("['", "']", ".", "', '").replace("]', '\n", "],\n")
            ),
            1,
        ),
        (
            "a dictionary",
            format!("{{'puzzle': '{EASY}', 'id': None}}"),
            1,
        ),
        (
            "an array in C",
            format!("int board[9][9] = {{{}}};", lists("{", "}", "0", ", ")),
            1,
        ),
        (
            "a title above a table",
            format!("My puzzles\npuzzle,solution\n{EASY},{SOLVED}\n"),
            1,
        ),
        (
            "a table with sep",
            format!("sep=;\nid;quizzes;solutions\n1;{EASY};{SOLVED}\n"),
            1,
        ),
        (
            "a table with tabs",
            format!("Question\tAnswer\n{EASY}\t{SOLVED}\n"),
            1,
        ),
        (
            "a table with a comment",
            format!("puzzle,solution\n# easy\n{EASY},{SOLVED}\n"),
            1,
        ),
        (
            "a table with stars",
            format!("puzzle,solution\n{},{SOLVED}\n", one("*")),
            1,
        ),
    ];
    for (what, text, count) in cases {
        check(
            &read(text.clone(), "-"),
            count,
            &digits(EASY),
            &format!("{what}\n{text}"),
        );
    }
}

#[test]
fn names_and_signs_are_the_same_in_json() {
    let rows: Vec<String> = grid(".", "");
    let json = |rows: &[String]| serde_json::json!(rows).to_string();
    let nested = |blank: &str, quote: &str| {
        let row = |row: String| {
            let cells: Vec<String> = row
                .split(',')
                .map(|cell| {
                    if cell == blank {
                        cell.to_owned()
                    } else {
                        format!("{quote}{cell}{quote}")
                    }
                })
                .collect();
            format!("[{}]", cells.join(","))
        };
        format!(
            "[{}]",
            grid(blank, ",")
                .into_iter()
                .map(row)
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let flat: Vec<String> = EASY.chars().map(|c| format!("\"{c}\"")).collect();
    let spaced: Vec<String> = grid(".", " ");
    let cases = [
        format!(r#"{{"Quizzes": "{EASY}", "Solutions": "{SOLVED}"}}"#),
        format!(r#"{{"sudoku": "{}"}}"#, EASY.replace('.', "*")),
        format!(
            r#"{{"input": "{}", "output": "{SOLVED}"}}"#,
            EASY.replace('.', "_")
        ),
        format!(r#"{{"grid": {}, "label": "{SOLVED}"}}"#, json(&rows)),
        format!(r#"{{"board": {}, "clues": 30}}"#, json(&grid("-", ""))),
        format!(r#"{{"puzzle": {}}}"#, json(&spaced)),
        format!(r#"{{"puzzle": "{}"}}"#, rows.join("\\n")),
        format!(r#"{{"puzzle": "{} # easy"}}"#, EASY),
        json(&spaced),
        nested("null", ""),
        nested("\"\"", ""),
        nested("\".\"", ""),
        nested("\"\"", "\""),
        nested("\"x\"", "\""),
        nested("0.0", ""),
        format!("[{}]", flat.join(",")),
        format!("[{}]", nested("null", "\"")),
        format!(r#"{{"puzzles": [{{"id": 1, "puzzle": "{EASY}"}}]}}"#),
        format!(
            r#"{{"status": "ok", "data": {{"puzzle": {{"board": {}}}}}}}"#,
            nested("0", "")
        ),
        format!(
            r#"{{"response": {{"unsolved-sudoku": {}, "solution": "{SOLVED}"}}}}"#,
            nested("0", "")
        ),
        EASY.replace('.', "0"),
    ];
    for text in cases {
        check(&read(text.clone(), "-"), 1, &digits(EASY), &text);
        assert_eq!(
            encode(&text.parse().expect("a puzzle")).map(|encoded| encoded.1),
            Ok(digits(EASY)),
            "{text}"
        );
    }
    // A puzzle of 16 cells is a number of 64 bits.
    let small = read(r#"{"puzzle": 1000000400310002}"#, "-")
        .remove(0)
        .expect("a puzzle");
    assert_eq!(
        encode(&small.puzzle).expect("a Sudoku").1,
        digits("1000000400310002")
    );
    // Whole floats are whole in every field.
    let whole = read(
        r#"{"id": 7.0, "tokens": [1.0, 2.0], "puzzle_id": 3.0}"#,
        "-",
    )
    .remove(0);
    let whole = whole.expect("tokens").puzzle;
    assert_eq!(
        (whole.cells, whole.puzzle_id),
        (Cells::Tokens(vec![1, 2]), Some(3))
    );
    // Numbers of several digits as text.
    let large =
        (0..16).map(|r| (0..16).map(move |c| ((c + 4 * (r % 4) + r / 4) % 16 + 1).to_string()));
    let large: Vec<Vec<String>> = large.map(Iterator::collect).collect();
    let text = serde_json::json!({ "puzzle": large }).to_string();
    let large = read(text, "-").remove(0).expect("a puzzle");
    assert!(
        matches!(large.puzzle.cells, Cells::Grid(_)),
        "{:?}",
        large.puzzle.cells
    );
    assert_eq!(encode(&large.puzzle).expect("a Sudoku").1.len(), 256);
}

#[test]
fn mazes_of_users_are_read() {
    for name in [
        "maze-blocks.txt",
        "maze-dots.txt",
        "maze-indented.txt",
        "maze-size-header.txt",
        "maze-spaced.txt",
        "maze-trailing-blanks-lost.txt",
    ] {
        check(&field(name), 1, &maze_tokens(), name);
    }
    let tokens = field("maze-grid-tokens.json")
        .remove(0)
        .expect("a maze")
        .puzzle;
    let tokens = Maze
        .encode(&tokens, &token_spec(6, 100))
        .expect("a maze")
        .tokens;
    assert_eq!(tokens, maze_tokens());
    let map = |from: &str, to: &str| {
        let of = |c: char| from.find(c).and_then(|i| to.chars().nth(i)).unwrap_or(c);
        MAZE.map(|row| row.chars().map(of).collect::<String>())
    };
    let lines = |rows: &[String; 10]| rows.join("\n");
    let plain = map("", "");
    let framed = plain.clone().map(|row| format!("|{row}|")).join("\n");
    let cases = [
        ("0 and 1", lines(&map(" #", "01"))),
        ("underscores", lines(&map(" ", "_"))),
        ("S and E", lines(&map("G", "E"))),
        ("squares", lines(&map("# ", "■□"))),
        ("shades", lines(&map("# ", "▓░"))),
        ("large squares", lines(&map("# ", "⬛⬜"))),
        ("full width", lines(&map("#", "＃"))),
        ("no-break spaces", lines(&map(" ", "\u{a0}"))),
        (
            "dots and spaces",
            map(" ", ".")
                .map(|row| {
                    row.split("")
                        .collect::<Vec<_>>()
                        .join(" ")
                        .trim()
                        .to_owned()
                })
                .join("\n"),
        ),
        (
            "commas",
            map("", "")
                .map(|row| {
                    row.chars()
                        .map(|c| c.to_string())
                        .collect::<Vec<_>>()
                        .join(",")
                })
                .join("\n"),
        ),
        ("a frame", format!("+----------+\n{framed}\n+----------+")),
        ("a size of two lines", format!("10x10\n{}", lines(&plain))),
        ("a title", format!("Maze 1\n{}", lines(&plain))),
        ("a comment", format!("// by hand\n{}", lines(&plain))),
        ("carriage returns", plain.join("\r\n")),
        ("one line", map(" ", ".").concat()),
    ];
    for (what, text) in cases {
        check(
            &read(text.clone(), "-"),
            1,
            &maze_tokens(),
            &format!("{what}\n{text}"),
        );
    }
    let chars = MAZE.map(|row| row.chars().map(String::from).collect::<Vec<_>>());
    let json = [
        serde_json::json!({ "maze": map(" ", ".").to_vec() }),
        serde_json::json!({ "maze": MAZE.map(str::trim_end) }),
        serde_json::json!({ "grid": chars }),
        serde_json::json!(MAZE.map(|row| row.trim_end())),
    ];
    for value in json {
        check(
            &read(value.to_string(), "-"),
            1,
            &maze_tokens(),
            &value.to_string(),
        );
    }
    // Several mazes whose blanks at the ends are lost.
    let lost = MAZE.map(str::trim_end).join("\n");
    check(
        &read(format!("{lost}\n\n{lost}\n"), "-"),
        2,
        &maze_tokens(),
        "two mazes",
    );
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let with = |at: usize, c: char| {
        let replaced = EASY
            .chars()
            .enumerate()
            .map(|(i, old)| if i == at { c } else { old });
        replaced.collect::<String>()
    };
    let rows = |text: &str| {
        let chars: Vec<char> = text.chars().collect();
        let rows: Vec<String> = chars.chunks(9).map(|row| row.iter().collect()).collect();
        rows.join("\n")
    };
    let maze = |c: char| MAZE.join("\n").replacen("# #", &format!("#{c}#"), 1);
    let dashes = format!("{}\n---------\n---------", grid("-", "")[..7].join("\n"));
    let cases = [
        (
            with(18, 'v'),
            "line 1, column 19: 'v' (U+0076) is not a puzzle character",
        ),
        (with(80, '~'), "line 1, column 81: '~' (U+007E)"),
        (
            format!("{EASY}\n{}", with(3, 'é')),
            "line 2, column 4: 'é' (U+00E9)",
        ),
        (
            rows(&with(20, '\u{7}')),
            "line 3, column 3: '\\u{7}' (U+0007)",
        ),
        (rows(&with(11, 'q')), "line 2, column 3: 'q' (U+0071)"),
        (
            format!("# c\n\n{}", rows(&with(11, '$'))),
            "line 4, column 3: '$' (U+0024)",
        ),
        (maze('x'), "line 2, column 3: 'x' (U+0078)"),
        (maze('@'), "line 2, column 3: '@' (U+0040)"),
        (format!("{EASY} {EASY}"), "the line has 2 puzzles"),
        (format!("{EASY},{EASY},{EASY}"), "the line has 3 puzzles"),
        (dashes.replace('3', "-"), "line 1"),
    ];
    for (text, expected) in cases {
        let items = read(text.clone(), "x");
        let message = items
            .iter()
            .find_map(|item| match item {
                Err(e) => Some(e.to_string()),
                Ok(record) => encode(&record.puzzle)
                    .err()
                    .map(|e| format!("line {:?} {e}", record.line)),
            })
            .unwrap_or_default();
        if expected != "line 1" {
            assert_says(&message, expected);
        }
    }
    for (name, expected) in [
        (
            "lfs.csv",
            "line 1: this is a Git LFS pointer, not the file itself",
        ),
        ("page.csv", "this is a web page"),
        ("fake.parquet", "this is a Parquet file"),
        ("fake.xlsx", "this is a spreadsheet"),
        ("utf16.csv", "this is text in UTF-16"),
        ("utf16.txt", "this is text in UTF-16"),
    ] {
        let items = field(name);
        assert_eq!(items.len(), 1, "{name}: {items:?}");
        assert_says(&items[0].as_ref().expect_err(name).to_string(), expected);
    }
    for (name, expected) in [
        (
            "maze-not-square.txt",
            "a maze is square, but this one has 10 rows of 11 cells",
        ),
        (
            "maze-0-1.txt",
            "if this is a maze of 0 and 1, it has no start and no goal",
        ),
        (
            "maze-0-1.json",
            "if this is a maze of 0 and 1, it has no start and no goal",
        ),
    ] {
        let record = field(name).remove(0).expect(name);
        assert_says(&encode(&record.puzzle).expect_err(name), expected);
    }
    // The width of a tab is not known.
    let tab = field("maze-tabs.txt").remove(0).expect_err("a tab");
    assert_says(
        &tab.to_string(),
        "line 1, column 3: '\\t' (U+0009) is not a puzzle character",
    );
    let pair = field("arc-pairs-only.json").remove(0).expect_err("a pair");
    assert_says(
        &pair.to_string(),
        "this is a pair of an ARC task, not a puzzle",
    );
    // A text without a puzzle is an error, and so is text in a stream without titles.
    assert_says(
        &encode(
            &read("An introduction\nto nothing\n", "-")
                .remove(0)
                .expect("text")
                .puzzle,
        )
        .expect_err("no puzzle"),
        "neither a Sudoku",
    );
    let items = read(format!("{EASY}\nnot a puzzle\n{EASY}\n"), "-");
    assert_eq!(items.len(), 3, "{items:?}");
    // Two fields with different puzzles, and two wrappers.
    let other = EASY.replace('5', "0");
    for (text, expected) in [
        (
            format!(r#"{{"board": "{EASY}", "grid": "{other}"}}"#),
            "`board` and `grid` differ",
        ),
        (
            format!(r#"{{"a": {{"board": "{EASY}"}}, "b": [{{"board": "{other}"}}], "c": 1}}"#),
            "several fields of the object have puzzles: `a`, `b`",
        ),
    ] {
        assert_says(
            &read(text, "-").remove(0).expect_err("two").to_string(),
            expected,
        );
    }
    // An identifier is as long in a table as in JSON.
    let long = "x".repeat(1025);
    for text in [
        format!("id,puzzle\n{long},{EASY}\n"),
        format!(r#"{{"id": "{long}", "puzzle": "{EASY}"}}"#),
        format!("puzzle,task\n{EASY},{long}\n"),
        format!(r#"{{"task": "{long}", "puzzle": "{EASY}"}}"#),
    ] {
        let error = read(text, "-").remove(0).expect_err("a long name");
        assert_says(&error.to_string(), "is longer than 1024 bytes");
    }
    let longest = &long[1..];
    assert!(read(format!("id,puzzle\n{longest},{EASY}\n"), "-")[0].is_ok());
}

#[test]
fn solutions_that_do_not_belong_to_the_puzzle_are_errors() {
    let solved = |solution: String| Puzzle {
        solution: Some(Cells::Text(solution)),
        ..EASY.parse::<Puzzle>().expect("a puzzle")
    };
    let nine = token_spec(11, 81);
    let encode = |solution: String| Sudoku::default().encode(&solved(solution), &nine);
    assert_says(
        &encode(SOLVED.replacen('5', "1", 1))
            .expect_err("another given")
            .to_string(),
        "solution: belongs to another puzzle: row 1, column 1 is 1 in the solution and 5 in the",
    );
    let twice = format!("534{}", SOLVED[3..].replacen('6', "5", 1));
    assert_says(
        &encode(twice).expect_err("two 5s").to_string(),
        "solution: breaks the rules: two 5s in row 1",
    );
    assert_eq!(encode("0".repeat(81)).expect("a puzzle").solution, None);
    assert!(
        encode(SOLVED.to_owned())
            .expect("a puzzle")
            .solution
            .is_some()
    );
    let maze = |solution: [&str; 3]| {
        let puzzle = Puzzle {
            solution: Some(Cells::Rows(solution.map(str::to_owned).to_vec())),
            ..Puzzle::from(Cells::Rows(
                ["S  ", "## ", "G  "].map(str::to_owned).to_vec(),
            ))
        };
        Maze.encode(&puzzle, &token_spec(6, 9))
            .map_err(|e| e.to_string())
    };
    assert!(maze(["Soo", "##o", "Goo"]).is_ok());
    assert_says(
        &maze(["Soo", "# o", "Goo"]).expect_err("another wall"),
        "solution: belongs to another puzzle: row 2, column 2 is free in the solution and a wall",
    );
    assert_says(
        &maze(["Goo", "##o", "Soo"]).expect_err("turned"),
        "is the goal in the solution",
    );
}

#[test]
fn arc_tasks_of_users_are_read() {
    let arc: TokenSpec = token_spec(12, 900);
    for (name, first) in [
        ("arc-string-rows.json", "25d8a9c8"),
        ("arc-task-id.jsonl", "25d8a9c8"),
        ("arc-two-tasks.json", "25d8a9c8"),
        ("arc-whole-floats.json", "25d8a9c8"),
    ] {
        let record = field(name).remove(0).expect(name);
        let Cells::Arc(task) = &record.puzzle.cells else {
            panic!("{name}: {record:?}");
        };
        assert_eq!(task.task.as_deref(), Some(first), "{name}");
        assert_eq!(task.test, [[4, 4, 4], [3, 2, 3], [8, 8, 8]], "{name}");
        assert!(
            ArcGrid::default().encode(&record.puzzle, &arc).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn endless_input_is_one_error() {
    /// Input that never ends.
    struct Endless(u8);
    impl std::io::Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            out.fill(self.0);
            Ok(out.len())
        }
    }
    for (byte, expected) in [
        (0, "this is a file of zero bytes"),
        (b'1', "no line ends within 64 MiB"),
        (b'#', "no line ends within 64 MiB"),
        (b' ', "no line ends within 64 MiB"),
        (b'[', "no line ends within 64 MiB"),
    ] {
        let start = std::time::Instant::now();
        let items: Vec<_> =
            Records::new(BufReader::with_capacity(1 << 16, Endless(byte)), "x").collect();
        assert_eq!(items.len(), 1, "{byte}");
        assert_says(
            &items[0].as_ref().expect_err("an error").to_string(),
            expected,
        );
        assert!(
            start.elapsed().as_secs() < 5,
            "{byte}: {:?}",
            start.elapsed()
        );
    }
}

/// Text of the pieces of all notations.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1",
        "2",
        "3",
        "4",
        "0",
        ".",
        "*",
        "_",
        "-",
        "x",
        "?",
        " ",
        "|",
        "#",
        "S",
        "G",
        "o",
        "\t",
        ",",
        ";",
        "\n",
        "\n\n",
        "\r\n",
        "12..",
        ".34.",
        "1 2 . .",
        "12**",
        "--34",
        "  12",
        "####",
        "# S ",
        "#.G#",
        "    ",
        "1,2,,",
        "1;;3;4",
        "|1|2| | |",
        "+--+--+\n",
        "*****\n",
        "----\n",
        "Grid 1\n",
        "# easy\n",
        "// no\n",
        "[Puzzle]\n",
        "[State]\n",
        "4 4\n",
        "4\n",
        "puzzle;solution\n",
        "12..34...43.21..",
        "[1 2 0 0]\n",
        "[[",
        "]]",
        "array(",
        "'",
        "\"",
        "http://a.b/?p=",
        "│",
        "█",
        "□",
        "\u{a0}",
        "\u{200b}",
        "１",
        "{'puzzle': '",
        "'}",
        "None",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A grid in one of several notations, with a few characters replaced.
fn damaged_grids() -> impl Strategy<Value = String> {
    let cell = prop::sample::select(vec!['.', '.', '.', '1', '2', '3', '4']);
    let grid = prop::collection::vec(cell, 16);
    let form = (
        0..6_usize,
        prop::sample::select(vec![".", "0", "*", "-", "_", " ", ""]),
    );
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 0..3);
    (grid, form, damage).prop_map(|(cells, (form, blank), damage)| {
        let cell = |c: &char| {
            if *c == '.' {
                blank.to_owned()
            } else {
                c.to_string()
            }
        };
        let rows: Vec<Vec<String>> = cells
            .chunks(4)
            .map(|row| row.iter().map(cell).collect())
            .collect();
        let join = |separator: &str, start: &str, end: &str| -> String {
            rows.iter()
                .map(|row| format!("{start}{}{end}\n", row.join(separator)))
                .collect()
        };
        let text = match form {
            0 => join("", "", ""),
            1 => join(" ", "", ""),
            2 => join(",", "", ""),
            3 => join("|", "|", "|"),
            4 => format!("+----+\n{}+----+\n", join("", "|", "|")),
            _ => format!("title\n{}# end\n", join("\t", "", "")),
        };
        let mut chars: Vec<char> = text.chars().collect();
        for (at, c) in damage {
            let at = at.index(chars.len());
            chars[at] = c;
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_puzzle_that_was_read_is_the_same_when_it_is_printed_and_read_again(
        text in prop_oneof![texts(), damaged_grids()],
        chunk in 1..9_usize,
    ) {
        let items = read(text.clone(), "-");
        for record in items.iter().flatten() {
            let Ok((kind, tokens, _)) = encode(&record.puzzle) else {
                continue;
            };
            let cells = &record.puzzle.cells;
            let document = serde_json::json!({ "puzzle": cells.to_json(), "task": kind.name() });
            let again = Puzzle::from_json(document).expect("what was read");
            prop_assert_eq!(encode(&again).expect("a puzzle").1, tokens.clone(), "{:?}", cells);
            // As plain text, too, if its size is not left open.
            if matches!(cells, Cells::Text(_) | Cells::Rows(_)) && tokens.len() >= 16 {
                let again: Puzzle = cells.to_string().parse().expect("what was read");
                prop_assert_eq!(encode(&again).expect("a puzzle").1, tokens, "{:?}", cells);
            }
        }
        let slow = BufReader::with_capacity(chunk, Cursor::new(text));
        let slow: Vec<String> = Records::new(slow, "-").map(|item| format!("{item:?}")).collect();
        prop_assert_eq!(slow, items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>());
    }
}
