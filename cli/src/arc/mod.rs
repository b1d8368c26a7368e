//! `arc`: evaluates a model on ARC as published.
//!
//! The model answers every augmentation of a task that it was trained on. The augmentations of the
//! answers are undone, equal answers are votes, and the best two answers are the attempts.

mod predictions;
mod tasks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use trm_runtime::low_level::random::Random;
use trm_runtime::task::{Augmentation, Cells, Identifiers, Puzzle, TaskKind};
use trm_runtime::{Answer, Error, ErrorKind, HaltRule};

use crate::args::{ArcArgs, Shared};
use crate::input::{NumberedRecord, RecordReader, input_files};
use crate::interrupt::Interrupt;
use crate::models::{LoadedModel, display_path, format_duration, open, solver_builder};
use crate::output::{
    CommandError, CommandStatus, StatusLine, can_redraw, eprint_error, eprint_line, print,
};
use crate::output_file::{OutputFile, Printed, check_stdout_is_no_input};
use crate::report::{self, rounded};
use crate::stream::{self, PreparedPuzzle, RecordHandler};
use tasks::Tasks;

/// The K of pass@K: how many of the best answers may contain the right one.
const PASS_AT: [usize; 6] = [1, 2, 5, 10, 100, 1000];
/// Maximum number of unknown tasks that are named.
const MAX_NAMED_TASKS: usize = 5;

/// Time between updates of the progress line.
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// For each task its augmentations, with their rows of the puzzle embedding.
type AugmentationsByTask = BTreeMap<String, Vec<(Augmentation, u32)>>;

/// Runs the command.
pub(crate) fn run(
    shared: &Shared,
    args: &ArcArgs,
    interrupt: &Interrupt,
) -> Result<CommandStatus, CommandError> {
    let Some(mut tasks) = Tasks::read(args, interrupt)? else {
        return Ok(CommandStatus::Interrupted);
    };
    tasks.errors.iter().for_each(eprint_error);
    if !tasks.unused_solutions.is_empty() {
        let count = tasks.unused_solutions.len();
        eprint_line(format_args!(
            "warning: {count} solutions belong to no task of the input: {}",
            tasks::shown_names(&tasks.unused_solutions)
        ));
    }
    let started = Instant::now();
    let model = match shared.model() {
        Some(path) if args.predictions.is_empty() => {
            let rule = shared.halt_rule().unwrap_or(HaltRule::Never);
            let solver = solver_builder(shared)?
                .kind(TaskKind::Arc)
                .halt_rule(rule)
                .cancel_token(interrupt.now.clone())
                .build(open(path, shared)?)?;
            Some(Rc::new(LoadedModel::new(
                &display_path(path),
                solver,
                shared,
            )?))
        }
        None if args.predictions.is_empty() => {
            let message = "no model: expected --model, or --predictions with --identifiers";
            return Err(Error::new(ErrorKind::Argument, message).into());
        }
        _ => None,
    };
    let augmentations = find_augmentations(&tasks, args, model.as_deref(), shared.seed)?;
    let unknown = report_unknown(&tasks, &augmentations)?;
    let inputs = inputs(args, model.as_deref());
    check_stdout_is_no_input(&inputs)?;
    let printed = if shared.json {
        Printed::Records
    } else {
        Printed::Tables
    };
    let output = OutputFile::create(&args.output, printed, &inputs)?;
    let mut errors = tasks.errors.len();
    let interrupted = match &model {
        Some(model) => {
            let mut predictor = Predictor::new(shared, model.clone(), &mut tasks, &augmentations);
            let mut reader = RecordReader::from_puzzles(predictor.puzzles())?;
            let interrupted =
                stream::run(&mut predictor, &mut reader, shared.batch_size(), interrupt)?;
            errors += predictor.finish();
            interrupted
        }
        None => {
            let stop = &interrupt.asked;
            let unrelated =
                predictions::count(&args.predictions, &mut tasks, &augmentations, stop)?;
            if unrelated > 0 {
                eprint_line(format_args!(
                    "warning: {unrelated} predictions belong to no test input of these tasks"
                ));
            }
            stop.is_cancelled()
        }
    };
    tasks.close_all();
    if tasks.predictions() == 0 {
        if interrupted {
            eprint_line(format_args!(
                "stopped before the first prediction; nothing was written"
            ));
            return Ok(CommandStatus::Interrupted);
        }
        eprint_line(format_args!(
            "error: there is no prediction for any test input; nothing was written"
        ));
        return Ok(CommandStatus::NothingRan);
    }
    let text = tasks.submission().to_string();
    let written = match interrupted {
        true => output.write_partial(&text, &interrupt.now, &inputs),
        false => output
            .write(&text, &interrupt.now)
            .map(|()| args.output.clone()),
    };

    let passes: Vec<(usize, f64)> = PASS_AT
        .iter()
        .filter_map(|&k| Some((k, tasks.pass(k)?)))
        .collect();
    if shared.json {
        tasks.records().try_for_each(print)?;
        let pass: Map<String, Value> = passes
            .iter()
            .map(|&(k, share)| (k.to_string(), share.into()))
            .collect();
        print(json!({
            "type": "summary",
            "tasks": tasks.names.len(),
            "unknown": unknown,
            "puzzles": tasks.tests.len(),
            "predictions": tasks.predictions(),
            "missing": tasks.missing(),
            "pass": (!pass.is_empty()).then_some(pass),
            "scored": tasks.scored().map_or(0, |(scored, _)| scored),
            "errors": errors,
            "seconds": rounded(started.elapsed().as_secs_f64(), 3),
            "device": model.as_ref().map(|model| model.device),
            "schema": report::SCHEMA,
        }))?;
    } else {
        print_table(&tasks, &passes)?;
    }
    // After the results, which are printed even if the file could not be written.
    let written = written?;
    let time = format_duration(started.elapsed());
    report_written(shared, args, &tasks, &written, interrupted, &time);
    Ok(match interrupted {
        true => CommandStatus::Interrupted,
        false if errors > 0 || unknown > 0 => CommandStatus::Invalid,
        false => CommandStatus::Success,
    })
}

