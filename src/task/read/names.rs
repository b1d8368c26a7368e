//! The names of the fields of a puzzle. They are the same in JSON and in tables.

/// The names of the cells of a puzzle.
pub(crate) const PUZZLE: [&str; 17] = [
    "puzzle",
    "maze",
    "question",
    "quizzes",
    "quiz",
    "sudoku",
    "board",
    "grid",
    "input",
    "inputs",
    "problem",
    "value",
    "cells",
    "unsolved",
    "unsolved-sudoku",
    "unsolved_sudoku",
    "mission",
];

/// The names of a solution.
pub(crate) const SOLUTION: [&str; 11] = [
    "solution",
    "answer",
    "solutions",
    "answers",
    "output",
    "outputs",
    "solved",
    "solved-sudoku",
    "solved_sudoku",
    "label",
    "labels",
];

/// The names of an identifier.
pub(crate) const ID: [&str; 5] = ["id", "task_id", "uid", "uuid", "name"];

/// The largest length of an identifier and of the name of a task, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 1024;

/// Returns whether `name` is one of `names`. Case and surrounding white space do not count.
pub(crate) fn is_one_of(name: &str, names: &[&str]) -> bool {
    let name = name.trim();
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Returns the message about an identifier that is too long, or `None` if it is not.
pub(crate) fn too_long(name: &str) -> Option<String> {
    (name.len() > MAX_NAME_BYTES).then(|| format!("is longer than {MAX_NAME_BYTES} bytes"))
}
