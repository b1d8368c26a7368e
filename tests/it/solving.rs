//! Puzzles of the test files, and solving them to the end.

use trm::task::{Puzzle, Records};
use trm::{Answer, Session};

use crate::data::data;

/// The first puzzles of a file in `tests/data/puzzles`, with their solutions.
pub(crate) fn puzzles(file: &str, count: usize) -> Vec<Puzzle> {
    let path = data("puzzles").join(file);
    let reader = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
    Records::new(reader, file)
        .take(count)
        .map(|r| r.unwrap().puzzle)
        .collect()
}

/// Runs a session to its end and returns the answers in the order of the puzzles.
pub(crate) fn finish(mut session: Session) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(step) = session.next_step().unwrap() {
        answers.extend(step.puzzles.into_iter().filter_map(|p| p.outcome));
    }
    answers.sort_by_key(|a| a.index);
    answers
}
