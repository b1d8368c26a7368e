//! Puzzles through sessions: keeps the places of a batch filled while memory stays the same, however long the input is.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use trm_runtime::task::{EncodedPuzzle, Task};
use trm_runtime::{Answer, ErrorKind, PuzzleStep, Session};

use crate::input::{Intake, Item, Next};
use crate::interrupt::Interrupt;
use crate::models::Opened;
use crate::output::Failure;

/// How long a program without work sleeps before it looks for Ctrl-C again.
const IDLE: Duration = Duration::from_millis(50);
/// How long the first puzzle waits for others to fill the batch with it.
const GATHER: Duration = Duration::from_millis(20);

/// A puzzle that is ready to run.
pub(crate) struct Work {
    pub(crate) model: Rc<Opened>,
    pub(crate) problem: EncodedPuzzle,
    pub(crate) task: Arc<dyn Task>,
}

/// A command that has puzzles run: what it makes of a record, and of what comes out.
pub(crate) trait Desk {
    /// Whether another record may be taken in.
    fn has_room(&self) -> bool;

    /// A session begins; `alone` if its first puzzle is the last of the input.
    fn begin(&mut self, alone: bool);

    /// Makes a record ready, under the next number from 0; `None` if it cannot be run, which has been noted.
    fn prepare(&mut self, item: Item) -> Result<Option<Work>, Failure>;

    /// Whether somebody looks at the steps of a puzzle before its last.
    fn watches(&self) -> bool {
        false
    }

    /// Notes what a step did to the `number`-th of the works that were prepared. Only for who watches.
    fn step(&mut self, number: usize, step: &PuzzleStep) -> Result<(), Failure> {
        let _ = (number, step);
        Ok(())
    }

    /// Takes the answer of the `number`-th of the works that were prepared.
    fn end(&mut self, number: usize, answer: Answer) -> Result<(), Failure>;

    /// A moment between steps, for progress.
    fn tick(&mut self);
}

/// Runs everything that comes in; whether it was interrupted.
pub(crate) fn run(
    desk: &mut dyn Desk,
    intake: &mut Intake,
    batch: usize,
    interrupt: &Interrupt,
) -> Result<bool, Failure> {
    let mut at_work: Option<AtWork> = None;
    let mut waiting: Option<Work> = None;
    let mut started = 0;
    loop {
        let unfinished = |w: &AtWork| w.session.unfinished() > 0;
        let asked = interrupt.asked.is_cancelled();
        if interrupt.now.is_cancelled() || (asked && !at_work.as_ref().is_some_and(unfinished)) {
            return Ok(true);
        }
        let mut ended = false;
        while !interrupt.asked.is_cancelled()
            && desk.has_room()
            && at_work.as_ref().is_none_or(|w| w.session.free_slots() > 0)
        {
            let idle = at_work.as_ref().is_none_or(|w| w.session.unfinished() == 0);
            let work = match waiting.take() {
                Some(work) => work,
                None => match intake.next(if idle { IDLE } else { Duration::ZERO }) {
                    Next::Item(item) => match desk.prepare(*item)? {
                        Some(work) => work,
                        None => continue,
                    },
                    Next::NotYet => break,
                    Next::End => {
                        ended = idle;
                        break;
                    }
                },
            };
            match &mut at_work {
                Some(current) if current.fits(&work) => current.push(work)?,
                // Another model or size: what is at work ends first.
                Some(current) if current.session.unfinished() > 0 => {
                    waiting = Some(work);
                    break;
                }
                _ => {
                    let ahead = intake.at_hand(batch.max(2) - 1, GATHER);
                    desk.begin(ahead == 0);
                    let places = batch.min((ahead + 1) * work.model.starts);
                    let mut next = AtWork::begin(&work, places, started)?;
                    next.push(work)?;
                    at_work = Some(next);
                }
            }
            started += 1;
        }
        if ended {
            return Ok(false);
        }
        if let Some(current) = &mut at_work {
            match current.refine(desk) {
                Ok(answers) => {
                    for answer in answers {
                        desk.end(current.first + answer.index, answer)?;
                    }
                }
                Err(Failure::Error(e)) if e.kind() == ErrorKind::Cancelled => return Ok(true),
                Err(e) => return Err(e),
            }
        }
        desk.tick();
    }
}

/// A session, and what its puzzles share.
struct AtWork {
    session: Session,
    model: Rc<Opened>,
    tokens: usize,
    /// Number of the session's first work.
    first: usize,
}

impl AtWork {
    fn begin(work: &Work, places: usize, first: usize) -> Result<AtWork, Failure> {
        let tokens = work.problem.tokens.len();
        let session = work.model.solver.empty_session(tokens, places)?;
        Ok(AtWork {
            session,
            model: work.model.clone(),
            tokens,
            first,
        })
    }

    fn fits(&self, work: &Work) -> bool {
        Rc::ptr_eq(&self.model, &work.model) && self.tokens == work.problem.tokens.len()
    }

    /// Goes on by a step; the answers of the puzzles that it ended.
    fn refine(&mut self, desk: &mut dyn Desk) -> Result<Vec<Answer>, Failure> {
        if !desk.watches() {
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
            desk.step(self.first + puzzle.index, &puzzle)?;
            answers.extend(outcome);
        }
        Ok(answers)
    }

    fn push(&mut self, work: Work) -> Result<(), Failure> {
        self.session.push(work.problem, work.task)?;
        Ok(())
    }
}
