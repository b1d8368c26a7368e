//! The worker thread: it owns the model, takes one refinement step after another, and reports each.
//!
//! The window sends [`Command`]s and receives [`Event`]s. Neither side waits for the other. The
//! workers of a comparison share a [`TurnLock`], so that the duration of each step is measured
//! while the other worker is idle.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trm_runtime::{Device, HaltRule};

use crate::board::Board;
use crate::history::{StepRecord, StopReason};
use crate::model_choice::ModelChoice;

mod puzzle_run;

use puzzle_run::PuzzleRun;

/// The maximum number of steps of a run. It bounds the memory of the history, and models have
/// settled long before.
pub const MAX_STEPS: usize = 1024;

/// A puzzle to solve, and with what.
#[derive(Debug, Clone)]
pub struct Job {
    /// The number of the job. Its events carry it, so that the window can discard events of an
    /// outdated job.
    pub number: u64,
    /// The puzzle.
    pub board: Board,
    /// The model.
    pub model: ModelChoice,
    /// The device.
    pub device: Device,
    /// When the run halts.
    pub rule: HaltRule,
    /// The halting probability above which the head says "halt".
    pub threshold: f32,
    /// The maximum number of steps. Default: the number that the model was trained for.
    pub max_steps: Option<usize>,
}

/// How far a run continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// No further step.
    Paused,
    /// One step.
    OneStep,
    /// Until the halting policy stops the run, or to its last step.
    UntilHalt,
    /// Past the halt, to [`MAX_STEPS`].
    Endless,
}

/// A command to the worker.
#[derive(Debug)]
pub enum Command {
    /// `LoadedModel` a puzzle, sets the model to its initial state, and pauses.
    Load(Box<Job>),
    /// Sets how far the run continues.
    SetMode(RunMode),
    /// Sets the minimum time between two steps.
    SetDelay(Duration),
}

/// A report of the worker.
#[derive(Debug)]
pub struct Event {
    /// The [`Job::number`] that it belongs to.
    pub job: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a job.
#[derive(Debug)]
pub enum EventKind {
    /// The model is on its device, and the puzzle is loaded.
    Ready(RunInfo),
    /// A step was taken. The reason is given if the run stopped by itself after this step, for the
    /// first time. Such a run can be continued.
    Step(Box<StepRecord>, Option<StopReason>),
    /// The device failed. The CPU repeats the run from step 1.
    Restarted(String),
    /// The job failed, for this reason.
    Failed(String),
}

/// The model and the device of a run.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// The device: `cpu avx2 (x86_64, 8 threads)`, `gpu`.
    pub device: String,
    /// Why this device was chosen.
    pub reason: String,
    /// The architecture and the size of the model.
    pub model: String,
    /// The number of steps after which the run ends.
    pub max_steps: usize,
    /// The time to open the model and to load it onto the device.
    pub load_time: Duration,
}

/// The lock that a worker holds during a step.
pub type TurnLock = Arc<Mutex<()>>;

/// A handle to the worker thread. Dropping it ends the thread after the step in progress.
#[derive(Debug)]
pub struct Worker {
    commands: Option<Sender<Command>>,
    events: Receiver<Event>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread. It calls `wake` after every event, so that the window polls.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn start(turn_lock: TurnLock, wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (commands, receiver) = channel();
        let (sender, events) = channel();
        let work = move || WorkerThread::new(turn_lock, sender, Box::new(wake)).run_loop(&receiver);
        let thread = std::thread::Builder::new()
            .name("worker".into())
            .spawn(work)?;
        Ok(Self {
            commands: Some(commands),
            events,
            thread: Some(thread),
        })
    }

