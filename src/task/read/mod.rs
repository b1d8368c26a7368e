//! Reads puzzles from plain text, JSON, CSV and `.npy` files.

mod csv;
mod document;
mod document_text;
mod json;
mod lines;
mod npy;
mod parse;
mod plain;
mod records;
mod text;
mod values;

pub use npy::NpyRows;
pub use records::{InputRecord, RecordError, Records};
