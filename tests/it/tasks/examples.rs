//! The puzzles of `examples/puzzles`.

use std::fs;
use std::path::Path;

use trm_runtime::task::{
    ArcGrid, Cells, EncodedPuzzle, Maze, Puzzle, Sudoku, Task, TaskKind, TokenSpec, detect,
};

use super::{arc, token_spec};

fn example(name: &str) -> Puzzle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/puzzles")
        .join(name);
    fs::read_to_string(path)
        .expect("an example")
        .parse()
        .expect("a puzzle")
}

fn encoded(name: &str, kind: TaskKind, task: &dyn Task, token_spec: &TokenSpec) -> EncodedPuzzle {
    let puzzle = example(name);
    assert_eq!(
        detect(&puzzle, Some(token_spec), None, None).expect("a task"),
        kind,
        "{name}"
    );
    assert_eq!(
        detect(&puzzle, None, None, Some(kind.name())).expect("a task"),
        kind,
        "{name}"
    );
    task.encode(&puzzle, token_spec).expect("a possible puzzle")
}

#[test]
fn the_examples_fit_the_models_that_they_are_for() {
    for (name, n) in [
        ("sudoku-4x4", 4),
        ("sudoku-6x6", 6),
        ("sudoku-9x9", 9),
        ("sudoku-9x9-hard", 9),
    ] {
        let problem = encoded(
            &format!("{name}.json"),
            TaskKind::Sudoku,
            &Sudoku::default(),
            &token_spec(n + 2, n * n),
        );
        assert_eq!(problem.id.to_string(), name);
        assert_eq!(problem.solution, None);
    }
    for (name, n) in [
        ("maze-10x10.json", 10),
        ("maze-15x15.json", 15),
        ("maze-20x20.json", 20),
        ("maze-30x30/maze.json", 30),
    ] {
        let problem = encoded(name, TaskKind::Maze, &Maze, &token_spec(6, n * n));
        assert_eq!(problem.rows, n);
    }
}

#[test]
fn the_arc_example_is_a_published_task_with_its_output() {
    let problem = encoded(
        "arc/007bbfb7.json",
        TaskKind::Arc,
        &ArcGrid::default(),
        &token_spec(12, 900),
    );
    let Cells::Arc(task) = &problem.cells else {
        panic!("an ARC task")
    };
    assert_eq!(task.train.len(), 5);
    assert_eq!(problem.tokens, arc_tokens(task.test.clone()));
    let solution = problem.solution.clone().expect("the output");
    // Each cell of the pattern that is coloured holds the pattern.
    let expected = |r: usize, c: usize| {
        if task.test[r / 3][c / 3] == 0 {
            0
        } else {
            task.test[r % 3][c % 3]
        }
    };
    let expected = (0..9)
        .map(|r| (0..9).map(|c| expected(r, c)).collect())
        .collect();
    assert_eq!(
        ArcGrid::default().decode(&problem, &solution),
        Cells::Grid(expected)
    );
}

fn arc_tokens(grid: Vec<Vec<i64>>) -> Vec<u32> {
    ArcGrid::default()
        .encode(&arc(None, grid), &token_spec(12, 900))
        .expect("a grid")
        .tokens
}
