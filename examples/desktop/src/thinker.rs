//! The thread that thinks: it owns the model, takes one refinement step after the other, and tells of each.
//!
//! The window sends [`Command`]s and receives [`Event`]s; neither ever waits for the other. Several thinkers share a [`Turn`], so
//! that a comparison measures each alone.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trm::{Device, HaltRule};

use crate::board::Board;
use crate::choice::ModelChoice;
use crate::film::{Frame, Stop};

mod run;

use run::Run;

/// Steps past which no run goes on: a film of them is small, and no model changes its mind that late.
pub const MAX_STEPS: usize = 1024;

/// A puzzle to think about, and with what.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which of the window's questions this is: its events carry the number back, so that those of an older one are known.
    pub number: u64,
    /// The puzzle.
    pub board: Board,
    /// The model.
    pub model: ModelChoice,
    /// The device.
    pub device: Device,
    /// Who decides that it halts.
    pub rule: HaltRule,
    /// The head says "halt" above this probability.
    pub threshold: f32,
    /// Steps after which it ends; as many as the model was trained for unless told.
    pub max_steps: Option<usize>,
}

/// How far to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Not at all.
    Pause,
    /// One step.
    One,
    /// Until the policy halts, or the last step.
    Halt,
    /// Past the halt, until told otherwise or [`MAX_STEPS`].
    On,
}

/// What a thinker is told.
#[derive(Debug)]
pub enum Command {
    /// Puts a puzzle in, in its initial state, and waits.
    Load(Box<Job>),
    /// How far to think.
    Go(Pace),
    /// The least time between two steps.
    Delay(Duration),
}

/// What a thinker tells, of the job with this number.
#[derive(Debug)]
pub struct Event {
    /// [`Job::number`].
    pub job: u64,
    /// What happened.
    pub what: Happened,
}

/// What happened.
#[derive(Debug)]
pub enum Happened {
    /// The model is on its device and the puzzle is in.
    Ready(Ready),
    /// A step was taken; with why the run stopped by itself, if it did after this step. It can be told to go on.
    Step(Box<Frame>, Option<Stop>),
    /// The device failed; the CPU starts again from step 1.
    Restarted(String),
    /// It cannot be done, for this reason.
    Failed(String),
}

/// What runs, and where.
#[derive(Debug, Clone)]
pub struct Ready {
    /// What runs: `cpu avx2 (x86_64, 8 threads)`, `gpu`.
    pub device: String,
    /// Why there.
    pub reason: String,
    /// The model's parts, for people.
    pub model: String,
    /// Steps that it was trained for, or the last that was asked for.
    pub max_steps: usize,
    /// Time to open the model and bring it to the device.
    pub load_time: Duration,
}

/// Whoever steps holds it.
pub type Turn = Arc<Mutex<()>>;

/// A handle on the thread. Dropping it ends the thread after the step in flight.
#[derive(Debug)]
pub struct Thinker {
    commands: Option<Sender<Command>>,
    events: Receiver<Event>,
    thread: Option<JoinHandle<()>>,
}

impl Thinker {
    /// Starts the thread. `wake` is called after every event, from that thread: it asks the window to look.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(turn: Turn, wake: impl Fn() + Send + 'static) -> std::io::Result<Thinker> {
        let (commands, receiver) = channel();
        let (sender, events) = channel();
        let work = move || Worker::new(turn, sender, Box::new(wake)).obey(&receiver);
        let thread = std::thread::Builder::new().name("thinker".into()).spawn(work)?;
        Ok(Thinker {
            commands: Some(commands),
            events,
            thread: Some(thread),
        })
    }

    /// Tells the thread something; it looks after the step in flight.
    pub fn tell(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // A thread that has ended by a panic hears nothing; `next` says so.
            let _ = commands.send(command);
        }
    }

    /// The next event, without waiting.
    pub fn next(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// The next event; `None` after this time.
    pub fn wait(&self, time: Duration) -> Option<Event> {
        self.events.recv_timeout(time).ok()
    }

    /// Ends the thread after the step in flight, without waiting for that; whoever joins it waits.
    pub fn leave(mut self) -> Option<JoinHandle<()>> {
        self.commands = None;
        self.thread.take()
    }

    /// Whether the thread has ended, which only a panic does before the handle is dropped.
    pub fn is_dead(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Thinker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic has told its story already.
            let _ = thread.join();
        }
    }
}

