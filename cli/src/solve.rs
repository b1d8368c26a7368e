//! The default action: puzzles in, answers out, in the order of the input unless told.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::rc::Rc;
use std::time::{Duration, Instant};

use trm_runtime::task::Id;
use trm_runtime::{Answer, Error, MultiStart, PuzzleStep};

use crate::args::{Shared, SolveArgs};
use crate::input::{Body, Intake, Item, located};
use crate::interrupt::Interrupt;
use crate::live::{Live, Terminal, fits};
use crate::models::{self, Models, Opened, duration};
use crate::output::{Done, Failure, StatusLine, print, printable, say};
use crate::render::{self, Scene};
use crate::report::{self, Totals};
use crate::stream::{self, Desk, Work};

/// Answers that may wait for one before them.
const OUT_OF_ORDER: usize = 1024;

/// Seconds for which `--until-valid` tries unless told.
const UNTIL_VALID: u64 = 60;

/// Runs the command.
pub(crate) fn run(
    shared: &Shared,
    args: SolveArgs,
    interrupt: &Interrupt,
) -> Result<Done, Failure> {
    let mut multi_start = MultiStart::new(args.effort).with_seed(shared.seed);
    if args.until_valid {
        let seconds = args.timeout.unwrap_or(UNTIL_VALID);
        multi_start = multi_start.with_until_valid(Duration::from_secs(seconds));
    }
    let models = Models::new(shared, multi_start, interrupt.now.clone())?;
    let mut intake = Intake::start(args.puzzles, None);
    let mut solve = Solve::new(shared, args.steps, args.unordered, models);
    let interrupted = stream::run(&mut solve, &mut intake, models::batch(shared), interrupt)?;
    solve.finish(interrupted)
}

/// A record from its reading to its output.
struct Place {
    id: Id,
    line: Option<u64>,
    model: Option<Rc<Opened>>,
    scene: Option<Scene>,
    /// Columns of the grid.
    cols: usize,
    max_steps: usize,
    steps: Vec<String>,
    end: Option<Result<Answer, Error>>,
}

/// The command at work.
struct Solve<'a> {
    shared: &'a Shared,
    models: Models<'a>,
    with_steps: bool,
    terminal: Terminal,
    /// The input is one puzzle.
    single: bool,
    live: Option<Live>,
    started: Instant,
    totals: Totals,
    device: Option<&'static str>,
    first_error: Option<String>,
    /// `--unordered`.
    unordered: bool,
    /// Records from the first that has not been put out, in order; those put out before their turn are `None`.
    places: VecDeque<Option<Place>>,
    /// How many came before `places`.
    done: usize,
    /// For each work at hand the number of its record.
    works: VecDeque<usize>,
    first_work: usize,
    status: Option<StatusLine>,
    told: Instant,
}

