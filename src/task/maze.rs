//! Mazes: a way from the start to the goal.

use std::collections::VecDeque;

use super::common::{at, fits_model, side, wrong_length};
use super::square::{self, Cell, Form};
use super::{Cells, EncodedPuzzle, Puzzle, Symmetry, Task, TokenSpec, Verdict};
use crate::error::{Error, Result};
use crate::random::Random;

/// Square mazes of `#` walls, blanks for free cells, one start `S` and one goal `G`; an answer marks its path with `o`.
///
/// Tokens: 0 padding, then the characters of `"# SGo"` from 1. Puzzles are strings of n x n characters or lists of n
/// strings, where every blank is a cell, or a model's own tokens. A maze that is smaller than the model's is given to it
/// with walls on the right and below: that is the same maze.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maze;

const WALL: u32 = 1;
const FREE: u32 = 2;
const START: u32 = 3;
const GOAL: u32 = 4;
const PATH: u32 = 5;
/// Of a solution: what does not count.
const ANYTHING: u32 = 0;

/// Token t is character t - 1.
const CHARS: [char; 5] = ['#', ' ', 'S', 'G', 'o'];

const FORM: Form = Form {
    noun: "a maze",
    sizes: "100, 900",
    max_side: 256,
    is_separator: |c| matches!(c, '\n' | '\r'),
};

impl Maze {
    /// Rows of a maze as it was written, without walls that a larger model needs around it; `None` if it is none.
    pub fn side(content: &Cells) -> Option<usize> {
        read(content).ok().map(|(n, _)| n)
    }
}

impl Task for Maze {
    fn name(&self) -> &str {
        "maze"
    }

    fn encode(&self, puzzle: &Puzzle, space: &TokenSpec) -> Result<EncodedPuzzle> {
        let (n, tokens) = read(&puzzle.cells)?;
        let canvas = space
            .seq_len
            .and_then(side)
            .filter(|canvas| (n..=FORM.max_side).contains(canvas))
            .unwrap_or(n);
        fits_model(canvas, space, "this maze")?;
        if space.vocab_size <= PATH as usize {
            let v = space.vocab_size;
            return Err(Error::puzzle(format!(
                "a maze needs a vocabulary of 6 tokens, but the model has only {v}: it was not trained on mazes"
            )));
        }
        if let Some(cell) = tokens.iter().position(|&t| t == PATH) {
            return Err(Error::puzzle(format!(
                "the maze already has a path ('o' in {}): leave the free cells blank",
                at(cell, n)
            )));
        }
        let start = only(&tokens, START, "start", 'S')?;
        let goal = only(&tokens, GOAL, "goal", 'G')?;
        if steps(n, start, goal, |cell| {
            tokens.get(cell).is_some_and(|&t| t != WALL)
        })
        .is_none()
        {
            return Err(Error::puzzle("no way leads from the start to the goal"));
        }
        square::problem(
            puzzle,
            space,
            canvas,
            set(&tokens, n, canvas, WALL),
            |content, _| Ok(set(&read_solution(content, n)?, n, canvas, ANYTHING)),
        )
    }

