//! The adapter's matmul ceiling: the highest GFLOP/s that a large f32 matrix product reaches here.
//!
//! All kernels compute in f32. Candidates are a plain product (`product.rs`) and the library's own
//! kernels at the same size.

use std::collections::HashMap;

use trm_runtime::low_level::backend::Backend;
use trm_runtime::low_level::backend::gpu::{Gpu, KernelSelection};
use trm_runtime::low_level::config::Level;
use trm_runtime::low_level::plan::{Buffer, Call, Dims};
use trm_runtime::low_level::weights::{Tensor, Weight, Weights};
use trm_runtime::{DeviceInfo, Result};

use crate::models::{Noise, Scale};
use crate::timing::TimeBudget;
use crate::{kernels, product};

/// The name of a candidate, and its GFLOP/s or why it failed.
pub(crate) type CeilingResult = (String, std::result::Result<f64, String>);

/// Measures all candidates.
pub(crate) fn measure(
    gpu: &Gpu,
    info: &DeviceInfo,
    scale: Scale,
    budget: TimeBudget,
) -> Result<Vec<CeilingResult>> {
    let n = match scale {
        Scale::Full => 2048,
        Scale::Quick => 256,
    };
    let plain = product::gflops(info, n, budget);
    let mut all = vec![(
        format!("a plain product of {n} x {n} matrices, 8 x 8 in registers"),
        plain,
    )];
    let d = Dims {
        tokens: n,
        prefix: 0,
        positions: n,
        hidden: n,
        vocab: 2,
        inner: n,
        token_inner: 0,
        symbols: 0,
        mixer_inner: 0,
        box_shape: [0, 0],
        heads: 1,
        eps: 1e-5,
        rope_theta: None,
    };
    let (gate_up, down) = (Weight::GateUp(Level::L, 0), Weight::Down(Level::L, 0));
    let shapes = [
        (gate_up, vec![2 * n, n]),
        (down, vec![n, n]),
        (Weight::QHead, vec![2, n]),
        (Weight::QHeadBias, vec![2]),
    ];
    let mut noise = Noise(4);
    let tensors = shapes.into_iter().map(|(weight, shape)| {
        let scale = 1.7 / (n as f32).sqrt();
        let data = noise
            .values(shape.iter().product())
            .into_iter()
            .map(|v| v * scale)
            .collect();
        (weight, Tensor { shape, data })
    });
    let weights = Weights::from_tensors(tensors.collect::<HashMap<_, _>>());
    let swiglu = Call::Swiglu {
        gate_up,
        sources: vec![Buffer::Mixed],
        out: Buffer::Gated,
    };
    let project = Call::ProjectAddNorm {
        weight: down,
        input: Buffer::Gated,
        residuals: vec![Buffer::Mixed],
        out: Buffer::Block,
    };
    for (name, selection, call) in [
        ("tiled", KernelSelection::Tiled, &swiglu),
        ("direct", KernelSelection::Direct, &swiglu),
        ("direct", KernelSelection::Direct, &project),
        ("split", KernelSelection::Split, &project),
    ] {
        let loaded = gpu.clone().with_kernels(selection).load(weights.clone())?;
        let sample = kernels::time(&*loaded, d, call, 1, budget);
        let gflops = sample.map(|s| call.flops(&d) as f64 / s.best / 1e6);
        let name = format!("{} {name} of {n} positions, D {n}", call.kernel());
        all.push((name, gflops.map_err(|e| e.to_string())));
    }
    Ok(all)
}

/// Returns the fastest candidate.
pub(crate) fn best(all: &[CeilingResult]) -> Option<(&str, f64)> {
    let measured = all
        .iter()
        .filter_map(|(name, gflops)| Some((name.as_str(), *gflops.as_ref().ok()?)));
    measured.max_by(|a, b| a.1.total_cmp(&b.1))
}
