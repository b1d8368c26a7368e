//! Tests of the program, run as a user runs it: exit codes, streams, JSON fields, and all else that
//! is promised.

#[path = "../../../tests/common/each.rs"]
mod each;
mod harness;
#[cfg(all(target_os = "linux", feature = "bundled"))]
#[path = "../../../tests/common/long.rs"]
mod long;
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
mod field;
mod input;
#[cfg(all(target_os = "linux", feature = "bundled"))]
mod kill;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(all(feature = "onnx", target_os = "linux"))]
#[allow(dead_code, reason = "the cases need only a part of it")]
#[path = "../../../tests/common/onnx_file.rs"]
mod onnx_file;
#[cfg(all(feature = "onnx", target_os = "linux"))]
#[path = "../../../tests/common/onnx_hostile.rs"]
mod onnx_hostile;
#[cfg(all(target_os = "linux", feature = "bundled"))]
mod outputs;
mod robust;
mod solve;
mod streams;
mod terminal;
mod trace;
