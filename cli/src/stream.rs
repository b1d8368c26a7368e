//! Runs a stream of puzzles in sessions.
//!
//! Free slots of the batch are refilled from the input (continuous batching). Memory stays constant
//! however long the input is.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use trm_runtime::task::{EncodedPuzzle, Task};
use trm_runtime::{Answer, Error, ErrorKind, PuzzleStep, Session};

use crate::input::{Next, NumberedRecord, RecordReader};
use crate::interrupt::Interrupt;
use crate::models::LoadedModel;
use crate::output::CommandError;

/// How long an idle program waits for a record before it checks for Ctrl-C again.
const IDLE_WAIT: Duration = Duration::from_millis(50);
/// How long the first puzzle of a session waits for others that fill the batch.
const BATCH_FILL_WAIT: Duration = Duration::from_millis(20);

/// A puzzle that is ready to run.
pub(crate) struct PreparedPuzzle {
    /// The model that solves it.
    pub(crate) model: Rc<LoadedModel>,
    /// The puzzle as tokens.
    pub(crate) puzzle: EncodedPuzzle,
    /// The task that it belongs to.
    pub(crate) task: Arc<dyn Task>,
}

/// The callbacks of a command that runs a stream of puzzles.
///
/// The argument `prepared` counts the puzzles that [`RecordHandler::prepare`] returned, from 0.
pub(crate) trait RecordHandler {
    /// Returns whether the command accepts another record.
    fn has_room(&self) -> bool;

    /// Called when a session starts. `alone`: its first puzzle is the last of the input.
    fn begin(&mut self, alone: bool);

    /// Prepares a record to run. Returns `None` if it cannot run; the command has then reported the
    /// error.
    fn prepare(&mut self, record: NumberedRecord) -> Result<Option<PreparedPuzzle>, CommandError>;

    /// Returns whether [`RecordHandler::step`] should be called. Without it, a GPU can run ahead.
    fn wants_steps(&self) -> bool {
        false
    }

    /// Receives a refinement step of a puzzle. Called only if [`RecordHandler::wants_steps`].
    fn step(&mut self, prepared: usize, step: &PuzzleStep) -> Result<(), CommandError> {
        let _ = (prepared, step);
        Ok(())
    }

    /// Receives the answer of a puzzle.
    fn end(&mut self, prepared: usize, answer: Answer) -> Result<(), CommandError>;

    /// Receives the error of a puzzle that ended without an answer. The others go on.
    fn fail(&mut self, prepared: usize, error: Error) -> Result<(), CommandError>;

    /// Called between steps, to show progress.
    fn tick(&mut self);
}

/// Runs all puzzles of the input. Returns whether Ctrl-C stopped it.
pub(crate) fn run(
    handler: &mut dyn RecordHandler,
    reader: &mut RecordReader,
    batch: usize,
    interrupt: &Interrupt,
) -> Result<bool, CommandError> {
    let mut active: Option<ActiveSession> = None;
    // A puzzle that does not fit the active session.
    let mut waiting: Option<PreparedPuzzle> = None;
    let mut started = 0;
    loop {
        let unfinished = |active: &ActiveSession| active.session.unfinished() > 0;
        let asked = interrupt.asked.is_cancelled();
        if interrupt.now.is_cancelled() || (asked && !active.as_ref().is_some_and(unfinished)) {
            return Ok(true);
        }
        let mut ended = false;
        while !interrupt.asked.is_cancelled()
            && handler.has_room()
            && active.as_ref().is_none_or(|a| a.session.free_slots() > 0)
        {
            let idle = active.as_ref().is_none_or(|a| a.session.unfinished() == 0);
            let prepared = match waiting.take() {
                Some(prepared) => prepared,
                None => match reader.next(if idle { IDLE_WAIT } else { Duration::ZERO }) {
                    Next::Record(record) => match handler.prepare(*record)? {
                        Some(prepared) => prepared,
                        None => continue,
                    },
                    Next::NotYet => break,
                    Next::End => {
                        ended = idle;
                        break;
                    }
                },
            };
            match &mut active {
                Some(current) if current.fits(&prepared) => current.push(prepared)?,
                // Another model or size: the active session ends first.
                Some(current) if current.session.unfinished() > 0 => {
                    waiting = Some(prepared);
                    break;
                }
                _ => {
                    let ahead = reader.look_ahead(batch.max(2) - 1, BATCH_FILL_WAIT);
                    handler.begin(ahead == 0);
                    let slots = batch.min((ahead + 1) * prepared.model.starts);
                    let mut next = ActiveSession::begin(&prepared, slots, started)?;
                    next.push(prepared)?;
                    active = Some(next);
                }
            }
            started += 1;
        }
        if ended {
            return Ok(false);
        }
        if let Some(current) = &mut active {
            match current.step(handler) {
                Ok(answers) => {
                    for answer in answers {
                        handler.end(current.first + answer.index, answer)?;
                    }
                }
                Err(CommandError::Run(e)) if e.kind() == ErrorKind::Cancelled => return Ok(true),
                Err(CommandError::Run(e)) => match e.puzzle_index() {
                    Some(index) => handler.fail(current.first + index, e)?,
                    None => return Err(e.into()),
                },
                Err(e) => return Err(e),
            }
        }
        handler.tick();
    }
}

/// A session, and what its puzzles have in common.
struct ActiveSession {
    session: Session,
    model: Rc<LoadedModel>,
    /// S.
    tokens: usize,
    /// Index of the first puzzle of the session among all prepared puzzles.
    first: usize,
}

impl ActiveSession {
    fn begin(prepared: &PreparedPuzzle, slots: usize, first: usize) -> Result<Self, CommandError> {
        let tokens = prepared.puzzle.tokens.len();
        let session = prepared.model.solver.empty_session(tokens, slots)?;
        Ok(Self {
            session,
            model: prepared.model.clone(),
            tokens,
            first,
        })
    }

    fn fits(&self, prepared: &PreparedPuzzle) -> bool {
        Rc::ptr_eq(&self.model, &prepared.model) && self.tokens == prepared.puzzle.tokens.len()
    }

    /// Runs a step. Returns the answers of the puzzles that finished.
    fn step(&mut self, handler: &mut dyn RecordHandler) -> Result<Vec<Answer>, CommandError> {
        if !handler.wants_steps() {
            return Ok(self.session.next_answers()?.unwrap_or_default());
        }
        let mut answers = Vec::new();
        for mut puzzle in self
            .session
            .next_step()?
            .into_iter()
            .flat_map(|step| step.puzzles)
        {
            let outcome = puzzle.outcome.take();
            handler.step(self.first + puzzle.index, &puzzle)?;
            answers.extend(outcome);
        }
        Ok(answers)
    }

    fn push(&mut self, prepared: PreparedPuzzle) -> Result<(), CommandError> {
        self.session.push(prepared.puzzle, prepared.task)?;
        Ok(())
    }
}
