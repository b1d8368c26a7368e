//! `eval`: how good a model is, on puzzles with solutions.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trm::task::{Id, Problem, Task};
use trm::{Answer, CancelToken, Error, ErrorKind, HaltRule};

use crate::args::{EvalArgs, Shared};
use crate::input::{Body, Intake, Item, located};
use crate::models::{self, Opened, named, open, shown, solver};
use crate::output::{Done, Failure, StatusLine, print, say};
use crate::report::{self, rounded};
use crate::stream::{self, Desk, Work};

/// Errors that are said one by one; the rest are counted.
const SAID: u64 = 10;

/// Runs the command.
pub(crate) fn run(shared: &Shared, args: &EvalArgs, cancel: CancelToken) -> Result<Done, Failure> {
    let path = named(&args.subject, shared)?;
    let rule = models::rule(shared).unwrap_or(HaltRule::Head);
    let solver = solver(open(path, shared)?, shared)?
        .halt(rule)
        .cancel_token(cancel.clone());
    let model = Rc::new(Opened::new(&shown(path), solver, shared)?);
    let mut intake = Intake::start(args.data.clone(), args.limit);
    let mut eval = Eval::new(shared, model, args.data.len());
    let interrupted = stream::run(&mut eval, &mut intake, models::batch(shared), &cancel)?;
    eval.finish(args, rule, interrupted)
}

/// Sums over puzzles.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    puzzles: u64,
    exact: u64,
    cells: f64,
    judged: u64,
    valid: u64,
    steps: u64,
    halted: u64,
    halted_right: u64,
    errors: u64,
}

impl Sums {
    fn add(&mut self, answer: &Answer, solution: &[u32]) {
        let counted: Vec<bool> = solution
            .iter()
            .zip(&answer.tokens)
            .filter(|(label, _)| **label != 0)
            .map(|(a, b)| a == b)
            .collect();
        let right = counted.iter().filter(|right| **right).count();
        let exact = right == counted.len();
        self.puzzles += 1;
        self.exact += u64::from(exact);
        self.cells += if counted.is_empty() {
            1.0
        } else {
            right as f64 / counted.len() as f64
        };
        self.judged += u64::from(answer.valid.is_some());
        self.valid += u64::from(answer.valid == Some(true));
        self.steps += answer.steps as u64;
        self.halted += u64::from(answer.halted);
        self.halted_right += u64::from(answer.halted && exact);
    }

    fn plus(self, other: Sums) -> Sums {
        Sums {
            puzzles: self.puzzles + other.puzzles,
            exact: self.exact + other.exact,
            cells: self.cells + other.cells,
            judged: self.judged + other.judged,
            valid: self.valid + other.valid,
            steps: self.steps + other.steps,
            halted: self.halted + other.halted,
            halted_right: self.halted_right + other.halted_right,
            errors: self.errors + other.errors,
        }
    }

    fn exact(&self) -> Option<f64> {
        share(self.exact as f64, self.puzzles)
    }

    fn cell(&self) -> Option<f64> {
        share(self.cells, self.puzzles)
    }

    /// Unknown where the task cannot tell of a single answer.
    fn valid(&self) -> Option<f64> {
        share(self.valid as f64, self.puzzles).filter(|_| self.judged > 0)
    }

    fn mean_steps(&self) -> Option<f64> {
        share(self.steps as f64, self.puzzles)
    }

    fn halt_precision(&self) -> Option<f64> {
        share(self.halted_right as f64, self.halted)
    }

    fn halt_recall(&self) -> Option<f64> {
        share(self.halted_right as f64, self.exact)
    }
}

fn share(part: f64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part / whole as f64)
}

/// The command at work.
struct Eval<'a> {
    shared: &'a Shared,
    model: Rc<Opened>,
    several: bool,
    files: BTreeMap<usize, (Arc<str>, Sums)>,
    /// For each work that has not ended its file and its solution.
    open: BTreeMap<usize, (usize, Vec<u32>)>,
    works: usize,
    started: Instant,
    status: Option<StatusLine>,
    told: Instant,
    errors: u64,
}

