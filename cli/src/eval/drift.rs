//! The statistics of `eval --compare`: how much two ways of running a model differ on the same
//! puzzles.

use trm_runtime::Answer;

use super::metrics::ratio;

/// What is compared of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome<'a> {
    steps: usize,
    halted: bool,
    /// `[S]`.
    tokens: &'a [u32],
    /// The answer equals the solution.
    correct: bool,
}

impl<'a> From<&'a Answer> for Outcome<'a> {
    fn from(answer: &'a Answer) -> Self {
        Outcome {
            steps: answer.steps,
            halted: answer.halted,
            tokens: &answer.tokens,
            correct: answer.correct == Some(true),
        }
    }
}

/// Sums over the puzzles that finished on both sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drift {
    /// Puzzles that took the same number of steps on both sides, and halted on both or on neither.
    same_halt: u64,
    /// Puzzles whose answers differ in at least one token.
    pub(crate) differ: u64,
    /// Puzzles that only the compared side solves.
    pub(crate) gained: u64,
    /// Puzzles that only the baseline solves.
    pub(crate) lost: u64,
    puzzles: u64,
    /// Cosine similarities after each step, from the first.
    pub(crate) cosines: Vec<CosineStats>,
}

/// Statistics of the cosine similarity of the carried states of two sides after a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CosineStats {
    /// Puzzles that took the step on both sides.
    pub(crate) puzzles: u64,
    sum: f64,
    /// The minimum, or NaN if one is NaN.
    pub(crate) min: f64,
}

impl CosineStats {
    /// Returns the mean over the puzzles that took the step on both sides.
    pub(crate) fn mean(&self) -> f64 {
        self.sum / self.puzzles as f64
    }
}

impl Drift {
    /// Adds a puzzle: its outcome on both sides, and the cosine similarity after each step that
    /// both took.
    pub(crate) fn add(&mut self, baseline: Outcome<'_>, other: Outcome<'_>, cosines: &[f64]) {
        self.puzzles += 1;
        let same = (baseline.steps, baseline.halted) == (other.steps, other.halted);
        self.same_halt += u64::from(same);
        self.differ += u64::from(baseline.tokens != other.tokens);
        self.gained += u64::from(other.correct && !baseline.correct);
        self.lost += u64::from(baseline.correct && !other.correct);
        let empty = CosineStats {
            puzzles: 0,
            sum: 0.0,
            min: 1.0,
        };
        let depth = self.cosines.len().max(cosines.len());
        self.cosines.resize(depth, empty);
        for (step, cosine) in self.cosines.iter_mut().zip(cosines) {
            step.puzzles += 1;
            step.sum += cosine;
            // `f64::min` would ignore NaN.
            if cosine.is_nan() || *cosine < step.min {
                step.min = *cosine;
            }
        }
    }

    /// Returns the fraction of puzzles that halted alike on both sides.
    pub(crate) fn halt_agreement(&self) -> Option<f64> {
        ratio(self.same_halt as f64, self.puzzles)
    }
}

/// Returns the cosine similarity of two vectors of the same length: exactly 1 if they are equal.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        let products = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 {
        return f64::from(u8::from(a == b));
    }
    // Rounding can exceed the range by a unit in the last place.
    (dot(a, b) / norms).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(steps: usize, halted: bool, tokens: &[u32]) -> Outcome<'_> {
        Outcome {
            steps,
            halted,
            tokens,
            correct: tokens == [1, 2],
        }
    }

    #[test]
    fn the_cosine_is_that_of_the_angle() {
        assert_eq!(cosine(&[0.1, -0.7, 3.3], &[0.1, -0.7, 3.3]), 1.0);
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), 0.0);
        assert_eq!(cosine(&[1.0, 2.0], &[-1.0, -2.0]), -1.0);
        assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]) - 0.5f64.sqrt()).abs() < 1e-15);
        assert_eq!(
            (
                cosine(&[0.0], &[0.0]),
                cosine(&[0.0], &[1.0]),
                cosine(&[], &[])
            ),
            (1.0, 0.0, 1.0)
        );
        assert!(cosine(&[f32::NAN], &[1.0]).is_nan());
    }

    #[test]
    fn every_difference_is_counted() {
        let mut sums = Drift::default();
        assert_eq!(sums.halt_agreement(), None);
        let baseline = outcome(2, true, &[1, 2]);
        sums.add(baseline, baseline, &[1.0, 1.0]);
        // A step later, and halted or out of steps after the same step.
        sums.add(baseline, outcome(3, true, &[1, 2]), &[0.5, 0.25]);
        sums.add(baseline, outcome(2, false, &[1, 2]), &[0.75]);
        sums.add(baseline, outcome(2, true, &[2, 2]), &[1.0]);
        assert_eq!((sums.halt_agreement(), sums.differ), (Some(0.5), 1));
        assert_eq!((sums.gained, sums.lost), (0, 1));
        let steps: Vec<_> = sums
            .cosines
            .iter()
            .map(|c| (c.puzzles, c.mean(), c.min))
            .collect();
        assert_eq!(steps, [(4, 0.8125, 0.5), (2, 0.625, 0.25)]);
        sums.add(baseline, baseline, &[f64::NAN, 0.5]);
        assert!(sums.cosines[0].min.is_nan() && sums.cosines[0].mean().is_nan());
        assert_eq!(sums.cosines[1].min, 0.25);
        sums.add(outcome(2, true, &[3, 3]), baseline, &[]);
        assert_eq!((sums.differ, sums.gained, sums.lost), (2, 1, 1));
    }
}
