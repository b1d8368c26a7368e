//! Reads puzzles, encodes them as tokens for a model, decodes answers and verifies them.
//!
//! A [`Task`] is one kind of puzzle. The library has four: [`Sudoku`], [`Maze`], [`ArcGrid`] and
//! [`Tokens`]. An app can add its own. This module does not depend on models or devices. All that a
//! task knows of a model is its [`TokenSpec`].

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

pub use arc::{ArcGrid, Augmentation, Candidate, Identifiers, Votes, crop};
pub use definition::{Task, Verdict};
pub use encoded::{EncodedPuzzle, TokenSpec};
pub use kind::{TaskKind, detect};
pub use maze::Maze;
#[cfg(feature = "capi")]
pub(crate) use puzzle::MAX_DOCUMENT_BYTES;
pub use puzzle::{ArcPuzzle, Cells, Demonstration, Id, Puzzle};
pub use read::{InputRecord, NpyRows, RecordError, Records};
pub use sudoku::Sudoku;
pub use symmetry::Symmetry;
pub use tokens::Tokens;
