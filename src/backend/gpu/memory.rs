//! The buffers of a batch on the device, and dispatches bound to them.
//!
//! A [`Memory`] has the buffers of the plan, the list of live slots, and scratch buffers between
//! the dispatches of a call. [`bind`] makes a [`BoundDispatch`] of a lowered [`Dispatch`]: it
//! compiles the kernel and binds the buffers.

use std::collections::BTreeMap;
use std::sync::Arc;

use wgpu::BufferUsages;

use super::lower::{Dispatch, Operand, Scratch, fits_dispatch_limits};
use super::pipelines::Pipeline;
use super::weights::GpuWeights;
use crate::error::{Error, Result};
use crate::model::plan::{Buffer, Dims, Plan};

/// The buffers of a batch.
#[derive(Debug)]
pub(super) struct Memory {
    /// The plan's buffers, `[B, ...]`.
    pub(super) buffers: BTreeMap<Buffer, wgpu::Buffer>,
    /// The list of live slots, `[B]`.
    pub(super) live: wgpu::Buffer,
    /// Steps taken, and 1 if the slot is live, `[B, 2]`.
    pub(super) statuses: wgpu::Buffer,
    /// When a slot halts: `HaltParams` of `halt.wgsl`, `[4]`.
    pub(super) halt_params: wgpu::Buffer,
    /// Workgroups of every different grid, `[grids, 3]`. `gather` writes the third axis.
    pub(super) grids: wgpu::Buffer,
    /// Cosines and sines of RoPE, `[L, half a head, 2]`.
    rope: wgpu::Buffer,
    /// Buffers between the dispatches of a call.
    scratch: BTreeMap<Scratch, wgpu::Buffer>,
}

/// For how many slots a dispatch runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum SlotCount {
    /// For this many.
    Known(u32),
    /// For as many as the device has counted in [`Memory::grids`].
    OnDevice,
}

/// A dispatch with its pipeline and its buffers.
#[derive(Debug)]
pub(super) struct BoundDispatch {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    grid: [u32; 2],
    /// Where the grid stands in [`Memory::grids`], in bytes.
    grid_offset: u64,
}

impl BoundDispatch {
    /// Records the dispatch into a compute pass.
    pub(super) fn record(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        slots: SlotCount,
        grids: &wgpu::Buffer,
    ) {
        pass.set_pipeline(&self.pipeline.compiled);
        pass.set_bind_group(0, &self.group, &[]);
        match slots {
            SlotCount::Known(n) => pass.dispatch_workgroups(self.grid[0], self.grid[1], n),
            SlotCount::OnDevice => pass.dispatch_workgroups_indirect(grids, self.grid_offset),
        }
    }
}

impl Memory {
    /// Allocates the buffers for `slots` slots. `scratch_sizes` are elements per slot.
    ///
    /// # Errors
    /// A buffer is larger than the device allows, or memory is exhausted.
    pub(super) async fn new(
        weights: &GpuWeights,
        plan: &Plan,
        slots: usize,
        grids: &[[usize; 2]],
        scratch_sizes: &BTreeMap<Scratch, usize>,
    ) -> Result<Self> {
        let (context, d) = (&weights.context, &plan.dims);
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
        let bytes = |elements: usize| elements.saturating_mul(slots).saturating_mul(4);
        let mut buffers = BTreeMap::new();
        for buffer in plan.buffers() {
            let size = bytes(buffer.len(d));
            let name = buffer.to_string();
            let created = context.buffer(&name, size, usage | BufferUsages::COPY_SRC);
            buffers.insert(buffer, created.await?);
        }
        let mut scratch = BTreeMap::new();
        for (&key, &elements) in scratch_sizes {
            let created = context.buffer("scratch", bytes(elements), usage);
            scratch.insert(key, created.await?);
        }
        let rope = rope_table(d);
        let memory = Self {
            buffers,
            scratch,
            live: context.buffer("live", bytes(1), usage).await?,
            statuses: context
                .buffer("slot statuses", bytes(2), usage | BufferUsages::COPY_SRC)
                .await?,
            halt_params: context.buffer("halt params", 16, usage).await?,
            grids: context
                .buffer("grids", grids.len() * 12, usage | BufferUsages::INDIRECT)
                .await?,
            rope: context.buffer("rope", rope.len() * 4, usage).await?,
        };
        #[allow(
            clippy::cast_possible_truncation,
            reason = "`bind` refuses grids that are too large"
        )]
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

/// Returns the size of every scratch buffer that the dispatches use, in elements per slot.
pub(super) fn scratch_sizes<'a>(
    dispatches: impl Iterator<Item = &'a Dispatch>,
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

/// Returns cosines and sines of RoPE, `[L, half a head, 2]`, computed in f32 as in training. Empty
/// for a model without RoPE.
#[allow(clippy::cast_possible_truncation, reason = "f32 as in training")]
fn rope_table(d: &Dims) -> Vec<f32> {
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

/// Binds a dispatch to the memory. `grid_index` is where its grid stands in [`Memory::grids`].
///
/// # Errors
/// The grid is too large, the model lacks a tensor, or the driver cannot compile the kernel.
pub(super) async fn bind(
    weights: &GpuWeights,
    memory: &Memory,
    dispatch: &Dispatch,
    slots: usize,
    grid_index: usize,
) -> Result<BoundDispatch> {
    let context = &weights.context;
    let name = dispatch.kernel.name;
    if !fits_dispatch_limits(dispatch.grid, slots) {
        let message = format!(
            "kernel {name}: {:?} x {slots} workgroups are too many",
            dispatch.grid
        );
        return Err(context.error(message));
    }
    let buffer = |operand: &Operand| match operand {
        Operand::LiveSlots => Some(&memory.live),
        Operand::Rope => Some(&memory.rope),
        Operand::HaltParams => Some(&memory.halt_params),
        Operand::SlotStatuses => Some(&memory.statuses),
        Operand::Grids => Some(&memory.grids),
        Operand::Scratch(scratch, _) => memory.scratch.get(scratch),
        Operand::PlanBuffer(buffer) => memory.buffers.get(buffer),
        Operand::Tensor(weight) => weights.tensors.get(weight).map(|w| &w.buffer),
    };
    let buffers: Option<Vec<&wgpu::Buffer>> = dispatch.operands.iter().map(buffer).collect();
    let buffers = buffers
        .ok_or_else(|| Error::argument(format!("kernel {name}: the model lacks a tensor")))?;
    let pipeline = weights
        .pipelines
        .get(context, dispatch.kernel, &dispatch.constants)
        .await?;
    Ok(BoundDispatch {
        group: pipeline.bind(context, &buffers).await?,
        pipeline,
        #[allow(clippy::cast_possible_truncation, reason = "within the limits")]
        grid: dispatch.grid.map(|n| n as u32),
        grid_offset: grid_index as u64 * 12,
    })
}
