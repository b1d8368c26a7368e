//! What stands around every entry point: nothing panics out of it, no callback re-enters, and the error text is kept.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::trm_status;
use crate::error::{Error, ErrorKind};

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Failure {
    status: trm_status,
    text: String,
}

impl Failure {
    pub(super) fn new(status: trm_status, text: impl Into<String>) -> Failure {
        Failure {
            status,
            text: text.into(),
        }
    }

    pub(super) fn argument(text: impl Into<String>) -> Failure {
        Failure::new(trm_status::TRM_STATUS_ARGUMENT, text)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match error.kind() {
            ErrorKind::Io => trm_status::TRM_STATUS_IO,
            ErrorKind::Checkpoint => trm_status::TRM_STATUS_CHECKPOINT,
            ErrorKind::Config => trm_status::TRM_STATUS_CONFIG,
            ErrorKind::Puzzle => trm_status::TRM_STATUS_PUZZLE,
            ErrorKind::Device => trm_status::TRM_STATUS_DEVICE,
            ErrorKind::Argument => trm_status::TRM_STATUS_ARGUMENT,
            ErrorKind::Cancelled => trm_status::TRM_STATUS_CANCELLED,
            ErrorKind::Deadline => trm_status::TRM_STATUS_DEADLINE,
        };
        Failure::new(status, error.to_string())
    }
}

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Runs an entry point.
pub(super) fn guarded(entry: impl FnOnce() -> Result<(), Failure>) -> trm_status {
    if IN_CALLBACK.get() {
        let failure = Failure::new(
            trm_status::TRM_STATUS_REENTRY,
            "called from inside a callback of this library: let it return first",
        );
        return keep(failure);
    }
    unguarded(entry)
}

/// Runs an entry point that a callback may call too.
pub(super) fn unguarded(entry: impl FnOnce() -> Result<(), Failure>) -> trm_status {
    match catch_unwind(AssertUnwindSafe(entry)) {
        Ok(Ok(())) => trm_status::TRM_STATUS_OK,
        Ok(Err(failure)) => keep(failure),
        Err(panic) => keep(Failure::new(trm_status::TRM_STATUS_PANIC, said(&*panic))),
    }
}

/// Runs a callback of the app.
pub(super) fn in_callback<T>(callback: impl FnOnce() -> T) -> T {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            IN_CALLBACK.set(self.0);
        }
    }
    let _reset = Reset(IN_CALLBACK.replace(true));
    callback()
}

/// The text of this thread's last failure. It stays until the next.
pub(super) fn error_text() -> *const c_char {
    ERROR
        .try_with(|text| text.borrow().as_ptr())
        .unwrap_or(c"".as_ptr())
}

fn keep(failure: Failure) -> trm_status {
    // A thread that ends has no place for the text any more; what it destroys may still free its handles.
    let _ = ERROR.try_with(|text| text.replace(c_string(failure.text)));
    failure.status
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "a bug of this library, please report it: {}",
        text.unwrap_or("it panicked")
    )
}

/// Text for C, which ends strings with the byte 0: one inside becomes a blank.
pub(super) fn c_string(text: impl Into<String>) -> CString {
    let mut bytes = text.into().into_bytes();
    bytes.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b' ');
    CString::new(bytes).unwrap_or_default()
}

/// A string of C; `None` for null. `name` is what an error calls it.
///
/// # Safety
/// `text` is null, or ends with the byte 0 and does not change during the call.
pub(super) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    let bytes = unsafe { CStr::from_ptr(text) };
    match bytes.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Failure::argument(format!("{name} is not UTF-8"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capi::{trm_error, trm_solver_free};

    #[test]
    fn a_thread_that_ends_may_still_call() {
        static FREED: std::sync::Mutex<Option<(trm_status, bool)>> = std::sync::Mutex::new(None);
        struct Last;
        impl Drop for Last {
            fn drop(&mut self) {
                let status = trm_solver_free(0);
                *FREED.lock().unwrap() = Some((status, ERROR.try_with(|_| ()).is_err()));
                assert!(!trm_error().is_null());
            }
        }
        thread_local!(static LAST: Last = const { Last });
        std::thread::spawn(|| {
            // What is made first is destroyed last.
            LAST.with(|_| ());
            trm_solver_free(0);
        })
        .join()
        .unwrap();
        assert_eq!(
            *FREED.lock().unwrap(),
            Some((trm_status::TRM_STATUS_HANDLE, true)),
            "the error's place was gone, and the call said what was wrong"
        );
    }
}
