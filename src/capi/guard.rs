//! Runs entry points and callbacks: catches panics, rejects re-entry, stores the error message.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::status::trm_status;
use crate::error::{Error, ErrorKind};

/// A failed call: its status and its message.
#[derive(Debug)]
pub(super) struct CallError {
    status: trm_status,
    message: String,
}

impl CallError {
    pub(super) fn new(status: trm_status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(super) fn argument(message: impl Into<String>) -> Self {
        Self::new(trm_status::TRM_STATUS_ARGUMENT, message)
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
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
        Self::new(status, error.to_string())
    }
}

thread_local! {
    static ERROR_MESSAGE: RefCell<CString> = RefCell::default();
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Runs an entry point that callbacks must not call.
pub(super) fn run_entry(entry: impl FnOnce() -> Result<(), CallError>) -> trm_status {
    if IN_CALLBACK.get() {
        let error = CallError::new(
            trm_status::TRM_STATUS_REENTRY,
            "called from inside a callback of this library: return from the callback first",
        );
        return store_error(error);
    }
    run_reentrant_entry(entry)
}

/// Runs an entry point that callbacks may call, too.
pub(super) fn run_reentrant_entry(entry: impl FnOnce() -> Result<(), CallError>) -> trm_status {
    match catch_unwind(AssertUnwindSafe(entry)) {
        Ok(Ok(())) => trm_status::TRM_STATUS_OK,
        Ok(Err(error)) => store_error(error),
        Err(panic) => store_error(CallError::new(
            trm_status::TRM_STATUS_PANIC,
            panic_message(&*panic),
        )),
    }
}

/// Runs a callback of the app. Until it returns, `run_entry` rejects calls from this thread.
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

/// Returns the message of this thread's last failed call. It is valid until the next failed call.
pub(super) fn error_text() -> *const c_char {
    ERROR_MESSAGE
        .try_with(|text| text.borrow().as_ptr())
        .unwrap_or(c"".as_ptr())
}

fn store_error(error: CallError) -> trm_status {
    // On a thread that is ending, the thread-local may be gone already. Destructors of other
    // thread-locals may still free their handles.
    let _ = ERROR_MESSAGE.try_with(|text| text.replace(c_string(error.message)));
    error.status
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "a bug in this library, please report it: {}",
        text.unwrap_or("it panicked")
    )
}

/// Converts a text to a C string. NUL bytes inside become spaces.
pub(super) fn c_string(text: impl Into<String>) -> CString {
    let mut bytes = text.into().into_bytes();
    bytes
        .iter_mut()
        .filter(|b| **b == 0)
        .for_each(|b| *b = b' ');
    CString::new(bytes).unwrap_or_default()
}

/// Reads a C string. Returns `None` for null. `name` is the argument's name in the error message.
///
/// # Safety
/// `text` is null, or ends with a NUL byte and does not change during the call.
pub(super) unsafe fn optional_str<'a>(
    text: *const c_char,
    name: &str,
) -> Result<Option<&'a str>, CallError> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: guaranteed by the caller.
    let bytes = unsafe { CStr::from_ptr(text) };
    match bytes.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(CallError::argument(format!("{name} is not UTF-8"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capi::{trm_error, trm_solver_free};

    #[test]
    fn thread_local_destructors_may_call_the_library() {
        static FREED: std::sync::Mutex<Option<(trm_status, bool)>> = std::sync::Mutex::new(None);
        struct FreesOnDrop;
        impl Drop for FreesOnDrop {
            fn drop(&mut self) {
                let status = trm_solver_free(0);
                *FREED.lock().unwrap() = Some((status, ERROR_MESSAGE.try_with(|_| ()).is_err()));
                assert!(!trm_error().is_null());
            }
        }
        thread_local!(static FIRST_CREATED: FreesOnDrop = const { FreesOnDrop });
        std::thread::spawn(|| {
            // Thread-locals are destroyed in the reverse order of their creation.
            FIRST_CREATED.with(|_| ());
            trm_solver_free(0);
        })
        .join()
        .unwrap();
        assert_eq!(
            *FREED.lock().unwrap(),
            Some((trm_status::TRM_STATUS_HANDLE, true)),
            "the error message's thread-local was gone, and the call still returned its status"
        );
    }
}
