//! A stepper that outlives its device.

use std::sync::Arc;

use super::placement::Place;
use super::request::{Loads, Wish};
use crate::backend::{Ahead, Rule};
use crate::error::{Error, ErrorKind, Result};
use crate::import::Model;
use crate::session::{HaltPolicy, Halting, NativeStepper, Stepper};

/// A [`NativeStepper`] that the CPU takes over when its device fails.
#[derive(Debug)]
pub(crate) struct FallbackStepper {
    stepper: NativeStepper,
    on: Loads,
    model: Arc<Model>,
    place: Arc<Place>,
    wish: Wish,
    tokens: usize,
}

impl FallbackStepper {
    /// Room for `slots` puzzles of S = `tokens` tokens, on the CPU if the device cannot hold or run them.
    pub(crate) fn new(
        model: Arc<Model>,
        place: Arc<Place>,
        wish: Wish,
        tokens: usize,
        slots: usize,
    ) -> Result<FallbackStepper> {
        let mut on = place.loads(&model, &wish, slots)?;
        let make = |on: &Loads| NativeStepper::new(model.clone(), &*on.loaded, tokens, slots);
        let stepper = match make(&on) {
            Err(e) if e.kind() == ErrorKind::Device && on.is_replaceable() => {
                on = place.replace(&on, &e, &model, &wish)?;
                make(&on)?
            }
            made => made?,
        };
        Ok(FallbackStepper {
            stepper,
            on,
            model,
            place,
            wish,
            tokens,
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

    fn halting(&self, slot: usize) -> Result<Halting> {
        self.stepper.halting(slot)
    }

    fn answer(&self, slot: usize) -> Result<Vec<u32>> {
        self.stepper.answer(slot)
    }

    fn ahead(&mut self, policy: &HaltPolicy) -> Option<(&mut dyn Ahead, Rule)> {
        self.stepper.ahead(policy)
    }

    fn device(&self) -> &'static str {
        self.on.name
    }

    fn recover(&mut self, error: &Error) -> Result<bool> {
        if error.kind() != ErrorKind::Device || !self.on.is_replaceable() {
            return Ok(false);
        }
        self.on = self.place.replace(&self.on, error, &self.model, &self.wish)?;
        let slots = self.stepper.slots();
        self.stepper = NativeStepper::new(self.model.clone(), &*self.on.loaded, self.tokens, slots)?;
        Ok(true)
    }
}
