//! Conversion of the library's puzzles and answers to board values.

use trm_runtime::Result;
use trm_runtime::task::{ArcGrid, Cells, Maze, Puzzle, Sudoku, Task, TaskKind, TokenSpec, detect};

use super::{Board, GOAL, Grid, INVALID, Kind, MAZE_SIDES, PATH, START};

/// A vocabulary that fits every puzzle. This module reports unsupported sizes itself.
const ANY_SPEC: TokenSpec = TokenSpec {
    vocab_size: 256,
    seq_len: None,
    num_puzzle_identifiers: 0,
};

/// The supported sides of Sudokus.
const SUDOKU_SIDES: [usize; 3] = [4, 6, 9];

/// Returns the kind of board of a puzzle, and its cells. The puzzle may break its own rules.
///
/// # Errors
/// If the kind or the size is not supported, or a cell has an invalid value.
pub(super) fn cells(puzzle: &Puzzle) -> Result<(Kind, Vec<u8>), String> {
    match task(puzzle)? {
        TaskKind::Sudoku => {
            let kinds = SUDOKU_SIDES.map(Kind::sudoku);
            let (side, tokens) = tokens(&Sudoku::default(), &puzzle.cells, kinds)?;
            if !SUDOKU_SIDES.contains(&side) {
                return Err(format!(
                    "this Sudoku is {side} x {side}; supported sizes: 4 x 4, 6 x 6 and 9 x 9"
                ));
            }
            let kind = Kind::sudoku(side);
            Ok((kind, values(kind, &tokens)))
        }
        TaskKind::Maze => {
            let (side, tokens) = tokens(&Maze, &puzzle.cells, MAZE_SIDES.map(Kind::maze))?;
            if !MAZE_SIDES.contains(&side) {
                let (min, max) = (MAZE_SIDES.start(), MAZE_SIDES.end());
                return Err(format!(
                    "this maze is {side} x {side}; supported sizes: {min} x {min} to {max} x {max}"
                ));
            }
            check_ends(&tokens)?;
            let kind = Kind::maze(side);
            Ok((kind, values(kind, &tokens)))
        }
        TaskKind::Arc => arc(&puzzle.cells),
        TaskKind::Tokens => {
            let supported = "Sudokus, mazes and ARC grids";
            Err(format!(
                "raw tokens cannot be drawn; supported puzzles: {supported}"
            ))
        }
    }
}

/// Returns an answer in board values. See [`Board::answer`].
pub(super) fn answer(kind: Kind, answer: &Cells) -> Grid {
    let text = |rows: &[String]| -> Vec<u8> {
        let chars = rows
            .iter()
            .flat_map(|row| row.chars())
            .filter(|c| !"\r\n".contains(*c));
        let value = |c| {
            u8::try_from(c)
                .ok()
                .filter(|&value| kind.token(value).is_some())
        };
        chars.map(|c| value(c).unwrap_or(INVALID)).collect()
    };
    let cells = match (kind, answer) {
        (Kind::Arc { .. }, Cells::Grid(rows)) => {
            return Grid::from_rows(rows).unwrap_or_default();
        }
        (Kind::Arc { .. }, _) => return Grid::default(),
        (Kind::Maze { .. }, Cells::Text(line)) => text(std::slice::from_ref(line)),
        (Kind::Maze { .. }, Cells::Rows(rows)) => text(rows),
        _ => tokens_ignoring_rules(&*kind.rules(), answer, kind)
            .map_or(Vec::new(), |tokens| values(kind, &tokens)),
    };
    Grid {
        rows: kind.rows(),
        cols: kind.cols(),
        cells,
    }
}

