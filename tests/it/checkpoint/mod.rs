//! Import: the peculiarities of published checkpoints, damaged files, configuration, and the
//! writer.

mod build;
mod config;
mod field;
mod formats;
mod hostile;
mod pickles;
mod properties;
mod wild;
mod write;
