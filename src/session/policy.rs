//! The halting policy, which defines when a puzzle halts.

use std::fmt;
use std::str::FromStr;

use super::halting::Halting;
use crate::backend::HaltParams;
use crate::config::HaltingLogit;
use crate::error::{Error, Result};

/// Which condition halts a puzzle before its last step.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltRule {
    /// The halting head.
    Head,
    /// The halting head, if the answer is also valid. Equals [`HaltRule::Head`] for a task that
    /// does not verify answers by rules.
    Verified,
    /// No condition: every puzzle takes all steps, as in the published evaluation.
    Never,
}

impl HaltRule {
    /// All rules.
    pub const ALL: [Self; 3] = [Self::Head, Self::Verified, Self::Never];

    /// Returns the name: `head`, `verified` or `never`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Verified => "verified",
            Self::Never => "never",
        }
    }
}

impl FromStr for HaltRule {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|rule| rule.name() == name);
        found.ok_or_else(|| {
            Error::argument(format!(
                "unknown halting rule {name:?}: use head, verified or never"
            ))
        })
    }
}

impl fmt::Display for HaltRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When a puzzle halts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct HaltPolicy {
    /// The condition.
    pub rule: HaltRule,
    /// The halting probability above which the head halts a puzzle, from 0 to 1. The published rule
    /// is 0.5.
    pub threshold: f32,
    /// No puzzle halts before this many steps.
    pub min_steps: usize,
    /// Every puzzle ends after this many steps. More steps than in training are allowed, and often
    /// help.
    pub max_steps: usize,
}

impl HaltPolicy {
    /// Returns a policy with the published threshold of 0.5 and at least one step.
    pub fn new(rule: HaltRule, max_steps: usize) -> Self {
        Self {
            rule,
            threshold: 0.5,
            min_steps: 1,
            max_steps,
        }
    }

    /// Returns the policy if its numbers are in range.
    pub(crate) fn checked(self) -> Result<Self> {
        let Self {
            threshold,
            min_steps,
            max_steps,
            ..
        } = self;
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::argument(format!(
                "halt threshold {threshold}: a probability is from 0 to 1"
            )));
        }
        if max_steps == 0 {
            return Err(Error::argument(
                "max steps 0: a puzzle takes at least one step",
            ));
        }
        if min_steps > max_steps {
            return Err(Error::argument(format!(
                "min steps {min_steps} above max steps {max_steps}"
            )));
        }
        Ok(self)
    }

    /// Returns whether the head halts a puzzle after `step` steps. Under [`HaltRule::Verified`] the
    /// answer must also be valid.
    pub fn should_halt(&self, halting: &Halting, step: usize) -> bool {
        self.rule != HaltRule::Never
            && step >= self.min_steps
            && halting.logit > self.threshold_logit()
    }

    /// Returns the threshold as a logit, so that a probability close to 0.5 is not rounded to 0.5.
    fn threshold_logit(&self) -> f32 {
        (self.threshold / (1.0 - self.threshold)).ln()
    }

    /// Returns the part of the policy that a device applies. Only the host can verify an answer.
    pub(crate) fn device_params(&self, logit: HaltingLogit) -> HaltParams {
        let steps = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        HaltParams {
            threshold: self.threshold_logit(),
            minus_continue: logit == HaltingLogit::HaltMinusContinue,
            min_steps: match self.rule {
                HaltRule::Never => u32::MAX,
                HaltRule::Head | HaltRule::Verified => steps(self.min_steps),
            },
            max_steps: steps(self.max_steps),
        }
    }
}
