//! Puzzles: what people write, the tokens that a model sees, and whether an answer is right.
//!
//! A [`Task`] is one kind of puzzle. [`Sudoku`], [`Maze`], [`Arc`](ArcGrid) and [`Tokens`] are four of it; an app can
//! bring its own. Nothing here knows models or devices: what a task must know of a model is its [`TokenSpec`].

mod arc;
mod chars;
mod common;
mod definition;
mod encoded;
mod kind;
mod maze;
mod puzzle;
mod read;
mod square;
mod sudoku;
mod symmetry;
mod tokens;

pub use arc::{ArcGrid, Candidate, Form, Votes, crop};
pub use definition::{Task, Verdict};
pub use encoded::{EncodedPuzzle, TokenSpec};
pub use kind::{TaskKind, detect};
pub use maze::Maze;
#[cfg(feature = "capi")]
pub(crate) use puzzle::MAX_DOCUMENT;
pub use puzzle::{ArcPuzzle, Cells, Demonstration, Id, Puzzle};
pub use read::{Identifiers, NpyRows, Record, RecordError, Records};
pub use sudoku::Sudoku;
pub use symmetry::Symmetry;
pub use tokens::Tokens;
