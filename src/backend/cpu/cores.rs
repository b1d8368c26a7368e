//! How many cores this machine has.

use std::num::NonZero;

/// Cores that this process may use at once, each counted once however many threads it runs; at least 1.
///
/// Two threads of one core share what computes, so that a second one gains little and holds up the first.
pub fn physical_cores() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    distinct_cores().map_or(threads, |cores| cores.clamp(1, threads))
}

/// The cores that Linux lists, by the threads of which each consists.
fn distinct_cores() -> Option<usize> {
    let mut cores = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir("/sys/devices/system/cpu").ok()?.flatten() {
        let siblings = entry.path().join("topology/thread_siblings_list");
        cores.extend(std::fs::read_to_string(siblings).ok());
    }
    Some(cores.len()).filter(|n| *n > 0)
}
