//! The task of a document.

use trm_runtime::task::{
    ArcGrid, Cells, Maze, Puzzle, Sudoku, Task, TaskKind, TokenSpec, Tokens, detect,
};

use super::{EASY, SMALL, arc, assert_says, puzzle, rows, split, text, token_spec};

#[test]
fn the_form_and_the_model_decide_the_task() {
    let small_grid = || Cells::Grid(vec![vec![0; 4]; 4]);
    let arc_task = || arc(None, vec![vec![0]]).cells;
    let nine = Some(token_spec(11, 81));
    let six = Some(token_spec(6, None));
    let twelve = Some(token_spec(12, 900));
    type Case = (
        Cells,
        Option<TokenSpec>,
        Option<TaskKind>,
        Option<&'static str>,
        Result<TaskKind, &'static str>,
    );
    let cases: Vec<Case> = vec![
        (text(EASY), None, None, None, Ok(TaskKind::Sudoku)),
        (
            split(EASY),
            nine.clone(),
            None,
            Some("sudoku"),
            Ok(TaskKind::Sudoku),
        ),
        (text("1.G."), None, None, None, Ok(TaskKind::Sudoku)),
        (rows(&SMALL), None, None, None, Ok(TaskKind::Maze)),
        (text("S  G"), six.clone(), None, None, Ok(TaskKind::Maze)),
        (
            text("1..............."),
            six.clone(),
            None,
            None,
            Ok(TaskKind::Sudoku),
        ),
        (small_grid(), six.clone(), None, None, Ok(TaskKind::Sudoku)),
        (small_grid(), None, None, None, Ok(TaskKind::Sudoku)),
        (small_grid(), twelve.clone(), None, None, Ok(TaskKind::Arc)),
        (
            small_grid(),
            twelve.clone(),
            None,
            Some("arc"),
            Ok(TaskKind::Arc),
        ),
        (
            Cells::List(vec![0; 16]),
            None,
            None,
            Some("tokens"),
            Ok(TaskKind::Tokens),
        ),
        (
            Cells::Grid(vec![vec![0; 10]; 10]),
            Some(token_spec(12, None)),
            None,
            None,
            Err("can be a Sudoku"),
        ),
        (
            Cells::Grid(vec![vec![0; 3]; 4]),
            None,
            None,
            None,
            Err("can be a Sudoku"),
        ),
        (
            small_grid(),
            nine.clone(),
            None,
            None,
            Err("can be a Sudoku"),
        ),
        (
            Cells::List(vec![0; 17]),
            None,
            None,
            None,
            Err("can be a Sudoku"),
        ),
        (arc_task(), twelve.clone(), None, None, Ok(TaskKind::Arc)),
        (
            Cells::Tokens(vec![1]),
            nine.clone(),
            None,
            Some("sudoku"),
            Ok(TaskKind::Tokens),
        ),
        (
            Cells::Tokens(vec![1]),
            nine.clone(),
            Some(TaskKind::Sudoku),
            None,
            Ok(TaskKind::Sudoku),
        ),
        (
            rows(&SMALL),
            nine.clone(),
            None,
            Some("sudoku"),
            Err("this is a maze, but the model solves Sudokus"),
        ),
        (
            text(EASY),
            six.clone(),
            None,
            Some("maze"),
            Err("this is a Sudoku, but the model solves mazes"),
        ),
        (
            arc_task(),
            nine.clone(),
            None,
            Some("sudoku"),
            Err("this is an ARC task, but the model solves Sudokus"),
        ),
        (
            rows(&SMALL),
            nine.clone(),
            None,
            None,
            Err("this is a maze, which has 6 kinds of token, but the model has 11"),
        ),
        (
            text("1..............."),
            Some(token_spec(11, None)),
            None,
            None,
            Err("which has 6 kinds of token"),
        ),
        (text(EASY), six.clone(), None, None, Ok(TaskKind::Sudoku)),
        (
            rows(&SMALL),
            nine.clone(),
            Some(TaskKind::Maze),
            Some("sudoku"),
            Ok(TaskKind::Maze),
        ),
        (
            rows(&SMALL),
            six.clone(),
            None,
            Some("an app's own"),
            Ok(TaskKind::Maze),
        ),
        (text("hello"), None, None, None, Err("neither a Sudoku")),
        (text(""), None, None, None, Err("neither a Sudoku")),
    ];
    for (content, token_spec, hint, model, expected) in cases {
        let found = detect(&puzzle(content.clone()), token_spec.as_ref(), hint, model)
            .map_err(|e| e.to_string());
        match expected {
            Ok(kind) => assert_eq!(found, Ok(kind), "{content:?}"),
            Err(part) => assert_says(&found.expect_err("an error"), part),
        }
    }
}

#[test]
fn a_document_may_name_its_task() {
    let named = |name: &str| Puzzle {
        task: Some(name.to_owned()),
        ..puzzle(Cells::List(vec![0; 16]))
    };
    assert_eq!(
        detect(&named("sudoku"), None, None, None).expect("a task"),
        TaskKind::Sudoku
    );
    assert_eq!(
        detect(&named("ARC"), None, None, None).expect("a task"),
        TaskKind::Arc
    );
    assert_eq!(
        detect(&named("arc"), None, Some(TaskKind::Tokens), None).expect("a task"),
        TaskKind::Tokens
    );
    let message = detect(&named("chess"), None, None, None)
        .expect_err("unknown")
        .to_string();
    assert_says(
        &message,
        "there is no task \"chess\": the tasks are sudoku, maze, arc, tokens",
    );
    let message = detect(&named("maze"), None, None, Some("sudoku"))
        .expect_err("another")
        .to_string();
    assert_says(&message, "this is a maze, but the model solves Sudokus");
    for kind in TaskKind::ALL {
        assert_eq!(kind.name().parse::<TaskKind>().expect("a name"), kind);
        assert_eq!(kind.to_string(), kind.name());
    }
}

#[test]
fn the_tasks_know_their_names_and_whether_rules_tell_an_answer() {
    let tasks: [&dyn Task; 4] = [&Sudoku::default(), &Maze, &ArcGrid::default(), &Tokens];
    assert_eq!(tasks.map(Task::name), TaskKind::ALL.map(TaskKind::name));
    assert_eq!(
        tasks.map(Task::verifies_by_rules),
        [true, true, false, false]
    );
}
