//! The C ABI (feature `capi`): what Kotlin, Swift and C call. `include/trm.h` is made from this file, comments included.
//!
//! Handles are looked up in tables and never used as addresses (`handles`); what guards an entry point is in `guard`.
#![allow(unsafe_code, reason = "pointers come from C")]
#![allow(non_camel_case_types, reason = "the names of C")]

mod guard;
mod handles;
mod options;
mod records;

use std::ffi::{CString, c_char, c_void};
use std::path::Path;

use guard::{Failure, c_string, guarded, in_callback, text, unguarded};
use handles::Table;
pub use options::trm_options;
use records::{AnswerRecord, StepRecord};
pub use records::{trm_answer_record, trm_step, trm_truth};

use crate::error::{Error, ErrorKind};
use crate::session::Answer;
use crate::session::cancel::CancelToken;
use crate::solver::Solver;
use crate::task::Puzzle;

/// The version of this interface: it grows with every change that a compiled caller would notice.
pub const TRM_ABI_VERSION: u32 = 1;

/// How a call ended.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum trm_status {
    /// It did what it says.
    TRM_STATUS_OK = 0,
    /// A file could not be opened or read.
    TRM_STATUS_IO = 1,
    /// A model file is damaged, hostile, or in a form that is not supported.
    TRM_STATUS_CHECKPOINT = 2,
    /// A hyper-parameter is missing, contradictory or out of range.
    TRM_STATUS_CONFIG = 3,
    /// A puzzle cannot be read, or is impossible, or is none for this model.
    TRM_STATUS_PUZZLE = 4,
    /// A device is not available, or failed.
    TRM_STATUS_DEVICE = 5,
    /// An argument is null, too long, or out of range.
    TRM_STATUS_ARGUMENT = 6,
    /// A step callback or a cancel token stopped it, or its solver was freed meanwhile.
    TRM_STATUS_CANCELLED = 7,
    /// The time limit passed.
    TRM_STATUS_DEADLINE = 8,
    /// A handle is 0, was freed, or belongs to something else.
    TRM_STATUS_HANDLE = 9,
    /// Called from inside a callback.
    TRM_STATUS_REENTRY = 10,
    /// A bug of this library. The solver can be freed; better do not use it further.
    TRM_STATUS_PANIC = 11,
}

/// A model on a device. 0 is none; a number is never used twice.
pub type trm_solver = u64;

/// How a puzzle ended. 0 is none; a number is never used twice.
pub type trm_answer = u64;

/// Stops solving from another thread. 0 is none; a number is never used twice.
pub type trm_cancel = u64;

/// Called after each refinement step, on the thread that solves. The step and all that it points to end with the call. False
/// stops: no further step is taken. After the last step what it says does not count. It must not throw or jump out.
pub type trm_on_step = Option<unsafe extern "C" fn(context: *mut c_void, step: *const trm_step) -> bool>;

/// Called once when bytes that were lent are no longer needed, on any thread that calls this library.
pub type trm_release = Option<unsafe extern "C" fn(context: *mut c_void)>;

struct SolverEntry {
    solver: Solver,
    /// Cancelled when the solver is freed.
    freed: CancelToken,
}

static SOLVERS: Table<SolverEntry> = Table::new("solver");
static ANSWERS: Table<AnswerRecord> = Table::new("answer");
static CANCELS: Table<CancelToken> = Table::new("cancel token");

thread_local! {
    static DEVICE: std::cell::RefCell<CString> = std::cell::RefCell::default();
}

/// The `TRM_ABI_VERSION` of the library that is linked. May be called from a callback.
#[unsafe(no_mangle)]
pub extern "C" fn trm_abi_version() -> u32 {
    TRM_ABI_VERSION
}

/// The version of the library, as "0.1.0". May be called from a callback.
#[unsafe(no_mangle)]
pub extern "C" fn trm_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// What went wrong in this thread's last call that failed, in UTF-8, for people. It stays until this thread's next failure; "" if there
/// was none. May be called from a callback.
#[unsafe(no_mangle)]
pub extern "C" fn trm_error() -> *const c_char {
    guard::error_text()
}

/// Opens a model: a file that `trm-run convert` or training wrote, or a folder with one. `options` may be null. `*solver` is 0 if
/// that fails.
///
/// # Safety
/// Strings end with the byte 0, pointers are null or valid during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trm_solver_open(
    path: *const c_char,
    options: *const trm_options,
    solver: *mut trm_solver,
) -> trm_status {
    guarded(|| {
        // SAFETY: as the caller promises.
        let (path, place) = unsafe { (text(path, "path")?, Out::new(solver, 0, "solver")?) };
        let path = path.ok_or_else(|| Failure::argument("path is null"))?;
        let opened = Solver::open(Path::new(path))?;
        // SAFETY: as the caller promises.
        place.write(keep(unsafe { options::apply(options, opened) }?));
        Ok(())
    })
}

