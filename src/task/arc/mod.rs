//! ARC: grids of ten colours on a square canvas, augmentations, and the vote over predictions.

mod augmentation;
mod identifiers;
mod votes;

pub use augmentation::Augmentation;
pub use identifiers::Identifiers;
pub use votes::{Candidate, Votes};

use super::common::{escape_name, id_of, puzzle_row, square_side, wrong_form};
use super::puzzle::MAX_CELLS;
use super::{Cells, EncodedPuzzle, Id, Puzzle, Task, TokenSpec, Verdict};
use crate::error::{Error, Result};

/// ARC tasks, encoded as in the published training code.
///
/// A grid is in the top left corner of a square canvas (30 x 30). Tokens: 0 is padding, 1 is the
/// end-of-grid mark, and colour c is c + 2. The mark fills the row below the grid and the column to
/// its right, where the canvas has them. A model knows a task only by its row in the puzzle
/// embedding. [`Identifiers`] finds this row by the name of the task.
#[derive(Debug, Clone, Default)]
pub struct ArcGrid {
    /// The names of the rows of the puzzle embedding, if the checkpoint has them.
    pub identifiers: Option<Identifiers>,
}

/// The largest number of rows and of columns of an ARC grid, and the side of the published canvas.
const MAX_SIDE: usize = 30;
/// The number of colours.
const COLOR_COUNT: u32 = 10;
/// The token of the end-of-grid mark.
const END_OF_GRID: u32 = 1;
/// The token of colour 0.
const FIRST_COLOR: u32 = 2;

impl Task for ArcGrid {
    fn name(&self) -> &str {
        "arc"
    }

    fn encode(&self, puzzle: &Puzzle, spec: &TokenSpec) -> Result<EncodedPuzzle> {
        if spec.vocab_size < (FIRST_COLOR + COLOR_COUNT) as usize {
            let v = spec.vocab_size;
            return Err(Error::puzzle(format!(
                "an ARC grid needs a vocabulary of 12 tokens, but the model has only {v}: it was \
                 not trained on ARC"
            )));
        }
        let grid = match &puzzle.cells {
            Cells::Arc(arc) => &arc.test,
            Cells::Grid(grid) => grid,
            other => return Err(wrong_form(other, "an ARC task")),
        };
        let n = canvas_side(spec)?;
        let tokens = canvas(grid, n)?;
        let solution = match &puzzle.solution {
            None => None,
            Some(Cells::Grid(output)) => {
                Some(canvas(output, n).map_err(|e| e.context("solution"))?)
            }
            Some(other) => {
                return Err(wrong_form(other, "a grid of numbers").context("solution"));
            }
        };
        Ok(EncodedPuzzle {
            id: id_of(puzzle),
            tokens,
            solution,
            puzzle_id: self.embedding_row(puzzle, spec)?,
            rows: n,
            cols: n,
            cells: puzzle.cells.clone(),
        })
    }

