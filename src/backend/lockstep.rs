//! Compares two backends call by call, and finds the first kernel whose results differ.

use std::fmt;
use std::sync::Arc;

use super::{DeviceWeights, Program, SlotInput};
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::model::plan::{Buffer, NOT_A_SYMBOL, Plan};

/// Largest difference from the reference that the order of floating-point sums explains, relative
/// to the largest value of a buffer. No bug stays below it.
pub const F32_TOLERANCE: f32 = 1e-4;

/// How much two backends differ after a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Index of the call in the plan.
    pub call: usize,
    /// The kernel's name.
    pub kernel: &'static str,
    /// The buffer that differs.
    pub buffer: Buffer,
    /// The slot that differs.
    pub slot: usize,
    /// The largest absolute difference of the slot.
    pub difference: f32,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
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

/// Runs the plan once (embed and one step) on both backends and compares the result of every call.
/// Returns the first difference that exceeds the tolerance, or `None`.
///
/// After each call, the result of `expected` is copied to `actual`. So a difference is the kernel's
/// own and does not carry over from earlier calls. The allowed difference is `tolerance` times the
/// largest absolute value of the buffer, or `tolerance` if that value is below 1. Answers may
/// differ only where the logits of both tokens differ by at most twice as much.
///
/// # Errors
/// A device failed, the lengths in `cases` differ from those of the plan, or a result of `expected`
/// is not finite.
pub fn compare(
    expected: &dyn DeviceWeights,
    actual: &dyn DeviceWeights,
    plan: &Arc<Plan>,
    cases: &[SlotInput],
    tolerance: f32,
) -> Result<Option<Difference>> {
    compare_with(expected, actual, plan, cases, tolerance, &mut |_| {})
}

/// Like [`compare`]. Calls `on_call` with the difference after every call, however small.
///
/// # Errors
/// Those of [`compare`].
pub fn compare_with(
    expected: &dyn DeviceWeights,
    actual: &dyn DeviceWeights,
    plan: &Arc<Plan>,
    cases: &[SlotInput],
    tolerance: f32,
    on_call: &mut dyn FnMut(&Difference),
) -> Result<Option<Difference>> {
    let mut programs = [
        expected.program(plan.clone(), cases.len())?,
        actual.program(plan.clone(), cases.len())?,
    ];
    for program in &mut programs {
        for (slot, case) in cases.iter().enumerate() {
            case.write(&mut **program, slot)?;
        }
    }
    let live: Vec<usize> = (0..cases.len()).collect();
    let [expected, actual] = &mut programs;
    for (number, call) in plan.calls.iter().enumerate() {
        expected.run(number..number + 1, &live)?;
        actual.run(number..number + 1, &live)?;
        let buffer = call.writes()[0];
        for &slot in &live {
            let want = floats(&**expected, buffer, slot)?;
            let got = floats(&**actual, buffer, slot)?;
            if !want.iter().all(|x| x.is_finite()) {
                let message = format!("the numbers of the model overflow: {buffer} is not finite");
                let at = format!("call {number}, {}", call.kernel());
                return Err(Error::new(ErrorKind::Checkpoint, message)
                    .context(at)
                    .with_hint(Hint::RepairWeights));
            }
            // The fixed logits of a symbol axis are no measure of the others.
            let computed = want.iter().filter(|v| **v != NOT_A_SYMBOL);
            let allowed = tolerance * computed.fold(1.0f32, |m, v| m.max(v.abs()));
            let difference = largest_difference(&want, &got);
            let mut found = Difference {
                call: number,
                kernel: call.kernel(),
                buffer,
                slot,
                difference,
            };
            on_call(&found);
            if difference > allowed {
                return Ok(Some(found));
            }
            if call.writes().contains(&Buffer::Answer) {
                let answers = [answers(&**expected, slot)?, answers(&**actual, slot)?];
                found.difference = largest_gap(&want, &answers);
                if found.difference > 2.0 * allowed {
                    return Ok(Some(Difference {
                        buffer: Buffer::Answer,
                        ..found
                    }));
                }
            }
            actual.write(buffer, slot, &want)?;
        }
    }
    Ok(None)
}

fn floats(program: &dyn Program, buffer: Buffer, slot: usize) -> Result<Vec<f32>> {
    let mut values = vec![0.0; buffer.len(&program.plan().dims)];
    program.read(buffer, slot, &mut values)?;
    Ok(values)
}

fn answers(program: &dyn Program, slot: usize) -> Result<Vec<u32>> {
    let mut values = vec![0; program.plan().dims.tokens];
    program.read_integers(Buffer::Answer, slot, &mut values)?;
    Ok(values)
}

/// Returns the largest absolute difference. NaN counts as an infinite difference.
fn largest_difference(want: &[f32], got: &[f32]) -> f32 {
    let differences = want.iter().zip(got).map(|(a, b)| (a - b).abs());
    differences.fold(
        0.0,
        |m, v| if v.is_nan() { f32::INFINITY } else { m.max(v) },
    )
}

/// Returns the largest difference, over all cells, between the logits `[S, V]` of two answers'
/// tokens. An out-of-vocabulary token counts as infinitely far.
fn largest_gap(logits: &[f32], [want, got]: &[Vec<u32>; 2]) -> f32 {
    let vocab = logits.len() / want.len().max(1);
    let gap = |(cell, (a, b)): (&[f32], (&u32, &u32))| match (
        cell.get(*a as usize),
        cell.get(*b as usize),
    ) {
        (Some(a), Some(b)) => (a - b).abs(),
        _ => f32::INFINITY,
    };
    logits
        .chunks_exact(vocab.max(1))
        .zip(want.iter().zip(got))
        .map(gap)
        .fold(0.0, f32::max)
}
