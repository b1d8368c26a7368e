//! Writes the messages of the `log` crate to standard error.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::output::eprint_line;

/// Writes `warning: ...` and the like. Messages of other crates appear only as warnings and errors.
struct Stderr;

static STDERR: Stderr = Stderr;

/// Starts logging. `-q` shows errors only, each `-v` one level more. Default: `TRM_LOG`, else
/// warnings.
pub(crate) fn start(quiet: bool, verbose: u8) {
    let configured = std::env::var("TRM_LOG")
        .ok()
        .and_then(|level| level.parse::<LevelFilter>().ok());
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => configured.unwrap_or(LevelFilter::Warn),
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
            eprint_line(format_args!("{name}: {}", record.args()));
        }
    }

    fn flush(&self) {}
}
