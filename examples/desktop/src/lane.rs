//! One model on one device, thinking about the window's puzzle. A comparison has two lanes.

use std::time::Duration;

use trm::Device;

use crate::choice::ModelChoice;
use crate::film::{Film, Stop};
use crate::thinker::{Command, Event, Happened, Job, MAX_STEPS, Pace, Ready, Thinker, Turn};

/// A lane, and all that the window shows of it.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) model: ModelChoice,
    pub(crate) device: Device,
    /// What it has thought about the puzzle so far.
    pub(crate) film: Film,
    /// What runs, once it is known.
    pub(crate) ready: Option<Ready>,
    /// Why it cannot go on.
    pub(crate) error: Option<String>,
    /// What else happened: a device that failed.
    pub(crate) note: Option<String>,
    pace: Pace,
    /// The job that was loaded last; events of older ones are late.
    job: u64,
    loaded: bool,
    thinker: Option<Thinker>,
}

impl Lane {
    pub(crate) fn new(model: ModelChoice, device: Device) -> Lane {
        Lane {
            model,
            device,
            film: Film::default(),
            ready: None,
            error: None,
            note: None,
            pace: Pace::Pause,
            job: 0,
            loaded: false,
            thinker: None,
        }
    }

    /// Whether steps are on their way.
    pub(crate) fn is_thinking(&self) -> bool {
        self.pace != Pace::Pause
    }

    /// Whether the puzzle is in the model, or on its way there.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether the model is being opened.
    pub(crate) fn is_loading(&self) -> bool {
        self.loaded && self.ready.is_none() && self.error.is_none()
    }

    /// Whether it thinks, or could.
    pub(crate) fn can_go_on(&self) -> bool {
        self.error.is_none() && self.film.len() < MAX_STEPS
    }

    /// Steps that it may take before it ends, as far as that is known.
    pub(crate) fn max_steps(&self) -> usize {
        self.ready.as_ref().map_or(16, |ready| ready.max_steps)
    }

    /// Forgets what it thought; the puzzle has changed.
    pub(crate) fn forget(&mut self) {
        if self.loaded {
            self.tell(Command::Go(Pace::Pause));
        }
        self.pace = Pace::Pause;
        self.job += 1;
        self.loaded = false;
        self.film = Film::default();
        (self.ready, self.error, self.note) = (None, None, None);
    }

    /// Puts a puzzle in. The thread is started at the first.
    pub(crate) fn load(&mut self, mut job: Job, turn: &Turn, wake: impl Fn() + Send + 'static) {
        self.forget();
        if self.thinker.as_ref().is_none_or(Thinker::is_dead) {
            match Thinker::start(turn.clone(), wake) {
                Ok(thinker) => self.thinker = Some(thinker),
                Err(e) => {
                    self.error = Some(format!("the system gives no thread: {e}"));
                    return;
                }
            }
        }
        job.number = self.job;
        (job.model, job.device) = (self.model.clone(), self.device);
        self.film.threshold = job.threshold;
        self.loaded = true;
        self.tell(Command::Load(Box::new(job)));
    }

    /// How far to think, from now on.
    pub(crate) fn go(&mut self, pace: Pace) {
        if !self.loaded || (pace != Pace::Pause && !self.can_go_on()) {
            return;
        }
        self.pace = pace;
        self.tell(Command::Go(pace));
    }

    /// The least time between two steps.
    pub(crate) fn delay(&self, delay: Duration) {
        self.tell(Command::Delay(delay));
    }

    fn tell(&self, command: Command) {
        if let Some(thinker) = &self.thinker {
            thinker.tell(command);
        }
    }

    /// Takes in what the thread has told.
    pub(crate) fn listen(&mut self) {
        while let Some(event) = self.thinker.as_ref().and_then(Thinker::next) {
            self.hear(event);
        }
        if self.loaded && self.error.is_none() && self.thinker.as_ref().is_some_and(Thinker::is_dead) {
            self.error =
                Some("the thread that thinks has ended; this is a bug. Think again to start another".into());
            self.pace = Pace::Pause;
        }
    }

    /// As [`Lane::listen`], but waits for an event, not longer than this.
    pub(crate) fn listen_for(&mut self, time: Duration) {
        if let Some(event) = self.thinker.as_ref().and_then(|thinker| thinker.wait(time)) {
            self.hear(event);
        }
        self.listen();
    }

    /// What is told of an older puzzle comes late.
    fn hear(&mut self, event: Event) {
        if event.job == self.job && self.loaded {
            self.take(event.what);
        }
    }

    fn take(&mut self, what: Happened) {
        match what {
            Happened::Ready(ready) => self.ready = Some(ready),
            Happened::Step(frame, stop) => {
                self.film.frames.push(*frame);
                self.film.stop = self.film.stop.or(stop);
                let halted = self.pace == Pace::Halt && self.film.stop.is_some();
                if halted || self.pace == Pace::One || self.film.len() >= MAX_STEPS {
                    self.pace = Pace::Pause;
                }
            }
            Happened::Restarted(note) => {
                self.note = Some(note);
                self.film.frames.clear();
                self.film.stop = None;
            }
            Happened::Failed(error) => {
                self.error = Some(error);
                self.pace = Pace::Pause;
            }
        }
    }

    /// Ends its thread, without waiting for the step in flight.
    pub(crate) fn leave(mut self) -> Option<std::thread::JoinHandle<()>> {
        self.thinker.take()?.leave()
    }

    /// How it stands after a step, in words, and whether that is good (`None`: neither).
    pub(crate) fn verdict(&self, step: usize) -> (String, Option<bool>) {
        if let Some(error) = &self.error {
            return (error.clone(), Some(false));
        }
        let Some(frame) = self.film.frame(step) else {
            let text = match (self.is_loading(), self.is_thinking()) {
                (true, _) => "opening the model ...",
                (_, true) => "thinking ...",
                _ => "",
            };
            return (text.into(), None);
        };
        let ended = match self.film.stop {
            Some(Stop::Halted(n)) if n == step => ", and the model stopped here",
            Some(Stop::Exhausted(n)) if n == step => ", and no step was left",
            _ => "",
        };
        let verdict = &frame.verdict;
        let (said, good) = match (verdict.valid, &verdict.why) {
            (Some(true), _) if verdict.shortest == Some(false) => {
                ("a way, but not the shortest".into(), Some(true))
            }
            (Some(true), _) if verdict.shortest == Some(true) => {
                ("solved, by a shortest way".into(), Some(true))
            }
            (Some(true), _) => ("solved".into(), Some(true)),
            (Some(false), Some(why)) => (why.clone(), Some(false)),
            (Some(false), None) => ("wrong".into(), Some(false)),
            (None, _) => ("an answer; only its author knows if it is right".into(), None),
        };
        (format!("step {step}: {said}{ended}"), good)
    }
}