/// Returns the files that the command reads.
fn inputs(args: &ArcArgs, model: Option<&LoadedModel>) -> Vec<PathBuf> {
    let mut files = input_files(&args.tasks);
    files.extend(args.identifiers.clone());
    files.extend(args.solutions.clone());
    files.extend(args.predictions.iter().cloned());
    if let Some(model) = model.map(|model| model.solver.model()) {
        files.extend_from_slice(model.files());
        files.extend(model.directory().map(|dir| dir.join("identifiers.json")));
    }
    files
}

/// Says what was written, and what is missing in it.
fn report_written(
    shared: &Shared,
    args: &ArcArgs,
    tasks: &Tasks,
    written: &Path,
    interrupted: bool,
    time: &str,
) {
    let file = written.display();
    let (tests, missing) = (tasks.tests.len(), tasks.missing());
    if interrupted && written != args.output {
        eprint_line(format_args!(
            "stopped: {} is unchanged",
            args.output.display()
        ));
    }
    if missing > 0 || interrupted {
        let what = match (interrupted, missing) {
            (true, _) => "stopped, not all augmentations were answered",
            (false, _) => "incomplete",
        };
        eprint_line(format_args!(
            "wrote {file}: {what}; {missing} of {tests} test inputs have no prediction and got \
             placeholders, in {time}"
        ));
    } else if !shared.quiet {
        eprint_line(format_args!(
            "wrote {file}: two attempts for each test input, in {time}"
        ));
    }
}

