//! Tests of the program, run as a user runs it: exit codes, streams, JSON fields, and all else that
//! is promised.

#[path = "../../../tests/common/each.rs"]
mod each;
mod harness;
#[path = "../../../tests/common/skip.rs"]
mod skip;

#[cfg(feature = "bundled")]
mod accuracy;
mod arc;
#[cfg(target_os = "linux")]
mod arc_sized;
mod commands;
mod compare;
#[cfg(feature = "gpu")]
mod devices;
mod eval;
mod input;
#[cfg(feature = "onnx")]
mod onnx;
mod robust;
mod solve;
mod streams;
mod terminal;
mod trace;
