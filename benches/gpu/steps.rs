//! Times whole refinement steps, and the host's part of one.

use std::sync::Arc;
use std::time::Instant;

use trm_runtime::low_level::backend::{DeviceWeights, HaltParams, Program};
use trm_runtime::low_level::plan::{Buffer, Plan};
use trm_runtime::{Error, Result};

use crate::models::Noise;
use crate::timing::{Sample, TimeBudget, measure};

/// Halting parameters with which no slot halts.
const NEVER_HALT: HaltParams = HaltParams {
    threshold: f32::INFINITY,
    minus_continue: false,
    min_steps: 1,
    max_steps: u32::MAX,
};

/// Steps in flight, as many as a session without a step callback has.
const MAX_STEPS_IN_FLIGHT: usize = 3;

/// The times of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// All passes and heads, with other steps in flight.
    pub(crate) step: Sample,
    /// The host's part: encoding and submitting.
    pub(crate) host: Sample,
    /// A step of a batch in which all puzzles have halted.
    pub(crate) empty: Sample,
}

/// Times steps of `slots` puzzles.
pub(crate) fn time(
    loaded: &dyn DeviceWeights,
    plan: &Arc<Plan>,
    slots: usize,
    budget: TimeBudget,
) -> Result<Step> {
    let mut program = loaded.program(plan.clone(), slots)?;
    fill(&mut *program, slots)?;
    let host = time_host(&mut *program, budget)?;
    let empty = measure(budget, 256, |steps| run_steps(&mut *program, steps))?;
    let pipelined = program.pipelined().ok_or_else(not_pipelined)?;
    (0..slots).try_for_each(|slot| pipelined.activate(slot, 0))?;
    let step = measure(budget, 256, |steps| run_steps(&mut *program, steps))?;
    let pipelined = program.pipelined().ok_or_else(not_pipelined)?;
    pipelined.submit_step(&NEVER_HALT)?;
    let live = pipelined
        .collect_step()?
        .iter()
        .filter(|record| record.is_active)
        .count();
    if live != slots {
        return Err(Error::new(
            trm_runtime::ErrorKind::Device,
            format!("{live} of {slots} slots took part in the steps"),
        ));
    }
    Ok(Step { step, host, empty })
}

fn not_pipelined() -> Error {
    Error::new(
        trm_runtime::ErrorKind::Device,
        "the adapter has no indirect dispatch: steps cannot be pipelined",
    )
}

/// Fills all slots with puzzles and states.
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

/// Runs steps, up to [`MAX_STEPS_IN_FLIGHT`] of them in flight.
fn run_steps(program: &mut dyn Program, steps: usize) -> Result<()> {
    let pipelined = program.pipelined().ok_or_else(not_pipelined)?;
    for number in 0..steps {
        if number >= MAX_STEPS_IN_FLIGHT {
            pipelined.collect_step()?;
        }
        pipelined.submit_step(&NEVER_HALT)?;
    }
    (0..steps.min(MAX_STEPS_IN_FLIGHT)).try_for_each(|_| pipelined.collect_step().map(drop))
}

/// Times the host's part of a step while the GPU has nothing to do: no slot is live.
fn time_host(program: &mut dyn Program, budget: TimeBudget) -> Result<Sample> {
    let pipelined = program.pipelined().ok_or_else(not_pipelined)?;
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 5 || (times.len() < 200 && begin.elapsed() < budget.total()) {
        let start = Instant::now();
        pipelined.submit_step(&NEVER_HALT)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        pipelined.collect_step()?;
    }
    // The first step compiles and allocates.
    Ok(Sample::of(times.split_off(1)))
}
