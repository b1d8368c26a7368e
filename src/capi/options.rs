//! How a solver is to be made.

use std::ffi::c_char;
use std::str::FromStr;
use std::time::Duration;

use super::guard::{Failure, text};
use crate::error::Error;
use crate::solver::Solver;

/// How a solver works. A field that is 0 or null has its default, so `trm_options options = {.size = sizeof options};` changes nothing.
/// Names are those of `trm-run`'s options.
#[repr(C)]
#[derive(Debug)]
pub struct trm_options {
    /// `sizeof(trm_options)`: which fields the caller knows.
    pub size: usize,
    /// "auto" (default), "cpu", "gpu", "gpu:N", "reference".
    pub device: *const c_char,
    /// A folder for what is measured to choose a device, so that it is measured once; nowhere by default.
    pub cache_dir: *const c_char,
    /// "sudoku", "maze", "arc", "tokens"; the model's own by default.
    pub task: *const c_char,
    /// "f32", "f16", "bf16", "int8": the weights of the blocks; by default "int8" if the file has them so, else "f32".
    pub dtype: *const c_char,
    /// "verified" (default), "head", "never": who decides that a puzzle halts.
    pub halt: *const c_char,
    /// The head says "halt" above this probability; 0.5 by default.
    pub halt_threshold: f32,
    /// Threads of the CPU; all that there are by default.
    pub threads: u32,
    /// No puzzle halts before this many steps; 1 by default.
    pub min_steps: u32,
    /// Every puzzle ends after this many steps; as many as the model was trained for by default.
    pub max_steps: u32,
    /// Milliseconds for each `trm_solver_solve`; no limit by default.
    pub time_limit_ms: u32,
}

/// What an option names; a name that there is not is a wrong argument, whatever it names.
fn parsed<T: FromStr<Err = Error>>(name: &str) -> Result<T, Failure> {
    name.parse().map_err(|e: Error| Failure::argument(e.to_string()))
}

/// The solver as `options` wants it.
///
/// # Safety
/// `options` is null or points to as many bytes as its `size` says; its strings end with the byte 0.
pub(super) unsafe fn apply(options: *const trm_options, mut solver: Solver) -> Result<Solver, Failure> {
    if options.is_null() {
        return Ok(solver);
    }
    // SAFETY: the first field is there whatever the version.
    let size = unsafe { (&raw const (*options).size).read() };
    if size != size_of::<trm_options>() {
        return Err(Failure::argument(format!(
            "options.size is {size}; set it to sizeof(trm_options), {} in this version",
            size_of::<trm_options>()
        )));
    }
    // SAFETY: as the caller promises.
    let options = unsafe { &*options };
    // SAFETY: as the caller promises.
    let named = |value, name| unsafe { text(value, name) };
    if let Some(device) = named(options.device, "options.device")? {
        solver = solver.device(parsed(device)?);
    }
    if let Some(folder) = named(options.cache_dir, "options.cache_dir")? {
        solver = solver.cache_dir(folder);
    }
    if let Some(task) = named(options.task, "options.task")? {
        solver = solver.kind(parsed(task)?);
    }
    if let Some(dtype) = named(options.dtype, "options.dtype")? {
        solver = solver.format(parsed(dtype)?);
    }
    if let Some(rule) = named(options.halt, "options.halt")? {
        solver = solver.halt(parsed(rule)?);
    }
    if options.halt_threshold != 0.0 {
        solver = solver.halt_threshold(options.halt_threshold);
    }
    if options.threads != 0 {
        solver = solver.threads(options.threads as usize);
    }
    if options.min_steps != 0 {
        solver = solver.min_steps(options.min_steps as usize);
    }
    if options.max_steps != 0 {
        solver = solver.max_steps(options.max_steps as usize);
    }
    if options.time_limit_ms != 0 {
        solver = solver.time_limit(Duration::from_millis(options.time_limit_ms.into()));
    }
    solver.policy().checked()?;
    Ok(solver)
}