/// What the thread knows.
struct Worker {
    turn: Turn,
    events: Sender<Event>,
    wake: Box<dyn Fn() + Send>,
    run: Option<Run>,
    pace: Pace,
    delay: Duration,
}

impl Worker {
    fn new(turn: Turn, events: Sender<Event>, wake: Box<dyn Fn() + Send>) -> Worker {
        Worker {
            turn,
            events,
            wake,
            run: None,
            pace: Pace::Pause,
            delay: Duration::ZERO,
        }
    }

    /// Until the handle is dropped.
    fn obey(mut self, commands: &Receiver<Command>) {
        use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
        let mut next = Instant::now();
        loop {
            let command = if self.pace == Pace::Pause {
                commands.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                let rest = next.saturating_duration_since(Instant::now());
                commands.recv_timeout(rest).map_err(|e| match e {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                })
            };
            match command {
                Ok(Command::Load(job)) => self.load(*job),
                Ok(Command::Go(pace)) => self.pace = pace,
                Ok(Command::Delay(delay)) => {
                    // A shorter delay is felt at once.
                    next = next.min(Instant::now() + delay);
                    self.delay = delay;
                }
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    next = Instant::now() + self.delay;
                    self.step();
                }
            }
        }
    }

    fn load(&mut self, job: Job) {
        self.pace = Pace::Pause;
        let number = job.number;
        // The solver of the run before is taken over where model and device are the same.
        let before = self.run.take();
        match Run::new(job, before) {
            Ok((run, ready, note)) => {
                self.run = Some(run);
                if let Some(note) = note {
                    self.tell(number, Happened::Restarted(note));
                }
                self.tell(number, Happened::Ready(ready));
            }
            Err(e) => self.tell(number, Happened::Failed(e)),
        }
    }

    fn step(&mut self) {
        let Some(run) = &mut self.run else {
            self.pace = Pace::Pause;
            return;
        };
        let number = run.number();
        if run.steps() >= MAX_STEPS {
            self.pace = Pace::Pause;
            return;
        }
        // Poisoned only by a panic of another thinker, whose turn is over then.
        let turn = self.turn.lock().unwrap_or_else(|e| e.into_inner());
        let stepped = run.step();
        drop(turn);
        match stepped {
            Ok(frame) => {
                let last = frame.step >= run.max_steps();
                let stop = match (frame.halts, last) {
                    (true, _) => Some(Stop::Halted(frame.step)),
                    (false, true) => Some(Stop::Exhausted(frame.step)),
                    (false, false) => None,
                };
                let first = run.note_stop(stop);
                if self.pace == Pace::One || (self.pace == Pace::Halt && stop.is_some()) {
                    self.pace = Pace::Pause;
                }
                self.tell(number, Happened::Step(Box::new(frame), first));
            }
            Err(e) => match run.onto_the_cpu(&e) {
                Ok(ready) => {
                    self.tell(
                        number,
                        Happened::Restarted(format!("{e}; starting again on the CPU")),
                    );
                    self.tell(number, Happened::Ready(ready));
                }
                Err(e) => {
                    self.pace = Pace::Pause;
                    self.run = None;
                    self.tell(number, Happened::Failed(e.to_string()));
                }
            },
        }
    }

    fn tell(&self, job: u64, what: Happened) {
        // Nobody listens any more while the window closes.
        let _ = self.events.send(Event { job, what });
        (self.wake)();
    }
}
