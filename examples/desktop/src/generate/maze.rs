//! Maze generation.

use super::Difficulty;
use crate::board::{Board, FREE, GOAL, Kind, START, ShortestPaths, WALL};
use trm_runtime::low_level::random::Random;

/// The maximum number of random mazes before the generator falls back to a maze without walls. At
/// side 10 and above, a hard maze takes about ten.
const MAX_DRAWS: usize = 2000;

/// Draws random mazes until one has the right path length.
///
/// Every cell is a wall with the same probability, which is drawn from 30 to 45 % for each maze.
/// The goal is a random free cell, the start a random cell at the right distance.
pub(super) fn generate(side: usize, difficulty: Difficulty, random: &mut Random) -> Board {
    let [min_steps, max_steps] = path_steps(side, difficulty);
    for _ in 0..MAX_DRAWS {
        let walls_per_mille = 300 + random.below(150);
        let mut cells: Vec<u8> = (0..side * side)
            .map(|_| {
                if random.below(1000) < walls_per_mille {
                    WALL
                } else {
                    FREE
                }
            })
            .collect();
        let goal = random.below(cells.len());
        if cells[goal] == WALL {
            continue;
        }
        let paths = ShortestPaths::search(side, &[goal], |cell| cells[cell] == FREE);
        let is_start = |&cell: &usize| {
            paths.distance[cell].is_some_and(|steps| (min_steps..=max_steps).contains(&steps))
        };
        let starts: Vec<usize> = paths.reached.iter().copied().filter(is_start).collect();
        if starts.is_empty() {
            continue;
        }
        cells[starts[random.below(starts.len())]] = START;
        cells[goal] = GOAL;
        return Board::new(Kind::maze(side), cells);
    }
    Board::maze(side)
}

/// Returns the minimum and the maximum number of steps of the shortest path. At 10 x 10, the minima
/// are 12, 14 and 18.
fn path_steps(side: usize, difficulty: Difficulty) -> [usize; 2] {
    let tenths = |n: usize| (side * n).div_ceil(10);
    let (easy, medium, hard) = (tenths(12), tenths(14), tenths(18));
    match difficulty {
        Difficulty::Easy => [easy, medium.max(easy + 1) - 1],
        Difficulty::Medium => [medium, hard.max(medium + 1) - 1],
        Difficulty::Hard => [hard, usize::MAX],
    }
}
