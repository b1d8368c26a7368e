//! The halting loop on real models: halting rules, limits, batches, cancelling, a task of an app.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::rebuild::Rebuild;
use trm_runtime::task::{Cells, EncodedPuzzle, Puzzle, Sudoku, Task, TokenSpec, Verdict};
use trm_runtime::{Answer, Device, ErrorKind, HaltRule, MultiStart, Solver};

use crate::solving::{finish, puzzles};

fn solved(answers: &[Answer]) -> usize {
    answers.iter().filter(|a| a.correct == Some(true)).count()
}

#[test]
fn the_three_rules_differ_as_they_should() {
    let puzzles = puzzles("sudoku_6x6_minimal_test.csv", 200);
    let run = |rule| {
        finish(
            Solver::builder()
                .halt_rule(rule)
                .bundled("sudoku-6x6")
                .unwrap()
                .session(&puzzles)
                .unwrap(),
        )
    };
    let (head, verified, never) = (
        run(HaltRule::Head),
        run(HaltRule::Verified),
        run(HaltRule::Never),
    );

    assert!(head.iter().all(|a| a.halted || a.steps == 16));
    assert!(
        head.iter().any(|a| a.halted && a.valid == Some(false)),
        "the head alone believes wrong answers"
    );
    assert!(
        verified.iter().all(|a| !a.halted || a.valid == Some(true)),
        "a verified halt is a right answer"
    );
    assert!(never.iter().all(|a| a.steps == 16 && !a.halted));
    assert!(
        solved(&verified) > solved(&head),
        "{} {}",
        solved(&verified),
        solved(&head)
    );
    assert_eq!(solved(&verified), solved(&never));
}

#[test]
fn limits_hold_and_more_steps_than_trained_are_allowed() {
    let puzzles = puzzles("sudoku_6x6_minimal_test.csv", 10);
    let solver = Solver::bundled("sudoku-6x6").unwrap();
    let late = finish(
        solver
            .rebuild(|b| b.min_steps(3))
            .session(&puzzles)
            .unwrap(),
    );
    assert!(late.iter().all(|a| a.steps >= 3) && late.iter().any(|a| a.steps == 3));
    let short = finish(
        solver
            .rebuild(|b| b.max_steps(1))
            .session(&puzzles)
            .unwrap(),
    );
    assert!(short.iter().all(|a| a.steps == 1));
    let long = finish(
        solver
            .rebuild(|b| b.max_steps(20).halt_rule(HaltRule::Never))
            .session(&puzzles)
            .unwrap(),
    );
    assert!(long.iter().all(|a| a.steps == 20));
    let strict = finish(
        solver
            .rebuild(|b| b.halt_threshold(1.0))
            .session(&puzzles)
            .unwrap(),
    );
    assert!(strict.iter().all(|a| !a.halted && a.steps == 16));
    let lax = finish(
        solver
            .rebuild(|b| b.halt_threshold(0.0).halt_rule(HaltRule::Head))
            .session(&puzzles)
            .unwrap(),
    );
    assert!(lax.iter().all(|a| a.halted && a.steps == 1));
    for (wrong, what) in [
        (solver.to_builder().max_steps(0), "max steps"),
        (solver.to_builder().min_steps(17), "min steps"),
        (solver.to_builder().halt_threshold(1.5), "threshold"),
        (solver.to_builder().halt_threshold(f32::NAN), "threshold"),
        (solver.to_builder().threads(0), "threads"),
        (solver.to_builder().batch(0), "batch"),
        (
            solver.to_builder().multi_start(MultiStart::new(0)),
            "starts",
        ),
    ] {
        let error = wrong.build(solver.model().clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.to_string().contains(what), "{error}");
    }
}

/// Returns everything that an answer holds, as bits.
fn bits(answers: &[Answer]) -> Vec<(Vec<u32>, usize, u32, u32)> {
    let of = |a: &Answer| {
        (
            a.tokens.clone(),
            a.steps,
            a.halting.q_halt.to_bits(),
            a.halting.q_continue.to_bits(),
        )
    };
    answers.iter().map(of).collect()
}

