//! What the integration tests share.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod golden;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use trm::backend::cpu::Cpu;
use trm::backend::reference::Reference;
use trm::backend::{Backend, Loaded};
use trm::quantize::Format;
use trm::task::{Puzzle, Records};
use trm::weights::{Tensor, Weights};
use trm::{Config, LoadOptions, Model};

/// A file or folder below tests/data.
pub(crate) fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

/// The first puzzles of a file below tests/data/puzzles, with their solutions.
pub(crate) fn puzzles(file: &str, count: usize) -> Vec<Puzzle> {
    let path = data("puzzles").join(file);
    let reader = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
    Records::new(reader, file)
        .take(count)
        .map(|r| r.unwrap().puzzle)
        .collect()
}

/// Every backend that must agree with the others; a GPU, where there is one, with each way of running the kernels.
pub(crate) fn backends(weights: &Weights) -> Vec<(&'static str, Arc<dyn Loaded>)> {
    let reference: Arc<dyn Backend> = Arc::new(Reference);
    let cpu: Arc<dyn Backend> = Arc::new(Cpu::new(Some(2)).unwrap());
    let all = [("reference", reference), ("cpu", cpu)];
    all.into_iter()
        .chain(gpu_backends(Format::F32))
        .map(|(name, backend)| (name, backend.load(weights.clone()).unwrap()))
        .collect()
}

/// A GPU, where there is one, that stores weights in a format, with each way of running the kernels.
#[cfg(feature = "gpu")]
pub(crate) fn gpu_backends(format: Format) -> Vec<(&'static str, Arc<dyn Backend>)> {
    use trm::backend::gpu::KernelSelection;
    let ways = [
        ("gpu tiled", KernelSelection::Tiled),
        ("gpu direct", KernelSelection::Direct),
        ("gpu split", KernelSelection::Split),
    ];
    let told = |gpu: trm::backend::gpu::Gpu| {
        ways.map(|(name, kernels)| {
            let gpu = gpu.clone().with_format(format).with_kernels(kernels);
            (name, Arc::new(gpu) as Arc<dyn Backend>)
        })
    };
    gpu().map(told).into_iter().flatten().collect()
}

#[cfg(not(feature = "gpu"))]
pub(crate) fn gpu_backends(_: Format) -> Vec<(&'static str, Arc<dyn Backend>)> {
    Vec::new()
}

/// The best GPU, opened once for all tests of a program. Software will do. Where `TRM_REQUIRE_GPU` is 1, none is a failure.
#[cfg(feature = "gpu")]
pub(crate) fn gpu() -> Option<trm::backend::gpu::Gpu> {
    use trm::backend::gpu::Gpu;
    static OPENED: std::sync::OnceLock<Option<Gpu>> = std::sync::OnceLock::new();
    let open = || match Gpu::open(None) {
        Ok(gpu) => Some(gpu),
        Err(e) if std::env::var("TRM_REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("{e}"),
        Err(e) => {
            eprintln!("skipped: no adapter: {e}");
            None
        }
    };
    OPENED.get_or_init(open).clone()
}

/// Reproducible noise without a dependency: xorshift, uniform in -1 .. 1.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(crate) fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.next() + 1.0) / 2.0 * n as f32) as usize % n
    }
}

/// The model of a golden case at the published sizes, with random weights.
pub(crate) fn full_size(case: &str, cells: usize, (h_cycles, l_cycles): (usize, usize)) -> (Config, Weights) {
    let mut config = Model::open(data("golden").join(case), &LoadOptions::default())
        .unwrap()
        .config
        .clone();
    config.seq_len = Some(cells);
    (config.hidden_size, config.num_heads, config.inner) = (512, 8, 1536);
    (config.puzzle_emb_ndim, config.puzzle_emb_len) = (512, 16);
    (config.h_cycles, config.l_cycles, config.l_layers) = (h_cycles, l_cycles, 2);
    if config.mlp_t {
        config.token_inner = 512;
    }
    let mut noise = Noise(12);
    let tensors: HashMap<_, _> = config
        .weights()
        .into_iter()
        .map(|weight| {
            let shape = weight.shape(&config);
            let scale = 1.7 / (*shape.last().unwrap() as f32).sqrt();
            let values = noise.values(shape.iter().product()).into_iter();
            let data = values.map(|v| v * scale).collect();
            (weight, Tensor { shape, data })
        })
        .collect();
    (config, Weights::from_tensors(tensors))
}
