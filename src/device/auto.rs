//! [`Device::Auto`](super::Device::Auto): whether a hardware GPU is faster than the CPU for a model
//! and a batch size.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::request::{DeviceRequest, LoadedModel, load, open_gpu};
use crate::backend::info::{DeviceInfo, DeviceKind};
use crate::error::Result;
use crate::import::Model;
use crate::model::dtype::WeightDtype;
use crate::model::plan::{Buffer, Plan};

/// Smallest work of a step, in GFLOP, for which a GPU is considered. A CPU takes about 10 ms for
/// it. Loading the GPU drivers alone takes longer, and takes memory.
const MIN_GFLOP_PER_STEP: f64 = 4.0;

/// S of the measured plan if the model takes puzzles of any size.
const DEFAULT_TOKENS: usize = 81;

/// The choice between the CPU and a GPU.
#[derive(Debug)]
pub(crate) struct AutoDecision {
    /// The model on the GPU, if that is faster.
    pub(crate) gpu: Option<LoadedModel>,
    /// The reason, in plain words.
    pub(crate) reason: String,
}

impl AutoDecision {
    fn cpu(reason: impl Into<String>) -> Self {
        Self {
            gpu: None,
            reason: reason.into(),
        }
    }
}

/// Returns a GPU that runs steps of `slots` puzzles faster than the CPU, if there is one. A GPU
/// that fails counts as absent.
pub(crate) fn decide(
    model: &Model,
    cpu: &LoadedModel,
    slots: usize,
    request: &DeviceRequest,
) -> AutoDecision {
    choose_gpu(model, cpu, slots, request)
        .unwrap_or_else(|e| AutoDecision::cpu(format!("the GPU failed: {e}")))
}

fn choose_gpu(
    model: &Model,
    cpu: &LoadedModel,
    slots: usize,
    request: &DeviceRequest,
) -> Result<AutoDecision> {
    let plan = Arc::new(model.plan(model.config.seq_len.unwrap_or(DEFAULT_TOKENS))?);
    if plan.gflop_per_step() * (slots as f64) < MIN_GFLOP_PER_STEP {
        return Ok(AutoDecision::cpu("a step of this model and batch is small"));
    }
    if !gpu_node_exists() {
        return Ok(AutoDecision::cpu("no GPU was found"));
    }
    let usable = |d: &DeviceInfo| d.unsupported_reason.is_none() && d.kind != DeviceKind::Software;
    let Some(info) = super::devices().into_iter().find(usable) else {
        return Ok(AutoDecision::cpu(
            "no GPU was found that can run the kernels",
        ));
    };
    let threads = request.threads;
    let key = measurement_key(&info, &plan, slots, request.dtype);
    let open = || load(&*open_gpu(Some(info.number), request)?, model);
    let stored = request.measurements.get(&key);
    if let Some(times) = stored.and_then(|v| StepTimes::from_json(&v, threads)) {
        let gpu = if times.gpu_is_faster() {
            Some(open()?)
        } else {
            None
        };
        let reason = format!("{times} on {info}, as measured before");
        return Ok(AutoDecision { gpu, reason });
    }
    let gpu = open()?;
    let times = StepTimes::measure(cpu, &gpu, &plan, slots)?;
    request.measurements.put(&key, times.to_json(threads));
    Ok(AutoDecision {
        gpu: times.gpu_is_faster().then_some(gpu),
        reason: format!("{times} on {info}"),
    })
}

/// Returns the name under which a measurement is stored: everything that it depends on, except the
/// CPU.
fn measurement_key(info: &DeviceInfo, plan: &Plan, slots: usize, dtype: WeightDtype) -> String {
    let work = plan.gflop_per_step();
    format!(
        "auto: {} ({}, {}), {work:.4} GFLOP x {slots} in {dtype}",
        info.name, info.backend, info.driver
    )
}

/// Times of the first part of a step on both devices.
#[derive(Debug, Clone, Copy, PartialEq)]
struct StepTimes {
    cpu: Duration,
    gpu: Duration,
}

impl StepTimes {
    fn measure(
        cpu: &LoadedModel,
        gpu: &LoadedModel,
        plan: &Arc<Plan>,
        slots: usize,
    ) -> Result<Self> {
        Ok(Self {
            cpu: time(cpu, plan, slots)?,
            gpu: time(gpu, plan, slots)?,
        })
    }

