//! Refinement steps of an ONNX graph. Each slot keeps its tokens and states on the host.

use std::sync::Arc;

use tract_onnx::prelude::*;

use super::{HaltPolicy, Halting, Inspect, Stepper, stepper};
use crate::backend::cpu::physical_cores;
use crate::backend::{HaltParams, PipelinedProgram, StopSignal};
use crate::config::State;
use crate::error::{Error, Result};
use crate::import::Model;
use crate::model::plan::NO_TOKEN;
use crate::onnx::{self, Graph, Role, guarded};

/// Steps a batch of puzzles by running a graph.
///
/// Each run takes as many puzzles as the graph's fixed batch size, or one if that size is not
/// fixed. So the answer to a puzzle does not depend on the others. The threads share the runs of a
/// step.
#[derive(Debug)]
pub(super) struct OnnxStepper {
    graph: Arc<Graph>,
    model: Arc<Model>,
    threads: usize,
    slots: Vec<Slot>,
}

/// A puzzle, and the outputs of its last step.
#[derive(Debug, Clone, Default)]
struct Slot {
    /// `[S]`.
    tokens: Vec<u32>,
    puzzle_id: u32,
    /// `[L, D]` each, in the order of the graph. Empty if the initial state is not known.
    states: Vec<Vec<f32>>,
    /// `[S, V]`.
    logits: Vec<f32>,
    /// `q_halt` and `q_continue`.
    q: [f32; 2],
}

/// Creates a stepper with `slots` slots. Default of `threads`: one per core.
pub(crate) fn graph_stepper(
    graph: &Arc<Graph>,
    model: Arc<Model>,
    slots: usize,
    threads: Option<usize>,
) -> Result<Box<dyn Inspect>> {
    if slots == 0 {
        return Err(Error::argument("a batch has at least one slot"));
    }
    Ok(Box::new(OnnxStepper {
        threads: threads.unwrap_or_else(physical_cores).max(1),
        slots: vec![Slot::default(); slots],
        graph: graph.clone(),
        model,
    }))
}

impl OnnxStepper {
    fn slot_state(&self, slot: usize) -> Result<&Slot> {
        self.slots.get(slot).ok_or_else(|| no_slot(slot))
    }

    fn index(&self, state: State) -> Result<usize> {
        let found = self.graph.states.iter().position(|s| *s == state);
        found.ok_or_else(|| Error::argument(format!("the model has no state {}", state.name())))
    }
}

impl Stepper for OnnxStepper {
    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn load(&mut self, slot: usize, tokens: &[u32], puzzle_id: u32) -> Result<()> {
        self.model.check_token_count(tokens.len())?;
        self.model.check_vocabulary(tokens)?;
        self.model.check_puzzle_id(puzzle_id)?;
        let graph = &self.graph;
        let start = |state: &State| {
            let row = self.model.initial(*state);
            match row.len() == graph.hidden {
                true => row.repeat(graph.positions),
                false => row.to_vec(),
            }
        };
        let states = graph.states.iter().map(start).collect();
        let slot_state = self.slots.get_mut(slot).ok_or_else(|| no_slot(slot))?;
        *slot_state = Slot {
            tokens: tokens.to_vec(),
            puzzle_id,
            states,
            ..Slot::default()
        };
        Ok(())
    }

    fn perturb(&mut self, slot: usize, seed: u64) -> Result<()> {
        let states = self.graph.states.clone();
        stepper::perturb(self, &states, slot, seed)
    }

    fn step(&mut self, live: &[usize]) -> Result<()> {
        for &slot in live {
            let slot_state = self.slot_state(slot)?;
            if slot_state.tokens.is_empty() {
                return Err(Error::argument(format!("slot {slot} has no puzzle")));
            }
            if let Some(state) = slot_state.states.iter().position(Vec::is_empty) {
                let name = crate::model::weights::Weight::Init(self.graph.states[state]).name();
                return Err(Error::checkpoint(format!(
                    "the initial states are not known: the ONNX file has no metadata \"{name}\", \
                     and no file beside it has a tensor of that name"
                )));
            }
        }
        let graph = &*self.graph;
        let chosen = self.slots.iter_mut().enumerate();
        let mut chosen: Vec<&mut Slot> = chosen
            .filter(|(slot, _)| live.contains(slot))
            .map(|(_, p)| p)
            .collect();
        let runs: Vec<&mut [&mut Slot]> = chosen.chunks_mut(graph.batch).collect();
        let threads = self.threads.min(runs.len()).max(1);
        if threads == 1 {
            return runs.into_iter().try_for_each(|run| graph.step(run));
        }
        let mut shares: Vec<Vec<&mut [&mut Slot]>> = (0..threads).map(|_| Vec::new()).collect();
        for (i, run) in runs.into_iter().enumerate() {
            shares[i % threads].push(run);
        }
        std::thread::scope(|scope| {
            let work = |share: Vec<&mut [&mut Slot]>| {
                share.into_iter().try_for_each(|run| graph.step(run))
            };
            let mut others = Vec::new();
            while shares.len() > 1
                && let Some(share) = shares.pop()
            {
                // The closure of a thread that cannot be started is dropped, so the share is
                // handed over only to a thread that runs.
                let (sender, receiver) = std::sync::mpsc::sync_channel(1);
                let thread = std::thread::Builder::new()
                    .spawn_scoped(scope, move || receiver.recv().map_or(Ok(()), work));
                match thread {
                    Ok(thread) => {
                        let _ = sender.send(share);
                        others.push(thread);
                    }
                    Err(_) => {
                        shares.push(share);
                        break;
                    }
                }
            }
            // This thread takes the first share, and those for which there is no thread.
            let own = shares.into_iter().try_for_each(work);
            let others = others.into_iter().map(|other| match other.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            others.fold(own, Result::and)
        })
    }

    fn halting(&self, slot: usize) -> Result<Halting> {
        Ok(Halting::new(
            self.slot_state(slot)?.q,
            self.model.config.halting_logit(),
        ))
    }

    /// Ignores the signal: tract does not stop within a run.
    fn set_stop(&mut self, _: StopSignal) {}

    /// Returns for each cell the token with the largest logit, the first of several.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a vocabulary has at most 2^20 tokens"
    )]
    fn answer(&self, slot: usize) -> Result<Vec<u32>> {
        let vocab = self.model.config.vocab_size;
        let best = |logits: &[f32]| {
            let mut best = 0;
            if !logits.iter().all(|logit| logit.is_finite()) {
                return NO_TOKEN;
            }
            for (token, logit) in logits.iter().enumerate() {
                if *logit > logits[best] {
                    best = token;
                }
            }
            best as u32
        };
        let slot_state = self.slot_state(slot)?;
        let mut answer: Vec<u32> = slot_state.logits.chunks_exact(vocab).map(best).collect();
        // A graph can turn a NaN in its states into a finite logit, by a maximum for example.
        if !slot_state.states.iter().flatten().all(|x| x.is_finite()) {
            answer.fill(NO_TOKEN);
        }
        Ok(answer)
    }

    fn pipelined(&mut self, _: &HaltPolicy) -> Option<(&mut dyn PipelinedProgram, HaltParams)> {
        None
    }

    fn device(&self) -> &'static str {
        onnx::DEVICE
    }

    fn recover(&mut self, _: &Error) -> Result<bool> {
        Ok(false)
    }
}

