//! A plan over the memory of a batch on the device.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use wgpu::BufferUsages;

use super::Uploaded;
use super::ahead::Flight;
use super::encode::{self, Operand, Scratch};
use super::pipelines::Pipeline;
use super::readback::{Piece, Readback};
use super::variant::Shape;
use crate::backend::{Ahead, Program};
use crate::error::{Error, Result};
use crate::plan::{Buffer, Call, Dims, Plan};

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
    pub(super) results: Results,
    pub(super) ahead: Flight,
}

/// What the host knows of the buffers in [`RESULTS`], and of the slots' records where they were asked for.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// All slots of each, one buffer after the other; empty if not known.
    pub(super) words: Vec<u32>,
}

/// A dispatch with its buffers.
#[derive(Debug)]
pub(super) struct Bound {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    grid: [u32; 2],
    /// The place of the grid in the list of grids, in bytes.
    indirect: u64,
}

impl Bound {
    /// Encodes the dispatch for that many slots, or for as many as the device knows to be live.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, live: Option<u32>, grids: &wgpu::Buffer) {
        pass.set_pipeline(&self.pipeline.compiled);
        pass.set_bind_group(0, &self.group, &[]);
        match live {
            Some(slots) => pass.dispatch_workgroups(self.grid[0], self.grid[1], slots),
            None => pass.dispatch_workgroups_indirect(grids, self.indirect),
        }
    }
}

/// The buffers of a batch.
#[derive(Debug)]
pub(super) struct Memory {
    /// Those of the plan, `[B, ...]`.
    buffers: BTreeMap<Buffer, wgpu::Buffer>,
    /// The live slots, `[B]`.
    live: wgpu::Buffer,
    /// Steps taken and whether it goes on, for every slot, `[B, 2]`.
    pub(super) records: wgpu::Buffer,
    /// When a slot ends by itself, `[4]`.
    pub(super) rule: wgpu::Buffer,
    /// Workgroups of every different grid, `[grids, 3]`; `gather` writes the third.
    pub(super) grids: wgpu::Buffer,
    /// Cosine and sine of every position, `[L, half a head]`.
    rope: wgpu::Buffer,
    /// Between the dispatches of a call.
    scratch: BTreeMap<Scratch, wgpu::Buffer>,
}

impl GpuProgram {
    /// Room for `slots` puzzles.
    pub(super) async fn new(uploaded: Arc<Uploaded>, plan: Arc<Plan>, slots: usize) -> Result<GpuProgram> {
        let context = &uploaded.context;
        context.check()?;
        let mut different: Vec<(&Call, Vec<encode::Dispatch>)> = Vec::new();
        let mut calls = Vec::with_capacity(plan.calls.len());
        for call in &plan.calls {
            let known = different.iter().position(|(known, _)| *known == call);
            calls.push(known.unwrap_or(different.len()));
            if known.is_none() {
                let width = call.weights().first().and_then(|w| uploaded.weights.get(w));
                let width = width.and_then(|w| w.shape.last()).copied().unwrap_or(0);
                let shape = Shape {
                    call,
                    dims: &plan.dims,
                    input_width: width,
                    slots,
                };
                let variant = uploaded.choice.variant(&shape);
                different.push((call, encode::dispatches(&shape, variant, uploaded.format)));
            }
        }
        let mut grids: Vec<[usize; 2]> = Vec::new();
        let mut indirect = Vec::with_capacity(different.len());
        let dispatches = || different.iter().flat_map(|(_, all)| all);
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
        for (_, dispatches) in &different {
            let mut all = Vec::with_capacity(dispatches.len());
            for dispatch in dispatches {
                let grid = indirect.next().unwrap_or(0);
                all.push(bind(&uploaded, &memory, dispatch, slots, grid).await?);
            }
            bound.push(all);
        }
        let gather = bind(&uploaded, &memory, &encode::gather(slots, grids.len()), 1, 0).await?;
        Ok(GpuProgram {
            slots,
            memory,
            different: bound,
            calls,
            live: None,
            readback: Readback::default(),
            results: Results::default(),
            ahead: Flight::new(gather, slots),
            plan,
            uploaded,
        })
    }

