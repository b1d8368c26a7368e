//! The `log` crate's messages on standard error.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::output::say;

/// Writes `warning: ...` and the like; this program and its library only, others from `debug` on.
struct Stderr;

static STDERR: Stderr = Stderr;

/// Starts logging: `-q` errors only, else warnings or `TRM_LOG`, each `-v` a level more.
pub(crate) fn start(quiet: bool, verbose: u8) {
    let set = std::env::var("TRM_LOG")
        .ok()
        .and_then(|level| level.parse::<LevelFilter>().ok());
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => set.unwrap_or(LevelFilter::Warn),
        (false, 1) => LevelFilter::Info,
        (false, 2) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    };
    if log::set_logger(&STDERR).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("trm") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let name = match record.level() {
                Level::Error => "error",
                Level::Warn => "warning",
                Level::Info => "info",
                Level::Debug => "debug",
                Level::Trace => "trace",
            };
            say(format_args!("{name}: {}", record.args()));
        }
    }

    fn flush(&self) {}
}