impl<'a> Solve<'a> {
    fn new(shared: &'a Shared, with_steps: bool, unordered: bool, models: Models<'a>) -> Solve<'a> {
        let terminal = Terminal::of_stdout(shared.color);
        let tells = !terminal.there && !shared.quiet && std::io::stderr().is_terminal();
        Solve {
            shared,
            models,
            with_steps,
            terminal,
            single: false,
            live: None,
            started: Instant::now(),
            totals: Totals::default(),
            device: None,
            first_error: None,
            unordered,
            places: VecDeque::new(),
            done: 0,
            works: VecDeque::new(),
            first_work: 0,
            status: tells.then(StatusLine::default),
            told: Instant::now(),
        }
    }

    /// The record's puzzle, encoded for the model that fits it.
    fn encode(&mut self, item: Item) -> (Place, Result<Work, Error>) {
        let mut place = Place {
            id: item.id.unwrap_or(Id::Number(item.number)),
            line: item.line,
            model: None,
            scene: None,
            cols: 1,
            max_steps: 0,
            steps: Vec::new(),
            end: None,
        };
        let work = item.body.and_then(|body| {
            self.work(body, &mut place)
                .map_err(|e| located(e, &item.file, item.line, &place.id))
        });
        (place, work)
    }

    fn work(&mut self, body: Body, place: &mut Place) -> Result<Work, Error> {
        let model = self.models.for_record(&body)?;
        let (mut problem, task) = model.encode(body)?;
        problem.id = place.id.clone();
        place.model = Some(model.clone());
        place.max_steps = model.solver.policy().max_steps;
        place.cols = render::columns(task.name(), &problem);
        if !self.shared.json && (self.terminal.there || self.terminal.colour) {
            let box_shape = model.box_for(problem.rows);
            place.scene = Some(Scene::new(
                task.name(),
                &problem,
                box_shape,
                self.terminal.colour,
            ));
        }
        self.device = self.device.or(Some(model.device));
        Ok(Work {
            model,
            problem,
            task,
        })
    }

    /// Puts out what may be now that the place at `changed` has changed: everything up to the first that has not ended, or that place alone.
    fn put_out(&mut self, changed: usize) -> Result<(), Failure> {
        let at = if self.unordered { changed } else { 0 };
        while let Some(Some(place)) = self.places.get_mut(at) {
            for line in place.steps.drain(..) {
                print(line)?;
            }
            let Some(place) = self.places[at].take_if(|place| place.end.is_some()) else {
                break;
            };
            while self.places.pop_front_if(|place| place.is_none()).is_some() {
                self.done += 1;
            }
            match &place.end {
                Some(Ok(answer)) => self.put_answer(&place, answer)?,
                Some(Err(error)) => self.put_error(&place, error)?,
                None => {}
            }
            if self.unordered {
                break;
            }
        }
        Ok(())
    }

    fn put_answer(&mut self, place: &Place, answer: &Answer) -> Result<(), Failure> {
        self.totals.add(answer);
        self.device = Some(answer.device);
        if let Some(status) = &mut self.status {
            status.clear();
        }
        if self.shared.json {
            return Ok(print(report::answer(&place.id, answer))?);
        }
        let tokens = render::Frame {
            tokens: &answer.tokens,
            cells: &answer.cells,
            changed: &[],
        };
        let frame = place.scene.as_ref().map(|scene| scene.frame(tokens));
        match (self.live.take(), frame) {
            (Some(live), Some(frame)) => {
                live.show(frame);
                live.finish()?;
            }
            (_, frame) => {
                if self.totals.puzzles > 1 {
                    print("")?;
                }
                if self.terminal.there && !self.single {
                    print(printable(&place.id.to_string()))?;
                }
                print(frame.map_or_else(
                    || render::plain(&answer.cells, place.cols),
                    |lines| lines.join("\n"),
                ))?;
            }
        }
        // Of a stream into a file only what went wrong is told one by one.
        let wrong = answer.valid == Some(false) || answer.correct == Some(false);
        if !self.shared.quiet && (self.single || self.terminal.there || wrong) {
            self.explain(place, answer);
        }
        Ok(())
    }

    fn explain(&self, place: &Place, answer: &Answer) {
        let verdict = match answer.valid {
            Some(true) if answer.shortest == Some(false) => "solved, not by a shortest path,",
            Some(true) => "solved",
            Some(false) => "not solved",
            None if answer.correct == Some(true) => "right",
            None if answer.correct == Some(false) => "wrong",
            None => "answered",
        };
        let name = if self.single {
            String::new()
        } else {
            format!("{}: ", place.id)
        };
        let steps = if answer.steps == 1 { "step" } else { "steps" };
        let by = place.model.as_ref().map_or_else(String::new, |model| {
            format!(" ({}, {})", model.name, model.on(answer.device))
        });
        say(format_args!(
            "{name}{verdict} in {} {steps}, {}, halt {:.2}{by}",
            answer.steps,
            duration(answer.time),
            answer.halt_probability,
        ));
        if let (Some(false), Some(why)) = (answer.valid, &answer.reason) {
            say(format_args!("{name}{why}"));
        }
    }

    fn put_error(&mut self, place: &Place, error: &Error) -> Result<(), Failure> {
        self.totals.errors += 1;
        if let Some(status) = &mut self.status {
            status.clear();
        }
        let text = error.to_string();
        if self.shared.json {
            print(report::error(&place.id, place.line, error))?;
        } else {
            say(format_args!("error: {text}"));
        }
        self.first_error.get_or_insert(text);
        Ok(())
    }

    fn finish(mut self, interrupted: bool) -> Result<Done, Failure> {
        if let Some(status) = &mut self.status {
            status.clear();
        }
        if let Some(live) = self.live.take() {
            live.finish()?;
        }
        let time = self.started.elapsed();
        if self.shared.json {
            print(report::summary(&self.totals, time, self.device))?;
        } else if interrupted || (!self.shared.quiet && self.done > 1) {
            self.sum_up(time, interrupted);
        }
        Ok(match (interrupted, &self.first_error) {
            (true, _) => Done::Interrupted,
            (_, None) if self.totals.puzzles == 0 => {
                say(format_args!("error: the input is empty"));
                Done::Nothing
            }
            (_, Some(error)) if self.totals.puzzles == 0 => {
                if self.shared.json {
                    say(format_args!("error: {error}"));
                }
                Done::Nothing
            }
            _ if self.totals.errors > 0 || self.totals.invalid > 0 => Done::Wrong,
            _ => Done::Well,
        })
    }

    fn sum_up(&self, time: Duration, interrupted: bool) {
        let Totals {
            puzzles,
            valid,
            invalid,
            errors,
            ..
        } = self.totals;
        let mut text = if interrupted {
            "stopped: ".to_string()
        } else {
            String::new()
        };
        text += &match valid + invalid {
            0 => format!("{puzzles} answered"),
            known if known == puzzles => format!("{valid} of {puzzles} solved"),
            known => format!("{valid} of {known} solved, {} answered", puzzles - known),
        };
        if errors > 0 {
            text += &format!(", {errors} in error");
        }
        if let Some(steps) = self.totals.mean_steps() {
            text += &format!(", {steps:.2} steps on average");
        }
        say(format_args!("{text}, {}", duration(time)));
    }

    /// Whether a person watches the puzzle change.
    fn shows(&self) -> bool {
        self.single && self.terminal.there && self.terminal.redraws && !self.shared.json
    }

    /// The record of a work, among those that have not been put out.
    fn index(&self, work: usize) -> Option<usize> {
        let number = *self.works.get(work.checked_sub(self.first_work)?)?;
        number.checked_sub(self.done)
    }

    fn show(&mut self, index: usize, step: &PuzzleStep) {
        let Some(Some(place)) = self.places.get(index) else {
            return;
        };
        let Some(scene) = &place.scene else { return };
        let answer = render::Frame {
            tokens: &step.tokens,
            cells: &step.cells,
            changed: &step.changed,
        };
        let mut frame = scene.frame(answer);
        frame.push(format!(
            "step {}/{}  halt {:.2}",
            step.step, place.max_steps, step.halt_probability
        ));
        if step.step == 1 && fits(&frame) {
            self.live = Some(Live::start());
        }
        if let Some(live) = &self.live {
            live.show(frame);
        }
    }
}

