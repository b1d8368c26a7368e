//! New mazes.

use super::Difficulty;
use crate::board::{Board, FREE, GOAL, Kind, START, Spread, WALL};
use trm::random::Random;

/// How often walls are drawn before the empty room must do. Of ten sides and more a hard maze takes about ten draws.
const TRIES: usize = 2000;

/// Every cell is a wall on its own, in 30 to 45 % of cases (another share for every maze); the goal is any free cell, the
/// start any cell that is as far from it as the difficulty asks.
pub(super) fn generate(side: usize, difficulty: Difficulty, random: &mut Random) -> Board {
    let [least, most] = steps(side, difficulty);
    for _ in 0..TRIES {
        let share = 300 + random.below(150);
        let mut cells: Vec<u8> = (0..side * side)
            .map(|_| if random.below(1000) < share { WALL } else { FREE })
            .collect();
        let goal = random.below(cells.len());
        if cells[goal] == WALL {
            continue;
        }
        let spread = Spread::over(side, &[goal], |cell| cells[cell] == FREE);
        let far = |cell: &usize| spread.distance[*cell].is_some_and(|steps| (least..=most).contains(&steps));
        let starts: Vec<usize> = spread.reached.iter().copied().filter(far).collect();
        if starts.is_empty() {
            continue;
        }
        cells[starts[random.below(starts.len())]] = START;
        cells[goal] = GOAL;
        return Board::of(Kind::maze(side), cells);
    }
    Board::maze(side)
}

/// The fewest and the most steps of the shortest way: for 10 x 10 from 12, from 14, from 18.
fn steps(side: usize, difficulty: Difficulty) -> [usize; 2] {
    let tenths = |n: usize| (side * n).div_ceil(10);
    let (easy, medium, hard) = (tenths(12), tenths(14), tenths(18));
    match difficulty {
        Difficulty::Easy => [easy, medium.max(easy + 1) - 1],
        Difficulty::Medium => [medium, hard.max(medium + 1) - 1],
        Difficulty::Hard => [hard, usize::MAX],
    }
}
