//! One puzzle loaded into a model, and the record of each of its steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trm_runtime::low_level::Inspect;
use trm_runtime::low_level::config::State;
use trm_runtime::task::{EncodedPuzzle, Task};
use trm_runtime::{Device, Error, ErrorKind, HaltRule, Solver};

use super::{Job, RunInfo};
use crate::history::{StepRecord, StopReason, confidence, state_change};

/// The only slot of the batch.
const SLOT: usize = 0;

/// A puzzle in progress.
pub(super) struct PuzzleRun {
    job: Job,
    solver: Solver,
    stepper: Box<dyn Inspect>,
    encoded: EncodedPuzzle,
    task: Arc<dyn Task>,
    /// The answer tokens after the last step. Before the first step, the tokens of the puzzle.
    tokens: Vec<u32>,
    /// The answer state `z_H` after the last step, `[L, D]`.
    state: Vec<f32>,
    steps: usize,
    stop: Option<StopReason>,
}

/// A new run, its model and device, and a note if the device had to be replaced.
type NewRun = (PuzzleRun, RunInfo, Option<String>);

/// Returns a solver over the same model on the CPU.
fn on_cpu(solver: &Solver) -> Result<Solver, Error> {
    solver
        .to_builder()
        .device(Device::Cpu)
        .build(solver.model().clone())
}

impl PuzzleRun {
    /// Opens the model and loads the puzzle.
    ///
    /// If the device fails, the CPU replaces it, and the returned note says so. Reuses the solver
    /// of `previous` if it has the same model and device.
    pub(super) fn new(job: Job, previous: Option<Self>) -> Result<NewRun, String> {
        job.board.check()?;
        let start = Instant::now();
        let kind = job.board.kind();
        let (model, builder) = match previous {
            Some(run) if run.job.device == job.device && run.job.has_same_model(&job) => {
                (run.solver.model().clone(), run.solver.to_builder())
            }
            _ => {
                let opened = job.model.open(kind).map_err(|e| e.to_string())?;
                let builder = Solver::builder()
                    .device(job.device)
                    .batch(1)
                    .kind(kind.task());
                (opened.model().clone(), builder)
            }
        };
        let mut builder = builder.halt_rule(job.rule).halt_threshold(job.threshold);
        if let Some(steps) = job.max_steps {
            builder = builder.max_steps(steps);
        }
        let solver = builder.build(model).map_err(|e| e.to_string())?;
        let (run, note) = match Self::load(job.clone(), solver.clone()) {
            Err(e) if e.kind() == ErrorKind::Device && job.device != Device::Cpu => {
                let note = format!("{e}; the CPU takes over");
                let solver = on_cpu(&solver).map_err(|e| e.to_string())?;
                (Self::load(job, solver), Some(note))
            }
            run => (run, None),
        };
        let run = run.map_err(|e| e.to_string())?;
        let info = run.info(start.elapsed());
        Ok((run, info, note))
    }

    fn load(job: Job, solver: Solver) -> Result<Self, Error> {
        let (encoded, task) = solver.encode(&job.board.to_puzzle())?;
        let mut stepper = solver.stepper(encoded.tokens.len(), 1)?;
        stepper.load(SLOT, &encoded.tokens, encoded.puzzle_id)?;
        let state = stepper.state(SLOT, answer_state(&solver))?;
        Ok(Self {
            tokens: encoded.tokens.clone(),
            job,
            solver,
            stepper,
            encoded,
            task,
            state,
            steps: 0,
            stop: None,
        })
    }