impl Desk for Solve<'_> {
    fn has_room(&self) -> bool {
        self.places.len() < OUT_OF_ORDER
    }

    fn begin(&mut self, alone: bool) {
        self.single = alone && self.done + self.places.len() == 1;
    }

    fn prepare(&mut self, item: Item) -> Result<Option<Work>, Failure> {
        let (mut place, work) = self.encode(item);
        let number = self.done + self.places.len();
        let work = match work {
            Ok(work) => {
                self.works.push_back(number);
                Some(work)
            }
            Err(e) => {
                place.end = Some(Err(e));
                None
            }
        };
        self.places.push_back(Some(place));
        self.put_out(self.places.len() - 1)?;
        Ok(work)
    }

    fn watches(&self) -> bool {
        self.shows() || (self.shared.json && self.with_steps)
    }

    fn step(&mut self, work: usize, step: &PuzzleStep) -> Result<(), Failure> {
        let Some(index) = self.index(work) else {
            return Ok(());
        };
        if self.shows() {
            self.show(index, step);
        }
        if let Some(Some(place)) = self.places.get_mut(index)
            && self.shared.json
            && self.with_steps
        {
            place.steps.push(report::step(&place.id, step).to_string());
        }
        self.put_out(index)
    }

    fn end(&mut self, work: usize, answer: Answer) -> Result<(), Failure> {
        if let Some(index) = self.index(work)
            && let Some(Some(place)) = self.places.get_mut(index)
        {
            place.end = Some(Ok(answer));
            self.put_out(index)?;
        }
        while self.works.front().is_some_and(|number| *number < self.done) {
            self.works.pop_front();
            self.first_work += 1;
        }
        Ok(())
    }

    fn tick(&mut self) {
        let Some(status) = &mut self.status else {
            return;
        };
        if self.started.elapsed() > Duration::from_secs(1)
            && self.told.elapsed() > Duration::from_millis(200)
        {
            self.told = Instant::now();
            let puzzles = self.totals.puzzles;
            let speed = puzzles as f64 / self.started.elapsed().as_secs_f64();
            status.show(&format!(
                "{puzzles} answered, {} at work, {speed:.1} a second",
                self.places.iter().flatten().count()
            ));
        }
    }
}
