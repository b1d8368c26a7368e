//! The options of a solver.

use std::ffi::c_char;
use std::str::FromStr;
use std::time::Duration;

use super::guard::{CallError, optional_str};
use crate::error::Error;
use crate::solver::{Solver, SolverBuilder};

/// Options of a solver. `trm_options options = {.size = sizeof options};` selects all defaults:
/// a field that is 0 or NULL has its default value. Strings have the values that the options of
/// `trm-run` have.
#[repr(C)]
#[derive(Debug)]
pub struct trm_options {
    /// Required: `sizeof(trm_options)`. It tells the library which fields the caller knows.
    pub size: usize,
    /// Device: "auto", "cpu", "gpu", "gpu:N" or "reference". NULL = "auto".
    pub device: *const c_char,
    /// Folder that keeps the measurements of "auto", so that they run once. NULL = not kept.
    pub cache_dir: *const c_char,
    /// Task: "sudoku", "maze", "arc" or "tokens". NULL = the model's own task.
    pub task: *const c_char,
    /// Dtype of the weights in the model's blocks: "f32", "f16", "bf16" or "int8".
    /// NULL = "int8" if the file stores them as int8, else "f32".
    pub dtype: *const c_char,
    /// Halting rule: "head" halts a puzzle when its halting probability is above `halt_threshold`,
    /// "verified" also requires a valid answer, "never" always runs `max_steps`.
    /// NULL = "verified".
    pub halt: *const c_char,
    /// Threshold of the halting probability, from 0 to 1. 0 = 0.5.
    pub halt_threshold: f32,
    /// Number of CPU threads. 0 = one per core.
    pub threads: u32,
    /// Minimum number of refinement steps for each puzzle. 0 = 1.
    pub min_steps: u32,
    /// Maximum number of refinement steps for each puzzle. 0 = the number of steps that the model
    /// was trained with.
    pub max_steps: u32,
    /// Time limit of each `trm_solver_solve` in milliseconds. 0 = no limit.
    pub time_limit_ms: u32,
}

/// Parses the value of an option. Maps every error to an argument error.
fn parse<T: FromStr<Err = Error>>(value: &str) -> Result<T, CallError> {
    value
        .parse()
        .map_err(|e: Error| CallError::argument(e.to_string()))
}

/// Returns a solver builder with `options`. Null gives the defaults.
///
/// # Safety
/// `options` is null, or `options.size` bytes can be read there, and its strings end with NUL.
pub(super) unsafe fn builder(options: *const trm_options) -> Result<SolverBuilder, CallError> {
    // Every call solves one puzzle.
    let mut builder = Solver::builder().batch(1);
    if options.is_null() {
        return Ok(builder);
    }
    // SAFETY: every version of the struct starts with this field.
    let size = unsafe { (&raw const (*options).size).read() };
    if size != size_of::<trm_options>() {
        return Err(CallError::argument(format!(
            "options.size is {size}; this version expects sizeof(trm_options) = {}",
            size_of::<trm_options>()
        )));
    }
    // SAFETY: guaranteed by the caller.
    let options = unsafe { &*options };
    // SAFETY: guaranteed by the caller.
    let string = |value, name| unsafe { optional_str(value, name) };
    if let Some(device) = string(options.device, "options.device")? {
        builder = builder.device(parse(device)?);
    }
    if let Some(folder) = string(options.cache_dir, "options.cache_dir")? {
        builder = builder.cache_dir(folder);
    }
    if let Some(task) = string(options.task, "options.task")? {
        builder = builder.kind(parse(task)?);
    }
    if let Some(dtype) = string(options.dtype, "options.dtype")? {
        builder = builder.dtype(parse(dtype)?);
    }
    if let Some(rule) = string(options.halt, "options.halt")? {
        builder = builder.halt_rule(parse(rule)?);
    }
    if options.halt_threshold != 0.0 {
        builder = builder.halt_threshold(options.halt_threshold);
    }
    if options.threads != 0 {
        builder = builder.threads(options.threads as usize);
    }
    if options.min_steps != 0 {
        builder = builder.min_steps(options.min_steps as usize);
    }
    if options.max_steps != 0 {
        builder = builder.max_steps(options.max_steps as usize);
    }
    if options.time_limit_ms != 0 {
        builder = builder.time_limit(Duration::from_millis(options.time_limit_ms.into()));
    }
    Ok(builder)
}
