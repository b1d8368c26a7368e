//! `arc`: ARC as it is really evaluated. Every form of a task that the checkpoint was trained on is answered; the answers, brought back into
//! the task's own form, vote; two attempts are handed in.

mod predictions;
mod tasks;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use trm_runtime::low_level::random::Random;
use trm_runtime::task::{Augmentation, Cells, Identifiers, Puzzle, TaskKind};
use trm_runtime::{Answer, Error, ErrorKind, HaltRule};

use crate::args::{ArcArgs, Shared};
use crate::input::{Intake, Item};
use crate::interrupt::Interrupt;
use crate::models::{self, Opened, open, shown};
use crate::output::{Done, Failure, StatusLine, print, say, write_file};
use crate::report::{self, rounded};
use crate::stream::{self, Desk, Work};
use tasks::Tasks;

/// How many of the best answers are looked at for the right one.
const PASS: [usize; 6] = [1, 2, 5, 10, 100, 1000];
/// Names of unknown tasks that are told.
const TOLD: usize = 5;

/// The forms of each task, with their rows of the puzzle embedding.
type Forms = BTreeMap<String, Vec<(Augmentation, u32)>>;

/// Runs the command.
pub(crate) fn run(shared: &Shared, args: &ArcArgs, interrupt: &Interrupt) -> Result<Done, Failure> {
    let mut tasks = Tasks::read(args)?;
    tasks
        .errors
        .iter()
        .for_each(|e| say(format_args!("error: {e}")));
    let started = Instant::now();
    let model = match shared.model() {
        Some(path) if args.predictions.is_empty() => {
            let rule = models::rule(shared).unwrap_or(HaltRule::Never);
            let solver = models::builder(shared)?
                .kind(TaskKind::Arc)
                .halt_rule(rule)
                .cancel_token(interrupt.now.clone())
                .build(open(path, shared)?)?;
            Some(Rc::new(Opened::new(&shown(path), solver, shared)?))
        }
        None if args.predictions.is_empty() => {
            let message = "no model: give --model, or --predictions with --identifiers";
            return Err(Error::new(ErrorKind::Argument, message).into());
        }
        _ => None,
    };
    let forms = forms(&tasks, args, model.as_deref(), shared.seed)?;
    let unknown = tell_unknown(&tasks, &forms)?;
    let mut errors = tasks.errors.len();
    let interrupted = match &model {
        Some(model) => {
            let mut desk = Answering::new(shared, model.clone(), &mut tasks, &forms);
            let mut intake = Intake::feed(desk.puzzles());
            let interrupted =
                stream::run(&mut desk, &mut intake, models::batch(shared), interrupt)?;
            errors += desk.finish();
            interrupted
        }
        None => {
            let foreign = predictions::count(&args.predictions, &mut tasks, &forms)?;
            if foreign > 0 {
                say(format_args!(
                    "{foreign} predictions belong to no test input of these tasks"
                ));
            }
            false
        }
    };
    tasks.close_all();
    if tasks.predictions() == 0 && !interrupted {
        say(format_args!(
            "error: there is no prediction for any test input; nothing was written"
        ));
        return Ok(Done::Nothing);
    }
    write_file(&args.output, &tasks.submission().to_string())?;

    let passes: Vec<(usize, f64)> = PASS
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
            "pass": (!pass.is_empty()).then_some(pass),
            "errors": errors,
            "seconds": rounded(started.elapsed().as_secs_f64(), 3),
            "device": model.as_ref().map(|model| model.device),
            "schema": report::SCHEMA,
        }))?;
    } else {
        table(&tasks, &passes)?;
        if !shared.quiet {
            let time = models::duration(started.elapsed());
            say(format_args!(
                "wrote {}: two attempts for each test input, in {time}",
                args.output.display()
            ));
        }
    }
    Ok(match interrupted {
        true => Done::Interrupted,
        false if errors > 0 || unknown > 0 => Done::Wrong,
        false => Done::Well,
    })
}

/// The forms in which the checkpoint knows each task, `--augment` of them at most.
fn forms(
    tasks: &Tasks,
    args: &ArcArgs,
    model: Option<&Opened>,
    seed: u64,
) -> trm_runtime::Result<Forms> {
    let identifiers = match (&args.identifiers, model) {
        (Some(file), _) => Some(Identifiers::open(file)?),
        (None, Some(model)) => model.solver.identifiers()?,
        (None, None) => {
            let message =
                "--predictions needs --identifiers: which row is which form of which task";
            return Err(Error::new(ErrorKind::Argument, message));
        }
    };
    let names = tasks.names.iter().map(String::as_str);
    if let Some(identifiers) = identifiers {
        let cut = |(name, mut forms): (&str, Vec<_>)| {
            forms.truncate(args.augment.unwrap_or(usize::MAX));
            (name.to_string(), forms)
        };
        return Ok(identifiers
            .augmentations(names)?
            .into_iter()
            .map(cut)
            .collect());
    }
    if model.is_some_and(|model| model.solver.model().config.num_puzzle_identifiers > 1) {
        let message = "which row of the puzzle embedding stands for which task is not known: give --identifiers identifiers.json, \
                       which training leaves in its data folder";
        return Err(Error::new(ErrorKind::Argument, message));
    }
    // A model that does not tell tasks apart takes any form.
    let mut random = Random::new(seed);
    let mut some = || {
        let other =
            std::iter::repeat_with(|| Augmentation::random(&mut random)).map(|form| (form, 0));
        let plain = std::iter::once((Augmentation::IDENTITY, 0));
        plain.chain(other).take(args.augment.unwrap_or(1)).collect()
    };
    Ok(names.map(|name| (name.to_string(), some())).collect())
}

