//! A window in which a Tiny Recursive Model solves a puzzle, one refinement step at a time.
//!
//! The layers, from the top. Each uses only the layers below it:
//! - [`window`] shows the app on a screen. [`offscreen`] draws it into pictures, which [`export`]
//!   writes to files.
//! - [`app`] is the state of the window and what one frame does with it. It needs no window.
//! - [`worker`] is the thread that runs the model and reports each step. [`history`] holds the
//!   steps.
//! - [`board`] and [`generate`] are the puzzles. They draw nothing.

pub mod app;
pub mod args;
pub mod board;
mod device_list;
pub mod export;
mod file_dialog;
pub mod generate;
mod help;
pub mod history;
mod keys;
mod model_choice;
pub mod offscreen;
mod paint;
mod palette;
mod panel;
mod runner_view;
pub mod settings;
mod timeline;
mod toolbar;
pub mod window;
pub mod worker;

pub use model_choice::ModelChoice;
