//! Inputs of a step, and PyTorch's outputs for them.
use std::path::Path;

use safetensors::SafeTensors;

use crate::Fallible;

/// The outputs of a step: z_h and z_l `[B, L, D]`, the halting logits `[B, 2]`, the most probable
/// tokens `[B, S]`.
pub(crate) struct Outputs {
    pub(crate) states: [Vec<f32>; 2],
    pub(crate) halting: Vec<f32>,
    pub(crate) answer: Vec<i64>,
}

#[cfg_attr(
    not(all(feature = "ours", feature = "peers")),
    allow(dead_code, reason = "ours starts from tokens, the peers from x")
)]
pub(crate) struct Case {
    pub(crate) batch: usize,
    /// B, L, D
    pub(crate) shape: Vec<usize>,
    pub(crate) z_h: Vec<f32>,
    pub(crate) z_l: Vec<f32>,
    /// The embedded input, `[B, L, D]`.
    pub(crate) x: Vec<f32>,
    /// The puzzles, `[B, S]`.
    pub(crate) tokens: Vec<i64>,
    expected: Outputs,
}

impl Case {
    pub(crate) fn read(path: &Path, batch: usize) -> Fallible<Case> {
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let file = SafeTensors::deserialize(&bytes)?;
        let floats = |name: &str| -> Fallible<Vec<f32>> {
            Ok(file
                .tensor(name)?
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect())
        };
        let integers = |name: &str| -> Fallible<Vec<i64>> {
            Ok(file
                .tensor(name)?
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b))
                .collect())
        };
        Ok(Case {
            batch,
            shape: file.tensor("z_h")?.shape().to_vec(),
            z_h: floats("z_h")?,
            z_l: floats("z_l")?,
            x: floats("x")?,
            tokens: integers("tokens")?,
            expected: Outputs {
                states: [floats("out.z_h")?, floats("out.z_l")?],
                halting: floats("out.halting")?,
                answer: integers("out.answer")?,
            },
        })
    }

    /// Returns the distance of `got` from PyTorch as JSON: the root mean square of the difference
    /// of the states over that of the states, the largest difference of a halting logit, and the
    /// share of tokens that differ.
    pub(crate) fn compare(&self, got: &Outputs) -> Fallible<String> {
        let want = &self.expected;
        let (mut wrong, mut size) = (0f64, 0f64);
        for (got, want) in got.states.iter().zip(&want.states) {
            same_length(got, want)?;
            for (&got, &want) in got.iter().zip(want) {
                wrong += (f64::from(got) - f64::from(want)).powi(2);
                size += f64::from(want).powi(2);
            }
        }
        same_length(&got.halting, &want.halting)?;
        same_length(&got.answer, &want.answer)?;
        let far = |(got, want): (&f32, &f32)| {
            if got.is_nan() {
                f32::MAX
            } else {
                (got - want).abs()
            }
        };
        let halting = got.halting.iter().zip(&want.halting).map(far).fold(0.0, f32::max);
        let differing = got
            .answer
            .iter()
            .zip(&want.answer)
            .filter(|(got, want)| got != want)
            .count();
        let rms = (wrong / size).sqrt();
        let rms = if rms.is_finite() { rms } else { 1e30 };
        let answer = differing as f64 / want.answer.len() as f64;
        Ok(format!(
            "{{\"rms\": {rms:e}, \"halting\": {halting:e}, \"answer\": {answer:e}}}"
        ))
    }
}

fn same_length<T>(got: &[T], want: &[T]) -> Fallible<()> {
    if got.len() == want.len() {
        return Ok(());
    }
    Err(format!("{} values instead of {}", got.len(), want.len()).into())
}
