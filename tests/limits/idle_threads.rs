//! The threads of the CPU backend between steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trm_runtime::low_level::backend::Backend;
use trm_runtime::low_level::backend::cpu::Cpu;

use crate::models::{self, Scale};
use crate::{alone, in_own_process};

/// Returns the processor time of this process so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(10 * ticks)
}

#[test]
fn idle_threads_take_no_processor_time() {
    let _alone = alone();
    if !in_own_process("idle_threads::idle_threads_take_no_processor_time") {
        return;
    }
    let (config, cells) = models::config("sudoku", Scale::Quick);
    let plan = Arc::new(trm_runtime::low_level::build::build_plan(&config, cells));
    let loaded = Cpu::new(Some(4))
        .unwrap()
        .load(models::weights(&config))
        .unwrap();
    let mut program = loaded.program(plan.clone(), 1).unwrap();
    program.run(0..plan.calls.len(), &[0]).unwrap();
    // Threads spin for new work for a little longer than a step.
    std::thread::sleep(Duration::from_millis(300));
    let (start, before) = (Instant::now(), processor_time());
    std::thread::sleep(Duration::from_secs(1));
    let taken = processor_time() - before;
    assert!(
        taken * 20 < start.elapsed(),
        "{taken:?} of processor time in {:?}",
        start.elapsed()
    );
}
