//! A plan over the memory of a batch on the device.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use wgpu::BufferUsages;

use super::Uploaded;
use super::encode::{self, Operand, Scratch};
use super::pipelines::Pipeline;
use super::readback::{Piece, Readback};
use super::variant::Shape;
use crate::backend::Program;
use crate::error::{Error, Result};
use crate::plan::{Buffer, Call, Dims, Plan};

/// Work of one submission, in billions of operations: systems take a device away that is busy for seconds.
const SUBMISSION: f64 = 50.0;

/// What the host reads after every step, all slots at once.
const RESULTS: [Buffer; 2] = [Buffer::Halting, Buffer::Answer];

/// A plan, its buffers on the device, and its dispatches, ready to be encoded.
#[derive(Debug)]
pub(super) struct GpuProgram {
    uploaded: Arc<Uploaded>,
    plan: Arc<Plan>,
    slots: usize,
    memory: Memory,
    /// Calls repeat themselves from cycle to cycle: each different one once,
    different: Vec<Vec<Bound>>,
    /// and for each call of the plan the number of the one that it equals.
    calls: Vec<usize>,
    /// The list of live slots that the device has.
    live: Vec<u32>,
    readback: Readback,
    /// Results as the last step left them.
    results: BTreeMap<Buffer, Vec<u32>>,
}

/// A dispatch with its buffers.
#[derive(Debug)]
struct Bound {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    grid: [u32; 2],
}

/// The buffers of a batch.
#[derive(Debug)]
struct Memory {
    /// Those of the plan, `[B, ...]`.
    buffers: BTreeMap<Buffer, wgpu::Buffer>,
    /// The live slots, `[B]`.
    live: wgpu::Buffer,
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
        let dispatches = different.iter().flat_map(|(_, all)| all);
        let memory = Memory::new(&uploaded, &plan, slots, &scratch(dispatches)).await?;
        let mut bound = Vec::with_capacity(different.len());
        for (_, dispatches) in &different {
            let mut all = Vec::with_capacity(dispatches.len());
            for dispatch in dispatches {
                all.push(bind(&uploaded, &memory, dispatch, slots).await?);
            }
            bound.push(all);
        }
        Ok(GpuProgram {
            slots,
            memory,
            different: bound,
            calls,
            live: Vec::new(),
            readback: Readback::default(),
            results: BTreeMap::new(),
            plan,
            uploaded,
        })
    }

    async fn run_async(&mut self, calls: Range<usize>, live: &[usize]) -> Result<()> {
        let context = &self.uploaded.context;
        context.check()?;
        let in_order = live.is_sorted_by(|a, b| a < b) && live.last().is_none_or(|&slot| slot < self.slots);
        let Some(chosen) = self.plan.calls.get(calls.clone()).filter(|_| in_order) else {
            return Err(Error::argument("no such calls, or no such slots in rising order"));
        };
        if live.is_empty() {
            return Ok(());
        }
        let list: Vec<u32> = live.iter().map(|&slot| slot as u32).collect();
        if list != self.live {
            context
                .queue
                .write_buffer(&self.memory.live, 0, bytemuck::cast_slice(&list));
            self.live = list;
        }
        let mut encoder = self.encoder();
        let mut work = 0.0;
        let mut rest = chosen
            .iter()
            .zip(self.calls.get(calls).unwrap_or_default())
            .peekable();
        while rest.peek().is_some() {
            if work > 0.0 {
                context.queue.submit([encoder.finish()]);
                encoder = self.encoder();
                work = 0.0;
            }
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            while work < SUBMISSION
                && let Some((call, &number)) = rest.next()
            {
                for dispatch in self.different.get(number).into_iter().flatten() {
                    pass.set_pipeline(&dispatch.pipeline.compiled);
                    pass.set_bind_group(0, &dispatch.group, &[]);
                    pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], live.len() as u32);
                }
                work += call.flops(&self.plan.dims) as f64 * live.len() as f64 / 1e9;
            }
        }
        self.results.clear();
        let written = |buffer: &Buffer| chosen.iter().any(|call| call.writes().contains(buffer));
        if !RESULTS.iter().any(written) {
            context.queue.submit([encoder.finish()]);
            return context.check();
        }
        self.results = self.fetch_results(encoder).await?;
        Ok(())
    }

    /// Finishes `encoder` and reads what the host wants after a step.
    async fn fetch_results(&self, encoder: wgpu::CommandEncoder) -> Result<BTreeMap<Buffer, Vec<u32>>> {
        let known: Vec<_> = RESULTS
            .iter()
            .filter_map(|&b| Some((b, self.whole(b)?)))
            .collect();
        let pieces: Vec<Piece<'_>> = known.iter().map(|(_, piece)| *piece).collect();
        let words = self
            .readback
            .fetch(&self.uploaded.context, encoder, &pieces)
            .await?;
        let mut rest = words.into_iter();
        let lengths = known
            .into_iter()
            .map(|(buffer, piece)| (buffer, piece.size as usize / 4));
        Ok(lengths
            .map(|(buffer, len)| (buffer, rest.by_ref().take(len).collect()))
            .collect())
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        let descriptor = wgpu::CommandEncoderDescriptor::default();
        self.uploaded.context.device.create_command_encoder(&descriptor)
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
        self.results.remove(&buffer);
        context.check()
    }

    async fn read_words(&self, buffer: Buffer, slot: usize, len: usize, integer: bool) -> Result<Vec<u32>> {
        let piece = self.share(buffer, slot, len, integer)?;
        if let Some(known) = self
            .results
            .get(&buffer)
            .and_then(|r| r.get(slot * len..(slot + 1) * len))
        {
            return Ok(known.to_vec());
        }
        let context = &self.uploaded.context;
        context.check()?;
        self.readback.fetch(context, self.encoder(), &[piece]).await
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
}

impl Memory {
    async fn new(
        uploaded: &Uploaded,
        plan: &Plan,
        slots: usize,
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
            rope: context.buffer("rope", rope.len() * 4, usage).await?,
        };
        context
            .queue
            .write_buffer(&memory.rope, 0, bytemuck::cast_slice(&rope));
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
    })
}