    /// Decodes the grid that [`crop`] finds. It is empty if the first token is not a colour.
    fn decode(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Cells {
        Cells::Grid(crop(answer, puzzle.cols))
    }

    /// Compares the answer with the solution, if one was given.
    fn verify(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        let Some(solution) = &puzzle.solution else {
            return Verdict::default();
        };
        compare(&crop(solution, puzzle.cols), &crop(answer, puzzle.cols))
    }
}

impl ArcGrid {
    /// Returns the row of the puzzle embedding for this task.
    ///
    /// # Errors
    /// If the row or the name of the task is not known.
    fn embedding_row(&self, puzzle: &Puzzle, spec: &TokenSpec) -> Result<u32> {
        let rows = spec.num_puzzle_identifiers;
        if let Some(row) = puzzle_row(puzzle, spec)? {
            return Ok(row);
        }
        if rows <= 1 {
            return Ok(0);
        }
        let name = task_name(puzzle);
        let Some(identifiers) = &self.identifiers else {
            let task = name.map_or("this ARC task".to_owned(), |name| {
                format!("ARC task {}", escape_name(name))
            });
            return Err(Error::puzzle(format!(
                "{task} needs identifiers.json beside the model, or a puzzle_id in the document: \
                 an ARC checkpoint knows a task only by its row in the puzzle embedding"
            )));
        };
        let Some(name) = name else {
            return Err(Error::puzzle(
                "the document does not say which ARC task this is: give it an id (the task's name) \
                 or a puzzle_id",
            ));
        };
        identifiers.check_rows(rows)?;
        match identifiers.find(name)? {
            Some(row) => Ok(row),
            None => Err(Error::puzzle(format!(
                "ARC task {} is not among the {} puzzles that this checkpoint was trained on; an \
                 ARC checkpoint knows only the tasks of its training",
                escape_name(name),
                identifiers.task_count()?
            ))),
        }
    }
}

/// Returns the name of the ARC task, or else the `id` of the document.
fn task_name(puzzle: &Puzzle) -> Option<&str> {
    let own = match &puzzle.cells {
        Cells::Arc(arc) => arc.task.as_deref(),
        _ => None,
    };
    own.or(match &puzzle.id {
        Some(Id::Text(name)) => Some(name),
        _ => None,
    })
}

/// Returns the side of the model's square canvas.
///
/// # Errors
/// If the canvas is not square or too large.
fn canvas_side(spec: &TokenSpec) -> Result<usize> {
    let Some(cells) = spec.seq_len else {
        return Ok(MAX_SIDE);
    };
    square_side(cells).filter(|_| cells <= MAX_CELLS).ok_or_else(|| {
        Error::puzzle(format!(
            "ARC grids lie on a square canvas (900 cells), but the model takes {cells}: it was not \
             trained on ARC"
        ))
    })
}

/// Returns a grid of colours on an n x n canvas as tokens, `[n * n]`.
fn canvas(grid: &[Vec<i64>], n: usize) -> Result<Vec<u32>> {
    let (rows, cols) = (grid.len(), grid.first().map_or(0, Vec::len));
    if let Some((r, row)) = grid.iter().enumerate().find(|(_, row)| row.len() != cols) {
        let (r, cells) = (r + 1, row.len());
        return Err(Error::puzzle(format!(
            "row {r} of the grid has {cells} cells, but row 1 has {cols}"
        )));
    }
    let max = n.min(MAX_SIDE);
    if !(1..=max).contains(&rows) || !(1..=max).contains(&cols) {
        return Err(Error::puzzle(format!(
            "the grid is {rows} x {cols}: this model takes 1 x 1 to {max} x {max}"
        )));
    }
    let mut tokens = vec![0; n * n];
    for (r, line) in tokens.chunks_mut(n).enumerate() {
        match grid.get(r) {
            Some(row) => {
                for (c, (token, &value)) in line.iter_mut().zip(row).enumerate() {
                    *token = color(value, r, c)?;
                }
                line.iter_mut()
                    .skip(cols)
                    .take(1)
                    .for_each(|token| *token = END_OF_GRID);
            }
            None if r == rows => line
                .iter_mut()
                .take(cols)
                .for_each(|token| *token = END_OF_GRID),
            None => {}
        }
    }
    Ok(tokens)
}

/// Returns the token of a colour in row `r`, column `c`, both counted from 0.
fn color(value: i64, r: usize, c: usize) -> Result<u32> {
    u32::try_from(value)
        .ok()
        .filter(|&v| v < COLOR_COUNT)
        .map(|v| v + FIRST_COLOR)
        .ok_or_else(|| {
            let (r, c) = (r + 1, c + 1);
            Error::puzzle(format!(
                "{value} in row {r}, column {c} of the grid is not a colour: colours are 0 to 9"
            ))
        })
}

/// Returns the largest rectangle of colours in the top left corner of a canvas of n x n tokens.
///
/// If several rectangles are equally large, the one with the fewest rows is taken, as in the
/// published code.
pub fn crop(tokens: &[u32], n: usize) -> Vec<Vec<i64>> {
    let is_color = |token: &u32| (FIRST_COLOR..FIRST_COLOR + COLOR_COUNT).contains(token);
    let (mut width, mut best) = (n, (0, 0));
    for (r, line) in tokens.chunks_exact(n.max(1)).enumerate() {
        width = line
            .iter()
            .take(width)
            .take_while(|token| is_color(token))
            .count();
        if (r + 1) * width > best.0 * best.1 {
            best = (r + 1, width);
        }
    }
    let rows = tokens.chunks_exact(n.max(1)).take(best.0);
    rows.map(|line| {
        line.iter()
            .take(best.1)
            .map(|&t| i64::from(t) - i64::from(FIRST_COLOR))
            .collect()
    })
    .collect()
}

/// Compares the grid of an answer with the grid of the solution.
fn compare(solution: &[Vec<i64>], answer: &[Vec<i64>]) -> Verdict {
    let size = |grid: &[Vec<i64>]| (grid.len(), grid.first().map_or(0, Vec::len));
    let ((rows, cols), (r, c)) = (size(solution), size(answer));
    if (rows, cols) != (r, c) {
        return Verdict::wrong(format!(
            "the grid is {r} x {c}, but the solution is {rows} x {cols}"
        ));
    }
    let cells = |grid: &[Vec<i64>]| grid.iter().flatten().copied().collect::<Vec<_>>();
    match cells(solution)
        .iter()
        .zip(cells(answer))
        .filter(|(s, a)| **s != *a)
        .count()
    {
        0 => Verdict::right(),
        1 => Verdict::wrong("1 cell differs from the solution"),
        several => Verdict::wrong(format!("{several} cells differ from the solution")),
    }
}
