//! The models inside the library, as [`Model::save`](crate::Model::save) wrote them. Without the
//! feature `bundled` there are no such models.

use crate::error::{Error, Hint, Result};
use crate::task::TaskKind;

macro_rules! models {
    ($($name:literal $kind:ident $cells:literal),*) => {
        /// The names of the bundled models.
        pub const NAMES: &[&str] = &[$($name),*];

        /// Task, number of cells and name of each model. A maze model also solves smaller mazes.
        const FITS: &[(TaskKind, usize, &str)] = &[$((TaskKind::$kind, $cells, $name)),*];

        /// Returns the file of a bundled model, for
        /// [`Solver::from_bytes`](crate::Solver::from_bytes).
        pub fn bytes(name: &str) -> Option<&'static [u8]> {
            match name {
                $($name => {
                    Some(include_bytes!(concat!("../models/", $name, "/model.safetensors")))
                })*
                _ => None,
            }
        }
    };
}

#[cfg(feature = "bundled")]
models!(
    "sudoku-4x4" Sudoku 16, "sudoku-6x6" Sudoku 36, "sudoku-9x9" Sudoku 81,
    "maze-10x10" Maze 100, "maze-15x15" Maze 225, "maze-20x20" Maze 400
);
#[cfg(not(feature = "bundled"))]
models!();

/// Returns the name of the bundled model for a puzzle of `cells` cells: the model of that size or,
/// for a maze, the next larger one.
///
/// # Errors
/// [`ErrorKind::Puzzle`](crate::ErrorKind::Puzzle) if no bundled model fits. The message lists the
/// bundled models.
pub fn choose(kind: TaskKind, cells: usize) -> Result<&'static str> {
    let side = cells.isqrt();
    let square = side * side == cells;
    let fits = |size: usize| size == cells || (kind == TaskKind::Maze && square && size > cells);
    if let Some((_, _, name)) = FITS.iter().find(|fit| fit.0 == kind && fits(fit.1)) {
        return Ok(name);
    }
    if NAMES.is_empty() {
        return Err(Error::puzzle("this build includes no models").with_hint(Hint::ChooseModel));
    }
    if matches!(kind, TaskKind::Sudoku | TaskKind::Maze) && !square {
        let what = if kind == TaskKind::Sudoku {
            "Sudoku"
        } else {
            "maze"
        };
        return Err(Error::puzzle(format!(
            "this {what} has {cells} cells, which is not n x n (16, 36, 81, ...)"
        )));
    }
    let what = match kind {
        TaskKind::Sudoku => format!("a {side}x{side} Sudoku"),
        TaskKind::Maze => format!("a {side}x{side} maze"),
        TaskKind::Arc => "an ARC task".to_string(),
        TaskKind::Tokens => "raw tokens".to_string(),
    };
    let names = NAMES.join(", ");
    Err(Error::puzzle(format!(
        "no bundled model fits {what}; the bundled models are {names}"
    ))
    .with_hint(Hint::ChooseModel))
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;

    #[test]
    fn the_model_that_fits_is_chosen() {
        assert_eq!(choose(TaskKind::Sudoku, 81).unwrap(), "sudoku-9x9");
        assert_eq!(choose(TaskKind::Maze, 100).unwrap(), "maze-10x10");
        let error = choose(TaskKind::Sudoku, 256).unwrap_err().to_string();
        assert!(
            error.contains("a 16x16 Sudoku") && error.contains("sudoku-6x6"),
            "{error}"
        );
        for side in [2, 5, 9] {
            assert_eq!(choose(TaskKind::Maze, side * side).unwrap(), "maze-10x10");
        }
        for side in [11, 15] {
            assert_eq!(choose(TaskKind::Maze, side * side).unwrap(), "maze-15x15");
        }
        for side in [16, 20] {
            assert_eq!(choose(TaskKind::Maze, side * side).unwrap(), "maze-20x20");
        }
        assert!(choose(TaskKind::Maze, 441).is_err());
        assert!(
            choose(TaskKind::Maze, 80)
                .unwrap_err()
                .to_string()
                .contains("n x n")
        );
        assert!(
            choose(TaskKind::Sudoku, 80)
                .unwrap_err()
                .to_string()
                .contains("n x n")
        );
    }

    #[test]
    fn every_name_has_bytes() {
        assert!(NAMES.iter().all(|name| bytes(name).is_some()) && bytes("nothing").is_none());
    }
}
