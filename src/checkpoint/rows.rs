//! Reads rows of the puzzle embedding on demand. The embedding stays in the file.

use std::collections::HashMap;
use std::sync::Arc;

use super::Checkpoint;
use crate::error::{Error, Result};
use crate::model::weights::check_finite;

/// The puzzle embedding of a model, whose rows are read one at a time. An ARC model has 876,406
/// rows, 1.8 GB.
#[derive(Debug, Clone)]
pub struct PuzzleRows {
    checkpoint: Arc<Checkpoint>,
    tensor: String,
    rows: usize,
    width: usize,
    /// Row of each identifier. `None`: the file holds all rows, and the identifier is the row.
    ids: Option<HashMap<u32, usize>>,
}

impl PuzzleRows {
    pub(crate) fn new(
        checkpoint: Arc<Checkpoint>,
        tensor: String,
        [rows, width]: [usize; 2],
        ids: Option<&[u32]>,
    ) -> Self {
        let ids = ids.map(|ids| ids.iter().enumerate().map(|(row, id)| (*id, row)).collect());
        Self {
            checkpoint,
            tensor,
            rows,
            width,
            ids,
        }
    }

    /// Returns the number of rows in the file.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Returns whether the file has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Returns the number of elements of a row, `puzzle_emb_ndim`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Reads the row of a puzzle identifier, `[puzzle_emb_ndim]`.
    ///
    /// # Errors
    /// The model has no such identifier, the file cannot be read, or the row holds an infinity or a
    /// NaN.
    pub fn row(&self, id: u32) -> Result<Vec<f32>> {
        let row = self.index(id)?;
        self.read(row, 1)
    }

    /// Returns the number of the row of an identifier.
    ///
    /// # Errors
    /// The model has no such identifier.
    pub(crate) fn index(&self, id: u32) -> Result<usize> {
        let row = match &self.ids {
            Some(ids) => ids.get(&id).copied(),
            None => usize::try_from(id).ok().filter(|row| *row < self.rows),
        };
        row.ok_or_else(|| {
            let model = match &self.ids {
                Some(_) => format!(
                    "keeps only {} identifiers, and this is not one of them",
                    self.rows
                ),
                None => format!("has the identifiers 0 to {}", self.rows.saturating_sub(1)),
            };
            Error::argument(format!(
                "puzzle identifier {id} is unknown: the model {model}"
            ))
        })
    }

    /// Reads `count` rows from row `first` on, `[count, puzzle_emb_ndim]`.
    pub(crate) fn read(&self, first: usize, count: usize) -> Result<Vec<f32>> {
        let rows = self.checkpoint.read_rows(&self.tensor, first, count)?;
        check_finite(&rows).map_err(|e| {
            self.checkpoint
                .locate(&self.tensor, e.context(format!("row {first}")))
        })?;
        Ok(rows)
    }
}
