//! Runs Tiny Recursive Models anywhere.

mod error;
pub use error::{Error, ErrorKind, Result};