/// A model from the bytes of a file that `trm-run convert` wrote. `options` may be null. `*solver` is 0 if that fails.
///
/// With `release` the bytes are lent and not copied: they must neither change nor go before the library calls `release(context)`.
/// It does so exactly once, whatever this function returns: when the solver is freed and nothing solves with it any more, or
/// before this function returns if it fails. Without `release` the bytes are copied and may go when this function returns.
///
/// # Safety
/// Pointers are null or valid during the call; `length` bytes can be read at `bytes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trm_solver_from_bytes(
    bytes: *const c_void,
    length: usize,
    release: trm_release,
    context: *mut c_void,
    options: *const trm_options,
    solver: *mut trm_solver,
) -> trm_status {
    let lent = Lent {
        bytes: bytes.cast(),
        length,
        release,
        context,
    };
    guarded(move || {
        // SAFETY: as the caller promises.
        let place = unsafe { Out::new(solver, 0, "solver")? };
        if lent.bytes.is_null() {
            return Err(Failure::argument("bytes is null"));
        }
        if isize::try_from(length).is_err() {
            return Err(Failure::argument(format!(
                "length {length} is more than there can be"
            )));
        }
        let opened = match lent.release {
            Some(_) => Solver::from_bytes(lent)?,
            None => Solver::from_bytes(lent.as_ref().to_vec())?,
        };
        // SAFETY: as the caller promises.
        place.write(keep(unsafe { options::apply(options, opened) }?));
        Ok(())
    })
}

/// Makes the device ready, which the first `trm_solver_solve` does otherwise, and tells which it is and why, for people, as
/// "cpu: a step of this model and batch is small". It may take a moment: drivers are loaded and `auto` may measure. The text stays until
/// this thread calls this function again.
///
/// # Safety
/// `device` is null or valid during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trm_solver_device(solver: trm_solver, device: *mut *const c_char) -> trm_status {
    guarded(|| {
        // SAFETY: as the caller promises.
        let place = unsafe { Out::new(device, std::ptr::null(), "device")? };
        // As trm_solver_solve has it, one puzzle at a time.
        let solver = SOLVERS.get(solver)?.solver.clone().batch(1);
        let name = solver.device_name()?;
        let said = match solver.device_choice_reason() {
            Some(why) => format!("{name}: {why}"),
            None => name.to_string(),
        };
        DEVICE.set(c_string(said));
        place.write(DEVICE.with_borrow(|text| text.as_ptr()));
        Ok(())
    })
}

/// Frees a solver. What solves with it on other threads stops before its next step with `TRM_STATUS_CANCELLED`; answers stay.
#[unsafe(no_mangle)]
pub extern "C" fn trm_solver_free(solver: trm_solver) -> trm_status {
    guarded(|| {
        SOLVERS.remove(solver)?.freed.cancel();
        Ok(())
    })
}

/// Solves a puzzle, on this thread, and returns when it is done. `puzzle` is `length` bytes of UTF-8: the plain text of one puzzle,
/// as "53..7....6..1...", or JSON, as `trm-run` reads it. `cancel` may be 0, `on_step` null. `*answer` is 0 if there is none; an
/// answer that breaks the rules is one.
///
/// Without `on_step` a GPU works several steps ahead: faster, and stopped a few steps later.
///
/// # Safety
/// Pointers are null or valid during the call; `length` bytes can be read at `puzzle`.
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
    guarded(|| {
        // SAFETY: as the caller promises.
        let place = unsafe { Out::new(answer, 0, "answer")? };
        let entry = SOLVERS.get(solver)?;
        let token = match cancel {
            0 => entry.freed.clone(),
            _ => entry.freed.or(&*CANCELS.get(cancel)?),
        };
        // SAFETY: as the caller promises.
        let puzzle: Puzzle = unsafe { puzzle_text(puzzle, length)? }.parse()?;
        let solver = entry.solver.clone().batch(1).cancel_token(token);
        let found = match on_step {
            None => solver.solve(&puzzle)?,
            // SAFETY: a step callback is what its type says.
            Some(call) => watch(&solver, &puzzle, |step| unsafe { call(context, step) })?,
        };
        place.write(ANSWERS.insert(AnswerRecord::new(found)));
        Ok(())
    })
}

