//! The choice of a model: the bundled model that fits the board, another bundled model, or a path.

use std::path::{Path, PathBuf};

use trm_runtime::task::TaskKind;
use trm_runtime::{Error, ErrorKind, Solver};

use crate::board::Kind;

/// A model that is not opened yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelChoice {
    /// The bundled model that fits the board.
    #[default]
    Auto,
    /// A bundled model.
    Bundled(&'static str),
    /// A file or a folder that training or `trm-run convert` has written.
    Path(PathBuf),
}

impl ModelChoice {
    /// Parses a name from the command line or the settings: `auto` or empty, a bundled name, else a
    /// path.
    pub fn from_name(name: &str) -> Self {
        let bundled = trm_runtime::bundled::NAMES
            .iter()
            .find(|bundled| **bundled == name);
        match bundled {
            Some(bundled) => Self::Bundled(bundled),
            None if name.is_empty() || name == "auto" => Self::Auto,
            None => Self::Path(name.into()),
        }
    }

    /// Returns the name: the inverse of [`ModelChoice::from_name`].
    pub fn name(&self) -> String {
        match self {
            Self::Auto => "auto".into(),
            Self::Bundled(name) => (*name).into(),
            Self::Path(path) => path.display().to_string(),
        }
    }

    /// Returns a short name for the window.
    pub fn label(&self, kind: Kind) -> String {
        match self {
            Self::Auto => match bundled_for(kind) {
                Ok(name) => format!("{name} (fits)"),
                Err(_) => "no model fits".into(),
            },
            Self::Bundled(name) => (*name).into(),
            Self::Path(path) => short_path(path),
        }
    }

    /// Opens the model for a board of this kind.
    ///
    /// # Errors
    /// If no bundled model fits, or the path is not a model.
    pub fn open(&self, kind: Kind) -> Result<Solver, Error> {
        match self {
            Self::Auto => Solver::bundled(bundled_for(kind)?),
            Self::Bundled(name) => Solver::bundled(name),
            Self::Path(path) => Solver::open(path),
        }
    }

    /// Returns the kind of board that a bundled model is for.
    pub fn board_kind(&self) -> Option<Kind> {
        let Self::Bundled(name) = self else {
            return None;
        };
        let mut kinds = [4, 6, 9]
            .map(Kind::sudoku)
            .into_iter()
            .chain([10, 15, 20].map(Kind::maze));
        kinds.find(|kind| bundled_for(*kind).is_ok_and(|fitting| fitting == *name))
    }
}

/// Returns the name of the bundled model for boards of this kind.
fn bundled_for(kind: Kind) -> Result<&'static str, Error> {
    let cells = kind.rows() * kind.cols();
    if kind.task() == TaskKind::Arc {
        // ARC models have hundreds of megabytes.
        return Err(Error::new(
            ErrorKind::Puzzle,
            "no bundled model solves ARC tasks: open a folder with an ARC model",
        ));
    }
    trm_runtime::bundled::choose(kind.task(), cells).map_err(|_| {
        let side = kind.rows();
        let message = format!(
            "no bundled model fits this size ({side} x {side}): \
open a folder with a model that does"
        );
        Error::new(ErrorKind::Puzzle, message)
    })
}

/// Returns the last part of a path.
fn short_path(path: &Path) -> String {
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    name(path).unwrap_or_else(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for choice in [
            ModelChoice::Auto,
            ModelChoice::Bundled("maze-10x10"),
            ModelChoice::Path("runs/a".into()),
        ] {
            assert_eq!(ModelChoice::from_name(&choice.name()), choice);
        }
    }

    #[test]
    fn every_bundled_model_has_its_board() {
        for name in trm_runtime::bundled::NAMES {
            let kind = ModelChoice::Bundled(name).board_kind().unwrap();
            assert_eq!(bundled_for(kind).unwrap(), *name);
        }
        assert!(
            bundled_for(Kind::arc(3, 3))
                .unwrap_err()
                .to_string()
                .contains("folder")
        );
        assert_eq!(bundled_for(Kind::maze(9)).unwrap(), "maze-10x10");
        assert_eq!(bundled_for(Kind::maze(12)).unwrap(), "maze-15x15");
        assert_eq!(bundled_for(Kind::maze(16)).unwrap(), "maze-20x20");
        assert!(bundled_for(Kind::maze(21)).is_err());
    }
}
