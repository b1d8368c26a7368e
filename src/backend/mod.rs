//! Who runs a plan.
//!
//! A [`Backend`] takes the weights once ([`Backend::load`]); what it makes of them runs any plan of the model for any
//! number of slots ([`Loaded::program`]). [`mod@reference`] is the oracle, [`cpu`] the fast one; `gpu` runs on graphics
//! cards; [`lockstep`] compares two.

pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
mod host;
pub mod info;
pub mod lockstep;
#[cfg_attr(
    not(feature = "gpu"),
    allow(dead_code, reason = "only what chooses and tunes a GPU measures")
)]
pub(crate) mod measurements;
pub mod reference;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::model::plan::{Buffer, Plan};
use crate::model::weights::Weights;

/// A way to run plans on some device.
pub trait Backend: Debug + Send + Sync {
    /// What `--device` calls it: `cpu`, `reference`, `gpu`.
    fn name(&self) -> &'static str;

    /// Prepares the weights for the device, once, and keeps nothing else of them.
    fn load(&self, weights: Weights) -> Result<Arc<dyn Loaded>>;
}

/// A model's weights on a device.
pub trait Loaded: Debug + Send + Sync {
    /// Room for `slots` puzzles, and what it takes to run `plan` on them.
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>>;
}

/// A plan over the memory of a batch.
pub trait Program: Debug + Send {
    /// The plan that it runs.
    fn plan(&self) -> &Plan;

    /// Runs these calls of the plan for the slots in `live` (rising), no others. What one slot gets depends on no other slot, nor
    /// on how many there are, bit for bit.
    fn run(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()>;

    /// Writes a slot's share of a buffer of `f32`.
    fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()>;

    /// Reads a slot's share of a buffer of `f32`.
    fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()>;

    /// Writes a slot's share of a buffer of whole numbers.
    fn write_integers(&mut self, buffer: Buffer, slot: usize, values: &[u32]) -> Result<()>;

    /// Reads a slot's share of a buffer of whole numbers.
    fn read_integers(&self, buffer: Buffer, slot: usize, values: &mut [u32]) -> Result<()>;

    /// The program as one that keeps the list of live slots by itself, if it can.
    fn ahead(&mut self) -> Option<&mut dyn Ahead> {
        None
    }
}

/// A program that ends slots by a [`Rule`] of its own, so that steps can be started before it is known who ended in those
/// before.
pub trait Ahead {
    /// A slot takes part in all steps that are started from now on, until it ends; it has taken `steps` so far.
    fn resume(&mut self, slot: usize, steps: u32) -> Result<()>;

    /// No slot takes part any more, until it is resumed.
    fn stop(&mut self) -> Result<()>;

    /// Starts a step of all slots that take part, and does not wait for it.
    fn start(&mut self, rule: &Rule) -> Result<()>;

    /// Waits for the oldest step that was started and not finished; how the slots stood after it that took part. Until the next
    /// call that changes something, [`Program::read`] and [`Program::read_integers`] give the halting logits and answers of that
    /// moment.
    fn finish(&mut self) -> Result<Vec<Record>>;
}

/// When a slot ends by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Once the logit of the halting probability is above this,
    pub threshold: f32,
    /// (which is halt - continue, or halt alone)
    pub minus_continue: bool,
    /// but not before this step,
    pub min_steps: u32,
    /// and with this one in any case.
    pub max_steps: u32,
}

/// How a slot stood after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub slot: usize,
    /// Steps that it has taken.
    pub steps: u32,
    /// Whether it takes part in the next one.
    pub goes_on: bool,
}

/// A puzzle as it starts: tokens, the padded row of the puzzle embedding, and the state before the first step.
#[derive(Debug, Clone)]
pub struct Case {
    /// `[S]`.
    pub tokens: Vec<u32>,
    /// `[P, D]`.
    pub prefix: Vec<f32>,
    /// The carried states, `[L, D]` each.
    pub states: Vec<(Buffer, Vec<f32>)>,
}

impl Case {
    /// Puts the puzzle into a place of a program.
    ///
    /// # Errors
    /// A length is not that of the plan.
    pub fn write(&self, program: &mut dyn Program, slot: usize) -> Result<()> {
        program.write_integers(Buffer::Tokens, slot, &self.tokens)?;
        program.write(Buffer::Prefix, slot, &self.prefix)?;
        self.states
            .iter()
            .try_for_each(|(state, values)| program.write(*state, slot, values))
    }
}
