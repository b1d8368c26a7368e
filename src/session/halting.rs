//! The prediction of the halting head.

use crate::config::HaltingLogit;

/// The halting head's prediction after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Halting {
    /// Logit for halting.
    pub q_halt: f32,
    /// Logit for another step.
    pub q_continue: f32,
    /// Logit of the halting probability: `q_halt` for a model that was trained without the continue
    /// loss (`no_ACT_continue`), `q_halt - q_continue` for the others.
    pub logit: f32,
}

impl Halting {
    pub(crate) fn new([q_halt, q_continue]: [f32; 2], logit: HaltingLogit) -> Self {
        Self {
            q_halt,
            q_continue,
            logit: match logit {
                HaltingLogit::Halt => q_halt,
                HaltingLogit::HaltMinusContinue => q_halt - q_continue,
            },
        }
    }

    /// Returns the halting probability, `sigmoid(logit)`.
    pub fn probability(&self) -> f32 {
        1.0 / (1.0 + (-self.logit).exp())
    }
}
