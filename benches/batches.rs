//! Compares continuous batching with batches that wait for their slowest puzzle. All solve the same
//! puzzles, in turns, and must give the same answers:
//!
//! - whole batches: all slots are computed until the last puzzle halts, as with one tensor.
//! - skipping: the batch waits for its slowest puzzle, and slots that have halted are not computed.
//! - refilled: continuous batching.
//!
//! `cargo bench --bench batches -- [MODEL] [FILE] [DEVICE] [BATCH] [LIMIT]`. Default: the bundled
//! `sudoku-9x9`, the hardest of its test files, `auto`, 16 slots, the first 500 puzzles.

use std::sync::Arc;
use std::time::Instant;

use trm_runtime::task::{EncodedPuzzle, Records, Task};
use trm_runtime::{HaltRule, Solver};

/// The answer to each puzzle in tokens, and its steps.
type Outcomes = Vec<(Vec<u32>, usize)>;

fn main() -> trm_runtime::Result<()> {
    // cargo itself adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let arg = |i: usize, default: &str| args.get(i).cloned().unwrap_or_else(|| default.to_string());
    let (model, file) = (
        arg(0, "sudoku-9x9"),
        arg(1, "tests/data/puzzles/sudoku_extreme_test_500.csv"),
    );
    let number = |i, default| {
        arg(i, default)
            .parse()
            .expect("BATCH and LIMIT are numbers")
    };
    let (batch, limit): (usize, usize) = (number(3, "16"), number(4, "500"));
    let input = std::io::BufReader::new(std::fs::File::open(&file).expect("FILE can be opened"));
    let builder = Solver::builder()
        .device(arg(2, "auto").parse()?)
        .halt_rule(HaltRule::Head)
        .batch(batch);
    let solver = match std::path::Path::new(&model).exists() {
        true => builder.open(&model)?,
        false => builder.bundled(&model)?,
    };

    let puzzles = Records::new(input, &file)
        .take(limit)
        .map(|record| solver.encode(&record?.puzzle))
        .collect::<trm_runtime::Result<Vec<_>>>()?;

    // Warms up the device, its kernels and caches. Also gives the number of steps of each puzzle.
    let outcomes = solve(&solver, &puzzles, batch, Refill::EachSlot)?;
    let steps: Vec<usize> = outcomes.iter().map(|(_, steps)| *steps).collect();
    let mut best = [f64::INFINITY; 3];
    for _ in 0..3 {
        for (method, best) in best.iter_mut().enumerate() {
            let start = Instant::now();
            let found = match method {
                0 => solve_whole(&solver, &puzzles, &steps, batch)?,
                1 => solve(&solver, &puzzles, batch, Refill::WholeBatch)?,
                _ => solve(&solver, &puzzles, batch, Refill::EachSlot)?,
            };
            *best = best.min(start.elapsed().as_secs_f64());
            assert_eq!(found, outcomes, "the answers differ");
        }
    }
    let slowest: usize = steps
        .chunks(batch)
        .filter_map(|batch| batch.iter().max())
        .sum();
    let sum = steps.iter().sum::<usize>() as f64;
    let [whole, skipping, refilled] = best.map(|seconds| puzzles.len() as f64 / seconds);
    println!(
        "{model} on {}, {} puzzles in batches of {batch}, {:.2} steps on average; \
         whole batches take {:.2} times the steps",
        solver.device_name()?,
        steps.len(),
        sum / steps.len() as f64,
        (slowest * batch) as f64 / sum,
    );
    println!(
        "puzzles per second: {whole:.1} whole batches, {skipping:.1} skipping, \
         {refilled:.1} refilled: {:.2} and {:.2} times as many",
        refilled / whole,
        refilled / skipping,
    );
    Ok(())
}

/// Solves all puzzles. Computes every slot of a batch until its last puzzle has halted, and keeps
/// the answer at each puzzle's halt.
fn solve_whole(
    solver: &Solver,
    puzzles: &[(EncodedPuzzle, Arc<dyn Task>)],
    steps: &[usize],
    batch: usize,
) -> trm_runtime::Result<Outcomes> {
    let mut stepper = solver.stepper(puzzles[0].0.tokens.len(), batch)?;
    let mut outcomes = Vec::new();
    for (puzzles, steps) in puzzles.chunks(batch).zip(steps.chunks(batch)) {
        for (slot, (puzzle, _)) in puzzles.iter().enumerate() {
            stepper.load(slot, &puzzle.tokens, puzzle.puzzle_id)?;
        }
        let all: Vec<usize> = (0..puzzles.len()).collect();
        let mut answers = vec![Vec::new(); puzzles.len()];
        for step in 1..=steps.iter().copied().max().unwrap_or(0) {
            stepper.step(&all)?;
            for &slot in &all {
                stepper.halting(slot)?;
                if step == steps[slot] {
                    answers[slot] = stepper.answer(slot)?;
                }
            }
        }
        outcomes.extend(answers.into_iter().zip(steps.iter().copied()));
    }
    Ok(outcomes)
}

/// When new puzzles take slots.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Refill {
    /// As soon as a slot is free.
    EachSlot,
    /// When the whole batch has ended.
    WholeBatch,
}

/// Solves all puzzles in one session. Slots whose puzzle has halted are not computed.
fn solve(
    solver: &Solver,
    puzzles: &[(EncodedPuzzle, Arc<dyn Task>)],
    batch: usize,
    refill: Refill,
) -> trm_runtime::Result<Outcomes> {
    let mut session = solver.empty_session(puzzles[0].0.tokens.len(), batch)?;
    let mut next = puzzles.iter();
    let mut outcomes = vec![Default::default(); puzzles.len()];
    loop {
        if refill == Refill::EachSlot || session.unfinished() == 0 {
            for (puzzle, task) in next.by_ref().take(session.free_slots()) {
                session.push(puzzle.clone(), task.clone())?;
            }
        }
        let Some(answers) = session.next_answers()? else {
            return Ok(outcomes);
        };
        for answer in answers {
            outcomes[answer.index] = (answer.tokens, answer.steps);
        }
    }
}
