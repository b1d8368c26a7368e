//! The metrics of `eval` for each file, its progress line and its output.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trm_runtime::task::{EncodedPuzzle, Id, Task};
use trm_runtime::{Answer, Error, ErrorKind, HaltRule};

use crate::args::Shared;
use crate::input::{Body, NumberedRecord, located};
use crate::models::{LoadedModel, display_path};
use crate::output::{
    CommandError, StatusLine, can_redraw, eprint_error, eprint_line, print, print_text, printable,
};
use crate::report::{self, rounded};

/// Maximum number of errors that are printed. The rest are counted.
const MAX_PRINTED_ERRORS: u64 = 10;

/// Time before the progress line appears, and between its updates.
const STATUS_DELAY: Duration = Duration::from_secs(1);
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// Sums over puzzles, from which the metrics follow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Metrics {
    /// Puzzles with an answer.
    pub(crate) puzzles: u64,
    exact: u64,
    /// Sum of the cell accuracies.
    cells: f64,
    /// Answers that the rules can judge.
    judged: u64,
    valid: u64,
    steps: u64,
    /// Puzzles that the policy halted.
    pub(crate) halted: u64,
    halted_right: u64,
}

impl Metrics {
    /// Adds an answer. Cells with label 0 do not count.
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

    fn plus(self, other: Self) -> Self {
        Self {
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

    /// Returns the exact-match accuracy.
    pub(crate) fn exact(&self) -> Option<f64> {
        ratio(self.exact as f64, self.puzzles)
    }

    /// Returns the cell accuracy.
    fn cell(&self) -> Option<f64> {
        ratio(self.cells, self.puzzles)
    }

    /// Returns the fraction of valid answers, or `None` if the task can judge no answer.
    pub(crate) fn valid(&self) -> Option<f64> {
        ratio(self.valid as f64, self.puzzles).filter(|_| self.judged > 0)
    }

    /// Returns the mean number of steps.
    pub(crate) fn mean_steps(&self) -> Option<f64> {
        ratio(self.steps as f64, self.puzzles)
    }

    /// Returns the fraction of halted puzzles that are exact.
    fn halt_precision(&self) -> Option<f64> {
        ratio(self.halted_right as f64, self.halted)
    }

    /// Returns the fraction of exact puzzles that halted.
    fn halt_recall(&self) -> Option<f64> {
        ratio(self.halted_right as f64, self.exact)
    }
}

/// Returns `part / whole`, or `None` if `whole` is 0.
pub(crate) fn ratio(part: f64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part / whole as f64)
}

/// Rounds a fraction for JSON.
pub(crate) fn fraction(x: Option<f64>) -> Option<f64> {
    x.map(|x| rounded(x, 6))
}

/// Formats a fraction as percent for a table.
pub(crate) fn percent(x: Option<f64>) -> String {
    x.map_or_else(|| "-".to_string(), |x| format!("{:.2}", 100.0 * x))
}

/// Formats a number of steps for a table.
pub(crate) fn steps(x: Option<f64>) -> String {
    x.map_or_else(|| "-".to_string(), |x| format!("{x:.2}"))
}

/// What errors name a record by.
#[derive(Debug, Clone)]
pub(crate) struct RecordName {
    file: Arc<str>,
    line: Option<u64>,
    id: Id,
}

/// An encoded puzzle with its solution.
#[derive(Debug)]
pub(crate) struct LabeledPuzzle {
    /// Index of its file.
    pub(crate) file: usize,
    /// The record that it comes from.
    pub(crate) record: RecordName,
    /// The puzzle as tokens.
    pub(crate) puzzle: EncodedPuzzle,
    /// The task that it belongs to.
    pub(crate) task: Arc<dyn Task>,
    /// The solution, `[S]`.
    pub(crate) solution: Vec<u32>,
}

impl LabeledPuzzle {
    /// Returns S. Only puzzles of the same size run together.
    pub(crate) fn size(&self) -> usize {
        self.puzzle.tokens.len()
    }
}

/// The metrics of every file, with the progress line and the output.
pub(crate) struct EvalReport<'a> {
    shared: &'a Shared,
    /// The evaluated model.
    pub(crate) model: Rc<LoadedModel>,
    rule: HaltRule,
    /// Name and metrics of each file, by its index.
    files: BTreeMap<usize, (Arc<str>, Metrics)>,
    started: Instant,
    status: Option<StatusLine>,
    last_report: Instant,
    /// Records that could not be read or run.
    pub(crate) errors: u64,
    /// `--limit`.
    limit: Option<usize>,
    /// Records read of each file.
    read: BTreeMap<usize, u64>,
}

