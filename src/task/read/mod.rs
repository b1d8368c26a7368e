//! Reads puzzles from plain text, JSON, CSV and `.npy` files.

mod csv;
mod document;
mod document_text;
mod grid;
mod json;
mod lines;
mod literal;
mod names;
mod npy;
mod one_line;
mod parse;
mod plain;
mod records;
mod symbols;
mod text;
mod text_kind;
mod values;

pub use npy::NpyRows;
pub use records::{InputRecord, RecordError, Records};
