//! Where a solver's model runs: which device is taken, and what stands in for one that fails.

use std::str::FromStr;
use std::sync::{Arc, Mutex};

use crate::backend::cpu::Cpu;
use crate::backend::reference::Reference;
use crate::backend::{Backend, Loaded};
use crate::checkpoint::Model;
use crate::error::{Error, ErrorKind, Result};

/// Where a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The CPU, or a real GPU where a short measurement finds it faster for the model.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The oracle: slow, plain loops.
    Reference,
    /// A GPU: the best there is, software that imitates one included, or one by its number in [`devices`](crate::devices()).
    Gpu(Option<usize>),
}

impl FromStr for Device {
    type Err = Error;

    /// `auto`, `cpu`, `reference`, `gpu`, `gpu:N`.
    fn from_str(name: &str) -> Result<Device> {
        Ok(match name {
            "auto" => Device::Auto,
            "cpu" => Device::Cpu,
            "reference" => Device::Reference,
            "gpu" => Device::Gpu(None),
            _ => match name.strip_prefix("gpu:").and_then(|n| n.parse().ok()) {
                Some(n) => Device::Gpu(Some(n)),
                None => {
                    return Err(Error::argument(format!(
                        "no device {name:?}: auto, cpu, reference, gpu or gpu:N"
                    )));
                }
            },
        })
    }
}

impl Device {
    /// An error if the device is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] for a GPU that does not exist or cannot run the kernels.
    pub fn check(self) -> Result<()> {
        match self {
            Device::Gpu(number) => open_gpu(number).map(drop),
            _ => Ok(()),
        }
    }
}

/// What a solver was told about its device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// The device.
    pub(crate) device: Device,
    /// A backend of the app's own, instead.
    pub(crate) backend: Option<Arc<dyn Backend>>,
    /// Threads of the CPU.
    pub(crate) threads: Option<usize>,
}

/// The weights on a device.
#[derive(Debug, Clone)]
pub(crate) struct Loads {
    /// The device's name.
    pub(crate) name: &'static str,
    /// The weights.
    pub(crate) loaded: Arc<dyn Loaded>,
}

impl Loads {
    /// Whether the CPU can stand in for the device.
    pub(crate) fn is_replaceable(&self) -> bool {
        !matches!(self.name, "cpu" | "reference")
    }
}

/// A solver's weights on the devices that it came to use. Made at the first use, shared by its clones.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    chosen: Option<Loads>,
    /// The CPU, once it had to stand in.
    spare: Option<Loads>,
    failures: usize,
}

/// A device that fails this often in a solver's life is not tried again.
const FAILURES: usize = 2;

impl Place {
    /// The weights on the device that is wished for. A device that failed before is opened anew.
    pub(crate) fn loads(&self, model: &Model, wish: &Wish) -> Result<Loads> {
        let mut used = self.lock();
        if let Some(chosen) = &used.chosen {
            return Ok(chosen.clone());
        }
        let chosen = match choose(model, wish) {
            // One that is not there is an error at first; one that was there, or is and cannot hold the model, is replaced.
            Err(Refused { error, opened })
                if error.kind() == ErrorKind::Device && (opened || used.failures > 0) =>
            {
                log::warn!("{error}; the CPU takes over");
                used.failures = FAILURES;
                used.spare(model, wish)?
            }
            Err(refused) => return Err(refused.error),
            Ok(chosen) => chosen,
        };
        used.chosen = Some(chosen.clone());
        Ok(chosen)
    }

