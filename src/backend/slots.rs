//! The memory of a batch on the host: every buffer of a plan, a share for each slot.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Buffer, Dims, Plan};

/// Buffers of a batch, addressed by name and slot.
#[derive(Debug)]
pub(crate) struct Slots {
    dims: Dims,
    slots: usize,
    floats: BTreeMap<Buffer, Vec<f32>>,
    integers: BTreeMap<Buffer, Vec<u32>>,
}

impl Slots {
    /// Zeroed memory for all buffers of `plan`.
    pub(crate) fn new(plan: &Plan, slots: usize) -> Slots {
        let (mut floats, mut integers) = (BTreeMap::new(), BTreeMap::new());
        for buffer in plan.buffers() {
            let len = buffer.len(&plan.dims) * slots;
            if buffer.is_integer() {
                integers.insert(buffer, vec![0; len]);
            } else {
                floats.insert(buffer, vec![0.0; len]);
            }
        }
        Slots {
            dims: plan.dims,
            slots,
            floats,
            integers,
        }
    }

    /// A slot's share of a buffer.
    pub(crate) fn get(&self, buffer: Buffer, slot: usize) -> &[f32] {
        let len = buffer.len(&self.dims);
        &self.floats[&buffer][slot * len..][..len]
    }

    /// The same of whole numbers.
    pub(crate) fn get_integers(&self, buffer: Buffer, slot: usize) -> &[u32] {
        let len = buffer.len(&self.dims);
        &self.integers[&buffer][slot * len..][..len]
    }

    /// Takes a buffer out, so that others can be read while it is written; [`Slots::put`] brings it back.
    pub(crate) fn take(&mut self, buffer: Buffer) -> Vec<f32> {
        self.floats
            .get_mut(&buffer)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Brings back what [`Slots::take`] took.
    pub(crate) fn put(&mut self, buffer: Buffer, values: Vec<f32>) {
        self.floats.insert(buffer, values);
    }

    /// [`Slots::take`] for whole numbers.
    pub(crate) fn take_integers(&mut self, buffer: Buffer) -> Vec<u32> {
        self.integers
            .get_mut(&buffer)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// [`Slots::put`] for whole numbers.
    pub(crate) fn put_integers(&mut self, buffer: Buffer, values: Vec<u32>) {
        self.integers.insert(buffer, values);
    }

    fn check(&self, buffer: Buffer, slot: usize, len: usize, integer: bool) -> Result<()> {
        let known = if integer {
            self.integers.contains_key(&buffer)
        } else {
            self.floats.contains_key(&buffer)
        };
        let wanted = buffer.len(&self.dims);
        if !known || slot >= self.slots || len != wanted {
            let message = format!(
                "no {} values at slot {slot} of {}, which has {wanted} in each slot",
                len, self.slots
            );
            return Err(Error::new(ErrorKind::Argument, message).at(format!("buffer {buffer}")));
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()> {
        self.check(buffer, slot, values.len(), false)?;
        if let Some(all) = self.floats.get_mut(&buffer) {
            all[slot * values.len()..][..values.len()].copy_from_slice(values);
        }
        Ok(())
    }

    pub(crate) fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()> {
        self.check(buffer, slot, values.len(), false)?;
        values.copy_from_slice(self.get(buffer, slot));
        Ok(())
    }

    pub(crate) fn write_integers(&mut self, buffer: Buffer, slot: usize, values: &[u32]) -> Result<()> {
        self.check(buffer, slot, values.len(), true)?;
        if let Some(all) = self.integers.get_mut(&buffer) {
            all[slot * values.len()..][..values.len()].copy_from_slice(values);
        }
        Ok(())
    }

    pub(crate) fn read_integers(&self, buffer: Buffer, slot: usize, values: &mut [u32]) -> Result<()> {
        self.check(buffer, slot, values.len(), true)?;
        values.copy_from_slice(self.get_integers(buffer, slot));
        Ok(())
    }
}
