//! A step that is ended early, and a process that is forked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use trm_runtime::low_level::backend::StopSignal;
use trm_runtime::task::{Cells, Puzzle};
use trm_runtime::{Device, ErrorKind, Session, Solver, WeightDtype};

use crate::made::attention_of_any_length;

/// The longest puzzle. One step of it takes over half a minute on one thread.
const LONGEST: usize = 65_536;

fn long_puzzle() -> Puzzle {
    Puzzle::from(Cells::Tokens((0..LONGEST as i64).map(|i| i % 6).collect()))
}

fn long_session(dtype: WeightDtype, puzzles: usize, limit: Option<Duration>) -> Session {
    let mut builder = Solver::builder()
        .device(Device::Cpu)
        .dtype(dtype)
        .threads(2)
        .kind(trm_runtime::task::TaskKind::Tokens);
    if let Some(limit) = limit {
        builder = builder.time_limit(limit);
    }
    let solver = builder.build(attention_of_any_length()).unwrap();
    solver.session(&vec![long_puzzle(); puzzles]).unwrap()
}

/// Both ways in which threads share a batch: two slots run one on each thread, one slot runs on
/// both.
const BATCHES: [usize; 2] = [1, 2];

#[test]
fn a_deadline_ends_a_long_step() {
    for dtype in [WeightDtype::F32, WeightDtype::Int8] {
        for puzzles in BATCHES {
            let mut session = long_session(dtype, puzzles, Some(Duration::from_secs(1)));
            let started = Instant::now();
            let error = session.next_step().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
            let taken = started.elapsed();
            assert!(
                taken < Duration::from_secs(6),
                "{dtype}, {puzzles}: {taken:?}"
            );
            assert_eq!(session.unfinished(), puzzles);
        }
    }
}

#[test]
fn a_token_ends_a_long_step() {
    for puzzles in BATCHES {
        let mut session = long_session(WeightDtype::F32, puzzles, None);
        let token = session.cancel_token();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            token.cancel();
            Instant::now()
        });
        let error = session.next_answers().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        let taken = canceller.join().unwrap().elapsed();
        assert!(taken < Duration::from_secs(5), "{puzzles}: {taken:?}");
    }
}

/// A signal that is set from its `n`-th evaluation on.
fn stop_at(n: usize) -> StopSignal {
    let count = Arc::new(AtomicUsize::new(0));
    StopSignal::new(move || count.fetch_add(1, Ordering::Relaxed) + 1 >= n)
}

/// Stopped anywhere in a step, a puzzle that is loaded again has the same results to the bit.
#[test]
fn a_step_that_was_stopped_can_be_taken_again() {
    let tokens = [1, 1, 1, 1, 1, 3, 1, 5, 5, 1, 2, 1, 3, 2, 1, 4];
    for device in [Device::Cpu, Device::Reference] {
        let builder = Solver::builder().device(device).threads(2);
        let solver = builder.bundled("sudoku-4x4").unwrap();
        let mut stepper = solver.stepper(16, 3).unwrap();
        let load = |stepper: &mut Box<dyn trm_runtime::low_level::Inspect>| {
            (0..3).for_each(|slot| stepper.load(slot, &tokens, 0).unwrap());
        };
        load(&mut stepper);
        stepper.step(&[0, 1, 2]).unwrap();
        let expected = stepper.logits(2).unwrap();
        for n in [1, 2, 7, 30] {
            load(&mut stepper);
            stepper.set_stop(stop_at(n));
            let error = stepper.step(&[0, 1, 2]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{device}, {n}: {error}");
            stepper.set_stop(StopSignal::default());
            load(&mut stepper);
            stepper.step(&[0, 1, 2]).unwrap();
            assert_eq!(stepper.logits(2).unwrap(), expected, "{device}, {n}");
        }
    }
}

/// A session goes on after a deadline that ended a step: its puzzles start again.
#[test]
fn a_session_goes_on_after_a_step_that_was_stopped() {
    let solver = Solver::builder()
        .device(Device::Cpu)
        .bundled("sudoku-9x9")
        .unwrap();
    let puzzles = crate::solving::puzzles("sudoku_9x9_newspaper_test.csv", 4);
    let expected = crate::solving::finish(solver.session(&puzzles).unwrap());
    let mut session = solver.session(&puzzles).unwrap();
    // Passes within a step, or between two.
    session.set_deadline(Some(Instant::now() + Duration::from_millis(1)));
    let error = loop {
        match session.next_step() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Deadline);
    session.set_deadline(None);
    let answers = crate::solving::finish(session);
    let logits = |answers: &[trm_runtime::Answer]| -> Vec<_> {
        answers
            .iter()
            .map(|a| (a.index, a.steps, a.halting.q_halt))
            .collect()
    };
    assert_eq!(logits(&answers), logits(&expected));
}

#[cfg(target_os = "linux")]
mod forks {
    #![allow(unsafe_code, reason = "a test forks its process")]

    use super::*;

    unsafe extern "C" {
        fn fork() -> i32;
        fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        fn alarm(seconds: u32) -> u32;
        fn _exit(code: i32) -> !;
    }

    /// Runs `child` in a forked process, and returns how that ended: `child`'s value times 256, or
    /// the number of the signal that ended it.
    fn in_child(child: impl FnOnce() -> i32) -> i32 {
        // SAFETY: the child calls only `child` and ends without running anything of the parent.
        // `alarm` ends it if it hangs.
        unsafe {
            let pid = fork();
            if pid == 0 {
                alarm(20);
                _exit(child());
            }
            let mut status = 0;
            assert_eq!(waitpid(pid, &raw mut status, 0), pid, "waitpid failed");
            status
        }
    }

    fn is_refused<T>(result: trm_runtime::Result<T>) -> bool {
        result.is_err_and(|e| e.kind() == ErrorKind::Device && e.to_string().contains("forked"))
    }

    #[test]
    fn a_solver_in_a_forked_process_is_an_error_and_does_not_hang() {
        let builder = Solver::builder().device(Device::Cpu).threads(2);
        let solver = builder.bundled("sudoku-4x4").unwrap();
        let puzzle: Puzzle = "0000020440102103".parse().unwrap();
        let mut session = solver.session(std::slice::from_ref(&puzzle)).unwrap();
        let busy = solver.clone();
        let stop = Arc::new(AtomicUsize::new(0));
        let (flag, other) = (stop.clone(), puzzle.clone());
        let thread = std::thread::spawn(move || {
            while flag.load(Ordering::Relaxed) == 0 {
                busy.solve(&other).unwrap();
            }
        });
        for _ in 0..5 {
            let status = in_child(|| {
                let refused = is_refused(solver.solve(&puzzle))
                    && is_refused(session.next_step())
                    && is_refused(solver.device_name());
                // A solver of its own works.
                let own = Solver::builder().device(Device::Cpu).threads(2);
                let own = own.bundled("sudoku-4x4").unwrap().solve(&puzzle);
                if refused && own.is_ok() { 7 } else { 8 }
            });
            assert_eq!(status, 7 << 8);
        }
        stop.store(1, Ordering::Relaxed);
        thread.join().unwrap();
        // Dropped there, it does not wait for threads that do not exist.
        let mut held = Some((solver, session));
        assert_eq!(
            in_child(|| held.take().map_or(1, |held| {
                drop(held);
                7
            })),
            7 << 8
        );
    }
}
