//! What the halting head predicts.

/// What the halting head says after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halting {
    /// The logit to halt.
    pub q_halt: f32,
    /// The logit to go on.
    pub q_continue: f32,
    /// The logit of the halting probability: `q_halt` for a model trained without the continue loss (`no_ACT_continue`),
    /// `q_halt - q_continue` for others.
    pub logit: f32,
}

impl Halting {
    /// From both logits, `[2]`, of a model whose halting probability does (`no_act_continue`) or does not follow from the first alone.
    pub(crate) fn new([q_halt, q_continue]: [f32; 2], no_act_continue: bool) -> Halting {
        Halting {
            q_halt,
            q_continue,
            logit: if no_act_continue {
                q_halt
            } else {
                q_halt - q_continue
            },
        }
    }

    /// The halting probability, `sigmoid(logit)`.
    pub fn probability(&self) -> f32 {
        1.0 / (1.0 + (-self.logit).exp())
    }
}
