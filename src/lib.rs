//! Runs Tiny Recursive Models anywhere.

pub mod checkpoint;
pub mod config;
mod error;
pub mod weights;
pub use checkpoint::{LoadOptions, Model, SaveDtype, SaveOptions};
pub use config::Config;
pub use error::{Error, ErrorKind, Result};
