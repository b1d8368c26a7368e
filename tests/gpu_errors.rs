//! What a GPU refuses: the message says which kernel, buffer or limit it is about, and the CPU takes over where there is a session.
#![cfg(feature = "gpu")]

mod common;

use std::sync::{Arc, Mutex};

use common::{data, gpu};
use trm::backend::gpu::{Gpu, KernelSelection};
use trm::backend::{Backend, Loaded, Program};
use trm::plan::Plan;
use trm::weights::Weights;
use trm::{Error, ErrorKind, HaltRule, Puzzle, Result, Solver};

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

/// A GPU that is asked for something else than what it is told.
#[derive(Debug)]
struct Asked<C> {
    gpu: Gpu,
    change: C,
}

#[derive(Debug)]
struct AskedWeights<C> {
    loaded: Arc<dyn Loaded>,
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
    fn load(&self, weights: Weights) -> Result<Arc<dyn Loaded>> {
        let loaded = self.gpu.load(weights)?;
        let change = self.change;
        Ok(Arc::new(AskedWeights { loaded, change }))
    }
}

impl<C: Change> Loaded for AskedWeights<C> {
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

fn puzzles() -> Vec<Puzzle> {
    let text = std::fs::read_to_string(data("puzzles/sudoku_4x4_test.csv")).unwrap();
    let puzzle = |line: &str| line.split(',').next().unwrap().parse().unwrap();
    text.lines().skip(1).take(3).map(puzzle).collect()
}

fn solver() -> Solver {
    Solver::bundled("sudoku-4x4").unwrap().halt(HaltRule::Verified)
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

/// Raw access gets the error; a session warns once with the same words, and its puzzles end on the CPU; and what failed leaves the
/// device as it was.
fn refused<C: Change>(change: C, parts: &[&str]) {
    let Some(gpu) = gpu() else { return };
    // The same kernels on every adapter, for their names.
    let gpu = gpu.with_kernels(KernelSelection::Tiled);
    let asked = Arc::new(Asked {
        gpu: gpu.clone(),
        change,
    });
    let solver = solver().backend(asked);
    expect(&solver.stepper(16, 2).unwrap_err(), parts);

    let _ = log::set_logger(&WARNINGS);
    log::set_max_level(log::LevelFilter::Warn);
    for puzzle in puzzles() {
        let answer = solver.solve(&puzzle).unwrap();
        assert_eq!((answer.device, answer.valid), ("cpu", Some(true)));
    }
    let warnings = WARNINGS.0.lock().unwrap();
    let about: Vec<_> = warnings.iter().filter(|w| w.contains(parts[0])).collect();
    // Each of the first two sessions asks the device anew; from then on the CPU stays.
    assert_eq!(about.len(), 2, "{warnings:?}");
    assert!(about[0].contains("the CPU"), "{about:?}");
    drop(warnings);

    let mut stepper = self::solver().backend(Arc::new(gpu)).stepper(16, 1).unwrap();
    stepper.load(0, &[2; 16], 0).unwrap();
    stepper.step(&[0]).unwrap();
    assert!(stepper.logits(0).unwrap().iter().all(|l| l.is_finite()));
}

#[test]
fn a_batch_beyond_a_buffer_is_refused() {
    refused(TooMany, &["a buffer here holds", "MiB", "a smaller batch"]);
}

/// The first slot too many, by the limit that the adapter reports; the message names the buffer.
#[test]
fn the_first_slot_too_many_is_refused() {
    let Some(gpu) = gpu() else { return };
    let solver = solver();
    let plan = Arc::new(solver.plan(16).unwrap());
    let best = trm::devices().into_iter().find(|d| d.missing.is_none()).unwrap();
    let loaded = gpu.load(solver.model().weights().unwrap()).unwrap();
    let longest = plan
        .buffers()
        .into_iter()
        .max_by_key(|b| b.len(&plan.dims))
        .unwrap();
    let slots = best.limits.buffer as usize / (longest.len(&plan.dims) * 4) + 1;
    let error = loaded.program(plan.clone(), slots).unwrap_err();
    expect(&error, &[&format!("{longest} takes"), "a buffer here holds"]);
}

#[test]
fn a_kernel_that_does_not_compile_is_named() {
    refused(NotFinite, &["kernel token_mix", "needs to be finite"]);
}

/// Mesa's OpenGL pretends to lack what is taken away from it, in a process of its own.
#[cfg(feature = "cli")]
mod missing {
    use std::io::Write;
    use std::process::{Command, Output};

    use serde_json::Value;

    fn without(extension: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trm-run"));
        let command = command.args(arguments).envs([("WGPU_BACKEND", "gl")]);
        let command = command.env("MESA_EXTENSION_OVERRIDE", format!("-{extension}"));
        command.env_remove("TRM_LOG").output().unwrap()
    }

    fn have_mesa() -> bool {
        let output = without("none", &["devices", "--json"]);
        let known: Value = serde_json::from_slice(&output.stdout).unwrap();
        let devices = known["devices"].as_array().unwrap();
        let mesa = devices
            .iter()
            .any(|d| d["driver"].as_str().unwrap().contains("Mesa"));
        if !mesa {
            std::io::stderr()
                .write_all(b"skipped: no OpenGL of Mesa\n")
                .unwrap();
        }
        mesa
    }

    #[test]
    fn a_missing_limit_is_named() {
        if !have_mesa() {
            return;
        }
        let puzzle = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/puzzles/sudoku-4x4.json");
        let cases = [
            ("GL_ARB_compute_shader", "it has no compute shaders"),
            (
                "GL_ARB_shader_storage_buffer_object",
                "its max_storage_buffers_per_shader_stage is 0, 8 are needed",
            ),
        ];
        for (extension, missing) in cases {
            let listed = without(extension, &["devices", "--json"]);
            let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
            let device = &listed["devices"][0];
            assert_eq!(device["usable"], false, "{device}");
            assert_eq!(device["missing"], missing);
            assert_eq!(listed["auto"], "cpu");
            for name in ["gpu", "gpu:0"] {
                let output = without(extension, &["--device", name, puzzle]);
                let error = String::from_utf8(output.stderr).unwrap();
                assert_eq!(output.status.code(), Some(2), "{error}");
                assert!(error.contains(missing) && error.lines().count() == 1, "{error}");
            }
            // Nobody asked for a GPU: the CPU runs, and says nothing.
            let output = without(extension, &["--quiet", puzzle]);
            assert_eq!(output.status.code(), Some(0));
        }
    }
}
