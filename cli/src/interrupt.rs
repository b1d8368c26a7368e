//! Ctrl-C. The first one stops gently, the second at once, and the third ends the process.

use std::time::Duration;

use trm_runtime::CancelToken;

/// Time that the puzzles in progress get to finish.
const GRACE_PERIOD: Duration = Duration::from_secs(3);

/// What the user asked for with Ctrl-C.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    /// Set by the first Ctrl-C: no new puzzle starts.
    pub(crate) asked: CancelToken,
    /// Set by the second Ctrl-C, or at the end of the grace period: no further step is taken.
    pub(crate) now: CancelToken,
}

impl Interrupt {
    /// Handles Ctrl-C from now on. The third one ends the process.
    pub(crate) fn catch() -> Self {
        let interrupt = Self::default();
        let Self { asked, now } = interrupt.clone();
        let installed = ctrlc::set_handler(move || {
            if now.is_cancelled() && asked.is_cancelled() {
                std::process::exit(130);
            }
            if asked.is_cancelled() {
                return now.cancel();
            }
            asked.cancel();
            let later = now.clone();
            let timer = std::thread::Builder::new().spawn(move || {
                std::thread::sleep(GRACE_PERIOD);
                later.cancel();
            });
            // Without a thread that waits there is no grace period.
            if timer.is_err() {
                now.cancel();
            }
        });
        if let Err(e) = installed {
            log::debug!("Ctrl-C will end the program without a summary: {e}");
        }
        interrupt
    }
}
