//! Times one call of a kernel.

use std::sync::Arc;

use trm_runtime::Result;
use trm_runtime::low_level::backend::{DeviceWeights, Program};
use trm_runtime::low_level::plan::{Buffer, Call, Dims, Plan};
use trm_runtime::low_level::weights::Weight;

use crate::models::Noise;
use crate::timing::{Sample, TimeBudget, measure};

/// The most repetitions of a call in a run.
const MAX_REPETITIONS: usize = 4096;

/// Calls of a submission. The host encodes the next submission while the GPU computes.
const CALLS_PER_SUBMISSION: usize = 256;

/// Times `call` for `slots` puzzles.
///
/// Many calls run one after the other, and each waits for the one before, as in a step. The time of
/// submitting and waiting is spread over them.
pub(crate) fn time(
    loaded: &dyn DeviceWeights,
    dims: Dims,
    call: &Call,
    slots: usize,
    budget: TimeBudget,
) -> Result<Sample> {
    // The host waits after each submission of a call that writes results: all in one submission.
    let waits = matches!(call, Call::Halt { .. } | Call::Decode { .. });
    let per_submission = if waits {
        MAX_REPETITIONS
    } else {
        CALLS_PER_SUBMISSION
    };
    let mut calls = vec![call.clone(); per_submission];
    // This call never runs. It gives the plan a small buffer; reading it waits for the other calls.
    calls.push(Call::Halt {
        weight: Weight::QHead,
        bias: Weight::QHeadBias,
        state: Buffer::Input,
    });
    let plan = Arc::new(Plan {
        dims,
        embed_calls: 0,
        calls,
    });
    let mut program = loaded.program(plan, slots)?;
    fill(&mut *program, call, &dims, slots)?;
    let live: Vec<usize> = (0..slots).collect();
    measure(budget, MAX_REPETITIONS, |repetitions| {
        let mut left = repetitions;
        while left > 0 {
            let count = left.min(per_submission);
            program.run(0..count, &live)?;
            left -= count;
        }
        program.read(Buffer::Halting, 0, &mut [0.0; 2])
    })
}

/// Fills all that the call reads with noise: some GPUs compute faster with zeros.
fn fill(program: &mut dyn Program, call: &Call, dims: &Dims, slots: usize) -> Result<()> {
    let mut noise = Noise(7);
    for buffer in call.reads() {
        if buffer.is_integer() {
            let tokens: Vec<u32> = (0..buffer.len(dims))
                .map(|i| (i % dims.vocab) as u32)
                .collect();
            (0..slots).try_for_each(|slot| program.write_integers(buffer, slot, &tokens))?;
        } else {
            let values = noise.values(buffer.len(dims));
            (0..slots).try_for_each(|slot| program.write(buffer, slot, &values))?;
        }
    }
    Ok(())
}
