//! Continuous batching beside batches that wait for their slowest puzzle: the same puzzles,
//! measured in turns. The answers must be the same. Two kinds of batches wait:
//!
//! - `whole`: all slots are computed until the last puzzle halts, as if the batch were one tensor.
//! - `waiting`: slots whose puzzle has halted are left out.
//!
//! `cargo bench --bench batches -- [MODEL] [FILE] [DEVICE] [BATCH] [LIMIT]`. Default: the bundled
//! `sudoku-9x9`, the hardest of its test files, `auto`, 16 slots, the first 500 puzzles.

use std::sync::Arc;
use std::time::Instant;

use trm_runtime::task::{EncodedPuzzle, Records, Task};
use trm_runtime::{HaltRule, Solver};

/// The answer to each puzzle, and its steps.
type Ends = Vec<(Vec<u32>, usize)>;

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
    let number = |i, default| arg(i, default).parse().expect("a number");
    let (batch, limit): (usize, usize) = (number(3, "16"), number(4, "500"));
    let input = std::io::BufReader::new(std::fs::File::open(&file).expect("a file of puzzles"));
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

    // The device, its kernels, caches; and how many steps each puzzle takes.
    let ends = run(&solver, &puzzles, batch, false)?;
    let steps: Vec<usize> = ends.iter().map(|(_, steps)| *steps).collect();
    let mut best = [f64::INFINITY; 3];
    for _ in 0..3 {
        for (way, best) in best.iter_mut().enumerate() {
            let start = Instant::now();
            let same = match way {
                0 => whole(&solver, &puzzles, &steps, batch)?,
                way => run(&solver, &puzzles, batch, way == 1)?,
            };
            *best = best.min(start.elapsed().as_secs_f64());
            assert_eq!(same, ends, "the answers differ");
        }
    }
    let slowest: usize = steps
        .chunks(batch)
        .filter_map(|batch| batch.iter().max())
        .sum();
    let sum = steps.iter().sum::<usize>() as f64;
    let [whole, waiting, continuous] = best.map(|seconds| puzzles.len() as f64 / seconds);
    println!(
        "{model} on {}, {} puzzles by batches of {batch}, {:.2} steps on average; whole batches take {:.2} times the steps",
        solver.device_name()?,
        steps.len(),
        sum / steps.len() as f64,
        (slowest * batch) as f64 / sum,
    );
    println!(
        "puzzles a second: {whole:.1} whole, {waiting:.1} waiting, {continuous:.1} continuous: {:.2} and {:.2} times as many",
        continuous / whole,
        continuous / waiting,
    );
    Ok(())
}

/// Solves all puzzles. Computes every slot of a batch until its last puzzle has halted, and keeps
/// the answer at each puzzle's halt.
fn whole(
    solver: &Solver,
    puzzles: &[(EncodedPuzzle, Arc<dyn Task>)],
    steps: &[usize],
    batch: usize,
) -> trm_runtime::Result<Ends> {
    let mut stepper = solver.stepper(puzzles[0].0.tokens.len(), batch)?;
    let mut ends = Vec::new();
    for (puzzles, steps) in puzzles.chunks(batch).zip(steps.chunks(batch)) {
        for (slot, (problem, _)) in puzzles.iter().enumerate() {
            stepper.load(slot, &problem.tokens, problem.puzzle_id)?;
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
        ends.extend(answers.into_iter().zip(steps.iter().copied()));
    }
    Ok(ends)
}

/// Solves all puzzles; if `waits`, a batch begins when the one before it has ended.
fn run(
    solver: &Solver,
    puzzles: &[(EncodedPuzzle, Arc<dyn Task>)],
    batch: usize,
    waits: bool,
) -> trm_runtime::Result<Ends> {
    let mut session = solver.empty_session(puzzles[0].0.tokens.len(), batch)?;
    let mut next = puzzles.iter();
    let mut ends = vec![Default::default(); puzzles.len()];
    loop {
        if !waits || session.unfinished() == 0 {
            for (problem, task) in next.by_ref().take(session.free_slots()) {
                session.push(problem.clone(), task.clone())?;
            }
        }
        let Some(answers) = session.next_answers()? else {
            return Ok(ends);
        };
        for answer in answers {
            ends[answer.index] = (answer.tokens, answer.steps);
        }
    }
}
