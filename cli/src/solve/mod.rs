//! The default command: reads puzzles and prints answers, in input order unless `--unordered`.
//!
//! Three kinds of index occur here:
//! - a *record number* counts all records of the input, from 0;
//! - a *position* is an index into [`Solve::pending`], which holds the records that are not printed
//!   yet;
//! - a *prepared index* counts the records that could be prepared, as in [`RecordHandler`].

mod live;
mod render;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trm_runtime::task::Id;
use trm_runtime::{Answer, Error, ErrorKind, MultiStart, PuzzleStep};

use crate::args::{Shared, SolveArgs};
use crate::input::{Body, NumberedRecord, RecordReader, input_files, located};
use crate::interrupt::Interrupt;
use crate::models::{LoadedModel, Models, format_duration};
use crate::output::{
    CommandError, CommandStatus, StatusLine, can_redraw, eprint_error, eprint_line, print,
    printable,
};
use crate::output_file::check_stdout_is_no_input;
use crate::report::{self, Totals};
use crate::stream::{self, PreparedPuzzle, RecordHandler};
use live::{LiveView, Terminal, fits};
use render::GridRenderer;

/// Maximum number of records that are not printed yet.
const MAX_PENDING: usize = 1024;

/// Default of `--timeout`, in seconds.
const UNTIL_VALID_SECONDS: u64 = 60;

/// Time before the progress line appears, and between its updates.
const STATUS_DELAY: Duration = Duration::from_secs(1);
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// Runs the command.
pub(crate) fn run(
    shared: &Shared,
    args: SolveArgs,
    interrupt: &Interrupt,
) -> Result<CommandStatus, CommandError> {
    let mut multi_start = MultiStart::new(args.effort).with_seed(shared.seed);
    if args.until_valid {
        let seconds = args.timeout.unwrap_or(UNTIL_VALID_SECONDS);
        multi_start = multi_start.with_until_valid(Duration::from_secs(seconds));
    }
    check_stdout_is_no_input(&input_files(&args.puzzles))?;
    let models = Models::new(shared, multi_start, interrupt.now.clone())?;
    let mut reader = RecordReader::start(args.puzzles, None)?;
    let mut solve = Solve::new(shared, args.steps, args.unordered, models);
    let interrupted = stream::run(&mut solve, &mut reader, shared.batch_size(), interrupt)?;
    solve.finish(interrupted)
}

/// A record between its reading and its output.
struct PendingRecord {
    /// Name of its file.
    file: Arc<str>,
    id: Id,
    line: Option<u64>,
    model: Option<Rc<LoadedModel>>,
    renderer: Option<GridRenderer>,
    /// Columns of the grid.
    cols: usize,
    max_steps: usize,
    /// `step` records that are not printed yet.
    steps: Vec<String>,
    /// The answer, or why there is none. `None` while the puzzle runs.
    result: Option<Result<Answer, Error>>,
}

/// The state of the command.
struct Solve<'a> {
    shared: &'a Shared,
    models: Models<'a>,
    with_steps: bool,
    terminal: Terminal,
    /// The input is a single puzzle.
    single: bool,
    live: Option<LiveView>,
    started: Instant,
    totals: Totals,
    device: Option<&'static str>,
    /// The error of the first record that could not be read or run.
    first_error: Option<Error>,
    /// `--unordered`.
    unordered: bool,
    /// The records from the first that is not printed yet. With `--unordered`, those that were
    /// printed before it are `None`.
    pending: VecDeque<Option<PendingRecord>>,
    /// Record number of `pending[0]`.
    first_pending: usize,
    /// Record numbers of the prepared puzzles, from the prepared index `first_prepared`.
    record_numbers: VecDeque<usize>,
    /// Prepared index of `record_numbers[0]`.
    first_prepared: usize,
    status: Option<StatusLine>,
    last_report: Instant,
}

