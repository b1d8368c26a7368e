//! A model's weights on the device.
//!
//! [`GpuWeights`] holds one buffer per tensor and what it takes to run the model's calls: the
//! device, the compiled kernels, and how implementations are chosen. Programs of the same model
//! share it.

use std::collections::HashMap;
use std::sync::Arc;

use super::device::Context;
use super::pack::pack;
use super::pipelines::Pipelines;
use super::selection::{KernelPolicy, KernelSelection};
use super::timings::KernelTimings;
use crate::error::Result;
use crate::model::dtype::WeightDtype;
use crate::model::weights::{Weight, Weights};

/// A model's weights on the device, and how its calls are run.
#[derive(Debug)]
pub(super) struct GpuWeights {
    pub(super) context: Arc<Context>,
    pub(super) tensors: HashMap<Weight, GpuTensor>,
    pub(super) dtype: WeightDtype,
    pub(super) policy: KernelPolicy,
    pub(super) timings: Arc<KernelTimings>,
    /// The compiled kernels, shared by all models of a [`Gpu`](super::Gpu).
    pub(super) pipelines: Arc<Pipelines>,
}

/// A tensor on the device.
#[derive(Debug)]
pub(super) struct GpuTensor {
    pub(super) buffer: wgpu::Buffer,
    /// As in the checkpoint, without transposition and padding.
    pub(super) shape: Vec<usize>,
}

impl GpuWeights {
    /// Packs and uploads all tensors but the initial states, which the host writes.
    ///
    /// # Errors
    /// The device has failed, or a tensor is too large for it.
    pub(super) async fn upload(
        context: Arc<Context>,
        pipelines: Arc<Pipelines>,
        timings: Arc<KernelTimings>,
        selection: KernelSelection,
        dtype: WeightDtype,
        weights: Weights,
    ) -> Result<Self> {
        context.check()?;
        let mut tensors = HashMap::new();
        for (weight, tensor) in weights
            .into_tensors()
            .filter(|(w, _)| !matches!(w, Weight::Init(_)))
        {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
            let words = pack(weight, &tensor, dtype);
            let buffer = context
                .buffer(&weight.name(), words.len() * size_of::<u32>(), usage)
                .await?;
            context
                .queue
                .write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
            let shape = tensor.shape;
            tensors.insert(weight, GpuTensor { buffer, shape });
        }
        context.check()?;
        Ok(Self {
            policy: context.kernel_policy(selection),
            context,
            tensors,
            dtype,
            timings,
            pipelines,
        })
    }
}
