//! Sudokus.

use std::collections::BTreeSet;

use trm_runtime::task::{ArcPuzzle, Cells, Id, Sudoku, Task};

use super::{EASY, assert_says, csv, error, puzzle, rows, split, text, token_spec, why};

fn digits(s: &str) -> Vec<i64> {
    s.chars()
        .map(|c| i64::from(c.to_digit(36).unwrap_or(0)))
        .collect()
}

fn grid(s: &str) -> Vec<Vec<i64>> {
    let digits = digits(s);
    digits
        .chunks(digits.len().isqrt())
        .map(<[i64]>::to_vec)
        .collect()
}

const EASY_SOLVED: &str =
    "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

fn easy_tokens() -> Vec<u32> {
    digits(EASY).iter().map(|&d| d as u32 + 1).collect()
}

#[test]
fn a_sudoku_in_every_form_is_the_same_tokens_and_decodes_to_its_form() {
    let tokens = easy_tokens();
    let newspaper = EASY.as_bytes().chunks(9).map(|row| {
        let row = std::str::from_utf8(row).expect("digits");
        format!("{} | {} | {}", &row[..3], &row[3..6], &row[6..])
    });
    let mut newspaper: Vec<String> = newspaper.collect();
    newspaper.insert(6, "----+-----+----".to_owned());
    newspaper.insert(3, "----+-----+----".to_owned());
    let forms = [
        text(EASY),
        text(&EASY.replace('.', "0")),
        text(&newspaper.join("\n")),
        split(EASY),
        Cells::Rows(newspaper),
        Cells::Grid(grid(EASY)),
        Cells::List(digits(EASY)),
        Cells::Tokens(tokens.iter().map(|&t| t.into()).collect()),
    ];
    for form in forms {
        let problem = Sudoku::default()
            .encode(&puzzle(form.clone()), &token_spec(11, 81))
            .expect("a Sudoku");
        assert_eq!(problem.tokens, tokens, "{form:?}");
        assert_eq!((problem.rows, problem.cols, problem.puzzle_id), (9, 9, 0));
        assert_eq!(Sudoku::default().decode(&problem, &tokens), form);
    }
}

#[test]
fn a_sudoku_answer_without_a_digit_takes_the_blank_of_the_puzzle() {
    let blank = |form: Cells| {
        let problem = Sudoku::default()
            .encode(&puzzle(form), &token_spec(6, 16))
            .expect("a Sudoku");
        Sudoku::default().decode(
            &problem,
            &[2, 3, 4, 5, 0, 1, 6, 7, 99, u32::MAX, 2, 2, 2, 2, 2, 2],
        )
    };
    assert_eq!(blank(text("1...............")), text("1234......111111"));
    assert_eq!(blank(text("1000000000000000")), text("1234000000111111"));
    assert_eq!(
        blank(rows(&["1234", "3412", "2143", "4321"])),
        rows(&["1234", "0000", "0011", "1111"])
    );
    assert_eq!(
        blank(Cells::List(vec![0; 16])),
        Cells::List(
            [1, 2, 3, 4]
                .into_iter()
                .chain([0; 6])
                .chain([1; 6])
                .collect()
        )
    );
    let problem = Sudoku::default()
        .encode(&puzzle(text(EASY)), &token_spec(11, 81))
        .expect("a Sudoku");
    assert_eq!(
        Sudoku::default().decode(&problem, &[2]),
        text(&format!("1{}", ".".repeat(80))),
        "a short answer"
    );
}

#[test]
fn large_sudokus_use_letters_or_numbers() {
    // Rows shifted by 4 and then by 1 make a grid of 16 x 16 with boxes of 4 x 4.
    let cell = |r: usize, c: usize| (c + 4 * (r % 4) + r / 4) % 16 + 1;
    let char_of = |d: usize| {
        char::from_digit(d as u32, 36)
            .expect("a digit")
            .to_ascii_uppercase()
    };
    let upper: String = (0..256).map(|i| char_of(cell(i / 16, i % 16))).collect();
    let upper = upper.replace('1', ".");
    for form in [text(&upper), text(&upper.to_lowercase())] {
        let problem = Sudoku::default()
            .encode(&puzzle(form.clone()), &token_spec(18, 256))
            .expect("16 x 16");
        assert_eq!(Sudoku::default().decode(&problem, &problem.tokens), form);
        let full: Vec<u32> = (0..256).map(|i| cell(i / 16, i % 16) as u32 + 1).collect();
        assert_eq!(Sudoku::default().verify(&problem, &full).valid, Some(true));
    }
    let n = 40;
    let zeros = Cells::Grid(vec![vec![0; n]; n]);
    assert!(
        Sudoku::default()
            .encode(&puzzle(zeros), &token_spec(42, None))
            .is_ok()
    );
    assert_says(
        &error(
            &Sudoku::default(),
            text(&"0".repeat(1600)),
            &token_spec(42, None),
        ),
        "write it as arrays",
    );
    assert_says(
        &error(
            &Sudoku::default(),
            Cells::List(vec![0; 65 * 65]),
            &token_spec(99, None),
        ),
        "too large: the limit is 64 rows",
    );
    assert_says(
        &error(
            &Sudoku::default(),
            Cells::Grid(vec![vec![]; 65]),
            &token_spec(99, None),
        ),
        "too large",
    );
}

