//! The JSON Lines of `--json`. Their fields are a stable interface.

use std::time::Duration;

use serde_json::{Map, Value, json};
use trm_runtime::task::Id;
use trm_runtime::{Answer, Error, PuzzleStep};

use crate::hints::message_with_hint;

/// Version of the fields.
pub(crate) const SCHEMA: u32 = 1;

/// Returns the `step` record of a refinement step.
pub(crate) fn step(id: &Id, step: &PuzzleStep) -> Value {
    json!({
        "type": "step",
        "id": id.to_json(),
        "step": step.step,
        "answer": step.cells.to_json(),
        "halt_probability": number(step.halt_probability),
        "changed": step.changed.len(),
    })
}

/// Returns the `answer` record of a puzzle.
pub(crate) fn answer(id: &Id, answer: &Answer) -> Value {
    let mut record = json!({
        "type": "answer",
        "id": id.to_json(),
        "task": answer.task,
        "answer": answer.cells.to_json(),
        "valid": answer.valid,
        "steps": answer.steps,
        "halted": answer.halted,
        "q_halt": number(answer.halting.q_halt),
        "halt_probability": number(answer.halt_probability),
        "device": answer.device,
        "ms": milliseconds(answer.time),
    });
    if let Some(fields) = record.as_object_mut() {
        if answer.task == "maze" {
            fields.insert("shortest".into(), answer.shortest.into());
        }
        if let Some(correct) = answer.correct {
            fields.insert("correct".into(), correct.into());
        }
    }
    record
}

/// Returns the `error` record of a puzzle that could not be read or run. The message includes the
/// hint.
pub(crate) fn error(id: &Id, line: Option<u64>, error: &Error) -> Value {
    let mut fields = Map::new();
    fields.insert("type".into(), "error".into());
    fields.insert("id".into(), id.to_json());
    if let Some(line) = line {
        fields.insert("line".into(), line.into());
    }
    fields.insert("error".into(), message_with_hint(error).into());
    fields.into()
}

/// Counts over all puzzles of the input.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Puzzles with an answer.
    pub(crate) puzzles: u64,
    /// Puzzles with a valid answer.
    pub(crate) valid: u64,
    /// Puzzles with an answer that is not valid.
    pub(crate) invalid: u64,
    /// Records that could not be read or run.
    pub(crate) errors: u64,
    /// Sum of the steps of all answers.
    pub(crate) steps: u64,
}

impl Totals {
    /// Adds an answer.
    pub(crate) fn add(&mut self, answer: &Answer) {
        self.puzzles += 1;
        self.steps += answer.steps as u64;
        match answer.valid {
            Some(true) => self.valid += 1,
            Some(false) => self.invalid += 1,
            None => {}
        }
    }

    /// Returns the mean number of steps, or `None` without an answer.
    pub(crate) fn mean_steps(&self) -> Option<f64> {
        (self.puzzles > 0).then(|| self.steps as f64 / self.puzzles as f64)
    }
}

/// Returns the `summary` record, which is the last line.
pub(crate) fn summary(totals: &Totals, time: Duration, device: Option<&str>) -> Value {
    json!({
        "type": "summary",
        "puzzles": totals.puzzles,
        "valid": totals.valid,
        "errors": totals.errors,
        "mean_steps": totals.mean_steps(),
        "seconds": rounded(time.as_secs_f64(), 6),
        "device": device,
        "schema": SCHEMA,
    })
}

/// Converts an `f32` to its shortest digits that give the same `f32` again; null if not finite.
pub(crate) fn number(x: f32) -> Value {
    x.to_string()
        .parse::<f64>()
        .ok()
        .filter(|x| x.is_finite())
        .map_or(Value::Null, Value::from)
}

/// Returns milliseconds, rounded to microseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3, 3)
}

/// Rounds `x` to a number of decimal digits.
pub(crate) fn rounded(x: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (x * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_come_back_bit_for_bit() {
        assert_eq!(number(0.1).to_string(), "0.1");
        assert_eq!(number(f32::NAN), Value::Null);
        for bits in (0x3000_0000u32..0x4500_0000).step_by(9_973) {
            let x = f32::from_bits(bits);
            let back = number(x).as_f64().unwrap() as f32;
            assert_eq!(back.to_bits(), bits, "{x}");
        }
    }

    #[test]
    fn an_error_names_the_line_and_the_record() {
        let e = Error::new(trm_runtime::ErrorKind::Puzzle, "two 5s in row 3").context("line 7");
        let record = error(&Id::Number(6), Some(7), &e);
        assert_eq!(
            record.to_string(),
            r#"{"type":"error","id":6,"line":7,"error":"line 7: two 5s in row 3"}"#
        );
        let e = e.with_hint(trm_runtime::Hint::ChooseModel);
        let record = error(&Id::Number(6), None, &e);
        assert_eq!(
            record["error"],
            "line 7: two 5s in row 3; give a model with --model"
        );
    }
}
