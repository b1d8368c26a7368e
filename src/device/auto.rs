//! `--device auto`: whether a real GPU is faster than the CPU for a model and a batch.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::request::{Loads, Wish, load, open_gpu};
use crate::backend::info::{DeviceInfo, DeviceKind};
use crate::error::Result;
use crate::import::Model;
use crate::model::dtype::Format;
use crate::model::plan::{Buffer, Plan};

/// Billions of operations of a step below which no GPU is looked for: a CPU takes some ten milliseconds for them, and the look
/// alone costs more, in time and in the memory of the drivers.
const SMALL: f64 = 4.0;

/// What was chosen, and why.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The GPU, if it is faster.
    pub(crate) gpu: Option<Loads>,
    /// The reason, for people.
    pub(crate) why: String,
}

impl Choice {
    fn cpu(why: impl Into<String>) -> Choice {
        Choice {
            gpu: None,
            why: why.into(),
        }
    }
}

/// A GPU on which steps of `slots` puzzles are faster than on the CPU. One that fails is none.
pub(crate) fn faster_gpu(model: &Model, cpu: &Loads, slots: usize, wish: &Wish) -> Choice {
    sought(model, cpu, slots, wish).unwrap_or_else(|e| Choice::cpu(format!("the GPU failed: {e}")))
}

fn sought(model: &Model, cpu: &Loads, slots: usize, wish: &Wish) -> Result<Choice> {
    let plan = Arc::new(model.plan(model.config.seq_len.unwrap_or(81))?);
    if plan.gflop_per_step() * (slots as f64) < SMALL {
        return Ok(Choice::cpu("a step of this model and batch is small"));
    }
    if !may_have_gpu() {
        return Ok(Choice::cpu("there is no GPU"));
    }
    let usable = |d: &DeviceInfo| d.missing.is_none() && d.kind != DeviceKind::Software;
    let Some(info) = crate::device::devices().into_iter().find(usable) else {
        return Ok(Choice::cpu("there is no GPU that can run the kernels"));
    };
    let threads = wish.threads;
    let name = figures_name(&info, &plan, slots, wish.format);
    let open = || load(&*open_gpu(Some(info.number), wish)?, model);
    if let Some(figures) = wish.cache.get(&name).and_then(|v| Figures::kept(&v, threads)) {
        let gpu = if figures.gpu_is_faster() {
            Some(open()?)
        } else {
            None
        };
        let why = format!("{figures} on {info}, as measured before");
        return Ok(Choice { gpu, why });
    }
    let gpu = open()?;
    let figures = Figures::measure(cpu, &gpu, &plan, slots)?;
    wish.cache.keep(&name, figures.to_keep(threads));
    Ok(Choice {
        gpu: figures.gpu_is_faster().then_some(gpu),
        why: format!("{figures} on {info}"),
    })
}

/// The name under which a measurement is kept: everything that it depends on but the CPU.
fn figures_name(info: &DeviceInfo, plan: &Plan, slots: usize, format: Format) -> String {
    let work = plan.gflop_per_step();
    format!(
        "auto: {} ({}, {}), {work:.4} GFLOP x {slots} in {format}",
        info.name, info.backend, info.driver
    )
}

/// What the first part of a step takes on both devices.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figures {
    cpu: Duration,
    gpu: Duration,
}

impl Figures {
    fn measure(cpu: &Loads, gpu: &Loads, plan: &Arc<Plan>, slots: usize) -> Result<Figures> {
        Ok(Figures {
            cpu: time(cpu, plan, slots)?,
            gpu: time(gpu, plan, slots)?,
        })
    }

    /// From the cache, if the CPU ran on as many threads.
    fn kept(value: &serde_json::Value, threads: Option<usize>) -> Option<Figures> {
        let seconds = |name| Duration::try_from_secs_f64(value.get(name)?.as_f64()?).ok();
        let same = value.get("threads")?.as_u64() == threads.map(|n| n as u64);
        same.then_some(Figures {
            cpu: seconds("cpu")?,
            gpu: seconds("gpu")?,
        })
    }

