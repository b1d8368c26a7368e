//! A plan over the memory of a batch on the device.

use std::ops::Range;
use std::sync::Arc;

use super::Uploaded;
use super::ahead::Flight;
use super::encode;
use super::memory::{Bound, Memory, bind, scratch};
use super::readback::{Piece, Readback};
use super::tune;
use super::variant::Shape;
use crate::backend::{PipelinedProgram, Program};
use crate::error::{Error, Result};
use crate::model::plan::{Buffer, Call, Plan};

/// Work of one submission, in billions of operations: systems take a device away that is busy for seconds.
const SUBMISSION: f64 = 50.0;

/// Buffers of the plan that the host reads after every step, all slots at once.
const RESULTS: [Buffer; 2] = [Buffer::Halting, Buffer::Answer];

/// A plan, its buffers on the device, and its dispatches, ready to be encoded.
#[derive(Debug)]
pub(super) struct GpuProgram {
    pub(super) uploaded: Arc<Uploaded>,
    pub(super) plan: Arc<Plan>,
    pub(super) slots: usize,
    pub(super) memory: Memory,
    /// Calls repeat themselves from cycle to cycle: each different one once,
    different: Vec<Vec<Bound>>,
    /// and for each call of the plan the number of the one that it equals.
    calls: Vec<usize>,
    /// The list of live slots that the device has, where the host has written it.
    pub(super) live: Option<Vec<u32>>,
    pub(super) readback: Readback,
    /// All slots of the buffers in [`RESULTS`], one buffer after the other, as the last step left them; empty if not known.
    pub(super) results: Vec<u32>,
    pub(super) ahead: Flight,
}

impl GpuProgram {
    /// Room for `slots` puzzles.
    pub(super) async fn new(
        uploaded: Arc<Uploaded>,
        plan: Arc<Plan>,
        slots: usize,
    ) -> Result<GpuProgram> {
        let context = &uploaded.context;
        context.check()?;
        let mut shapes: Vec<Shape<'_>> = Vec::new();
        let mut calls = Vec::with_capacity(plan.calls.len());
        for call in &plan.calls {
            let known = shapes.iter().position(|known| known.call == call);
            calls.push(known.unwrap_or(shapes.len()));
            if known.is_none() {
                let width = call.weights().first().and_then(|w| uploaded.weights.get(w));
                shapes.push(Shape {
                    call,
                    dims: &plan.dims,
                    input_width: width.and_then(|w| w.shape.last()).copied().unwrap_or(0),
                    slots,
                });
            }
        }
        let variants = tune::variants(&uploaded, &plan, &shapes).await?;
        let different: Vec<Vec<encode::Dispatch>> = shapes
            .iter()
            .zip(variants)
            .map(|(shape, variant)| encode::dispatches(shape, variant, uploaded.format))
            .collect();
        let mut grids: Vec<[usize; 2]> = Vec::new();
        let mut indirect = Vec::with_capacity(different.len());
        let dispatches = || different.iter().flatten();
        for dispatch in dispatches() {
            let known = grids.iter().position(|grid| *grid == dispatch.grid);
            indirect.push(known.unwrap_or(grids.len()));
            if known.is_none() {
                grids.push(dispatch.grid);
            }
        }
        let memory = Memory::new(&uploaded, &plan, slots, &grids, &scratch(dispatches())).await?;
        let mut indirect = indirect.into_iter();
        let mut bound = Vec::with_capacity(different.len());
        for dispatches in &different {
            let mut all = Vec::with_capacity(dispatches.len());
            for dispatch in dispatches {
                let grid = indirect.next().unwrap_or(0);
                all.push(bind(&uploaded, &memory, dispatch, slots, grid).await?);
            }
            bound.push(all);
        }
        let gather = bind(
            &uploaded,
            &memory,
            &encode::gather(slots, grids.len()),
            1,
            0,
        )
        .await?;
        Ok(GpuProgram {
            slots,
            memory,
            different: bound,
            calls,
            live: None,
            readback: Readback::default(),
            results: Vec::new(),
            ahead: Flight::new(gather, slots),
            plan,
            uploaded,
        })
    }

