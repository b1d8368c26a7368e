//! Generated puzzles: they have one solution and the right difficulty, and the bundled models solve
//! the easy ones.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use trm_demo::board::{Board, FREE, GOAL, Kind, START, WALL};
use trm_demo::generate::{Difficulty, generate};
use trm_runtime::{Device, HaltRule, Solver};

/// The conflicts of a valid answer.
const NO_CELLS: [usize; 0] = [];
/// The sides of the generated Sudokus.
const SUDOKU_SIDES: [usize; 3] = [4, 6, 9];

/// Counts the solutions of a Sudoku, up to `limit`. Shares no code with the generator.
fn count_solutions(cells: &mut [u8], side: usize, limit: usize) -> usize {
    let (high, wide) = match side {
        4 => (2, 2),
        6 => (2, 3),
        _ => (3, 3),
    };
    let fits = |cells: &[u8], cell: usize, digit: u8| {
        let (row, col) = (cell / side, cell % side);
        !(0..cells.len()).any(|other| {
            let (r, c) = (other / side, other % side);
            let is_peer =
                r == row || c == col || (r / high == row / high && c / wide == col / wide);
            is_peer && cells[other] == digit
        })
    };
    let digits = |cells: &[u8], cell| {
        (1..=side as u8)
            .filter(|&d| fits(cells, cell, d))
            .collect::<Vec<_>>()
    };
    let blanks = (0..cells.len()).filter(|&cell| cells[cell] == 0);
    let Some((cell, candidates)) = blanks
        .map(|cell| (cell, digits(cells, cell)))
        .min_by_key(|(_, candidates)| candidates.len())
    else {
        return 1;
    };
    let mut found = 0;
    for digit in candidates {
        cells[cell] = digit;
        found += count_solutions(cells, side, limit - found);
        if found >= limit {
            break;
        }
    }
    cells[cell] = 0;
    found
}

/// Returns whether singles solve a Sudoku: cells with one digit left, and digits with one cell left
/// in a house.
fn is_solved_by_singles(board: &Board) -> bool {
    let (side, mut cells) = (board.cols(), board.cells().to_vec());
    let Kind::Sudoku {
        boxes: [high, wide],
        ..
    } = board.kind()
    else {
        panic!("the board is not a Sudoku");
    };
    let share_house = |a: usize, b: usize, house: usize| match house {
        0 => a / side == b / side,
        1 => a % side == b % side,
        _ => a / side / high == b / side / high && a % side / wide == b % side / wide,
    };
    let fits = |cells: &[u8], cell: usize, digit: u8| {
        cells[cell] == 0
            && !(0..cells.len())
                .any(|b| cells[b] == digit && (0..3).any(|h| share_house(cell, b, h)))
    };
    'search: loop {
        for cell in 0..cells.len() {
            let digits: Vec<u8> = (1..=side as u8)
                .filter(|&d| fits(&cells, cell, d))
                .collect();
            for &digit in &digits {
                let hidden = |h| {
                    !(0..cells.len())
                        .any(|b| b != cell && share_house(cell, b, h) && fits(&cells, b, digit))
                };
                if digits.len() == 1 || (0..3).any(hidden) {
                    cells[cell] = digit;
                    continue 'search;
                }
            }
        }
        return !cells.contains(&0);
    }
}

fn clue_count(board: &Board) -> usize {
    board.cells().iter().filter(|&&digit| digit > 0).count()
}

#[test]
fn every_sudoku_has_one_solution() {
    for side in SUDOKU_SIDES {
        for difficulty in Difficulty::ALL {
            for seed in 0..20 {
                let board = generate(Kind::sudoku(side), difficulty, seed);
                assert_eq!(board.kind(), Kind::sudoku(side));
                board.check().unwrap();
                let mut cells = board.cells().to_vec();
                assert_eq!(
                    count_solutions(&mut cells, side, 2),
                    1,
                    "{difficulty:?} {seed}: {}",
                    board.to_text()
                );
            }
        }
    }
}

