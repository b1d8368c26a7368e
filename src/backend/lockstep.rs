//! Two backends side by side, call by call: names the first kernel whose results differ.

use std::fmt;
use std::sync::Arc;

use super::Loaded;
use crate::error::Result;
use crate::plan::{Buffer, Plan};

/// The first call after which two backends differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Number of the call in the plan.
    pub call: usize,
    /// The kernel's name.
    pub kernel: &'static str,
    /// The buffer that differs.
    pub buffer: Buffer,
    /// The slot in which it does.
    pub slot: usize,
    /// The largest difference found there.
    pub difference: f32,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference {
            call,
            kernel,
            buffer,
            slot,
            difference,
        } = self;
        write!(
            f,
            "call {call}, {kernel}: {buffer} of slot {slot} differs by {difference:e}"
        )
    }
}

/// A puzzle to compare on: tokens, the padded row of the puzzle embedding, and the state before the first step.
#[derive(Debug, Clone)]
pub struct Case {
    /// `[S]`.
    pub tokens: Vec<u32>,
    /// `[P, D]`.
    pub prefix: Vec<f32>,
    /// The carried states, `[L, D]` each.
    pub states: Vec<(Buffer, Vec<f32>)>,
}

/// Runs the plan once (embed and one step) on both backends and compares what every call wrote.
///
/// After each call the first backend's result is given to the second, so that a difference is the kernel's own and not carried on.
/// A difference counts above `tolerance` times the largest value of the buffer, or 1 where all are smaller.
pub fn compare(
    expected: &dyn Loaded,
    actual: &dyn Loaded,
    plan: &Arc<Plan>,
    cases: &[Case],
    tolerance: f32,
) -> Result<Option<Difference>> {
    let mut programs = [
        expected.program(plan.clone(), cases.len())?,
        actual.program(plan.clone(), cases.len())?,
    ];
    for program in &mut programs {
        for (slot, case) in cases.iter().enumerate() {
            program.write_integers(Buffer::Tokens, slot, &case.tokens)?;
            program.write(Buffer::Prefix, slot, &case.prefix)?;
            for (state, values) in &case.states {
                program.write(*state, slot, values)?;
            }
        }
    }
    let live: Vec<usize> = (0..cases.len()).collect();
    let [expected, actual] = &mut programs;
    for (number, call) in plan.calls.iter().enumerate() {
        expected.run(number..number + 1, &live)?;
        actual.run(number..number + 1, &live)?;
        for buffer in call.writes().into_iter().filter(|b| !b.is_integer()) {
            for &slot in &live {
                let (mut want, mut got) = (
                    vec![0.0; buffer.len(&plan.dims)],
                    vec![0.0; buffer.len(&plan.dims)],
                );
                expected.read(buffer, slot, &mut want)?;
                actual.read(buffer, slot, &mut got)?;
                let scale = want.iter().fold(1.0f32, |m, v| m.max(v.abs()));
                // NaN counts as the largest difference.
                let difference = want
                    .iter()
                    .zip(&got)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0f32, |m, v| if v.is_nan() { f32::INFINITY } else { m.max(v) });
                if difference > tolerance * scale {
                    return Ok(Some(Difference {
                        call: number,
                        kernel: call.kernel(),
                        buffer,
                        slot,
                        difference,
                    }));
                }
                actual.write(buffer, slot, &want)?;
            }
        }
    }
    Ok(None)
}
