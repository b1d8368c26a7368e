//! What can take a refinement step.

use std::fmt;

use crate::backend::{Ahead, Rule};
use crate::config::State;
use crate::error::{Error, Result};
use crate::policy::HaltPolicy;
use crate::random::Random;

/// Something that refines the answers of a batch of puzzles by one step at a time.
///
/// [`NativeStepper`](crate::NativeStepper) is the one of this library's own models.
pub trait Stepper: fmt::Debug + Send {
    /// Puzzles that fit at the same time.
    fn slots(&self) -> usize;

    /// Puts a puzzle in a place, in its initial state.
    fn load(&mut self, slot: usize, tokens: &[u32], puzzle_id: u32) -> Result<()>;

    /// Adds noise to the initial state of the puzzle that was just put in a place, the same for the same seed.
    ///
    /// # Errors
    /// Its states cannot be written.
    fn disturb(&mut self, slot: usize, seed: u64) -> Result<()> {
        let _ = (slot, seed);
        Err(Error::argument("this model's initial states cannot be disturbed"))
    }

    /// Refines the puzzles in these places (rising) by one step. What a puzzle gets depends on no other.
    fn step(&mut self, live: &[usize]) -> Result<()>;

    /// What the halting head says of the puzzle in a place after its last step.
    fn halting(&self, slot: usize) -> Result<Halting>;

    /// The likeliest token of every cell of the puzzle in a place after its last step, `[S]`.
    fn answer(&self, slot: usize) -> Result<Vec<u32>>;

    /// The stepper as one that takes steps ahead of what is known of their results, and the policy in its words; `None` if it has to
    /// be asked after each.
    fn ahead(&mut self, policy: &HaltPolicy) -> Option<(&mut dyn Ahead, Rule)> {
        let _ = policy;
        None
    }

    /// A carried state of the puzzle in a place, `[L, D]`.
    ///
    /// # Errors
    /// There is no such state, or it cannot be read.
    fn state(&self, slot: usize, state: State) -> Result<Vec<f32>> {
        let _ = slot;
        Err(no_access(&state.name()))
    }

    /// Replaces a carried state of the puzzle in a place, `[L, D]`.
    ///
    /// # Errors
    /// There is no such state, it has another size, or it cannot be written.
    fn set_state(&mut self, slot: usize, state: State, values: &[f32]) -> Result<()> {
        let _ = (slot, values);
        Err(no_access(&state.name()))
    }

    /// The scaled input x of the puzzle in a place, `[L, D]`.
    ///
    /// # Errors
    /// It is not to be had, as in an ONNX graph, or cannot be read.
    fn input_embedding(&self, slot: usize) -> Result<Vec<f32>> {
        let _ = slot;
        Err(no_access("input embedding"))
    }

    /// The answer logits of the puzzle in a place after its last step, `[S, V]`.
    ///
    /// # Errors
    /// They are not to be had, or cannot be read.
    fn logits(&self, slot: usize) -> Result<Vec<f32>> {
        let _ = slot;
        Err(no_access("logits"))
    }

    /// What it runs on, as answers name it; empty if it does not tell.
    fn device(&self) -> &'static str {
        ""
    }

    /// After any of the calls above has failed: goes over to another device, where all puzzles must be loaded again. `false` if
    /// there is none, so that the error stands.
    fn recover(&mut self, error: &Error) -> Result<bool> {
        let _ = error;
        Ok(false)
    }
}

fn no_access(what: &str) -> Error {
    Error::argument(format!("the model gives no access to its {what}"))
}

/// Standard deviation of what disturbs an initial state. States after a step have a root mean square of 1.
const NOISE: f32 = 0.5;

/// Adds noise to these states of the puzzle in a place.
pub(crate) fn disturb(stepper: &mut dyn Stepper, states: &[State], slot: usize, seed: u64) -> Result<()> {
    let mut random = Random::new(seed);
    for &state in states {
        let mut values = stepper.state(slot, state)?;
        values
            .iter_mut()
            .for_each(|value| *value += NOISE * random.normal());
        stepper.set_state(slot, state, &values)?;
    }
    Ok(())
}

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
