//! Steps that are started before the host knows what came out of those before.
//!
//! The device keeps a record of every slot: steps taken, and whether it goes on. `gather` turns the records into the list of
//! live slots and the size of every dispatch, `halt` ends a slot by the rule. The host sees records, halting logits and answers
//! as they were after each step, in the order in which steps were started, some steps late.

use std::collections::VecDeque;

use super::memory::Bound;
use super::program::GpuProgram;
use super::readback::{Pending, Piece};
use crate::backend::{HaltParams, PipelinedProgram, SlotStatus};
use crate::error::{Error, Result};

/// Steps on their way.
#[derive(Debug)]
pub(super) struct Flight {
    gather: Bound,
    /// The rule that the device has.
    rule: Option<HaltParams>,
    /// Started and not finished, the oldest first.
    pending: VecDeque<Pending>,
    /// Steps that were ever started.
    started: usize,
    /// For each slot that goes on, as far as the host knows, the number of the first step that it takes part in.
    going: Vec<Option<usize>>,
}

impl Flight {
    /// No slot goes on.
    pub(super) fn new(gather: Bound, slots: usize) -> Flight {
        Flight {
            gather,
            rule: None,
            pending: VecDeque::new(),
            started: 0,
            going: vec![None; slots],
        }
    }
}

impl GpuProgram {
    async fn submit_step_async(&mut self, rule: &HaltParams) -> Result<()> {
        let context = &self.uploaded.context;
        context.check()?;
        if self.ahead.rule != Some(*rule) {
            let words = [
                // Shaders need not know infinity.
                rule.threshold.clamp(f32::MIN, f32::MAX).to_bits(),
                rule.minus_continue.into(),
                rule.min_steps,
                rule.max_steps,
            ];
            context
                .queue
                .write_buffer(&self.memory.rule, 0, bytemuck::cast_slice(&words));
            self.ahead.rule = Some(*rule);
        }
        // The device makes its own list.
        self.live = None;
        let going = self.ahead.going.iter().flatten().count();
        let encoder = self.encode(
            self.plan.step(),
            going as u32,
            None,
            Some(&self.ahead.gather),
        );
        let mut pieces = self.result_pieces();
        pieces.push(Piece {
            buffer: &self.memory.records,
            offset: 0,
            size: self.slots as u64 * 8,
        });
        let pending = self.readback.start(context, encoder, &pieces).await?;
        self.ahead.pending.push_back(pending);
        self.ahead.started += 1;
        Ok(())
    }

    async fn collect_step_async(&mut self) -> Result<Vec<SlotStatus>> {
        let number = self.ahead.started - self.ahead.pending.len();
        let Some(pending) = self.ahead.pending.pop_front() else {
            return Err(Error::argument("no step was started"));
        };
        let words = &mut self.results;
        self.readback
            .finish(&self.uploaded.context, pending, words)
            .await?;
        let records = &words[words.len().saturating_sub(2 * self.slots)..];
        let going = self.ahead.going.iter_mut().enumerate();
        let took_part = going
            .zip(records.as_chunks().0)
            .filter_map(|((slot, going), record)| {
                let &[steps, is_active] = record;
                // A record is older than the slot's resumption where the step is.
                going.take_if(|since| *since <= number)?;
                let is_active = is_active == 1;
                *going = is_active.then_some(number);
                Some(SlotStatus {
                    slot,
                    steps,
                    is_active,
                })
            });
        Ok(took_part.collect())
    }
}

impl PipelinedProgram for GpuProgram {
    fn activate(&mut self, slot: usize, steps: u32) -> Result<()> {
        let context = &self.uploaded.context;
        context.check()?;
        let Some(going) = self.ahead.going.get_mut(slot) else {
            return Err(Error::argument(format!(
                "no slot {slot}: there are {}",
                self.slots
            )));
        };
        *going = Some(self.ahead.started);
        let record = [steps, 1u32];
        context.queue.write_buffer(
            &self.memory.records,
            slot as u64 * 8,
            bytemuck::cast_slice(&record),
        );
        context.check()
    }

    fn deactivate_all(&mut self) -> Result<()> {
        let context = &self.uploaded.context;
        context.check()?;
        self.ahead.going.fill(None);
        let ended = vec![0u32; self.slots * 2];
        context
            .queue
            .write_buffer(&self.memory.records, 0, bytemuck::cast_slice(&ended));
        context.check()
    }

    fn submit_step(&mut self, params: &HaltParams) -> Result<()> {
        pollster::block_on(self.submit_step_async(params))
    }

    fn collect_step(&mut self) -> Result<Vec<SlotStatus>> {
        pollster::block_on(self.collect_step_async())
    }
}