/// What an answer says; null if there is none such. The record and all that it points to stay until the answer is freed.
#[unsafe(no_mangle)]
pub extern "C" fn trm_answer_read(answer: trm_answer) -> *const trm_answer_record {
    let mut found = std::ptr::null();
    guarded(|| {
        // The table keeps the record at its place until it is freed.
        found = ANSWERS.get(answer)?.record();
        Ok(())
    });
    found
}

/// Frees an answer.
#[unsafe(no_mangle)]
pub extern "C" fn trm_answer_free(answer: trm_answer) -> trm_status {
    guarded(|| ANSWERS.remove(answer).map(drop))
}

/// A new cancel token. `*cancel` is 0 if that fails.
///
/// # Safety
/// `cancel` is null or valid during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trm_cancel_new(cancel: *mut trm_cancel) -> trm_status {
    guarded(|| {
        // SAFETY: as the caller promises.
        unsafe { Out::new(cancel, 0, "cancel")? }.write(CANCELS.insert(CancelToken::new()));
        Ok(())
    })
}

/// Stops everything that solves, or will solve, with this token: the step in flight ends, the call returns `TRM_STATUS_CANCELLED`.
/// May be called from any thread at any time, and from a callback.
#[unsafe(no_mangle)]
pub extern "C" fn trm_cancel_now(cancel: trm_cancel) -> trm_status {
    unguarded(|| {
        CANCELS.get(cancel)?.cancel();
        Ok(())
    })
}

/// Frees a cancel token. What solves with it goes on and can no longer be stopped by it.
#[unsafe(no_mangle)]
pub extern "C" fn trm_cancel_free(cancel: trm_cancel) -> trm_status {
    guarded(|| CANCELS.remove(cancel).map(drop))
}

fn keep(solver: Solver) -> trm_solver {
    let freed = CancelToken::new();
    SOLVERS.insert(SolverEntry { solver, freed })
}

/// Solves step by step; `on_step` says whether to go on.
fn watch(solver: &Solver, puzzle: &Puzzle, on_step: impl Fn(&trm_step) -> bool) -> Result<Answer, Failure> {
    let mut session = solver.session(std::slice::from_ref(puzzle))?;
    while let Some(step) = session.next_step()? {
        for mut step in step.puzzles {
            let outcome = step.outcome.take();
            let record = StepRecord::new(&step, outcome.is_some());
            let goes_on = in_callback(|| on_step(&record.for_c()));
            match outcome {
                Some(answer) => return Ok(answer),
                None if goes_on => {}
                None => return Err(Error::new(ErrorKind::Cancelled, "stopped by the step callback").into()),
            }
        }
    }
    Err(Failure::argument("the puzzle ended without an answer"))
}

/// # Safety
/// `puzzle` is null, or `length` bytes can be read there during the call.
unsafe fn puzzle_text<'a>(puzzle: *const c_char, length: usize) -> Result<&'a str, Failure> {
    if puzzle.is_null() {
        return Err(Failure::argument("puzzle is null"));
    }
    if length > crate::task::MAX_DOCUMENT_BYTES {
        return Err(Failure::argument(format!(
            "length {length}: a puzzle is 8 MiB at most"
        )));
    }
    // SAFETY: as the caller promises.
    let bytes = unsafe { std::slice::from_raw_parts(puzzle.cast::<u8>(), length) };
    std::str::from_utf8(bytes).map_err(|e| {
        Failure::new(
            trm_status::TRM_STATUS_PUZZLE,
            format!("the puzzle is not UTF-8: {e}"),
        )
    })
}

/// Where a result goes: memory of the caller, which may hold anything. It holds "none" from here on.
struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `place` is null, or a `T` can be written there as long as this lives.
    unsafe fn new(place: *mut T, none: T, name: &str) -> Result<Out<T>, Failure> {
        if place.is_null() {
            return Err(Failure::argument(format!("{name} is null")));
        }
        let out = Out(place);
        out.write(none);
        Ok(out)
    }

    fn write(&self, value: T) {
        // SAFETY: as who made it promised.
        unsafe { self.0.write(value) }
    }
}

/// Bytes of the app.
struct Lent {
    bytes: *const u8,
    length: usize,
    release: trm_release,
    context: *mut c_void,
}

// SAFETY: nobody writes the bytes until they are released, and `release` may be called on any thread: both are asked of the caller.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: not null, `length` was checked, and the caller keeps them until they are released.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: a release callback is what its type says, and this happens once.
            in_callback(|| unsafe { release(self.context) });
        }
    }
}
