//! The time of whole refinement steps, and what one costs the host.

use std::sync::Arc;
use std::time::Instant;

use trm_runtime::low_level::backend::{DeviceWeights, HaltParams, Program};
use trm_runtime::low_level::plan::{Buffer, Plan};
use trm_runtime::{Error, Result};

use crate::models::Noise;
use crate::timing::{Patience, Sample, measure};

/// Nobody halts.
const NEVER: HaltParams = HaltParams {
    threshold: f32::INFINITY,
    minus_continue: false,
    min_steps: 1,
    max_steps: u32::MAX,
};

/// Steps that are in flight, as in a session that nobody watches.
const AHEAD: usize = 3;

/// What a step takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// One of many in flight, all passes and heads.
    pub(crate) step: Sample,
    /// The host's part: encoding and submitting it.
    pub(crate) host: Sample,
    /// A step of a batch in which all puzzles have halted.
    pub(crate) empty: Sample,
}

/// Times steps of `slots` puzzles.
pub(crate) fn time(
    loaded: &dyn DeviceWeights,
    plan: &Arc<Plan>,
    slots: usize,
    patience: Patience,
) -> Result<Step> {
    let mut program = loaded.program(plan.clone(), slots)?;
    fill(&mut *program, slots)?;
    let host = host(&mut *program, patience)?;
    let empty = measure(patience, 256, |steps| take(&mut *program, steps))?;
    let ahead = program.pipelined().ok_or_else(no_ahead)?;
    (0..slots).try_for_each(|slot| ahead.activate(slot, 0))?;
    let step = measure(patience, 256, |steps| take(&mut *program, steps))?;
    let ahead = program.pipelined().ok_or_else(no_ahead)?;
    ahead.submit_step(&NEVER)?;
    let went_on = ahead
        .finish()?
        .iter()
        .filter(|record| record.is_active)
        .count();
    if went_on != slots {
        return Err(Error::new(
            trm_runtime::ErrorKind::Device,
            format!("{went_on} of {slots} slots took part in the steps"),
        ));
    }
    Ok(Step { step, host, empty })
}

fn no_ahead() -> Error {
    Error::new(
        trm_runtime::ErrorKind::Device,
        "the adapter has no indirect dispatch: no steps are started ahead",
    )
}

/// Puts puzzles and states into all slots.
fn fill(program: &mut dyn Program, slots: usize) -> Result<()> {
    let plan = program.plan().clone();
    let d = plan.dims;
    let mut noise = Noise(9);
    let tokens: Vec<u32> = (0..d.tokens).map(|i| (i % d.vocab) as u32).collect();
    let prefix = noise.values(d.prefix * d.hidden);
    let state = noise.values(d.positions * d.hidden);
    let states: Vec<Buffer> = plan
        .buffers()
        .into_iter()
        .filter(|b| matches!(b, Buffer::State(_)))
        .collect();
    for slot in 0..slots {
        program.write_integers(Buffer::Tokens, slot, &tokens)?;
        program.write(Buffer::Prefix, slot, &prefix)?;
        states
            .iter()
            .try_for_each(|&z| program.write(z, slot, &state))?;
    }
    program.run(plan.embed(), &(0..slots).collect::<Vec<_>>())
}

/// Takes steps, up to [`AHEAD`] of them in flight.
fn take(program: &mut dyn Program, steps: usize) -> Result<()> {
    let ahead = program.pipelined().ok_or_else(no_ahead)?;
    for number in 0..steps {
        if number >= AHEAD {
            ahead.collect_step()?;
        }
        ahead.submit_step(&NEVER)?;
    }
    (0..steps.min(AHEAD)).try_for_each(|_| ahead.collect_step().map(drop))
}

/// What starting a step takes the host while the GPU has nothing to do: nobody takes part.
fn host(program: &mut dyn Program, patience: Patience) -> Result<Sample> {
    let ahead = program.pipelined().ok_or_else(no_ahead)?;
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 5 || (times.len() < 200 && begin.elapsed() < patience.whole()) {
        let start = Instant::now();
        ahead.submit_step(&NEVER)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        ahead.collect_step()?;
    }
    // The first time compiles and makes buffers.
    Ok(Sample::of(times.split_off(1)))
}
