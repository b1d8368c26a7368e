//! A plan on the device: its buffers and its dispatches, for a batch of slots.
//!
//! [`GpuProgram::new`] lowers and binds every different call once. A run records dispatches into
//! command buffers and submits them, in submissions of limited work. `pipelined.rs` has the steps
//! that the host does not wait for.

use std::ops::Range;
use std::sync::Arc;

use super::lower::{self, Dispatch};
use super::memory::{BoundDispatch, Memory, SlotCount, bind, scratch_sizes};
use super::readback::{BufferRange, Readback, wait};
use super::selection::CallShape;
use super::step_pipeline::StepPipeline;
use super::tune;
use super::weights::GpuWeights;
use crate::backend::{DeviceWeights, PipelinedProgram, Program, StopSignal};
use crate::error::{Error, Result};
use crate::model::plan::{Buffer, Call, Plan};

/// The most work of one submission, in GFLOP. Operating systems reset a GPU whose submission runs
/// for several seconds.
const MAX_SUBMISSION_GFLOP: f64 = 50.0;

/// The most work of a step that is pipelined, in GFLOP. Steps in flight cannot be stopped. For
/// longer steps, the time that pipelining saves is below one percent.
const MAX_PIPELINED_GFLOP: f64 = 1000.0;

/// Buffers of the plan that the host reads after every step, all slots at once.
const RESULT_BUFFERS: [Buffer; 2] = [Buffer::Halting, Buffer::Answer];

/// The type of a buffer's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ElementType {
    F32,
    U32,
}

impl ElementType {
    fn of(buffer: Buffer) -> Self {
        match buffer.is_integer() {
            true => Self::U32,
            false => Self::F32,
        }
    }
}

/// Weights from which any number of programs are made.
#[derive(Debug)]
pub(super) struct SharedWeights(pub(super) Arc<GpuWeights>);

impl DeviceWeights for SharedWeights {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let program = pollster::block_on(GpuProgram::new(self.0.clone(), plan, slots))?;
        Ok(Box::new(program))
    }
}

/// A plan, its buffers on the device, and its dispatches, bound to the buffers.
#[derive(Debug)]
pub(super) struct GpuProgram {
    pub(super) weights: Arc<GpuWeights>,
    pub(super) plan: Arc<Plan>,
    pub(super) slots: usize,
    pub(super) memory: Memory,
    /// The dispatches of each different call. Cycles repeat the same calls.
    unique_calls: Vec<Vec<BoundDispatch>>,
    /// For each call of the plan, its index in `unique_calls`.
    call_indices: Vec<usize>,
    /// The list of live slots on the device; `None` if the device has written it itself.
    pub(super) device_live: Option<Vec<u32>>,
    pub(super) readback: Readback,
    /// All slots of [`RESULT_BUFFERS`], one buffer after the other, after the last step. Empty if
    /// they are not known.
    pub(super) results: Vec<u32>,
    pub(super) pipeline: StepPipeline,
    stop: StopSignal,
}

impl GpuProgram {
    /// Allocates buffers for `slots` puzzles and compiles the kernels.
    ///
    /// # Errors
    /// The device has failed, a buffer is larger than it allows, or a kernel does not compile.
    async fn new(weights: Arc<GpuWeights>, plan: Arc<Plan>, slots: usize) -> Result<Self> {
        let context = &weights.context;
        context.check()?;
        let mut shapes: Vec<CallShape<'_>> = Vec::new();
        let mut call_indices = Vec::with_capacity(plan.calls.len());
        for call in &plan.calls {
            let known = shapes.iter().position(|known| known.call == call);
            call_indices.push(known.unwrap_or(shapes.len()));
            if known.is_none() {
                let tensor = call.weights().first().and_then(|w| weights.tensors.get(w));
                shapes.push(CallShape {
                    call,
                    dims: &plan.dims,
                    input_width: tensor.and_then(|t| t.shape.last()).copied().unwrap_or(0),
                    slots,
                });
            }
        }
        let implementations = tune::choose_implementations(&weights, &plan, &shapes).await?;
        let lowered: Vec<Vec<Dispatch>> = shapes
            .iter()
            .zip(implementations)
            .map(|(shape, implementation)| lower::lower(shape, implementation, weights.dtype))
            .collect();
        let mut grids: Vec<[usize; 2]> = Vec::new();
        let mut grid_indices = Vec::with_capacity(lowered.len());
        let dispatches = || lowered.iter().flatten();
        for dispatch in dispatches() {
            let known = grids.iter().position(|grid| *grid == dispatch.grid);
            grid_indices.push(known.unwrap_or(grids.len()));
            if known.is_none() {
                grids.push(dispatch.grid);
            }
        }
        let scratch = scratch_sizes(dispatches());
        let memory = Memory::new(&weights, &plan, slots, &grids, &scratch).await?;
        let mut grid_indices = grid_indices.into_iter();
        let mut unique_calls = Vec::with_capacity(lowered.len());
        for dispatches in &lowered {
            let mut bound = Vec::with_capacity(dispatches.len());
            for dispatch in dispatches {
                let grid_index = grid_indices.next().unwrap_or(0);
                bound.push(bind(&weights, &memory, dispatch, slots, grid_index).await?);
            }
            unique_calls.push(bound);
        }
        let gather = lower::gather(slots, grids.len());
        let gather = bind(&weights, &memory, &gather, 1, 0).await?;
        Ok(Self {
            slots,
            memory,
            unique_calls,
            call_indices,
            device_live: None,
            readback: Readback::default(),
            results: Vec::new(),
            pipeline: StepPipeline::new(gather, slots),
            stop: StopSignal::default(),
            plan,
            weights,
        })
    }

