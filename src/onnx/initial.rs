//! What the states of a graph start from: its annotations, or a file beside it.

use std::path::Path;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::locate::checkpoints_beside;
use crate::config::State;
use crate::error::{Error, Result};
use crate::model::weights::Weight;

/// The sizes of a state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// L.
    pub(super) positions: usize,
    /// D.
    pub(super) hidden: usize,
}

/// What each state starts from.
type Rows = Vec<(State, Vec<f32>)>;

/// For each state a row, `[D]`, or `[L, D]`; empty where nothing tells.
pub(super) fn initial(
    states: &[State],
    size: Size,
    metadata: &[(String, String)],
    path: Option<&Path>,
) -> Result<Rows> {
    let told = |state: State| {
        let name = Weight::Init(state).name();
        metadata.iter().find(|(key, _)| *key == name)
    };
    if states.iter().any(|&state| told(state).is_some()) {
        let parse = |&state: &State| {
            let name = Weight::Init(state).name();
            let place = format!("metadata \"{name}\"");
            let (_, text) = told(state).ok_or_else(|| Error::checkpoint("is missing").context(&place))?;
            let row = row(text).and_then(|row| size.check(row));
            Ok((state, row.map_err(|e| e.context(&place))?))
        };
        return states.iter().map(parse).collect();
    }
    if let Some(path) = path {
        let own = path.with_extension("safetensors");
        if own.is_file() {
            return beside(states, size, &own)?.ok_or_else(|| {
                Error::checkpoint(format!("lacks the tensor {}", names(states))).context(own.display())
            });
        }
        for file in checkpoints_beside(path)? {
            if let Some(found) = beside(states, size, &file)? {
                return Ok(found);
            }
        }
    }
    Ok(states.iter().map(|&state| (state, Vec::new())).collect())
}

/// The rows in a file of tensors, if it has them all. A published name stands behind a prefix.
fn beside(states: &[State], size: Size, file: &Path) -> Result<Option<Rows>> {
    let checkpoint = Checkpoint::open(file)?;
    let mut found = Vec::new();
    for &state in states {
        let name = Weight::Init(state).name();
        let stored = checkpoint
            .tensors()
            .iter()
            .find(|(stored, _)| stored.rsplit('.').next() == Some(&name));
        let Some((stored, info)) = stored else {
            return Ok(None);
        };
        let at = |e: Error| e.context(format!("tensor \"{stored}\"")).context(file.display());
        // Nothing is read that does not fit.
        size.check_len(info.shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size)))
            .map_err(at)?;
        found.push((state, size.check(checkpoint.read(stored)?.data).map_err(at)?));
    }
    Ok(Some(found))
}

fn names(states: &[State]) -> String {
    let names: Vec<String> = states.iter().map(|&s| Weight::Init(s).name()).collect();
    names.join(" or ")
}

/// A list of numbers, as JSON at any depth or with blanks or commas between them.
fn row(text: &str) -> Result<Vec<f32>> {
    let wrong = || Error::checkpoint("is no list of numbers");
    if text.trim_start().starts_with('[') {
        let value: Value = serde_json::from_str(text).map_err(|e| wrong().with_source(e))?;
        let mut numbers = Vec::new();
        return match flatten(&value, &mut numbers) {
            true => Ok(numbers),
            false => Err(wrong()),
        };
    }
    text.split([',', ' ', '\n', '\t', '\r'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(|_| wrong()))
        .collect()
}

/// `false` if anything in it is no number.
fn flatten(value: &Value, numbers: &mut Vec<f32>) -> bool {
    match value {
        Value::Array(list) => list.iter().all(|value| flatten(value, numbers)),
        Value::Number(number) => {
            numbers.extend(number.as_f64().map(|x| x as f32));
            true
        }
        _ => false,
    }
}

impl Size {
    fn check_len(self, len: Option<usize>) -> Result<()> {
        let all = self.positions * self.hidden;
        match len {
            Some(len) if len == self.hidden || len == all => Ok(()),
            _ => Err(Error::checkpoint(format!(
                "has {} numbers, not {} for a row or {all} for all positions",
                len.map_or("too many".into(), |n| n.to_string()),
                self.hidden
            ))),
        }
    }

    fn check(self, row: Vec<f32>) -> Result<Vec<f32>> {
        self.check_len(Some(row.len()))?;
        match row.iter().all(|x| x.is_finite()) {
            true => Ok(row),
            false => Err(Error::checkpoint("holds a number that is not finite")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_people_write_them() {
        for text in [
            "[1, -2.5, 3e-1]",
            "[[1],[-2.5, 0.3]]",
            "1 -2.5\n.3",
            "1,-2.5, 0.3",
        ] {
            assert_eq!(row(text).unwrap(), [1.0, -2.5, 0.3], "{text}");
        }
        for text in ["[1, \"2\"]", "[1, 2", "1;2", "[null]", "one"] {
            assert!(row(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_row_fits_the_state() {
        let size = Size {
            positions: 3,
            hidden: 2,
        };
        for (len, fits) in [(0, false), (1, false), (2, true), (3, false), (6, true)] {
            assert_eq!(size.check(vec![0.0; len]).is_ok(), fits, "{len}");
        }
        assert!(size.check(vec![0.0, f32::NAN]).is_err());
    }
}
