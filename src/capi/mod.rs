//! The C ABI (feature `capi`), called by the Kotlin, Swift and C bindings.
//!
//! `include/trm.h` is generated from this file, comments included. Handles are looked up in tables
//! and never used as addresses (`handles`). Every entry point catches panics (`guard`).
#![allow(unsafe_code, reason = "pointers come from C")]
#![allow(non_camel_case_types, reason = "the names of C")]

mod c_structs;
mod guard;
mod handles;
mod options;
mod status;

use std::ffi::{CString, c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use c_structs::{OwnedAnswer, OwnedStep};
pub use c_structs::{trm_answer_record, trm_step, trm_truth};
use guard::{CallError, c_string, in_callback, optional_str, run_entry, run_reentrant_entry};
use handles::HandleTable;
pub use options::trm_options;
pub use status::trm_status;

use crate::error::{Error, ErrorKind};
use crate::process::ProcessId;
use crate::session::{Answer, CancelToken};
use crate::solver::Solver;
use crate::task::Puzzle;

/// Version of this interface. Every change that affects an already compiled caller increases it.
pub const TRM_ABI_VERSION: u32 = 1;

/// Handle of a model on a device. 0 is the null handle. Handles are never reused.
pub type trm_solver = u64;

/// Handle of the final answer to a puzzle. 0 is the null handle. Handles are never reused.
pub type trm_answer = u64;

/// Handle of a cancel token, which stops solving from another thread. 0 is the null handle.
/// Handles are never reused.
pub type trm_cancel = u64;

/// Called after each refinement step, on the solving thread. `step` and everything it points to are
/// valid only during the callback. Return false to stop: no further step runs. The return value of
/// the last step is ignored. The callback must not throw or `longjmp`.
pub type trm_on_step =
    Option<unsafe extern "C" fn(context: *mut c_void, step: *const trm_step) -> bool>;

/// Called exactly once when borrowed bytes are no longer needed, on any thread that calls this
/// library.
pub type trm_release = Option<unsafe extern "C" fn(context: *mut c_void)>;

struct SolverEntry {
    solver: Solver,
    /// Cancelled by `trm_solver_free`.
    freed: CancelToken,
    /// The process that opened the solver, and has its threads.
    process: ProcessId,
}

static SOLVERS: HandleTable<SolverEntry> = HandleTable::new("a solver");
static ANSWERS: HandleTable<OwnedAnswer> = HandleTable::new("an answer");
static CANCEL_TOKENS: HandleTable<CancelToken> = HandleTable::new("a cancel token");

thread_local! {
    static DEVICE_TEXT: std::cell::RefCell<CString> = std::cell::RefCell::default();
}

/// Returns the `TRM_ABI_VERSION` of the linked library. Callbacks may call this function.
#[unsafe(no_mangle)]
pub extern "C" fn trm_abi_version() -> u32 {
    TRM_ABI_VERSION
}

/// Returns the version of the library, for example "0.1.0". Callbacks may call this function.
#[unsafe(no_mangle)]
pub extern "C" fn trm_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns a readable message about the last failed call of this thread, in UTF-8. "" = no call of
/// this thread has failed. The message is valid until the next failed call of this thread.
/// Callbacks may call this function.
#[unsafe(no_mangle)]
pub extern "C" fn trm_error() -> *const c_char {
    guard::error_text()
}

/// Opens a model from `path`: a file written by `trm-run convert` or by training, or a folder that
/// contains one. `options`: NULL = all defaults. On failure `*solver` is 0.
///
/// # Safety
/// Strings end with a NUL byte. Pointers are NULL or valid during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trm_solver_open(
    path: *const c_char,
    options: *const trm_options,
    solver: *mut trm_solver,
) -> trm_status {
    run_entry(|| {
        // SAFETY: guaranteed by the caller.
        let (path, out) = unsafe {
            (
                optional_str(path, "path")?,
                OutParam::new(solver, 0, "solver")?,
            )
        };
        let path = path.ok_or_else(|| CallError::argument("path is NULL"))?;
        // SAFETY: guaranteed by the caller.
        let builder = unsafe { options::builder(options) }?;
        out.write(insert_solver(builder.open(Path::new(path))?)?);
        Ok(())
    })
}

