//! Every backend that must compute the same.

use std::sync::Arc;

use trm::backend::cpu::Cpu;
use trm::backend::reference::Reference;
use trm::backend::{Backend, Loaded};
use trm::quantize::Format;
use trm::weights::Weights;

/// Every backend with these weights: the reference, the CPU, and each kernel implementation of the
/// GPU if there is one and it is wanted.
pub(crate) fn backends(weights: &Weights, on_gpu: bool) -> Vec<(&'static str, Arc<dyn Loaded>)> {
    let reference: Arc<dyn Backend> = Arc::new(Reference);
    let cpu: Arc<dyn Backend> = Arc::new(Cpu::new(Some(2)).unwrap());
    let mut all = vec![("reference", reference), ("cpu", cpu)];
    if on_gpu {
        all.extend(gpu_backends(Format::F32));
    }
    let load = |backend: Arc<dyn Backend>| backend.load(weights.clone()).unwrap();
    all.into_iter()
        .map(|(name, backend)| (name, load(backend)))
        .collect()
}

/// The GPU with weights in `format`, once for each kernel implementation; empty without a GPU.
#[cfg(feature = "gpu")]
pub(crate) fn gpu_backends(format: Format) -> Vec<(&'static str, Arc<dyn Backend>)> {
    use trm::backend::gpu::Kernels;
    let ways = [
        ("gpu tiled", Kernels::Tiled),
        ("gpu direct", Kernels::Direct),
        ("gpu split", Kernels::Split),
    ];
    let told = |gpu: trm::backend::gpu::Gpu| {
        ways.map(|(name, kernels)| {
            let gpu = gpu.clone().with_format(format).with_kernels(kernels);
            (name, Arc::new(gpu) as Arc<dyn Backend>)
        })
    };
    crate::gpu::gpu().map(told).into_iter().flatten().collect()
}

#[cfg(not(feature = "gpu"))]
pub(crate) fn gpu_backends(_: Format) -> Vec<(&'static str, Arc<dyn Backend>)> {
    Vec::new()
}
