//! Times each kernel and whole refinement steps on a GPU: `cargo bench --bench gpu -- --help`.
//!
//! docs/performance.md explains the output.

mod args;
mod cases;
mod ceiling;
mod kernels;
#[path = "../models/mod.rs"]
mod models;
mod product;
mod report;
mod steps;
mod timing;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use trm_runtime::low_level::backend::gpu::Gpu;
use trm_runtime::low_level::backend::{Backend, DeviceWeights};
use trm_runtime::low_level::dtype::WeightDtype;
use trm_runtime::low_level::plan::Plan;
use trm_runtime::low_level::weights::Weights;
use trm_runtime::{DeviceInfo, Error, Result};

use args::{Args, NamedSelection, USAGE};
use models::DistinctCall;
use report::{KernelRow, ModelRow, Report, StepRow};
use timing::{Sample, TimeBudget};

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("error: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match bench(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &Args) -> Result<()> {
    let gpu = Gpu::open(args.device)?;
    let info = opened_adapter(args.device)?;
    let budget = TimeBudget::of(args.scale);
    let mut report = Report::new(info.clone(), args.scale);
    report.print_adapter();
    report.ceiling = ceiling::measure(&gpu, &info, args.scale, budget)?;
    report.print_ceiling();
    for name in &args.models {
        let (config, cells) = models::config(name, args.scale);
        let plan = Arc::new(trm_runtime::low_level::build::build_plan(&config, cells));
        let model = Model {
            name,
            weights: models::weights(&config),
            distinct: models::distinct_calls(&plan),
            plan,
        };
        report.add_model(ModelRow::new(name, &config, &model.plan, &model.distinct));
        Bench {
            args,
            gpu: &gpu,
            model: &model,
            budget,
            report: &mut report,
            measured: HashMap::new(),
        }
        .run();
    }
    report.print_steps();
    match &args.json {
        Some(path) => report.write(path),
        None => Ok(()),
    }
}

/// Returns the adapter that [`Gpu::open`] opens.
fn opened_adapter(number: Option<usize>) -> Result<DeviceInfo> {
    let mut all = trm_runtime::devices().into_iter();
    let found = match number {
        Some(number) => all.nth(number),
        None => all.find(|info| info.unsupported_reason.is_none()),
    };
    found.ok_or_else(|| {
        Error::new(
            trm_runtime::ErrorKind::Device,
            "the adapter is no longer available",
        )
    })
}

/// A model whose steps are timed.
#[derive(Debug)]
struct Model<'a> {
    name: &'a str,
    weights: Weights,
    distinct: Vec<DistinctCall>,
    plan: Arc<Plan>,
}

/// All measurements of one model.
#[derive(Debug)]
struct Bench<'a> {
    args: &'a Args,
    gpu: &'a Gpu,
    model: &'a Model<'a>,
    budget: TimeBudget,
    report: &'a mut Report,
    /// Times of calls, by what they depend on: call, slots, kernel selection and weight dtype.
    measured: HashMap<(String, usize, &'static str, &'static str), Option<Sample>>,
}

impl Bench<'_> {
    fn run(&mut self) {
        for &dtype in &self.args.dtypes {
            for &named in &self.args.selections {
                let gpu = self
                    .gpu
                    .clone()
                    .with_dtype(dtype)
                    .with_kernels(named.selection);
                let loaded = match gpu.load(self.model.weights.clone()) {
                    Ok(loaded) => loaded,
                    Err(e) => {
                        self.report
                            .fail(format!("{} {dtype} {}: {e}", self.model.name, named.name));
                        continue;
                    }
                };
                for &slots in &self.args.batches {
                    let kernels = (!self.args.steps_only)
                        .then(|| self.kernels(&*loaded, named, dtype, slots));
                    self.step(&*loaded, named, dtype, slots, kernels.flatten());
                }
            }
        }
    }

    /// Times every distinct call. Returns the sum over the calls of a step in ms, or `None` if one
    /// of them failed.
    fn kernels(
        &mut self,
        loaded: &dyn DeviceWeights,
        named: NamedSelection,
        dtype: WeightDtype,
        slots: usize,
    ) -> Option<f64> {
        let model = self.model;
        let times = model.distinct.iter().map(|distinct| {
            let sample = self.kernel(loaded, distinct, named, dtype, slots)?;
            Some(sample.best * distinct.count as f64)
        });
        // Times all of them, even if one fails.
        let times: Vec<Option<f64>> = times.collect();
        times.into_iter().sum()
    }

    fn kernel(
        &mut self,
        loaded: &dyn DeviceWeights,
        distinct: &DistinctCall,
        named: NamedSelection,
        dtype: WeightDtype,
        slots: usize,
    ) -> Option<Sample> {
        let kernels = distinct.kernels(named);
        let dtype = if distinct.depends_on_dtype() {
            dtype.name()
        } else {
            "f32"
        };
        let key = (distinct.name.clone(), slots, kernels, dtype);
        if let Some(known) = self.measured.get(&key) {
            return *known;
        }
        let dims = self.model.plan.dims;
        let timed = kernels::time(loaded, dims, &distinct.call, slots, self.budget);
        let row = KernelRow {
            model: self.model.name.to_string(),
            batch: slots,
            call: distinct.name.clone(),
            kernels,
            dtype,
            gflop: distinct.call.flops(&dims) as f64 * slots as f64 / 1e9,
            sample: timed.as_ref().ok().copied(),
        };
        self.report.add_kernel(row);
        if let Err(e) = &timed {
            self.report.fail(format!(
                "{} {} x {slots}: {e}",
                self.model.name, distinct.name
            ));
        }
        let sample = timed.ok();
        self.measured.insert(key, sample);
        sample
    }

    fn step(
        &mut self,
        loaded: &dyn DeviceWeights,
        named: NamedSelection,
        dtype: WeightDtype,
        slots: usize,
        kernels_ms: Option<f64>,
    ) {
        match steps::time(loaded, &self.model.plan, slots, self.budget) {
            Ok(step) => self.report.add_step(StepRow {
                model: self.model.name.to_string(),
                batch: slots,
                kernels: named.name,
                dtype: dtype.name(),
                gflop: self.model.plan.gflop_per_step() * slots as f64,
                step,
                kernels_ms,
            }),
            Err(e) => {
                let what = format!(
                    "step of {} x {slots}, {dtype} {}",
                    self.model.name, named.name
                );
                self.report.fail(format!("{what}: {e}"));
            }
        }
    }
}
