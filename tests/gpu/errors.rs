//! Errors of a GPU: the message names the kernel, buffer or limit, and a session falls back to the
//! CPU.

use std::sync::{Arc, Mutex};

use crate::rebuild::Rebuild;
use trm_runtime::low_level::backend::gpu::{Gpu, KernelSelection};
use trm_runtime::low_level::backend::{Backend, DeviceWeights, Program};
use trm_runtime::low_level::plan::Plan;
use trm_runtime::low_level::weights::Weights;
use trm_runtime::{Error, ErrorKind, Result};

use crate::gpu::gpu;
use crate::puzzles::{puzzles, solver};

/// Warnings of this process, in order.
struct Warnings(Mutex<Vec<String>>);

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("trm") && metadata.level() <= log::Level::Warn
    }
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }
    fn flush(&self) {}
}

/// A GPU backend that asks the GPU for something else than it was asked for.
#[derive(Debug)]
struct Asked<C> {
    gpu: Gpu,
    change: C,
}

#[derive(Debug)]
struct AskedWeights<C> {
    loaded: Arc<dyn DeviceWeights>,
    change: C,
}

/// What to ask for instead of a plan and a number of slots.
trait Change: Copy + std::fmt::Debug + Send + Sync + 'static {
    fn change(self, plan: Plan, slots: usize) -> (Plan, usize);
}

impl<C: Change> Backend for Asked<C> {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn tolerance(&self) -> f32 {
        self.gpu.tolerance()
    }
    fn load(&self, weights: Weights) -> Result<Arc<dyn DeviceWeights>> {
        let loaded = self.gpu.load(weights)?;
        let change = self.change;
        Ok(Arc::new(AskedWeights { loaded, change }))
    }
}

impl<C: Change> DeviceWeights for AskedWeights<C> {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let (plan, slots) = self.change.change((*plan).clone(), slots);
        self.loaded.program(Arc::new(plan), slots)
    }
}

/// More slots than a buffer holds.
#[derive(Debug, Clone, Copy)]
struct TooMany;

impl Change for TooMany {
    fn change(self, plan: Plan, slots: usize) -> (Plan, usize) {
        (plan, slots << 30)
    }
}

/// A constant that no driver compiles.
#[derive(Debug, Clone, Copy)]
struct NotFinite;

impl Change for NotFinite {
    fn change(self, mut plan: Plan, slots: usize) -> (Plan, usize) {
        plan.dims.eps = f32::NAN;
        (plan, slots)
    }
}

/// An error of the device whose text holds every one of `parts`.
fn expect(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Device, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    assert!(
        text.starts_with("gpu:") && !text.contains('\n'),
        "one line that begins with the adapter: {text}"
    );
    eprintln!("{text}");
}

/// A stepper returns the error. A session warns once with the same words, and its puzzles end on
/// the CPU. Afterwards the device works as before.
fn refused<C: Change>(change: C, parts: &[&str]) {
    let Some(gpu) = gpu() else { return };
    // The same kernels on every adapter, for their names.
    let gpu = gpu.with_kernels(KernelSelection::Tiled);
    let asked = Arc::new(Asked {
        gpu: gpu.clone(),
        change,
    });
    let solver = solver().rebuild(|b| b.backend(asked));
    expect(&solver.stepper(16, 2).unwrap_err(), parts);

    let _ = log::set_logger(&WARNINGS);
    log::set_max_level(log::LevelFilter::Warn);
    for puzzle in puzzles(3) {
        let answer = solver.solve(&puzzle).unwrap();
        assert_eq!(
            (answer.device, answer.valid),
            ("cpu", Some(true)),
            "{parts:?}"
        );
    }
    let warnings = WARNINGS.0.lock().unwrap();
    let about: Vec<_> = warnings.iter().filter(|w| w.contains(parts[0])).collect();
    // Each of the first two sessions tries the device. Then the CPU stays.
    assert_eq!(about.len(), 2, "{warnings:?}");
    assert!(about[0].contains("the CPU"), "{about:?}");
    drop(warnings);

    let mut stepper = crate::puzzles::solver()
        .rebuild(|b| b.backend(Arc::new(gpu)))
        .stepper(16, 1)
        .unwrap();
    stepper.load(0, &[2; 16], 0).unwrap();
    stepper.step(&[0]).unwrap();
    let logits = stepper.logits(0).unwrap();
    assert!(logits.iter().all(|l| l.is_finite()), "{logits:?}");
}

#[test]
fn a_batch_beyond_a_buffer_is_refused() {
    refused(TooMany, &["a buffer here holds", "MiB"]);
}

/// The first slot beyond the limit that the adapter reports is an error that names the buffer.
#[test]
fn the_first_slot_too_many_is_refused() {
    let Some(gpu) = gpu() else { return };
    let solver = solver();
    let plan = Arc::new(solver.plan(16).unwrap());
    let best = trm_runtime::devices()
        .into_iter()
        .find(|d| d.unsupported_reason.is_none())
        .unwrap();
    let loaded = gpu.load(solver.model().take_weights().unwrap()).unwrap();
    let longest = plan
        .buffers()
        .into_iter()
        .max_by_key(|b| b.len(&plan.dims))
        .unwrap();
    let slots = best.limits.buffer as usize / (longest.len(&plan.dims) * 4) + 1;
    let error = loaded.program(plan.clone(), slots).unwrap_err();
    expect(
        &error,
        &[&format!("{longest} takes"), "a buffer here holds"],
    );
}

#[test]
fn a_kernel_that_does_not_compile_is_named() {
    refused(NotFinite, &["kernel token_mix", "needs to be finite"]);
}
