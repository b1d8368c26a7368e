//! Limits of time, processor time and memory. The tests run one at a time.

#[cfg(target_os = "linux")]
mod busy_core;
#[cfg(all(feature = "gpu", feature = "bundled"))]
mod gpu_steps;
#[cfg(target_os = "linux")]
mod idle_threads;
mod records;

#[cfg(all(feature = "gpu", feature = "bundled"))]
#[path = "../common/gpu.rs"]
mod gpu;
#[path = "../../benches/models/mod.rs"]
mod models;
#[cfg(all(feature = "gpu", feature = "bundled"))]
#[path = "../common/skip.rs"]
mod skip;

use std::sync::{Mutex, MutexGuard};

/// Makes all other tests of this program wait until the guard is dropped.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

/// Runs a test of this program again in a process of its own. Returns `true` in that process.
#[cfg(target_os = "linux")]
fn in_own_process(test: &str) -> bool {
    const CHILD: &str = "TRM_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .stdout(std::process::Stdio::null())
        .status();
    assert!(
        status.unwrap().success(),
        "{test} failed in its own process"
    );
    false
}
