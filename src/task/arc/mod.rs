//! ARC: grids of ten colours on a square canvas.

mod augmentation;
mod votes;

pub use augmentation::Form;
pub use votes::{Candidate, Votes};

use super::common::{id_of, puzzle_row, shown, side, wrong_form};
use super::puzzle::MAX_CELLS;
use super::{Cells, EncodedPuzzle, Id, Identifiers, Puzzle, Task, TokenSpec, Verdict};
use crate::error::{Error, Result};

/// ARC tasks as the published training code lays them out.
///
/// A grid lies in the top left corner of a square canvas (30 x 30). Tokens: 0 padding, 1 end-of-grid mark, colour c is
/// c + 2; the mark fills the row below the grid and the column right of it where the canvas has them. A model knows a
/// task only by its row in the puzzle embedding, which [`Identifiers`] finds by the task's name.
#[derive(Debug, Clone, Default)]
pub struct ArcGrid {
    /// The names of the puzzle embedding's rows, where the checkpoint brings them.
    pub identifiers: Option<Identifiers>,
}

/// The largest side of an ARC grid, and of the published canvas.
const SIDE: usize = 30;
const COLOURS: u32 = 10;
/// The end-of-grid mark.
const MARK: u32 = 1;
/// The token of colour 0.
const BLACK: u32 = 2;

impl Task for ArcGrid {
    fn name(&self) -> &str {
        "arc"
    }

    fn encode(&self, puzzle: &Puzzle, space: &TokenSpec) -> Result<EncodedPuzzle> {
        if space.vocab_size < (BLACK + COLOURS) as usize {
            let v = space.vocab_size;
            return Err(Error::puzzle(format!(
                "an ARC grid needs a vocabulary of 12 tokens, but the model has only {v}: it was not trained on ARC"
            )));
        }
        let grid = match &puzzle.cells {
            Cells::Arc(arc) => &arc.test,
            Cells::Grid(grid) => grid,
            content => return Err(wrong_form(content, "an ARC task")),
        };
        let n = canvas_side(space)?;
        let tokens = canvas(grid, n)?;
        let solution = match &puzzle.solution {
            None => None,
            Some(Cells::Grid(output)) => Some(canvas(output, n).map_err(|e| e.context("solution"))?),
            Some(content) => return Err(wrong_form(content, "a grid of numbers").context("solution")),
        };
        Ok(EncodedPuzzle {
            id: id_of(puzzle),
            tokens,
            solution,
            puzzle_id: self.embedding_row(puzzle, space)?,
            rows: n,
            cols: n,
            cells: puzzle.cells.clone(),
        })
    }

