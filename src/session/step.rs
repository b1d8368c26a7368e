//! The reports of a session: its steps and answers.

use std::time::Duration;

use super::halting::Halting;
use crate::task::{Cells, Id};

/// One refinement step of all active puzzles.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Step {
    /// One entry for each puzzle that took part, in the order of their indices.
    pub puzzles: Vec<PuzzleStep>,
}

/// One puzzle after a refinement step.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PuzzleStep {
    /// Index of the puzzle in the session, from 0.
    pub index: usize,
    /// Identifier of the puzzle.
    pub id: Id,
    /// Steps that the puzzle has taken, from 1.
    pub step: usize,
    /// The current answer, in the form in which the puzzle was written.
    pub cells: Cells,
    /// The current answer as tokens, `[S]`.
    pub tokens: Vec<u32>,
    /// Indices of the cells that this step changed. In step 1: those that differ from the puzzle.
    pub changed: Vec<usize>,
    /// The halting head's prediction.
    pub halting: Halting,
    /// The halting probability, from 0 to 1.
    pub halt_probability: f32,
    /// The final answer, if this was the puzzle's last step.
    pub outcome: Option<Answer>,
}

/// The final answer to a puzzle.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// Index of the puzzle in the session, from 0.
    pub index: usize,
    /// Identifier of the puzzle.
    pub id: Id,
    /// Name of the task that the puzzle belongs to, such as `sudoku`.
    pub task: String,
    /// The answer, in the form in which the puzzle was written.
    pub cells: Cells,
    /// The answer as tokens, `[S]`.
    pub tokens: Vec<u32>,
    /// Whether the answer keeps the puzzle's rules. `None` if the task cannot verify it.
    pub valid: Option<bool>,
    /// Whether the path is a shortest one. `None` for tasks other than mazes.
    pub shortest: Option<bool>,
    /// Why the answer is not valid, in plain words.
    pub reason: Option<String>,
    /// Whether the answer equals the given solution. `None` if no solution was given.
    pub correct: Option<bool>,
    /// Refinement steps taken.
    pub steps: usize,
    /// Whether the halting policy stopped the puzzle. `false`: it reached the last step.
    pub halted: bool,
    /// The halting head's prediction after the last step.
    pub halting: Halting,
    /// The halting probability after the last step, from 0 to 1.
    pub halt_probability: f32,
    /// Time from the puzzle's first step to its last.
    pub time: Duration,
    /// Name of the device that computed the answer, such as `cpu`.
    pub device: &'static str,
}
