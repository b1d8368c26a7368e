//! The four tasks: forms and errors in tables, real puzzles with planted errors, and properties.

mod arc;
mod examples;
mod kind;
mod maze;
mod notations;
mod npy;
mod properties;
mod records;
mod streams;
mod sudoku;
mod takuzu;
mod tokens;

use std::fs;

use trm_runtime::task::{ArcPuzzle, Cells, EncodedPuzzle, Puzzle, Task, TokenSpec};

fn puzzle(cells: Cells) -> Puzzle {
    Puzzle {
        id: None,
        cells,
        solution: None,
        task: None,
        puzzle_id: None,
    }
}

fn text(s: &str) -> Cells {
    Cells::Text(s.to_owned())
}

fn rows(rows: &[&str]) -> Cells {
    Cells::Rows(rows.iter().map(|&row| row.to_owned()).collect())
}

fn split(s: &str) -> Cells {
    let chars: Vec<char> = s.chars().collect();
    let n = chars.len().isqrt();
    Cells::Rows(chars.chunks(n).map(|row| row.iter().collect()).collect())
}

/// Any model: a vocabulary, and S if it is fixed.
fn token_spec(vocab_size: usize, seq_len: impl Into<Option<usize>>) -> TokenSpec {
    TokenSpec {
        vocab_size,
        seq_len: seq_len.into(),
        num_puzzle_identifiers: 0,
    }
}

fn error(task: &dyn Task, content: Cells, token_spec: &TokenSpec) -> String {
    task.encode(&puzzle(content), token_spec)
        .expect_err("an error")
        .to_string()
}

fn why(task: &dyn Task, problem: &EncodedPuzzle, answer: &[u32]) -> String {
    let verdict = task.verify(problem, answer);
    assert_eq!(verdict.valid, Some(false), "{verdict:?}");
    verdict.reason.expect("a reason")
}

#[track_caller]
fn assert_says(message: &str, part: &str) {
    assert!(message.contains(part), "{message:?} does not say {part:?}");
}

/// Returns the puzzles and solutions of a file in tests/data/puzzles.
fn csv(name: &str) -> Vec<(String, String)> {
    let path = crate::data::data("puzzles").join(name);
    let file = fs::read_to_string(&path).expect("the file of test puzzles");
    let pair = |line: &str| {
        line.split_once(',')
            .map(|(p, s)| (p.to_owned(), s.to_owned()))
            .expect("two columns")
    };
    file.lines().skip(1).map(pair).collect()
}

const EASY: &str =
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";

/// A maze with two shortest paths.
const SMALL: [&str; 4] = ["S   ", " ## ", " #G ", "    "];

/// Returns one test input of an ARC task.
fn arc(task: Option<&str>, test: Vec<Vec<i64>>) -> Puzzle {
    puzzle(Cells::Arc(ArcPuzzle {
        task: task.map(str::to_owned),
        train: vec![].into(),
        test,
    }))
}