impl<'a> EvalReport<'a> {
    /// Creates an empty report.
    pub(crate) fn new(
        shared: &'a Shared,
        model: Rc<LoadedModel>,
        rule: HaltRule,
        limit: Option<usize>,
    ) -> Self {
        let has_status = !shared.quiet && can_redraw(&std::io::stderr());
        EvalReport {
            shared,
            model,
            rule,
            files: BTreeMap::new(),
            started: Instant::now(),
            status: has_status.then(StatusLine::default),
            last_report: Instant::now(),
            errors: 0,
            limit,
            read: BTreeMap::new(),
        }
    }

    /// Encodes a record. Returns `None` if it cannot run; the error is then printed.
    pub(crate) fn prepare(
        &mut self,
        record: NumberedRecord,
    ) -> Result<Option<LabeledPuzzle>, CommandError> {
        let NumberedRecord {
            file,
            file_number,
            number,
            line,
            id,
            body,
        } = record;
        let id = id.unwrap_or(Id::Number(number));
        *self.read.entry(file_number).or_default() += 1;
        self.files
            .entry(file_number)
            .or_insert_with(|| (file.clone(), Metrics::default()));
        let encoded =
            body.and_then(|body| self.encode(body).map_err(|e| located(e, &file, line, &id)));
        match encoded {
            Ok((puzzle, task, solution)) => Ok(Some(LabeledPuzzle {
                file: file_number,
                record: RecordName { file, line, id },
                puzzle,
                task,
                solution,
            })),
            Err(e) => {
                self.report_error(line, &id, &e)?;
                Ok(None)
            }
        }
    }

    /// Reports a puzzle that ended without an answer.
    pub(crate) fn fail(&mut self, record: &RecordName, error: Error) -> Result<(), CommandError> {
        let RecordName { file, line, id } = record;
        self.report_error(*line, id, &located(error, file, *line, id))
    }