#[test]
fn impossible_sudokus_are_told_in_words() {
    let with = |changes: &[(usize, char)]| {
        let mut cells: Vec<char> = EASY.chars().collect();
        changes.iter().for_each(|&(i, c)| cells[i] = c);
        text(&cells.into_iter().collect::<String>())
    };
    let mut ragged = grid(EASY);
    ragged[2].pop();
    let mut wide = grid(EASY);
    wide.pop();
    let cases = [
        (
            text(&EASY[..80]),
            "a Sudoku has n x n cells (16, 36, 81, ...), but this one has 80",
        ),
        (text(""), "this one has 0"),
        (text("1"), "this one has 1"),
        (Cells::List(vec![0; 80]), "this one has 80"),
        (Cells::Rows(vec![]), "a Sudoku needs at least one row"),
        (Cells::Grid(ragged), "row 3 has 8 cells, but row 1 has 9"),
        (
            Cells::Grid(wide),
            "a Sudoku is square, but this one has 8 rows of 9 cells",
        ),
        (with(&[(2, '5')]), "two 5s in row 1 (columns 1 and 3)"),
        (with(&[(45, '8')]), "two 8s in column 1 (rows 4 and 6)"),
        (
            with(&[(20, '5')]),
            "two 5s in one box (row 1, column 1 and row 3, column 3)",
        ),
        (
            with(&[(2, 'A')]),
            "'A' in row 1, column 3 is out of range: a 9 x 9 Sudoku has 1 to 9",
        ),
        (with(&[(80, '#')]), "'#' in row 9, column 9 is not a digit"),
        (with(&[(80, '\u{1b}')]), r"'\u{1b}' in row 9"),
        (
            Cells::List(vec![10; 81]),
            "10 in row 1, column 1 is out of range",
        ),
        (
            Cells::List(vec![-1; 81]),
            "-1 in row 1, column 1 is out of range",
        ),
        (Cells::List(vec![i64::MAX; 81]), "is out of range"),
        (
            Cells::Tokens(vec![0; 81]),
            "token 0 in row 1, column 1 is out of range",
        ),
        (Cells::Tokens(vec![i64::MIN; 81]), "is out of range"),
        (
            Cells::Arc(ArcPuzzle {
                task: None,
                train: vec![].into(),
                test: vec![],
            }),
            "this is an ARC task, not a Sudoku",
        ),
    ];
    for (content, part) in cases {
        assert_says(
            &error(&Sudoku::default(), content, &token_spec(11, 81)),
            part,
        );
    }
    let six = text(&"0".repeat(36));
    assert_says(
        &error(&Sudoku::default(), six.clone(), &token_spec(11, 81)),
        "this Sudoku is 6 x 6, but the model was trained on 9 x 9",
    );
    assert_says(
        &error(&Sudoku::default(), six.clone(), &token_spec(8, 97)),
        "but the model was trained on 97 cells",
    );
    assert_says(
        &error(&Sudoku::default(), six.clone(), &token_spec(7, 36)),
        "vocabulary of 7 tokens ends at digit 5",
    );
    let tall = Sudoku {
        box_shape: Some([4, 2]),
    };
    assert_says(
        &error(&tall, six.clone(), &token_spec(8, 36)),
        "boxes of 4 x 2 cells do not fit a 6 x 6 Sudoku",
    );
    let hostile = Sudoku {
        box_shape: Some([usize::MAX, 2]),
    };
    assert_says(
        &error(&hostile, six.clone(), &token_spec(8, 36)),
        "do not fit",
    );
    let zero = Sudoku {
        box_shape: Some([0, 0]),
    };
    assert_says(&error(&zero, six.clone(), &token_spec(8, 36)), "do not fit");
    let mut solved = puzzle(six);
    solved.solution = Some(text("7".repeat(36).as_str()));
    let message = Sudoku::default()
        .encode(&solved, &token_spec(8, 36))
        .expect_err("7 in a 6 x 6")
        .to_string();
    assert_says(&message, "solution: '7' in row 1, column 1 is out of range");
    solved.solution = Some(text(EASY));
    let message = Sudoku::default()
        .encode(&solved, &token_spec(8, 36))
        .expect_err("81 cells")
        .to_string();
    assert_says(&message, "solution: is 9 x 9, but the puzzle is 6 x 6");
}

