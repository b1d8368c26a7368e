//! Times each kernel and whole refinement steps on the CPU. `cargo bench --bench cpu -- --help`
//! lists the options; docs/performance.md explains the results.

#[path = "models/mod.rs"]
mod models;

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use models::{Noise, Scale};
use trm_runtime::WeightDtype;
use trm_runtime::low_level::backend::cpu::Cpu;
use trm_runtime::low_level::backend::{Backend, DeviceWeights, Program};
use trm_runtime::low_level::build::build_plan;
use trm_runtime::low_level::plan::Plan;

/// The models and batch sizes that are timed.
const TIMED: [(&str, &[usize]); 3] = [("sudoku", &[1, 16]), ("maze", &[1]), ("small", &[1, 16])];

const DTYPES: [WeightDtype; 2] = [WeightDtype::F32, WeightDtype::Int8];

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(10)
        .configure_from_args();
    let cpu = Cpu::new(None).expect("the CPU backend");
    eprintln!(
        "cpu: {}, {} threads",
        cpu.instructions().name(),
        cpu.threads()
    );
    for (name, batches) in TIMED {
        let (config, cells) = models::config(name, Scale::Full);
        let plan = Arc::new(build_plan(&config, cells));
        for dtype in DTYPES {
            let loaded = OnceCell::new();
            let load = || {
                let cpu = cpu.clone().with_dtype(dtype);
                let load = || cpu.load(models::weights(&config)).expect("random weights");
                loaded.get_or_init(load).clone()
            };
            for &batch in batches {
                let bench = Bench {
                    name: format!("{name}/{dtype}/{batch}"),
                    load: &load,
                    batch,
                };
                bench.run(&mut criterion, &plan);
            }
        }
    }
    criterion.final_summary();
}

/// A model in one dtype, with one batch size.
struct Bench<'a> {
    name: String,
    /// Loads the model. Called only if the filter selects one of its benchmarks.
    load: &'a dyn Fn() -> Arc<dyn DeviceWeights>,
    /// Number of puzzles.
    batch: usize,
}

impl Bench<'_> {
    /// Times each distinct call, then a whole step: all passes and both heads. A call that is
    /// repeated finds its weights in the caches, unlike in a step.
    fn run(&self, criterion: &mut Criterion, plan: &Arc<Plan>) {
        for distinct in models::distinct_calls(plan) {
            let only = Plan {
                dims: plan.dims,
                embed_calls: 0,
                calls: vec![distinct.call],
            };
            let name = format!("{}/{}", self.name, distinct.name);
            self.time(criterion, "kernel", &name, &Arc::new(only));
        }
        self.time(criterion, "step", &self.name, plan);
    }

    /// Times all calls of a plan that belong to a step.
    fn time(&self, criterion: &mut Criterion, group: &str, name: &str, plan: &Arc<Plan>) {
        let live: Vec<usize> = (0..self.batch).collect();
        let calls = &plan.calls[plan.step()];
        let flops: u64 = calls.iter().map(|call| call.flops(&plan.dims)).sum();
        let mut program = None;
        let mut group = criterion.benchmark_group(group);
        group.sampling_mode(SamplingMode::Flat);
        if flops > 0 {
            group.throughput(Throughput::Elements(flops * self.batch as u64));
        }
        group.bench_function(name, |bencher| {
            let program = program.get_or_insert_with(|| self.program(plan));
            bencher.iter(|| program.run(plan.step(), &live).expect("a step"));
        });
        group.finish();
    }

    /// Creates a program whose slots are filled with noise.
    fn program(&self, plan: &Arc<Plan>) -> Box<dyn Program> {
        let loaded = (self.load)();
        let mut program = loaded.program(plan.clone(), self.batch).expect("memory");
        for slot in 0..self.batch {
            fill(&mut *program, slot, plan);
        }
        program
    }
}

/// Fills every buffer of a slot: tokens with valid values, the others with noise.
fn fill(program: &mut dyn Program, slot: usize, plan: &Plan) {
    let dims = &plan.dims;
    let mut noise = Noise(7);
    for buffer in plan.buffers() {
        let filled = if buffer.is_integer() {
            let tokens: Vec<u32> = (0..buffer.len(dims))
                .map(|i| (i % dims.vocab) as u32)
                .collect();
            program.write_integers(buffer, slot, &tokens)
        } else {
            program.write(buffer, slot, &noise.values(buffer.len(dims)))
        };
        filled.expect("a buffer of the plan");
    }
}
