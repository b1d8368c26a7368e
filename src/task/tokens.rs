//! Raw tokens, for any model on any data.

use super::common::{has_known_cell, puzzle_row, square_side, wrong_form};
use super::puzzle::MAX_CELLS;
use super::{Cells, EncodedPuzzle, Puzzle, Task, TokenSpec, Verdict};
use crate::error::{Error, Result};

/// Puzzles written as the tokens of the model:
/// `{"tokens": [...], "puzzle_id": 0, "solution": [...]}`.
///
/// A flat list or a grid of numbers is also read as tokens. An answer can be verified only if the
/// solution is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens;

impl Task for Tokens {
    fn name(&self) -> &str {
        "tokens"
    }

    fn encode(&self, puzzle: &Puzzle, spec: &TokenSpec) -> Result<EncodedPuzzle> {
        let tokens = read(&puzzle.cells, spec)?;
        if let Some(s) = spec.seq_len.filter(|&s| s != tokens.len()) {
            let count = tokens.len();
            return Err(Error::puzzle(format!(
                "this puzzle has {count} tokens, but the model was trained on {s}"
            )));
        }
        let solution = puzzle
            .solution
            .as_ref()
            .map(|s| read_solution(s, spec, tokens.len()))
            .transpose()?;
        let (rows, cols) = match square_side(tokens.len()) {
            Some(n) => (n, n),
            None => (1, tokens.len()),
        };
        Ok(EncodedPuzzle {
            solution: solution.filter(|s| has_known_cell(s)),
            puzzle_id: puzzle_row(puzzle, spec)?.unwrap_or(0),
            ..EncodedPuzzle::new(puzzle, tokens, rows, cols)
        })
    }

    fn decode(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Cells {
        let mut numbers = answer.iter().map(|&t| i64::from(t));
        match &puzzle.cells {
            Cells::List(_) => Cells::List(numbers.collect()),
            Cells::Grid(rows) => Cells::Grid(
                rows.iter()
                    .map(|row| numbers.by_ref().take(row.len()).collect())
                    .collect(),
            ),
            _ => Cells::Tokens(numbers.collect()),
        }
    }

    fn verify(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        let Some(solution) = &puzzle.solution else {
            return Verdict::default();
        };
        if answer.len() != solution.len() {
            return Verdict::wrong(format!(
                "the answer has {} tokens, not {}",
                answer.len(),
                solution.len()
            ));
        }
        let differ = solution
            .iter()
            .zip(answer)
            .filter(|(s, a)| **s != 0 && s != a)
            .count();
        match differ {
            0 => Verdict::right(),
            1 => Verdict::wrong("1 token differs from the solution"),
            _ => Verdict::wrong(format!("{differ} tokens differ from the solution")),
        }
    }
}

fn read(cells: &Cells, spec: &TokenSpec) -> Result<Vec<u32>> {
    let numbers: Vec<i64> = match cells {
        Cells::Tokens(numbers) | Cells::List(numbers) => numbers.clone(),
        Cells::Grid(rows) => rows.iter().flatten().copied().collect(),
        _ => return Err(wrong_form(cells, "a list of tokens")),
    };
    if !(1..=MAX_CELLS).contains(&numbers.len()) {
        let count = numbers.len();
        return Err(Error::puzzle(format!(
            "this puzzle has {count} tokens, but a puzzle has 1 to {MAX_CELLS}"
        )));
    }
    let v = spec.vocab_size;
    let token = |(i, &number): (usize, &i64)| {
        u32::try_from(number)
            .ok()
            .filter(|&t| (t as usize) < v)
            .ok_or_else(|| {
                Error::puzzle(format!(
                    "token {i} is {number}, but the model's tokens are 0 to {}",
                    v.saturating_sub(1)
                ))
            })
    };
    numbers.iter().enumerate().map(token).collect()
}

fn read_solution(cells: &Cells, spec: &TokenSpec, count: usize) -> Result<Vec<u32>> {
    let solution = read(cells, spec).map_err(|e| e.context("solution"))?;
    if solution.len() != count {
        let found = solution.len();
        let message = format!("has {found} tokens, but the puzzle has {count}");
        return Err(Error::puzzle(message).context("solution"));
    }
    Ok(solution)
}
