//! What `eval --compare` counts: how far one way of running a model is from another on the same puzzles.

use trm_runtime::Answer;

use crate::marks::share;

/// Sums over the puzzles that two sides have both ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Differences {
    /// Puzzles that ended after the same step on both sides, and in the same way: halted, or out of steps.
    same_halt: u64,
    /// Puzzles whose answers differ in at least one of the S tokens.
    pub(crate) differ: u64,
    /// Puzzles that only the other side solves.
    pub(crate) gained: u64,
    /// Puzzles that only the baseline solves.
    pub(crate) lost: u64,
    puzzles: u64,
    /// For each step, from the first.
    pub(crate) cosines: Vec<Cosines>,
}

/// The cosine between the carried states of two sides after a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cosines {
    /// Puzzles that took the step on both sides.
    pub(crate) puzzles: u64,
    sum: f64,
    /// The least; not a number if one is not.
    pub(crate) least: f64,
}

impl Cosines {
    /// Over the puzzles that took the step on both sides.
    pub(crate) fn mean(&self) -> f64 {
        self.sum / self.puzzles as f64
    }
}

impl Differences {
    /// Adds a puzzle: how it ended on both sides, and the cosine after each step that both took.
    pub(crate) fn add(&mut self, baseline: &Answer, other: &Answer, cosines: &[f64]) {
        self.puzzles += 1;
        let same = (baseline.steps, baseline.halted) == (other.steps, other.halted);
        self.same_halt += u64::from(same);
        self.differ += u64::from(baseline.tokens != other.tokens);
        let solves = |answer: &Answer| answer.correct == Some(true);
        self.gained += u64::from(solves(other) && !solves(baseline));
        self.lost += u64::from(solves(baseline) && !solves(other));
        let none = Cosines {
            puzzles: 0,
            sum: 0.0,
            least: 1.0,
        };
        let depth = self.cosines.len().max(cosines.len());
        self.cosines.resize(depth, none);
        for (step, cosine) in self.cosines.iter_mut().zip(cosines) {
            step.puzzles += 1;
            step.sum += cosine;
            // `f64::min` would pass over what is not a number.
            if cosine.is_nan() || *cosine < step.least {
                step.least = *cosine;
            }
        }
    }

    /// Puzzles that ended after the same step in the same way, of all.
    pub(crate) fn halt_agreement(&self) -> Option<f64> {
        share(self.same_halt as f64, self.puzzles)
    }
}

/// The cosine of the angle between two vectors of the same length: exactly 1 if they are the same.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        let products = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 {
        return f64::from(u8::from(a == b));
    }
    // Rounding may lead out of the range by a unit in the last place.
    (dot(a, b) / norms).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trm_runtime::Halting;
    use trm_runtime::task::{Cells, Id};

    fn answer(steps: usize, halted: bool, tokens: &[u32]) -> Answer {
        Answer {
            index: 0,
            id: Id::Number(0),
            task: "tokens".into(),
            answer: Cells::Tokens(Vec::new()),
            tokens: tokens.to_vec(),
            valid: None,
            shortest: None,
            why: None,
            correct: Some(tokens == [1, 2]),
            steps,
            halted,
            halting: Halting {
                q_halt: 0.0,
                q_continue: 0.0,
                logit: 0.0,
            },
            halt_probability: 0.5,
            time: std::time::Duration::ZERO,
            device: "cpu",
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
        let mut sums = Differences::default();
        assert_eq!(sums.halt_agreement(), None);
        let baseline = answer(2, true, &[1, 2]);
        sums.add(&baseline, &baseline, &[1.0, 1.0]);
        // A step later, and halted or out of steps after the same step.
        sums.add(&baseline, &answer(3, true, &[1, 2]), &[0.5, 0.25]);
        sums.add(&baseline, &answer(2, false, &[1, 2]), &[0.75]);
        sums.add(&baseline, &answer(2, true, &[2, 2]), &[1.0]);
        assert_eq!((sums.halt_agreement(), sums.differ), (Some(0.5), 1));
        assert_eq!((sums.gained, sums.lost), (0, 1));
        let steps: Vec<_> = sums
            .cosines
            .iter()
            .map(|c| (c.puzzles, c.mean(), c.least))
            .collect();
        assert_eq!(steps, [(4, 0.8125, 0.5), (2, 0.625, 0.25)]);
        sums.add(&baseline, &baseline, &[f64::NAN, 0.5]);
        assert!(sums.cosines[0].least.is_nan() && sums.cosines[0].mean().is_nan());
        assert_eq!(sums.cosines[1].least, 0.25);
        sums.add(&answer(2, true, &[3, 3]), &baseline, &[]);
        assert_eq!((sums.differ, sums.gained, sums.lost), (2, 1, 1));
    }
}
