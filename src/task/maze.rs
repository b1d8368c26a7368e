//! Mazes: a path from the start to the goal.

use std::collections::VecDeque;

use super::common::{cell_position, check_size, square_side, wrong_length, wrong_solution};
use super::square::{self, Cell, SquareFormat};
use super::{Cells, EncodedPuzzle, Puzzle, Symmetry, Task, TokenSpec, Verdict};
use crate::error::{Error, Result};
use crate::random::Random;

/// Square mazes with walls `#`, free cells (spaces), one start `S` and one goal `G`. An answer
/// marks its path with `o`.
///
/// Tokens: 0 is padding, and 1 to 5 are the characters of `"# SGo"`. A puzzle is a string of n x n
/// characters, a list of n strings, or the tokens of a model. Every space is a cell. If the maze is
/// smaller than the grid of the model, the right and the bottom are filled with walls, which does
/// not change its solutions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maze;

const WALL: u32 = 1;
const FREE: u32 = 2;
const START: u32 = 3;
const GOAL: u32 = 4;
const PATH: u32 = 5;
/// In a solution, a cell that is not compared.
const PADDING: u32 = 0;

/// The smallest number of cells of a maze that is written as numbers: 3 x 3.
const MIN_TOKENS: usize = 9;

/// The characters of tokens 1 to 5.
const CHARS: [char; 5] = ['#', ' ', 'S', 'G', 'o'];

const FORMAT: SquareFormat = SquareFormat {
    noun: "a maze",
    sizes: "100, 900",
    max_side: 256,
    is_separator: |c| matches!(c, '\n' | '\r'),
};

impl Maze {
    /// Returns the number of rows of a maze as it was written, without padding walls, or `None` if
    /// `content` is not a maze.
    pub fn side(content: &Cells) -> Option<usize> {
        read(content).ok().map(|(n, _)| n)
    }
}

impl Task for Maze {
    fn name(&self) -> &str {
        "maze"
    }

    fn encode(&self, puzzle: &Puzzle, spec: &TokenSpec) -> Result<EncodedPuzzle> {
        let (n, tokens) = read(&puzzle.cells)?;
        let canvas = spec
            .seq_len
            .and_then(square_side)
            .filter(|canvas| (n..=FORMAT.max_side).contains(canvas))
            .unwrap_or(n);
        check_size(canvas, spec, "this maze")?;
        if spec.vocab_size <= PATH as usize {
            let v = spec.vocab_size;
            return Err(Error::puzzle(format!(
                "a maze needs a vocabulary of 6 tokens, but the model has only {v}: it was not \
                 trained on mazes"
            )));
        }
        if let Some(cell) = tokens.iter().position(|&t| t == PATH) {
            return Err(Error::puzzle(format!(
                "the maze already has a path ('o' in {}): leave the free cells blank",
                cell_position(cell, n)
            )));
        }
        let start = find_one(&tokens, START, "start", 'S')?;
        let goal = find_one(&tokens, GOAL, "goal", 'G')?;
        let is_open = |cell: usize| tokens.get(cell).is_some_and(|&t| t != WALL);
        if shortest_path(n, start, goal, is_open).is_none() {
            return Err(Error::puzzle("no path leads from the start to the goal"));
        }
        let tokens = pad(&tokens, n, canvas, WALL);
        let encoded = square::encode(puzzle, spec, canvas, tokens, |content, _| {
            Ok(pad(&read_solution(content, n)?, n, canvas, PADDING))
        })?;
        self.check_solution(&encoded)?;
        Ok(encoded)
    }

    fn check_solution(&self, puzzle: &EncodedPuzzle) -> Result<()> {
        let solution = puzzle.solution.as_deref().unwrap_or_default();
        let belongs = |(&m, &s): (&u32, &u32)| s == PADDING || m == s || (m, s) == (FREE, PATH);
        let cells = || puzzle.tokens.iter().zip(solution);
        match cells().position(|pair| !belongs(pair)) {
            Some(cell) => {
                let pair = cells().nth(cell);
                let (maze, solved) = pair.map_or((PADDING, PADDING), |(m, s)| (*m, *s));
                let name = |token| cell_name(Some(&token));
                Err(wrong_solution(cell, puzzle.cols, name(solved), name(maze)))
            }
            None => Ok(()),
        }
    }

