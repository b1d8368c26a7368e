//! The thread that thinks, without a window.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use trm::{Device, HaltRule};
use trm_demo::ModelChoice;
use trm_demo::board::Board;
use trm_demo::film::{Frame, Stop};
use trm_demo::thinker::{Command, Event, Happened, Job, Pace, Ready, Thinker, Turn};

const NINE: &str = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
/// One that takes the bundled model several steps.
const HARD: &str = "800000000003600000070090200050007000000045700000100030001000068008500010090000400";
const FOUR: &str = "0000020440102103";

fn job(number: u64, puzzle: &str) -> Job {
    Job {
        number,
        board: Board::parse(puzzle).unwrap(),
        model: ModelChoice::Fitting,
        device: Device::Cpu,
        rule: HaltRule::Verified,
        threshold: 0.5,
        max_steps: None,
    }
}

fn start() -> Thinker {
    Thinker::start(Turn::default(), || {}).unwrap()
}

fn next(thinker: &Thinker) -> Event {
    thinker.wait(Duration::from_secs(60)).expect("an event")
}

fn ready(thinker: &Thinker) -> Ready {
    match next(thinker).what {
        Happened::Ready(ready) => ready,
        other => panic!("{other:?}"),
    }
}

/// All steps until it stops.
fn until_stop(thinker: &Thinker) -> (Vec<Frame>, Stop) {
    let mut frames = Vec::new();
    loop {
        match next(thinker).what {
            Happened::Step(frame, stop) => {
                frames.push(*frame);
                if let Some(stop) = stop {
                    return (frames, stop);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The library's own session says the same, step by step.
#[test]
fn the_film_shows_what_the_library_computes() {
    let thinker = start();
    thinker.tell(Command::Load(Box::new(job(7, HARD))));
    thinker.tell(Command::Go(Pace::Halt));
    assert!(ready(&thinker).device.starts_with("cpu"));
    let (frames, stop) = until_stop(&thinker);

    let solver = trm::Solver::bundled("sudoku-9x9").unwrap().device(Device::Cpu);
    let mut session = solver.session(&[HARD.parse().unwrap()]).unwrap();
    let mut seen = 0;
    while let Some(step) = session.next_step().unwrap() {
        let (own, theirs) = (&frames[seen], &step.puzzles[0]);
        let tokens: Vec<u32> = own.answer.cells.iter().map(|&d| u32::from(d) + 1).collect();
        assert_eq!(tokens, theirs.tokens, "step {}", seen + 1);
        assert!((own.halt - theirs.halt_probability).abs() < 1e-6);
        let changed: Vec<usize> = (0..81).filter(|&i| own.changed[i]).collect();
        assert_eq!(changed, theirs.changed);
        seen += 1;
        if let Some(answer) = &theirs.outcome {
            assert_eq!(stop.step(), answer.steps);
            assert_eq!(matches!(stop, Stop::Halted(_)), answer.halted);
            assert_eq!(own.verdict.valid, answer.valid);
        }
    }
    assert_eq!(seen, frames.len());
    let last = frames.last().unwrap();
    assert!(
        last.sure.iter().all(|sure| (0.05..=1.0).contains(sure)),
        "{:?}",
        last.sure
    );
    // The first step starts from noise and moves everything; later ones move less.
    let mean = |frame: &Frame| frame.moved.iter().sum::<f32>() / 81.0;
    let (first, last) = (mean(&frames[0]), mean(last));
    assert!(frames.len() > 1 && first > last && last > 0.0, "{first} {last}");
}

/// The model sees it in walls, which are not on the board.
#[test]
fn a_smaller_maze_is_shown_as_it_was_drawn() {
    const MAZE: &str = "S #G\n# # \n#   \n####\n";
    let thinker = start();
    thinker.tell(Command::Load(Box::new(job(1, MAZE))));
    thinker.tell(Command::Go(Pace::Halt));
    ready(&thinker);
    let (frames, stop) = until_stop(&thinker);
    let solver = trm::Solver::bundled("maze-10x10").unwrap().device(Device::Cpu);
    let answer = solver.solve(&MAZE.parse().unwrap()).unwrap();
    let last = frames.last().unwrap();
    assert_eq!((last.answer.rows, last.answer.cols), (4, 4));
    let text: String = last.answer.cells.iter().map(|&c| char::from(c)).collect();
    assert_eq!(text, answer.answer.to_string().replace('\n', ""));
    assert_eq!((stop.step(), last.verdict.valid), (answer.steps, answer.valid));
    assert_eq!(
        (last.sure.len(), last.changed.len(), last.moved.len()),
        (16, 16, 16)
    );
}

#[test]
fn it_can_be_paused_stepped_and_told_to_go_on() {
    let thinker = start();
    let never = Job {
        rule: HaltRule::Never,
        max_steps: Some(6),
        ..job(1, FOUR)
    };
    thinker.tell(Command::Load(Box::new(never)));
    ready(&thinker);
    thinker.tell(Command::Go(Pace::One));
    assert!(matches!(next(&thinker).what, Happened::Step(frame, _) if frame.step == 1));
    assert!(
        thinker.wait(Duration::from_millis(200)).is_none(),
        "one step is one step"
    );

    thinker.tell(Command::Go(Pace::Halt));
    let stop = until_stop(&thinker).1;
    // Past the halt, with a delay so that a pause falls between two steps.
    thinker.tell(Command::Delay(Duration::from_millis(30)));
    thinker.tell(Command::Go(Pace::On));
    for past in 1..=3 {
        assert!(matches!(next(&thinker).what, Happened::Step(frame, _) if frame.step == stop.step() + past));
    }
    thinker.tell(Command::Go(Pace::Pause));
    while thinker.wait(Duration::from_millis(300)).is_some() {}
    assert!(
        thinker.wait(Duration::from_millis(200)).is_none(),
        "a pause is a pause"
    );
}

#[test]
fn the_last_step_ends_a_run_that_never_halts() {
    let thinker = start();
    let never = Job {
        rule: HaltRule::Never,
        max_steps: Some(5),
        ..job(1, FOUR)
    };
    thinker.tell(Command::Load(Box::new(never)));
    thinker.tell(Command::Go(Pace::Halt));
    assert_eq!(ready(&thinker).max_steps, 5);
    let (frames, stop) = until_stop(&thinker);
    assert_eq!((frames.len(), stop), (5, Stop::Exhausted(5)));
}

#[test]
fn a_puzzle_that_cannot_be_solved_fails_in_words() {
    let thinker = start();
    thinker.tell(Command::Load(Box::new(job(3, "1100000000000000"))));
    let Event {
        job: 3,
        what: Happened::Failed(why),
    } = next(&thinker)
    else {
        panic!()
    };
    assert!(why.contains("two 1s"), "{why}");
    // The next one is solved.
    thinker.tell(Command::Load(Box::new(job(4, FOUR))));
    ready(&thinker);
    let missing = Job {
        model: ModelChoice::Path("no/such/model".into()),
        ..job(5, FOUR)
    };
    thinker.tell(Command::Load(Box::new(missing)));
    let Event {
        job: 5,
        what: Happened::Failed(why),
    } = next(&thinker)
    else {
        panic!()
    };
    assert!(why.contains("no/such/model"), "{why}");
}

#[test]
fn a_device_that_is_not_there_is_replaced_with_a_note() {
    let thinker = start();
    let far = Job {
        device: Device::Gpu(Some(99)),
        ..job(1, FOUR)
    };
    thinker.tell(Command::Load(Box::new(far)));
    let Happened::Restarted(note) = next(&thinker).what else {
        panic!()
    };
    assert!(note.contains("the CPU takes over"), "{note}");
    let ready = ready(&thinker);
    assert!(
        ready.device.starts_with("cpu") && ready.reason.contains("failed"),
        "{ready:?}"
    );
    thinker.tell(Command::Go(Pace::Halt));
    assert_eq!(until_stop(&thinker).0.last().unwrap().verdict.valid, Some(true));
}

#[test]
fn the_reason_of_auto_is_told() {
    let thinker = start();
    let auto = Job {
        device: Device::Auto,
        ..job(1, FOUR)
    };
    thinker.tell(Command::Load(Box::new(auto)));
    assert!(!ready(&thinker).reason.is_empty());
}

/// Closing in the middle of a run: the thread ends after the step in flight.
#[test]
fn dropping_it_mid_solve_ends_the_thread() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let count = wakes.clone();
    let thinker = Thinker::start(Turn::default(), move || {
        count.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    thinker.tell(Command::Load(Box::new(job(1, NINE))));
    thinker.tell(Command::Go(Pace::On));
    ready(&thinker);
    next(&thinker);
    let start = Instant::now();
    drop(thinker);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let seen = wakes.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(wakes.load(Ordering::SeqCst), seen, "it still steps");

    // A long delay between steps is no reason to wait.
    let thinker = start_with_delay();
    let start = Instant::now();
    drop(thinker);
    assert!(start.elapsed() < Duration::from_secs(5));
}

fn start_with_delay() -> Thinker {
    let thinker = start();
    thinker.tell(Command::Load(Box::new(job(1, FOUR))));
    thinker.tell(Command::Delay(Duration::from_secs(600)));
    thinker.tell(Command::Go(Pace::On));
    ready(&thinker);
    next(&thinker);
    thinker
}

/// A comparison steps in turns, so that neither slows the other's figures.
#[test]
fn two_thinkers_share_a_turn() {
    let turn = Turn::default();
    let two: Vec<Thinker> = (0..2)
        .map(|_| Thinker::start(turn.clone(), || {}).unwrap())
        .collect();
    let held = turn.lock().unwrap();
    for thinker in &two {
        thinker.tell(Command::Load(Box::new(job(1, FOUR))));
        thinker.tell(Command::Go(Pace::Halt));
        ready(thinker);
        assert!(
            thinker.wait(Duration::from_millis(100)).is_none(),
            "a step without its turn"
        );
    }
    drop(held);
    let films: Vec<_> = two.iter().map(until_stop).collect();
    assert_eq!(films[0].1, films[1].1);
}
