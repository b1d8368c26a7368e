//! Refinement steps of this library's own models: a plan on a backend.

use std::sync::Arc;

use super::{HaltPolicy, Halting, Inspect, Stepper, stepper};
use crate::backend::{DeviceWeights, HaltParams, PipelinedProgram, Program, SlotInput, StopSignal};
use crate::config::State;
use crate::error::{Error, Result};
use crate::import::Model;
use crate::model::plan::{Buffer, Dims, Plan};
use crate::process::ProcessId;

/// Steps a batch of puzzles by running the model's plan on a backend.
#[derive(Debug)]
pub struct PlanStepper {
    model: Arc<Model>,
    program: Box<dyn Program>,
    slots: usize,
    /// The process that has the device.
    process: ProcessId,
}

impl PlanStepper {
    /// Creates a stepper with `slots` slots for puzzles of S = `tokens` tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the model fixes another S or `slots`
    /// is 0; the errors of the backend.
    pub fn new(
        model: Arc<Model>,
        weights: &dyn DeviceWeights,
        tokens: usize,
        slots: usize,
    ) -> Result<Self> {
        let plan = model.plan(tokens)?;
        if slots == 0 {
            return Err(Error::argument("a batch has at least one slot"));
        }
        Ok(Self {
            program: weights.program(Arc::new(plan), slots)?,
            model,
            slots,
            process: ProcessId::current(),
        })
    }

    /// Checks that the process is not a child of the one that created the stepper.
    pub(crate) fn check_process(&self) -> Result<()> {
        self.process.check()
    }

    /// Returns the plan that runs.
    pub fn plan(&self) -> &Plan {
        self.program.plan()
    }

    fn read(&self, buffer: Buffer, slot: usize) -> Result<Vec<f32>> {
        let mut values = vec![0.0; buffer.len(&self.plan().dims)];
        self.program.read(buffer, slot, &mut values)?;
        Ok(values)
    }
}

/// Returns the input of a slot: the tokens of a puzzle, its row of the puzzle embedding padded with
/// zeros, and the initial states.
pub(crate) fn slot_input(
    model: &Model,
    d: &Dims,
    tokens: &[u32],
    puzzle_id: u32,
) -> Result<SlotInput> {
    model.check_vocabulary(tokens)?;
    let mut prefix = match &model.puzzle_rows {
        Some(rows) => rows.row(puzzle_id)?,
        None => Vec::new(),
    };
    prefix.resize(Buffer::Prefix.len(d), 0.0);
    let initial = |state| {
        (
            Buffer::State(state),
            model.initial(state).repeat(d.positions),
        )
    };
    Ok(SlotInput {
        tokens: tokens.to_vec(),
        prefix,
        states: model.config.states().into_iter().map(initial).collect(),
    })
}

impl Stepper for PlanStepper {
    fn slots(&self) -> usize {
        self.slots
    }

    fn load(&mut self, slot: usize, tokens: &[u32], puzzle_id: u32) -> Result<()> {
        self.check_process()?;
        let input = slot_input(&self.model, &self.plan().dims, tokens, puzzle_id)?;
        input.write(&mut *self.program, slot)?;
        self.program.run(self.plan().embed(), &[slot])
    }

    fn perturb(&mut self, slot: usize, seed: u64) -> Result<()> {
        let states = self.model.config.states();
        stepper::perturb(self, &states, slot, seed)
    }

    fn step(&mut self, live: &[usize]) -> Result<()> {
        self.check_process()?;
        self.program.run(self.plan().step(), live)
    }

    fn set_stop(&mut self, stop: StopSignal) {
        self.program.set_stop(stop);
    }

    fn halting(&self, slot: usize) -> Result<Halting> {
        let mut q = [0.0; 2];
        self.program.read(Buffer::Halting, slot, &mut q)?;
        Ok(Halting::new(q, self.model.config.halting_logit()))
    }

    fn answer(&self, slot: usize) -> Result<Vec<u32>> {
        let mut answer = vec![0; self.plan().dims.tokens];
        self.program
            .read_integers(Buffer::Answer, slot, &mut answer)?;
        Ok(answer)
    }

    fn pipelined(
        &mut self,
        policy: &HaltPolicy,
    ) -> Option<(&mut dyn PipelinedProgram, HaltParams)> {
        let params = policy.device_params(self.model.config.halting_logit());
        Some((self.program.pipelined()?, params))
    }

    fn device(&self) -> &'static str {
        ""
    }

    fn recover(&mut self, _: &Error) -> Result<bool> {
        Ok(false)
    }
}

impl Inspect for PlanStepper {
    fn state(&self, slot: usize, state: State) -> Result<Vec<f32>> {
        self.read(Buffer::State(state), slot)
    }

    fn set_state(&mut self, slot: usize, state: State, values: &[f32]) -> Result<()> {
        self.program.write(Buffer::State(state), slot, values)
    }

    fn input_embedding(&self, slot: usize) -> Result<Vec<f32>> {
        self.read(Buffer::Input, slot)
    }

    fn logits(&self, slot: usize) -> Result<Vec<f32>> {
        self.read(Buffer::Logits, slot)
    }
}
