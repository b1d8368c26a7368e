//! A window in which a Tiny Recursive Model solves a puzzle before your eyes, step by step.
//!
//! The floors, each using only those above it:
//! - [`board`] and [`generate`]: puzzles, without a picture of them.
//! - [`film`]: what a run showed, step by step; [`thinker`]: the thread that runs the model and tells of every step.
//! - [`app`]: the state of the window and what a frame of it does; it needs no window.
//! - [`window`] shows it on a screen, [`offscreen`] in pictures.

pub mod app;
pub mod args;
pub mod board;
mod choice;
mod dialog;
pub mod film;
pub mod generate;
mod help;
mod keys;
mod lane;
pub mod offscreen;
mod paint;
mod palette;
mod panel;
mod probe;
pub mod record;
pub mod settings;
mod strip;
pub mod thinker;
mod top;
pub mod window;

pub use choice::ModelChoice;
