//! Which way of running a call is the fastest on an adapter: measured at its first use, and known from then on.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Uploaded;
use super::encode;
use super::memory::{Memory, bind, scratch};
use super::readback::{Piece, Readback};
use super::variant::{Shape, Variant};
use crate::backend::measurements::MeasurementCache;
use crate::error::Result;
use crate::model::plan::Plan;

/// What has been measured on an adapter.
#[derive(Debug, Default)]
pub(super) struct Tuned {
    known: Mutex<HashMap<String, Variant>>,
    /// Where it is kept for the next time.
    pub(super) cache: MeasurementCache,
}

impl Tuned {
    /// Measurements that are kept in `cache` too.
    pub(super) fn new(cache: MeasurementCache) -> Tuned {
        Tuned {
            known: Mutex::default(),
            cache,
        }
    }

    fn get(&self, name: &str, shape: &Shape<'_>) -> Option<Variant> {
        let mut known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(variant) = known.get(name) {
            return Some(*variant);
        }
        let kept = self.cache.get(name)?;
        let variant = shape
            .candidates()
            .into_iter()
            .find(|v| Some(v.name()) == kept.as_str())?;
        known.insert(name.to_string(), variant);
        Some(variant)
    }

    fn keep(&self, name: String, variant: Variant) {
        self.cache.put(&name, variant.name().into());
        let mut known = self.known.lock().unwrap_or_else(|e| e.into_inner());
        known.insert(name, variant);
    }
}

/// How each of these calls is to be run: as measured where that was wished for, else by what the adapter is.
pub(super) async fn variants(
    uploaded: &Uploaded,
    plan: &Plan,
    shapes: &[Shape<'_>],
) -> Result<Vec<Variant>> {
    let by_rule = |shape: &Shape<'_>| uploaded.choice.variant(shape);
    if !uploaded.choice.measures(uploaded.tuned.cache.is_enabled()) {
        return Ok(shapes.iter().map(by_rule).collect());
    }
    let mut memory = None;
    let mut variants = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let name = format!(
            "kernels: {}, {}",
            uploaded.context.adapter(),
            shape.name(uploaded.format)
        );
        let known = match shape.candidates().len() {
            1 => Some(by_rule(shape)),
            _ => uploaded.tuned.get(&name, shape),
        };
        variants.push(match known {
            Some(variant) => variant,
            None => {
                let memory = match &memory {
                    Some(memory) => memory,
                    None => memory.insert(workbench(uploaded, plan, shapes).await?),
                };
                let fastest = fastest(uploaded, memory, shape).await?;
                uploaded.tuned.keep(name, fastest);
                fastest
            }
        });
    }
    Ok(variants)
}

/// Memory in which every candidate of every call can run, with all slots live.
async fn workbench(uploaded: &Uploaded, plan: &Plan, shapes: &[Shape<'_>]) -> Result<Memory> {
    let slots = shapes.first().map_or(1, |shape| shape.slots);
    let every: Vec<encode::Dispatch> = shapes
        .iter()
        .flat_map(|shape| {
            let candidates = shape.candidates().into_iter();
            candidates.flat_map(|variant| encode::dispatches(shape, variant, uploaded.format))
        })
        .collect();
    let memory = Memory::new(uploaded, plan, slots, &[], &scratch(every.iter())).await?;
    let live: Vec<u32> = (0..slots as u32).collect();
    let queue = &uploaded.context.queue;
    queue.write_buffer(&memory.live, 0, bytemuck::cast_slice(&live));
    Ok(memory)
}

async fn fastest(uploaded: &Uploaded, memory: &Memory, shape: &Shape<'_>) -> Result<Variant> {
    let mut best = (uploaded.choice.variant(shape), Duration::MAX);
    for variant in shape.candidates() {
        match time(uploaded, memory, shape, variant).await {
            Ok(time) => {
                log::debug!("{} {}: {time:?}", shape.call.kernel(), variant.name());
                if time < best.1 {
                    best = (variant, time);
                }
            }
            // A pipeline that the driver does not make: others may do. A lost device is an error.
            Err(e) => {
                uploaded.context.check()?;
                log::info!("{} {}: {e}", shape.call.kernel(), variant.name());
            }
        }
    }
    Ok(best.0)
}

/// The least time of a call among several.
async fn time(
    uploaded: &Uploaded,
    memory: &Memory,
    shape: &Shape<'_>,
    variant: Variant,
) -> Result<Duration> {
    /// Long enough for a clock, short enough for a start.
    const ENOUGH: Duration = Duration::from_millis(2);
    let context = &uploaded.context;
    let mut bound = Vec::new();
    for dispatch in encode::dispatches(shape, variant, uploaded.format) {
        bound.push(bind(uploaded, memory, &dispatch, shape.slots, 0).await?);
    }
    let readback = Readback::default();
    let mut words = Vec::new();
    let mut least = Duration::MAX;
    let mut repeats = 1;
    // The first one warms up.
    for attempt in 0..4 {
        let start = Instant::now();
        let mut encoder = context
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for dispatch in (0..repeats).flat_map(|_| &bound) {
            dispatch.encode(&mut pass, Some(shape.slots as u32), &memory.grids);
        }
        drop(pass);
        // The device has finished when something can be read.
        let something = Piece {
            buffer: &memory.records,
            offset: 0,
            size: 8,
        };
        let pending = readback.start(context, encoder, &[something]).await?;
        readback.finish(context, pending, &mut words).await?;
        let time = start.elapsed() / repeats;
        if attempt > 0 {
            least = least.min(time);
            let wanted = ENOUGH.as_nanos() / time.as_nanos().max(1);
            repeats = wanted.clamp(1, 64) as u32;
        }
    }
    Ok(least)
}