    fn decode(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Cells {
        let char_of = |token: u32| {
            CHARS
                .get((token as usize).wrapping_sub(1))
                .copied()
                .unwrap_or('?')
        };
        let n = Maze::side(&problem.cells).unwrap_or(problem.cols);
        let answer = cut(answer, problem.cols, n, (0, 0));
        FORM.write(&problem.cells, &answer, char_of, i64::from)
    }

    /// Valid: the answer is the maze but for free cells that became path, and path cells join start and goal. Path
    /// cells elsewhere are tolerated; they make a path that is not the shortest. Walls that were put around a maze do not
    /// count.
    fn verify(&self, problem: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        let (canvas, maze) = (problem.cols, &problem.tokens);
        if answer.len() != maze.len() || canvas.checked_mul(canvas) != Some(maze.len()) {
            return wrong(wrong_length(answer.len(), maze.len()));
        }
        let n = Maze::side(&problem.cells).map_or(canvas, |n| n.min(canvas));
        let corner = corner(maze, canvas, n);
        let (maze, answer) = (&cut(maze, canvas, n, corner), &cut(answer, canvas, n, corner));
        let kept = |(&m, &a): (&u32, &u32)| m == a || (m, a) == (FREE, PATH);
        if let Some(cell) = maze.iter().zip(answer).position(|pair| !kept(pair)) {
            return wrong(changed(cell, n, maze, answer));
        }
        let (Some(start), Some(goal)) = (position(maze, START), position(maze, GOAL)) else {
            return wrong(Verdict::wrong("the maze has no start or no goal"));
        };
        let marked = |cell: usize| answer.get(cell).is_some_and(|&a| matches!(a, GOAL | PATH));
        if steps(n, start, goal, marked).is_none() {
            return wrong(Verdict::wrong(
                "the path does not lead from the start to the goal",
            ));
        }
        let open = |cell: usize| maze.get(cell).is_some_and(|&m| m != WALL);
        let path_cells = answer.iter().filter(|&&a| a == PATH).count();
        let shortest = steps(n, start, goal, open) == Some(path_cells + 1);
        Verdict {
            shortest: Some(shortest),
            ..Verdict::right()
        }
    }

    /// Turned or mirrored.
    fn random_symmetry(&self, problem: &EncodedPuzzle, random: &mut Random) -> Option<Symmetry> {
        let kind = 1 + random.below(7);
        Symmetry::new(Symmetry::turned(problem.cols, kind), Vec::new())
    }

    fn verifies_by_rules(&self) -> bool {
        true
    }
}

/// The side and the tokens of a maze in any form.
fn read(content: &Cells) -> Result<(usize, Vec<u32>)> {
    if matches!(content, Cells::Grid(_) | Cells::List(_)) {
        return Err(Error::puzzle(
            "a maze is written in characters: # for walls, blanks for free cells, S for the start, G for the goal",
        ));
    }
    let (n, cells) = FORM.read(content)?;
    let token = |(index, cell): (usize, &Cell)| {
        token(*cell).ok_or_else(|| {
            let cell = cell.named(index, n);
            Error::puzzle(format!(
                "{cell} is not a maze cell: use # for walls, blanks for free cells, S for the start, G for the goal"
            ))
        })
    };
    Ok((n, cells.iter().enumerate().map(token).collect::<Result<_>>()?))
}

fn read_solution(content: &Cells, n: usize) -> Result<Vec<u32>> {
    let (size, tokens) = read(content).map_err(|e| e.context("solution"))?;
    if size != n {
        return Err(Error::puzzle(format!("is {size} x {size}, but the maze {n} x {n}")).context("solution"));
    }
    Ok(tokens)
}

/// A grid of n x n cells in the top left of one of `canvas` x `canvas`, with `around` elsewhere.
fn set(cells: &[u32], n: usize, canvas: usize, around: u32) -> Vec<u32> {
    let mut tokens = vec![around; canvas * canvas];
    for (row, from) in tokens.chunks_mut(canvas.max(1)).zip(cells.chunks(n.max(1))) {
        row[..n].copy_from_slice(from);
    }
    tokens
}

/// n x n cells of a grid with `canvas` columns, from (row, column) on.
fn cut(cells: &[u32], canvas: usize, n: usize, (row, col): (usize, usize)) -> Vec<u32> {
    let rows = cells.chunks(canvas.max(1)).skip(row).take(n);
    rows.flat_map(|row| row.iter().skip(col).take(n).copied())
        .collect()
}

/// Where a maze of n x n cells stands, from (row, column) on: top left, or in another corner if it was turned with the
/// walls around it. It is the first corner that has all cells that are no walls.
fn corner(maze: &[u32], canvas: usize, n: usize) -> (usize, usize) {
    let spare = canvas - n;
    let open = |cells: &[u32]| cells.iter().filter(|&&token| token != WALL).count();
    let corners = [(0, 0), (0, spare), (spare, 0), (spare, spare)];
    let holds = |corner: &(usize, usize)| open(&cut(maze, canvas, n, *corner)) == open(maze);
    corners.into_iter().find(holds).unwrap_or((0, 0))
}

fn token(cell: Cell) -> Option<u32> {
    match cell {
        Cell::Char(c) => CHARS
            .iter()
            .position(|&known| known == c)
            .and_then(|i| u32::try_from(i + 1).ok()),
        Cell::Number(t) | Cell::Token(t) => u32::try_from(t).ok().filter(|t| (WALL..=PATH).contains(t)),
    }
}

fn position(tokens: &[u32], token: u32) -> Option<usize> {
    tokens.iter().position(|&t| t == token)
}

/// The only cell that holds `token`.
fn only(tokens: &[u32], token: u32, name: &str, mark: char) -> Result<usize> {
    match tokens.iter().filter(|&&t| t == token).count() {
        0 => Err(Error::puzzle(format!(
            "the maze has no {name}: mark it with {mark}"
        ))),
        1 => position(tokens, token).ok_or_else(|| Error::puzzle(format!("the maze has no {name}"))),
        several => Err(Error::puzzle(format!(
            "the maze has {several} {name}s: mark only one cell with {mark}"
        ))),
    }
}

/// The fewest steps from `start` to `goal` over cells that are `open`, by breadth-first search in an n x n grid.
fn steps(n: usize, start: usize, goal: usize, open: impl Fn(usize) -> bool) -> Option<usize> {
    let mut seen = vec![false; n * n];
    let mut queue = VecDeque::from([(start, 0)]);
    *seen.get_mut(start)? = true;
    while let Some((cell, distance)) = queue.pop_front() {
        if cell == goal {
            return Some(distance);
        }
        for next in neighbours(cell, n).filter(|&next| open(next)) {
            match seen.get_mut(next) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            queue.push_back((next, distance + 1));
        }
    }
    None
}

/// The cells above, below, left and right of `cell` that exist.
fn neighbours(cell: usize, n: usize) -> impl Iterator<Item = usize> {
    let (row, col) = (cell / n, cell % n);
    let places = [
        (row > 0).then(|| cell - n),
        (row + 1 < n).then(|| cell + n),
        (col > 0).then(|| cell - 1),
        (col + 1 < n).then(|| cell + 1),
    ];
    places.into_iter().flatten()
}

/// A verdict on a path that is not there: it is not the shortest either.
fn wrong(verdict: Verdict) -> Verdict {
    Verdict {
        shortest: Some(false),
        ..verdict
    }
}

fn changed(cell: usize, n: usize, maze: &[u32], answer: &[u32]) -> Verdict {
    let name = |tokens: &[u32]| match tokens.get(cell) {
        Some(&WALL) => "a wall",
        Some(&FREE) => "free",
        Some(&START) => "the start",
        Some(&GOAL) => "the goal",
        Some(&PATH) => "path",
        _ => "no maze cell",
    };
    let (was, is) = (name(maze), name(answer));
    Verdict::wrong(format!(
        "{} is {was} in the maze and {is} in the answer",
        at(cell, n)
    ))
}