/// Returns the task of a puzzle. Rows of numbers that cannot be a Sudoku are an ARC grid.
fn task(puzzle: &Puzzle) -> Result<TaskKind, String> {
    match &puzzle.cells {
        Cells::Grid(rows) if puzzle.task.is_none() => {
            let side = rows.len();
            let is_sudoku = SUDOKU_SIDES.contains(&side)
                && rows.iter().all(|row| row.len() == side)
                && rows
                    .iter()
                    .flatten()
                    .all(|&v| (0..=side as i64).contains(&v));
            Ok(if is_sudoku {
                TaskKind::Sudoku
            } else {
                TaskKind::Arc
            })
        }
        Cells::List(_) if puzzle.task.is_none() => Ok(TaskKind::Sudoku),
        _ => detect(puzzle, None, None, None).map_err(|e| e.to_string()),
    }
}

/// Returns the side and the tokens of a square puzzle. One of `kinds` has its size.
///
/// The library does not encode a puzzle that breaks its rules, but the board shows it, so that the
/// user sees where. Such a puzzle is encoded as a solution, which need not keep the rules.
fn tokens(
    rules: &dyn Task,
    cells: &Cells,
    kinds: impl IntoIterator<Item = Kind>,
) -> Result<(usize, Vec<u32>), String> {
    match rules.encode(&cells.clone().into(), &ANY_SPEC) {
        Ok(encoded) => Ok((encoded.rows, encoded.tokens)),
        Err(error) => kinds
            .into_iter()
            .find_map(|kind| Some((kind.rows(), tokens_ignoring_rules(rules, cells, kind)?)))
            .ok_or_else(|| error.to_string()),
    }
}

/// Returns the tokens of cells that need not keep the rules.
fn tokens_ignoring_rules(rules: &dyn Task, content: &Cells, kind: Kind) -> Option<Vec<u32>> {
    let puzzle = Puzzle {
        solution: Some(content.clone()),
        ..Board::empty(kind).to_puzzle()
    };
    rules.encode(&puzzle, &ANY_SPEC).ok()?.solution
}

/// Returns the board values of tokens.
fn values(kind: Kind, tokens: &[u32]) -> Vec<u8> {
    let unknown = match kind {
        Kind::Maze { .. } => INVALID,
        _ => 0,
    };
    let value = |&token: &u32| kind.value(token).unwrap_or(unknown);
    tokens.iter().map(value).collect()
}

/// Checks that a maze has one start, one goal and no path. It need not have a solution.
fn check_ends(tokens: &[u32]) -> Result<(), String> {
    let is = |token: u32, value: u8| Kind::maze(0).value(token) == Some(value);
    let count = |value| tokens.iter().filter(|&&token| is(token, value)).count();
    for (value, name) in [(START, "start"), (GOAL, "goal")] {
        let mark = char::from(value);
        match count(value) {
            1 => {}
            0 => return Err(format!("the maze has no {name}: mark it with {mark}")),
            several => {
                return Err(format!(
                    "the maze has {several} {name}s: mark only one cell with {mark}"
                ));
            }
        }
    }
    match count(PATH) {
        0 => Ok(()),
        _ => Err("the maze already has a path (o): leave the free cells blank".into()),
    }
}

/// Returns the test input of an ARC task. Checks the example pairs too, because they are drawn.
fn arc(content: &Cells) -> Result<(Kind, Vec<u8>), String> {
    let check = |grid: &[Vec<i64>]| {
        let puzzle = Cells::Grid(grid.to_vec()).into();
        ArcGrid::default().encode(&puzzle, &ANY_SPEC)
    };
    if let Cells::Arc(arc) = content {
        for (i, (input, output)) in arc.train.iter().enumerate() {
            for (grid, name) in [(input, "input"), (output, "output")] {
                check(grid).map_err(|e| format!("train[{i}].{name}: {e}"))?;
            }
        }
    }
    ArcGrid::default()
        .encode(&content.clone().into(), &ANY_SPEC)
        .map_err(|e| e.to_string())?;
    let grid = match content {
        Cells::Arc(arc) => Grid::from_rows(&arc.test),
        Cells::Grid(rows) => Grid::from_rows(rows),
        _ => None,
    };
    let grid = grid.ok_or("the puzzle has no valid grid")?;
    Ok((Kind::arc(grid.rows, grid.cols), grid.cells))
}
