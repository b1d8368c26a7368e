//! Multi-start: its gain, the choice of the answer, and reproducibility in any batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::rebuild::Rebuild;
use trm_runtime::task::{Cells, EncodedPuzzle, Maze, Puzzle, Sudoku, Task, TokenSpec, Verdict};
use trm_runtime::{Answer, Device, HaltRule, MultiStart, Solver};

use crate::solving::puzzles;

fn solver(model: &str, starts: usize) -> Solver {
    Solver::builder()
        .device(Device::Cpu)
        .multi_start(MultiStart::new(starts))
        .bundled(model)
        .unwrap()
}

/// Solves all puzzles in one session. Returns the answers in the order of the puzzles.
fn solve_all(solver: &Solver, puzzles: &[Puzzle], slots: usize) -> Vec<Answer> {
    let encoded: Vec<_> = puzzles.iter().map(|p| solver.encode(p).unwrap()).collect();
    let mut session = solver
        .empty_session(encoded[0].0.tokens.len(), slots)
        .unwrap();
    for (puzzle, task) in encoded {
        session.push(puzzle, task).unwrap();
    }
    let mut answers = Vec::new();
    while let Some(ended) = session.next_answers().unwrap() {
        answers.extend(ended);
    }
    assert_eq!(session.unfinished(), 0, "unfinished puzzles");
    answers.sort_by_key(|a| a.index);
    answers
}

fn valid(answers: &[Answer]) -> usize {
    answers.iter().filter(|a| a.valid == Some(true)).count()
}

/// Returns the parts of the answers that do not depend on time.
fn facts(answers: &[Answer]) -> Vec<(usize, Vec<u32>, usize, u32)> {
    let of = |a: &Answer| {
        (
            a.index,
            a.tokens.clone(),
            a.steps,
            a.halt_probability.to_bits(),
        )
    };
    answers.iter().map(of).collect()
}

#[test]
fn one_start_is_a_session() {
    let puzzles = puzzles("sudoku_6x6_minimal_test.csv", 60);
    let solver = solver("sudoku-6x6", 1);
    let mut session = solver.session(&puzzles).unwrap();
    let mut answers = Vec::new();
    while let Some(ended) = session.next_answers().unwrap() {
        answers.extend(ended);
    }
    answers.sort_by_key(|a| a.index);
    assert_eq!(facts(&solve_all(&solver, &puzzles, 16)), facts(&answers));
}

#[test]
fn more_starts_solve_more() {
    let puzzles = puzzles("sudoku_9x9_minimal_test.csv", 24);
    let [one, eight] = [1, 8].map(|starts| solve_all(&solver("sudoku-9x9", starts), &puzzles, 16));
    eprintln!(
        "{} of 24 with one start, {} with eight",
        valid(&one),
        valid(&eight)
    );
    assert!(valid(&eight) > valid(&one));
    for (one, eight) in one.iter().zip(&eight) {
        // The first start is the puzzle itself: what it solves stays solved, in no more steps.
        assert!(one.valid != Some(true) || (eight.valid == Some(true) && eight.steps <= one.steps));
        assert_eq!(
            eight.valid,
            Some(eight.correct.unwrap()),
            "answers come back from their symmetry"
        );
    }
}

#[test]
fn answers_depend_on_neither_batch_nor_neighbours() {
    let puzzles = puzzles("sudoku_9x9_minimal_test.csv", 8);
    let solver = solver("sudoku-9x9", 5);
    let all = solve_all(&solver, &puzzles, 16);
    for slots in [1, 4, 64] {
        assert_eq!(
            facts(&solve_all(&solver, &puzzles, slots)),
            facts(&all),
            "{slots} slots"
        );
    }
    let alone = solver.solve(&puzzles[7]).unwrap();
    assert_eq!(
        (alone.tokens, alone.steps),
        (all[7].tokens.clone(), all[7].steps)
    );
    // Another seed gives other answers.
    let other = solver.rebuild(|b| b.multi_start(MultiStart::new(5).with_seed(1)));
    assert_ne!(facts(&solve_all(&other, &puzzles, 16)), facts(&all));
}

/// A Sudoku without a check of its rules.
#[derive(Debug)]
struct Blind;

impl Task for Blind {
    fn name(&self) -> &str {
        "blind"
    }

    fn encode(&self, puzzle: &Puzzle, space: &TokenSpec) -> trm_runtime::Result<EncodedPuzzle> {
        Sudoku::default().encode(puzzle, space)
    }

