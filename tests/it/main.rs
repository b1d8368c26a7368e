//! Tests of the library in one program, so that it is linked once and a GPU is opened once.

#[path = "../common/data.rs"]
mod data;
#[path = "../common/each.rs"]
mod each;
#[cfg(feature = "gpu")]
#[path = "../common/gpu.rs"]
mod gpu;
#[path = "../common/long.rs"]
mod long;
#[path = "../common/noise.rs"]
mod noise;
#[cfg(feature = "onnx")]
#[path = "../common/onnx_file.rs"]
mod onnx_file;
#[cfg(feature = "onnx")]
#[path = "../common/onnx_hostile.rs"]
mod onnx_hostile;
#[cfg(any(feature = "bundled", feature = "gpu", feature = "onnx"))]
#[path = "../common/rebuild.rs"]
mod rebuild;
#[path = "../common/skip.rs"]
mod skip;

mod backends;
mod cpu;
mod expected;
#[cfg(feature = "bundled")]
mod formats;
mod golden;
mod kernels;
mod plans;

mod checkpoint;
#[cfg(feature = "onnx")]
mod onnx;
mod tasks;

#[cfg(feature = "bundled")]
mod made;
#[cfg(feature = "bundled")]
mod multi_start;
#[cfg(feature = "bundled")]
mod overflow;
#[cfg(feature = "bundled")]
mod sessions;
#[cfg(any(feature = "bundled", feature = "onnx"))]
mod solving;
#[cfg(feature = "bundled")]
mod stops;