    fn decode(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Cells {
        let char_of = |token: u32| {
            CHARS
                .get((token as usize).wrapping_sub(1))
                .copied()
                .unwrap_or('?')
        };
        let n = Self::side(&puzzle.cells).unwrap_or(puzzle.cols);
        let answer = crop_square(answer, puzzle.cols, n, (0, 0));
        FORMAT.write(&puzzle.cells, &answer, char_of, i64::from)
    }

    /// Verifies that the answer changes only free cells to path cells, and that path cells connect
    /// the start to the goal.
    ///
    /// Additional path cells are allowed, but then the path does not count as a shortest one.
    /// Padding walls are not compared.
    fn verify(&self, puzzle: &EncodedPuzzle, answer: &[u32]) -> Verdict {
        let (canvas, maze) = (puzzle.cols, &puzzle.tokens);
        if answer.len() != maze.len() || canvas.checked_mul(canvas) != Some(maze.len()) {
            return not_shortest(wrong_length(answer.len(), maze.len()));
        }
        let n = Self::side(&puzzle.cells).map_or(canvas, |n| n.min(canvas));
        let corner = find_corner(maze, canvas, n);
        let maze = &crop_square(maze, canvas, n, corner);
        let answer = &crop_square(answer, canvas, n, corner);
        let kept = |(&m, &a): (&u32, &u32)| m == a || (m, a) == (FREE, PATH);
        if let Some(cell) = maze.iter().zip(answer).position(|pair| !kept(pair)) {
            return not_shortest(changed_cell(cell, n, maze, answer));
        }
        let (Some(start), Some(goal)) = (position(maze, START), position(maze, GOAL)) else {
            return not_shortest(Verdict::wrong("the maze has no start or no goal"));
        };
        let is_path = |cell: usize| answer.get(cell).is_some_and(|&a| matches!(a, GOAL | PATH));
        if shortest_path(n, start, goal, is_path).is_none() {
            return not_shortest(Verdict::wrong(
                "the path does not lead from the start to the goal",
            ));
        }
        let is_open = |cell: usize| maze.get(cell).is_some_and(|&m| m != WALL);
        let path_cells = answer.iter().filter(|&&a| a == PATH).count();
        let shortest = shortest_path(n, start, goal, is_open) == Some(path_cells + 1);
        Verdict {
            shortest: Some(shortest),
            ..Verdict::right()
        }
    }

    /// Returns a random rotation or reflection.
    fn random_symmetry(&self, puzzle: &EncodedPuzzle, random: &mut Random) -> Option<Symmetry> {
        let kind = 1 + random.below(7);
        Symmetry::new(Symmetry::turned(puzzle.cols, kind), Vec::new())
    }

    fn verifies_by_rules(&self) -> bool {
        true
    }
}

/// Returns the side n and the tokens (`[n * n]`) of a maze in any form.
fn read(content: &Cells) -> Result<(usize, Vec<u32>)> {
    if matches!(content, Cells::Grid(_) | Cells::List(_)) && !has_tokens(content) {
        return Err(Error::puzzle(
            "a maze is written in characters: # for walls, blanks for free cells, S for the start, \
             G for the goal",
        ));
    }
    let (n, cells) = FORMAT.read(content)?;
    let token = |(index, cell): (usize, &Cell)| {
        token(*cell).ok_or_else(|| {
            let cell = cell.describe(index, n);
            Error::puzzle(format!(
                "{cell} is not a maze cell: use # for walls, blanks for free cells, S for the \
                 start, G for the goal"
            ))
        })
    };
    Ok((
        n,
        cells.iter().enumerate().map(token).collect::<Result<_>>()?,
    ))
}

/// Returns whether numbers are the tokens of a maze: 1 to 5, with one start and one goal. Other
/// numbers have no agreed meaning.
fn has_tokens(content: &Cells) -> bool {
    let numbers: Vec<i64> = match content {
        Cells::Grid(rows) => rows.iter().flatten().copied().collect(),
        Cells::List(numbers) => numbers.clone(),
        _ => return false,
    };
    let count = |token: u32| numbers.iter().filter(|n| **n == i64::from(token)).count();
    let is_token = |n: &i64| (i64::from(WALL)..=i64::from(PATH)).contains(n);
    numbers.len() >= MIN_TOKENS
        && numbers.iter().all(is_token)
        && count(START) == 1
        && count(GOAL) == 1
}

fn read_solution(content: &Cells, n: usize) -> Result<Vec<u32>> {
    let (size, tokens) = read(content).map_err(|e| e.context("solution"))?;
    if size != n {
        let message = format!("is {size} x {size}, but the maze is {n} x {n}");
        return Err(Error::puzzle(message).context("solution"));
    }
    Ok(tokens)
}

/// Places n x n cells in the top left corner of a grid of `canvas` x `canvas` cells. The other
/// cells are `fill`.
fn pad(cells: &[u32], n: usize, canvas: usize, fill: u32) -> Vec<u32> {
    let mut tokens = vec![fill; canvas * canvas];
    for (row, from) in tokens.chunks_mut(canvas.max(1)).zip(cells.chunks(n.max(1))) {
        row[..n].copy_from_slice(from);
    }
    tokens
}

/// Returns the n x n cells from (row, column) on of a grid with `canvas` columns.
fn crop_square(cells: &[u32], canvas: usize, n: usize, (row, col): (usize, usize)) -> Vec<u32> {
    let rows = cells.chunks(canvas.max(1)).skip(row).take(n);
    rows.flat_map(|row| row.iter().skip(col).take(n).copied())
        .collect()
}

/// Returns (row, column) of the first cell of an n x n maze in a grid of `canvas` x `canvas` cells.
///
/// The maze is in the top left corner, or in another corner if a symmetry was applied. The first
/// corner whose n x n cells include every cell that is not a wall is taken.
fn find_corner(maze: &[u32], canvas: usize, n: usize) -> (usize, usize) {
    let spare = canvas - n;
    let open_cells = |cells: &[u32]| cells.iter().filter(|&&token| token != WALL).count();
    let corners = [(0, 0), (0, spare), (spare, 0), (spare, spare)];
    let has_all = |corner: &(usize, usize)| {
        open_cells(&crop_square(maze, canvas, n, *corner)) == open_cells(maze)
    };
    corners.into_iter().find(has_all).unwrap_or((0, 0))
}

fn token(cell: Cell) -> Option<u32> {
    match cell {
        Cell::Char(c) => CHARS
            .iter()
            .position(|&known| known == c)
            .and_then(|i| u32::try_from(i + 1).ok()),
        Cell::Number(t) | Cell::Token(t) => {
            u32::try_from(t).ok().filter(|t| (WALL..=PATH).contains(t))
        }
    }
}

fn position(tokens: &[u32], token: u32) -> Option<usize> {
    tokens.iter().position(|&t| t == token)
}

/// Returns the index of the only cell with `token`.
///
/// # Errors
/// If there is no such cell, or more than one. `name` and `mark` describe the cell.
fn find_one(tokens: &[u32], token: u32, name: &str, mark: char) -> Result<usize> {
    match tokens.iter().filter(|&&t| t == token).count() {
        0 => Err(Error::puzzle(format!(
            "the maze has no {name}: mark it with {mark}"
        ))),
        1 => {
            position(tokens, token).ok_or_else(|| Error::puzzle(format!("the maze has no {name}")))
        }
        several => Err(Error::puzzle(format!(
            "the maze has {several} {name}s: mark only one cell with {mark}"
        ))),
    }
}

/// Returns the length of the shortest path from `start` to `goal` in an n x n grid, in moves, or
/// `None` if there is no path. The path uses only cells for which `is_open` returns true.
fn shortest_path(
    n: usize,
    start: usize,
    goal: usize,
    is_open: impl Fn(usize) -> bool,
) -> Option<usize> {
    let mut seen = vec![false; n * n];
    let mut queue = VecDeque::from([(start, 0)]);
    *seen.get_mut(start)? = true;
    while let Some((cell, distance)) = queue.pop_front() {
        if cell == goal {
            return Some(distance);
        }
        for next in neighbours(cell, n).filter(|&next| is_open(next)) {
            match seen.get_mut(next) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            queue.push_back((next, distance + 1));
        }
    }
    None
}

/// Returns the cells above, below, left and right of `cell` that are in the n x n grid.
fn neighbours(cell: usize, n: usize) -> impl Iterator<Item = usize> {
    let (row, col) = (cell / n, cell % n);
    let cells = [
        (row > 0).then(|| cell - n),
        (row + 1 < n).then(|| cell + n),
        (col > 0).then(|| cell - 1),
        (col + 1 < n).then(|| cell + 1),
    ];
    cells.into_iter().flatten()
}

/// Sets `shortest` to false: a verdict on an invalid path.
fn not_shortest(verdict: Verdict) -> Verdict {
    Verdict {
        shortest: Some(false),
        ..verdict
    }
}

/// Returns what a cell is, for messages.
fn cell_name(token: Option<&u32>) -> &'static str {
    match token {
        Some(&WALL) => "a wall",
        Some(&FREE) => "free",
        Some(&START) => "the start",
        Some(&GOAL) => "the goal",
        Some(&PATH) => "path",
        _ => "not a maze cell",
    }
}

/// Returns the verdict on an answer that changed a cell of the maze other than a free cell to path.
fn changed_cell(cell: usize, n: usize, maze: &[u32], answer: &[u32]) -> Verdict {
    let (was, is) = (cell_name(maze.get(cell)), cell_name(answer.get(cell)));
    Verdict::wrong(format!(
        "{} is {was} in the maze and {is} in the answer",
        cell_position(cell, n)
    ))
}
