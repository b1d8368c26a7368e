//! Random tokens to measure and to compare with.

use trm_runtime::low_level::random::Random;

/// Tokens of a vocabulary, without padding where there is anything else.
pub(crate) fn tokens(random: &mut Random, count: usize, vocab: usize) -> Vec<u32> {
    let first = u32::from(vocab > 1);
    let kinds = vocab.saturating_sub(1);
    (0..count)
        .map(|_| first + random.below(kinds) as u32)
        .collect()
}
