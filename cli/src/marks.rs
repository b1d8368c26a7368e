//! How a model does on puzzles with solutions: the sums of `eval`, file by file, and its progress and output.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trm_runtime::task::{EncodedPuzzle, Id, Task};
use trm_runtime::{Answer, Error, ErrorKind, HaltRule};

use crate::args::Shared;
use crate::input::{Body, Item, located};
use crate::models::{Opened, shown};
use crate::output::{Failure, StatusLine, print, say};
use crate::report::{self, rounded};

/// Errors that are said one by one; the rest are counted.
const SAID: u64 = 10;

/// Sums over puzzles.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    /// Puzzles that have an answer.
    pub(crate) puzzles: u64,
    exact: u64,
    cells: f64,
    judged: u64,
    valid: u64,
    steps: u64,
    /// Puzzles that the policy halted.
    pub(crate) halted: u64,
    halted_right: u64,
}

impl Sums {
    /// Adds an answer; labels that are 0 do not count.
    pub(crate) fn add(&mut self, answer: &Answer, solution: &[u32]) {
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
        }
    }

    /// Puzzles with the right answer, of all.
    pub(crate) fn exact(&self) -> Option<f64> {
        share(self.exact as f64, self.puzzles)
    }

    fn cell(&self) -> Option<f64> {
        share(self.cells, self.puzzles)
    }

    /// Puzzles whose answer keeps the rules, of all; unknown where the task cannot tell of a single answer.
    pub(crate) fn valid(&self) -> Option<f64> {
        share(self.valid as f64, self.puzzles).filter(|_| self.judged > 0)
    }

    /// Steps of a puzzle.
    pub(crate) fn mean_steps(&self) -> Option<f64> {
        share(self.steps as f64, self.puzzles)
    }

    fn halt_precision(&self) -> Option<f64> {
        share(self.halted_right as f64, self.halted)
    }

    fn halt_recall(&self) -> Option<f64> {
        share(self.halted_right as f64, self.exact)
    }
}

/// A part of a whole; none of nothing.
pub(crate) fn share(part: f64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part / whole as f64)
}

/// A fraction as JSON has it.
pub(crate) fn fraction(x: Option<f64>) -> Option<f64> {
    x.map(|x| rounded(x, 6))
}

/// A fraction as a table has it.
pub(crate) fn percent(x: Option<f64>) -> String {
    x.map_or_else(|| "-".to_string(), |x| format!("{:.2}", 100.0 * x))
}

/// Steps as a table has them.
pub(crate) fn steps(x: Option<f64>) -> String {
    x.map_or_else(|| "-".to_string(), |x| format!("{x:.2}"))
}

/// A record that is ready to run.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Number of its file.
    pub(crate) file: usize,
    /// The puzzle as the model sees it.
    pub(crate) problem: EncodedPuzzle,
    /// The task that it belongs to.
    pub(crate) task: Arc<dyn Task>,
    /// The right answer, `[S]`.
    pub(crate) solution: Vec<u32>,
}

impl Ready {
    /// S: puzzles of one size run together.
    pub(crate) fn size(&self) -> usize {
        self.problem.tokens.len()
    }
}

/// The sums of every file, and what is told of them.
pub(crate) struct Marks<'a> {
    shared: &'a Shared,
    /// The model that is measured.
    pub(crate) model: Rc<Opened>,
    rule: HaltRule,
    files: BTreeMap<usize, (Arc<str>, Sums)>,
    started: Instant,
    status: Option<StatusLine>,
    told: Instant,
    /// Records that could not be read or run.
    pub(crate) errors: u64,
}

