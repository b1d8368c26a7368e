//! Resolves the puzzle embedding, and the positions that it and the puzzle take.

use serde_json::Value;

use super::limits::{MAX_DIMENSION, MAX_IDENTIFIERS};
use super::resolve::{Resolver, contradiction, invalid};
use super::{Architecture, Config};
use crate::error::{Error, Result};

impl Resolver<'_> {
    /// Returns the elements of a row of the puzzle embedding, or 0.
    pub(super) fn puzzle_emb_ndim(&mut self) -> Result<usize> {
        const TENSOR: &str = "puzzle_emb.weights";
        match self.shapes.puzzle_emb {
            Some([_, width]) => self.size_from_shape("puzzle_emb_ndim", width, TENSOR),
            None => match self.count_setting("puzzle_emb_ndim", 0, MAX_DIMENSION)? {
                Some((setting, from)) if setting > 0 => Err(Error::config(format!(
                    "puzzle_emb_ndim is {setting} ({from}), but the model has no tensor {TENSOR}"
                ))),
                _ => {
                    self.note_source("puzzle_emb_ndim", 0, format!("there is no {TENSOR}"));
                    Ok(0)
                }
            },
        }
    }

    /// Returns the identifiers whose rows the file holds. `None`: it holds all rows.
    pub(super) fn puzzle_ids(&mut self) -> Result<Option<Vec<u32>>> {
        let Some((value, from)) = self.settings.get("puzzle_ids") else {
            return Ok(None);
        };
        let ids: Option<Vec<u32>> = value.as_array().and_then(|list| {
            list.iter()
                .map(|id| id.as_u64().and_then(|n| u32::try_from(n).ok()))
                .collect()
        });
        let ids =
            ids.ok_or_else(|| invalid("puzzle_ids", &Value::Null, from, "a list of identifiers"))?;
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != ids.len() {
            return Err(Error::config(format!(
                "puzzle_ids names an identifier more than once ({from})"
            )));
        }
        let (value, from) = (value.clone(), from.to_owned());
        self.note_source("puzzle_ids", value, from);
        Ok(Some(ids))
    }

    /// Returns the number of puzzle identifiers.
    ///
    /// A contradiction is an error because the published loader silently resets an embedding of
    /// another size, and such a model solves 0 % of the puzzles.
    pub(super) fn num_puzzle_identifiers(&mut self, ids: Option<&[u32]>) -> Result<usize> {
        const KEY: &str = "num_puzzle_identifiers";
        let Some([rows, _]) = self.shapes.puzzle_emb else {
            if ids.is_some() {
                return Err(Error::config(
                    "puzzle_ids is given, but the model has no puzzle embedding",
                ));
            }
            self.note_source(KEY, 0, "there is no puzzle_emb.weights");
            return Ok(0);
        };
        let Some(ids) = ids else {
            return self.size_from_shape(KEY, rows, "puzzle_emb.weights");
        };
        if ids.len() != rows {
            return Err(Error::config(format!(
                "puzzle_ids names {} identifiers, but puzzle_emb.weights has {rows} rows",
                ids.len()
            )));
        }
        let largest = ids.iter().max().map_or(0, |id| *id as usize);
        let count = self.count(KEY, 1, MAX_IDENTIFIERS, Some(largest.saturating_add(1)))?;
        if largest >= count {
            return Err(Error::config(format!(
                "puzzle_ids names {largest}, but {KEY} is {count}"
            )));
        }
        Ok(count)
    }

    /// Returns the configured P, or 0 if P follows from `ndim`, the elements of a row.
    pub(super) fn puzzle_emb_len(&mut self, ndim: usize) -> Result<usize> {
        const KEY: &str = "puzzle_emb_len";
        let width = self.shapes.hidden_size.max(1);
        let derived = ndim.div_ceil(width);
        let setting = self.count_setting(KEY, 0, MAX_DIMENSION)?;
        if ndim == 0 {
            let (value, from) = setting.unwrap_or((0, "there is no puzzle_emb.weights".into()));
            self.note_source(KEY, value, from);
            return Ok(value);
        }
        match setting {
            Some((0, from)) => {
                self.note_source(
                    KEY,
                    0,
                    format!("{from}; gives puzzle_emb_ndim / hidden_size = {derived}"),
                );
                Ok(0)
            }
            Some((len, from)) => {
                if len.saturating_mul(width) < ndim {
                    return Err(Error::config(format!(
                        "puzzle_emb_len is {len} ({from}): too few positions of {width} for a \
                         puzzle_emb_ndim of {ndim}"
                    )));
                }
                self.note_source(KEY, len, from);
                Ok(len)
            }
            None => self.default_puzzle_emb_len(derived),
        }
    }

    /// Returns P if no setting gives it. The published code derives it where a configuration file
    /// lacks it. Without any file, the model may have another value, so it counts as missing.
    fn default_puzzle_emb_len(&mut self, derived: usize) -> Result<usize> {
        const KEY: &str = "puzzle_emb_len";
        let is_derived = matches!(
            self.shapes.variant,
            Architecture::Hrm | Architecture::Baseline
        );
        if is_derived || self.settings.has_config_file() {
            self.note_source(
                KEY,
                0,
                format!("published default; gives puzzle_emb_ndim / hidden_size = {derived}"),
            );
            return Ok(0);
        }
        let seq_len = self.count_setting("seq_len", 1, MAX_DIMENSION)?;
        match (self.shapes.positions, seq_len) {
            (Some(positions), Some((seq_len, from))) if seq_len < positions => {
                let len = positions - seq_len;
                self.note_source(
                    KEY,
                    len,
                    format!("{positions} positions less a seq_len of {seq_len} ({from})"),
                );
                Ok(len)
            }
            _ => {
                self.missing.push((KEY, "N"));
                Ok(0)
            }
        }
    }

    /// Returns S if a shape or a setting fixes it.
    pub(super) fn seq_len(&mut self, config: &Config) -> Result<Option<usize>> {
        const KEY: &str = "seq_len";
        let setting = self.count_setting(KEY, 1, MAX_DIMENSION)?;
        if config.symbols() > 0 {
            // A Sudoku has as many rows as digits.
            let value = config.symbols().saturating_mul(config.symbols());
            return match setting {
                Some((setting, source)) if setting != value => {
                    let what = format!("the square of {} symbols", config.symbols());
                    Err(contradiction(KEY, setting, &source, value, &what))
                }
                _ => {
                    self.note_source(KEY, value, "square of the number of symbols");
                    Ok(Some(value))
                }
            };
        }
        let Some(positions) = self.shapes.positions else {
            return Ok(setting.map(|(value, from)| {
                self.note_source(KEY, value, from);
                value
            }));
        };
        if self.missing.iter().any(|m| m.0 == "puzzle_emb_len") {
            return Ok(setting.map(|g| g.0));
        }
        let prefix = config.prefix_len();
        let tensor = if self.shapes.learned_positions {
            "embed_pos.embedding_weight"
        } else {
            "mlp_t.down_proj.weight"
        };
        let value = positions.checked_sub(prefix).filter(|n| *n > 0).ok_or_else(|| {
            Error::config(format!(
                "puzzle_emb_len takes {prefix} positions, but {tensor} has {positions} in all: no \
                 position is left for the puzzle"
            ))
        })?;
        let from = format!("shape of {tensor} ({positions}) less {prefix} of the puzzle embedding");
        match setting {
            Some((setting, source)) if setting != value => Err(contradiction(
                KEY,
                setting,
                &source,
                value,
                &format!("the {from}"),
            )),
            _ => {
                self.note_source(KEY, value, from);
                Ok(Some(value))
            }
        }
    }
}