    async fn run_async(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()> {
        let context = &self.weights.context;
        context.check()?;
        let slots_exist = live.last().is_none_or(|&slot| slot < self.slots);
        let in_order = live.is_sorted_by(|a, b| a < b) && slots_exist;
        if calls.start > calls.end || calls.end > self.plan.calls.len() || !in_order {
            let message = "the calls are not in the plan, or the slots are not in rising order";
            return Err(Error::argument(message));
        }
        if live.is_empty() {
            return Ok(());
        }
        #[allow(
            clippy::cast_possible_truncation,
            reason = "`bind` checks the number of slots"
        )]
        let list: Vec<u32> = live.iter().map(|&slot| slot as u32).collect();
        if self.device_live.as_ref() != Some(&list) {
            context
                .queue
                .write_buffer(&self.memory.live, 0, bytemuck::cast_slice(&list));
            self.device_live = Some(list);
        }
        self.results.clear();
        #[allow(
            clippy::cast_possible_truncation,
            reason = "`bind` checks the number of slots"
        )]
        let slots = live.len() as u32;
        let count = SlotCount::Known(slots);
        let encoder = self.encode_calls(calls.clone(), slots, count, None, Some(&self.stop))?;
        let mut written = self.plan.calls[calls].iter().flat_map(Call::writes);
        if !written.any(|buffer| RESULT_BUFFERS.contains(&buffer)) {
            context.queue.submit([encoder.finish()]);
            return context.check();
        }
        let pending = self
            .readback
            .submit(context, encoder, &self.result_ranges())
            .await?;
        self.readback
            .collect(context, pending, &mut self.results)
            .await
    }

    /// Records `first`, then the calls for `live` slots, which are at most `max_slots`.
    ///
    /// Submits all full submissions. Returns the encoder with the rest.
    ///
    /// With `stop`, waits so that at most two submissions are in flight, and looks at the signal
    /// before each.
    ///
    /// # Errors
    /// The device failed while it was waited for, or the signal is set.
    pub(super) fn encode_calls(
        &self,
        calls: Range<usize>,
        max_slots: u32,
        live: SlotCount,
        first: Option<&BoundDispatch>,
        stop: Option<&StopSignal>,
    ) -> Result<wgpu::CommandEncoder> {
        let context = &self.weights.context;
        let mut rest = self
            .plan
            .calls
            .iter()
            .zip(&self.call_indices)
            .take(calls.end)
            .skip(calls.start)
            .peekable();
        let mut encoder = self.new_encoder();
        let mut first = first;
        let mut in_flight: Option<wgpu::SubmissionIndex> = None;
        loop {
            if stop.is_some_and(StopSignal::is_set) {
                return Err(StopSignal::error());
            }
            let mut gflop = 0.0;
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            if let Some(first) = first.take() {
                first.record(&mut pass, SlotCount::Known(1), &self.memory.grids);
            }
            while gflop < MAX_SUBMISSION_GFLOP
                && let Some((call, &index)) = rest.next()
            {
                for dispatch in self.unique_calls.get(index).into_iter().flatten() {
                    dispatch.record(&mut pass, live, &self.memory.grids);
                }
                gflop += call.flops(&self.plan.dims) as f64 * f64::from(max_slots) / 1e9;
            }
            drop(pass);
            if rest.peek().is_none() {
                return Ok(encoder);
            }
            let submission = context.queue.submit([encoder.finish()]);
            let older = in_flight.replace(submission);
            if let (Some(older), Some(_)) = (older, stop) {
                wait(context, older)?;
            }
            encoder = self.new_encoder();
        }
    }

    /// Returns what the host reads after every step: all slots of [`RESULT_BUFFERS`].
    pub(super) fn result_ranges(&self) -> Vec<BufferRange<'_>> {
        RESULT_BUFFERS
            .iter()
            .filter_map(|&buffer| self.all_slots(buffer))
            .collect()
    }

    fn new_encoder(&self) -> wgpu::CommandEncoder {
        let descriptor = wgpu::CommandEncoderDescriptor::default();
        self.weights
            .context
            .device
            .create_command_encoder(&descriptor)
    }

    /// Returns a slot's part of a result buffer after the last step, if it is known.
    fn last_result(&self, buffer: Buffer, slot: usize) -> Option<&[u32]> {
        let lengths = RESULT_BUFFERS
            .iter()
            .take_while(|b| **b != buffer)
            .map(|b| b.len(&self.plan.dims));
        let offset = lengths.sum::<usize>() * self.slots;
        let len = buffer.len(&self.plan.dims);
        let is_result = RESULT_BUFFERS.contains(&buffer);
        self.results
            .get(offset + slot * len..offset + (slot + 1) * len)
            .filter(|_| is_result)
    }

    fn all_slots(&self, buffer: Buffer) -> Option<BufferRange<'_>> {
        Some(BufferRange {
            buffer: self.memory.buffers.get(&buffer)?,
            offset: 0,
            size: (buffer.len(&self.plan.dims) * self.slots * 4) as u64,
        })
    }

    /// Returns a slot's part of a buffer.
    ///
    /// # Errors
    /// The part does not exist, or does not have `len` elements of this type.
    fn slot_range(
        &self,
        buffer: Buffer,
        slot: usize,
        len: usize,
        element: ElementType,
    ) -> Result<BufferRange<'_>> {
        let expected = buffer.len(&self.plan.dims);
        match self.memory.buffers.get(&buffer) {
            Some(device)
                if slot < self.slots && len == expected && element == ElementType::of(buffer) =>
            {
                Ok(BufferRange {
                    buffer: device,
                    offset: (slot * len * 4) as u64,
                    size: (len * 4) as u64,
                })
            }
            _ => {
                let message = format!(
                    "no {len} values at slot {slot} of {}, which has {expected} in each slot",
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
        element: ElementType,
    ) -> Result<()> {
        let context = &self.weights.context;
        context.check()?;
        let range = self.slot_range(buffer, slot, values.len(), element)?;
        context
            .queue
            .write_buffer(range.buffer, range.offset, bytemuck::cast_slice(values));
        if RESULT_BUFFERS.contains(&buffer) {
            self.results.clear();
        }
        context.check()
    }

    async fn read_words(
        &self,
        buffer: Buffer,
        slot: usize,
        len: usize,
        element: ElementType,
    ) -> Result<Vec<u32>> {
        let range = self.slot_range(buffer, slot, len, element)?;
        if let Some(known) = self.last_result(buffer, slot) {
            return Ok(known.to_vec());
        }
        let context = &self.weights.context;
        context.check()?;
        let mut words = Vec::new();
        if len > 0 {
            let pending = self
                .readback
                .submit(context, self.new_encoder(), &[range])
                .await?;
            self.readback.collect(context, pending, &mut words).await?;
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

    fn set_stop(&mut self, stop: StopSignal) {
        self.stop = stop;
    }

    fn write(&mut self, buffer: Buffer, slot: usize, values: &[f32]) -> Result<()> {
        self.write_words(buffer, slot, values, ElementType::F32)
    }

    fn read(&self, buffer: Buffer, slot: usize, values: &mut [f32]) -> Result<()> {
        let words = self.read_words(buffer, slot, values.len(), ElementType::F32);
        let words = pollster::block_on(words)?;
        values
            .iter_mut()
            .zip(words)
            .for_each(|(v, w)| *v = f32::from_bits(w));
        Ok(())
    }

    fn write_integers(&mut self, buffer: Buffer, slot: usize, values: &[u32]) -> Result<()> {
        self.write_words(buffer, slot, values, ElementType::U32)
    }

    fn read_integers(&self, buffer: Buffer, slot: usize, values: &mut [u32]) -> Result<()> {
        let words = self.read_words(buffer, slot, values.len(), ElementType::U32);
        let words = pollster::block_on(words)?;
        values.iter_mut().zip(words).for_each(|(v, w)| *v = w);
        Ok(())
    }

    fn pipelined(&mut self) -> Option<&mut dyn PipelinedProgram> {
        let supported = self.weights.context.has_indirect_dispatch;
        let step = self.plan.gflop_per_step() * self.slots as f64;
        let is_short = step <= MAX_PIPELINED_GFLOP;
        (supported && is_short).then_some(self as &mut dyn PipelinedProgram)
    }
}
