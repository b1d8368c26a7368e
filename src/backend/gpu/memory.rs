//! The buffers of a batch on the device, and dispatches with their buffers.

use std::collections::BTreeMap;
use std::sync::Arc;

use wgpu::BufferUsages;

use super::Uploaded;
use super::encode::{self, Operand, Scratch};
use super::pipelines::Pipeline;
use crate::error::{Error, Result};
use crate::model::plan::{Buffer, Dims, Plan};

/// The buffers of a batch.
#[derive(Debug)]
pub(super) struct Memory {
    /// Those of the plan, `[B, ...]`.
    pub(super) buffers: BTreeMap<Buffer, wgpu::Buffer>,
    /// The live slots, `[B]`.
    pub(super) live: wgpu::Buffer,
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
    pub(super) fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        live: Option<u32>,
        grids: &wgpu::Buffer,
    ) {
        pass.set_pipeline(&self.pipeline.compiled);
        pass.set_bind_group(0, &self.group, &[]);
        match live {
            Some(slots) => pass.dispatch_workgroups(self.grid[0], self.grid[1], slots),
            None => pass.dispatch_workgroups_indirect(grids, self.indirect),
        }
    }
}

impl Memory {
    pub(super) async fn new(
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
        let grids: Vec<u32> = grids
            .iter()
            .flat_map(|&[x, y]| [x as u32, y as u32, 0])
            .collect();
        let queue = &context.queue;
        queue.write_buffer(&memory.rope, 0, bytemuck::cast_slice(&rope));
        queue.write_buffer(&memory.grids, 0, bytemuck::cast_slice(&grids));
        Ok(memory)
    }
}

/// The elements that a slot needs of every scratch memory.
pub(super) fn scratch<'a>(
    dispatches: impl Iterator<Item = &'a encode::Dispatch>,
) -> BTreeMap<Scratch, usize> {
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
    let angles =
        (0..d.positions).flat_map(|position| frequencies.iter().map(move |f| position as f32 * f));
    angles
        .flat_map(|angle| [angle.cos(), angle.sin()])
        .collect()
}

/// A dispatch over the memory; `grid` is the number of its grid in the list of grids.
pub(super) async fn bind(
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
        Operand::HaltParams => Some(&memory.rule),
        Operand::Records => Some(&memory.records),
        Operand::Grids => Some(&memory.grids),
        Operand::Scratch(scratch, _) => memory.scratch.get(scratch),
        Operand::Of(buffer) => memory.buffers.get(buffer),
        Operand::The(weight) => uploaded.weights.get(weight).map(|w| &w.buffer),
    };
    let buffers: Option<Vec<&wgpu::Buffer>> = dispatch.operands.iter().map(buffer).collect();
    let buffers = buffers
        .ok_or_else(|| Error::argument(format!("kernel {name}: the model lacks a tensor")))?;
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
