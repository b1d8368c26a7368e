//! Which model: the bundled one that fits the board, a bundled one by name, or a folder.

use std::path::{Path, PathBuf};

use trm::task::TaskKind;
use trm::{Error, ErrorKind, Solver};

use crate::board::Kind;

/// A model, before it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelChoice {
    /// The bundled model that fits the board.
    #[default]
    Fitting,
    /// A bundled model.
    Bundled(&'static str),
    /// A file or a folder that training or `trm-run convert` wrote.
    Path(PathBuf),
}

impl ModelChoice {
    /// From the command line or the settings: a bundled name, else a path; `auto` and nothing are the one that fits.
    pub fn named(name: &str) -> ModelChoice {
        let bundled = trm::bundled::NAMES.iter().find(|bundled| **bundled == name);
        match bundled {
            Some(bundled) => ModelChoice::Bundled(bundled),
            None if name.is_empty() || name == "auto" => ModelChoice::Fitting,
            None => ModelChoice::Path(name.into()),
        }
    }

    /// The inverse of [`ModelChoice::named`].
    pub fn name(&self) -> String {
        match self {
            ModelChoice::Fitting => "auto".into(),
            ModelChoice::Bundled(name) => (*name).into(),
            ModelChoice::Path(path) => path.display().to_string(),
        }
    }

    /// A short name for the window.
    pub fn label(&self, kind: Kind) -> String {
        match self {
            ModelChoice::Fitting => match fitting(kind) {
                Ok(name) => format!("{name} (fits)"),
                Err(_) => "none fits".into(),
            },
            ModelChoice::Bundled(name) => (*name).into(),
            ModelChoice::Path(path) => short(path),
        }
    }

    /// Opens the model for a board of this kind.
    ///
    /// # Errors
    /// If none fits, or the file is no model.
    pub fn open(&self, kind: Kind) -> Result<Solver, Error> {
        match self {
            ModelChoice::Fitting => Solver::bundled(fitting(kind)?),
            ModelChoice::Bundled(name) => Solver::bundled(name),
            ModelChoice::Path(path) => Solver::open(path),
        }
    }

    /// The board that a bundled model is for.
    pub fn board(&self) -> Option<Kind> {
        let ModelChoice::Bundled(name) = self else {
            return None;
        };
        let mut kinds = [4, 6, 9]
            .map(Kind::sudoku)
            .into_iter()
            .chain([10, 15, 20].map(Kind::maze));
        kinds.find(|kind| fitting(*kind).is_ok_and(|fits| fits == *name))
    }
}

/// The bundled model for boards of this kind.
fn fitting(kind: Kind) -> Result<&'static str, Error> {
    let cells = kind.rows() * kind.cols();
    if kind.task() == TaskKind::Arc {
        // ARC models need hundreds of megabytes; none is bundled.
        return Err(Error::new(
            ErrorKind::Puzzle,
            "no bundled model is for ARC: open a folder with one that was trained on it",
        ));
    }
    trm::bundled::choose(kind.task(), cells).map_err(|_| {
        let side = kind.rows();
        Error::new(
            ErrorKind::Puzzle,
            format!("no bundled model is for this size ({side} x {side}): open a folder with one that is"),
        )
    })
}

/// The end of a path.
fn short(path: &Path) -> String {
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    name(path).unwrap_or_else(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for choice in [
            ModelChoice::Fitting,
            ModelChoice::Bundled("maze-10x10"),
            ModelChoice::Path("runs/a".into()),
        ] {
            assert_eq!(ModelChoice::named(&choice.name()), choice);
        }
    }

    #[test]
    fn every_bundled_model_has_its_board() {
        for name in trm::bundled::NAMES {
            let kind = ModelChoice::Bundled(name).board().unwrap();
            assert_eq!(fitting(kind).unwrap(), *name);
        }
        assert!(
            fitting(Kind::arc(3, 3))
                .unwrap_err()
                .to_string()
                .contains("folder")
        );
        assert_eq!(fitting(Kind::maze(9)).unwrap(), "maze-10x10");
        assert_eq!(fitting(Kind::maze(12)).unwrap(), "maze-15x15");
        assert_eq!(fitting(Kind::maze(16)).unwrap(), "maze-20x20");
        assert!(fitting(Kind::maze(21)).is_err());
    }
}
