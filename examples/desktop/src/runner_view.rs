//! One model on one device, as the window sees it. A comparison has two of them.

use std::thread::JoinHandle;
use std::time::Duration;

use trm_runtime::Device;

use crate::history::{History, StopReason};
use crate::model_choice::ModelChoice;
use crate::worker::{
    Command, Event, EventKind, Job, MAX_STEPS, RunInfo, RunMode, TurnLock, Worker,
};

/// The steps of a run, until the model says how many it was trained for.
const DEFAULT_MAX_STEPS: usize = 16;

/// A model on a device, its worker thread, and what the window shows of its run.
#[derive(Debug)]
pub(crate) struct RunnerView {
    pub(crate) model: ModelChoice,
    pub(crate) device: Device,
    /// The steps of the current puzzle.
    pub(crate) history: History,
    /// The opened model and device, once the worker has reported them.
    pub(crate) info: Option<RunInfo>,
    /// Why the run cannot continue.
    pub(crate) error: Option<String>,
    /// A problem that did not end the run, such as a device that failed.
    pub(crate) note: Option<String>,
    mode: RunMode,
    /// The number of the current job. Events of earlier jobs are discarded.
    job: u64,
    loaded: bool,
    worker: Option<Worker>,
}

/// The line below a board.
#[derive(Debug)]
pub(crate) struct Caption {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// How a caption is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// No mark.
    Neutral,
    /// A tick.
    Good,
    /// A cross.
    Bad,
}

impl Caption {
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        let text = text.into();
        Self { text, tone }
    }
}

impl RunnerView {
    pub(crate) fn new(model: ModelChoice, device: Device) -> Self {
        Self {
            model,
            device,
            history: History::default(),
            info: None,
            error: None,
            note: None,
            mode: RunMode::Paused,
            job: 0,
            loaded: false,
            worker: None,
        }
    }

    /// Returns whether the worker is asked to take steps.
    pub(crate) fn is_running(&self) -> bool {
        self.mode != RunMode::Paused
    }

    /// Returns whether the puzzle has been sent to the worker.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Returns whether the worker is opening the model.
    pub(crate) fn is_loading(&self) -> bool {
        self.loaded && self.info.is_none() && self.error.is_none()
    }

    /// Returns whether the run can take another step.
    pub(crate) fn can_continue(&self) -> bool {
        self.error.is_none() && self.history.len() < MAX_STEPS
    }

    /// Returns whether the last answer keeps the rules, or `None` if that cannot be checked.
    pub(crate) fn last_valid(&self) -> Option<bool> {
        self.history.steps.last()?.verdict.valid
    }

    /// Returns the number of steps after which the run ends.
    pub(crate) fn max_steps(&self) -> usize {
        self.info
            .as_ref()
            .map_or(DEFAULT_MAX_STEPS, |info| info.max_steps)
    }

    /// Discards the run, because the puzzle, the model or the device has changed.
    pub(crate) fn reset(&mut self) {
        if self.loaded {
            self.send(Command::SetMode(RunMode::Paused));
        }
        self.mode = RunMode::Paused;
        self.job += 1;
        self.loaded = false;
        self.history = History::default();
        (self.info, self.error, self.note) = (None, None, None);
    }

    /// Sends a puzzle to the worker. Starts the worker thread if there is none.
    pub(crate) fn load(
        &mut self,
        mut job: Job,
        turn_lock: &TurnLock,
        wake: impl Fn() + Send + 'static,
    ) {
        self.reset();
        if self.worker.as_ref().is_none_or(Worker::has_ended) {
            match Worker::start(turn_lock.clone(), wake) {
                Ok(worker) => self.worker = Some(worker),
                Err(e) => {
                    self.error = Some(format!("cannot start a thread: {e}"));
                    return;
                }
            }
        }
        job.number = self.job;
        (job.model, job.device) = (self.model.clone(), self.device);
        self.history.threshold = job.threshold;
        self.loaded = true;
        self.send(Command::Load(Box::new(job)));
    }

