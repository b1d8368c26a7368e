use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a check on every named case, even after one has failed, and panics with all failures.
pub(crate) fn test_each<N: Display, C>(cases: impl IntoIterator<Item = (N, C)>, check: impl Fn(C)) {
    let (mut failed, mut count) = (Vec::new(), 0);
    for (name, case) in cases {
        count += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(case))) {
            failed.push(format!("{name}: {}", message(&*panic)));
        }
    }
    let all = failed.join("\n");
    assert!(
        failed.is_empty(),
        "{} of {count} cases failed:\n{all}",
        failed.len()
    );
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}
