//! A refinement step of this library's own models: a plan on a backend.

use std::sync::Arc;

use crate::backend::{Ahead, Case, Loaded, Program, Rule};
use crate::checkpoint::Model;
use crate::config::State;
use crate::error::{Error, Result};
use crate::model;
use crate::plan::{Buffer, Dims, Plan};
use crate::policy::HaltPolicy;
use crate::random::Random;
use crate::stepper::{Halting, Stepper};

/// A batch of puzzles on a backend, refined by a model's plan; with access to its states and logits.
#[derive(Debug)]
pub struct NativeStepper {
    model: Arc<Model>,
    program: Box<dyn Program>,
    slots: usize,
}

/// Standard deviation of what disturbs an initial state. States after a step have a root mean square of 1.
const NOISE: f32 = 0.5;

impl NativeStepper {
    /// Room for `slots` puzzles of S = `tokens` tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the model fixes another S, or for no slots; the backend's own.
    pub fn new(model: Arc<Model>, loaded: &dyn Loaded, tokens: usize, slots: usize) -> Result<NativeStepper> {
        let plan = plan(&model, tokens)?;
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

    /// A carried state of the puzzle in a place, `[L, D]`.
    pub fn state(&self, slot: usize, state: State) -> Result<Vec<f32>> {
        self.floats(Buffer::State(state), slot)
    }

    /// Replaces a carried state of the puzzle in a place, `[L, D]`.
    pub fn set_state(&mut self, slot: usize, state: State, values: &[f32]) -> Result<()> {
        self.program.write(Buffer::State(state), slot, values)
    }

    /// The scaled input x of the puzzle in a place, `[L, D]`.
    pub fn input_embedding(&self, slot: usize) -> Result<Vec<f32>> {
        self.floats(Buffer::Input, slot)
    }

    /// The answer logits of the puzzle in a place after its last step, `[S, V]`.
    pub fn logits(&self, slot: usize) -> Result<Vec<f32>> {
        self.floats(Buffer::Logits, slot)
    }

    fn floats(&self, buffer: Buffer, slot: usize) -> Result<Vec<f32>> {
        let mut values = vec![0.0; buffer.len(&self.plan().dims)];
        self.program.read(buffer, slot, &mut values)?;
        Ok(values)
    }
}

/// What a puzzle brings to a backend: its tokens, its row of the puzzle embedding padded with zeros, and the initial states.
pub(crate) fn case(model: &Model, d: &Dims, tokens: &[u32], puzzle_id: u32) -> Result<Case> {
    let vocab = d.vocab;
    if let Some(token) = tokens.iter().find(|&&t| t as usize >= vocab) {
        return Err(Error::argument(format!(
            "token {token}: the model's vocabulary has {vocab}"
        )));
    }
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

/// The plan of a model for puzzles of S = `tokens` tokens.
pub(crate) fn plan(model: &Model, tokens: usize) -> Result<Plan> {
    check_tokens(model, tokens)?;
    Ok(model::record(&model.config, tokens))
}

/// An error unless the model takes puzzles of S = `tokens` tokens.
pub(crate) fn check_tokens(model: &Model, tokens: usize) -> Result<()> {
    if let Some(seq_len) = model.config.seq_len.filter(|&s| s != tokens) {
        return Err(Error::argument(format!(
            "{tokens} tokens: this model takes {seq_len}"
        )));
    }
    if !(1..=65_536).contains(&tokens) {
        return Err(Error::argument(format!(
            "{tokens} tokens: a puzzle has 1 to 65536"
        )));
    }
    Ok(())
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

    fn disturb(&mut self, slot: usize, seed: u64) -> Result<()> {
        let mut random = Random::new(seed);
        for state in self.model.config.states() {
            let mut values = self.state(slot, state)?;
            values
                .iter_mut()
                .for_each(|value| *value += NOISE * random.normal());
            self.set_state(slot, state, &values)?;
        }
        Ok(())
    }

    fn step(&mut self, live: &[usize]) -> Result<()> {
        self.program.run(self.plan().step(), live)
    }

    fn halting(&self, slot: usize) -> Result<Halting> {
        let mut q = [0.0; 2];
        self.program.read(Buffer::Halting, slot, &mut q)?;
        let [q_halt, q_continue] = q;
        let logit = if self.model.config.no_act_continue {
            q_halt
        } else {
            q_halt - q_continue
        };
        Ok(Halting {
            q_halt,
            q_continue,
            logit,
        })
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
}