/// Returns the augmentations of each task that the checkpoint knows, at most `--augment`.
fn find_augmentations(
    tasks: &Tasks,
    args: &ArcArgs,
    model: Option<&LoadedModel>,
    seed: u64,
) -> trm_runtime::Result<AugmentationsByTask> {
    let identifiers = match (&args.identifiers, model) {
        (Some(file), Some(model)) => {
            let names = Identifiers::open(file)?;
            // A model without a puzzle embedding ignores the names.
            Some(match model.solver.model().config.num_puzzle_identifiers {
                0 => names,
                rows => names.for_rows(rows),
            })
        }
        (Some(file), None) => Some(Identifiers::open(file)?),
        (None, Some(model)) => model.solver.identifiers()?,
        (None, None) => {
            let message = "--predictions needs --identifiers, the names of the embedding's rows";
            return Err(Error::new(ErrorKind::Argument, message));
        }
    };
    let names = tasks.names.iter().map(String::as_str);
    if let Some(identifiers) = identifiers {
        let truncate = |(name, mut augmentations): (&str, Vec<_>)| {
            augmentations.truncate(args.augment.unwrap_or(usize::MAX));
            (name.to_string(), augmentations)
        };
        return Ok(identifiers
            .augmentations(names)?
            .into_iter()
            .map(truncate)
            .collect());
    }
    if model.is_some_and(|model| model.solver.model().config.num_puzzle_identifiers > 1) {
        let message = "the tasks of the rows of the puzzle embedding are not known; give \
                       --identifiers identifiers.json, which training leaves in its data folder";
        return Err(Error::new(ErrorKind::Argument, message));
    }
    // A puzzle embedding with one row does not distinguish tasks, so any augmentation will do.
    let mut random = Random::new(seed);
    let mut random_augmentations = || {
        let identity = std::iter::once((Augmentation::IDENTITY, 0));
        let others = std::iter::repeat_with(|| (Augmentation::random(&mut random), 0));
        identity
            .chain(others)
            .take(args.augment.unwrap_or(1))
            .collect()
    };
    Ok(names
        .map(|name| (name.to_string(), random_augmentations()))
        .collect())
}

/// Warns about tasks that the checkpoint was not trained on, before anything is computed. Returns
/// their number.
fn report_unknown(
    tasks: &Tasks,
    augmentations: &AugmentationsByTask,
) -> trm_runtime::Result<usize> {
    let unknown: Vec<&str> = tasks
        .names
        .iter()
        .filter(|name| !augmentations.contains_key(*name))
        .map(String::as_str)
        .collect();
    if unknown.is_empty() {
        return Ok(0);
    }
    let more = if unknown.len() > MAX_NAMED_TASKS {
        ", ..."
    } else {
        ""
    };
    let named = unknown[..unknown.len().min(MAX_NAMED_TASKS)].join(", ");
    let message = format!(
        "the checkpoint was not trained on {} of {} tasks, so it cannot solve them: {named}{more}",
        unknown.len(),
        tasks.names.len()
    );
    if augmentations.is_empty() {
        return Err(Error::new(ErrorKind::Puzzle, message));
    }
    eprint_line(format_args!("warning: {message}"));
    Ok(unknown.len())
}

fn print_table(tasks: &Tasks, passes: &[(usize, f64)]) -> Result<(), CommandError> {
    let mut head = "tasks  tests  predictions".to_string();
    let mut row = format!(
        "{:>5}  {:>5}  {:>11}",
        tasks.names.len(),
        tasks.tests.len(),
        tasks.predictions()
    );
    for (k, share) in passes {
        let title = format!("pass@{k} %");
        row += &format!("  {:>width$.2}", 100.0 * share, width = title.len());
        head += &format!("  {title}");
    }
    print(head)?;
    print(row)?;
    if let Some((scored, missing)) = tasks.scored()
        && !missing.is_empty()
    {
        print(format_args!(
            "scored {scored} of {} tasks; without a solution: {}",
            tasks.names.len(),
            tasks::shown_names(&missing)
        ))?;
    }
    Ok(())
}

/// The state of the command. Its records are the augmentations of the first test input, then those
/// of the second, and so on.
struct Predictor<'a> {
    model: Rc<LoadedModel>,
    tasks: &'a mut Tasks,
    /// Test input, augmentation and row of the puzzle embedding of every record.
    records: Vec<(usize, Augmentation, u32)>,
    /// The record of each puzzle in progress, by its prepared index.
    in_progress: BTreeMap<usize, usize>,
    /// Number of prepared puzzles.
    prepared_count: usize,
    /// Unfinished records of each test input.
    remaining: Vec<usize>,
    /// Number of finished records.
    finished: usize,
    /// The first error of each test input.
    errors: Vec<Option<Error>>,
    status: Option<StatusLine>,
    started: Instant,
    last_report: Instant,
}

