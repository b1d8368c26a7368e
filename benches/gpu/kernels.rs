//! The time of one call of a kernel.

use std::sync::Arc;

use trm_runtime::Result;
use trm_runtime::low_level::backend::{DeviceWeights, Program};
use trm_runtime::low_level::plan::{Buffer, Call, Dims, Plan};
use trm_runtime::low_level::weights::Weight;

use crate::models::Noise;
use crate::timing::{Patience, Sample, measure};

/// Repetitions of a measurement at most, and calls of a submission: the host encodes the next while the GPU computes.
const MOST: usize = 4096;
const SUBMITTED: usize = 256;

/// What `call` takes for `slots` puzzles: many of it one after the other, each waiting for the one before as it would in a step. What
/// submitting and waiting take is spread over them.
pub(crate) fn time(
    loaded: &dyn DeviceWeights,
    dims: Dims,
    call: &Call,
    slots: usize,
    patience: Patience,
) -> Result<Sample> {
    // The host waits for what writes results after every submission: all in one.
    let waits = matches!(call, Call::Halt { .. } | Call::Decode { .. });
    let submitted = if waits { MOST } else { SUBMITTED };
    let mut calls = vec![call.clone(); submitted];
    // Never run: it gives the plan a small buffer by which the end of the calls can be waited for.
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
    measure(patience, MOST, |repetitions| {
        let mut rest = repetitions;
        while rest > 0 {
            let now = rest.min(submitted);
            program.run(0..now, &live)?;
            rest -= now;
        }
        program.read(Buffer::Halting, 0, &mut [0.0; 2])
    })
}

/// Noise in all that the call reads: some GPUs compute with zeros faster.
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