    async fn run_async(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()> {
        let context = &self.uploaded.context;
        context.check()?;
        let in_order =
            live.is_sorted_by(|a, b| a < b) && live.last().is_none_or(|&slot| slot < self.slots);
        if calls.start > calls.end || calls.end > self.plan.calls.len() || !in_order {
            return Err(Error::argument(
                "no such calls, or no such slots in rising order",
            ));
        }
        if live.is_empty() {
            return Ok(());
        }
        let list: Vec<u32> = live.iter().map(|&slot| slot as u32).collect();
        if self.live.as_ref() != Some(&list) {
            context
                .queue
                .write_buffer(&self.memory.live, 0, bytemuck::cast_slice(&list));
            self.live = Some(list);
        }
        self.results.clear();
        let slots = live.len() as u32;
        let encoder = self.encode(calls.clone(), slots, Some(slots), None);
        let mut written = self.plan.calls[calls].iter().flat_map(Call::writes);
        if !written.any(|buffer| RESULTS.contains(&buffer)) {
            context.queue.submit([encoder.finish()]);
            return context.check();
        }
        let pending = self
            .readback
            .start(context, encoder, &self.result_pieces())
            .await?;
        self.readback
            .finish(context, pending, &mut self.results)
            .await
    }

    /// Encodes these calls for `live` slots, or with `None` for as many as the device knows to be live, at most `slots`. Submits
    /// what is more than a submission's work; the rest is in the encoder that is returned.
    pub(super) fn encode(
        &self,
        calls: Range<usize>,
        slots: u32,
        live: Option<u32>,
        first: Option<&Bound>,
    ) -> wgpu::CommandEncoder {
        let context = &self.uploaded.context;
        let (all, numbers) = (&self.plan.calls, &self.calls);
        let mut rest = all
            .iter()
            .zip(numbers)
            .take(calls.end)
            .skip(calls.start)
            .peekable();
        let mut encoder = self.encoder();
        let mut first = first;
        loop {
            let mut work = 0.0;
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            if let Some(first) = first.take() {
                first.encode(&mut pass, Some(1), &self.memory.grids);
            }
            while work < SUBMISSION
                && let Some((call, &number)) = rest.next()
            {
                for dispatch in self.different.get(number).into_iter().flatten() {
                    dispatch.encode(&mut pass, live, &self.memory.grids);
                }
                work += call.flops(&self.plan.dims) as f64 * f64::from(slots) / 1e9;
            }
            drop(pass);
            if rest.peek().is_none() {
                return encoder;
            }
            context.queue.submit([encoder.finish()]);
            encoder = self.encoder();
        }
    }

    /// All slots of what the host reads after every step.
    pub(super) fn result_pieces(&self) -> Vec<Piece<'_>> {
        RESULTS
            .iter()
            .filter_map(|&buffer| self.whole(buffer))
            .collect()
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        let descriptor = wgpu::CommandEncoderDescriptor::default();
        self.uploaded
            .context
            .device
            .create_command_encoder(&descriptor)
    }

    /// A slot's share of a buffer as the last results have it.
    fn known(&self, buffer: Buffer, slot: usize) -> Option<&[u32]> {
        let lengths = RESULTS
            .iter()
            .take_while(|b| **b != buffer)
            .map(|b| b.len(&self.plan.dims));
        let before = lengths.sum::<usize>() * self.slots;
        let len = buffer.len(&self.plan.dims);
        let known = RESULTS.contains(&buffer);
        self.results
            .get(before + slot * len..before + (slot + 1) * len)
            .filter(|_| known)
    }

    /// All slots of a buffer.
    fn whole(&self, buffer: Buffer) -> Option<Piece<'_>> {
        Some(Piece {
            buffer: self.memory.buffers.get(&buffer)?,
            offset: 0,
            size: (buffer.len(&self.plan.dims) * self.slots * 4) as u64,
        })
    }

    /// A slot's share of a buffer, after a check that it has `len` values of that kind.
    fn share(&self, buffer: Buffer, slot: usize, len: usize, integer: bool) -> Result<Piece<'_>> {
        let wanted = buffer.len(&self.plan.dims);
        match self.memory.buffers.get(&buffer) {
            Some(device)
                if slot < self.slots && len == wanted && integer == buffer.is_integer() =>
            {
                Ok(Piece {
                    buffer: device,
                    offset: (slot * len * 4) as u64,
                    size: (len * 4) as u64,
                })
            }
            _ => {
                let message = format!(
                    "no {len} values at slot {slot} of {}, which has {wanted} in each slot",
                    self.slots
                );
                Err(Error::argument(message).context(format!("buffer {buffer}")))
            }
        }
    }

    fn write_words<T: bytemuck::Pod>(
        &mut self,
        buffer: Buffer,
        slot: usize,
        values: &[T],
        integer: bool,
    ) -> Result<()> {
        let context = &self.uploaded.context;
        context.check()?;
        let piece = self.share(buffer, slot, values.len(), integer)?;
        context
            .queue
            .write_buffer(piece.buffer, piece.offset, bytemuck::cast_slice(values));
        if RESULTS.contains(&buffer) {
            self.results.clear();
        }
        context.check()
    }

    async fn read_words(
        &self,
        buffer: Buffer,
        slot: usize,
        len: usize,
        integer: bool,
    ) -> Result<Vec<u32>> {
        let piece = self.share(buffer, slot, len, integer)?;
        if let Some(known) = self.known(buffer, slot) {
            return Ok(known.to_vec());
        }
        let context = &self.uploaded.context;
        context.check()?;
        let mut words = Vec::new();
        if len > 0 {
            let pending = self
                .readback
                .start(context, self.encoder(), &[piece])
                .await?;
            self.readback.finish(context, pending, &mut words).await?;
        }
        Ok(words)
    }
}

impl Program for GpuProgram {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn run(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()> {
        pollster::block_on(self.run_async(calls, live))
    }

    fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()> {
        self.write_words(buffer, slot, values, false)
    }

    fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()> {
        let words = pollster::block_on(self.read_words(buffer, slot, values.len(), false))?;
        values
            .iter_mut()
            .zip(words)
            .for_each(|(v, w)| *v = f32::from_bits(w));
        Ok(())
    }

    fn write_integers(&mut self, buffer: Buffer, slot: usize, values: &[u32]) -> Result<()> {
        self.write_words(buffer, slot, values, true)
    }

    fn read_integers(&self, buffer: Buffer, slot: usize, values: &mut [u32]) -> Result<()> {
        let words = pollster::block_on(self.read_words(buffer, slot, values.len(), true))?;
        values.iter_mut().zip(words).for_each(|(v, w)| *v = w);
        Ok(())
    }

    fn pipelined(&mut self) -> Option<&mut dyn PipelinedProgram> {
        self.uploaded
            .context
            .indirect
            .then_some(self as &mut dyn PipelinedProgram)
    }
}
