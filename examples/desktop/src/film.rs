//! What a run showed: every refinement step that was taken, so that it can be looked at again.

use std::time::Duration;

use trm::task::Verdict;

use crate::board::Grid;

/// One refinement step.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its number, from 1.
    pub step: usize,
    /// The answer as it stands, as values of the board; of ARC it may have another size than the puzzle.
    pub answer: Grid,
    /// How likely the model holds the value of each cell of `answer`: softmax of the cell's logits, 0 to 1.
    pub sure: Vec<f32>,
    /// The cells of `answer` whose token this step changed; of step 1 those that differ from the puzzle.
    pub changed: Vec<bool>,
    /// How far each cell's latent state moved: root of the mean square of z_H's difference to the step before, over its D channels.
    pub moved: Vec<f32>,
    /// The halting probability.
    pub halt: f32,
    /// Whether the head says "halt".
    pub head_halts: bool,
    /// Whether the policy halts here: the head says so and, where the rules are asked, the answer keeps them.
    pub halts: bool,
    /// What the rules say of the answer.
    pub verdict: Verdict,
    /// Time that the step took, readback of its answer included.
    pub time: Duration,
}

/// Why a run stopped by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The policy halted after this step.
    Halted(usize),
    /// It ran into the last step that was allowed.
    Exhausted(usize),
}

impl Stop {
    /// The step after which the run stopped.
    pub fn step(self) -> usize {
        match self {
            Stop::Halted(step) | Stop::Exhausted(step) => step,
        }
    }
}

/// The steps of a run.
#[derive(Debug, Clone, Default)]
pub struct Film {
    /// In their order.
    pub frames: Vec<Frame>,
    /// Where it stopped by itself; it may have gone on after that.
    pub stop: Option<Stop>,
    /// The threshold above which the head says "halt".
    pub threshold: f32,
}

impl Film {
    /// The frame after so many steps; `None` for 0, which is the puzzle itself.
    pub fn frame(&self, step: usize) -> Option<&Frame> {
        self.frames.get(step.checked_sub(1)?)
    }

    /// The number of the last step.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no step was taken.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Mean time of a step. The first is left out where there are others: it warms caches up.
    pub fn mean_time(&self) -> Option<Duration> {
        let from = usize::from(self.frames.len() > 1);
        let times = self.frames.get(from..).filter(|frames| !frames.is_empty())?;
        let total: Duration = times.iter().map(|frame| frame.time).sum();
        total.checked_div(u32::try_from(times.len()).ok()?)
    }

    /// The largest of [`Frame::moved`] from the second step on (the first starts from noise and moves everything), so that heat
    /// compares steps with each other.
    pub fn hottest(&self) -> f32 {
        let from = usize::from(self.frames.len() > 1);
        let moved = self.frames.iter().skip(from).flat_map(|frame| &frame.moved);
        moved.copied().fold(1e-6, f32::max)
    }
}

/// For each of `cells` the token with the largest logit, given as its probability. `logits` are `[S, V]`, `tokens` what was answered.
pub(crate) fn certainty(logits: &[f32], tokens: &[u32]) -> Vec<f32> {
    let vocab = logits.len() / tokens.len().max(1);
    let cell = |(logits, &token): (&[f32], &u32)| {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = logits.iter().map(|l| (l - max).exp()).sum();
        let own = logits.get(token as usize).map_or(0.0, |l| (l - max).exp());
        if total > 0.0 { own / total } else { 0.0 }
    };
    logits.chunks(vocab.max(1)).zip(tokens).map(cell).collect()
}

/// Root mean square of the difference of two states, for each position after the prefix. States are `[L, D]`.
pub(crate) fn movement(before: &[f32], after: &[f32], prefix: usize, tokens: usize) -> Vec<f32> {
    let width = after.len() / (prefix + tokens).max(1);
    let rows = before
        .chunks(width.max(1))
        .zip(after.chunks(width.max(1)))
        .skip(prefix);
    let distance = |(before, after): (&[f32], &[f32])| {
        let squares: f32 = before.iter().zip(after).map(|(b, a)| (a - b) * (a - b)).sum();
        (squares / width.max(1) as f32).sqrt()
    };
    rows.take(tokens).map(distance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certainty_is_the_softmax_of_the_token() {
        let ln = |p: f32| p.ln() + 700.0;
        let logits = [ln(0.1), ln(0.7), ln(0.2), ln(0.25), ln(0.25), ln(0.5)];
        let sure = certainty(&logits, &[1, 0]);
        assert!(
            (sure[0] - 0.7).abs() < 1e-3 && (sure[1] - 0.25).abs() < 1e-3,
            "{sure:?}"
        );
    }

    #[test]
    fn movement_leaves_the_prefix_out() {
        let before = [9.0, 9.0, 0.0, 0.0, 1.0, 1.0];
        let after = [0.0, 0.0, 3.0, 4.0, 1.0, 1.0];
        assert_eq!(movement(&before, &after, 1, 2), [12.5f32.sqrt(), 0.0]);
    }

    #[test]
    fn a_film_knows_its_mean_without_the_first_step() {
        let frame = |ms| Frame {
            step: 1,
            answer: Grid::default(),
            sure: Vec::new(),
            changed: Vec::new(),
            moved: vec![ms as f32],
            halt: 0.0,
            head_halts: false,
            halts: false,
            verdict: Verdict::default(),
            time: Duration::from_millis(ms),
        };
        let mut film = Film::default();
        assert_eq!(film.mean_time(), None);
        film.frames.push(frame(90));
        assert_eq!(
            (film.mean_time(), film.hottest()),
            (Some(Duration::from_millis(90)), 90.0)
        );
        film.frames.extend([frame(10), frame(20)]);
        assert_eq!(
            (film.mean_time(), film.hottest()),
            (Some(Duration::from_millis(15)), 20.0)
        );
        assert!(film.frame(0).is_none() && film.frame(4).is_none() && film.frame(3).is_some());
    }
}
