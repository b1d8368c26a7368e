//! What steps cost that nobody takes part in: the host's share, and that of the device. In a program of their own, one after the other, for
//! on software adapters other tests would be measured too.
#![cfg(feature = "gpu")]

mod common;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use common::{full_size, gpu};
use trm::Solver;
use trm::backend::{Ahead, Backend, Record, Rule};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

/// Once all puzzles have ended, what was started ahead of the host's knowledge costs next to nothing: a hundredth of the work where that takes long,
/// and on a fast card what launching kernels without workgroups does (2 microseconds each on an H200).
#[test]
fn steps_after_the_last_halt_are_free() {
    let _alone = alone();
    let Some(gpu) = gpu() else { return };
    let solver = Solver::bundled("sudoku-9x9").unwrap();
    let plan = Arc::new(solver.plan(81).unwrap());
    let loaded = gpu.load(solver.model().weights().unwrap()).unwrap();
    let mut program = loaded.program(plan.clone(), 3).unwrap();
    program.run(plan.embed(), &[0, 1, 2]).unwrap();
    let rule = Rule {
        threshold: f32::INFINITY,
        minus_continue: false,
        min_steps: 1,
        max_steps: 4,
    };
    let ahead = program.ahead().unwrap();
    let time = |ahead: &mut dyn Ahead, steps: usize| {
        let start = Instant::now();
        (0..steps).for_each(|_| ahead.start(&rule).unwrap());
        let records: Vec<_> = (0..steps).map(|_| ahead.finish().unwrap()).collect();
        (start.elapsed(), records)
    };
    assert!(time(ahead, 1).1[0].is_empty(), "nobody takes part yet");
    for slot in [0, 2] {
        ahead.resume(slot, slot as u32).unwrap();
    }
    let (full, records) = time(ahead, 4);
    let record = |slot, steps, goes_on| Record { slot, steps, goes_on };
    assert_eq!(
        records,
        [
            vec![record(0, 1, true), record(2, 3, true)],
            vec![record(0, 2, true), record(2, 4, false)],
            vec![record(0, 3, true)],
            vec![record(0, 4, false)],
        ]
    );
    // The quietest of several times: other tests keep the machine busy.
    let idle = (0..10).map(|_| time(ahead, 4)).min_by_key(|(time, _)| *time);
    let (idle, records) = idle.unwrap();
    assert!(records.iter().all(Vec::is_empty));
    eprintln!("4 steps {full:?}, 4 steps of nobody {idle:?}");
    let launches = Duration::from_micros(5) * (4 * plan.step().len()) as u32;
    assert!(
        idle < launches.max(full / 100),
        "{idle:?} of {full:?}, {launches:?} for launches"
    );
}

/// What a step costs the host: full size, all passes, nobody live, so that the device has nothing to do. And once steps have been
/// taken, nothing is made any more.
#[test]
fn starting_a_step_is_cheap_and_makes_nothing() {
    let _alone = alone();
    let Some(gpu) = gpu() else { return };
    let (config, weights) = full_size("trm_mlp", 81, (3, 6));
    let plan = Arc::new(trm::model::record(&config, 81));
    let loaded = gpu.load(weights).unwrap();
    let mut program = loaded.program(plan, 4).unwrap();
    let ahead = program.ahead().unwrap();
    let rule = Rule {
        threshold: 0.0,
        minus_continue: false,
        min_steps: 1,
        max_steps: 16,
    };
    (0..3).for_each(|_| ahead.start(&rule).unwrap());
    let made = gpu.resource_count();
    let mut least = Duration::MAX;
    for _ in 0..20 {
        assert!(ahead.finish().unwrap().is_empty());
        let start = Instant::now();
        ahead.start(&rule).unwrap();
        least = least.min(start.elapsed());
    }
    eprintln!("starting a step of 126 dispatches takes the host {least:?}");
    assert!(least < Duration::from_millis(1), "{least:?}");
    assert_eq!(gpu.resource_count(), made);
}