    /// The weights on the CPU, after `failed` has failed.
    pub(crate) fn replace(&self, failed: &Loads, error: &Error, model: &Model, wish: &Wish) -> Result<Loads> {
        let mut used = self.lock();
        log::warn!("{error}; its puzzles start again on the CPU");
        let spare = used.spare(model, wish)?;
        // Only the first of several sessions over the same device counts.
        if used
            .chosen
            .as_ref()
            .is_some_and(|c| Arc::ptr_eq(&c.loaded, &failed.loaded))
        {
            used.failures += 1;
            used.chosen = (used.failures >= FAILURES).then(|| spare.clone());
        }
        Ok(spare)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Used> {
        // A poisoned lock means that loading panicked on another thread; nothing half-made is stored.
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Used {
    fn spare(&mut self, model: &Model, wish: &Wish) -> Result<Loads> {
        if let Some(spare) = &self.spare {
            return Ok(spare.clone());
        }
        let spare = load(&Cpu::new(wish.threads)?, model)?;
        self.spare = Some(spare.clone());
        Ok(spare)
    }
}

fn load(backend: &dyn Backend, model: &Model) -> Result<Loads> {
    Ok(Loads {
        name: backend.name(),
        loaded: backend.load(model.weights()?)?,
    })
}

/// Why a device was not taken.
struct Refused {
    error: Error,
    /// It is there, but failed.
    opened: bool,
}

fn choose(model: &Model, wish: &Wish) -> Result<Loads, Refused> {
    let absent = |error| Refused { error, opened: false };
    let backend: Arc<dyn Backend> = match (&wish.backend, wish.device) {
        (Some(backend), _) => backend.clone(),
        (None, Device::Reference) => Arc::new(Reference),
        (None, Device::Gpu(number)) => open_gpu(number).map_err(absent)?,
        (None, Device::Cpu | Device::Auto) => Arc::new(Cpu::new(wish.threads).map_err(absent)?),
    };
    let loads = load(&*backend, model).map_err(|error| Refused { error, opened: true })?;
    if wish.backend.is_none() && wish.device == Device::Auto {
        return Ok(faster_gpu(model, &loads).unwrap_or(loads));
    }
    Ok(loads)
}

#[cfg(feature = "gpu")]
fn open_gpu(number: Option<usize>) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(crate::backend::gpu::Gpu::open(number)?))
}

#[cfg(not(feature = "gpu"))]
fn open_gpu(_: Option<usize>) -> Result<Arc<dyn Backend>> {
    let message = "no GPU can be used: this build runs on the CPU only (--device cpu)";
    Err(Error::new(ErrorKind::Device, message))
}

#[cfg(not(feature = "gpu"))]
fn faster_gpu(_: &Model, _: &Loads) -> Option<Loads> {
    None
}

/// A real GPU on which this model's steps are faster than on the CPU. Says why not at the level of information.
#[cfg(feature = "gpu")]
fn faster_gpu(model: &Model, cpu: &Loads) -> Option<Loads> {
    match measured_gpu(model, cpu) {
        Ok(chosen) => chosen,
        Err(e) => {
            log::info!("auto: the CPU, for the GPU failed: {e}");
            None
        }
    }
}

#[cfg(feature = "gpu")]
fn measured_gpu(model: &Model, cpu: &Loads) -> Result<Option<Loads>> {
    use crate::devices::DeviceKind;

    let plan = crate::native::plan(model, model.config.seq_len.unwrap_or(81))?;
    if plan.gflop_per_step() < SMALL {
        log::info!("auto: the CPU, for a step of this model is small");
        return Ok(None);
    }
    if !may_have_gpu() {
        log::info!("auto: the CPU, for there is no GPU");
        return Ok(None);
    }
    let usable = |d: &crate::DeviceInfo| d.missing.is_none() && d.kind != DeviceKind::Software;
    let Some(info) = crate::devices().into_iter().find(usable) else {
        log::info!("auto: the CPU, for there is no GPU");
        return Ok(None);
    };
    let gpu = load(&*open_gpu(Some(info.number))?, model)?;
    let plan = Arc::new(plan);
    let (on_cpu, on_gpu) = (time(cpu, &plan)?, time(&gpu, &plan)?);
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let [slow, fast] = [on_cpu, on_gpu].map(milliseconds);
    let verdict = if on_gpu < on_cpu {
        info.to_string()
    } else {
        "the CPU".into()
    };
    log::info!("auto: {verdict}; a part of a step took {slow:.1} ms on the CPU, {fast:.1} ms on {info}");
    Ok((on_gpu < on_cpu).then_some(gpu))
}

/// Whether it is worth to load the drivers, which takes tens of megabytes. On Linux a real GPU has a node below `/dev`; where
/// there is none, drivers can only offer software.
#[cfg(feature = "gpu")]
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

/// Billions of operations of a step below which no GPU is looked for: a CPU takes some ten milliseconds for them, and the look
/// alone costs more, in time and in the memory of the drivers.
#[cfg(feature = "gpu")]
const SMALL: f64 = 4.0;

/// Time that the first part of a step takes for one puzzle, once everything is warm.
#[cfg(feature = "gpu")]
fn time(on: &Loads, plan: &Arc<crate::plan::Plan>) -> Result<std::time::Duration> {
    use crate::plan::Buffer;

    /// Billions of operations that tell enough: a tenth of a second on a slow CPU.
    const ENOUGH: f64 = 1.0;
    let mut program = on.loaded.program(plan.clone(), 1)?;
    let mut part = plan.step();
    let mut work = 0.0;
    for (number, call) in plan.calls.iter().enumerate().skip(part.start) {
        work += call.flops(&plan.dims) as f64 / 1e9;
        if work > ENOUGH {
            part.end = number + 1;
            break;
        }
    }
    program.run(plan.embed(), &[0])?;
    let mut input = vec![0.0; Buffer::Input.len(&plan.dims)];
    let mut run = || {
        let start = std::time::Instant::now();
        program.run(part.clone(), &[0])?;
        // A GPU has finished when something can be read.
        program.read(Buffer::Input, 0, &mut input)?;
        Ok(start.elapsed())
    };
    run().and_then(|_| run())
}

#[cfg(all(test, feature = "gpu", feature = "bundled"))]
mod tests {
    use super::*;

    /// The measurement behind `auto`, on whatever there is: `auto` itself never asks software.
    #[test]
    fn both_devices_can_be_timed() {
        let solver = crate::Solver::bundled("sudoku-4x4").unwrap();
        let plan = Arc::new(solver.plan(16).unwrap());
        let cpu = load(&Cpu::new(Some(1)).unwrap(), solver.model()).unwrap();
        assert!(time(&cpu, &plan).unwrap() > std::time::Duration::ZERO);
        match open_gpu(None) {
            Ok(gpu) => {
                let gpu = load(&*gpu, solver.model()).unwrap();
                assert!(gpu.is_replaceable() && !cpu.is_replaceable());
                assert!(time(&gpu, &plan).unwrap() > std::time::Duration::ZERO);
            }
            Err(e) if std::env::var("TRM_REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("{e}"),
            Err(e) => eprintln!("skipped: no adapter: {e}"),
        }
    }
}