    async fn run_async(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()> {
        let context = &self.uploaded.context;
        context.check()?;
        let in_order = live.is_sorted_by(|a, b| a < b) && live.last().is_none_or(|&slot| slot < self.slots);
        if calls.start > calls.end || calls.end > self.plan.calls.len() || !in_order {
            return Err(Error::argument("no such calls, or no such slots in rising order"));
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
        self.results.words.clear();
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
            .finish(context, pending, &mut self.results.words)
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
        RESULTS.iter().filter_map(|&buffer| self.whole(buffer)).collect()
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        let descriptor = wgpu::CommandEncoderDescriptor::default();
        self.uploaded.context.device.create_command_encoder(&descriptor)
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
            .words
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
            Some(device) if slot < self.slots && len == wanted && integer == buffer.is_integer() => {
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
                Err(Error::argument(message).at(format!("buffer {buffer}")))
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
            self.results.words.clear();
        }
        context.check()
    }

    async fn read_words(&self, buffer: Buffer, slot: usize, len: usize, integer: bool) -> Result<Vec<u32>> {
        let piece = self.share(buffer, slot, len, integer)?;
        if let Some(known) = self.known(buffer, slot) {
            return Ok(known.to_vec());
        }
        let context = &self.uploaded.context;
        context.check()?;
        let mut words = Vec::new();
        if len > 0 {
            let pending = self.readback.start(context, self.encoder(), &[piece]).await?;
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

    fn ahead(&mut self) -> Option<&mut dyn Ahead> {
        self.uploaded.context.indirect.then_some(self as &mut dyn Ahead)
    }
}

impl Memory {
    async fn new(
        uploaded: &Uploaded,
        plan: &Plan,
        slots: usize,
        grids: &[[usize; 2]],
        scratch: &BTreeMap<Scratch, usize>,
    ) -> Result<Memory> {
        let (context, d) = (&uploaded.context, &plan.dims);
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
        let bytes = |elements: usize| elements.saturating_mul(slots).saturating_mul(4);
        let mut buffers = BTreeMap::new();
        for buffer in plan.buffers() {
            let size = bytes(buffer.len(d));
            let name = buffer.to_string();
            let made = context.buffer(&name, size, usage | BufferUsages::COPY_SRC);
            buffers.insert(buffer, made.await?);
        }
        let mut between = BTreeMap::new();
        for (&scratch, &elements) in scratch {
            let made = context.buffer("scratch", bytes(elements), usage);
            between.insert(scratch, made.await?);
        }
        let rope = rope(d);
        let memory = Memory {
            buffers,
            scratch: between,
            live: context.buffer("live", bytes(1), usage).await?,
            records: context
                .buffer("records", bytes(2), usage | BufferUsages::COPY_SRC)
                .await?,
            rule: context.buffer("rule", 16, usage).await?,
            grids: context
                .buffer("grids", grids.len() * 12, usage | BufferUsages::INDIRECT)
                .await?,
            rope: context.buffer("rope", rope.len() * 4, usage).await?,
        };
        let grids: Vec<u32> = grids.iter().flat_map(|&[x, y]| [x as u32, y as u32, 0]).collect();
        let queue = &context.queue;
        queue.write_buffer(&memory.rope, 0, bytemuck::cast_slice(&rope));
        queue.write_buffer(&memory.grids, 0, bytemuck::cast_slice(&grids));
        Ok(memory)
    }
}

/// The elements that a slot needs of every scratch memory.
fn scratch<'a>(dispatches: impl Iterator<Item = &'a encode::Dispatch>) -> BTreeMap<Scratch, usize> {
    let mut sizes = BTreeMap::new();
    for operand in dispatches.flat_map(|d| &d.operands) {
        if let Operand::Scratch(scratch, elements) = *operand {
            let size: &mut usize = sizes.entry(scratch).or_default();
            *size = elements.max(*size);
        }
    }
    sizes
}

/// Cosine and sine of every position, `[L, half a head, 2]`, in f32 as in training; empty where nothing is turned.
fn rope(d: &Dims) -> Vec<f32> {
    let Some(theta) = d.rope_theta else {
        return Vec::new();
    };
    let width = d.head_dim();
    let frequency = |i: usize| (theta as f32).powf(-((2 * i) as f32) / width as f32);
    let frequencies: Vec<f32> = (0..width / 2).map(frequency).collect();
    let angles = (0..d.positions).flat_map(|position| frequencies.iter().map(move |f| position as f32 * f));
    angles.flat_map(|angle| [angle.cos(), angle.sin()]).collect()
}

async fn bind(
    uploaded: &Uploaded,
    memory: &Memory,
    dispatch: &encode::Dispatch,
    slots: usize,
    grid: usize,
) -> Result<Bound> {
    let context = &uploaded.context;
    let name = dispatch.kernel.name;
    if !encode::fits(dispatch.grid, slots) {
        let message = format!(
            "kernel {name}: {:?} x {slots} workgroups are too many",
            dispatch.grid
        );
        return Err(context.error(message));
    }
    let buffer = |operand: &Operand| match operand {
        Operand::Live => Some(&memory.live),
        Operand::Rope => Some(&memory.rope),
        Operand::Rule => Some(&memory.rule),
        Operand::Records => Some(&memory.records),
        Operand::Grids => Some(&memory.grids),
        Operand::Scratch(scratch, _) => memory.scratch.get(scratch),
        Operand::Of(buffer) => memory.buffers.get(buffer),
        Operand::The(weight) => uploaded.weights.get(weight).map(|w| &w.buffer),
    };
    let buffers: Option<Vec<&wgpu::Buffer>> = dispatch.operands.iter().map(buffer).collect();
    let buffers =
        buffers.ok_or_else(|| Error::argument(format!("kernel {name}: the model lacks a tensor")))?;
    let pipeline = uploaded
        .pipelines
        .get(context, dispatch.kernel, &dispatch.constants)
        .await?;
    Ok(Bound {
        group: pipeline.bind(context, &buffers).await?,
        pipeline,
        grid: dispatch.grid.map(|n| n as u32),
        indirect: grid as u64 * 12,
    })
}
