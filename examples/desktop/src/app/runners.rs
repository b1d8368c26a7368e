//! The runners: their models, their devices, and how far they run.

use std::time::Duration;

use egui::Context;
use trm_runtime::Device;

use super::{App, Comparison, Fade, Tab, repaint_waker};
use crate::generate::generate;
use crate::model_choice::ModelChoice;
use crate::runner_view::RunnerView;
use crate::settings::{MAX_RECENT_MODELS, MAX_STEPS_PER_SECOND, MIN_STEPS_PER_SECOND};
use crate::worker::{Job, RunMode};

/// A change of the speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpeedChange {
    Faster,
    Slower,
}

impl App {
    /// Sets the model of a runner. A bundled model for another board also switches to that board.
    pub(crate) fn choose_model(&mut self, index: usize, model: ModelChoice) {
        if let ModelChoice::Path(_) = model {
            let name = model.name();
            self.settings.models.retain(|known| *known != name);
            self.settings.models.insert(0, name);
            self.settings.models.truncate(MAX_RECENT_MODELS);
        }
        if let Some(kind) = model.board_kind()
            && kind != self.board().kind()
        {
            let tab = Tab::of(kind);
            if tab == self.tab {
                self.put(generate(kind, self.difficulty, self.seed));
            } else {
                self.choose_tab(tab);
            }
        }
        if let Some(runner) = self.runners.get_mut(index) {
            runner.model = model;
        }
        self.reset_runs();
    }

    pub(crate) fn choose_device(&mut self, index: usize, device: Device) {
        if let Some(runner) = self.runners.get_mut(index) {
            runner.device = device;
        }
        self.reset_runs();
    }

    /// Starts or ends a comparison.
    pub(crate) fn toggle_comparison(&mut self) {
        if let [only] = self.runners.as_slice() {
            let runner = RunnerView::new(only.model.clone(), only.device);
            self.runners.push(runner);
        } else {
            let others = self.runners.drain(1..);
            self.ending_threads
                .extend(others.filter_map(RunnerView::into_thread));
        }
        self.reset_runs();
    }

    /// Starts a comparison.
    pub fn compare_with(&mut self, comparison: Comparison) {
        if self.runners.len() == 1 {
            self.toggle_comparison();
        }
        if let Some(runner) = self.runners.get_mut(1) {
            runner.model = comparison.model.unwrap_or_else(|| runner.model.clone());
            runner.device = comparison.device.unwrap_or(runner.device);
        }
    }

    /// Returns whether any runner takes steps.
    pub fn is_running(&self) -> bool {
        self.runners.iter().any(RunnerView::is_running)
    }

    /// Returns the number of the last step that any runner has taken.
    pub fn last_step(&self) -> usize {
        self.runners
            .iter()
            .map(|runner| runner.history.len())
            .max()
            .unwrap_or(0)
    }

    /// Returns the step on the board. 0 is the puzzle.
    pub fn shown_step(&self) -> usize {
        self.shown_step
    }

    /// Shows a step, with a fade from the one before.
    pub(crate) fn show_step(&mut self, step: usize, ctx: &Context) {
        let step = step.min(self.last_step());
        if step != self.shown_step {
            self.fade = Fade {
                from_step: self.shown_step,
                start: ctx.input(|i| i.time),
            };
            self.shown_step = step;
        }
    }

    /// Shows the step that the user asked for. At the last step, the board follows the run again.
    pub(crate) fn seek(&mut self, step: usize, ctx: &Context) {
        self.show_step(step, ctx);
        self.follow_latest = self.shown_step == self.last_step();
    }

    /// Starts or continues the run, or pauses it. Starts over if the run has stopped by itself.
    pub(crate) fn toggle_run(&mut self, ctx: &Context) {
        if self.is_running() {
            self.run(RunMode::Paused, ctx);
        } else {
            if self
                .runners
                .iter()
                .any(|runner| runner.history.stop.is_some())
            {
                self.reset_runs();
            }
            self.run(RunMode::UntilHalt, ctx);
        }
    }

    /// Sets how far the runners continue. `LoadedModel` the puzzle first if necessary.
    pub fn run(&mut self, mode: RunMode, ctx: &Context) {
        if mode != RunMode::Paused {
            // A new run retries what has failed.
            if self.error().is_some() {
                self.reset_runs();
            }
            self.follow_latest = true;
            self.load(ctx);
            self.show_step(self.last_step(), ctx);
        }
        for runner in &mut self.runners {
            // A runner that has stopped by itself does not continue just because the other has not.
            if mode == RunMode::UntilHalt && runner.history.stop.is_some() {
                continue;
            }
            runner.set_mode(mode);
        }
    }

    fn load(&mut self, ctx: &Context) {
        let job = Job {
            number: 0,
            board: self.board().clone(),
            model: ModelChoice::Auto,
            device: Device::Auto,
            rule: self.rule,
            threshold: self.threshold,
            max_steps: self.max_steps,
        };
        let delay = self.delay();
        for runner in self.runners.iter_mut().filter(|runner| !runner.is_loaded()) {
            runner.load(job.clone(), &self.turn_lock, repaint_waker(ctx));
            runner.set_delay(delay);
        }
    }

    /// Returns the minimum time between two steps.
    fn delay(&self) -> Duration {
        match self.settings.speed {
            speed if speed > 0.0 => Duration::from_secs_f32(1.0 / speed),
            _ => Duration::ZERO,
        }
    }

    /// Sets the speed, in steps per second. 0 means no limit.
    pub fn set_speed(&mut self, speed: f32) {
        self.settings.speed = speed;
        let delay = self.delay();
        self.runners
            .iter()
            .for_each(|runner| runner.set_delay(delay));
    }

    /// Makes the run faster or slower by half.
    pub(crate) fn change_speed(&mut self, change: SpeedChange) {
        let speed = match (self.settings.speed, change) {
            (0.0, SpeedChange::Faster) => 0.0,
            (0.0, SpeedChange::Slower) => MAX_STEPS_PER_SECOND / 2.0,
            (speed, SpeedChange::Faster) => speed * 1.5,
            (speed, SpeedChange::Slower) => (speed / 1.5).max(MIN_STEPS_PER_SECOND),
        };
        self.set_speed(if speed > MAX_STEPS_PER_SECOND {
            0.0
        } else {
            speed
        });
    }

    /// Waits up to `timeout` for an event of a runner that is busy.
    pub fn wait(&mut self, timeout: Duration) {
        if let Some(runner) = self
            .runners
            .iter_mut()
            .find(|runner| runner.is_running() || runner.is_loading())
        {
            runner.poll_within(timeout);
        }
    }

    /// Returns whether every runner has stopped by itself.
    pub fn has_stopped(&self) -> bool {
        self.runners
            .iter()
            .all(|runner| runner.history.stop.is_some())
    }

    /// Returns the error of the first runner that cannot continue.
    pub fn error(&self) -> Option<&str> {
        self.runners
            .iter()
            .find_map(|runner| runner.error.as_deref())
    }

    /// Returns whether the last answer of every runner keeps the rules, or `None` if that cannot be
    /// checked.
    pub fn is_valid(&self) -> Option<bool> {
        let verdicts: Option<Vec<bool>> = self.runners.iter().map(RunnerView::last_valid).collect();
        verdicts.map(|all| all.into_iter().all(|valid| valid))
    }
}
