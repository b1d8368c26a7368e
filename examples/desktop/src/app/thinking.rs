//! Models, devices, and how far they think.

use std::time::Duration;

use egui::Context;
use trm::Device;

use super::{App, Tab, waker};
use crate::choice::ModelChoice;
use crate::generate::generate;
use crate::lane::Lane;
use crate::thinker::{Job, Pace};

impl App {
    /// Another model for a lane. One that is for another board brings that board.
    pub(crate) fn choose_model(&mut self, lane: usize, model: ModelChoice) {
        if let ModelChoice::Path(_) = model {
            let name = model.name();
            self.settings.models.retain(|known| *known != name);
            self.settings.models.insert(0, name);
            self.settings.models.truncate(8);
        }
        if let Some(kind) = model.board()
            && kind != self.board().kind()
        {
            let tab = Tab::of(kind);
            if tab == self.tab {
                self.put(generate(kind, self.difficulty, self.seed));
            } else {
                self.choose_tab(tab);
            }
        }
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.model = model;
        }
        self.forget();
    }

    pub(crate) fn choose_device(&mut self, lane: usize, device: Device) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.device = device;
        }
        self.forget();
    }

    /// Starts or ends a comparison.
    pub(crate) fn compare(&mut self, on: bool) {
        if on && let [only] = self.lanes.as_slice() {
            let lane = Lane::new(only.model.clone(), only.device);
            self.lanes.push(lane);
        } else if !on {
            let others = self.lanes.drain(1..);
            self.leaving.extend(others.filter_map(Lane::leave));
        }
        self.forget();
    }

    /// Starts a comparison with this model and this device; what is not given is as on the left.
    pub fn compare_with(&mut self, model: Option<ModelChoice>, device: Option<Device>) {
        self.compare(true);
        if let Some(lane) = self.lanes.get_mut(1) {
            lane.model = model.unwrap_or_else(|| lane.model.clone());
            lane.device = device.unwrap_or(lane.device);
        }
    }

    /// Whether any lane thinks.
    pub fn is_thinking(&self) -> bool {
        self.lanes.iter().any(Lane::is_thinking)
    }

    /// The number of the last step that any lane has taken.
    pub fn last_step(&self) -> usize {
        self.lanes.iter().map(|lane| lane.film.len()).max().unwrap_or(0)
    }

    /// The step that is shown; 0 is the puzzle.
    pub fn shown_step(&self) -> usize {
        self.shown
    }

    /// Shows a step, fading from the one before.
    pub(crate) fn show_step(&mut self, step: usize, ctx: &Context) {
        let step = step.min(self.last_step());
        if step != self.shown {
            self.faded = (self.shown, ctx.input(|i| i.time));
            self.shown = step;
        }
    }

    /// Shows a step that a person asked for; the newest is followed again once it is reached.
    pub(crate) fn scrub(&mut self, step: usize, ctx: &Context) {
        self.show_step(step, ctx);
        self.follow = self.shown == self.last_step();
    }

    /// Thinks from where it stands, or pauses.
    pub(crate) fn think_or_pause(&mut self, ctx: &Context) {
        if self.is_thinking() {
            self.go(Pace::Pause, ctx);
        } else {
            // After the halt, "think" means: from the beginning.
            if self.lanes.iter().any(|lane| lane.film.stop.is_some()) {
                self.forget();
            }
            self.go(Pace::Halt, ctx);
        }
    }

    /// How far to think from now on; loads the puzzle first where that is needed.
    pub fn go(&mut self, pace: Pace, ctx: &Context) {
        if pace != Pace::Pause {
            // What has failed is tried again.
            if self.error().is_some() {
                self.forget();
            }
            self.follow = true;
            self.load(ctx);
            self.show_step(self.last_step(), ctx);
        }
        for lane in &mut self.lanes {
            // Whoever has stopped waits for those that have not, unless it is told to go on.
            if pace == Pace::Halt && lane.film.stop.is_some() {
                continue;
            }
            lane.go(pace);
        }
    }

    fn load(&mut self, ctx: &Context) {
        let job = Job {
            number: 0,
            board: self.board().clone(),
            model: ModelChoice::Fitting,
            device: Device::Auto,
            rule: self.rule,
            threshold: self.threshold,
            max_steps: self.max_steps,
        };
        let delay = self.delay();
        for lane in self.lanes.iter_mut().filter(|lane| !lane.is_loaded()) {
            lane.load(job.clone(), &self.turn, waker(ctx));
            lane.delay(delay);
        }
    }

    fn delay(&self) -> Duration {
        match self.settings.speed {
            speed if speed > 0.0 => Duration::from_secs_f32(1.0 / speed),
            _ => Duration::ZERO,
        }
    }

    /// Steps a second; 0 is as fast as it goes.
    pub fn set_speed(&mut self, speed: f32) {
        self.settings.speed = speed;
        let delay = self.delay();
        self.lanes.iter().for_each(|lane| lane.delay(delay));
    }

    pub(crate) fn change_speed(&mut self, faster: bool) {
        let speed = match (self.settings.speed, faster) {
            (0.0, true) => 0.0,
            (0.0, false) => 30.0,
            (speed, true) => speed * 1.5,
            (speed, false) => (speed / 1.5).max(0.5),
        };
        self.set_speed(if speed > 60.0 { 0.0 } else { speed });
    }

    /// Waits until the lanes have told something, not longer than this.
    pub fn wait(&mut self, time: Duration) {
        if let Some(lane) = self
            .lanes
            .iter_mut()
            .find(|lane| lane.is_thinking() || lane.is_loading())
        {
            lane.listen_for(time);
        }
    }

    /// Whether every lane has stopped by itself.
    pub fn has_stopped(&self) -> bool {
        self.lanes.iter().all(|lane| lane.film.stop.is_some())
    }

    /// Why the first lane that cannot go on cannot.
    pub fn error(&self) -> Option<&str> {
        self.lanes.iter().find_map(|lane| lane.error.as_deref())
    }

    /// Whether every lane's last answer keeps the rules; `None` where that cannot be told.
    pub fn is_right(&self) -> Option<bool> {
        let verdict = |lane: &Lane| lane.film.frames.last().and_then(|frame| frame.verdict.valid);
        let verdicts: Option<Vec<bool>> = self.lanes.iter().map(verdict).collect();
        verdicts.map(|all| all.into_iter().all(|right| right))
    }
}
