//! Random tokens for measurements and comparisons.

use trm_runtime::low_level::random::Random;

/// Returns `count` random tokens. Token 0, which is padding, occurs only in a vocabulary of one.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a vocabulary has at most 2^20 tokens"
)]
pub(crate) fn tokens(random: &mut Random, count: usize, vocab: usize) -> Vec<u32> {
    let first = u32::from(vocab > 1);
    let kinds = vocab.saturating_sub(1);
    (0..count)
        .map(|_| first + random.below(kinds) as u32)
        .collect()
}
