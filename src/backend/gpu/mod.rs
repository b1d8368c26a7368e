//! The GPU backend: any GPU that wgpu reaches through Vulkan, Metal, DX12 or GLES.
//!
//! The kernels are the WGSL files of `shaders/`. Weights are uploaded once, and the states stay on
//! the device. A step is one submission, followed by one small readback of halting logits and
//! answers; steps can be submitted before older ones are read (`pipelined.rs`). Waiting is `async`
//! inside and blocks at the public functions only.

mod device;
mod lower;
mod memory;
mod pack;
mod pipelined;
mod pipelines;
mod program;
mod readback;
mod selection;
mod step_pipeline;
mod timings;
mod tune;
mod weights;

use std::path::PathBuf;
use std::sync::Arc;

use super::lockstep::F32_TOLERANCE;
use super::{Backend, DeviceWeights};
use crate::backend::measurements::MeasurementCache;
use crate::error::Result;
use crate::model::dtype::WeightDtype;
use crate::model::weights::Weights;
use device::Context;
pub(crate) use device::adapters;
use pipelines::Pipelines;
use program::SharedWeights;
pub use selection::KernelSelection;
use timings::KernelTimings;
use weights::GpuWeights;
/// The version of wgpu whose devices [`Gpu::from_device`] takes.
pub use wgpu;

/// An opened GPU. Clones share the device.
///
/// Through GLES, use it from one thread at a time: wgpu waits a few seconds only for its GLES
/// context and then ends the process.
#[derive(Debug, Clone)]
pub struct Gpu {
    context: Arc<Context>,
    pipelines: Arc<Pipelines>,
    dtype: WeightDtype,
    selection: KernelSelection,
    timings: Arc<KernelTimings>,
}

impl Gpu {
    /// Opens an adapter by its number in [`devices`](crate::device::devices()), or with `None` the
    /// best one that can run the kernels. Software adapters are the last choice.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) if there is no such adapter, or if it cannot
    /// run the kernels.
    pub fn open(number: Option<usize>) -> Result<Self> {
        pollster::block_on(Self::open_async(number))
    }

    /// Async version of [`Gpu::open`].
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub async fn open_async(number: Option<usize>) -> Result<Self> {
        Ok(Self::new(Context::open(number).await?))
    }

    /// Uses a device that the app has opened itself, as a game does that shares its own. Pass the
    /// result to [`SolverBuilder::backend`](crate::SolverBuilder::backend).
    ///
    /// The device needs no feature and no more than WebGPU's default limits
    /// ([`wgpu::Limits::default`]). The app keeps the device's callbacks. It should set one for
    /// uncaptured errors, because wgpu panics without one.
    ///
    /// Steps use indirect dispatches. An instance validates these unless
    /// [`wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL`] is cleared. Validation makes each of them
    /// two to three times as costly to start: some 30 µs more on a software adapter, and a step of
    /// the published Sudoku model has 126.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) if a limit of the device is too small for
    /// the kernels.
    pub fn from_device(
        adapter: &wgpu::Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
    ) -> Result<Self> {
        Ok(Self::new(Context::shared(adapter, device, queue)?))
    }

    fn new(context: Context) -> Self {
        Self {
            context: Arc::new(context),
            pipelines: Arc::default(),
            dtype: WeightDtype::default(),
            selection: KernelSelection::default(),
            timings: Arc::default(),
        }
    }

    /// Sets the dtype in which the matrices of the blocks are stored. Arithmetic stays in f32.
    /// Models that are already loaded keep theirs.
    #[must_use]
    pub fn with_dtype(self, dtype: WeightDtype) -> Self {
        Self { dtype, ..self }
    }

    /// Sets how kernel implementations are selected. Models that are already loaded keep theirs.
    #[must_use]
    pub fn with_kernels(self, selection: KernelSelection) -> Self {
        Self { selection, ..self }
    }

    /// Stores the measurements that select kernels in this folder, so that they are made only once
    /// on this machine.
    #[must_use]
    pub fn with_cache_dir(self, folder: impl Into<PathBuf>) -> Self {
        self.with_cache(MeasurementCache::new(Some(folder.into())))
    }

    pub(crate) fn with_cache(self, cache: MeasurementCache) -> Self {
        let timings = Arc::new(KernelTimings::new(cache));
        Self { timings, ..self }
    }

    /// Returns the adapter's name and how it is reached, for messages.
    pub fn description(&self) -> String {
        self.context.description()
    }

    /// Returns whether the adapter is a software implementation, which computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.context.is_software()
    }

    /// Returns how many buffers, pipelines and bind groups were created on the device so far. The
    /// number stays the same once a batch has taken a few steps.
    pub fn resource_count(&self) -> usize {
        self.context.resource_count()
    }

    /// Destroys the device at once, as if the driver had lost it. Everything on it fails from then
    /// on.
    pub fn destroy(&self) {
        self.context.device.destroy();
        self.context.health.fail("the device was destroyed");
    }
}

impl Backend for Gpu {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn tolerance(&self) -> f32 {
        F32_TOLERANCE
    }

    fn load(&self, weights: Weights) -> Result<Arc<dyn DeviceWeights>> {
        weights.check_range(self.dtype)?;
        let weights = pollster::block_on(GpuWeights::upload(
            self.context.clone(),
            self.pipelines.clone(),
            self.timings.clone(),
            self.selection,
            self.dtype,
            weights,
        ))?;
        Ok(Arc::new(SharedWeights(Arc::new(weights))))
    }
}
