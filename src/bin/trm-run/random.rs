//! Random tokens to measure and to compare with, and forms of ARC tasks.

use trm::task::Form;

/// SplitMix64: the same tokens for the same seed, everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A form of an ARC task; black stays black, as in the published training.
    pub(crate) fn form(&mut self) -> Form {
        let mut colours = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        for i in (2..colours.len()).rev() {
            colours.swap(i, 1 + (self.next() % i as u64) as usize);
        }
        let turn = (self.next() % 8) as usize;
        Form::new(turn, colours).unwrap_or(Form::PLAIN)
    }

    /// Tokens of a vocabulary, without padding where there is anything else.
    pub(crate) fn tokens(&mut self, count: usize, vocab: usize) -> Vec<u32> {
        let kinds = vocab.saturating_sub(1).max(1) as u64;
        let first = u32::from(vocab > 1);
        (0..count).map(|_| first + (self.next() % kinds) as u32).collect()
    }
}
