//! The worker thread, without a window.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use trm_demo::ModelChoice;
use trm_demo::board::Board;
use trm_demo::history::{StepRecord, StopReason};
use trm_demo::worker::{Command, Event, EventKind, Job, RunInfo, RunMode, TurnLock, Worker};
use trm_runtime::{Device, HaltRule};

const NINE: &str =
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
/// A Sudoku for which the bundled model needs several steps.
const HARD: &str =
    "800000000003600000070090200050007000000045700000100030001000068008500010090000400";
const FOUR: &str = "0000020440102103";

fn job(number: u64, puzzle: &str) -> Job {
    Job {
        number,
        board: Board::parse(puzzle).unwrap(),
        model: ModelChoice::Auto,
        device: Device::Cpu,
        rule: HaltRule::Verified,
        threshold: 0.5,
        max_steps: None,
    }
}

fn start() -> Worker {
    Worker::start(TurnLock::default(), || {}).unwrap()
}

fn next_event(worker: &Worker) -> Event {
    worker
        .recv_timeout(Duration::from_secs(60))
        .expect("an event")
}

fn wait_until_ready(worker: &Worker) -> RunInfo {
    match next_event(worker).kind {
        EventKind::Ready(info) => info,
        other => panic!("{other:?}"),
    }
}

/// Receives all steps until the run stops.
fn receive_until_stop(worker: &Worker) -> (Vec<StepRecord>, StopReason) {
    let mut steps = Vec::new();
    loop {
        match next_event(worker).kind {
            EventKind::Step(step, stop) => {
                steps.push(*step);
                if let Some(stop) = stop {
                    return (steps, stop);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The session of the library computes the same, step by step.
#[test]
fn the_history_shows_what_the_library_computes() {
    let worker = start();
    worker.send(Command::Load(Box::new(job(7, HARD))));
    worker.send(Command::SetMode(RunMode::UntilHalt));
    assert!(wait_until_ready(&worker).device.starts_with("cpu"));
    let (steps, stop) = receive_until_stop(&worker);

    let solver = trm_runtime::Solver::builder()
        .device(Device::Cpu)
        .bundled("sudoku-9x9")
        .unwrap();
    let mut session = solver.session(&[HARD.parse().unwrap()]).unwrap();
    let mut seen = 0;
    while let Some(expected) = session.next_step().unwrap() {
        let (own, expected) = (&steps[seen], &expected.puzzles[0]);
        let tokens: Vec<u32> = own.answer.cells.iter().map(|&d| u32::from(d) + 1).collect();
        assert_eq!(tokens, expected.tokens, "step {}", seen + 1);
        assert!((own.halt_probability - expected.halt_probability).abs() < 1e-6);
        let changed: Vec<usize> = (0..81).filter(|&i| own.changed[i]).collect();
        assert_eq!(changed, expected.changed);
        seen += 1;
        if let Some(answer) = &expected.outcome {
            assert_eq!(stop.step(), answer.steps);
            assert_eq!(matches!(stop, StopReason::Halted(_)), answer.halted);
            assert_eq!(own.verdict.valid, answer.valid);
        }
    }
    assert_eq!(seen, steps.len());
    let last = steps.last().unwrap();
    assert!(
        last.confidence
            .iter()
            .all(|confidence| (0.05..=1.0).contains(confidence)),
        "{:?}",
        last.confidence
    );
    // The first step starts from noise and moves every state. Later steps move less.
    let mean = |step: &StepRecord| step.state_change.iter().sum::<f32>() / 81.0;
    let (first, last) = (mean(&steps[0]), mean(last));
    assert!(
        steps.len() > 1 && first > last && last > 0.0,
        "{first} {last}"
    );
}

/// The model sees the maze inside walls, which are not on the board.
#[test]
fn a_smaller_maze_keeps_its_size() {
    const MAZE: &str = "S #G\n# # \n#   \n####\n";
    let worker = start();
    worker.send(Command::Load(Box::new(job(1, MAZE))));
    worker.send(Command::SetMode(RunMode::UntilHalt));
    wait_until_ready(&worker);
    let (steps, stop) = receive_until_stop(&worker);
    let solver = trm_runtime::Solver::builder()
        .device(Device::Cpu)
        .bundled("maze-10x10")
        .unwrap();
    let answer = solver.solve(&MAZE.parse().unwrap()).unwrap();
    let last = steps.last().unwrap();
    assert_eq!((last.answer.rows, last.answer.cols), (4, 4));
    let text: String = last.answer.cells.iter().map(|&c| char::from(c)).collect();
    assert_eq!(text, answer.cells.to_string().replace('\n', ""));
    assert_eq!(
        (stop.step(), last.verdict.valid),
        (answer.steps, answer.valid)
    );
    assert_eq!(
        (
            last.confidence.len(),
            last.changed.len(),
            last.state_change.len()
        ),
        (16, 16, 16)
    );
}

#[test]
fn a_run_can_be_paused_stepped_and_continued() {
    let worker = start();
    let never = Job {
        rule: HaltRule::Never,
        max_steps: Some(6),
        ..job(1, FOUR)
    };
    worker.send(Command::Load(Box::new(never)));
    wait_until_ready(&worker);
    worker.send(Command::SetMode(RunMode::OneStep));
    assert!(matches!(next_event(&worker).kind, EventKind::Step(step, _) if step.step == 1));
    assert!(
        worker.recv_timeout(Duration::from_millis(200)).is_none(),
        "it must take one step only"
    );

    worker.send(Command::SetMode(RunMode::UntilHalt));
    let stop = receive_until_stop(&worker).1;
    // Past the halt. The delay makes the pause fall between two steps.
    worker.send(Command::SetDelay(Duration::from_millis(30)));
    worker.send(Command::SetMode(RunMode::Endless));
    for past in 1..=3 {
        let expected = stop.step() + past;
        assert!(
            matches!(next_event(&worker).kind, EventKind::Step(step, _) if step.step == expected)
        );
    }
    worker.send(Command::SetMode(RunMode::Paused));
    while worker.recv_timeout(Duration::from_millis(300)).is_some() {}
    assert!(
        worker.recv_timeout(Duration::from_millis(200)).is_none(),
        "it must not step during a pause"
    );
}

#[test]
fn the_last_step_ends_a_run_that_never_halts() {
    let worker = start();
    let never = Job {
        rule: HaltRule::Never,
        max_steps: Some(5),
        ..job(1, FOUR)
    };
    worker.send(Command::Load(Box::new(never)));
    worker.send(Command::SetMode(RunMode::UntilHalt));
    assert_eq!(wait_until_ready(&worker).max_steps, 5);
    let (steps, stop) = receive_until_stop(&worker);
    assert_eq!((steps.len(), stop), (5, StopReason::Exhausted(5)));
}

#[test]
fn a_puzzle_that_cannot_be_solved_fails_with_a_reason() {
    let worker = start();
    worker.send(Command::Load(Box::new(job(3, "1100000000000000"))));
    let Event {
        job: 3,
        kind: EventKind::Failed(reason),
    } = next_event(&worker)
    else {
        panic!()
    };
    assert!(reason.contains("two 1s"), "{reason}");
    // The worker accepts another job.
    worker.send(Command::Load(Box::new(job(4, FOUR))));
    wait_until_ready(&worker);
    let missing = Job {
        model: ModelChoice::Path("no/such/model".into()),
        ..job(5, FOUR)
    };
    worker.send(Command::Load(Box::new(missing)));
    let Event {
        job: 5,
        kind: EventKind::Failed(reason),
    } = next_event(&worker)
    else {
        panic!()
    };
    assert!(reason.contains("no/such/model"), "{reason}");
}

#[test]
fn a_missing_device_is_replaced_with_a_note() {
    let worker = start();
    let job = Job {
        device: Device::Gpu(Some(99)),
        ..job(1, FOUR)
    };
    worker.send(Command::Load(Box::new(job)));
    let EventKind::Restarted(note) = next_event(&worker).kind else {
        panic!()
    };
    assert!(note.contains("the CPU takes over"), "{note}");
    let info = wait_until_ready(&worker);
    assert!(
        info.device.starts_with("cpu") && info.reason.contains("failed"),
        "{info:?}"
    );
    worker.send(Command::SetMode(RunMode::UntilHalt));
    assert_eq!(
        receive_until_stop(&worker).0.last().unwrap().verdict.valid,
        Some(true)
    );
}

#[test]
fn the_reason_of_the_automatic_choice_is_reported() {
    let worker = start();
    let auto = Job {
        device: Device::Auto,
        ..job(1, FOUR)
    };
    worker.send(Command::Load(Box::new(auto)));
    assert!(!wait_until_ready(&worker).reason.is_empty());
}

/// Dropping the handle during a run ends the thread after the step in progress.
#[test]
fn dropping_the_handle_during_a_run_ends_the_thread() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let count = wakes.clone();
    let worker = Worker::start(TurnLock::default(), move || {
        count.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    worker.send(Command::Load(Box::new(job(1, NINE))));
    worker.send(Command::SetMode(RunMode::Endless));
    wait_until_ready(&worker);
    next_event(&worker);
    let start = Instant::now();
    drop(worker);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    let seen = wakes.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(wakes.load(Ordering::SeqCst), seen, "the thread still steps");

    // A delay between steps does not delay the end.
    let worker = start_with_delay();
    let start = Instant::now();
    drop(worker);
    assert!(start.elapsed() < Duration::from_secs(5));
}

fn start_with_delay() -> Worker {
    let worker = start();
    worker.send(Command::Load(Box::new(job(1, FOUR))));
    worker.send(Command::SetDelay(Duration::from_secs(600)));
    worker.send(Command::SetMode(RunMode::Endless));
    wait_until_ready(&worker);
    next_event(&worker);
    worker
}

/// The workers of a comparison never step at the same time, so that their durations are comparable.
#[test]
fn two_workers_share_a_turn_lock() {
    let turn_lock = TurnLock::default();
    let workers: Vec<Worker> = (0..2)
        .map(|_| Worker::start(turn_lock.clone(), || {}).unwrap())
        .collect();
    let guard = turn_lock.lock().unwrap();
    for worker in &workers {
        worker.send(Command::Load(Box::new(job(1, FOUR))));
        worker.send(Command::SetMode(RunMode::UntilHalt));
        wait_until_ready(worker);
        assert!(
            worker.recv_timeout(Duration::from_millis(100)).is_none(),
            "it must not step without the lock"
        );
    }
    drop(guard);
    let runs: Vec<_> = workers.iter().map(receive_until_stop).collect();
    assert_eq!(runs[0].1, runs[1].1);
}
