//! This repository's CPU backend, through the public API.
use std::path::Path;
use std::sync::Arc;

use trm_runtime::low_level::Inspect;
use trm_runtime::low_level::backend::cpu::Cpu;
use trm_runtime::low_level::config::State;
use trm_runtime::{LoadOptions, Model, Solver, WeightDtype};

use crate::case::{Case, Outputs};
use crate::{Fallible, Peer};

pub(crate) struct Ours {
    stepper: Box<dyn Inspect>,
    live: Vec<usize>,
}

impl Ours {
    pub(crate) fn new(
        model: &Path,
        case: &Case,
        threads: usize,
        dtype: WeightDtype,
    ) -> Fallible<Ours> {
        let cpu = Cpu::new(Some(threads))?.with_dtype(dtype);
        let model = Model::open(model, &LoadOptions::default())?;
        let tokens = case.tokens.len() / case.batch;
        let mut stepper = Solver::builder()
            .backend(Arc::new(cpu))
            .build(model)?
            .stepper(tokens, case.batch)?;
        for (slot, puzzle) in case.tokens.chunks(tokens).enumerate() {
            let puzzle: Vec<u32> = puzzle.iter().map(|&t| t as u32).collect();
            stepper.load(slot, &puzzle, 0)?;
        }
        Ok(Ours {
            stepper,
            live: (0..case.batch).collect(),
        })
    }
}

impl Peer for Ours {
    fn step(&mut self) -> Fallible<()> {
        Ok(self.stepper.step(&self.live)?)
    }

    fn outputs(&mut self) -> Fallible<Outputs> {
        let mut out = Outputs {
            states: Default::default(),
            halting: Vec::new(),
            answer: Vec::new(),
        };
        for &slot in &self.live {
            for (values, state) in out.states.iter_mut().zip([State::H, State::L]) {
                values.extend(self.stepper.state(slot, state)?);
            }
            let halting = self.stepper.halting(slot)?;
            out.halting.extend([halting.q_halt, halting.q_continue]);
            out.answer
                .extend(self.stepper.answer(slot)?.into_iter().map(i64::from));
        }
        Ok(out)
    }
}