impl Inspect for OnnxStepper {
    fn state(&self, slot: usize, state: State) -> Result<Vec<f32>> {
        Ok(self
            .slot_state(slot)?
            .states
            .get(self.index(state)?)
            .cloned()
            .unwrap_or_default())
    }

    fn set_state(&mut self, slot: usize, state: State, values: &[f32]) -> Result<()> {
        let (index, len) = (self.index(state)?, self.graph.positions * self.graph.hidden);
        if values.len() != len {
            return Err(Error::argument(format!(
                "{} has {len} elements, not {}",
                state.name(),
                values.len()
            )));
        }
        let slot_state = self.slots.get_mut(slot).ok_or_else(|| no_slot(slot))?;
        if let Some(state) = slot_state.states.get_mut(index) {
            *state = values.to_vec();
        }
        Ok(())
    }

    fn logits(&self, slot: usize) -> Result<Vec<f32>> {
        Ok(self.slot_state(slot)?.logits.clone())
    }

    fn input_embedding(&self, _: usize) -> Result<Vec<f32>> {
        Err(Error::argument(
            "an ONNX graph does not expose its input embedding",
        ))
    }
}

impl Graph {
    /// Refines these puzzles, at most as many as one run takes. Copies of the first puzzle fill a
    /// smaller batch.
    fn step(&self, puzzles: &mut [&mut Slot]) -> Result<()> {
        let outputs = guarded("run the graph", || {
            let inputs = self.inputs.iter();
            let inputs: TractResult<TVec<TValue>> = inputs
                .map(|(role, datum_type)| {
                    Ok(self
                        .input(*role, puzzles)?
                        .cast_to_dt(*datum_type)?
                        .into_owned()
                        .into())
                })
                .collect();
            let outputs = self.plan.run(inputs?)?;
            let floats = |output: &TValue| {
                let tensor = output.cast_to::<f32>()?;
                Ok(tensor
                    .to_plain_array_view::<f32>()?
                    .iter()
                    .copied()
                    .collect())
            };
            outputs
                .iter()
                .map(floats)
                .collect::<TractResult<Vec<Vec<f32>>>>()
        })?;
        // tract may have inferred wrong sizes.
        let lens = outputs.iter().map(|values| values.len() / self.batch);
        if !lens.eq(self.lens.iter().copied()) {
            return Err(Error::checkpoint(
                "the outputs of the graph do not have the sizes that it declares",
            ));
        }
        let states = self.states.len();
        for (i, slot_state) in puzzles.iter_mut().enumerate() {
            for (output, values) in outputs.iter().enumerate() {
                let len = self.lens[output];
                let own = &values[i * len..][..len];
                match output.checked_sub(states) {
                    None => slot_state.states[output].copy_from_slice(own),
                    Some(0) => slot_state.logits = own.to_vec(),
                    Some(q) => slot_state.q[q - 1] = own[0],
                }
            }
        }
        Ok(())
    }

    fn input(&self, role: Role, puzzles: &[&mut Slot]) -> TractResult<Tensor> {
        let each = (0..self.batch).filter_map(|i| puzzles.get(i).or(puzzles.first()));
        match role {
            Role::Tokens => {
                let all: Vec<i64> = each
                    .flat_map(|p| p.tokens.iter().map(|&t| i64::from(t)))
                    .collect();
                Tensor::from_shape(&[self.batch, all.len() / self.batch], &all)
            }
            Role::Identifiers => {
                let all: Vec<i64> = each.map(|p| i64::from(p.puzzle_id)).collect();
                Tensor::from_shape(&[self.batch], &all)
            }
            Role::State(state) => {
                let all: Vec<f32> = each.flat_map(|p| p.states[state].iter().copied()).collect();
                Tensor::from_shape(&[self.batch, self.positions, self.hidden], &all)
            }
        }
    }
}

fn no_slot(slot: usize) -> Error {
    Error::argument(format!("the batch has no slot {slot}"))
}
