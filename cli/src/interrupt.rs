//! Ctrl-C, and the signals that ask a program to end: SIGTERM and SIGHUP on Unix, and a closed
//! window on Windows. All of them count as Ctrl-C.

use std::thread::Builder;
use std::time::Duration;

use trm_runtime::CancelToken;
use trm_runtime::low_level::output::discard_drafts;

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
        handle(move || {
            if now.is_cancelled() && asked.is_cancelled() {
                end_process();
            }
            if asked.is_cancelled() {
                return now.cancel();
            }
            asked.cancel();
            let later = now.clone();
            let timer = Builder::new().spawn(move || {
                std::thread::sleep(GRACE_PERIOD);
                later.cancel();
            });
            // Without a thread there is no time to wait.
            if timer.is_err() {
                now.cancel();
            }
        });
        interrupt
    }
}

/// Ends the process at the first Ctrl-C, for commands without an answer to wait for.
pub(crate) fn end_at_first() {
    handle(|| end_process());
}

fn end_process() -> ! {
    let _halted = discard_drafts();
    std::process::exit(130);
}

/// Calls `action` at each of the signals, in a thread of its own.
fn handle(action: impl FnMut() + Send + 'static) {
    if let Err(e) = install(action) {
        log::debug!("Ctrl-C will end the program without a summary: {e}");
    }
}

#[cfg(unix)]
fn install(mut action: impl FnMut() + Send + 'static) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut wanted = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        wanted.push(SIGHUP);
    }
    // The thread comes first: without one, the signals keep their effect.
    let (sender, receiver) = std::sync::mpsc::channel::<signal_hook::iterator::Signals>();
    Builder::new().spawn(move || {
        let Ok(mut signals) = receiver.recv() else {
            return;
        };
        for _ in signals.forever() {
            action();
        }
    })?;
    let signals = signal_hook::iterator::Signals::new(wanted)?;
    sender.send(signals).map_err(std::io::Error::other)
}

/// Returns whether the process was started with a signal ignored, as `nohup` does. Only Linux
/// tells.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(not(unix))]
fn install(action: impl FnMut() + Send + 'static) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(action)
}
