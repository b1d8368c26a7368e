//! The puzzle embedding, which stays in the file: only the rows in use are read.

use std::collections::HashMap;
use std::sync::Arc;

use super::Checkpoint;
use crate::error::{Error, Result};
use crate::model::weights::check_finite;

/// The rows of a model's puzzle embedding, read one at a time. (An ARC model has 876,406 of them, 1.8 GB.)
#[derive(Debug, Clone)]
pub struct PuzzleRows {
    checkpoint: Arc<Checkpoint>,
    tensor: String,
    rows: usize,
    width: usize,
    /// Identifier to row, where the file does not hold them all.
    ids: Option<HashMap<u32, usize>>,
}

impl PuzzleRows {
    pub(crate) fn new(
        checkpoint: Arc<Checkpoint>,
        tensor: String,
        [rows, width]: [usize; 2],
        ids: Option<&[u32]>,
    ) -> PuzzleRows {
        let ids = ids.map(|ids| ids.iter().enumerate().map(|(row, id)| (*id, row)).collect());
        PuzzleRows {
            checkpoint,
            tensor,
            rows,
            width,
            ids,
        }
    }

    /// Number of rows in the file.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Elements of a row: `puzzle_emb_ndim`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The row of a puzzle identifier, `puzzle_emb_ndim` elements.
    ///
    /// # Errors
    /// The model has no such identifier, or the file cannot be read.
    pub fn row(&self, id: u32) -> Result<Vec<f32>> {
        let row = self.index(id)?;
        self.read(row, 1)
    }

    /// The row that an identifier stands in.
    pub(crate) fn index(&self, id: u32) -> Result<usize> {
        let row = match &self.ids {
            Some(ids) => ids.get(&id).copied(),
            None => usize::try_from(id).ok().filter(|row| *row < self.rows),
        };
        row.ok_or_else(|| {
            let known = match &self.ids {
                Some(_) => format!(
                    "was cut down to {} identifiers, and this is none of them",
                    self.rows
                ),
                None => format!("knows the identifiers 0 to {}", self.rows.saturating_sub(1)),
            };
            Error::argument(format!("puzzle identifier {id} is unknown: the model {known}"))
        })
    }

    pub(crate) fn read(&self, first: usize, count: usize) -> Result<Vec<f32>> {
        let rows = self.checkpoint.read_rows(&self.tensor, first, count)?;
        check_finite(&rows)
            .map_err(|e| self.checkpoint.locate(&self.tensor, e.context(format!("row {first}"))))?;
        Ok(rows)
    }
}