/// Says which tasks the checkpoint has never seen, before anything is computed; how many.
fn tell_unknown(tasks: &Tasks, forms: &Forms) -> trm_runtime::Result<usize> {
    let unknown: Vec<&str> = tasks
        .names
        .iter()
        .filter(|name| !forms.contains_key(*name))
        .map(String::as_str)
        .collect();
    if unknown.is_empty() {
        return Ok(0);
    }
    let more = if unknown.len() > TOLD { ", ..." } else { "" };
    let told = unknown[..unknown.len().min(TOLD)].join(", ");
    let message = format!(
        "{} of {} tasks are not among those that this checkpoint was trained on, and an ARC checkpoint knows no others: {told}{more}",
        unknown.len(),
        tasks.names.len()
    );
    if forms.is_empty() {
        return Err(Error::new(ErrorKind::Puzzle, message));
    }
    say(format_args!("warning: {message}"));
    Ok(unknown.len())
}

fn table(tasks: &Tasks, passes: &[(usize, f64)]) -> Result<(), Failure> {
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
    Ok(print(row)?)
}

/// The command at work: the forms of the first test input, then those of the second, ...
struct Answering<'a> {
    model: Rc<Opened>,
    tasks: &'a mut Tasks,
    /// Test input, form and row of every record.
    records: Vec<(usize, Augmentation, u32)>,
    /// For each work that has not ended its record.
    open: BTreeMap<usize, usize>,
    works: usize,
    /// Records of each test input that have not ended.
    left: Vec<usize>,
    ended: usize,
    errors: Vec<Option<Error>>,
    status: Option<StatusLine>,
    started: Instant,
    told: Instant,
}

impl<'a> Answering<'a> {
    fn new(
        shared: &Shared,
        model: Rc<Opened>,
        tasks: &'a mut Tasks,
        forms: &Forms,
    ) -> Answering<'a> {
        let of = |(test, name): (usize, &String)| {
            let forms = forms.get(name).into_iter().flatten();
            forms
                .map(move |&(form, row)| (test, form, row))
                .collect::<Vec<_>>()
        };
        let names = tasks.tests.iter().map(|test| &tasks.names[test.task]);
        let records: Vec<_> = names.enumerate().flat_map(of).collect();
        let mut left = vec![0; tasks.tests.len()];
        records.iter().for_each(|(test, ..)| left[*test] += 1);
        Answering {
            model,
            records,
            open: BTreeMap::new(),
            works: 0,
            errors: left.iter().map(|_| None).collect(),
            left,
            tasks,
            ended: 0,
            status: (!shared.quiet && std::io::stderr().is_terminal()).then(StatusLine::default),
            started: Instant::now(),
            told: Instant::now(),
        }
    }

    /// The puzzles of all records, each made when it is wanted.
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
            .map(move |(test, form, row)| Puzzle {
                puzzle_id: Some(row),
                ..Puzzle::from(Cells::Grid(form.apply(&grids[test])))
            })
    }

    /// A record of a test input has ended; the last one has its votes counted.
    fn end_one(&mut self, test: usize) {
        self.ended += 1;
        self.left[test] -= 1;
        if self.left[test] == 0 {
            self.tasks.close(test);
        }
    }

    /// Tells what could not be run, a line a test input; how many these are.
    fn finish(mut self) -> usize {
        if let Some(status) = &mut self.status {
            status.clear();
        }
        let errors = self.errors.iter().flatten();
        errors
            .map(|error| say(format_args!("error: {error}")))
            .count()
    }
}

impl Desk for Answering<'_> {
    fn has_room(&self) -> bool {
        true
    }

    fn begin(&mut self, _alone: bool) {}

    fn prepare(&mut self, item: Item) -> Result<Option<Work>, Failure> {
        let record = item.number as usize;
        let (test, ..) = self.records[record];
        match item.body.and_then(|body| self.model.encode(body)) {
            Ok((problem, task)) => {
                self.open.insert(self.works, record);
                self.works += 1;
                let model = self.model.clone();
                Ok(Some(Work {
                    model,
                    problem,
                    task,
                }))
            }
            Err(e) => {
                let id = &self.tasks.tests[test].id;
                self.errors[test].get_or_insert_with(|| e.context(format!("puzzle {id}")));
                self.end_one(test);
                Ok(None)
            }
        }
    }

    fn end(&mut self, work: usize, answer: Answer) -> Result<(), Failure> {
        let Some(record) = self.open.remove(&work) else {
            return Ok(());
        };
        let (test, form, _) = self.records[record];
        if let Cells::Grid(grid) = &answer.cells {
            self.tasks.tests[test]
                .votes
                .add(&form.undo(grid), answer.halt_probability.into());
        }
        self.end_one(test);
        Ok(())
    }

    fn tick(&mut self) {
        let Some(status) = &mut self.status else {
            return;
        };
        if self.told.elapsed() > Duration::from_millis(200) {
            self.told = Instant::now();
            let speed = self.ended as f64 / self.started.elapsed().as_secs_f64();
            status.show(&format!(
                "{} of {} predictions, {speed:.1} a second",
                self.ended,
                self.records.len()
            ));
        }
    }
}