    /// Reads a stored measurement. `None` if the CPU used another number of threads.
    fn from_json(value: &serde_json::Value, threads: Option<usize>) -> Option<Self> {
        let seconds = |name| Duration::try_from_secs_f64(value.get(name)?.as_f64()?).ok();
        let same = value.get("threads")?.as_u64() == threads.map(|n| n as u64);
        same.then_some(Self {
            cpu: seconds("cpu")?,
            gpu: seconds("gpu")?,
        })
    }

    fn to_json(self, threads: Option<usize>) -> serde_json::Value {
        let [cpu, gpu] = [self.cpu, self.gpu].map(|time| time.as_secs_f64());
        json!({ "cpu": cpu, "gpu": gpu, "threads": threads })
    }

    fn gpu_is_faster(&self) -> bool {
        self.gpu < self.cpu
    }
}

impl fmt::Display for StepTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [cpu, gpu] = [self.cpu, self.gpu].map(|time| time.as_secs_f64() * 1e3);
        write!(
            f,
            "a part of a step takes {cpu:.1} ms on the CPU, {gpu:.1} ms"
        )
    }
}

/// Returns the time of the first part of a step for `slots` puzzles, after one warm-up run.
fn time(on: &LoadedModel, plan: &Arc<Plan>, slots: usize) -> Result<Duration> {
    /// Work to measure. A slow CPU takes 100 ms for it.
    const MEASURED_GFLOP: f64 = 1.0;
    let mut program = on.weights.program(plan.clone(), slots)?;
    let mut part = plan.step();
    let mut work = 0.0;
    for (number, call) in plan.calls.iter().enumerate().skip(part.start) {
        work += call.flops(&plan.dims) as f64 * slots as f64 / 1e9;
        if work > MEASURED_GFLOP {
            part.end = number + 1;
            break;
        }
    }
    let live: Vec<usize> = (0..slots).collect();
    program.run(plan.embed(), &live)?;
    let mut input = vec![0.0; Buffer::Input.len(&plan.dims)];
    let mut run = || {
        let start = Instant::now();
        program.run(part.clone(), &live)?;
        // A readback waits for the GPU.
        program.read(Buffer::Input, 0, &mut input)?;
        Ok(start.elapsed())
    };
    run().and_then(|_| run())
}

/// Returns whether the machine may have a hardware GPU. If not, the GPU drivers are not loaded,
/// which saves tens of megabytes. On Linux a hardware GPU has a node below `/dev`.
fn gpu_node_exists() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let render =
        |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("render");
    let rendering = std::fs::read_dir("/dev/dri").is_ok_and(|nodes| nodes.flatten().any(render));
    let others = [
        "/dev/nvidiactl",
        "/dev/dxg",
        "/dev/kgsl-3d0",
        "/dev/mali0",
        "/dev/pvr_sync",
    ];
    rendering
        || others
            .iter()
            .any(|node| std::path::Path::new(node).exists())
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;

    /// Measures on any adapter. `auto` itself never measures a software GPU.
    #[test]
    fn both_devices_can_be_timed() {
        let solver = crate::Solver::bundled("sudoku-4x4").unwrap();
        let plan = Arc::new(solver.plan(16).unwrap());
        let cpu = load(&Cpu::new(Some(1)).unwrap(), solver.model()).unwrap();
        assert!(time(&cpu, &plan, 1).unwrap() > Duration::ZERO);
        match open_gpu(None, &DeviceRequest::default()) {
            Ok(gpu) => {
                let gpu = load(&*gpu, solver.model()).unwrap();
                assert!(gpu.is_replaceable() && !cpu.is_replaceable());
                let times = StepTimes::measure(&cpu, &gpu, &plan, 3).unwrap();
                assert!(times.cpu > Duration::ZERO && times.gpu > Duration::ZERO);
            }
            Err(e) if std::env::var("TRM_REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("{e}"),
            Err(e) => eprintln!("skipped: no adapter: {e}"),
        }
    }

    #[test]
    fn stored_times_are_valid_for_the_same_number_of_threads() {
        let times = StepTimes {
            cpu: Duration::from_micros(1500),
            gpu: Duration::from_micros(20_250),
        };
        assert!(!times.gpu_is_faster());
        assert_eq!(
            times.to_string(),
            "a part of a step takes 1.5 ms on the CPU, 20.2 ms"
        );
        let json = times.to_json(Some(2));
        assert_eq!(StepTimes::from_json(&json, Some(2)), Some(times));
        assert_eq!(StepTimes::from_json(&json, None), None);
        assert_eq!(
            StepTimes::from_json(&json!({ "cpu": -1, "gpu": 1, "threads": null }), None),
            None
        );
    }
}
