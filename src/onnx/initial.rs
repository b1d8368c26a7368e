//! Finds the initial values of a graph's states: in its metadata, or in a file of tensors beside
//! it.

use std::path::Path;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::locate::checkpoints_beside;
use crate::config::State;
use crate::error::{Error, Result};
use crate::model::weights::Weight;

/// The shape of a state, `[L, D]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct StateSize {
    /// L: positions.
    pub(super) positions: usize,
    /// D: hidden size.
    pub(super) hidden: usize,
}

/// The initial value of each state.
type InitialStates = Vec<(State, Vec<f32>)>;

/// Returns the initial value of each state, `[D]` or `[L, D]`. Empty: no source gives it.
///
/// The sources, in the order of precedence: the metadata, the file of tensors with the same name as
/// the graph, the checkpoints in the directory of the graph.
///
/// # Errors
/// A source is damaged, lacks a state, or has a value of another size.
pub(super) fn initial_states(
    states: &[State],
    size: StateSize,
    metadata: &[(String, String)],
    path: Option<&Path>,
) -> Result<InitialStates> {
    let find = |state: State| {
        let name = Weight::Init(state).name();
        metadata.iter().find(|(key, _)| *key == name)
    };
    if states.iter().any(|&state| find(state).is_some()) {
        let parse = |&state: &State| {
            let name = Weight::Init(state).name();
            let context = format!("metadata \"{name}\"");
            let (_, text) =
                find(state).ok_or_else(|| Error::checkpoint("is missing").context(&context))?;
            let row = parse_numbers(text).and_then(|row| size.check(row));
            Ok((state, row.map_err(|e| e.context(&context))?))
        };
        return states.iter().map(parse).collect();
    }
    if let Some(path) = path {
        let tensors = path.with_extension("safetensors");
        if tensors.is_file() {
            return read_states(states, size, &tensors)?.ok_or_else(|| {
                Error::checkpoint(format!("has no tensor {}", names(states)))
                    .context(tensors.display())
            });
        }
        for file in checkpoints_beside(path)? {
            if let Some(found) = read_states(states, size, &file)? {
                return Ok(found);
            }
        }
    }
    Ok(states.iter().map(|&state| (state, Vec::new())).collect())
}

/// Reads the initial values from a file of tensors. `None`: it does not have all of them. A prefix
/// may precede the published name.
fn read_states(states: &[State], size: StateSize, file: &Path) -> Result<Option<InitialStates>> {
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
        let at = |e: Error| {
            e.context(format!("tensor \"{stored}\""))
                .context(file.display())
        };
        // Checks the size before it reads the tensor.
        size.check_len(
            info.shape
                .iter()
                .try_fold(1usize, |n, size| n.checked_mul(*size)),
        )
        .map_err(at)?;
        found.push((
            state,
            size.check(checkpoint.read(stored)?.data).map_err(at)?,
        ));
    }
    Ok(Some(found))
}

fn names(states: &[State]) -> String {
    let names: Vec<String> = states.iter().map(|&s| Weight::Init(s).name()).collect();
    names.join(" or ")
}

/// Parses a list of numbers: JSON arrays of any depth, or numbers separated by white space or
/// commas.
fn parse_numbers(text: &str) -> Result<Vec<f32>> {
    let error = || Error::checkpoint("is not a list of numbers");
    if text.trim_start().starts_with('[') {
        let value: Value = serde_json::from_str(text).map_err(|e| error().with_source(e))?;
        let mut numbers = Vec::new();
        return match flatten(&value, &mut numbers) {
            true => Ok(numbers),
            false => Err(error()),
        };
    }
    text.split([',', ' ', '\n', '\t', '\r'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(|_| error()))
        .collect()
}

/// Appends all numbers of a JSON value. Returns `false` if it contains anything else.
#[allow(
    clippy::cast_possible_truncation,
    reason = "rounded; `StateSize::check` refuses infinities"
)]
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

impl StateSize {
    /// Checks the number of elements: D or L * D.
    fn check_len(self, len: Option<usize>) -> Result<()> {
        let all = self.positions * self.hidden;
        match len {
            Some(len) if len == self.hidden || len == all => Ok(()),
            _ => Err(Error::checkpoint(format!(
                "has {} numbers, not {} for one position or {all} for all positions",
                len.map_or("too many".into(), |n| n.to_string()),
                self.hidden
            ))),
        }
    }

    /// Checks the number of elements, and that all are finite.
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
    fn numbers_are_parsed_as_people_write_them() {
        for text in [
            "[1, -2.5, 3e-1]",
            "[[1],[-2.5, 0.3]]",
            "1 -2.5\n.3",
            "1,-2.5, 0.3",
        ] {
            assert_eq!(parse_numbers(text).unwrap(), [1.0, -2.5, 0.3], "{text}");
        }
        for text in ["[1, \"2\"]", "[1, 2", "1;2", "[null]", "one"] {
            assert!(parse_numbers(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_row_fits_the_state() {
        let size = StateSize {
            positions: 3,
            hidden: 2,
        };
        for (len, fits) in [(0, false), (1, false), (2, true), (3, false), (6, true)] {
            assert_eq!(size.check(vec![0.0; len]).is_ok(), fits, "{len}");
        }
        assert!(size.check(vec![0.0, f32::NAN]).is_err());
    }
}
