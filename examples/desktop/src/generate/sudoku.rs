//! Sudoku generation.

use super::Difficulty;
use super::logic_solver::LogicSolver;
use crate::board::{Board, Kind};
use trm_runtime::low_level::random::Random;

/// The maximum number of attempts at a hard Sudoku that singles do not solve. It takes a few
/// attempts at 9 x 9, dozens at 6 x 6, and never succeeds at 4 x 4.
const MAX_ATTEMPTS: usize = 100;

/// Fills a random grid, then removes clues as far as the difficulty allows.
pub(super) fn generate(
    side: usize,
    boxes: [usize; 2],
    difficulty: Difficulty,
    random: &mut Random,
) -> Board {
    let solver = LogicSolver::new(side, boxes);
    let solution = solver.fill(|digits| random.shuffle(digits));
    let cells = match difficulty {
        Difficulty::Easy | Difficulty::Medium => {
            let [min, max] = clue_count(side, difficulty);
            let target = min + random.below(max - min + 1);
            remove_clues(&solution, target, random, |cells| {
                solver.is_solved_by_singles(cells)
            })
        }
        Difficulty::Hard => {
            let mut attempt =
                || remove_clues(&solution, 0, random, |cells| solver.has_one_solution(cells));
            let mut cells = attempt();
            for _ in 1..MAX_ATTEMPTS {
                if !solver.is_solved_by_singles(&cells) {
                    break;
                }
                cells = attempt();
            }
            cells
        }
    };
    Board::new(Kind::sudoku(side), cells)
}

/// Returns the minimum and the maximum number of clues of an easy or a medium Sudoku.
fn clue_count(side: usize, difficulty: Difficulty) -> [usize; 2] {
    let easy = difficulty == Difficulty::Easy;
    match side {
        4 if easy => [8, 9],
        4 => [6, 7],
        6 if easy => [18, 20],
        6 => [12, 14],
        _ if easy => [38, 42],
        _ => [28, 31],
    }
}

/// Removes clues in random order until `target` are left. Puts back each clue without which
/// `is_allowed` returns false.
fn remove_clues(
    solution: &[u8],
    target: usize,
    random: &mut Random,
    is_allowed: impl Fn(&[u8]) -> bool,
) -> Vec<u8> {
    let mut cells = solution.to_vec();
    let mut order: Vec<usize> = (0..cells.len()).collect();
    random.shuffle(&mut order);
    let mut left = cells.len();
    for cell in order {
        if left <= target {
            break;
        }
        let clue = std::mem::take(&mut cells[cell]);
        if is_allowed(&cells) {
            left -= 1;
        } else {
            cells[cell] = clue;
        }
    }
    cells
}