    fn to_keep(self, threads: Option<usize>) -> serde_json::Value {
        let [cpu, gpu] = [self.cpu, self.gpu].map(|time| time.as_secs_f64());
        json!({ "cpu": cpu, "gpu": gpu, "threads": threads })
    }

    fn gpu_is_faster(&self) -> bool {
        self.gpu < self.cpu
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [cpu, gpu] = [self.cpu, self.gpu].map(|time| time.as_secs_f64() * 1e3);
        write!(f, "a part of a step takes {cpu:.1} ms on the CPU, {gpu:.1} ms")
    }
}

/// Time that the first part of a step takes for `slots` puzzles, once everything is warm.
fn time(on: &Loads, plan: &Arc<Plan>, slots: usize) -> Result<Duration> {
    /// Billions of operations that tell enough: a tenth of a second on a slow CPU.
    const ENOUGH: f64 = 1.0;
    let mut program = on.loaded.program(plan.clone(), slots)?;
    let mut part = plan.step();
    let mut work = 0.0;
    for (number, call) in plan.calls.iter().enumerate().skip(part.start) {
        work += call.flops(&plan.dims) as f64 * slots as f64 / 1e9;
        if work > ENOUGH {
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
        // A GPU has finished when something can be read.
        program.read(Buffer::Input, 0, &mut input)?;
        Ok(start.elapsed())
    };
    run().and_then(|_| run())
}

/// Whether it is worth to load the drivers, which takes tens of megabytes. On Linux a real GPU has a node below `/dev`; where
/// there is none, drivers can only offer software.
fn may_have_gpu() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let render = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("render");
    let rendering = std::fs::read_dir("/dev/dri").is_ok_and(|nodes| nodes.flatten().any(render));
    let others = [
        "/dev/nvidiactl",
        "/dev/dxg",
        "/dev/kgsl-3d0",
        "/dev/mali0",
        "/dev/pvr_sync",
    ];
    rendering || others.iter().any(|node| std::path::Path::new(node).exists())
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;

    /// The measurement behind `auto`, on whatever there is: `auto` itself never asks software.
    #[test]
    fn both_devices_can_be_timed() {
        let solver = crate::Solver::bundled("sudoku-4x4").unwrap();
        let plan = Arc::new(solver.plan(16).unwrap());
        let cpu = load(&Cpu::new(Some(1)).unwrap(), solver.model()).unwrap();
        assert!(time(&cpu, &plan, 1).unwrap() > Duration::ZERO);
        match open_gpu(None, &Wish::default()) {
            Ok(gpu) => {
                let gpu = load(&*gpu, solver.model()).unwrap();
                assert!(gpu.is_replaceable() && !cpu.is_replaceable());
                let figures = Figures::measure(&cpu, &gpu, &plan, 3).unwrap();
                assert!(figures.cpu > Duration::ZERO && figures.gpu > Duration::ZERO);
            }
            Err(e) if std::env::var("TRM_REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("{e}"),
            Err(e) => eprintln!("skipped: no adapter: {e}"),
        }
    }

    #[test]
    fn figures_come_back_for_as_many_threads() {
        let figures = Figures {
            cpu: Duration::from_micros(1500),
            gpu: Duration::from_micros(20_250),
        };
        assert!(!figures.gpu_is_faster());
        assert_eq!(
            figures.to_string(),
            "a part of a step takes 1.5 ms on the CPU, 20.2 ms"
        );
        let kept = figures.to_keep(Some(2));
        assert_eq!(Figures::kept(&kept, Some(2)), Some(figures));
        assert_eq!(Figures::kept(&kept, None), None);
        assert_eq!(
            Figures::kept(&json!({ "cpu": -1, "gpu": 1, "threads": null }), None),
            None
        );
    }
}