#[test]
fn an_answer_depends_on_neither_batch_nor_neighbours_nor_threads() {
    for (model, file, count) in [
        ("sudoku-6x6", "sudoku_6x6_minimal_test.csv", 24),
        ("sudoku-9x9", "sudoku_9x9_mixed_test.csv", 8),
        ("maze-10x10", "maze_10x10_test_1000.csv", 8),
    ] {
        let puzzles = puzzles(file, count);
        let solver = Solver::builder().max_steps(6).bundled(model).unwrap();
        let alone: Vec<Answer> = puzzles
            .iter()
            .map(|p| solver.rebuild(|b| b.threads(1)).solve(p).unwrap())
            .collect();
        assert!(
            alone.iter().any(|a| a.steps != alone[0].steps),
            "{model}: all halt together, which shows nothing"
        );
        for (batch, threads) in [(1, 2), (3, 1), (5, 3), (64, 2)] {
            let together = finish(
                solver
                    .rebuild(|b| b.batch(batch).threads(threads))
                    .session(&puzzles)
                    .unwrap(),
            );
            assert_eq!(
                bits(&together),
                bits(&alone),
                "{model}, batch {batch}, {threads} threads"
            );
        }
        let mut backwards = puzzles.clone();
        backwards.reverse();
        let mut reversed = finish(solver.rebuild(|b| b.batch(4)).session(&backwards).unwrap());
        reversed.reverse();
        assert_eq!(bits(&reversed), bits(&alone), "{model}, in reverse order");
    }
}

#[test]
fn a_halted_puzzle_frees_its_slot() {
    let puzzles = puzzles("sudoku_6x6_minimal_test.csv", 40);
    let mut session = Solver::builder()
        .batch(4)
        .bundled("sudoku-6x6")
        .unwrap()
        .session(&puzzles)
        .unwrap();
    let (mut steps, mut work, mut taken) = (0, 0, 0);
    while let Some(step) = session.next_step().unwrap() {
        assert!(step.puzzles.len() <= 4 && step.puzzles.is_sorted_by_key(|p| p.index));
        if session.unfinished() > 4 {
            assert_eq!(
                step.puzzles.len(),
                4,
                "no place stays empty while a puzzle waits"
            );
        }
        steps += 1;
        work += step.puzzles.len();
        taken += step
            .puzzles
            .iter()
            .filter_map(|p| p.outcome.as_ref())
            .map(|a| a.steps)
            .sum::<usize>();
    }
    assert_eq!(
        work, taken,
        "a puzzle is refined as often as it says, and not after its halt"
    );
    assert!(steps < 40, "{steps} steps");
    assert!(session.next_step().unwrap().is_none());
}

#[test]
fn the_backends_solve_alike() {
    let puzzles = puzzles("sudoku_4x4_test.csv", 3);
    let run = |device| {
        finish(
            Solver::builder()
                .device(device)
                .bundled("sudoku-4x4")
                .unwrap()
                .session(&puzzles)
                .unwrap(),
        )
    };
    let (cpu, reference) = (run(Device::Cpu), run(Device::Reference));
    for (a, b) in cpu.iter().zip(&reference) {
        assert_eq!(
            (&a.tokens, a.steps, a.correct),
            (&b.tokens, b.steps, Some(true))
        );
        assert!((a.halting.q_halt - b.halting.q_halt).abs() < 1e-3);
    }
    assert_eq!((cpu[0].device, reference[0].device), ("cpu", "reference"));
    // No machine has this many GPUs.
    let absent = Solver::builder()
        .device(Device::Gpu(Some(9999)))
        .bundled("sudoku-4x4")
        .unwrap();
    assert_eq!(
        absent.solve(&puzzles[0]).unwrap_err().kind(),
        ErrorKind::Device
    );
    assert_eq!(
        Device::Gpu(Some(9999)).check().unwrap_err().kind(),
        ErrorKind::Device
    );
}

#[test]
fn steps_tell_what_changed() {
    let puzzle = &puzzles("sudoku_9x9_mixed_test.csv", 20)[3];
    let solver = Solver::builder()
        .halt_rule(HaltRule::Never)
        .max_steps(4)
        .bundled("sudoku-9x9")
        .unwrap();
    let mut session = solver.session(std::slice::from_ref(puzzle)).unwrap();
    let mut before = solver.encode(puzzle).unwrap().0.tokens;
    for number in 1..=4 {
        let step = session.next_step().unwrap().unwrap().puzzles.remove(0);
        assert_eq!(
            (step.step, step.index, step.outcome.is_some()),
            (number, 0, number == 4)
        );
        let differ: Vec<usize> = (0..81).filter(|&c| before[c] != step.tokens[c]).collect();
        assert_eq!(step.changed, differ);
        before = step.tokens;
    }
}

