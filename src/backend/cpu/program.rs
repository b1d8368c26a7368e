//! A plan with the memory of a batch: decides which threads run which slot.

use std::ops::Range;
use std::sync::Arc;

use super::kernels::{run_calls, scratch_size};
use super::pool::{PoolScope, ThreadPool};
use super::simd::for_each_chosen;
use super::slot::{RunBuffers, RunStop, SharedWeights, Slot};
use crate::backend::{Program, StopSignal};
use crate::error::{Error, Hint, Result};
use crate::memory;
use crate::model::plan::{Buffer, Plan};

/// Slots, each with its own memory, and the thread pool that runs the plan on them.
#[derive(Debug)]
pub(super) struct CpuProgram {
    plan: Arc<Plan>,
    pool: Arc<ThreadPool>,
    shared: SharedWeights,
    slots: Vec<Slot>,
    run_buffers: RunBuffers,
}

impl CpuProgram {
    /// Allocates `slots` slots.
    ///
    /// # Errors
    /// There is not enough memory, or the pool belongs to another process.
    pub(super) fn new(
        plan: Arc<Plan>,
        pool: Arc<ThreadPool>,
        shared: SharedWeights,
        slots: usize,
    ) -> Result<Self> {
        pool.check_process()?;
        let scratch = scratch_size(&plan, &shared);
        let bytes = Slot::bytes(&plan, &shared).saturating_mul(slots);
        let of_threads = scratch.bytes().saturating_mul(pool.threads());
        let purpose = format!("a batch of {slots} slots");
        memory::check(bytes.saturating_add(of_threads), &purpose)
            .map_err(|e| e.with_hint(Hint::ReduceBatch))?;
        pool.reserve(scratch);
        // The pool shares the slots that remain after each thread has run whole slots: fewer than
        // there are threads.
        let max_shared = slots.min(pool.threads() - 1);
        Ok(Self {
            slots: (0..slots).map(|_| Slot::new(&plan, &shared)).collect(),
            run_buffers: RunBuffers::new(&plan.dims, shared.simd, max_shared),
            plan,
            pool,
            shared,
        })
    }

    fn slot(&self, slot: usize) -> Result<&Slot> {
        let slots = self.slots.len();
        self.slots.get(slot).ok_or_else(|| no_slot(slot, slots))
    }

    fn slot_mut(&mut self, slot: usize) -> Result<&mut Slot> {
        let slots = self.slots.len();
        self.slots.get_mut(slot).ok_or_else(|| no_slot(slot, slots))
    }
}

fn no_slot(slot: usize, slots: usize) -> Error {
    Error::argument(format!("no slot {slot} in a batch of {slots}"))
}

impl Program for CpuProgram {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs as many slots as possible side by side, each as a whole on one thread. What such a slot
    /// writes stays in the core's cache, and no thread waits for another. The pool runs the
    /// remaining slots, fewer than there are threads, together, call by call.
    fn run(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()> {
        if let Some(last) = live.last() {
            self.slot(*last)?;
        }
        self.pool.check_process()?;
        self.shared.stop.begin();
        let (pool, calls) = (&*self.pool, &self.plan.calls[calls]);
        let (shared, slots) = (&self.shared, &mut self.slots[..]);
        let buffers = &mut self.run_buffers;
        let (separate, together) = live.split_at(live.len() - live.len() % pool.threads());
        pool.scope(|scope| {
            for_each_chosen(scope, slots, separate, |slot, scratch| {
                let mut buffers = std::mem::take(&mut slot.run_buffers);
                let scope = &mut PoolScope::single_thread(scratch);
                let slots = std::slice::from_mut(slot);
                run_calls(shared, calls, slots, &[0], &mut buffers, scope);
                slot.run_buffers = buffers;
            });
            if !together.is_empty() {
                run_calls(shared, calls, slots, together, buffers, scope);
            }
        });
        match shared.stop.has_stopped() {
            true => Err(StopSignal::error()),
            false => Ok(()),
        }
    }

    fn set_stop(&mut self, stop: StopSignal) {
        self.shared.stop = RunStop::new(stop);
    }

    fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()> {
        self.slot_mut(slot)?.memory.write(buffer, 0, values)
    }

    fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()> {
        self.slot(slot)?.memory.read(buffer, 0, values)
    }

    fn write_integers(&mut self, buffer: Buffer, slot: usize, values: &[u32]) -> Result<()> {
        self.slot_mut(slot)?
            .memory
            .write_integers(buffer, 0, values)
    }

    fn read_integers(&self, buffer: Buffer, slot: usize, values: &mut [u32]) -> Result<()> {
        self.slot(slot)?.memory.read_integers(buffer, 0, values)
    }
}
