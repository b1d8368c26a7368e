//! Import: every trap of published checkpoints, hostile files, configuration, and the writer.

mod build;
mod config;
mod formats;
mod hostile;
mod pickles;
mod properties;
mod wild;
mod write;