impl<'a> Solve<'a> {
    fn new(shared: &'a Shared, with_steps: bool, unordered: bool, models: Models<'a>) -> Self {
        let terminal = Terminal::of_stdout(shared.color);
        let has_status = !terminal.present && !shared.quiet && can_redraw(&std::io::stderr());
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
            pending: VecDeque::new(),
            first_pending: 0,
            record_numbers: VecDeque::new(),
            first_prepared: 0,
            status: has_status.then(StatusLine::default),
            last_report: Instant::now(),
        }
    }

    /// Encodes the puzzle of a record for the model that fits it.
    fn encode(&mut self, record: NumberedRecord) -> (PendingRecord, Result<PreparedPuzzle, Error>) {
        let mut pending = PendingRecord {
            file: record.file.clone(),
            id: record.id.unwrap_or(Id::Number(record.number)),
            line: record.line,
            model: None,
            renderer: None,
            cols: 1,
            max_steps: 0,
            steps: Vec::new(),
            result: None,
        };
        let prepared = record.body.and_then(|body| {
            self.encode_body(body, &mut pending)
                .map_err(|e| match e.kind() {
                    // No puzzle can run, and this one is not to blame.
                    ErrorKind::Device => e,
                    _ => located(e, &record.file, record.line, &pending.id),
                })
        });
        (pending, prepared)
    }

    fn encode_body(
        &mut self,
        body: Body,
        pending: &mut PendingRecord,
    ) -> Result<PreparedPuzzle, Error> {
        let model = self.models.for_record(&body)?;
        let (mut puzzle, task) = model.encode(body)?;
        puzzle.id = pending.id.clone();
        pending.model = Some(model.clone());
        pending.max_steps = model.solver.policy().max_steps;
        pending.cols = render::columns(task.name(), &puzzle);
        if !self.shared.json && (self.terminal.present || self.terminal.color) {
            let box_shape = model.box_for(puzzle.rows);
            let renderer = GridRenderer::new(task.name(), &puzzle, box_shape, self.terminal.color);
            pending.renderer = Some(renderer);
        }
        self.device = self.device.or(Some(model.device));
        Ok(PreparedPuzzle {
            model,
            puzzle,
            task,
        })
    }

    /// Prints what is ready after the record at `changed` has changed: all records up to the first
    /// without a result, or with `--unordered` that record alone.
    fn flush_ready(&mut self, changed: usize) -> Result<(), CommandError> {
        let position = if self.unordered { changed } else { 0 };
        while let Some(Some(record)) = self.pending.get_mut(position) {
            for line in record.steps.drain(..) {
                print(line)?;
            }
            let entry = &mut self.pending[position];
            let Some(mut record) = entry.take_if(|record| record.result.is_some()) else {
                break;
            };
            while self
                .pending
                .pop_front_if(|record| record.is_none())
                .is_some()
            {
                self.first_pending += 1;
            }
            match record.result.take() {
                Some(Ok(answer)) => self.print_answer(&record, &answer)?,
                Some(Err(error)) => self.print_error(&record, error)?,
                None => {}
            }
            if self.unordered {
                break;
            }
        }
        Ok(())
    }

    fn print_answer(
        &mut self,
        record: &PendingRecord,
        answer: &Answer,
    ) -> Result<(), CommandError> {
        self.totals.add(answer);
        self.device = Some(answer.device);
        if let Some(status) = &mut self.status {
            status.clear();
        }
        if self.shared.json {
            return Ok(print(report::answer(&record.id, answer))?);
        }
        let frame = render::Frame {
            tokens: &answer.tokens,
            cells: &answer.cells,
            changed: &[],
        };
        let lines = record
            .renderer
            .as_ref()
            .map(|renderer| renderer.lines(frame));
        match (self.live.take(), lines) {
            (Some(live), Some(lines)) => {
                live.show(lines);
                live.finish()?;
            }
            (_, lines) => {
                if self.totals.puzzles > 1 {
                    print("")?;
                }
                if self.terminal.present && !self.single {
                    print(printable(&record.id.to_string()))?;
                }
                print(lines.map_or_else(
                    || render::plain(&answer.cells, record.cols),
                    |lines| lines.join("\n"),
                ))?;
            }
        }
        // If the output is not a terminal, explain only the wrong answers of a stream.
        let wrong = answer.valid == Some(false) || answer.correct == Some(false);
        if !self.shared.quiet && (self.single || self.terminal.present || wrong) {
            self.explain(record, answer);
        }
        Ok(())
    }

    /// Prints the line `solved in 3 steps, ...` to standard error.
    fn explain(&self, record: &PendingRecord, answer: &Answer) {
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
            format!("{}: ", record.id)
        };
        let steps = if answer.steps == 1 { "step" } else { "steps" };
        let by = record.model.as_ref().map_or_else(String::new, |model| {
            format!(" ({}, {})", model.name, model.device_label(answer.device))
        });
        eprint_line(format_args!(
            "{name}{verdict} in {} {steps}, {}, halt {:.2}{by}",
            answer.steps,
            format_duration(answer.time),
            answer.halt_probability,
        ));
        if let (Some(false), Some(reason)) = (answer.valid, &answer.reason) {
            eprint_line(format_args!("{name}{reason}"));
        }
    }

    fn print_error(&mut self, record: &PendingRecord, error: Error) -> Result<(), CommandError> {
        self.totals.errors += 1;
        if let Some(status) = &mut self.status {
            status.clear();
        }
        if self.shared.json {
            print(report::error(&record.id, record.line, &error))?;
        } else {
            eprint_error(&error);
        }
        self.first_error.get_or_insert(error);
        Ok(())
    }

    fn finish(mut self, interrupted: bool) -> Result<CommandStatus, CommandError> {
        if let Some(status) = &mut self.status {
            status.clear();
        }
        if let Some(live) = self.live.take() {
            live.finish()?;
        }
        let time = self.started.elapsed();
        if self.shared.json {
            print(report::summary(&self.totals, time, self.device))?;
        } else if interrupted || (!self.shared.quiet && self.first_pending > 1) {
            self.eprint_summary(time, interrupted);
        }
        Ok(match (interrupted, &self.first_error) {
            (true, _) => CommandStatus::Interrupted,
            (_, None) if self.totals.puzzles == 0 => {
                eprint_line(format_args!("error: the input is empty"));
                CommandStatus::NothingRan
            }
            (_, Some(error)) if self.totals.puzzles == 0 => {
                if self.shared.json {
                    eprint_error(error);
                }
                CommandStatus::NothingRan
            }
            _ if self.totals.errors > 0 || self.totals.invalid > 0 => CommandStatus::Invalid,
            _ => CommandStatus::Success,
        })
    }

    fn eprint_summary(&self, time: Duration, interrupted: bool) {
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
        eprint_line(format_args!("{text}, {}", format_duration(time)));
    }

    /// Returns whether the steps are shown on a terminal.
    fn shows_steps(&self) -> bool {
        self.single && self.terminal.present && self.terminal.redraws && !self.shared.json
    }

    /// Returns the position of a prepared puzzle, if its record is not printed yet.
    fn position(&self, prepared: usize) -> Option<usize> {
        let index = prepared.checked_sub(self.first_prepared)?;
        let record_number = *self.record_numbers.get(index)?;
        record_number.checked_sub(self.first_pending)
    }

    /// Sets the result of a prepared puzzle and prints what is ready then.
    fn set_result(
        &mut self,
        prepared: usize,
        result: impl FnOnce(&PendingRecord) -> Result<Answer, Error>,
    ) -> Result<(), CommandError> {
        if let Some(position) = self.position(prepared)
            && let Some(Some(record)) = self.pending.get_mut(position)
        {
            record.result = Some(result(record));
            self.flush_ready(position)?;
        }
        let printed = self.first_pending;
        while self
            .record_numbers
            .front()
            .is_some_and(|number| *number < printed)
        {
            self.record_numbers.pop_front();
            self.first_prepared += 1;
        }
        Ok(())
    }

    fn show_step(&mut self, position: usize, step: &PuzzleStep) {
        let Some(Some(record)) = self.pending.get(position) else {
            return;
        };
        let Some(renderer) = &record.renderer else {
            return;
        };
        let mut lines = renderer.lines(render::Frame {
            tokens: &step.tokens,
            cells: &step.cells,
            changed: &step.changed,
        });
        lines.push(format!(
            "step {}/{}  halt {:.2}",
            step.step, record.max_steps, step.halt_probability
        ));
        if step.step == 1 && fits(&lines) {
            self.live = LiveView::start();
        }
        if let Some(live) = &self.live {
            live.show(lines);
        }
    }
}

