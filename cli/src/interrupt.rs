//! Ctrl-C, which stops a program that has puzzles at work in three degrees.

use std::time::Duration;

use trm_runtime::CancelToken;

/// How long the puzzles at work may take to end.
const GRACE: Duration = Duration::from_secs(3);

/// What the user's signals ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    /// From the first Ctrl-C on: nothing more is begun.
    pub(crate) asked: CancelToken,
    /// From the second on, or when the puzzles at work have had their time: no further step is taken.
    pub(crate) now: CancelToken,
}

impl Interrupt {
    /// Takes the signal from now on; a third one ends the program at once.
    pub(crate) fn catch() -> Interrupt {
        let interrupt = Interrupt::default();
        let Interrupt { asked, now } = interrupt.clone();
        let set = ctrlc::set_handler(move || {
            if now.is_cancelled() && asked.is_cancelled() {
                std::process::exit(130);
            }
            if asked.is_cancelled() {
                return now.cancel();
            }
            asked.cancel();
            let now = now.clone();
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                now.cancel();
            });
        });
        if let Err(e) = set {
            log::debug!("Ctrl-C ends the program without a summary: {e}");
        }
        interrupt
    }
}
