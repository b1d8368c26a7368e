//! The cost of steps without an active slot, on the host and on the device.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trm_runtime::Solver;
use trm_runtime::low_level::backend::{Backend, HaltParams, PipelinedProgram, SlotStatus};

use crate::alone;
use crate::gpu::gpu;
use crate::models::{self, Scale};

/// Steps that are submitted after the last puzzle has halted cost little: a hundredth of the time
/// of a full step if that takes long. On a fast GPU they cost the launches of kernels without
/// workgroups, 2 microseconds each on an H200.
#[test]
fn steps_after_the_last_halt_are_free() {
    let _alone = alone();
    let Some(gpu) = gpu() else { return };
    let solver = Solver::bundled("sudoku-9x9").unwrap();
    let plan = Arc::new(solver.plan(81).unwrap());
    let loaded = gpu.load(solver.model().take_weights().unwrap()).unwrap();
    let mut program = loaded.program(plan.clone(), 3).unwrap();
    program.run(plan.embed(), &[0, 1, 2]).unwrap();
    let rule = HaltParams {
        threshold: f32::INFINITY,
        minus_continue: false,
        min_steps: 1,
        max_steps: 4,
    };
    let pipeline = program.pipelined().unwrap();
    let time = |pipeline: &mut dyn PipelinedProgram, steps: usize| {
        let start = Instant::now();
        (0..steps).for_each(|_| pipeline.submit_step(&rule).unwrap());
        let records: Vec<_> = (0..steps)
            .map(|_| pipeline.collect_step().unwrap())
            .collect();
        (start.elapsed(), records)
    };
    assert!(time(pipeline, 1).1[0].is_empty(), "no slot is active yet");
    for slot in [0, 2] {
        pipeline.activate(slot, slot as u32).unwrap();
    }
    let (full, records) = time(pipeline, 4);
    let record = |slot, steps, is_active| SlotStatus {
        slot,
        steps,
        is_active,
    };
    assert_eq!(
        records,
        [
            vec![record(0, 1, true), record(2, 3, true)],
            vec![record(0, 2, true), record(2, 4, false)],
            vec![record(0, 3, true)],
            vec![record(0, 4, false)],
        ]
    );
    // The least of several times, because other processes may interfere.
    let idle = (0..10)
        .map(|_| time(pipeline, 4))
        .min_by_key(|(time, _)| *time);
    let (idle, records) = idle.unwrap();
    assert!(records.iter().all(Vec::is_empty));
    eprintln!("4 steps {full:?}, 4 steps without an active slot {idle:?}");
    let launches = Duration::from_micros(5) * (4 * plan.step().len()) as u32;
    assert!(
        idle < launches.max(full / 100),
        "{idle:?} of {full:?}, {launches:?} for launches"
    );
}

/// The host's time for submitting a step at full size, with all passes. No slot is active, so that
/// the device is idle. No resource is created after the first steps.
#[test]
fn submitting_a_step_is_cheap_and_creates_nothing() {
    let _alone = alone();
    let Some(gpu) = gpu() else { return };
    let (config, cells) = models::config("sudoku", Scale::Full);
    let plan = Arc::new(trm_runtime::low_level::build::build_plan(&config, cells));
    let loaded = gpu.load(models::weights(&config)).unwrap();
    let mut program = loaded.program(plan, 4).unwrap();
    let pipeline = program.pipelined().unwrap();
    let rule = HaltParams {
        threshold: 0.0,
        minus_continue: false,
        min_steps: 1,
        max_steps: 16,
    };
    (0..3).for_each(|_| pipeline.submit_step(&rule).unwrap());
    let made = gpu.resource_count();
    let mut least = Duration::MAX;
    for _ in 0..20 {
        assert!(pipeline.collect_step().unwrap().is_empty());
        let start = Instant::now();
        pipeline.submit_step(&rule).unwrap();
        least = least.min(start.elapsed());
    }
    eprintln!("submitting a step of 126 dispatches takes the host {least:?}");
    assert!(least < Duration::from_millis(1), "{least:?}");
    assert_eq!(gpu.resource_count(), made);
}