    /// Sends a command. The thread handles it after the step in progress.
    pub fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // Sending fails only after a panic, which `has_ended` reports.
            let _ = commands.send(command);
        }
    }

    /// Returns the next event, without waiting.
    pub fn try_recv(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Waits up to `timeout` for the next event.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Tells the thread to end after the step in progress, and returns it without waiting.
    pub fn into_thread(mut self) -> Option<JoinHandle<()>> {
        self.commands = None;
        self.thread.take()
    }

    /// Returns whether the thread has ended. While the handle exists, only a panic ends it.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic has already printed its message.
            let _ = thread.join();
        }
    }
}

/// The state of the worker thread.
struct WorkerThread {
    turn_lock: TurnLock,
    events: Sender<Event>,
    wake: Box<dyn Fn() + Send>,
    run: Option<PuzzleRun>,
    mode: RunMode,
    delay: Duration,
}

impl WorkerThread {
    fn new(turn_lock: TurnLock, events: Sender<Event>, wake: Box<dyn Fn() + Send>) -> Self {
        Self {
            turn_lock,
            events,
            wake,
            run: None,
            mode: RunMode::Paused,
            delay: Duration::ZERO,
        }
    }

    /// Handles commands and takes steps until the handle is dropped.
    fn run_loop(mut self, commands: &Receiver<Command>) {
        let mut next_step = Instant::now();
        loop {
            let command = if self.mode == RunMode::Paused {
                commands.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                let wait = next_step.saturating_duration_since(Instant::now());
                commands.recv_timeout(wait).map_err(|e| match e {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                })
            };
            match command {
                Ok(Command::Load(job)) => self.load(*job),
                Ok(Command::SetMode(mode)) => self.mode = mode,
                Ok(Command::SetDelay(delay)) => {
                    // A shorter delay takes effect at once.
                    next_step = next_step.min(Instant::now() + delay);
                    self.delay = delay;
                }
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    next_step = Instant::now() + self.delay;
                    self.step();
                }
            }
        }
    }

    fn load(&mut self, job: Job) {
        self.mode = RunMode::Paused;
        let number = job.number;
        // The new run reuses the solver of the previous one if model and device are the same.
        let previous = self.run.take();
        match PuzzleRun::new(job, previous) {
            Ok((run, info, note)) => {
                self.run = Some(run);
                if let Some(note) = note {
                    self.send(number, EventKind::Restarted(note));
                }
                self.send(number, EventKind::Ready(info));
            }
            Err(e) => self.send(number, EventKind::Failed(e)),
        }
    }

    fn step(&mut self) {
        let Some(run) = &mut self.run else {
            self.mode = RunMode::Paused;
            return;
        };
        let number = run.number();
        if run.steps() >= MAX_STEPS {
            self.mode = RunMode::Paused;
            return;
        }
        // The lock is poisoned only if another worker panicked. It guards no data.
        let turn = self.turn_lock.lock().unwrap_or_else(|e| e.into_inner());
        let result = run.step();
        drop(turn);
        match result {
            Ok(record) => {
                let is_last = record.step >= run.max_steps();
                let stop = match (record.policy_halts, is_last) {
                    (true, _) => Some(StopReason::Halted(record.step)),
                    (false, true) => Some(StopReason::Exhausted(record.step)),
                    (false, false) => None,
                };
                let first_stop = run.record_stop(stop);
                if self.mode == RunMode::OneStep
                    || (self.mode == RunMode::UntilHalt && stop.is_some())
                {
                    self.mode = RunMode::Paused;
                }
                self.send(number, EventKind::Step(Box::new(record), first_stop));
            }
            Err(e) => match run.restart_on_cpu(&e) {
                Ok(info) => {
                    let note = format!("{e}; starting again on the CPU");
                    self.send(number, EventKind::Restarted(note));
                    self.send(number, EventKind::Ready(info));
                }
                Err(e) => {
                    self.mode = RunMode::Paused;
                    self.run = None;
                    self.send(number, EventKind::Failed(e.to_string()));
                }
            },
        }
    }

    fn send(&self, job: u64, kind: EventKind) {
        // The receiver is gone while the window closes.
        let _ = self.events.send(Event { job, kind });
        (self.wake)();
    }
}