impl<'a> Predictor<'a> {
    fn new(
        shared: &Shared,
        model: Rc<LoadedModel>,
        tasks: &'a mut Tasks,
        augmentations: &AugmentationsByTask,
    ) -> Self {
        let records_of = |(test, name): (usize, &String)| {
            let augmentations = augmentations.get(name).into_iter().flatten();
            augmentations
                .map(move |&(augmentation, row)| (test, augmentation, row))
                .collect::<Vec<_>>()
        };
        let names = tasks.tests.iter().map(|test| &tasks.names[test.task]);
        let records: Vec<_> = names.enumerate().flat_map(records_of).collect();
        let mut remaining = vec![0; tasks.tests.len()];
        records.iter().for_each(|(test, ..)| remaining[*test] += 1);
        Predictor {
            model,
            records,
            in_progress: BTreeMap::new(),
            prepared_count: 0,
            errors: remaining.iter().map(|_| None).collect(),
            remaining,
            tasks,
            finished: 0,
            status: (!shared.quiet && can_redraw(&std::io::stderr())).then(StatusLine::default),
            started: Instant::now(),
            last_report: Instant::now(),
        }
    }

    /// Returns the puzzles of all records, which are created on demand.
    fn puzzles(&self) -> impl Iterator<Item = Puzzle> + Send + 'static {
        let grids: Vec<_> = self
            .tasks
            .tests
            .iter()
            .map(|test| test.grid.clone())
            .collect();
        self.records
            .clone()
            .into_iter()
            .map(move |(test, augmentation, row)| Puzzle {
                puzzle_id: Some(row),
                ..Puzzle::from(Cells::Grid(augmentation.apply(&grids[test])))
            })
    }

    /// Notes that a record of a test input has finished. After the last one, counts the votes.
    fn finish_record(&mut self, test: usize) {
        self.finished += 1;
        self.remaining[test] -= 1;
        if self.remaining[test] == 0 {
            self.tasks.close(test);
        }
    }

    /// Prints the first error of each test input. Returns their number.
    fn finish(mut self) -> usize {
        if let Some(status) = &mut self.status {
            status.clear();
        }
        let mut count = 0;
        for error in self.errors.iter().flatten() {
            eprint_error(error);
            count += 1;
        }
        count
    }
}

impl RecordHandler for Predictor<'_> {
    fn has_room(&self) -> bool {
        true
    }

    fn begin(&mut self, _alone: bool) {}

    fn prepare(&mut self, record: NumberedRecord) -> Result<Option<PreparedPuzzle>, CommandError> {
        let number = usize::try_from(record.number).expect("an index of `records`");
        let (test, ..) = self.records[number];
        match record.body.and_then(|body| self.model.encode(body)) {
            Ok((puzzle, task)) => {
                self.in_progress.insert(self.prepared_count, number);
                self.prepared_count += 1;
                let model = self.model.clone();
                Ok(Some(PreparedPuzzle {
                    model,
                    puzzle,
                    task,
                }))
            }
            Err(e) => {
                let id = &self.tasks.tests[test].id;
                self.errors[test].get_or_insert_with(|| e.context(format!("puzzle {id}")));
                self.finish_record(test);
                Ok(None)
            }
        }
    }

    fn end(&mut self, prepared: usize, answer: Answer) -> Result<(), CommandError> {
        let Some(number) = self.in_progress.remove(&prepared) else {
            return Ok(());
        };
        let (test, augmentation, _) = self.records[number];
        if let Cells::Grid(grid) = &answer.cells {
            self.tasks.tests[test]
                .votes
                .add(&augmentation.undo(grid), answer.halt_probability.into());
        }
        self.finish_record(test);
        Ok(())
    }

    fn fail(&mut self, prepared: usize, error: Error) -> Result<(), CommandError> {
        if let Some(number) = self.in_progress.remove(&prepared) {
            let (test, ..) = self.records[number];
            let id = &self.tasks.tests[test].id;
            self.errors[test].get_or_insert_with(|| error.context(format!("puzzle {id}")));
            self.finish_record(test);
        }
        Ok(())
    }

    fn tick(&mut self) {
        let Some(status) = &mut self.status else {
            return;
        };
        if self.last_report.elapsed() > STATUS_INTERVAL {
            self.last_report = Instant::now();
            let speed = self.finished as f64 / self.started.elapsed().as_secs_f64();
            status.show(&format!(
                "{} of {} predictions, {speed:.1} predictions/s",
                self.finished,
                self.records.len()
            ));
        }
    }
}
