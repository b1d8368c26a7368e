//! Runs Tiny Recursive Models anywhere.
//!
//! A Tiny Recursive Model (TRM) is a network of 5 to 7 million parameters that solves Sudokus, mazes and ARC grids by refining
//! its answer again and again: it keeps an answer state and a reasoning state, updates both with the same two blocks, and a
//! halting head says when to stop. This library loads the checkpoints that training writes and runs them without PyTorch.
//!
//! ```
//! # #[cfg(feature = "bundled")] {
//! let solver = trm_runtime::Solver::bundled("sudoku-4x4")?; // or open("a/folder/of/training"), or from_bytes(..)
//! let puzzle = "0000020440102103".parse()?;
//!
//! let answer = solver.solve(&puzzle)?;
//! assert_eq!(answer.answer.to_string(), "3421123443122143");
//! assert_eq!(answer.valid, Some(true));
//!
//! let mut session = solver.session(&[puzzle])?; // any number of puzzles, each halts on its own
//! while let Some(step) = session.next_step()? {
//!     for p in &step.puzzles {
//!         println!("{} {:.2} {}", p.id, p.halt_probability, p.answer);
//!     }
//! }
//! # }
//! # Ok::<(), trm_runtime::Error>(())
//! ```
//!
//! # The floors, each using only those above it in this list
//! - [`config`] and [`task`]: hyper-parameters, and puzzles as people write them.
//! - [`checkpoint`] and [`weights`]: files of strangers, read into tensors that are named and checked, or into an [`onnx`] graph; [`quantize`]: the number
//!   formats in which a device may store them.
//! - [`plan`] and [`mod@model`]: a refinement step of every variant as a list of calls of eight kernels.
//! - [`backend`]: who runs a plan: the scalar oracle, the CPU, a GPU.
//! - [`Session`]: the halting loop; [`Solver`]: the front door.
//!
//! # Features
//! - `cli` (default): the program `trm-run` and its dependencies. An app leaves it out.
//! - `gpu` (default): the GPU backend, by wgpu. Without it nothing of wgpu is built.
//! - `bundled` (default): carries the models of `models/` inside the library, about 7 MB.
//! - `onnx` (default): refinement steps exported as ONNX, run by tract. An app leaves it out.
//! - `capi`: the C ABI of `include/trm.h`, which the Android and iOS libraries are made of.

pub mod backend;
pub mod bundled;
#[cfg(feature = "capi")]
pub mod capi;
pub mod checkpoint;
pub mod config;
mod device;
mod error;
mod import;
pub mod model;
pub mod onnx;
pub mod random;
mod session;
mod solver;
pub mod task;

pub use backend::info::{DeviceInfo, DeviceKind, DeviceLimits};
pub use config::Config;
pub use device::{CpuInfo, Device, cpu, devices};
pub use error::{Error, ErrorKind, Hint, Result};
pub use import::{LoadOptions, Model, SaveOptions, StoredTensor};
pub use model::dtype::WeightDtype;
pub use session::{
    Answer, CancelToken, HaltPolicy, HaltRule, Halting, Inspect, MultiStart, PlanStepper, PuzzleStep,
    Session, Step, Stepper, Steps,
};
pub use solver::{SolveMany, Solver, SolverBuilder};
pub use task::Puzzle;

/// Entry points for the fuzz targets of tests/fuzz.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::checkpoint::fuzz_pickle as pickle;
}