/// Opens a model from `length` bytes in memory: the content of a file written by `trm-run convert`.
/// `options`: NULL = all defaults. On failure `*solver` is 0.
///
/// `release`: NULL = the library copies the bytes, and the caller may free them as soon as this
/// function returns. Otherwise the library borrows the bytes without copying them. They must stay
/// valid and unchanged until the library calls `release(context)`. It does so exactly once,
/// whatever this function returns: on success when the solver is freed and no call uses it any
/// more, on failure before this function returns.
///
/// # Safety
/// Pointers are NULL or valid during the call. `length` bytes can be read at `bytes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trm_solver_from_bytes(
    bytes: *const c_void,
    length: usize,
    release: trm_release,
    context: *mut c_void,
    options: *const trm_options,
    solver: *mut trm_solver,
) -> trm_status {
    let borrowed = BorrowedBytes {
        bytes: bytes.cast(),
        length,
        release,
        context,
    };
    run_entry(move || {
        // SAFETY: guaranteed by the caller.
        let out = unsafe { OutParam::new(solver, 0, "solver")? };
        if borrowed.bytes.is_null() {
            return Err(CallError::argument("bytes is NULL"));
        }
        if isize::try_from(length).is_err() {
            return Err(CallError::argument(format!(
                "length {length} exceeds the address space"
            )));
        }
        // SAFETY: guaranteed by the caller.
        let builder = unsafe { options::builder(options) }?;
        out.write(insert_solver(match borrowed.release {
            Some(_) => builder.from_bytes(borrowed)?,
            None => builder.from_bytes(borrowed.as_ref().to_vec())?,
        })?);
        Ok(())
    })
}

/// Prepares the device of a solver and describes it. `*device` becomes a readable text with the
/// device and the reason for choosing it, for example "cpu: a step of this model and batch is
/// small". It is valid until this thread calls this function again. On failure `*device` is NULL.
///
/// The call can be slow: it loads drivers, and the device "auto" may run measurements. Without this
/// call the first `trm_solver_solve` does the same work.
///
/// # Safety
/// `device` is NULL or valid during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trm_solver_device(
    solver: trm_solver,
    device: *mut *const c_char,
) -> trm_status {
    run_entry(|| {
        // SAFETY: guaranteed by the caller.
        let out = unsafe { OutParam::new(device, std::ptr::null(), "device")? };
        // A batch of 1, as in trm_solver_solve.
        let solver = solver_entry(solver)?.solver.clone();
        let name = solver.device_name()?;
        let description = match solver.device_choice_reason() {
            Some(reason) => format!("{name}: {reason}"),
            None => name.to_string(),
        };
        DEVICE_TEXT.set(c_string(description));
        out.write(DEVICE_TEXT.with_borrow(|text| text.as_ptr()));
        Ok(())
    })
}

/// Frees a solver. Calls that are solving with it on other threads stop and return
/// `TRM_STATUS_CANCELLED`. Its answers stay valid.
///
/// In a child of `fork`, a solver of the parent is forgotten and its memory is not freed. The
/// parent's solver is not affected, and borrowed bytes are not released.
#[unsafe(no_mangle)]
pub extern "C" fn trm_solver_free(solver: trm_solver) -> trm_status {
    run_entry(|| {
        let entry = SOLVERS.remove(solver)?;
        if entry.process.is_other() {
            // Its threads are not in this process, and its locks may be held for ever.
            std::mem::forget(entry);
            return Ok(());
        }
        entry.freed.cancel();
        Ok(())
    })
}

