//! Pipelined steps: the host submits steps before it has read the results of earlier ones.
//!
//! The device keeps a status of every slot: steps taken, and whether it is live. `gather` turns the
//! statuses into the list of live slots and the size of every dispatch; `halt` ends a slot by the
//! halting parameters. The host reads statuses, halting logits and answers as they were after each
//! step, in the order of submission, some steps late.

use super::memory::SlotCount;
use super::program::GpuProgram;
use super::readback::BufferRange;
use crate::backend::{HaltParams, PipelinedProgram, SlotStatus};
use crate::error::{Error, Result};

impl GpuProgram {
    async fn submit_step_async(&mut self, rule: &HaltParams) -> Result<()> {
        let context = &self.weights.context;
        context.check()?;
        if self.pipeline.halt_params != Some(*rule) {
            let words = [
                // WGSL does not guarantee infinities.
                rule.threshold.clamp(f32::MIN, f32::MAX).to_bits(),
                rule.minus_continue.into(),
                rule.min_steps,
                rule.max_steps,
            ];
            let params = &self.memory.halt_params;
            context
                .queue
                .write_buffer(params, 0, bytemuck::cast_slice(&words));
            self.pipeline.halt_params = Some(*rule);
        }
        // `gather` overwrites the list.
        self.device_live = None;
        #[allow(
            clippy::cast_possible_truncation,
            reason = "`bind` checks the number of slots"
        )]
        let max_slots = self.pipeline.live_count() as u32;
        let gather = Some(&self.pipeline.gather);
        let (step, on_device) = (self.plan.step(), SlotCount::OnDevice);
        let encoder = self.encode_calls(step, max_slots, on_device, gather, None)?;
        let mut ranges = self.result_ranges();
        ranges.push(BufferRange {
            buffer: &self.memory.statuses,
            offset: 0,
            size: self.slots as u64 * 8,
        });
        let pending = self.readback.submit(context, encoder, &ranges).await?;
        self.pipeline.push(pending);
        Ok(())
    }

    async fn collect_step_async(&mut self) -> Result<Vec<SlotStatus>> {
        let Some((step, pending)) = self.pipeline.pop() else {
            return Err(Error::argument("no step is in flight"));
        };
        let words = &mut self.results;
        self.readback
            .collect(&self.weights.context, pending, words)
            .await?;
        let statuses = &words[words.len().saturating_sub(2 * self.slots)..];
        Ok(self.pipeline.update(step, statuses))
    }
}

impl PipelinedProgram for GpuProgram {
    fn activate(&mut self, slot: usize, steps: u32) -> Result<()> {
        let context = &self.weights.context;
        context.check()?;
        if !self.pipeline.activate(slot) {
            let message = format!("no slot {slot}: there are {}", self.slots);
            return Err(Error::argument(message));
        }
        let status = [steps, 1u32];
        context.queue.write_buffer(
            &self.memory.statuses,
            slot as u64 * 8,
            bytemuck::cast_slice(&status),
        );
        context.check()
    }

    fn deactivate_all(&mut self) -> Result<()> {
        let context = &self.weights.context;
        context.check()?;
        self.pipeline.deactivate_all();
        let idle = vec![0u32; self.slots * 2];
        context
            .queue
            .write_buffer(&self.memory.statuses, 0, bytemuck::cast_slice(&idle));
        context.check()
    }

    fn submit_step(&mut self, params: &HaltParams) -> Result<()> {
        pollster::block_on(self.submit_step_async(params))
    }

    fn collect_step(&mut self) -> Result<Vec<SlotStatus>> {
        pollster::block_on(self.collect_step_async())
    }
}
