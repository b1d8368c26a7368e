//! Puzzles from strangers, and answers from any model: nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use trm_runtime::task::{
    ArcGrid, Cells, Id, Maze, NpyRows, Puzzle, Records, Sudoku, Task, TaskKind, TokenSpec, Tokens,
    detect,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(puzzle) = text.parse::<Puzzle>()
    {
        read_again(&puzzle);
    }
    // Plain text and tables, whatever the first character: a comment stands above them.
    for start in ["", "// text\n", "Title\n", "puzzle,solution\n"] {
        let input = [start.as_bytes(), data].concat();
        for record in Records::new(Cursor::new(input), "-").take(100).flatten() {
            read_again(&record.puzzle);
        }
    }
    if let Ok(rows) = NpyRows::open(data) {
        rows.take(1000).for_each(drop);
    }
    let mut random = data
        .iter()
        .fold(1, |seed, &byte| step(seed ^ u64::from(byte)));
    for record in Records::new(Cursor::new(data.to_vec()), "fuzz.json")
        .take(100)
        .flatten()
    {
        play(&record.puzzle, &mut random);
    }
});

/// Checks that a puzzle is the same when it is printed and read again.
fn read_again(puzzle: &Puzzle) {
    let model = TokenSpec {
        vocab_size: 66,
        seq_len: None,
        num_puzzle_identifiers: 0,
    };
    let Ok(kind) = detect(puzzle, None, None, None) else {
        return;
    };
    let task: &dyn Task = match kind {
        TaskKind::Sudoku => &Sudoku::default(),
        TaskKind::Maze => &Maze,
        TaskKind::Arc | TaskKind::Tokens => return,
    };
    let Ok(encoded) = task.encode(puzzle, &model) else {
        return;
    };
    let text = format!(
        r#"{{"puzzle": {}, "task": "{}"}}"#,
        puzzle.cells.to_json(),
        kind.name()
    );
    let again: Puzzle = text.parse().expect("what was read");
    let again = task.encode(&again, &model).expect("what was read");
    assert_eq!(again.tokens, encoded.tokens, "{:?}", puzzle.cells);
    let is_text = matches!(puzzle.cells, Cells::Text(_) | Cells::Rows(_));
    if is_text && encoded.tokens.len() >= 16 {
        let again: Puzzle = puzzle.cells.to_string().parse().expect("what was read");
        let again = task.encode(&again, &model).expect("what was read");
        assert_eq!(again.tokens, encoded.tokens, "{:?}", puzzle.cells);
    }
}

/// Shows a puzzle to every task and to models of several sizes.
fn play(puzzle: &Puzzle, random: &mut u64) {
    let _ = (
        puzzle.cells.to_string(),
        puzzle.cells.to_json(),
        puzzle.id.as_ref().map(Id::to_json),
    );
    let sudoku = |box_shape| Sudoku { box_shape };
    let tasks: [&dyn Task; 6] = [
        &sudoku(None),
        &sudoku(Some([2, 2])),
        &sudoku(Some([usize::MAX, 2])),
        &Maze,
        &ArcGrid { identifiers: None },
        &Tokens,
    ];
    for (vocab_size, seq_len, num_puzzle_identifiers) in [
        (6, Some(16), 1),
        (11, Some(81), 1),
        (6, Some(900), 1),
        (12, Some(900), 3),
        (66, None, 0),
        (0, Some(0), 0),
    ] {
        let space = TokenSpec {
            vocab_size,
            seq_len,
            num_puzzle_identifiers,
        };
        let _ = detect(puzzle, Some(&space), None, Some("sudoku"));
        for task in tasks {
            answer(task, puzzle, &space, random);
        }
    }
}

/// Decodes and verifies answers that are nearly right, random, too short and too long.
fn answer(task: &dyn Task, puzzle: &Puzzle, space: &TokenSpec, random: &mut u64) {
    let Ok(problem) = task.encode(puzzle, space) else {
        return;
    };
    let count = space.seq_len.unwrap_or(problem.tokens.len());
    assert_eq!(problem.tokens.len(), count);
    assert!(
        problem
            .tokens
            .iter()
            .all(|&token| (token as usize) < space.vocab_size)
    );
    for length in [count, count, 0, count / 2, count + 1] {
        let mut tokens: Vec<u32> = problem.solution.as_ref().unwrap_or(&problem.tokens).clone();
        tokens.resize(length, u32::MAX);
        let changes = next(random) as usize % (length + 1);
        for _ in 0..changes {
            let at = next(random) as usize % length;
            if let Some(token) = tokens.get_mut(at) {
                *token = next(random) as u32 % (space.vocab_size as u32 + 1);
            }
        }
        let _ = task.decode(&problem, &tokens).to_json();
        let _ = task.verify(&problem, &tokens);
    }
}

fn step(seed: u64) -> u64 {
    seed.wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
}

fn next(random: &mut u64) -> u64 {
    *random = step(*random);
    *random >> 33
}