    fn encode(&self, body: Body) -> trm_runtime::Result<(EncodedPuzzle, Arc<dyn Task>, Vec<u32>)> {
        let (puzzle, task) = self.model.encode(body)?;
        let solution = puzzle.solution.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::Puzzle,
                "has no solution to compare with, or none of its cells is known",
            )
        })?;
        Ok((puzzle, task, solution))
    }

    fn report_error(
        &mut self,
        line: Option<u64>,
        id: &Id,
        error: &Error,
    ) -> Result<(), CommandError> {
        self.errors += 1;
        if let Some(status) = &mut self.status {
            status.clear();
        }
        if self.shared.json {
            print(report::error(id, line, error))?;
        } else if self.errors <= MAX_PRINTED_ERRORS {
            eprint_error(error);
        }
        Ok(())
    }

    /// Adds the answer of a puzzle of a file.
    pub(crate) fn add(&mut self, file: usize, answer: &Answer, solution: &[u32]) {
        if let Some((_, metrics)) = self.files.get_mut(&file) {
            metrics.add(answer, solution);
        }
    }

    /// Returns the index and the name, without folders, of each file.
    pub(crate) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.files
            .iter()
            .map(|(number, (name, _))| (*number, file_name(name)))
    }

    /// Returns the number of puzzles with an answer.
    pub(crate) fn puzzles(&self) -> u64 {
        self.total().puzzles
    }

    fn total(&self) -> Metrics {
        let add = |sum: Metrics, (_, file): &(Arc<str>, Metrics)| sum.plus(*file);
        self.files.values().fold(Metrics::default(), add)
    }

    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Updates the progress line.
    pub(crate) fn tick(&mut self) {
        let total = self.total();
        let Some(status) = &mut self.status else {
            return;
        };
        if self.started.elapsed() > STATUS_DELAY && self.last_report.elapsed() > STATUS_INTERVAL {
            self.last_report = Instant::now();
            let speed = total.puzzles as f64 / self.started.elapsed().as_secs_f64();
            let name = self
                .files
                .last_key_value()
                .map_or("", |(_, (name, _))| file_name(name));
            let exact = 100.0 * total.exact().unwrap_or(0.0);
            status.show(&format!(
                "{}  {} puzzles, {exact:.1} % exact, {speed:.1} puzzles/s",
                printable(name),
                total.puzzles
            ));
        }
    }

    /// Removes the progress line.
    ///
    /// # Errors
    /// No puzzle could run, and Ctrl-C is not the reason.
    pub(crate) fn close(
        &mut self,
        files: &[PathBuf],
        interrupted: bool,
    ) -> Result<(), CommandError> {
        if let Some(status) = &mut self.status {
            status.clear();
        }
        if self.total().puzzles == 0 && !interrupted {
            let files: Vec<String> = files.iter().map(|p| display_path(p)).collect();
            let message = format!("no puzzle of {} could be run", files.join(", "));
            return Err(Error::new(ErrorKind::Puzzle, message).into());
        }
        Ok(())
    }

    /// Returns the `summary` record, which is the last line of `--json`.
    pub(crate) fn summary(&self, interrupted: bool) -> Value {
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
            "limit": self.limit.filter(|_| self.reached_limit()),
            "interrupted": interrupted,
            "seconds": rounded(seconds, 3),
            "schema": report::SCHEMA,
        })
    }

    /// Prints a table with a row for each file, and one for all files if there are several.
    pub(crate) fn print_table(&self) -> Result<(), CommandError> {
        let total = self.total();
        let mut rows: Vec<(&str, &Metrics)> = self
            .files
            .values()
            .map(|(name, metrics)| (file_name(name), metrics))
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
        print_text(format_args!(
            "{:<width$}  puzzles  exact %  cell %  valid %  steps  halted  right of halted %",
            "file"
        ))?;
        for (name, metrics) in rows {
            print_text(format_args!(
                "{name:<width$}  {:>7}  {:>7}  {:>6}  {:>7}  {:>5}  {:>6}  {:>17}",
                metrics.puzzles,
                percent(metrics.exact()),
                percent(metrics.cell()),
                percent(metrics.valid()),
                steps(metrics.mean_steps()),
                metrics.halted,
                percent(metrics.halt_precision()),
            ))?;
        }
        Ok(())
    }

    /// Returns a row of the table that compares numbers of starts.
    pub(crate) fn multi_start_row(&self, starts: usize) -> String {
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

    /// Prints which part of the data the figures are about, if it is not the whole, to standard
    /// error. A figure over a part is not that of the whole.
    pub(crate) fn eprint_part(&self, interrupted: bool) {
        if self.shared.quiet {
            return;
        }
        let scored = self.total().puzzles;
        let mut reasons = Vec::new();
        if let Some(limit) = self.limit.filter(|_| self.reached_limit()) {
            reasons.push(format!("--limit {limit} leaves out the rest of a file"));
        }
        if self.errors > 0 {
            reasons.push(format!("{} records in error are not counted", self.errors));
        }
        if interrupted {
            reasons.push("stopped by Ctrl-C".to_string());
        }
        if !reasons.is_empty() {
            let reasons = reasons.join("; ");
            eprint_line(format_args!(
                "scored {scored} puzzles, a part of the data: {reasons}"
            ));
        }
    }

    /// Returns whether the limit may have left out puzzles of a file.
    fn reached_limit(&self) -> bool {
        let limit = self.limit.map_or(u64::MAX, |limit| limit as u64);
        self.read.values().any(|read| *read >= limit)
    }

    /// Prints the model, device and speed to standard error.
    pub(crate) fn eprint_speed(&self) {
        if self.shared.quiet {
            return;
        }
        let speed = self.total().puzzles as f64 / self.seconds().max(1e-9);
        eprint_line(format_args!(
            "{} on {}; halting rule {}, {speed:.1} puzzles/s",
            self.model.name,
            self.model.device_label(self.model.device),
            self.rule.name()
        ));
    }
}

/// Returns the last part of a path.
fn file_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}
