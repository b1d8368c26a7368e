//! A refinement step of this library's own models: a plan on a backend.

use std::sync::Arc;

use super::policy::HaltPolicy;
use super::{Halting, Inspect, Stepper, stepper};
use crate::backend::{Ahead, Case, Loaded, Program, Rule};
use crate::config::State;
use crate::error::{Error, Result};
use crate::import::Model;
use crate::model::plan::{Buffer, Dims, Plan};

/// A batch of puzzles on a backend, refined by a model's plan.
#[derive(Debug)]
pub struct NativeStepper {
    model: Arc<Model>,
    program: Box<dyn Program>,
    slots: usize,
}

impl NativeStepper {
    /// Room for `slots` puzzles of S = `tokens` tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the model fixes another S, or for no slots; the backend's own.
    pub fn new(model: Arc<Model>, loaded: &dyn Loaded, tokens: usize, slots: usize) -> Result<NativeStepper> {
        let plan = model.plan(tokens)?;
        if slots == 0 {
            return Err(Error::argument("a batch has at least one place"));
        }
        Ok(NativeStepper {
            program: loaded.program(Arc::new(plan), slots)?,
            model,
            slots,
        })
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        self.program.plan()
    }

    fn floats(&self, buffer: Buffer, slot: usize) -> Result<Vec<f32>> {
        let mut values = vec![0.0; buffer.len(&self.plan().dims)];
        self.program.read(buffer, slot, &mut values)?;
        Ok(values)
    }
}

/// What a puzzle brings to a backend: its tokens, its row of the puzzle embedding padded with zeros, and the initial states.
pub(crate) fn case(model: &Model, d: &Dims, tokens: &[u32], puzzle_id: u32) -> Result<Case> {
    model.check_vocabulary(tokens)?;
    let mut prefix = match &model.puzzle_rows {
        Some(rows) => rows.row(puzzle_id)?,
        None => Vec::new(),
    };
    prefix.resize(Buffer::Prefix.len(d), 0.0);
    let initial = |state| (Buffer::State(state), model.initial(state).repeat(d.positions));
    Ok(Case {
        tokens: tokens.to_vec(),
        prefix,
        states: model.config.states().into_iter().map(initial).collect(),
    })
}

impl Stepper for NativeStepper {
    fn slots(&self) -> usize {
        self.slots
    }

    fn load(&mut self, slot: usize, tokens: &[u32], puzzle_id: u32) -> Result<()> {
        let case = case(&self.model, &self.plan().dims, tokens, puzzle_id)?;
        case.write(&mut *self.program, slot)?;
        self.program.run(self.plan().embed(), &[slot])
    }

    fn perturb(&mut self, slot: usize, seed: u64) -> Result<()> {
        let states = self.model.config.states();
        stepper::perturb(self, &states, slot, seed)
    }

    fn step(&mut self, live: &[usize]) -> Result<()> {
        self.program.run(self.plan().step(), live)
    }

    fn halting(&self, slot: usize) -> Result<Halting> {
        let mut q = [0.0; 2];
        self.program.read(Buffer::Halting, slot, &mut q)?;
        Ok(Halting::new(q, self.model.config.no_act_continue))
    }

    fn ahead(&mut self, policy: &HaltPolicy) -> Option<(&mut dyn Ahead, Rule)> {
        let rule = policy.rule(!self.model.config.no_act_continue);
        Some((self.program.ahead()?, rule))
    }

    fn answer(&self, slot: usize) -> Result<Vec<u32>> {
        let mut answer = vec![0; self.plan().dims.tokens];
        self.program.read_integers(Buffer::Answer, slot, &mut answer)?;
        Ok(answer)
    }

    fn device(&self) -> &'static str {
        ""
    }

    fn recover(&mut self, _: &Error) -> Result<bool> {
        Ok(false)
    }
}

impl Inspect for NativeStepper {
    fn state(&self, slot: usize, state: State) -> Result<Vec<f32>> {
        self.floats(Buffer::State(state), slot)
    }

    fn set_state(&mut self, slot: usize, state: State, values: &[f32]) -> Result<()> {
        self.program.write(Buffer::State(state), slot, values)
    }

    fn input_embedding(&self, slot: usize) -> Result<Vec<f32>> {
        self.floats(Buffer::Input, slot)
    }

    fn logits(&self, slot: usize) -> Result<Vec<f32>> {
        self.floats(Buffer::Logits, slot)
    }
}