/// Solves a puzzle on the calling thread and returns when the puzzle has ended.
///
/// `puzzle` is `length` bytes of UTF-8: one puzzle as plain text, for example
/// "53..7....6..1...", or as JSON in the form that `trm-run` reads. `cancel`: 0 = no cancel token.
/// `on_step`: NULL = no callback. An answer that breaks the puzzle's rules is still an answer: see
/// `trm_answer_record.valid`. On failure `*answer` is 0.
///
/// Without `on_step`, a GPU keeps several steps in flight. This is faster, but cancelling takes
/// effect up to three steps later.
///
/// # Safety
/// Pointers are NULL or valid during the call. `length` bytes can be read at `puzzle`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trm_solver_solve(
    solver: trm_solver,
    puzzle: *const c_char,
    length: usize,
    cancel: trm_cancel,
    on_step: trm_on_step,
    context: *mut c_void,
    answer: *mut trm_answer,
) -> trm_status {
    run_entry(|| {
        // SAFETY: guaranteed by the caller.
        let out = unsafe { OutParam::new(answer, 0, "answer")? };
        let entry = solver_entry(solver)?;
        let token = match cancel {
            0 => entry.freed.clone(),
            _ => entry.freed.or(&*CANCEL_TOKENS.get(cancel)?),
        };
        // SAFETY: guaranteed by the caller.
        let puzzle: Puzzle = unsafe { puzzle_text(puzzle, length)? }.parse()?;
        let solver = &entry.solver;
        let solver = solver
            .to_builder()
            .cancel_token(token)
            .build(solver.model().clone())?;
        let solved = match on_step {
            None => solver.solve(&puzzle)?,
            Some(call) => {
                // SAFETY: the callback follows the contract of its type.
                solve_with_callback(&solver, &puzzle, |step| unsafe { call(context, step) })?
            }
        };
        out.write(ANSWERS.insert(OwnedAnswer::new(solved))?);
        Ok(())
    })
}

/// Returns the content of an answer. NULL = `answer` is not a valid handle. The record and
/// everything it points to are valid until the answer is freed.
#[unsafe(no_mangle)]
pub extern "C" fn trm_answer_read(answer: trm_answer) -> *const trm_answer_record {
    let mut found = std::ptr::null();
    run_entry(|| {
        // The table keeps the record at a fixed address until it is freed.
        found = ANSWERS.get(answer)?.record();
        Ok(())
    });
    found
}

/// Frees an answer.
#[unsafe(no_mangle)]
pub extern "C" fn trm_answer_free(answer: trm_answer) -> trm_status {
    run_entry(|| ANSWERS.remove(answer).map(drop))
}

/// Creates a cancel token. On failure `*cancel` is 0.
///
/// # Safety
/// `cancel` is NULL or valid during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trm_cancel_new(cancel: *mut trm_cancel) -> trm_status {
    run_entry(|| {
        // SAFETY: guaranteed by the caller.
        let out = unsafe { OutParam::new(cancel, 0, "cancel")? };
        out.write(CANCEL_TOKENS.insert(CancelToken::new())?);
        Ok(())
    })
}

/// Cancels every current and future call that solves with this token: the call returns
/// `TRM_STATUS_CANCELLED`, on the CPU within a step. Any thread may call this function at any time,
/// and so may callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn trm_cancel_now(cancel: trm_cancel) -> trm_status {
    run_reentrant_entry(|| {
        CANCEL_TOKENS.get(cancel)?.cancel();
        Ok(())
    })
}

/// Frees a cancel token. Calls that are solving with it continue and can no longer be cancelled
/// through it.
#[unsafe(no_mangle)]
pub extern "C" fn trm_cancel_free(cancel: trm_cancel) -> trm_status {
    run_entry(|| CANCEL_TOKENS.remove(cancel).map(drop))
}

