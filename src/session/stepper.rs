//! The traits of a stepper, which computes refinement steps.

use std::fmt;

use super::halting::Halting;
use super::policy::HaltPolicy;
use crate::backend::{HaltParams, PipelinedProgram, StopSignal};
use crate::config::State;
use crate::error::{Error, Hint, Result};
use crate::model::plan::NO_TOKEN;
use crate::random::Random;

/// Refines the answers of a batch of puzzles, one step at a time.
///
/// Every method is required: a stepper that wraps another one must forward each of them.
/// [`PlanStepper`](super::PlanStepper) runs this library's own models.
pub trait Stepper: fmt::Debug + Send {
    /// Returns the number of slots, which is the largest batch.
    fn slots(&self) -> usize;

    /// Puts a puzzle of S `tokens` into a slot, in its initial state.
    ///
    /// # Errors
    /// The puzzle does not fit the model, or the device failed.
    fn load(&mut self, slot: usize, tokens: &[u32], puzzle_id: u32) -> Result<()>;

    /// Adds noise to the initial state of the puzzle that was just loaded. The same seed gives the
    /// same noise.
    ///
    /// # Errors
    /// The stepper cannot write its states.
    fn perturb(&mut self, slot: usize, seed: u64) -> Result<()>;

    /// Refines the puzzles in the slots `live` (ascending) by one step. The result of a puzzle
    /// depends on no other puzzle.
    ///
    /// # Errors
    /// The device failed. [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) if the signal of
    /// [`Stepper::set_stop`] ended the step: the puzzles must then be loaded again.
    fn step(&mut self, live: &[usize]) -> Result<()>;

    /// Sets the signal that ends a running step early, if the stepper can do so.
    fn set_stop(&mut self, stop: StopSignal);

    /// Returns the halting head's prediction for a slot after its last step.
    ///
    /// # Errors
    /// The device failed.
    fn halting(&self, slot: usize) -> Result<Halting>;

    /// Returns the most probable token of every cell of a slot after its last step, `[S]`.
    /// [`NO_TOKEN`](crate::low_level::plan::NO_TOKEN) for a cell with a logit that is not finite.
    ///
    /// # Errors
    /// The device failed.
    fn answer(&self, slot: usize) -> Result<Vec<u32>>;

    /// Checks that the outputs of both heads for a slot are finite after its last step.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) if the numbers of the model
    /// overflow.
    fn check_finite(&self, slot: usize) -> Result<()> {
        check_finite(&self.halting(slot)?, &self.answer(slot)?)
    }

    /// Returns the stepper as a pipelined program, and `policy` in the form that this program
    /// takes. `None` if the host must read the outputs after every step.
    fn pipelined(&mut self, policy: &HaltPolicy)
    -> Option<(&mut dyn PipelinedProgram, HaltParams)>;

    /// Returns the name of the device for answers, such as `cpu`. Empty if unknown.
    fn device(&self) -> &'static str;

    /// Moves to another device after one of the calls above has failed. Every puzzle must then be
    /// loaded again. Returns `false` if no other device is available: the caller then reports
    /// `error`.
    ///
    /// # Errors
    /// The other device failed too.
    fn recover(&mut self, error: &Error) -> Result<bool>;
}

/// A stepper whose states and logits can be read.
pub trait Inspect: Stepper {
    /// Returns a carried state of a slot, `[L, D]`.
    ///
    /// # Errors
    /// The model has no such state, or it cannot be read.
    fn state(&self, slot: usize, state: State) -> Result<Vec<f32>>;

    /// Replaces a carried state of a slot, `[L, D]`.
    ///
    /// # Errors
    /// The model has no such state, `values` has another length, or the state cannot be written.
    fn set_state(&mut self, slot: usize, state: State, values: &[f32]) -> Result<()>;

    /// Returns the scaled input x of a slot, `[L, D]`.
    ///
    /// # Errors
    /// The model does not expose it (an ONNX graph), or it cannot be read.
    fn input_embedding(&self, slot: usize) -> Result<Vec<f32>>;

    /// Returns the answer logits of a slot after its last step, `[S, V]`.
    ///
    /// # Errors
    /// They cannot be read.
    fn logits(&self, slot: usize) -> Result<Vec<f32>>;
}

/// Checks that the outputs of both heads are finite: both halting logits, and the logits behind
/// `tokens`.
///
/// # Errors
/// [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) if the numbers of the model overflow.
pub(super) fn check_finite(halting: &Halting, tokens: &[u32]) -> Result<()> {
    let q = [halting.q_halt, halting.q_continue];
    let output = if let Some(q) = q.iter().find(|q| !q.is_finite()) {
        format!("the halting logit is {q}")
    } else if let Some(cell) = tokens.iter().position(|token| *token == NO_TOKEN) {
        format!("the logits of cell {cell} are not finite")
    } else {
        return Ok(());
    };
    let message = format!(
        "the numbers of the model overflow, so there is no answer: {output}. The weights are \
         damaged, or were converted to a type that cannot hold them"
    );
    Err(Error::checkpoint(message).with_hint(Hint::RepairWeights))
}

/// Standard deviation of the noise on an initial state. States after a step have a root mean square
/// of 1.
const NOISE: f32 = 0.5;

/// Adds noise to `states` of a slot.
pub(super) fn perturb(
    stepper: &mut dyn Inspect,
    states: &[State],
    slot: usize,
    seed: u64,
) -> Result<()> {
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
