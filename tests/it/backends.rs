//! Every backend that must compute the same.

use std::sync::Arc;

use trm_runtime::low_level::backend::cpu::Cpu;
use trm_runtime::low_level::backend::reference::Reference;
use trm_runtime::low_level::backend::{Backend, DeviceWeights};
use trm_runtime::low_level::dtype::WeightDtype;
use trm_runtime::low_level::weights::Weights;

/// Every backend with these weights: the reference, the CPU, and each kernel implementation of the
/// GPU if there is one and it is wanted.
pub(crate) fn backends(
    weights: &Weights,
    on_gpu: bool,
) -> Vec<(&'static str, Arc<dyn DeviceWeights>)> {
    let reference: Arc<dyn Backend> = Arc::new(Reference);
    let cpu: Arc<dyn Backend> = Arc::new(Cpu::new(Some(2)).unwrap());
    let mut all = vec![("reference", reference), ("cpu", cpu)];
    if on_gpu {
        all.extend(gpu_backends(WeightDtype::F32));
    }
    let load = |backend: Arc<dyn Backend>| backend.load(weights.clone()).unwrap();
    all.into_iter()
        .map(|(name, backend)| (name, load(backend)))
        .collect()
}

/// The GPU with weights in `format`, once for each kernel implementation; empty without a GPU.
#[cfg(feature = "gpu")]
pub(crate) fn gpu_backends(format: WeightDtype) -> Vec<(&'static str, Arc<dyn Backend>)> {
    use trm_runtime::low_level::backend::gpu::KernelSelection;
    let ways = [
        ("gpu tiled", KernelSelection::Tiled),
        ("gpu direct", KernelSelection::Direct),
        ("gpu split", KernelSelection::Split),
    ];
    let told = |gpu: trm_runtime::low_level::backend::gpu::Gpu| {
        ways.map(|(name, kernels)| {
            let gpu = gpu.clone().with_dtype(format).with_kernels(kernels);
            (name, Arc::new(gpu) as Arc<dyn Backend>)
        })
    };
    crate::gpu::gpu().map(told).into_iter().flatten().collect()
}

#[cfg(not(feature = "gpu"))]
pub(crate) fn gpu_backends(_: WeightDtype) -> Vec<(&'static str, Arc<dyn Backend>)> {
    Vec::new()
}
