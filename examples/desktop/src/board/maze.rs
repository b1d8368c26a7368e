//! Mazes: shortest paths, the path of an answer, and the cells that break a rule.

use std::collections::VecDeque;

use super::{FREE, GOAL, PATH, START, WALL};

/// The characters of the tokens: token t stands for character t - 1.
pub(super) const CHARS: [u8; 5] = [WALL, FREE, START, GOAL, PATH];

/// The path of an answer to a maze.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MazePath {
    /// The path from the start: to the goal if they are connected, else to the gap.
    pub from_start: Vec<usize>,
    /// The path from the gap to the goal. It is empty if start and goal are connected.
    pub to_goal: Vec<usize>,
    /// Whether path cells connect the start and the goal.
    pub connected: bool,
    /// The gap, if start and goal are not connected: the closest two cells of the part at the start
    /// and the part at the goal. Distances run through free cells if the maze has a solution.
    pub gap: Option<[usize; 2]>,
    /// Path cells that belong to neither `from_start` nor `to_goal`, in ascending order.
    pub detached: Vec<usize>,
}

/// Returns the cells below, left of, right of and above a cell of a `side` x `side` grid, in the
/// order in which the generator of the training mazes visits them.
fn neighbors(cell: usize, side: usize) -> impl Iterator<Item = usize> {
    let (row, col) = (cell / side, cell % side);
    let cells = [
        (row + 1 < side).then_some(cell + side),
        (col > 0).then(|| cell - 1),
        (col + 1 < side).then_some(cell + 1),
        (row > 0).then(|| cell - side),
    ];
    cells.into_iter().flatten()
}

/// The shortest paths from a set of source cells, found by breadth-first search.
pub(crate) struct ShortestPaths {
    /// The reachable cells, nearest first.
    pub(crate) reached: Vec<usize>,
    /// The number of steps from the nearest source.
    pub(crate) distance: Vec<Option<usize>>,
    /// The cell before each cell on its shortest path. A source is its own.
    previous: Vec<usize>,
}

impl ShortestPaths {
    /// Searches over the cells for which `is_open` returns true. Sources need not be open.
    pub(crate) fn search(side: usize, sources: &[usize], is_open: impl Fn(usize) -> bool) -> Self {
        let mut search = Self {
            reached: Vec::new(),
            distance: vec![None; side * side],
            previous: (0..side * side).collect(),
        };
        let mut queue = VecDeque::new();
        for &source in sources {
            search.distance[source] = Some(0);
            queue.push_back((source, 0));
        }
        while let Some((cell, steps)) = queue.pop_front() {
            search.reached.push(cell);
            for next in neighbors(cell, side) {
                if search.distance[next].is_none() && is_open(next) {
                    search.distance[next] = Some(steps + 1);
                    search.previous[next] = cell;
                    queue.push_back((next, steps + 1));
                }
            }
        }
        search
    }

    /// Returns the path from a reachable cell back to its source, including both.
    fn path_back(&self, mut cell: usize) -> Vec<usize> {
        let mut path = vec![cell];
        while self.previous[cell] != cell {
            cell = self.previous[cell];
            path.push(cell);
        }
        path
    }
}

/// See [`Board::path`](super::Board::path). `maze` and `answer` have `side * side` cells.
pub(super) fn path(maze: &[u8], answer: &[u8], side: usize) -> MazePath {
    let Some((start, goal)) = ends(maze) else {
        return MazePath::default();
    };
    // Path cells of the answer count only where the maze is free.
    let is_path = |cell: usize| answer[cell] == PATH && maze[cell] == FREE;
    let from_start = ShortestPaths::search(side, &[start], |cell| is_path(cell) || cell == goal);
    let mut path = MazePath {
        connected: from_start.distance[goal].is_some(),
        ..MazePath::default()
    };
    if path.connected {
        path.from_start = from_start.path_back(goal);
    } else {
        let from_goal = ShortestPaths::search(side, &[goal], is_path);
        // In a maze without a solution, the gap can only run through walls.
        let find_gap = |through_walls: bool| {
            let is_open = |cell: usize| through_walls || maze[cell] != WALL;
            let across = ShortestPaths::search(side, &from_start.reached, is_open);
            let mut reached = across.reached.iter().copied();
            let landing = reached.find(|&cell| from_goal.distance[cell].is_some())?;
            Some([*across.path_back(landing).last()?, landing])
        };
        let gap = find_gap(false).or_else(|| find_gap(true));
        let [a, b] = gap.unwrap_or([start, goal]);
        path.gap = Some([a, b]);
        path.from_start = from_start.path_back(a);
        path.to_goal = from_goal.path_back(b);
    }
    path.from_start.reverse();
    let mut on_path = vec![false; maze.len()];
    for &cell in path.from_start.iter().chain(&path.to_goal) {
        on_path[cell] = true;
    }
    let is_detached = |&cell: &usize| is_path(cell) && !on_path[cell];
    path.detached = (0..maze.len()).filter(is_detached).collect();
    path
}

/// See [`Board::conflicts`](super::Board::conflicts).
pub(super) fn conflicts(maze: &[u8], answer: Option<&[u8]>, side: usize) -> Vec<usize> {
    let mut wrong = vec![false; maze.len()];
    match answer {
        None => {
            if let Some((start, goal)) = ends(maze) {
                let paths = ShortestPaths::search(side, &[start], |cell| maze[cell] != WALL);
                if paths.distance[goal].is_none() {
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
                gap.iter()
                    .chain(&path.detached)
                    .for_each(|&cell| wrong[cell] = true);
            }
        }
    }
    (0..maze.len()).filter(|&cell| wrong[cell]).collect()
}

/// Returns the start and the goal.
fn ends(maze: &[u8]) -> Option<(usize, usize)> {
    let find = |value| maze.iter().position(|&cell| cell == value);
    Some((find(START)?, find(GOAL)?))
}
