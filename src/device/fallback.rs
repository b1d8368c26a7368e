//! A stepper that moves to the CPU if its device fails.

use std::sync::Arc;

use super::cache::DeviceCache;
use super::request::{DeviceRequest, LoadedModel};
use crate::backend::{HaltParams, PipelinedProgram, StopSignal};
use crate::error::{Error, ErrorKind, Result};
use crate::import::Model;
use crate::session::{HaltPolicy, Halting, PlanStepper, Stepper};

/// A [`PlanStepper`] that the CPU takes over if its device fails.
#[derive(Debug)]
pub(crate) struct FallbackStepper {
    stepper: PlanStepper,
    loaded: LoadedModel,
    model: Arc<Model>,
    cache: Arc<DeviceCache>,
    request: DeviceRequest,
    /// S of the puzzles.
    tokens: usize,
    stop: StopSignal,
}

impl FallbackStepper {
    /// Creates a stepper with `slots` slots for puzzles of S = `tokens` tokens. Uses the CPU if the
    /// device cannot hold them.
    pub(crate) fn new(
        model: Arc<Model>,
        cache: Arc<DeviceCache>,
        request: DeviceRequest,
        tokens: usize,
        slots: usize,
    ) -> Result<Self> {
        let mut loaded = cache.get(&model, &request, slots)?;
        let make =
            |loaded: &LoadedModel| PlanStepper::new(model.clone(), &*loaded.weights, tokens, slots);
        let stepper = match make(&loaded) {
            Err(e) if e.kind() == ErrorKind::Device && loaded.is_replaceable() => {
                loaded = cache.replace(&loaded, &e, &model, &request)?;
                make(&loaded)?
            }
            made => made?,
        };
        Ok(Self {
            stepper,
            loaded,
            model,
            cache,
            request,
            tokens,
            stop: StopSignal::default(),
        })
    }
}

impl Stepper for FallbackStepper {
    fn slots(&self) -> usize {
        self.stepper.slots()
    }

    fn load(&mut self, slot: usize, tokens: &[u32], puzzle_id: u32) -> Result<()> {
        self.stepper.load(slot, tokens, puzzle_id)
    }

    fn perturb(&mut self, slot: usize, seed: u64) -> Result<()> {
        self.stepper.perturb(slot, seed)
    }

    fn step(&mut self, live: &[usize]) -> Result<()> {
        self.stepper.step(live)
    }

    fn set_stop(&mut self, stop: StopSignal) {
        self.stop = stop.clone();
        self.stepper.set_stop(stop);
    }

    fn halting(&self, slot: usize) -> Result<Halting> {
        self.stepper.halting(slot)
    }

    fn answer(&self, slot: usize) -> Result<Vec<u32>> {
        self.stepper.answer(slot)
    }

    fn pipelined(
        &mut self,
        policy: &HaltPolicy,
    ) -> Option<(&mut dyn PipelinedProgram, HaltParams)> {
        self.stepper.pipelined(policy)
    }

    fn device(&self) -> &'static str {
        self.loaded.device
    }

    fn recover(&mut self, error: &Error) -> Result<bool> {
        let recovers = error.kind() == ErrorKind::Device && self.loaded.is_replaceable();
        if !recovers || self.stepper.check_process().is_err() {
            return Ok(false);
        }
        self.loaded = self
            .cache
            .replace(&self.loaded, error, &self.model, &self.request)?;
        let (model, slots) = (self.model.clone(), self.stepper.slots());
        self.stepper = PlanStepper::new(model, &*self.loaded.weights, self.tokens, slots)?;
        self.stepper.set_stop(self.stop.clone());
        Ok(true)
    }
}
