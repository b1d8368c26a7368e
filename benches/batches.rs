//! Continuous batching against batches that wait for their slowest puzzle, on the same puzzles, in turns; the answers must be the same.
//!
//! `cargo bench --bench batches -- [MODEL] [FILE] [DEVICE] [BATCH] [LIMIT]`, by default the bundled `sudoku-9x9` on the hardest of its test
//! files, `auto`, 16 places, the first 500 puzzles.

use std::sync::Arc;
use std::time::Instant;

use trm::task::{Problem, Records, Task};
use trm::{HaltRule, Solver};

/// What a puzzle came to: answer and steps.
type Ends = Vec<(Vec<u32>, usize)>;

fn main() -> trm::Result<()> {
    // cargo itself adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let arg = |i: usize, default: &str| args.get(i).cloned().unwrap_or_else(|| default.to_string());
    let (model, file) = (
        arg(0, "sudoku-9x9"),
        arg(1, "tests/data/puzzles/sudoku_extreme_test_500.csv"),
    );
    let number = |i, default| arg(i, default).parse().expect("a number");
    let (batch, limit): (usize, usize) = (number(3, "16"), number(4, "500"));
    let input = std::io::BufReader::new(std::fs::File::open(&file).expect("a file of puzzles"));
    let solver = match std::path::Path::new(&model).exists() {
        true => Solver::open(&model)?,
        false => Solver::bundled(&model)?,
    };
    let solver = solver
        .device(arg(2, "auto").parse()?)
        .halt(HaltRule::Head)
        .batch(batch);

    let puzzles = Records::new(input, &file)
        .take(limit)
        .map(|record| solver.encode(&record?.puzzle))
        .collect::<trm::Result<Vec<_>>>()?;

    run(&solver, &puzzles, batch, false)?; // the device, its kernels, caches
    let mut best = [f64::INFINITY; 2];
    for _ in 0..3 {
        let mut ends = Vec::new();
        for (waits, best) in [true, false].into_iter().zip(&mut best) {
            let start = Instant::now();
            ends.push(run(&solver, &puzzles, batch, waits)?);
            *best = best.min(start.elapsed().as_secs_f64());
        }
        assert_eq!(ends[0], ends[1], "the answers differ");
        let steps: Vec<usize> = ends[0].iter().map(|(_, steps)| *steps).collect();
        let slowest: usize = steps.chunks(batch).filter_map(|batch| batch.iter().max()).sum();
        let mean = steps.iter().sum::<usize>() as f64 / steps.len() as f64;
        let waste = slowest as f64 * batch as f64 / steps.iter().sum::<usize>() as f64;
        eprintln!("{mean:.2} steps on average; batches that wait take {waste:.2} times the steps");
    }
    let [waiting, continuous] = best.map(|seconds| puzzles.len() as f64 / seconds);
    println!(
        "{model} on {} by batches of {batch}: {waiting:.1} puzzles/s waiting, {continuous:.1} continuous, {:.2} times as many",
        solver.device_name()?,
        continuous / waiting,
    );
    Ok(())
}

/// Solves all puzzles; if `waits`, a batch begins when the one before it has ended.
fn run(
    solver: &Solver,
    puzzles: &[(Problem, Arc<dyn Task>)],
    batch: usize,
    waits: bool,
) -> trm::Result<Ends> {
    let mut session = solver.empty_session(puzzles[0].0.tokens.len(), batch)?;
    let mut next = puzzles.iter();
    let mut ends = vec![Default::default(); puzzles.len()];
    loop {
        if !waits || session.unfinished() == 0 {
            for (problem, task) in next.by_ref().take(session.free()) {
                session.push(problem.clone(), task.clone())?;
            }
        }
        let Some(answers) = session.advance()? else {
            return Ok(ends);
        };
        for answer in answers {
            ends[answer.index] = (answer.tokens, answer.steps);
        }
    }
}