    fn decode(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Cells {
        Sudoku::default().decode(problem, answer)
    }

    fn verify(&self, _: &EncodedPuzzle, _: &[u32]) -> Verdict {
        Verdict::default()
    }
}

#[test]
fn without_rules_noise_and_the_halting_head_decide() {
    let puzzles = puzzles("sudoku_9x9_minimal_test.csv", 8);
    let best = |rule, starts| {
        let solver =
            solver("sudoku-9x9", starts).rebuild(|b| b.task(Arc::new(Blind)).halt_rule(rule));
        solve_all(&solver, &puzzles, 16)
    };
    let (one, four) = (best(HaltRule::Never, 1), best(HaltRule::Never, 4));
    assert!(
        four.iter()
            .zip(&one)
            .all(|(four, one)| four.halt_probability >= one.halt_probability)
    );
    assert!(
        four.iter()
            .zip(&one)
            .any(|(four, one)| four.halt_probability > one.halt_probability),
        "noise has no effect"
    );
    let (one, four) = (best(HaltRule::Head, 1), best(HaltRule::Head, 4));
    assert!(
        four.iter()
            .zip(&one)
            .all(|(four, one)| four.halted >= one.halted
                && (!four.halted || four.steps <= one.steps))
    );
}

#[test]
fn until_valid_goes_on_and_ends() {
    let until_valid =
        |seconds: f64| MultiStart::new(4).with_until_valid(Duration::from_secs_f64(seconds));
    // One step is too few for most starts, but not for all.
    let puzzles = puzzles("sudoku_6x6_minimal_test.csv", 60);
    let short = solver("sudoku-6x6", 4).rebuild(|b| b.max_steps(1));
    let few = solve_all(&short, &puzzles, 16);
    let mut hard = puzzles
        .iter()
        .zip(&few)
        .filter(|(_, few)| few.valid != Some(true));
    let long = short.rebuild(|b| b.multi_start(until_valid(30.0)));
    assert!(hard.any(|(puzzle, _)| long.solve(puzzle).unwrap().valid == Some(true)));
    // Too hard for the time limit: the session ends in time, with the best answer so far.
    let start = Instant::now();
    let none = short
        .rebuild(|b| b.max_steps(1).multi_start(until_valid(0.5)))
        .solve(&puzzles[0])
        .unwrap();
    assert!(none.valid == Some(true) || start.elapsed() >= Duration::from_millis(500));
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn zero_starts_are_an_error() {
    for starts in [0, MultiStart::MAX_STARTS + 1] {
        let builder = Solver::builder().multi_start(MultiStart::new(starts));
        let error = builder.bundled("sudoku-4x4").unwrap_err();
        assert!(error.to_string().contains("starts"), "{error}");
    }
}

/// A task without symmetries, so that starts differ by noise alone.
#[derive(Debug)]
struct Plain<T>(T);

impl<T: Task> Task for Plain<T> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn encode(&self, puzzle: &Puzzle, space: &TokenSpec) -> trm_runtime::Result<EncodedPuzzle> {
        self.0.encode(puzzle, space)
    }

    fn decode(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Cells {
        self.0.decode(problem, answer)
    }

    fn verify(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        self.0.verify(problem, answer)
    }

    fn verifies_by_rules(&self) -> bool {
        self.0.verifies_by_rules()
    }
}

/// Measures the gain of starts that are symmetric copies of the puzzle, and the gain of starts with
/// noise on their initial states.
#[test]
#[ignore = "measures; minutes"]
fn noise_against_symmetries() {
    const COUNT: usize = 100;
    let sudoku = || Sudoku { box_shape: None };
    let cases: [(&str, &str, Arc<dyn Task>); 4] = [
        (
            "sudoku-6x6",
            "sudoku_6x6_minimal_test.csv",
            Arc::new(Plain(Sudoku {
                box_shape: Some([2, 3]),
            })),
        ),
        (
            "sudoku-9x9",
            "sudoku_9x9_mixed_test.csv",
            Arc::new(Plain(sudoku())),
        ),
        (
            "sudoku-9x9",
            "sudoku_9x9_minimal_test.csv",
            Arc::new(Plain(sudoku())),
        ),
        (
            "maze-10x10",
            "maze_10x10_test_1000.csv",
            Arc::new(Plain(Maze)),
        ),
    ];
    println!(
        "| first {COUNT} of | one start | 4 by noise | 4 by symmetries | 8 by noise | 8 by symmetries |"
    );
    for (model, file, plain) in cases {
        let puzzles = puzzles(file, COUNT);
        let share = |starts: usize, noise: bool| {
            let mut solver = solver(model, starts);
            if noise {
                solver = solver.rebuild(|b| b.task(plain.clone()));
            }
            valid(&solve_all(&solver, &puzzles, 16)) * 100 / COUNT
        };
        let one = share(1, false);
        let tries = [(4, true), (4, false), (8, true), (8, false)];
        let [four, four_turned, eight, eight_turned] =
            tries.map(|(starts, noise)| share(starts, noise));
        println!("| `{file}` | {one} | {four} | {four_turned} | {eight} | {eight_turned} |");
        assert!(eight_turned >= one && eight >= one, "{file}");
    }
}
