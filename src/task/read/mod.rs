//! Reads puzzles from text, JSON, CSV and npy files.

mod csv;
mod document;
mod identifiers;
mod json;
mod lines;
mod npy;
mod parse;
mod plain;
mod records;
mod text;

pub use identifiers::Identifiers;
pub use npy::NpyRows;
pub use records::{Record, RecordError, Records};
