//! Runs Tiny Recursive Models anywhere.

pub mod backend;
pub mod checkpoint;
pub mod config;
mod error;
pub mod model;
pub mod plan;
pub mod task;
pub mod weights;
pub use checkpoint::{LoadOptions, Model, SaveDtype, SaveOptions};
pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use task::Puzzle;
