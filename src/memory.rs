//! Checks that memory can be had before many parts of it are allocated.

use crate::error::{Error, ErrorKind, Result};

/// Checks that `bytes` can be allocated for `purpose`, such as `"a batch of 4096 slots"`.
///
/// A failed allocation ends the process. So a large amount is first reserved and given back.
///
/// # Errors
/// [`ErrorKind::Device`] if the system refuses so much memory. The message says how much was asked.
pub(crate) fn check(bytes: usize, purpose: &str) -> Result<()> {
    // What the allocations themselves need in addition, and what other threads may take meanwhile.
    let with_reserve = bytes.saturating_add(bytes / 8).saturating_add(1 << 20);
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve_exact(with_reserve).map_err(|e| {
        let megabytes = bytes.div_ceil(1 << 20);
        let message = format!("not enough memory: {purpose} needs {megabytes} MB");
        Error::new(ErrorKind::Device, message).with_source(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_says_how_much_was_asked() {
        check(10 << 20, "a batch of 2 slots").unwrap();
        let error = check(1 << 62, "a batch of 4096 slots").unwrap_err();
        assert_eq!(
            error.to_string(),
            "not enough memory: a batch of 4096 slots needs 4398046511104 MB"
        );
        assert!(check(usize::MAX, "all of it").is_err());
    }
}