impl<'a> Marks<'a> {
    /// No marks yet.
    pub(crate) fn new(shared: &'a Shared, model: Rc<Opened>, rule: HaltRule) -> Marks<'a> {
        let tells = !shared.quiet && std::io::stderr().is_terminal();
        Marks {
            shared,
            model,
            rule,
            files: BTreeMap::new(),
            started: Instant::now(),
            status: tells.then(StatusLine::default),
            told: Instant::now(),
            errors: 0,
        }
    }

    /// Makes a record ready; `None` if it cannot be run, which has been noted.
    pub(crate) fn prepare(&mut self, item: Item) -> Result<Option<Ready>, Failure> {
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
        let encoded =
            body.and_then(|body| self.encode(body).map_err(|e| located(e, &file, line, &id)));
        match encoded {
            Ok((problem, task, solution)) => Ok(Some(Ready {
                file: file_number,
                problem,
                task,
                solution,
            })),
            Err(e) => {
                self.note_error((line, id), &e)?;
                Ok(None)
            }
        }
    }

    fn encode(&self, body: Body) -> trm_runtime::Result<(EncodedPuzzle, Arc<dyn Task>, Vec<u32>)> {
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

    /// Takes the answer of a puzzle of a file.
    pub(crate) fn add(&mut self, file: usize, answer: &Answer, solution: &[u32]) {
        if let Some((_, sums)) = self.files.get_mut(&file) {
            sums.add(answer, solution);
        }
    }

    /// The numbers of the files and their names, without folders.
    pub(crate) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.files
            .iter()
            .map(|(number, (name, _))| (*number, base(name)))
    }

    fn total(&self) -> Sums {
        let add = |sum: Sums, (_, file): &(Arc<str>, Sums)| sum.plus(*file);
        self.files.values().fold(Sums::default(), add)
    }

    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// A moment between steps: shows how far it has come.
    pub(crate) fn tick(&mut self) {
        let total = self.total();
        let Some(status) = &mut self.status else {
            return;
        };
        if self.started.elapsed() > Duration::from_secs(1)
            && self.told.elapsed() > Duration::from_millis(200)
        {
            self.told = Instant::now();
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

    /// Takes the progress away; an error if nothing could be run and nobody stopped it.
    pub(crate) fn close(&mut self, files: &[PathBuf], interrupted: bool) -> Result<(), Failure> {
        if let Some(status) = &mut self.status {
            status.clear();
        }
        if self.total().puzzles == 0 && !interrupted {
            let files: Vec<String> = files.iter().map(|p| shown(p)).collect();
            let message = format!("no puzzle of {} could be run", files.join(", "));
            return Err(Error::new(ErrorKind::Puzzle, message).into());
        }
        Ok(())
    }

    /// The last line of `--json`.
    pub(crate) fn summary(&self) -> Value {
        let (total, seconds) = (self.total(), self.seconds());
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
            "halt": self.rule.name(),
            "puzzles_per_s": rounded(total.puzzles as f64 / seconds.max(1e-9), 3),
            "device": self.model.device,
            "dtype": self.model.solver.dtype().name(),
            "effort": self.model.starts,
            "errors": self.errors,
            "seconds": rounded(seconds, 3),
            "schema": report::SCHEMA,
        })
    }

    /// A row for every file, and one for all of several.
    pub(crate) fn table(&self) -> Result<(), Failure> {
        let total = self.total();
        let mut rows: Vec<(&str, &Sums)> = self
            .files
            .values()
            .map(|(name, sums)| (base(name), sums))
            .collect();
        if rows.len() > 1 {
            rows.push(("all", &total));
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
        for (name, sums) in rows {
            print(format_args!(
                "{name:<width$}  {:>7}  {:>7}  {:>6}  {:>7}  {:>5}  {:>6}  {:>17}",
                sums.puzzles,
                percent(sums.exact()),
                percent(sums.cell()),
                percent(sums.valid()),
                steps(sums.mean_steps()),
                sums.halted,
                percent(sums.halt_precision()),
            ))?;
        }
        Ok(())
    }

    /// A row of the table of efforts.
    pub(crate) fn effort_row(&self, starts: usize) -> String {
        let total = self.total();
        format!(
            "{starts:>6}  {:>7}  {:>7}  {:>7}  {:>5}  {:>7.1}",
            total.puzzles,
            percent(total.exact()),
            percent(total.valid()),
            steps(total.mean_steps()),
            self.seconds(),
        )
    }

    /// On standard error: what ran where, and how fast.
    pub(crate) fn tell(&self) {
        if self.shared.quiet {
            return;
        }
        let speed = self.total().puzzles as f64 / self.seconds().max(1e-9);
        say(format_args!(
            "{} on {}; halting rule {}, {speed:.1} puzzles/s",
            self.model.name,
            self.model.on(self.model.device),
            self.rule.name()
        ));
        if self.errors > SAID {
            say(format_args!("{} records in error", self.errors));
        }
    }
}

/// The last part of a path.
fn base(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}
