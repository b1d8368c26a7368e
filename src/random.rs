//! A random number generator that gives the same numbers for the same seed on every platform.

/// The SplitMix64 generator (Steele, Lea, Flood 2014).
///
/// ```
/// use trm_runtime::low_level::random::Random;
///
/// assert_eq!(Random::new(7).bits(), Random::new(7).bits());
/// assert!(Random::new(7).below(10) < 10);
/// ```
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Creates a generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns an integer from 0 to `below` - 1, or 0 if `below` is 0.
    #[allow(clippy::cast_possible_truncation, reason = "less than `below`")]
    pub fn below(&mut self, below: usize) -> usize {
        (self.bits() % (below.max(1) as u64)) as usize
    }

    /// Shuffles a list (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }

    /// Returns a sample of the normal distribution with mean 0 and standard deviation 1 (Box and
    /// Muller).
    #[allow(clippy::cast_possible_truncation, reason = "rounded to f32")]
    pub fn normal(&mut self) -> f32 {
        let uniform = |bits: u64| ((bits >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
        let (a, b) = (uniform(self.bits()), uniform(self.bits()));
        ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
    }
}