#[test]
fn the_box_shape_decides_which_sudokus_are_right() {
    let tall = Sudoku {
        box_shape: Some([3, 2]),
    };
    // Valid for boxes of 2 x 3 only.
    let wide_only = "123456456123231564564231312645645312";
    let blank = puzzle(text(&"0".repeat(36)));
    let answer: Vec<u32> = digits(wide_only).iter().map(|&d| d as u32 + 1).collect();
    let problem = Sudoku::default()
        .encode(&blank, &token_spec(8, 36))
        .expect("a Sudoku");
    assert_eq!(
        Sudoku::default().verify(&problem, &answer).valid,
        Some(true)
    );
    assert_says(&why(&tall, &problem, &answer), "in one box");
    // A prime side has boxes of one row: a Latin square.
    let latin = "1234523451345124512351234";
    let problem = Sudoku::default()
        .encode(&puzzle(text(latin)), &token_spec(7, 25))
        .expect("a Latin square");
    assert_eq!(
        Sudoku::default().verify(&problem, &problem.tokens).valid,
        Some(true)
    );
}

#[test]
fn a_sudoku_solution_may_have_unknown_cells() {
    let mut given = puzzle(text("1000000000000000"));
    given.solution = Some(text("12.4............"));
    given.id = Some(Id::Text("mine".to_owned()));
    let problem = Sudoku::default()
        .encode(&given, &token_spec(6, 16))
        .expect("a Sudoku");
    let solution = problem.solution.expect("a solution");
    assert_eq!(solution[..4], [2, 3, 0, 5]);
    assert!(solution[4..].iter().all(|&t| t == 0));
    assert_eq!(problem.id, Id::Text("mine".to_owned()));
}

/// Checks the rules in another way than the library: every row, column and box is a set of n
/// digits.
fn naive_sudoku(
    given: &[i64],
    answer: &[i64],
    n: usize,
    (box_rows, box_cols): (usize, usize),
) -> bool {
    let house = |belongs: &dyn Fn(usize, usize) -> bool| -> BTreeSet<i64> {
        (0..n * n)
            .filter(|&i| belongs(i / n, i % n))
            .map(|i| answer[i])
            .collect()
    };
    let all: BTreeSet<i64> = (1..=n as i64).collect();
    let boxes =
        |top: usize, left: usize| house(&|r, c| (r / box_rows, c / box_cols) == (top, left)) == all;
    (0..n).all(|i| house(&|r, _| r == i) == all && house(&|_, c| c == i) == all)
        && (0..n / box_rows).all(|top| (0..n / box_cols).all(|left| boxes(top, left)))
        && given.iter().zip(answer).all(|(g, a)| *g == 0 || g == a)
}

#[test]
fn real_sudoku_solutions_are_right_and_every_changed_cell_is_noticed() {
    let files = [
        ("sudoku_4x4_test.csv", (2, 2)),
        ("sudoku_6x6_mixed_test.csv", (2, 3)),
        ("sudoku_9x9_minimal_test.csv", (3, 3)),
        ("sudoku_extreme_test_500.csv", (3, 3)),
    ];
    for (name, boxes) in files {
        for (given, solved) in csv(name).into_iter().take(100) {
            let n = given.len().isqrt();
            let mut with_solution = puzzle(text(&given));
            with_solution.solution = Some(text(&solved));
            let problem = Sudoku::default()
                .encode(&with_solution, &token_spec(n + 2, n * n))
                .expect("a Sudoku");
            let right = problem.solution.clone().expect("a solution");
            assert!(naive_sudoku(&digits(&given), &digits(&solved), n, boxes));
            assert_eq!(Sudoku::default().verify(&problem, &right).valid, Some(true));
            assert_eq!(Sudoku::default().decode(&problem, &right), text(&solved));
            for cell in 0..n * n {
                for bad in [0, 1, n as u32 + 2, (right[cell] - 1) % n as u32 + 2] {
                    let mut answer = right.clone();
                    answer[cell] = bad;
                    assert_ne!(
                        Sudoku::default().verify(&problem, &answer).valid,
                        Some(true),
                        "{name} {cell} {bad}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_right_grid_that_is_not_the_answer_to_this_puzzle_is_wrong() {
    let problem = Sudoku::default()
        .encode(&puzzle(text(EASY)), &token_spec(11, 81))
        .expect("a Sudoku");
    let right: Vec<u32> = digits(EASY_SOLVED).iter().map(|&d| d as u32 + 1).collect();
    assert_eq!(Sudoku::default().verify(&problem, &right).valid, Some(true));
    let renamed: Vec<u32> = right.iter().map(|&t| (t - 1) % 9 + 2).collect();
    assert_says(
        &why(&Sudoku::default(), &problem, &renamed),
        "the given digit in row 1, column 1 was changed",
    );
    let mut answer = right.clone();
    answer[3] = 2;
    assert_says(
        &why(&Sudoku::default(), &problem, &answer),
        "two 1s in row 1 (columns 4 and 8)",
    );
    answer[3] = 1;
    assert_says(
        &why(&Sudoku::default(), &problem, &answer),
        "no digit in row 1, column 4",
    );
    assert_says(
        &why(&Sudoku::default(), &problem, &right[1..]),
        "the answer has 80 cells, but the puzzle has 81",
    );
}
