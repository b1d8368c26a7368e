//! The real program, run as a user runs it: exit codes, streams, JSON fields, and everything else that is a promise.
#![cfg(feature = "cli")]

#[path = "cli/harness.rs"]
mod harness;

#[path = "cli/arc.rs"]
mod arc;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/compare.rs"]
mod compare;
#[path = "cli/eval.rs"]
mod eval;
#[path = "cli/input.rs"]
mod input;
#[cfg(feature = "onnx")]
#[path = "cli/onnx.rs"]
mod onnx;
#[path = "cli/solve.rs"]
mod solve;
#[path = "cli/streams.rs"]
mod streams;
#[path = "cli/terminal.rs"]
mod terminal;
