//! A plan over the memory of a batch: who runs which slot.

use std::ops::Range;
use std::sync::Arc;

use super::kernels::{Desk, Model, Slot, room, run};
use super::simd::{Shift, Team, for_each_chosen};
use crate::backend::Program;
use crate::error::{Error, Result};
use crate::model::plan::{Buffer, Plan};

/// HostBuffers, each with memory of its own, and the team that runs the plan on them.
#[derive(Debug)]
pub(super) struct CpuProgram {
    plan: Arc<Plan>,
    team: Arc<Team>,
    model: Model,
    slots: Vec<Slot>,
    desk: Desk,
}

impl CpuProgram {
    /// Room for so many slots.
    pub(super) fn new(plan: Arc<Plan>, team: Arc<Team>, model: Model, slots: usize) -> CpuProgram {
        team.reserve(room(&plan, &model));
        // Those that are run call by call are too few for a slot each.
        let together = slots.min(team.threads() - 1);
        CpuProgram {
            slots: (0..slots).map(|_| Slot::new(&plan, &model)).collect(),
            desk: Desk::new(&plan.dims, model.simd, together),
            plan,
            team,
            model,
        }
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

    /// As many slots as there are threads run side by side, each as a whole on one thread: what a slot writes stays in that core's cache, and
    /// nobody waits for anybody. What is left over the team runs together, call by call.
    fn run(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()> {
        if let Some(last) = live.last() {
            self.slot(*last)?;
        }
        let (team, calls) = (&*self.team, &self.plan.calls[calls]);
        let (model, slots, desk) = (&self.model, &mut self.slots[..], &mut self.desk);
        let (apart, together) = live.split_at(live.len() - live.len() % team.threads());
        team.shift(|shift| {
            for_each_chosen(shift, slots, apart, |slot, scratch| {
                let mut desk = std::mem::take(&mut slot.desk);
                let shift = &mut Shift::alone(scratch);
                run(model, calls, std::slice::from_mut(slot), &[0], &mut desk, shift);
                slot.desk = desk;
            });
            if !together.is_empty() {
                run(model, calls, slots, together, desk, shift);
            }
        });
        Ok(())
    }

    fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()> {
        self.slot_mut(slot)?.memory.write(buffer, 0, values)
    }

    fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()> {
        self.slot(slot)?.memory.read(buffer, 0, values)
    }

    fn write_integers(&mut self, buffer: Buffer, slot: usize, values: &[u32]) -> Result<()> {
        self.slot_mut(slot)?.memory.write_integers(buffer, 0, values)
    }

    fn read_integers(&self, buffer: Buffer, slot: usize, values: &mut [u32]) -> Result<()> {
        self.slot(slot)?.memory.read_integers(buffer, 0, values)
    }
}
