//! The history of a run: a record of each refinement step, so that the window can show it again.

use std::time::Duration;

use trm_runtime::task::Verdict;

use crate::board::Grid;

/// The record of one refinement step.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// The number of the step, from 1.
    pub step: usize,
    /// The answer after this step, as board values. An ARC answer may differ from the puzzle in
    /// size.
    pub answer: Grid,
    /// The probability of each cell of `answer`: the softmax of the cell's logits, 0 to 1.
    pub confidence: Vec<f32>,
    /// Whether this step changed the token of each cell of `answer`. Step 1 is compared with the
    /// puzzle.
    pub changed: Vec<bool>,
    /// How far this step moved the answer state `z_H` of each cell of `answer`: the root mean
    /// square of the difference over the D channels.
    pub state_change: Vec<f32>,
    /// The halting probability.
    pub halt_probability: f32,
    /// Whether the halting head says "halt".
    pub head_halts: bool,
    /// Whether the halting policy stops here: the head says "halt" and, under `HaltRule::Verified`,
    /// the answer keeps the rules.
    pub policy_halts: bool,
    /// What the rules of the puzzle say of the answer.
    pub verdict: Verdict,
    /// The duration of the step, including the readback of its answer.
    pub duration: Duration,
}

/// Why a run stopped by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The halting policy stopped the run after this step.
    Halted(usize),
    /// The run reached its last allowed step.
    Exhausted(usize),
}

impl StopReason {
    /// Returns the step after which the run stopped.
    pub fn step(self) -> usize {
        match self {
            Self::Halted(step) | Self::Exhausted(step) => step,
        }
    }
}

/// The steps of a run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The records, in the order of the steps.
    pub steps: Vec<StepRecord>,
    /// Where the run first stopped by itself. It may have continued after that.
    pub stop: Option<StopReason>,
    /// The halting probability above which the head says "halt".
    pub threshold: f32,
}

impl History {
    /// Returns the record of a step, counted from 1. Step 0 is the puzzle and has none.
    pub fn step(&self, step: usize) -> Option<&StepRecord> {
        self.steps.get(step.checked_sub(1)?)
    }

    /// Returns the number of the last step.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Returns whether no step has been taken.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the mean duration of a step. Leaves out the first step, which warms up caches,
    /// unless it is the only one.
    pub fn mean_duration(&self) -> Option<Duration> {
        let steps = self.settled_steps();
        let total: Duration = steps.iter().map(|step| step.duration).sum();
        total.checked_div(u32::try_from(steps.len()).ok()?)
    }

    /// Returns the largest [`StepRecord::state_change`], the common scale of all heat maps of the
    /// run. Leaves out the first step, which starts from noise, unless it is the only one.
    pub fn max_state_change(&self) -> f32 {
        let changes = self
            .settled_steps()
            .iter()
            .flat_map(|step| &step.state_change);
        changes.copied().fold(1e-6, f32::max)
    }

    /// All steps but the first, or only the first.
    fn settled_steps(&self) -> &[StepRecord] {
        match self.steps.as_slice() {
            [_, rest @ ..] if !rest.is_empty() => rest,
            all => all,
        }
    }
}

/// Returns the probability of each answered token: the softmax of its row of `logits`, `[S, V]`.
pub(crate) fn confidence(logits: &[f32], tokens: &[u32]) -> Vec<f32> {
    let vocab = logits.len() / tokens.len().max(1);
    let probability = |(logits, &token): (&[f32], &u32)| {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = logits.iter().map(|l| (l - max).exp()).sum();
        let own = logits.get(token as usize).map_or(0.0, |l| (l - max).exp());
        if total > 0.0 { own / total } else { 0.0 }
    };
    logits
        .chunks(vocab.max(1))
        .zip(tokens)
        .map(probability)
        .collect()
}

/// Returns the root mean square of the difference of two states, `[L, D]`, for each of the `tokens`
/// positions after the prefix.
pub(crate) fn state_change(
    before: &[f32],
    after: &[f32],
    prefix: usize,
    tokens: usize,
) -> Vec<f32> {
    let width = after.len() / (prefix + tokens).max(1);
    let rows = before
        .chunks(width.max(1))
        .zip(after.chunks(width.max(1)))
        .skip(prefix);
    let distance = |(before, after): (&[f32], &[f32])| {
        let squares: f32 = before
            .iter()
            .zip(after)
            .map(|(b, a)| (a - b) * (a - b))
            .sum();
        (squares / width.max(1) as f32).sqrt()
    };
    rows.take(tokens).map(distance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_the_softmax_of_the_answered_token() {
        let ln = |p: f32| p.ln() + 700.0;
        let logits = [ln(0.1), ln(0.7), ln(0.2), ln(0.25), ln(0.25), ln(0.5)];
        let confidence = confidence(&logits, &[1, 0]);
        assert!(
            (confidence[0] - 0.7).abs() < 1e-3 && (confidence[1] - 0.25).abs() < 1e-3,
            "{confidence:?}"
        );
    }

    #[test]
    fn state_change_leaves_the_prefix_out() {
        let before = [9.0, 9.0, 0.0, 0.0, 1.0, 1.0];
        let after = [0.0, 0.0, 3.0, 4.0, 1.0, 1.0];
        assert_eq!(state_change(&before, &after, 1, 2), [12.5f32.sqrt(), 0.0]);
    }

    #[test]
    fn means_and_maxima_leave_the_first_step_out() {
        let record = |ms| StepRecord {
            step: 1,
            answer: Grid::default(),
            confidence: Vec::new(),
            changed: Vec::new(),
            state_change: vec![ms as f32],
            halt_probability: 0.0,
            head_halts: false,
            policy_halts: false,
            verdict: Verdict::default(),
            duration: Duration::from_millis(ms),
        };
        let mut history = History::default();
        assert_eq!(history.mean_duration(), None);
        history.steps.push(record(90));
        assert_eq!(
            (history.mean_duration(), history.max_state_change()),
            (Some(Duration::from_millis(90)), 90.0)
        );
        history.steps.extend([record(10), record(20)]);
        assert_eq!(
            (history.mean_duration(), history.max_state_change()),
            (Some(Duration::from_millis(15)), 20.0)
        );
        assert!(
            history.step(0).is_none() && history.step(4).is_none() && history.step(3).is_some()
        );
    }
}