    pub(super) fn number(&self) -> u64 {
        self.job.number
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    pub(super) fn max_steps(&self) -> usize {
        self.solver.policy().max_steps
    }

    /// Records the first stop of the run, and returns it if this is the first.
    pub(super) fn record_stop(&mut self, stop: Option<StopReason>) -> Option<StopReason> {
        if self.stop.is_some() {
            return None;
        }
        self.stop = stop;
        stop
    }

    /// Takes a refinement step and returns its record.
    pub(super) fn step(&mut self) -> Result<StepRecord, Error> {
        let start = Instant::now();
        self.stepper.step(&[SLOT])?;
        let step = self.steps + 1;
        let checked = self.stepper.check_finite(SLOT);
        checked.map_err(|e| e.context(format!("step {step}")))?;
        let halting = self.stepper.halting(SLOT)?;
        let tokens = self.stepper.answer(SLOT)?;
        let duration = start.elapsed();
        self.steps += 1;

        let state = self.stepper.state(SLOT, answer_state(&self.solver))?;
        let prefix = self.solver.model().config.prefix_len();
        let state_change = state_change(&self.state, &state, prefix, tokens.len());
        let confidence = confidence(&self.stepper.logits(SLOT)?, &tokens);
        let changed: Vec<bool> = tokens
            .iter()
            .zip(&self.tokens)
            .map(|(a, b)| a != b)
            .collect();

        let policy = self.solver.policy();
        let verdict = self.task.verify(&self.encoded, &tokens);
        let head_halts = policy.should_halt(&halting, self.steps);
        // Without rules to check, `HaltRule::Verified` trusts the head.
        let trusts_head = policy.rule != HaltRule::Verified || !self.task.verifies_by_rules();
        let policy_halts = head_halts && (trusts_head || verdict.valid != Some(false));

        let answer = self
            .job
            .board
            .answer(&self.task.decode(&self.encoded, &tokens));
        // An ARC answer is the top-left part of the canvas that the model sees.
        let canvas_cols = self.encoded.cols;
        let positions: Vec<usize> = (0..answer.rows)
            .flat_map(|row| (0..answer.cols).map(move |col| row * canvas_cols + col))
            .collect();
        (self.tokens, self.state) = (tokens, state);
        Ok(StepRecord {
            step: self.steps,
            confidence: select(&confidence, &positions),
            changed: select(&changed, &positions),
            state_change: select(&state_change, &positions),
            answer,
            halt_probability: halting.probability(),
            head_halts,
            policy_halts,
            verdict,
            duration,
        })
    }

    /// Restarts on the CPU after the device has failed. Returns every other error unchanged.
    pub(super) fn restart_on_cpu(&mut self, error: &Error) -> Result<RunInfo, String> {
        if error.kind() != ErrorKind::Device
            || self.solver.device_name().is_ok_and(|name| name == "cpu")
        {
            return Err(error.to_string());
        }
        let start = Instant::now();
        let solver = on_cpu(&self.solver).map_err(|e| e.to_string())?;
        *self = Self::load(self.job.clone(), solver).map_err(|e| e.to_string())?;
        Ok(self.info(start.elapsed()))
    }

    fn info(&self, load_time: Duration) -> RunInfo {
        let device = self.solver.device_name().unwrap_or("?");
        let cpu = || trm_runtime::cpu().map_or_else(|_| "cpu".into(), |cpu| cpu.to_string());
        let requested = self.job.device;
        let reason = match requested {
            Device::Auto => self.solver.device_choice_reason().unwrap_or_default(),
            Device::Gpu(_) if device == "cpu" => "the GPU failed".into(),
            _ => "you chose it".into(),
        };
        let config = &self.solver.model().config;
        let plan = self.solver.plan(self.encoded.tokens.len());
        let gflop = plan.map_or(0.0, |plan| plan.gflop_per_step());
        RunInfo {
            device: match (device, requested) {
                ("cpu", _) => cpu(),
                ("gpu", Device::Gpu(Some(n))) => format!("gpu:{n}"),
                _ => device.into(),
            },
            reason,
            model: format!(
                "{}, D = {}, {} positions, {gflop:.2} GFLOP a step",
                config.variant.name(),
                config.hidden_size,
                self.encoded.tokens.len() + config.prefix_len(),
            ),
            max_steps: self.max_steps(),
            load_time,
        }
    }
}

impl Job {
    /// Returns whether both jobs use the same model. `ModelChoice::Auto` depends on the board.
    fn has_same_model(&self, other: &Self) -> bool {
        self.model == other.model && self.board.kind() == other.board.kind()
    }
}

fn answer_state(solver: &Solver) -> State {
    solver.model().config.answer_state()
}

/// Returns the values at these positions, and defaults past the end.
fn select<T: Copy + Default>(values: &[T], positions: &[usize]) -> Vec<T> {
    let value = |&position: &usize| values.get(position).copied().unwrap_or_default();
    positions.iter().map(value).collect()
}
