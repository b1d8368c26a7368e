//! Chooses the implementation of each call, by a short measurement where the policy says so.
//!
//! The measurement of a call takes some milliseconds for each of its implementations. It is made at
//! the first use of the call and then known (`timings.rs`).

use std::time::{Duration, Instant};

use super::lower::{self, Dispatch};
use super::memory::{Memory, SlotCount, bind, scratch_sizes};
use super::readback::{BufferRange, Readback};
use super::selection::{CallShape, KernelImpl};
use super::weights::GpuWeights;
use crate::error::Result;
use crate::model::plan::Plan;

/// The shortest run that is measured: long enough for the clock, short enough for the first step.
const MIN_RUN_TIME: Duration = Duration::from_millis(2);

/// The most repetitions of a call in a run.
const MAX_REPETITIONS: u128 = 64;

/// Returns the implementation of each call, measured or chosen by the adapter.
///
/// # Errors
/// The device has failed, or memory for the measurement cannot be allocated.
pub(super) async fn choose_implementations(
    weights: &GpuWeights,
    plan: &Plan,
    shapes: &[CallShape<'_>],
) -> Result<Vec<KernelImpl>> {
    let unmeasured = |shape: &CallShape<'_>| weights.policy.implementation(shape);
    if !weights.policy.measures(&weights.timings.cache) {
        return Ok(shapes.iter().map(unmeasured).collect());
    }
    let mut memory = None;
    let mut implementations = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let key = format!(
            "kernels: {}, {}",
            weights.context.adapter_key(),
            shape.timing_key(weights.dtype)
        );
        let known = match shape.implementations().len() {
            1 => Some(unmeasured(shape)),
            _ => weights.timings.get(&key, shape),
        };
        implementations.push(match known {
            Some(implementation) => implementation,
            None => {
                let memory = match &memory {
                    Some(memory) => memory,
                    None => memory.insert(measurement_memory(weights, plan, shapes).await?),
                };
                let fastest = measure_fastest(weights, memory, shape).await?;
                weights.timings.put(key, fastest);
                fastest
            }
        });
    }
    Ok(implementations)
}

/// Allocates memory in which every implementation of every call can run, with all slots live.
async fn measurement_memory(
    weights: &GpuWeights,
    plan: &Plan,
    shapes: &[CallShape<'_>],
) -> Result<Memory> {
    let slots = shapes.first().map_or(1, |shape| shape.slots);
    let dispatches: Vec<Dispatch> = shapes
        .iter()
        .flat_map(|shape| {
            let implementations = shape.implementations().into_iter();
            implementations.flat_map(|i| lower::lower(shape, i, weights.dtype))
        })
        .collect();
    let memory = Memory::new(weights, plan, slots, &[], &scratch_sizes(dispatches.iter())).await?;
    let live: Vec<u32> = (0..).take(slots).collect();
    let queue = &weights.context.queue;
    queue.write_buffer(&memory.live, 0, bytemuck::cast_slice(&live));
    Ok(memory)
}

async fn measure_fastest(
    weights: &GpuWeights,
    memory: &Memory,
    shape: &CallShape<'_>,
) -> Result<KernelImpl> {
    let mut best = (weights.policy.implementation(shape), Duration::MAX);
    for implementation in shape.implementations() {
        let name = implementation.name();
        match measure(weights, memory, shape, implementation).await {
            Ok(time) => {
                log::debug!("{} {name}: {time:?}", shape.call.kernel());
                if time < best.1 {
                    best = (implementation, time);
                }
            }
            // The driver may fail to compile one pipeline and compile the others. A lost device is
            // an error.
            Err(e) => {
                weights.context.check()?;
                log::info!("{} {name}: {e}", shape.call.kernel());
            }
        }
    }
    Ok(best.0)
}

/// Returns the least time of a call in three runs, after one run to warm up.
async fn measure(
    weights: &GpuWeights,
    memory: &Memory,
    shape: &CallShape<'_>,
    implementation: KernelImpl,
) -> Result<Duration> {
    let context = &weights.context;
    let mut dispatches = Vec::new();
    for dispatch in lower::lower(shape, implementation, weights.dtype) {
        dispatches.push(bind(weights, memory, &dispatch, shape.slots, 0).await?);
    }
    let readback = Readback::default();
    let mut words = Vec::new();
    let mut least = Duration::MAX;
    let mut repetitions = 1;
    for run in 0..4 {
        let start = Instant::now();
        let mut encoder = context
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for dispatch in (0..repetitions).flat_map(|_| &dispatches) {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "`bind` checks the number of slots"
            )]
            let slots = SlotCount::Known(shape.slots as u32);
            dispatch.record(&mut pass, slots, &memory.grids);
        }
        drop(pass);
        // The end of a small readback is the end of the dispatches before it.
        let range = BufferRange {
            buffer: &memory.statuses,
            offset: 0,
            size: 8,
        };
        let pending = readback.submit(context, encoder, &[range]).await?;
        readback.collect(context, pending, &mut words).await?;
        let time = start.elapsed() / repetitions;
        if run > 0 {
            least = least.min(time);
            let wanted = MIN_RUN_TIME.as_nanos() / time.as_nanos().max(1);
            repetitions = wanted.clamp(1, MAX_REPETITIONS) as u32;
        }
    }
    Ok(least)
}
