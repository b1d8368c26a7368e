//! Limits that hold for a configuration as a whole.

use super::limits::MAX_SIZE;
use super::{Config, PosEncodings};
use crate::error::{Error, Result};

/// Checks sizes against one another, and that none is absurd.
pub(super) fn check(config: &Config) -> Result<()> {
    let sizes = [
        ("hidden_size", config.hidden_size),
        ("vocab_size", config.vocab_size),
        ("the inner width of mlp", config.inner),
    ];
    for (name, size) in sizes {
        if size == 0 || size > MAX_SIZE {
            return Err(Error::config(format!(
                "{name} is {size}; it must be from 1 to {MAX_SIZE}"
            )));
        }
    }
    if config.token_inner > MAX_SIZE || (config.mlp_t && config.token_inner == 0) {
        return Err(Error::config(format!(
            "the inner width of mlp_t is {}",
            config.token_inner
        )));
    }
    let head = config.hidden_size / config.num_heads.max(1);
    if config.pos_encodings == PosEncodings::Rope && !config.mlp_t && !head.is_multiple_of(2) {
        return Err(Error::config(format!(
            "num_heads is {}, which makes heads of {head}; rotary positions need an even size",
            config.num_heads
        )));
    }
    let positions = config.prefix_len().saturating_add(config.seq_len.unwrap_or(0));
    if positions > MAX_SIZE {
        return Err(Error::config(format!(
            "{positions} positions; at most {MAX_SIZE} are run"
        )));
    }
    Ok(())
}
