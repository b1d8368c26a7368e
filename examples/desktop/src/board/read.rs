//! Cells out of what the library has read.

use trm::Result;
use trm::task::{ArcGrid, Content, Maze, Puzzle, Space, Sudoku, Task, TaskKind, detect};

use super::{Board, Grid, Kind, MAZE_SIDES, NONE};

/// Any Sudoku fits in it: what does not is for this module to say.
const SPACE: Space = Space {
    vocab_size: 256,
    seq_len: None,
    num_puzzle_identifiers: 0,
};

/// The sides of Sudokus that are drawn.
const SUDOKUS: [usize; 3] = [4, 6, 9];

/// What kind of board a puzzle is, and its cells.
///
/// # Errors
/// If it is none that is drawn, or its cells are none of its kind's. Whether it keeps its own rules is not asked.
pub(super) fn cells(puzzle: &Puzzle) -> Result<(Kind, Vec<u8>), String> {
    match task(puzzle)? {
        TaskKind::Sudoku => {
            let (side, tokens) = tokens(&Sudoku::default(), &puzzle.content, SUDOKUS.map(Kind::sudoku))?;
            if !SUDOKUS.contains(&side) {
                return Err(format!(
                    "this Sudoku is {side} x {side}: 4 x 4, 6 x 6 and 9 x 9 are drawn here"
                ));
            }
            Ok(values(Kind::sudoku(side), &tokens))
        }
        TaskKind::Maze => {
            let (side, tokens) = tokens(&Maze, &puzzle.content, MAZE_SIDES.map(Kind::maze))?;
            if !MAZE_SIDES.contains(&side) {
                let (least, most) = (MAZE_SIDES.start(), MAZE_SIDES.end());
                return Err(format!(
                    "this maze is {side} x {side}: {least} x {least} to {most} x {most} are drawn here"
                ));
            }
            ends(&tokens)?;
            Ok(values(Kind::maze(side), &tokens))
        }
        TaskKind::Arc => arc(&puzzle.content),
        TaskKind::Tokens => {
            Err("raw tokens may stand for anything: Sudokus, mazes and ARC grids are drawn here".into())
        }
    }
}

/// An answer's values; see [`Board::answer`].
pub(super) fn answer(kind: Kind, answer: &Content) -> Grid {
    let text = |rows: &[String]| -> Vec<u8> {
        let chars = rows
            .iter()
            .flat_map(|row| row.chars())
            .filter(|c| !"\r\n".contains(*c));
        let value = |c| u8::try_from(c).ok().filter(|&value| kind.token(value).is_some());
        chars.map(|c| value(c).unwrap_or(NONE)).collect()
    };
    let cells = match (kind, answer) {
        (Kind::Arc { .. }, Content::Grid(rows)) => return Grid::of_rows(rows).unwrap_or_default(),
        (Kind::Arc { .. }, _) => return Grid::default(),
        (Kind::Maze { .. }, Content::Text(line)) => text(std::slice::from_ref(line)),
        (Kind::Maze { .. }, Content::Rows(rows)) => text(rows),
        _ => as_solution(&*kind.rules(), answer, kind).map_or(Vec::new(), |tokens| values(kind, &tokens).1),
    };
    Grid {
        rows: kind.rows(),
        cols: kind.cols(),
        cells,
    }
}

/// Of numbers the shape decides: what cannot be a Sudoku is an ARC grid.
fn task(puzzle: &Puzzle) -> Result<TaskKind, String> {
    match &puzzle.content {
        Content::Grid(rows) if puzzle.task.is_none() => {
            let side = rows.len();
            let sudoku = SUDOKUS.contains(&side)
                && rows.iter().all(|row| row.len() == side)
                && rows.iter().flatten().all(|&v| (0..=side as i64).contains(&v));
            Ok(if sudoku { TaskKind::Sudoku } else { TaskKind::Arc })
        }
        Content::List(_) if puzzle.task.is_none() => Ok(TaskKind::Sudoku),
        _ => detect(puzzle, None, None, None).map_err(|e| e.to_string()),
    }
}

/// The side and the tokens of a square puzzle.
///
/// A puzzle that breaks its rules cannot be encoded, but is drawn, so that a person sees what is wrong: of a solution the
/// library wants to know only that its cells are some. One of `kinds` has its size.
fn tokens(
    rules: &dyn Task,
    content: &Content,
    kinds: impl IntoIterator<Item = Kind>,
) -> Result<(usize, Vec<u32>), String> {
    match rules.encode(&content.clone().into(), &SPACE) {
        Ok(problem) => Ok((problem.rows, problem.tokens)),
        Err(error) => kinds
            .into_iter()
            .find_map(|kind| Some((kind.rows(), as_solution(rules, content, kind)?)))
            .ok_or_else(|| error.to_string()),
    }
}

/// The tokens of cells that need not keep any rule.
fn as_solution(rules: &dyn Task, content: &Content, kind: Kind) -> Option<Vec<u32>> {
    let puzzle = Puzzle {
        solution: Some(content.clone()),
        ..Board::empty(kind).to_puzzle()
    };
    rules.encode(&puzzle, &SPACE).ok()?.solution
}

fn values(kind: Kind, tokens: &[u32]) -> (Kind, Vec<u8>) {
    let none = if matches!(kind, Kind::Maze { .. }) {
        NONE
    } else {
        0
    };
    (
        kind,
        tokens
            .iter()
            .map(|&token| kind.value(token).unwrap_or(none))
            .collect(),
    )
}

/// A maze without its two ends, or with a path, is no board; one without a way is.
fn ends(tokens: &[u32]) -> Result<(), String> {
    let count = |value| {
        tokens
            .iter()
            .filter(|&&token| Kind::maze(0).value(token) == Some(value))
            .count()
    };
    for (value, name) in [(super::START, "start"), (super::GOAL, "goal")] {
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
    match count(super::PATH) {
        0 => Ok(()),
        _ => Err("the maze already has a path (o): leave the free cells blank".into()),
    }
}

/// The test input of an ARC task. Its pairs are looked at too: they are drawn beside it.
fn arc(content: &Content) -> Result<(Kind, Vec<u8>), String> {
    let check = |grid: &[Vec<i64>]| ArcGrid::default().encode(&Content::Grid(grid.to_vec()).into(), &SPACE);
    if let Content::Arc(arc) = content {
        for (i, (input, output)) in arc.train.iter().enumerate() {
            for (grid, which) in [(input, "input"), (output, "output")] {
                check(grid).map_err(|e| format!("train[{i}].{which}: {e}"))?;
            }
        }
    }
    ArcGrid::default()
        .encode(&content.clone().into(), &SPACE)
        .map_err(|e| e.to_string())?;
    let grid = match content {
        Content::Arc(arc) => Grid::of_rows(&arc.test),
        Content::Grid(rows) => Grid::of_rows(rows),
        _ => None,
    };
    let grid = grid.ok_or("the grid is none")?;
    Ok((Kind::arc(grid.rows, grid.cols), grid.cells))
}
