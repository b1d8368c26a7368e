//! Mazes: the path of an answer, and where it breaks.

use std::collections::VecDeque;

use super::{FREE, GOAL, PATH, START, WALL};

/// Token t is character t - 1.
pub(super) const CHARS: [u8; 5] = [WALL, FREE, START, GOAL, PATH];

/// The path of an answer to a maze.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MazePath {
    /// The way from the start over path cells: to the goal where it is connected, else to the break.
    pub walk: Vec<usize>,
    /// Where it is not connected: the way from behind the break to the goal.
    pub rest: Vec<usize>,
    /// Whether path cells join the start and the goal.
    pub connected: bool,
    /// Where it is not connected: the cell of the piece at the start and the cell of the piece at the goal that are nearest
    /// to each other, over free cells if the maze has a way.
    pub gap: Option<[usize; 2]>,
    /// Path cells on neither way, in their order.
    pub loose: Vec<usize>,
}

/// The cells below, left of, right of and above a cell of a `side` x `side` grid, in the order of the generator's rule.
pub(crate) fn neighbours(cell: usize, side: usize) -> impl Iterator<Item = usize> {
    let (row, col) = (cell / side, cell % side);
    let places = [
        (row + 1 < side).then_some(cell + side),
        (col > 0).then(|| cell - 1),
        (col + 1 < side).then_some(cell + 1),
        (row > 0).then(|| cell - side),
    ];
    places.into_iter().flatten()
}

/// A search that spreads evenly from its sources.
pub(crate) struct Spread {
    /// The cells that were reached, nearest first.
    pub(crate) reached: Vec<usize>,
    /// Steps from the nearest source.
    pub(crate) distance: Vec<Option<usize>>,
    /// The cell from which each was reached; a source itself.
    from: Vec<usize>,
}

impl Spread {
    /// Spreads over `open` cells. Sources need not be open.
    pub(crate) fn over(side: usize, sources: &[usize], open: impl Fn(usize) -> bool) -> Spread {
        let mut spread = Spread {
            reached: Vec::new(),
            distance: vec![None; side * side],
            from: (0..side * side).collect(),
        };
        let mut queue = VecDeque::new();
        for &source in sources {
            spread.distance[source] = Some(0);
            queue.push_back((source, 0));
        }
        while let Some((cell, steps)) = queue.pop_front() {
            spread.reached.push(cell);
            for next in neighbours(cell, side) {
                if spread.distance[next].is_none() && open(next) {
                    spread.distance[next] = Some(steps + 1);
                    spread.from[next] = cell;
                    queue.push_back((next, steps + 1));
                }
            }
        }
        spread
    }

    /// The way from a cell that was reached back to its source, both included.
    fn way_back(&self, mut cell: usize) -> Vec<usize> {
        let mut way = vec![cell];
        while self.from[cell] != cell {
            cell = self.from[cell];
            way.push(cell);
        }
        way
    }
}

/// See [`Board::path`](super::Board::path). `maze` and `answer` have `side * side` cells.
pub(super) fn path(maze: &[u8], answer: &[u8], side: usize) -> MazePath {
    let Some((start, goal)) = ends(maze) else {
        return MazePath::default();
    };
    // What an answer says of walls is no path.
    let is_path = |cell: usize| answer[cell] == PATH && maze[cell] == FREE;
    let from_start = Spread::over(side, &[start], |cell| is_path(cell) || cell == goal);
    let mut path = MazePath {
        connected: from_start.distance[goal].is_some(),
        ..MazePath::default()
    };
    if path.connected {
        path.walk = from_start.way_back(goal);
    } else {
        let from_goal = Spread::over(side, &[goal], is_path);
        // Over free cells; a maze without a way has only walls to cross.
        let crossed = |walls: bool| {
            let across = Spread::over(side, &from_start.reached, |cell| walls || maze[cell] != WALL);
            let landing = across
                .reached
                .iter()
                .copied()
                .find(|&cell| from_goal.distance[cell].is_some())?;
            Some([*across.way_back(landing).last()?, landing])
        };
        let [a, b] = crossed(false).or_else(|| crossed(true)).unwrap_or([start, goal]);
        path.gap = Some([a, b]);
        path.walk = from_start.way_back(a);
        path.rest = from_goal.way_back(b);
    }
    path.walk.reverse();
    let mut on_way = vec![false; maze.len()];
    path.walk
        .iter()
        .chain(&path.rest)
        .for_each(|&cell| on_way[cell] = true);
    path.loose = (0..maze.len())
        .filter(|&cell| is_path(cell) && !on_way[cell])
        .collect();
    path
}

/// See [`Board::conflicts`](super::Board::conflicts).
pub(super) fn conflicts(maze: &[u8], answer: Option<&[u8]>, side: usize) -> Vec<usize> {
    let mut wrong = vec![false; maze.len()];
    match answer {
        None => {
            if let Some((start, goal)) = ends(maze) {
                let ways = Spread::over(side, &[start], |cell| maze[cell] != WALL);
                if ways.distance[goal].is_none() {
                    (wrong[start], wrong[goal]) = (true, true);
                }
            }
        }
        Some(answer) => {
            for (cell, pair) in maze.iter().zip(answer).enumerate() {
                wrong[cell] = pair.0 != pair.1 && pair != (&FREE, &PATH);
            }
            let path = path(maze, answer, side);
            if let Some(gap) = path.gap {
                gap.iter().chain(&path.loose).for_each(|&cell| wrong[cell] = true);
            }
        }
    }
    (0..maze.len()).filter(|&cell| wrong[cell]).collect()
}

fn ends(maze: &[u8]) -> Option<(usize, usize)> {
    let place = |value| maze.iter().position(|&cell| cell == value);
    Some((place(START)?, place(GOAL)?))
}
