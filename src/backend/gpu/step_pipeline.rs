//! What the host knows of pipelined steps: which are in flight, and which slots take part.

use std::collections::VecDeque;

use super::memory::BoundDispatch;
use super::readback::PendingReadback;
use crate::backend::{HaltParams, SlotStatus};

/// Steps in flight.
#[derive(Debug)]
pub(super) struct StepPipeline {
    /// Lists the live slots on the device, before each step.
    pub(super) gather: BoundDispatch,
    /// The halting parameters that the device has.
    pub(super) halt_params: Option<HaltParams>,
    /// Steps submitted and not collected, the oldest first.
    in_flight: VecDeque<PendingReadback>,
    /// Steps submitted so far.
    submitted: usize,
    /// For each slot that is live as far as the host knows, the index of the first step that it
    /// takes part in.
    first_steps: Vec<Option<usize>>,
}

impl StepPipeline {
    /// Creates a pipeline without steps and without live slots.
    pub(super) fn new(gather: BoundDispatch, slots: usize) -> Self {
        Self {
            gather,
            halt_params: None,
            in_flight: VecDeque::new(),
            submitted: 0,
            first_steps: vec![None; slots],
        }
    }

    /// Makes a slot live from the next step on. Returns whether the slot exists.
    pub(super) fn activate(&mut self, slot: usize) -> bool {
        let submitted = self.submitted;
        let first_step = self.first_steps.get_mut(slot);
        first_step.map(|first| *first = Some(submitted)).is_some()
    }

    /// Makes all slots idle.
    pub(super) fn deactivate_all(&mut self) {
        self.first_steps.fill(None);
    }

    /// Returns how many slots are live, as far as the host knows.
    pub(super) fn live_count(&self) -> usize {
        self.first_steps.iter().flatten().count()
    }

    /// Adds a submitted step.
    pub(super) fn push(&mut self, step: PendingReadback) {
        self.in_flight.push_back(step);
        self.submitted += 1;
    }

    /// Removes the oldest step in flight. Returns its index and its readback.
    pub(super) fn pop(&mut self) -> Option<(usize, PendingReadback)> {
        let index = self.submitted - self.in_flight.len();
        Some((index, self.in_flight.pop_front()?))
    }

    /// Updates the live slots after a step. `statuses` has steps taken and 1 if the slot is live,
    /// for every slot. Returns the statuses of the slots that took part in the step.
    pub(super) fn update(&mut self, step: usize, statuses: &[u32]) -> Vec<SlotStatus> {
        let slots = self.first_steps.iter_mut().enumerate();
        slots
            .zip(statuses.as_chunks().0)
            .filter_map(|((slot, first_step), status)| {
                let &[steps, is_live] = status;
                // A slot that was activated after this step was submitted did not take part. Its
                // status is that of the puzzle before.
                first_step.take_if(|first| *first <= step)?;
                let is_active = is_live == 1;
                *first_step = is_active.then_some(step);
                Some(SlotStatus {
                    slot,
                    steps,
                    is_active,
                })
            })
            .collect()
    }
}
