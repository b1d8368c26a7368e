//! Any GPU, through wgpu: Vulkan, Metal, DX12 or GLES.
//!
//! The eight kernels are the WGSL files of `shaders/`. Weights are uploaded once; the states stay on the device between the steps;
//! a run is one submission, after a step one small read of halting logits and answers. Steps can be started ahead of what the host
//! has read: `ahead.rs`. Waiting is `async` and blocked on at the outermost edge only.

mod ahead;
mod device;
mod encode;
mod pipelines;
mod program;
mod readback;

use std::collections::HashMap;
use std::sync::Arc;

use super::{Backend, Loaded, Program};
use crate::error::Result;
use crate::plan::Plan;
use crate::weights::{Tensor, Weight, Weights};
use device::Context;
pub(crate) use device::adapters;
use pipelines::Pipelines;
use program::GpuProgram;

/// A GPU, opened.
#[derive(Debug, Clone)]
pub struct Gpu {
    context: Arc<Context>,
}

impl Gpu {
    /// Opens the best adapter there is (software ones are the last choice), or one by its number in [`devices`](crate::devices()).
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
        let context = Arc::new(Context::open(number).await?);
        Ok(Gpu { context })
    }

    /// The adapter's name and what it is reached through, for people.
    pub fn description(&self) -> String {
        self.context.description()
    }

    /// How many buffers, pipelines and bind groups were made on the device: none more once a batch has taken a few steps.
    pub fn resources_made(&self) -> usize {
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

    fn load(&self, weights: Weights) -> Result<Arc<dyn Loaded>> {
        Ok(Arc::new(GpuWeights(Arc::new(pollster::block_on(
            Uploaded::new(self.context.clone(), weights),
        )?))))
    }
}

#[derive(Debug)]
struct GpuWeights(Arc<Uploaded>);

impl Loaded for GpuWeights {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let program = pollster::block_on(GpuProgram::new(self.0.clone(), plan, slots))?;
        Ok(Box::new(program))
    }
}

/// A model's weights on the device, and the pipelines that were made for it so far.
#[derive(Debug)]
struct Uploaded {
    context: Arc<Context>,
    weights: HashMap<Weight, Stored>,
    pipelines: Pipelines,
}

/// A tensor on the device.
#[derive(Debug)]
struct Stored {
    buffer: wgpu::Buffer,
    /// As in the checkpoint.
    shape: Vec<usize>,
}

impl Uploaded {
    async fn new(context: Arc<Context>, weights: Weights) -> Result<Uploaded> {
        context.check()?;
        let mut stored = HashMap::new();
        for (weight, tensor) in weights
            .into_tensors()
            .filter(|(w, _)| !matches!(w, Weight::Init(_)))
        {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
            let values = arranged(weight, &tensor);
            let buffer = context
                .buffer(&weight.name(), values.len() * size_of::<f32>(), usage)
                .await?;
            context
                .queue
                .write_buffer(&buffer, 0, bytemuck::cast_slice(&values));
            let shape = tensor.shape;
            stored.insert(weight, Stored { buffer, shape });
        }
        context.check()?;
        Ok(Uploaded {
            pipelines: Pipelines::default(),
            context,
            weights: stored,
        })
    }
}

/// A tensor's elements in the order in which its kernel reads them; the kernels' bindings say which.
fn arranged(weight: Weight, tensor: &Tensor) -> Vec<f32> {
    match weight {
        Weight::GateUp(..) => turned(tensor, 2, 4),
        Weight::OProj(..) | Weight::Down(..) => turned(tensor, 1, 4),
        Weight::Qkv(..) | Weight::TokenGateUp(..) | Weight::TokenDown(..) | Weight::LmHead => {
            turned(tensor, 1, 1)
        }
        _ => tensor.data.clone(),
    }
}

/// `[parts * N, K]` as `[K, parts, N]`, N padded with zeros to a multiple of `multiple`.
fn turned(tensor: &Tensor, parts: usize, multiple: usize) -> Vec<f32> {
    let k = tensor.shape.last().copied().unwrap_or(1).max(1);
    let n = tensor.data.len() / k / parts;
    let padded = n.next_multiple_of(multiple);
    let mut out = vec![0.0; k * parts * padded];
    for (row, values) in tensor.data.chunks_exact(k).enumerate() {
        let column = row / n.max(1) * padded + row % n.max(1);
        let places = out.iter_mut().skip(column).step_by(parts * padded);
        places.zip(values).for_each(|(place, value)| *place = *value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_splits_and_pads() {
        let tensor = Tensor {
            shape: vec![6, 2],
            data: (0..12u8).map(f32::from).collect(),
        };
        let rows = turned(&tensor, 2, 4);
        let want = [0, 2, 4, -1, 6, 8, 10, -1, 1, 3, 5, -1, 7, 9, 11, -1];
        assert_eq!(rows, want.map(|v: i8| f32::from(v.max(0))));
        assert_eq!(turned(&tensor, 1, 1)[..6], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    }
}
