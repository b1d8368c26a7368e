//! Backends: what runs a plan.
//!
//! A [`Backend`] takes the weights once ([`Backend::load`]). The result runs any plan of the model
//! for any number of slots ([`DeviceWeights::program`]). [`mod@reference`] is the scalar oracle for
//! tests, [`cpu`] the fast CPU backend, `gpu` the GPU backend. [`lockstep`] compares two backends
//! call by call.

pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
mod host;
pub mod info;
pub mod lockstep;
#[cfg_attr(
    not(feature = "gpu"),
    allow(dead_code, reason = "only the choice and the tuning of a GPU measure")
)]
pub(crate) mod measurements;
pub mod reference;
mod stop;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::model::plan::{Buffer, Plan};
use crate::model::weights::Weights;
pub use stop::StopSignal;

/// Runs plans on one kind of device.
pub trait Backend: Debug + Send + Sync {
    /// Name of the device: `cpu`, `reference` or `gpu`.
    fn name(&self) -> &'static str;

    /// Copies the weights to the device, in the form that its kernels read.
    ///
    /// # Errors
    /// The device failed, or cannot hold the weights.
    fn load(&self, weights: Weights) -> Result<Arc<dyn DeviceWeights>>;

    /// Returns the tolerance for [`lockstep::compare`] with the reference, which computes in f32
    /// with the same rounded weights. [`lockstep::F32_TOLERANCE`] is right for every backend that
    /// does not round activations.
    fn tolerance(&self) -> f32;
}

/// The weights of a model on a device.
pub trait DeviceWeights: Debug + Send + Sync {
    /// Creates a program that runs `plan` for up to `slots` puzzles.
    ///
    /// # Errors
    /// The device failed, or cannot hold the buffers.
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>>;
}

/// A plan with the memory of a batch.
pub trait Program: Debug + Send {
    /// Returns the plan that the program runs.
    fn plan(&self) -> &Plan;

    /// Runs these calls of the plan for the slots in `live` (ascending). The result of a slot
    /// depends on no other slot and not on the number of slots, bit for bit.
    ///
    /// # Errors
    /// The device failed. [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) if the signal of
    /// [`Program::set_stop`] ended the run: the buffers then hold parts of a step.
    fn run(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()>;

    /// Sets the signal that ends a run early. Default: none. A program that cannot end early
    /// ignores it.
    fn set_stop(&mut self, stop: StopSignal) {
        let _ = stop;
    }

    /// Writes one slot of a buffer of `f32`.
    ///
    /// # Errors
    /// The buffer has another type or length, or the device failed.
    fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()>;

    /// Reads one slot of a buffer of `f32`.
    ///
    /// # Errors
    /// As [`Program::write`].
    fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()>;

    /// Writes one slot of a buffer of integers.
    ///
    /// # Errors
    /// As [`Program::write`].
    fn write_integers(&mut self, buffer: Buffer, slot: usize, values: &[u32]) -> Result<()>;

    /// Reads one slot of a buffer of integers.
    ///
    /// # Errors
    /// As [`Program::write`].
    fn read_integers(&self, buffer: Buffer, slot: usize, values: &mut [u32]) -> Result<()>;

    /// Returns the program as a pipelined one, if the device can apply the halting policy itself.
    fn pipelined(&mut self) -> Option<&mut dyn PipelinedProgram> {
        None
    }
}

/// A program that ends slots by itself, as [`HaltParams`] say. So the host can submit steps before
/// it knows which slots ended in the steps before.
pub trait PipelinedProgram {
    /// Lets a slot take part in all steps that are submitted from now on, until it ends. `steps` is
    /// the number of steps that it has taken so far.
    ///
    /// # Errors
    /// The device failed.
    fn activate(&mut self, slot: usize, steps: u32) -> Result<()>;

    /// Lets no slot take part any more, until it is activated again.
    ///
    /// # Errors
    /// The device failed.
    fn deactivate_all(&mut self) -> Result<()>;

    /// Submits one step of all slots that take part, without waiting for it.
    ///
    /// # Errors
    /// The device failed.
    fn submit_step(&mut self, params: &HaltParams) -> Result<()>;

    /// Waits for the oldest submitted step that was not collected, and returns the status of the
    /// slots that took part in it. Until the next call that changes something, [`Program::read`]
    /// and [`Program::read_integers`] return the halting logits and answers after that step.
    ///
    /// # Errors
    /// The device failed.
    fn collect_step(&mut self) -> Result<Vec<SlotStatus>>;
}

/// The halting policy in the form that a device applies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HaltParams {
    /// A slot ends when its halting logit is above this value.
    pub threshold: f32,
    /// Whether the halting logit is `q_halt - q_continue`. `false`: it is `q_halt`.
    pub minus_continue: bool,
    /// No slot ends before this step.
    pub min_steps: u32,
    /// Every slot ends after this step.
    pub max_steps: u32,
}

/// The status of a slot after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotStatus {
    /// Index of the slot.
    pub slot: usize,
    /// Steps that it has taken.
    pub steps: u32,
    /// Whether it takes part in the next step.
    pub is_active: bool,
}

/// The input of one slot: tokens, the padded row of the puzzle embedding, and the initial states.
#[derive(Debug, Clone)]
pub struct SlotInput {
    /// `[S]`.
    pub tokens: Vec<u32>,
    /// `[P, D]`.
    pub prefix: Vec<f32>,
    /// The carried states before the first step, `[L, D]` each.
    pub states: Vec<(Buffer, Vec<f32>)>,
}

impl SlotInput {
    /// Writes the input into a slot of a program.
    ///
    /// # Errors
    /// A length differs from that of the plan, or the device failed.
    pub fn write(&self, program: &mut dyn Program, slot: usize) -> Result<()> {
        program.write_integers(Buffer::Tokens, slot, &self.tokens)?;
        program.write(Buffer::Prefix, slot, &self.prefix)?;
        self.states
            .iter()
            .try_for_each(|(state, values)| program.write(*state, slot, values))
    }
}
