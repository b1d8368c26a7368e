use std::io::Write;

/// Reports that the running test, or the part that needs something, is skipped. With
/// `TRM_REQUIRE_<NEED>=1` in the environment it panics instead.
///
/// The line bypasses the test harness, which hides what a passing test prints.
pub(crate) fn skip(need: &str, reason: &str) {
    let required = std::env::var(format!("TRM_REQUIRE_{need}")).is_ok_and(|v| v == "1");
    assert!(!required, "{reason}");
    let thread = std::thread::current();
    let line = format!("SKIPPED {}: {reason}\n", thread.name().unwrap_or("a test"));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
