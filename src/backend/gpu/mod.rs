//! Any GPU, through wgpu: Vulkan, Metal, DX12 or GLES.
//!
//! The eight kernels are the WGSL files of `shaders/`. Weights are uploaded once; the states stay on the device between the steps;
//! a run is one submission, after a step one small read of halting logits and answers. Steps can be started ahead of what the host
//! has read: `ahead.rs`. Waiting is `async` and blocked on at the outermost edge only.

mod ahead;
mod arrange;
mod device;
mod direct;
mod encode;
mod memory;
mod pipelines;
mod program;
mod readback;
mod tune;
mod variant;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Backend, DeviceWeights, Program};
use crate::backend::measurements::MeasurementCache;
use crate::error::Result;
use crate::model::dtype::WeightDtype;
use crate::model::plan::Plan;
use crate::model::weights::{Weight, Weights};
use device::Context;
pub(crate) use device::adapters;
use pipelines::Pipelines;
use program::GpuProgram;
use tune::Tuned;
use variant::Choice;
pub use variant::Kernels;
/// The version of wgpu whose devices [`Gpu::from_device`] takes.
pub use wgpu;

/// A GPU, opened. Clones share the device.
///
/// Through GLES, which is the last choice, use one from one thread at a time: wgpu's context there is waited for a few seconds only, then
/// the process ends.
#[derive(Debug, Clone)]
pub struct Gpu {
    context: Arc<Context>,
    pipelines: Arc<Pipelines>,
    format: WeightDtype,
    kernels: Kernels,
    tuned: Arc<Tuned>,
}

impl Gpu {
    /// Opens the best adapter there is (software ones are the last choice), or one by its number in [`devices`](crate::device::devices()).
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) if there is none, or if it cannot run the kernels.
    pub fn open(number: Option<usize>) -> Result<Gpu> {
        pollster::block_on(Gpu::open_async(number))
    }

    /// [`Gpu::open`] for who must not block.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub async fn open_async(number: Option<usize>) -> Result<Gpu> {
        Ok(Gpu::over(Context::open(number).await?))
    }

    /// Runs on a device that the app has opened itself, as a game does that shares its own. Give it to
    /// [`Solver::backend`](crate::Solver::backend).
    ///
    /// The device needs no feature, and no more than the default limits of WebGPU ([`wgpu::Limits::default`]). What it reports
    /// to its callbacks stays the app's: a callback for uncaptured errors should be set, as wgpu panics without one. Steps use indirect
    /// dispatches; an instance that validates those ([`wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL`], which is on unless cleared) makes
    /// each of them about two to three times as costly to start, some 30 microseconds more in software and 126 of them in a
    /// step of the published Sudoku model.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) if a limit of the device is too small for the kernels.
    pub fn from_device(
        adapter: &wgpu::Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
    ) -> Result<Gpu> {
        Ok(Gpu::over(Context::shared(adapter, device, queue)?))
    }

    fn over(context: Context) -> Gpu {
        Gpu {
            context: Arc::new(context),
            pipelines: Arc::default(),
            format: WeightDtype::default(),
            kernels: Kernels::default(),
            tuned: Arc::default(),
        }
    }

    /// Stores the weights of the blocks in this format from now on; computes in f32 as before. Models that are loaded already keep theirs.
    pub fn with_format(self, format: WeightDtype) -> Gpu {
        Gpu { format, ..self }
    }

    /// Runs the kernels in this way from now on. Models that are loaded already keep to theirs.
    pub fn with_kernels(self, kernels: Kernels) -> Gpu {
        Gpu { kernels, ..self }
    }

    /// Keeps what is measured to choose kernels in this folder, so that it is measured once on this machine.
    pub fn with_cache_dir(self, folder: impl Into<PathBuf>) -> Gpu {
        self.with_cache(MeasurementCache::new(Some(folder.into())))
    }

    pub(crate) fn with_cache(self, cache: MeasurementCache) -> Gpu {
        let tuned = Arc::new(Tuned::new(cache));
        Gpu { tuned, ..self }
    }

    /// The adapter's name and what it is reached through, for people.
    pub fn description(&self) -> String {
        self.context.description()
    }

    /// How many buffers, pipelines and bind groups were made on the device: none more once a batch has taken a few steps.
    pub fn resource_count(&self) -> usize {
        self.context.made()
    }

    /// Gives the device back at once, as if the driver had lost it: everything on it fails from here on.
    pub fn destroy(&self) {
        self.context.device.destroy();
        self.context.health.fail("the device was destroyed");
    }
}

impl Backend for Gpu {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn load(&self, weights: Weights) -> Result<Arc<dyn DeviceWeights>> {
        Ok(Arc::new(GpuWeights(Arc::new(pollster::block_on(
            Uploaded::new(self, weights),
        )?))))
    }
}

#[derive(Debug)]
struct GpuWeights(Arc<Uploaded>);

impl DeviceWeights for GpuWeights {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let program = pollster::block_on(GpuProgram::new(self.0.clone(), plan, slots))?;
        Ok(Box::new(program))
    }
}

/// A model's weights on the device, and how its calls are run.
#[derive(Debug)]
struct Uploaded {
    context: Arc<Context>,
    weights: HashMap<Weight, Stored>,
    format: WeightDtype,
    choice: Choice,
    tuned: Arc<Tuned>,
    /// Compiled so far, for all models of the [`Gpu`].
    pipelines: Arc<Pipelines>,
}

/// A tensor on the device.
#[derive(Debug)]
struct Stored {
    buffer: wgpu::Buffer,
    /// As in the checkpoint.
    shape: Vec<usize>,
}

impl Uploaded {
    async fn new(gpu: &Gpu, weights: Weights) -> Result<Uploaded> {
        let context = gpu.context.clone();
        context.check()?;
        let mut stored = HashMap::new();
        for (weight, tensor) in weights
            .into_tensors()
            .filter(|(w, _)| !matches!(w, Weight::Init(_)))
        {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
            let words = arrange::arranged(weight, &tensor, gpu.format);
            let buffer = context
                .buffer(&weight.name(), words.len() * size_of::<u32>(), usage)
                .await?;
            context
                .queue
                .write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
            let shape = tensor.shape;
            stored.insert(weight, Stored { buffer, shape });
        }
        context.check()?;
        Ok(Uploaded {
            choice: context.choice(gpu.kernels),
            tuned: gpu.tuned.clone(),
            format: gpu.format,
            pipelines: gpu.pipelines.clone(),
            context,
            weights: stored,
        })
    }
}