fn insert_solver(solver: Solver) -> Result<trm_solver, CallError> {
    SOLVERS.insert(SolverEntry {
        solver,
        freed: CancelToken::new(),
        process: ProcessId::current(),
    })
}

/// Returns the entry of a solver that this process opened.
fn solver_entry(solver: trm_solver) -> Result<Arc<SolverEntry>, CallError> {
    let entry = SOLVERS.get(solver)?;
    match entry.process.check() {
        Ok(()) => Ok(entry),
        Err(e) => {
            // Dropped, it could be the last reference, and would wait for threads.
            std::mem::forget(entry);
            Err(e.into())
        }
    }
}

/// Solves step by step. `on_step` returns whether to continue.
fn solve_with_callback(
    solver: &Solver,
    puzzle: &Puzzle,
    on_step: impl Fn(&trm_step) -> bool,
) -> Result<Answer, CallError> {
    let mut session = solver.session(std::slice::from_ref(puzzle))?;
    while let Some(step) = session.next_step()? {
        for mut step in step.puzzles {
            let outcome = step.outcome.take();
            let owned = OwnedStep::new(&step, outcome.is_some());
            let continues = in_callback(|| on_step(&owned.as_c()));
            match outcome {
                Some(answer) => return Ok(answer),
                None if continues => {}
                None => {
                    let error = Error::new(ErrorKind::Cancelled, "stopped by the step callback");
                    return Err(error.into());
                }
            }
        }
    }
    Err(CallError::argument("the puzzle ended without an answer"))
}

/// Reads the puzzle text of an app.
///
/// # Safety
/// `puzzle` is null, or `length` bytes can be read there during the call.
unsafe fn puzzle_text<'a>(puzzle: *const c_char, length: usize) -> Result<&'a str, CallError> {
    if puzzle.is_null() {
        return Err(CallError::argument("puzzle is NULL"));
    }
    if length > crate::task::MAX_DOCUMENT_BYTES {
        return Err(CallError::argument(format!(
            "length {length} exceeds the limit of 8 MiB for a puzzle"
        )));
    }
    // SAFETY: guaranteed by the caller.
    let bytes = unsafe { std::slice::from_raw_parts(puzzle.cast::<u8>(), length) };
    std::str::from_utf8(bytes).map_err(|e| {
        CallError::new(
            trm_status::TRM_STATUS_PUZZLE,
            format!("the puzzle is not UTF-8: {e}"),
        )
    })
}

/// Memory of the caller that receives a result. It may be uninitialised until the first write.
struct OutParam<T>(*mut T);

impl<T> OutParam<T> {
    /// Writes `empty` to `target`, so that a failed call leaves a defined value behind.
    ///
    /// # Safety
    /// `target` is null, or a `T` can be written there as long as this value lives.
    unsafe fn new(target: *mut T, empty: T, name: &str) -> Result<Self, CallError> {
        if target.is_null() {
            return Err(CallError::argument(format!("{name} is NULL")));
        }
        let out = Self(target);
        out.write(empty);
        Ok(out)
    }

    fn write(&self, value: T) {
        // SAFETY: guaranteed by the caller of `new`.
        unsafe { self.0.write(value) }
    }
}

/// Model bytes that the app owns. Dropping this value calls `release`.
struct BorrowedBytes {
    bytes: *const u8,
    length: usize,
    release: trm_release,
    context: *mut c_void,
}

// SAFETY: the caller guarantees that the bytes do not change before they are released, and that
// `release` may be called on any thread.
unsafe impl Send for BorrowedBytes {}
// SAFETY: as above.
unsafe impl Sync for BorrowedBytes {}

impl AsRef<[u8]> for BorrowedBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the pointer is not null, `length` was checked, and the caller keeps the bytes
        // valid until they are released.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }
}

impl Drop for BorrowedBytes {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the callback follows the contract of its type, and this is its only call.
            in_callback(|| unsafe { release(self.context) });
        }
    }
}