    /// Sets how far the run continues from here.
    pub(crate) fn set_mode(&mut self, mode: RunMode) {
        if !self.loaded || (mode != RunMode::Paused && !self.can_continue()) {
            return;
        }
        self.mode = mode;
        self.send(Command::SetMode(mode));
    }

    /// Sets the minimum time between two steps.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.send(Command::SetDelay(delay));
    }

    fn send(&self, command: Command) {
        if let Some(worker) = &self.worker {
            worker.send(command);
        }
    }

    /// Applies the events that the worker has sent.
    pub(crate) fn poll(&mut self) {
        while let Some(event) = self.worker.as_ref().and_then(Worker::try_recv) {
            self.receive(event);
        }
        let has_ended = self.worker.as_ref().is_some_and(Worker::has_ended);
        if self.loaded && self.error.is_none() && has_ended {
            let error =
                "the worker thread has ended, which is a bug. Press Think to start a new one";
            self.error = Some(error.into());
            self.mode = RunMode::Paused;
        }
    }

    /// Like [`RunnerView::poll`], but waits up to `timeout` for an event.
    pub(crate) fn poll_within(&mut self, timeout: Duration) {
        let worker = self.worker.as_ref();
        if let Some(event) = worker.and_then(|worker| worker.recv_timeout(timeout)) {
            self.receive(event);
        }
        self.poll();
    }

    /// Applies an event, unless it belongs to an earlier job.
    fn receive(&mut self, event: Event) {
        if event.job == self.job && self.loaded {
            self.apply(event.kind);
        }
    }

    fn apply(&mut self, event: EventKind) {
        match event {
            EventKind::Ready(info) => self.info = Some(info),
            EventKind::Step(step, stop) => {
                self.history.steps.push(*step);
                self.history.stop = self.history.stop.or(stop);
                let halted = self.mode == RunMode::UntilHalt && self.history.stop.is_some();
                if halted || self.mode == RunMode::OneStep || self.history.len() >= MAX_STEPS {
                    self.mode = RunMode::Paused;
                }
            }
            EventKind::Restarted(note) => {
                self.note = Some(note);
                self.history.steps.clear();
                self.history.stop = None;
            }
            EventKind::Failed(error) => {
                self.error = Some(error);
                self.mode = RunMode::Paused;
            }
        }
    }

    /// Tells the worker thread to end and returns it, without waiting for the step in progress.
    pub(crate) fn into_thread(mut self) -> Option<JoinHandle<()>> {
        self.worker.take()?.into_thread()
    }

    /// Returns the caption of the board at a step. It is empty before the run starts.
    pub(crate) fn caption(&self, step: usize) -> Caption {
        if let Some(error) = &self.error {
            return Caption::new(error, Tone::Bad);
        }
        let Some(record) = self.history.step(step) else {
            let text = match (self.is_loading(), self.is_running()) {
                (true, _) => "opening the model ...",
                (_, true) => "thinking ...",
                _ => "",
            };
            return Caption::new(text, Tone::Neutral);
        };
        let ending = match self.history.stop {
            Some(StopReason::Halted(n)) if n == step => ", and the model stopped here",
            Some(StopReason::Exhausted(n)) if n == step => ", and no steps are left",
            _ => "",
        };
        let verdict = &record.verdict;
        let (finding, tone) = match (verdict.valid, verdict.shortest, verdict.reason.as_deref()) {
            (Some(true), Some(false), _) => ("a path, but not the shortest", Tone::Good),
            (Some(true), Some(true), _) => ("solved, by a shortest path", Tone::Good),
            (Some(true), None, _) => ("solved", Tone::Good),
            (Some(false), _, Some(reason)) => (reason, Tone::Bad),
            (Some(false), _, None) => ("wrong", Tone::Bad),
            (None, ..) => ("an answer that cannot be checked", Tone::Neutral),
        };
        Caption::new(format!("step {step}: {finding}{ending}"), tone)
    }
}
