//! Calls tract, whose panics become errors without a word on stderr.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use tract_onnx::prelude::TractResult;

use crate::error::{Error, Result};

thread_local! {
    /// Whether this thread calls tract, so that its panics are caught and not printed.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, which calls tract on an untrusted graph.
///
/// A panic inside is not printed. Panics of other threads are printed as before.
///
/// # Errors
/// Tract returns an error, or panics. `what` completes the sentence "tract could not ..".
pub(crate) fn guarded<T>(what: &str, work: impl FnOnce() -> TractResult<T>) -> Result<T> {
    silence_guarded_threads();
    let failed = |reason: &str| Error::checkpoint(format!("tract could not {what}: {reason}"));
    let was_guarded = IS_GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(was_guarded);
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) => {
            // Some errors in the chain contain the text of the whole graph, so each is shortened.
            let chain: Vec<String> = e.chain().map(|e| shorten(&e.to_string())).collect();
            Err(failed(&chain.join(": ")))
        }
        Err(_) => Err(failed(
            "it met an internal error; the file is damaged, or uses unsupported operations",
        )),
    }
}

/// Puts a panic hook before the current one, once for the process.
fn silence_guarded_threads() {
    static HOOK: Once = Once::new();
    HOOK.call_once(silence);
}

/// Puts a panic hook before the current one. It ignores panics of threads that are inside
/// [`guarded`].
fn silence() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A thread that is ending has no thread-local values any more.
        if !IS_GUARDED.try_with(Cell::get).unwrap_or(false) {
            previous(panic);
        }
    }));
}

/// Returns the first line of a text, cut to 200 characters.
pub(super) fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Panics that the hook before ours has seen. Other tests may panic at the same time.
    static PRINTED: AtomicUsize = AtomicUsize::new(0);
    const MESSAGE: &str = "a panic of the test of guarded";

    #[test]
    fn only_panics_of_guarded_threads_are_silent() {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            match panic.payload_as_str() == Some(MESSAGE) {
                true => {
                    PRINTED.fetch_add(1, Ordering::SeqCst);
                }
                false => previous(panic),
            }
        }));
        silence();
        let error = guarded::<()>("pass the test", || panic!("{MESSAGE}")).unwrap_err();
        assert!(error.to_string().contains("internal error"), "{error}");
        assert_eq!(PRINTED.load(Ordering::SeqCst), 0);
        guarded("pass the test", || {
            let other = std::thread::spawn(|| panic!("{MESSAGE}"));
            assert!(other.join().is_err());
            // A guarded call inside another does not end the silence.
            guarded::<()>("pass the test", || panic!("{MESSAGE}")).unwrap_err();
            guarded::<()>("pass the test", || panic!("{MESSAGE}")).unwrap_err();
            Ok(())
        })
        .unwrap();
        assert_eq!(PRINTED.load(Ordering::SeqCst), 1);
        assert!(std::panic::catch_unwind(|| panic!("{MESSAGE}")).is_err());
        assert_eq!(PRINTED.load(Ordering::SeqCst), 2);
    }
}