#[test]
fn a_session_is_cancelled_from_another_thread_and_by_its_deadline() {
    let puzzles = puzzles("sudoku_9x9_minimal_test.csv", 64);
    let solver = Solver::builder()
        .halt_rule(HaltRule::Never)
        .max_steps(10_000)
        .bundled("sudoku-9x9")
        .unwrap();
    let mut session = solver.session(&puzzles).unwrap();
    let token = session.cancel_token();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        token.cancel();
        Instant::now()
    });
    let error = loop {
        match session.next_step() {
            Ok(step) => assert!(step.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(
        canceller.join().unwrap().elapsed() < Duration::from_secs(5),
        "it stops within a step"
    );
    assert_eq!(session.unfinished(), 64);
    assert_eq!(
        session.next_step().unwrap_err().kind(),
        ErrorKind::Cancelled,
        "and stays stopped"
    );

    let error = solver
        .rebuild(|b| b.time_limit(Duration::from_millis(50)))
        .solve(&puzzles[0])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
}

#[test]
fn a_solver_is_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let solver = Solver::bundled("sudoku-4x4").unwrap();
    shared(&solver);
    let puzzles = puzzles("sudoku_4x4_test.csv", 8);
    std::thread::scope(|scope| {
        for puzzle in &puzzles {
            let solver = &solver;
            scope.spawn(move || assert_eq!(solver.solve(puzzle).unwrap().correct, Some(true)));
        }
    });
}

/// A task of an app: a Sudoku of four animals.
#[derive(Debug)]
struct Animals(Sudoku);

const ANIMALS: &str = "cdhm";

impl Task for Animals {
    fn name(&self) -> &str {
        "animals"
    }
    fn encode(&self, puzzle: &Puzzle, space: &TokenSpec) -> trm_runtime::Result<EncodedPuzzle> {
        let digits = puzzle
            .cells
            .to_string()
            .chars()
            .map(|c| ANIMALS.find(c).map_or('0', |i| (b'1' + i as u8) as char))
            .collect();
        self.0.encode(
            &Puzzle {
                cells: Cells::Text(digits),
                ..puzzle.clone()
            },
            space,
        )
    }
    fn decode(&self, _: &EncodedPuzzle, answer: &[u32]) -> Cells {
        Cells::Text(
            answer
                .iter()
                .map(|&t| {
                    ANIMALS
                        .chars()
                        .nth((t as usize).wrapping_sub(2))
                        .unwrap_or('?')
                })
                .collect(),
        )
    }
    fn verify(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        self.0.verify(problem, answer)
    }
    fn verifies_by_rules(&self) -> bool {
        true
    }
}

#[test]
fn an_app_brings_its_own_task() {
    let solver = Solver::builder()
        .task(Arc::new(Animals(Sudoku { box_shape: None })))
        .bundled("sudoku-4x4")
        .unwrap();
    // 0000020440102103 in animals.
    let puzzle = Puzzle {
        cells: Cells::Text("?????d?mm?c?dc?h".into()),
        ..puzzles("sudoku_4x4_test.csv", 1).remove(0)
    };
    let answer = solver.solve(&puzzle).unwrap();
    assert_eq!(
        (
            answer.cells.to_string().as_str(),
            answer.valid,
            answer.task.as_str()
        ),
        ("hmdccdhmmhcddcmh", Some(true), "animals")
    );
}

/// Answers come in the order of the puzzles, whatever their size, and one for each.
#[test]
fn solve_many_yields_one_result_for_each_puzzle_in_order() {
    let solver = Solver::builder()
        .batch(3)
        .threads(2)
        .bundled("sudoku-6x6")
        .unwrap();
    let mut all = puzzles("sudoku_6x6_minimal_test.csv", 25);
    let expected: Vec<_> = all.iter().map(|p| solver.solve(p).unwrap()).collect();
    // Two puzzles that this model does not take.
    all.insert(7, "1".repeat(16).parse().unwrap());
    all.push("hello".parse().unwrap());
    let results: Vec<_> = solver.solve_many(all).collect();
    assert_eq!(results.len(), 27);
    assert_eq!(results[7].as_ref().unwrap_err().kind(), ErrorKind::Puzzle);
    assert!(
        results[7]
            .as_ref()
            .unwrap_err()
            .to_string()
            .starts_with("puzzle 7: ")
    );
    assert!(results[26].is_err());
    let answers: Vec<_> = results.into_iter().flatten().collect();
    let indices: Vec<_> = (0..26).filter(|&index| index != 7).collect();
    assert_eq!(answers.iter().map(|a| a.index).collect::<Vec<_>>(), indices);
    assert_eq!(bits(&answers), bits(&expected));
}

/// A model that takes mazes of any size up to its own gets them in sessions of one size each.
#[test]
fn solve_many_takes_puzzles_of_several_sizes() {
    let solver = Solver::builder().batch(4).bundled("sudoku-4x4").unwrap();
    let tokens = |text: &str| -> Puzzle {
        let tokens = text.bytes().map(|b| i64::from(b - b'0' + 1)).collect();
        Cells::Tokens(tokens).into()
    };
    let mixed = ["1000000400310002", "0000020440102103"];
    let many: Vec<Puzzle> = mixed
        .iter()
        .flat_map(|text| [text.parse().unwrap(), tokens(text)])
        .collect();
    let answers: Vec<_> = solver.solve_many(many).map(Result::unwrap).collect();
    let tasks: Vec<_> = answers.iter().map(|a| a.task.as_str()).collect();
    assert_eq!(tasks, ["sudoku", "tokens", "sudoku", "tokens"]);
    assert_eq!(answers[0].tokens, answers[1].tokens);
    assert_eq!(answers[2].tokens, answers[3].tokens);
}

#[test]
fn the_iterator_over_steps_yields_what_next_step_does_and_ends() {
    let solver = Solver::bundled("sudoku-6x6").unwrap();
    let puzzles = puzzles("sudoku_6x6_minimal_test.csv", 5);
    let expected = finish(solver.session(&puzzles).unwrap());
    let mut session = solver.session(&puzzles).unwrap();
    let mut answers: Vec<Answer> = Vec::new();
    for step in session.steps() {
        answers.extend(step.unwrap().puzzles.into_iter().filter_map(|p| p.outcome));
    }
    answers.sort_by_key(|a| a.index);
    assert_eq!(bits(&answers), bits(&expected));
    assert!(session.steps().next().is_none());
    // An error is yielded once.
    let mut session = solver.session(&puzzles).unwrap();
    session.cancel_token().cancel();
    let mut steps = session.steps();
    assert_eq!(
        steps.next().unwrap().unwrap_err().kind(),
        ErrorKind::Cancelled
    );
    assert!(steps.next().is_none());
}

/// A session over puzzles gives each of them the starts of the solver, as `solve` does.
#[test]
fn a_session_follows_the_multi_start_settings() {
    let solver = Solver::builder()
        .multi_start(MultiStart::new(3).with_seed(5))
        .max_steps(4)
        .bundled("sudoku-6x6")
        .unwrap();
    let puzzles = puzzles("sudoku_6x6_minimal_test.csv", 4);
    let alone: Vec<_> = puzzles.iter().map(|p| solver.solve(p).unwrap()).collect();
    let together = finish(solver.session(&puzzles).unwrap());
    assert_eq!(bits(&together), bits(&alone));
}

#[test]
fn names_of_settings_are_parsed_and_displayed() {
    for name in ["auto", "cpu", "reference", "gpu", "gpu:3"] {
        assert_eq!(name.parse::<Device>().unwrap().to_string(), name);
    }
    for rule in HaltRule::ALL {
        assert_eq!(rule.to_string().parse::<HaltRule>().unwrap(), rule);
    }
    for dtype in trm_runtime::WeightDtype::ALL {
        assert_eq!(
            dtype
                .to_string()
                .parse::<trm_runtime::WeightDtype>()
                .unwrap(),
            dtype
        );
    }
}