impl RecordHandler for Solve<'_> {
    fn has_room(&self) -> bool {
        self.pending.len() < MAX_PENDING
    }

    fn begin(&mut self, alone: bool) {
        self.single = alone && self.first_pending + self.pending.len() == 1;
    }

    fn prepare(&mut self, record: NumberedRecord) -> Result<Option<PreparedPuzzle>, CommandError> {
        let (mut pending, prepared) = self.encode(record);
        let record_number = self.first_pending + self.pending.len();
        let prepared = match prepared {
            Ok(prepared) => {
                self.record_numbers.push_back(record_number);
                Some(prepared)
            }
            Err(e) if e.kind() == ErrorKind::Device => return Err(e.into()),
            Err(e) => {
                pending.result = Some(Err(e));
                None
            }
        };
        self.pending.push_back(Some(pending));
        self.flush_ready(self.pending.len() - 1)?;
        Ok(prepared)
    }

    fn wants_steps(&self) -> bool {
        self.shows_steps() || (self.shared.json && self.with_steps)
    }

    fn step(&mut self, prepared: usize, step: &PuzzleStep) -> Result<(), CommandError> {
        let Some(position) = self.position(prepared) else {
            return Ok(());
        };
        if self.shows_steps() {
            self.show_step(position, step);
        }
        if let Some(Some(record)) = self.pending.get_mut(position)
            && self.shared.json
            && self.with_steps
        {
            record
                .steps
                .push(report::step(&record.id, step).to_string());
        }
        self.flush_ready(position)
    }

    fn end(&mut self, prepared: usize, answer: Answer) -> Result<(), CommandError> {
        self.set_result(prepared, |_| Ok(answer))
    }

    fn fail(&mut self, prepared: usize, error: Error) -> Result<(), CommandError> {
        self.set_result(prepared, |record| {
            Err(located(error, &record.file, record.line, &record.id))
        })
    }

    fn tick(&mut self) {
        let Some(status) = &mut self.status else {
            return;
        };
        if self.started.elapsed() > STATUS_DELAY && self.last_report.elapsed() > STATUS_INTERVAL {
            self.last_report = Instant::now();
            let puzzles = self.totals.puzzles;
            let speed = puzzles as f64 / self.started.elapsed().as_secs_f64();
            status.show(&format!(
                "{puzzles} answered, {} in progress, {speed:.1} puzzles/s",
                self.pending.iter().flatten().count()
            ));
        }
    }
}
