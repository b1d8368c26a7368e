//! One puzzle in a model, and what each of its steps shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trm::config::State;
use trm::task::{Problem, Task};
use trm::{Device, Error, ErrorKind, HaltRule, Solver, Stepper};

use super::{Job, Ready};
use crate::film::{Frame, Stop, certainty, movement};

/// The one place of the batch.
const SLOT: usize = 0;

/// A puzzle at work.
pub(super) struct Run {
    job: Job,
    solver: Solver,
    stepper: Box<dyn Stepper>,
    problem: Problem,
    task: Arc<dyn Task>,
    /// The answer after the step before; the puzzle at first.
    tokens: Vec<u32>,
    /// The answer state after the step before, `[L, D]`.
    state: Vec<f32>,
    steps: usize,
    stop: Option<Stop>,
}

impl Run {
    /// Opens the model and puts the puzzle in. A device that fails at this is replaced by the CPU; the note says so.
    pub(super) fn new(job: Job, before: Option<Run>) -> Result<(Run, Ready, Option<String>), String> {
        job.board.check()?;
        let start = Instant::now();
        let kind = job.board.kind();
        let solver = match before {
            Some(run) if run.job.device == job.device && run.job.same_model(&job) => run.solver,
            _ => {
                let opened = job.model.open(kind).map_err(|e| e.to_string())?;
                opened.device(job.device).batch(1).kind(kind.task())
            }
        };
        let mut solver = solver.halt(job.rule).halt_threshold(job.threshold);
        if let Some(steps) = job.max_steps {
            solver = solver.max_steps(steps);
        }
        let (run, note) = match Run::with(job.clone(), solver.clone()) {
            Err(e) if e.kind() == ErrorKind::Device && job.device != Device::Cpu => {
                let note = format!("{e}; the CPU takes over");
                (Run::with(job, solver.device(Device::Cpu)), Some(note))
            }
            run => (run, None),
        };
        let run = run.map_err(|e| e.to_string())?;
        let ready = run.ready(start.elapsed());
        Ok((run, ready, note))
    }

    fn with(job: Job, solver: Solver) -> Result<Run, Error> {
        let (problem, task) = solver.encode(&job.board.to_puzzle())?;
        let mut stepper = solver.stepper(problem.tokens.len(), 1)?;
        stepper.load(SLOT, &problem.tokens, problem.puzzle_id)?;
        let state = stepper.state(SLOT, answer_state(&solver))?;
        Ok(Run {
            tokens: problem.tokens.clone(),
            job,
            solver,
            stepper,
            problem,
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

    /// Keeps the first stop of the run; `Some` if this is it.
    pub(super) fn note_stop(&mut self, stop: Option<Stop>) -> Option<Stop> {
        if self.stop.is_some() {
            return None;
        }
        self.stop = stop;
        stop
    }

    /// Takes a step.
    pub(super) fn step(&mut self) -> Result<Frame, Error> {
        let start = Instant::now();
        self.stepper.step(&[SLOT])?;
        let halting = self.stepper.halting(SLOT)?;
        let tokens = self.stepper.answer(SLOT)?;
        let time = start.elapsed();
        self.steps += 1;

        let state = self.stepper.state(SLOT, answer_state(&self.solver))?;
        let prefix = self.solver.model().config.prefix_len();
        let moved = movement(&self.state, &state, prefix, tokens.len());
        let sure = certainty(&self.stepper.logits(SLOT)?, &tokens);
        let changed: Vec<bool> = tokens.iter().zip(&self.tokens).map(|(a, b)| a != b).collect();

        let policy = self.solver.policy();
        let verdict = self.task.verify(&self.problem, &tokens);
        let head_halts = policy.head_says_halt(&halting, self.steps);
        let trusted = policy.rule != HaltRule::Verified || !self.task.verifies_by_rules();
        let halts = head_halts && (trusted || verdict.valid != Some(false));

        let answer = self.job.board.answer(&self.task.decode(&self.problem, &tokens));
        // An answer of ARC is a corner of the canvas that the model sees.
        let canvas = self.problem.cols;
        let places: Vec<usize> = (0..answer.rows)
            .flat_map(|row| (0..answer.cols).map(move |col| row * canvas + col))
            .collect();
        (self.tokens, self.state) = (tokens, state);
        Ok(Frame {
            step: self.steps,
            sure: picked(&sure, &places),
            changed: picked(&changed, &places),
            moved: picked(&moved, &places),
            answer,
            halt: halting.probability(),
            head_halts,
            halts,
            verdict,
            time,
        })
    }

    /// Starts again on the CPU after the device has failed, or hands the error back.
    pub(super) fn onto_the_cpu(&mut self, error: &Error) -> Result<Ready, String> {
        if error.kind() != ErrorKind::Device || self.solver.device_name().is_ok_and(|name| name == "cpu") {
            return Err(error.to_string());
        }
        let start = Instant::now();
        let solver = self.solver.clone().device(Device::Cpu);
        *self = Run::with(self.job.clone(), solver).map_err(|e| e.to_string())?;
        Ok(self.ready(start.elapsed()))
    }

    fn ready(&self, load_time: Duration) -> Ready {
        let on = self.solver.device_name().unwrap_or("?");
        let cpu = || trm::cpu().map_or_else(|_| "cpu".into(), |cpu| cpu.to_string());
        let asked = self.job.device;
        let reason = match asked {
            Device::Auto => self.solver.device_reason().unwrap_or_default(),
            Device::Gpu(_) if on == "cpu" => "the GPU failed".into(),
            _ => "you chose it".into(),
        };
        let config = &self.solver.model().config;
        let plan = self.solver.plan(self.problem.tokens.len());
        let work = plan.map_or(0.0, |plan| plan.gflop_per_step());
        Ready {
            device: match (on, asked) {
                ("cpu", _) => cpu(),
                ("gpu", Device::Gpu(Some(n))) => format!("gpu:{n}"),
                _ => on.into(),
            },
            reason,
            model: format!(
                "{}, D = {}, {} positions, {work:.2} GFLOP a step",
                config.variant.name(),
                config.hidden_size,
                self.problem.tokens.len() + config.prefix_len(),
            ),
            max_steps: self.max_steps(),
            load_time,
        }
    }
}

impl Job {
    /// Whether the other job runs the same model; the one that fits depends on the board.
    fn same_model(&self, other: &Job) -> bool {
        self.model == other.model && self.board.kind() == other.board.kind()
    }
}

fn answer_state(solver: &Solver) -> State {
    solver.model().config.answer_state()
}

fn picked<T: Copy + Default>(values: &[T], places: &[usize]) -> Vec<T> {
    let value = |&place: &usize| values.get(place).copied().unwrap_or_default();
    places.iter().map(value).collect()
}