impl<'a> Eval<'a> {
    fn new(shared: &'a Shared, model: Rc<Opened>, files: usize) -> Eval<'a> {
        let tells = !shared.quiet && std::io::stderr().is_terminal();
        Eval {
            shared,
            model,
            several: files > 1,
            files: BTreeMap::new(),
            open: BTreeMap::new(),
            works: 0,
            started: Instant::now(),
            status: tells.then(StatusLine::default),
            told: Instant::now(),
            errors: 0,
        }
    }

    fn encode(&self, body: Body) -> trm::Result<(Problem, Arc<dyn Task>, Vec<u32>)> {
        let (problem, task) = self.model.encode(body)?;
        let solution = problem
            .solution
            .clone()
            .ok_or_else(|| Error::new(ErrorKind::Puzzle, "has no solution to compare with"))?;
        Ok((problem, task, solution))
    }

    fn note_error(&mut self, (line, id): (Option<u64>, Id), error: &Error) -> Result<(), Failure> {
        self.errors += 1;
        if let Some(status) = &mut self.status {
            status.clear();
        }
        if self.shared.json {
            print(report::error(&id, line, error))?;
        } else if self.errors <= SAID {
            say(format_args!("error: {error}"));
        }
        Ok(())
    }

    fn finish(mut self, args: &EvalArgs, rule: HaltRule, interrupted: bool) -> Result<Done, Failure> {
        if let Some(status) = &mut self.status {
            status.clear();
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let total = self
            .files
            .values()
            .fold(Sums::default(), |sum, (_, file)| sum.plus(*file));
        if total.puzzles == 0 && !interrupted {
            let files: Vec<String> = args.data.iter().map(|p| shown(p)).collect();
            let message = format!("no puzzle of {} could be run", files.join(", "));
            return Err(Error::new(ErrorKind::Puzzle, message).into());
        }
        if self.shared.json {
            print(self.summary(&total, rule, seconds))?;
        } else {
            self.table(&total, rule, seconds)?;
        }
        Ok(match interrupted {
            true => Done::Interrupted,
            false if self.errors > 0 => Done::Wrong,
            false => Done::Well,
        })
    }

    fn summary(&self, total: &Sums, rule: HaltRule, seconds: f64) -> Value {
        let fraction = |x: Option<f64>| x.map(|x| rounded(x, 6));
        json!({
            "type": "summary",
            "puzzles": total.puzzles,
            "exact": fraction(total.exact()),
            "cell": fraction(total.cell()),
            "valid": fraction(total.valid()),
            "mean_steps": fraction(total.mean_steps()),
            "halted": total.halted,
            "halt_precision": fraction(total.halt_precision()),
            "halt_recall": fraction(total.halt_recall()),
            "halt": rule.name(),
            "puzzles_per_s": rounded(total.puzzles as f64 / seconds.max(1e-9), 3),
            "device": self.model.device,
            "dtype": self.model.solver.weight_format().name(),
            "errors": self.errors,
            "seconds": rounded(seconds, 3),
            "schema": report::SCHEMA,
        })
    }

    fn table(&self, total: &Sums, rule: HaltRule, seconds: f64) -> Result<(), Failure> {
        let mut rows: Vec<(&str, &Sums)> = self
            .files
            .values()
            .map(|(name, sums)| (base(name), sums))
            .collect();
        if self.several {
            rows.push(("all", total));
        }
        let width = rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0)
            .max("file".len());
        print(format_args!(
            "{:<width$}  puzzles  exact %  cell %  valid %  steps  halted  right of halted %",
            "file"
        ))?;
        let percent = |x: Option<f64>| x.map_or_else(|| "-".to_string(), |x| format!("{:.2}", 100.0 * x));
        for (name, sums) in rows {
            print(format_args!(
                "{name:<width$}  {:>7}  {:>7}  {:>6}  {:>7}  {:>5}  {:>6}  {:>17}",
                sums.puzzles,
                percent(sums.exact()),
                percent(sums.cell()),
                percent(sums.valid()),
                sums.mean_steps()
                    .map_or_else(|| "-".to_string(), |s| format!("{s:.2}")),
                sums.halted,
                percent(sums.halt_precision()),
            ))?;
        }
        if !self.shared.quiet {
            let speed = total.puzzles as f64 / seconds.max(1e-9);
            say(format_args!(
                "{} on {}; halting rule {}, {speed:.1} puzzles/s",
                self.model.name,
                self.model.on(self.model.device),
                rule.name()
            ));
            if self.errors > SAID {
                say(format_args!("{} records in error", self.errors));
            }
        }
        Ok(())
    }
}

/// The last part of a path.
fn base(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

impl Desk for Eval<'_> {
    fn has_room(&self) -> bool {
        true
    }

    fn begin(&mut self, _alone: bool) {}

    fn prepare(&mut self, item: Item) -> Result<Option<Work>, Failure> {
        let Item {
            file,
            file_number,
            number,
            line,
            id,
            body,
        } = item;
        let id = id.unwrap_or(Id::Number(number));
        self.files
            .entry(file_number)
            .or_insert_with(|| (file.clone(), Sums::default()));
        let encoded = body.and_then(|body| self.encode(body).map_err(|e| located(e, &file, line, &id)));
        match encoded {
            Ok((problem, task, solution)) => {
                self.open.insert(self.works, (file_number, solution));
                self.works += 1;
                Ok(Some(Work {
                    model: self.model.clone(),
                    problem,
                    task,
                }))
            }
            Err(e) => {
                self.note_error((line, id), &e)?;
                Ok(None)
            }
        }
    }

    fn end(&mut self, work: usize, answer: Answer) -> Result<(), Failure> {
        if let Some((file, solution)) = self.open.remove(&work)
            && let Some((_, sums)) = self.files.get_mut(&file)
        {
            sums.add(&answer, &solution);
        }
        Ok(())
    }

    fn tick(&mut self) {
        let Some(status) = &mut self.status else { return };
        if self.started.elapsed() > Duration::from_secs(1) && self.told.elapsed() > Duration::from_millis(200)
        {
            self.told = Instant::now();
            let total = self
                .files
                .values()
                .fold(Sums::default(), |sum, (_, file)| sum.plus(*file));
            let speed = total.puzzles as f64 / self.started.elapsed().as_secs_f64();
            let name = self
                .files
                .last_key_value()
                .map_or("", |(_, (name, _))| base(name));
            let exact = 100.0 * total.exact().unwrap_or(0.0);
            status.show(&format!(
                "{name}  {} puzzles, {exact:.1} % exact, {speed:.1} puzzles/s",
                total.puzzles
            ));
        }
    }
}