    /// The largest top left rectangle of the answer that is made of colours only; an empty grid where there is none.
    fn decode(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Cells {
        Cells::Grid(crop(answer, problem.cols))
    }

    fn verify(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        let Some(solution) = &problem.solution else {
            return Verdict::default();
        };
        compare(&crop(solution, problem.cols), &crop(answer, problem.cols))
    }
}

impl ArcGrid {
    /// The row of the puzzle embedding that stands for this task.
    fn embedding_row(&self, puzzle: &Puzzle, space: &TokenSpec) -> Result<u32> {
        let rows = space.num_puzzle_identifiers;
        if let Some(row) = puzzle_row(puzzle, space)? {
            return Ok(row);
        }
        if rows <= 1 {
            return Ok(0);
        }
        let name = task_name(puzzle);
        let Some(identifiers) = &self.identifiers else {
            let task = name.map_or("this ARC task".to_owned(), |name| {
                format!("ARC task {}", shown(name))
            });
            return Err(Error::puzzle(format!(
                "{task} needs identifiers.json beside the model, or a puzzle_id in the document: an ARC checkpoint \
                 knows a task only by its row in the puzzle embedding"
            )));
        };
        let Some(name) = name else {
            return Err(Error::puzzle(
                "the document does not say which ARC task this is: give it an id (the task's name) or a puzzle_id",
            ));
        };
        match identifiers.find(name)? {
            Some(row) if (row as usize) < rows => Ok(row),
            Some(row) => Err(Error::puzzle(format!(
                "identifiers.json gives ARC task {} the row {row}, but the model has only {rows} rows: the two do not \
                 belong together",
                shown(name)
            ))),
            None => Err(Error::puzzle(format!(
                "ARC task {} is not among the {} puzzles that this checkpoint was trained on; an ARC checkpoint knows \
                 only the tasks of its training",
                shown(name),
                identifiers.tasks()?
            ))),
        }
    }
}

/// The task's own name, else the document's `id`.
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

fn canvas_side(space: &TokenSpec) -> Result<usize> {
    let Some(cells) = space.seq_len else {
        return Ok(SIDE);
    };
    side(cells).filter(|_| cells <= MAX_CELLS).ok_or_else(|| {
        Error::puzzle(format!(
            "ARC grids lie on a square canvas (900 cells), but the model takes {cells}: it was not trained on ARC"
        ))
    })
}

/// A grid of colours on an n x n canvas, as tokens.
fn canvas(grid: &[Vec<i64>], n: usize) -> Result<Vec<u32>> {
    let (rows, cols) = (grid.len(), grid.first().map_or(0, Vec::len));
    if let Some((r, row)) = grid.iter().enumerate().find(|(_, row)| row.len() != cols) {
        let (r, cells) = (r + 1, row.len());
        return Err(Error::puzzle(format!(
            "row {r} of the grid has {cells} cells, but row 1 has {cols}"
        )));
    }
    let most = n.min(SIDE);
    if !(1..=most).contains(&rows) || !(1..=most).contains(&cols) {
        return Err(Error::puzzle(format!(
            "the grid is {rows} x {cols}: this model takes 1 x 1 to {most} x {most}"
        )));
    }
    let mut tokens = vec![0; n * n];
    for (r, line) in tokens.chunks_mut(n).enumerate() {
        match grid.get(r) {
            Some(row) => {
                for (c, (token, &value)) in line.iter_mut().zip(row).enumerate() {
                    *token = colour(value, r, c)?;
                }
                line.iter_mut().skip(cols).take(1).for_each(|token| *token = MARK);
            }
            None if r == rows => line.iter_mut().take(cols).for_each(|token| *token = MARK),
            None => {}
        }
    }
    Ok(tokens)
}

fn colour(value: i64, r: usize, c: usize) -> Result<u32> {
    u32::try_from(value)
        .ok()
        .filter(|&v| v < COLOURS)
        .map(|v| v + BLACK)
        .ok_or_else(|| {
            let (r, c) = (r + 1, c + 1);
            Error::puzzle(format!(
                "{value} in row {r}, column {c} of the grid is no colour: colours are 0 to 9"
            ))
        })
}

/// The largest top left rectangle of a canvas of n x n tokens that is made of colours only; of several the one with the fewest rows, as
/// published.
pub fn crop(tokens: &[u32], n: usize) -> Vec<Vec<i64>> {
    let is_colour = |token: &u32| (BLACK..BLACK + COLOURS).contains(token);
    let (mut width, mut best) = (n, (0, 0));
    for (r, line) in tokens.chunks_exact(n.max(1)).enumerate() {
        width = line
            .iter()
            .take(width)
            .take_while(|token| is_colour(token))
            .count();
        if (r + 1) * width > best.0 * best.1 {
            best = (r + 1, width);
        }
    }
    let rows = tokens.chunks_exact(n.max(1)).take(best.0);
    rows.map(|line| {
        line.iter()
            .take(best.1)
            .map(|&t| i64::from(t) - i64::from(BLACK))
            .collect()
    })
    .collect()
}

fn compare(right: &[Vec<i64>], answer: &[Vec<i64>]) -> Verdict {
    let size = |grid: &[Vec<i64>]| (grid.len(), grid.first().map_or(0, Vec::len));
    let ((rows, cols), (r, c)) = (size(right), size(answer));
    if (rows, cols) != (r, c) {
        return Verdict::wrong(format!("the grid is {r} x {c}, the solution {rows} x {cols}"));
    }
    let cells = |grid: &[Vec<i64>]| grid.iter().flatten().copied().collect::<Vec<_>>();
    match cells(right)
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
