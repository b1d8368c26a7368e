//! The memory of a batch on the host, and a program that runs kernels on it. Every slot has its
//! part of each buffer of the plan.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use super::{Program, StopSignal};
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::memory;
use crate::model::plan::{Buffer, Call, Dims, Plan};

/// Kernels that run on host memory.
pub(crate) trait HostKernels: Debug + Send {
    /// Runs these calls, in order, for the live slots (ascending).
    fn run(&mut self, calls: &[Call], memory: &mut HostBuffers, live: &[usize]) -> Result<()>;
}

/// A plan, its memory on the host, and the kernels that run it.
#[derive(Debug)]
pub(crate) struct HostProgram<K> {
    plan: Arc<Plan>,
    memory: HostBuffers,
    kernels: K,
    stop: StopSignal,
}

impl<K: HostKernels> HostProgram<K> {
    /// Allocates memory for `slots` puzzles.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(crate) fn new(plan: Arc<Plan>, slots: usize, kernels: K) -> Result<Self> {
        let bytes = HostBuffers::bytes_per_slot(&plan).saturating_mul(slots);
        memory::check(bytes, &format!("a batch of {slots} slots"))
            .map_err(|e| e.with_hint(Hint::ReduceBatch))?;
        Ok(Self {
            memory: HostBuffers::new(&plan, slots),
            plan,
            kernels,
            stop: StopSignal::default(),
        })
    }
}

impl<K: HostKernels> Program for HostProgram<K> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn run(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()> {
        for call in &self.plan.calls[calls] {
            if self.stop.is_set() {
                return Err(StopSignal::error());
            }
            let call = std::slice::from_ref(call);
            self.kernels.run(call, &mut self.memory, live)?;
        }
        Ok(())
    }

    fn set_stop(&mut self, stop: StopSignal) {
        self.stop = stop;
    }

    fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()> {
        self.memory.write(buffer, slot, values)
    }

    fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()> {
        self.memory.read(buffer, slot, values)
    }

    fn write_integers(&mut self, buffer: Buffer, slot: usize, values: &[u32]) -> Result<()> {
        self.memory.write_integers(buffer, slot, values)
    }

    fn read_integers(&self, buffer: Buffer, slot: usize, values: &mut [u32]) -> Result<()> {
        self.memory.read_integers(buffer, slot, values)
    }
}

/// Buffers of a batch, addressed by name and slot.
#[derive(Debug)]
pub(crate) struct HostBuffers {
    /// The sizes of the plan.
    pub(crate) dims: Dims,
    slots: usize,
    floats: BTreeMap<Buffer, Vec<f32>>,
    integers: BTreeMap<Buffer, Vec<u32>>,
}

impl HostBuffers {
    /// Returns the memory that [`HostBuffers::new`] allocates for each slot.
    pub(crate) fn bytes_per_slot(plan: &Plan) -> usize {
        let lengths = plan.buffers().into_iter().map(|b| b.len(&plan.dims));
        lengths.sum::<usize>().saturating_mul(size_of::<f32>())
    }

    /// Allocates all buffers of `plan`, filled with zeros.
    pub(crate) fn new(plan: &Plan, slots: usize) -> Self {
        let (mut floats, mut integers) = (BTreeMap::new(), BTreeMap::new());
        for buffer in plan.buffers() {
            let len = buffer.len(&plan.dims) * slots;
            if buffer.is_integer() {
                integers.insert(buffer, vec![0; len]);
            } else {
                floats.insert(buffer, vec![0.0; len]);
            }
        }
        Self {
            dims: plan.dims,
            slots,
            floats,
            integers,
        }
    }

    /// Returns a slot's part of a buffer of `f32`.
    pub(crate) fn get(&self, buffer: Buffer, slot: usize) -> &[f32] {
        let len = buffer.len(&self.dims);
        &self.floats[&buffer][slot * len..][..len]
    }

    /// Returns a slot's part of a buffer of integers.
    pub(crate) fn get_integers(&self, buffer: Buffer, slot: usize) -> &[u32] {
        let len = buffer.len(&self.dims);
        &self.integers[&buffer][slot * len..][..len]
    }

    /// Takes a buffer out, so that others can be read while it is written. [`HostBuffers::put`]
    /// puts it back.
    pub(crate) fn take(&mut self, buffer: Buffer) -> Vec<f32> {
        self.floats
            .get_mut(&buffer)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Puts back what [`HostBuffers::take`] took.
    pub(crate) fn put(&mut self, buffer: Buffer, values: Vec<f32>) {
        self.floats.insert(buffer, values);
    }

    /// Like [`HostBuffers::take`], for integers.
    pub(crate) fn take_integers(&mut self, buffer: Buffer) -> Vec<u32> {
        self.integers
            .get_mut(&buffer)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Like [`HostBuffers::put`], for integers.
    pub(crate) fn put_integers(&mut self, buffer: Buffer, values: Vec<u32>) {
        self.integers.insert(buffer, values);
    }

    /// Checks an access to `len` values of a slot. `exists`: whether there is such a buffer of the
    /// accessed type.
    fn check(&self, buffer: Buffer, slot: usize, len: usize, exists: bool) -> Result<()> {
        let expected = buffer.len(&self.dims);
        if !exists || slot >= self.slots || len != expected {
            let message = format!(
                "cannot access {len} values of slot {slot}: there are {} slots of {expected} values",
                self.slots
            );
            return Err(
                Error::new(ErrorKind::Argument, message).context(format!("buffer {buffer}"))
            );
        }
        Ok(())
    }

    /// Writes a slot of a buffer of `f32`.
    pub(crate) fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()> {
        let exists = self.floats.contains_key(&buffer);
        self.check(buffer, slot, values.len(), exists)?;
        if let Some(all) = self.floats.get_mut(&buffer) {
            all[slot * values.len()..][..values.len()].copy_from_slice(values);
        }
        Ok(())
    }

    /// Reads a slot of a buffer of `f32`.
    pub(crate) fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()> {
        let exists = self.floats.contains_key(&buffer);
        self.check(buffer, slot, values.len(), exists)?;
        values.copy_from_slice(self.get(buffer, slot));
        Ok(())
    }

    /// Writes a slot of a buffer of integers.
    pub(crate) fn write_integers(
        &mut self,
        buffer: Buffer,
        slot: usize,
        values: &[u32],
    ) -> Result<()> {
        let exists = self.integers.contains_key(&buffer);
        self.check(buffer, slot, values.len(), exists)?;
        if let Some(all) = self.integers.get_mut(&buffer) {
            all[slot * values.len()..][..values.len()].copy_from_slice(values);
        }
        Ok(())
    }

    /// Reads a slot of a buffer of integers.
    pub(crate) fn read_integers(
        &self,
        buffer: Buffer,
        slot: usize,
        values: &mut [u32],
    ) -> Result<()> {
        let exists = self.integers.contains_key(&buffer);
        self.check(buffer, slot, values.len(), exists)?;
        values.copy_from_slice(self.get_integers(buffer, slot));
        Ok(())
    }
}
