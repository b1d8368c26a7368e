//! When a puzzle halts, as data.

use std::str::FromStr;

use super::halting::Halting;
use crate::backend::Rule;
use crate::error::{Error, Result};

/// Who decides that a puzzle halts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltRule {
    /// The halting head.
    Head,
    /// The halting head, but only if the answer keeps the puzzle's rules; where rules alone cannot tell, the head.
    Verified,
    /// Nobody: always all steps, as in the published evaluation.
    Never,
}

impl HaltRule {
    /// Its name: `head`, `verified`, `never`.
    pub fn name(self) -> &'static str {
        match self {
            HaltRule::Head => "head",
            HaltRule::Verified => "verified",
            HaltRule::Never => "never",
        }
    }
}

impl FromStr for HaltRule {
    type Err = Error;

    fn from_str(name: &str) -> Result<HaltRule> {
        [HaltRule::Head, HaltRule::Verified, HaltRule::Never]
            .into_iter()
            .find(|rule| rule.name() == name)
            .ok_or_else(|| Error::argument(format!("no halting rule {name:?}: head, verified or never")))
    }
}

/// When a puzzle halts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HaltPolicy {
    /// Who decides.
    pub rule: HaltRule,
    /// The head says "halt" above this probability. The published rule is 0.5.
    pub threshold: f32,
    /// No puzzle halts before this many steps.
    pub min_steps: usize,
    /// Every puzzle ends after this many; more than the model was trained for is allowed, and often helps.
    pub max_steps: usize,
}

impl HaltPolicy {
    /// The rule with the published threshold, at most `max_steps`.
    pub fn new(rule: HaltRule, max_steps: usize) -> HaltPolicy {
        HaltPolicy {
            rule,
            threshold: 0.5,
            min_steps: 1,
            max_steps,
        }
    }

    /// The policy, if its numbers make sense.
    pub(crate) fn checked(self) -> Result<HaltPolicy> {
        if !(0.0..=1.0).contains(&self.threshold) {
            return Err(Error::argument(format!(
                "halt threshold {}: give a probability",
                self.threshold
            )));
        }
        if self.max_steps == 0 {
            return Err(Error::argument("max steps 0: a puzzle takes at least one step"));
        }
        if self.min_steps > self.max_steps {
            let HaltPolicy {
                min_steps, max_steps, ..
            } = self;
            return Err(Error::argument(format!(
                "min steps {min_steps} above max steps {max_steps}"
            )));
        }
        Ok(self)
    }

    /// Whether the head says halt after this many steps. Under [`HaltRule::Verified`] the answer must keep the rules besides.
    pub fn head_says_halt(&self, halting: &Halting, step: usize) -> bool {
        self.rule != HaltRule::Never && step >= self.min_steps && halting.logit > self.threshold_logit()
    }

    /// The threshold in logits, so that a probability next to one half is not rounded to it.
    fn threshold_logit(&self) -> f32 {
        (self.threshold / (1.0 - self.threshold)).ln()
    }

    /// What a device can follow by itself; whether answers keep their puzzles' rules is for the host to say.
    pub(crate) fn rule(&self, minus_continue: bool) -> Rule {
        let steps = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Rule {
            threshold: self.threshold_logit(),
            minus_continue,
            min_steps: match self.rule {
                HaltRule::Never => u32::MAX,
                HaltRule::Head | HaltRule::Verified => steps(self.min_steps),
            },
            max_steps: steps(self.max_steps),
        }
    }
}
