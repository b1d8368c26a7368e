//! New Sudokus.

use super::Difficulty;
use super::logic::Logic;
use crate::board::{Board, Kind};
use trm::random::Random;

/// How often a hard one is dug until it needs more than singles: a few times at 9 x 9,
/// dozens of times at 6 x 6, in vain at 4 x 4.
const TRIES: usize = 100;

/// A random full grid, from which clues are taken as long as the difficulty allows it.
pub(super) fn generate(side: usize, boxes: [usize; 2], difficulty: Difficulty, random: &mut Random) -> Board {
    let logic = Logic::new(side, boxes);
    let solution = logic.fill(|digits| random.shuffle(digits));
    let cells = match difficulty {
        Difficulty::Easy | Difficulty::Medium => {
            let [least, most] = clues(side, difficulty);
            let target = least + random.below(most - least + 1);
            dig(&solution, target, random, |cells| logic.falls_to_singles(cells))
        }
        Difficulty::Hard => {
            let mut cells = dig(&solution, 0, random, |cells| logic.is_unique(cells));
            for _ in 1..TRIES {
                if !logic.falls_to_singles(&cells) {
                    break;
                }
                cells = dig(&solution, 0, random, |cells| logic.is_unique(cells));
            }
            cells
        }
    };
    Board::of(Kind::sudoku(side), cells)
}

/// The fewest and the most clues. What singles solve has one solution.
fn clues(side: usize, difficulty: Difficulty) -> [usize; 2] {
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

/// Takes clues away in random order while the rest is `good`, until `target` are left.
fn dig(solution: &[u8], target: usize, random: &mut Random, good: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut cells = solution.to_vec();
    let mut order: Vec<usize> = (0..cells.len()).collect();
    random.shuffle(&mut order);
    let mut left = cells.len();
    for cell in order {
        if left <= target {
            break;
        }
        let clue = std::mem::take(&mut cells[cell]);
        if good(&cells) {
            left -= 1;
        } else {
            cells[cell] = clue;
        }
    }
    cells
}
