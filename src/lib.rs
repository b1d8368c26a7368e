//! Runs Tiny Recursive Models (TRM) on the CPU or a GPU, without PyTorch.
//!
//! A TRM is a network of 0.1 to 7 million parameters that solves Sudokus, mazes and ARC grids. It
//! carries an answer state and a reasoning state. Each **refinement step** updates both with the
//! same two-layer network. After each step, the **halting head** predicts whether the answer is
//! right: its output is the **halting probability**. This library loads the checkpoints that
//! training writes and computes the same numbers as the training code.
//!
//! # First steps
//! ```
//! # #[cfg(feature = "bundled")] {
//! use trm_runtime::Solver;
//!
//! let solver = Solver::bundled("sudoku-4x4")?; // or Solver::open("runs/my-model")
//! let answer = solver.solve(&"0000020440102103".parse()?)?;
//! assert_eq!(answer.cells.to_string(), "3421123443122143");
//! assert_eq!(answer.valid, Some(true));
//! # }
//! # Ok::<(), trm_runtime::Error>(())
//! ```
//!
//! | to | use |
//! |---|---|
//! | choose the device, threads, halting, number format | [`Solver::builder`] |
//! | solve one puzzle, or any number | [`Solver::solve`], [`Solver::solve_many`] |
//! | watch every step | [`Solver::session`] and [`Session::steps`] |
//! | stop from another thread | [`CancelToken`] |
//! | list the GPUs, describe the CPU | [`devices`], [`cpu`] |
//! | open, inspect and save a model | [`Model`] |
//! | bring your own kind of puzzle | [`task::Task`] |
//! | read states and logits, run single kernels | [`low_level`] |
//!
//! A [`Solver`] is `Send + Sync` and cheap to clone. Every [`Error`] has a kind, and its message
//! names what was found and where: the file, tensor, line or field.
//!
//! # Features
//! - `gpu` (default): the GPU backend, through wgpu. Without it, wgpu is not built.
//! - `bundled` (default): includes the models of `models/` (5.4 MB).
//! - `onnx`: runs refinement steps that were exported as ONNX files, with tract.
//! - `capi`: the C ABI of `include/trm.h`, from which the Android and iOS libraries are made.
//!
//! # Stability
//! Everything outside [`low_level`] is the stable interface: see the page on
//! [stability](guide::stability). [`low_level`] may change in any release.

#![cfg_attr(not(test), deny(clippy::cast_possible_truncation))]

mod backend;
pub mod bundled;
#[cfg(feature = "capi")]
pub mod capi;
mod checkpoint;
mod config;
mod device;
mod error;
mod file_kind;
mod files;
pub mod guide;
mod import;
mod memory;
mod model;
mod onnx;
mod output;
mod process;
mod random;
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
    Answer, CancelToken, HaltPolicy, HaltRule, Halting, MultiStart, PuzzleStep, Session, Step,
    Steps,
};
pub use solver::{SolveMany, Solver, SolverBuilder};
pub use task::Puzzle;

/// Plans, backends, weights and states: open, but without a promise.
///
/// Everything here may change in any release. It is public for researchers who inspect a model, for
/// benchmarks, and for apps that bring their own backend.
pub mod low_level {
    pub use crate::files::open_regular;
    pub use crate::model::{build, dtype, plan, weights};
    pub use crate::session::{Inspect, PlanStepper, Stepper};

    /// What runs a plan: the CPU, a GPU, the scalar reference; and the comparison of two of them.
    pub mod backend {
        pub use crate::backend::*;
    }

    /// Files of tensors, as an index over bytes that are read on demand.
    pub mod checkpoint {
        pub use crate::checkpoint::*;
    }

    /// Hyper-parameters, and where each came from.
    pub mod config {
        pub use crate::config::*;
    }

    /// Files that are replaced only by complete ones.
    pub mod output {
        pub use crate::output::*;
    }

    /// The random numbers of symmetries and noise.
    pub mod random {
        pub use crate::random::*;
    }
}

/// Entry points for the fuzz targets of tests/fuzz.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::checkpoint::fuzz_pickle as pickle;
}