#[test]
fn the_solver_of_these_tests_counts_solutions() {
    let mut unique: Vec<u8> = b"0000020440102103".iter().map(|c| c - b'0').collect();
    assert_eq!(count_solutions(&mut unique, 4, 2), 1);
    assert_eq!(count_solutions(&mut [0; 16], 4, 1000), 288);
    assert_eq!(
        count_solutions(&mut [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 4, 2),
        0
    );
}

#[test]
fn singles_solve_easy_and_medium_sudokus_and_hard_ones_are_minimal() {
    for side in SUDOKU_SIDES {
        let mut mean = Vec::new();
        for difficulty in Difficulty::ALL {
            let boards: Vec<Board> = (0..20)
                .map(|seed| generate(Kind::sudoku(side), difficulty, seed))
                .collect();
            mean.push(boards.iter().map(clue_count).sum::<usize>() / boards.len());
            match difficulty {
                // Only four, because the solver of these tests is slow.
                Difficulty::Hard => assert!(boards.iter().take(4).all(is_minimal), "{side}"),
                _ => assert!(
                    boards.iter().all(is_solved_by_singles),
                    "{side} {difficulty:?}"
                ),
            }
            if difficulty == Difficulty::Hard && side > 4 {
                let harder = boards
                    .iter()
                    .filter(|board| !is_solved_by_singles(board))
                    .count();
                assert!(
                    harder >= if side == 9 { 20 } else { 18 },
                    "only {harder} of {side} x {side} need more"
                );
            }
        }
        assert!(mean[0] > mean[1] && mean[1] > mean[2], "{side}: {mean:?}");
    }
}

/// Returns whether the Sudoku without any one of its clues has a second solution.
fn is_minimal(board: &Board) -> bool {
    (0..board.cells().len())
        .filter(|&cell| board.is_given(cell))
        .all(|cell| {
            let mut cells = board.cells().to_vec();
            cells[cell] = 0;
            count_solutions(&mut cells, board.cols(), 2) == 2
        })
}

#[test]
fn the_same_seed_gives_the_same_puzzle() {
    for kind in [
        Kind::sudoku(4),
        Kind::sudoku(6),
        Kind::sudoku(9),
        Kind::maze(10),
        Kind::maze(30),
    ] {
        for difficulty in Difficulty::ALL {
            let texts: Vec<String> = (0..12)
                .map(|seed| generate(kind, difficulty, seed).to_text())
                .collect();
            assert_eq!(texts[3], generate(kind, difficulty, 3).to_text());
            let different: HashSet<&String> = texts.iter().collect();
            assert_eq!(different.len(), texts.len(), "{kind:?}");
        }
    }
    // A seed gives the same puzzle on every machine, and in future versions.
    let board = generate(Kind::sudoku(4), Difficulty::Easy, 1);
    assert_eq!(board.to_text(), SUDOKU_OF_SEED_1);
    let extreme = generate(Kind::maze(10), Difficulty::Hard, u64::MAX);
    extreme.check().unwrap();
}

const SUDOKU_OF_SEED_1: &str = "314...1.43.1..34";

/// Returns the number of steps of the shortest path from the start to the goal.
fn shortest_path_steps(board: &Board) -> Option<usize> {
    let side = board.cols();
    let place = |value| board.cells().iter().position(|&cell| cell == value);
    let (start, goal) = (place(START)?, place(GOAL)?);
    let mut steps = vec![None; side * side];
    let mut queue = VecDeque::from([start]);
    steps[start] = Some(0);
    while let Some(cell) = queue.pop_front() {
        let around = [(1, 0), (0, 1), (-1, 0), (0, -1)].map(|(down, right)| {
            let row = (cell / side)
                .checked_add_signed(down)
                .filter(|&row| row < side)?;
            let col = (cell % side)
                .checked_add_signed(right)
                .filter(|&col| col < side)?;
            Some(row * side + col)
        });
        for next in around.into_iter().flatten() {
            if board.cell(next) != WALL && steps[next].is_none() {
                steps[next] = steps[cell].map(|n: usize| n + 1);
                queue.push_back(next);
            }
        }
    }
    steps[goal]
}

#[test]
fn every_maze_has_a_path_of_the_right_length() {
    for side in [5, 10, 20, 30, 50] {
        let mut walls = 0;
        let mut ends_in_lower_half = [0, 0];
        let mut longest = 0;
        for difficulty in Difficulty::ALL {
            let lengths: Vec<usize> = (0..30)
                .map(|seed| {
                    let board = generate(Kind::maze(side), difficulty, seed);
                    board.check().unwrap();
                    let half = board.cells().len() / 2;
                    let place = |value| {
                        board
                            .cells()
                            .iter()
                            .position(|&cell| cell == value)
                            .unwrap()
                    };
                    ends_in_lower_half[0] += usize::from(place(START) >= half);
                    ends_in_lower_half[1] += usize::from(place(GOAL) >= half);
                    walls += board.cells().iter().filter(|&&cell| cell == WALL).count();
                    shortest_path_steps(&board).unwrap()
                })
                .collect();
            let (least, most) = (
                *lengths.iter().min().unwrap(),
                *lengths.iter().max().unwrap(),
            );
            assert!(least >= side * 12 / 10, "{side} {difficulty:?}: {least}");
            assert!(
                least > longest,
                "{side} {difficulty:?}: {least} is not above {longest}"
            );
            longest = most;
        }
        // Both ends are anywhere in the maze.
        assert!(
            ends_in_lower_half
                .iter()
                .all(|ends| (25..65).contains(ends)),
            "{side}: {ends_in_lower_half:?} of 90"
        );
        // Cells are walls with a probability of 30 to 45 %. Mazes that have a solution have fewer.
        let share = walls as f64 / (90 * side * side) as f64;
        assert!((0.28..0.42).contains(&share), "{side}: {share}");
    }
    for side in 2..5 {
        for difficulty in Difficulty::ALL {
            generate(Kind::maze(side), difficulty, 1).check().unwrap();
        }
    }
}

#[test]
fn arc_and_invalid_sizes_give_valid_boards() {
    let kind = Kind::arc(3, 4);
    assert_eq!(generate(kind, Difficulty::Hard, 1), Board::empty(kind));
    assert_eq!(
        generate(
            Kind::Sudoku {
                side: 0,
                boxes: [0, 0]
            },
            Difficulty::Easy,
            1
        )
        .kind(),
        Kind::sudoku(9)
    );
    assert!(
        generate(Kind::Maze { side: 0 }, Difficulty::Easy, 1)
            .cells()
            .iter()
            .any(|&cell| cell != FREE)
    );
}

#[test]
fn generation_is_fast() {
    let mut slowest = Duration::ZERO;
    for kind in [Kind::sudoku(9), Kind::maze(30), Kind::maze(50)] {
        for seed in 100..120 {
            let start = Instant::now();
            generate(kind, Difficulty::Hard, seed);
            slowest = slowest.max(start.elapsed());
        }
    }
    println!("slowest: {slowest:?}");
    // In a release build on a quiet machine it takes 100 ms. This test may have neither.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn the_bundled_models_solve_most_easy_puzzles() {
    let cases = [
        (Kind::sudoku(4), "sudoku-4x4", 24),
        (Kind::sudoku(6), "sudoku-6x6", 23),
        (Kind::sudoku(9), "sudoku-9x9", 22),
        (Kind::maze(10), "maze-10x10", 23),
        (Kind::maze(15), "maze-15x15", 20),
        (Kind::maze(20), "maze-20x20", 16),
    ];
    for (kind, model, at_least) in cases {
        let boards: Vec<Board> = (0..24)
            .map(|seed| generate(kind, Difficulty::Easy, seed))
            .collect();
        let puzzles: Vec<_> = boards.iter().map(Board::to_puzzle).collect();
        let solver = Solver::builder()
            .device(Device::Cpu)
            .halt_rule(HaltRule::Verified)
            .max_steps(16)
            .bundled(model)
            .unwrap();
        let mut session = solver.session(&puzzles).unwrap();
        let mut solved = 0;
        while let Some(answers) = session.next_answers().unwrap() {
            for answer in answers.iter().filter(|answer| answer.valid == Some(true)) {
                let board = &boards[answer.index];
                let grid = board.answer(&answer.cells);
                assert_eq!(
                    board.conflicts(Some(&grid.cells)),
                    NO_CELLS,
                    "{model}: {}",
                    answer.cells
                );
                solved += 1;
            }
        }
        println!("{model}: {solved} of 24");
        assert!(solved >= at_least, "{model} solved {solved} of 24");
    }
}
