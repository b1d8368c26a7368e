//! The number of physical cores.

use std::num::NonZero;

/// Returns the number of physical cores that this process may use, at least 1.
///
/// Two threads of one core share its arithmetic units. So a second thread gains little and slows
/// down the first.
pub fn physical_cores() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    distinct_cores().map_or(threads, |cores| cores.clamp(1, threads))
}

/// Returns the number of cores that Linux lists. Logical CPUs with the same siblings are one core.
fn distinct_cores() -> Option<usize> {
    let mut cores = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir("/sys/devices/system/cpu").ok()?.flatten() {
        let siblings = entry.path().join("topology/thread_siblings_list");
        cores.extend(std::fs::read_to_string(siblings).ok());
    }
    Some(cores.len()).filter(|n| *n > 0)
}
