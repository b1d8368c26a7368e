//! The evaluated tasks: their test inputs, the votes for each, and the results.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use trm_runtime::task::{Cells, Id, Votes};
use trm_runtime::{Error, ErrorKind};

use crate::args::ArcArgs;
use crate::input::{Body, Next, NumberedRecord, RecordReader, located};
use crate::interrupt::Interrupt;
use crate::models::display_path;
use crate::output::printable;
use crate::report::rounded;

pub(super) type Grid = Vec<Vec<i64>>;

/// How long a task is waited for before Ctrl-C is looked for again.
const READ_WAIT: Duration = Duration::from_millis(100);
/// Maximum size of a file of solutions. The published ones are smaller than 1 MiB.
const MAX_SOLUTIONS_BYTES: u64 = 64 << 20;
/// The attempt for a test input without predictions, as in the contest's sample.
const EMPTY_ATTEMPT: [[i64; 2]; 2] = [[0; 2]; 2];

/// Tasks in the order of the input.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) names: Vec<String>,
    pub(super) tests: Vec<Test>,
    /// Errors of the records that are not ARC tasks.
    pub(super) errors: Vec<Error>,
    /// Names in the file of solutions that are no task of the input.
    pub(super) unused_solutions: Vec<String>,
}

/// A test input.
#[derive(Debug)]
pub(super) struct Test {
    /// Index of its task.
    pub(super) task: usize,
    /// Name of the task, with a number if the task has several test inputs.
    pub(super) id: Id,
    pub(super) grid: Grid,
    solution: Option<Grid>,
    pub(super) votes: Votes,
    /// The result, once the votes are counted.
    result: Option<VoteResult>,
}

/// The result of counting the votes.
#[derive(Debug)]
struct VoteResult {
    /// The best two answers. If there is only one, it is there twice.
    attempts: [Grid; 2],
    /// Votes for each attempt.
    votes: [usize; 2],
    predictions: usize,
    /// Rank of the solution among the answers, from 0.
    rank: Option<usize>,
}

impl Tasks {
    /// Reads the tasks, and the solutions if given. `None`: Ctrl-C stopped it.
    pub(super) fn read(args: &ArcArgs, interrupt: &Interrupt) -> trm_runtime::Result<Option<Self>> {
        let mut tasks = Self::default();
        let mut known = HashMap::new();
        let mut reader = RecordReader::start(args.tasks.clone(), None)?;
        loop {
            if interrupt.asked.is_cancelled() {
                return Ok(None);
            }
            match reader.next(READ_WAIT) {
                Next::Record(record) => {
                    if let Err(e) = tasks.add(*record, &mut known) {
                        tasks.errors.push(e);
                    }
                }
                Next::NotYet => {}
                Next::End => break,
            }
        }
        if let Some(path) = &args.solutions {
            tasks
                .add_solutions(path, &known)
                .map_err(|e| e.context(display_path(path)))?;
        }
        if tasks.tests.is_empty() {
            let none = || Error::new(ErrorKind::Puzzle, "there is no ARC task");
            return Err(tasks.errors.into_iter().next().unwrap_or_else(none));
        }
        Ok(Some(tasks))
    }

    /// Returns the number of test inputs without a prediction.
    pub(super) fn missing(&self) -> usize {
        let results = self.tests.iter().map(|test| test.result.as_ref());
        results
            .filter(|result| result.is_none_or(|result| result.predictions == 0))
            .count()
    }

    /// Adds the test input of a record.
    fn add(
        &mut self,
        record: NumberedRecord,
        known: &mut HashMap<String, usize>,
    ) -> trm_runtime::Result<()> {
        let id = record.id.unwrap_or(Id::Number(record.number));
        let wrong = |message: &str| {
            let error = Error::new(ErrorKind::Puzzle, message);
            Err(located(error, &record.file, record.line, &id))
        };
        let Body::Puzzle(puzzle) = record.body? else {
            return wrong("this is a row of tokens, not an ARC task");
        };
        let Cells::Arc(arc) = puzzle.cells else {
            return wrong("this is not an ARC task");
        };
        let Some(name) = arc.task else {
            return wrong("the name of the ARC task is missing: expected an `id` in the document");
        };
        let task = *known.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            self.names.len() - 1
        });
        self.tests.push(Test {
            task,
            id,
            grid: arc.test,
            solution: match puzzle.solution {
                Some(Cells::Grid(grid)) => Some(grid),
                _ => None,
            },
            votes: Votes::default(),
            result: None,
        });
        Ok(())
    }

    /// Adds solutions in the contest's format: for each task the outputs of its test inputs.
    fn add_solutions(
        &mut self,
        path: &Path,
        known: &HashMap<String, usize>,
    ) -> trm_runtime::Result<()> {
        let mut text = Vec::new();
        let file = File::open(path).map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
        file.take(MAX_SOLUTIONS_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
        let wrong = |message: String| Error::new(ErrorKind::Puzzle, message);
        if text.len() as u64 > MAX_SOLUTIONS_BYTES {
            return Err(wrong(format!(
                "the file is larger than {} MiB",
                MAX_SOLUTIONS_BYTES >> 20
            )));
        }
        let solutions: BTreeMap<String, Value> = serde_json::from_slice(&text).map_err(|e| {
            wrong(format!(
                "expected an object of task names and lists of grids: {e}"
            ))
        })?;
        let mut found = false;
        let mut others = Vec::new();
        for (name, outputs) in solutions {
            let Some(&task) = known.get(&name) else {
                others.push(name);
                continue;
            };
            let outputs = outputs_of(&outputs).map_err(|e| e.context(&name))?;
            let mut tests: Vec<&mut Test> = self
                .tests
                .iter_mut()
                .filter(|test| test.task == task)
                .collect();
            if tests.len() != outputs.len() {
                let (outputs, inputs) = (outputs.len(), tests.len());
                let message =
                    format!("has {outputs} outputs, but the task has {inputs} test inputs");
                return Err(wrong(message).context(name));
            }
            for (test, output) in tests.iter_mut().zip(outputs) {
                if test.solution.as_ref().is_some_and(|known| *known != output) {
                    let message = "differs from the `output` in the file of tasks";
                    return Err(wrong(message.into()).context(format!("test input {}", test.id)));
                }
                test.solution = Some(output);
            }
            found = true;
        }
        if !found {
            let message = format!(
                "the file has a solution for none of the tasks; it has {}",
                shown_names(&others)
            );
            return Err(wrong(message));
        }
        self.unused_solutions = others;
        Ok(())
    }

    /// Returns the numbers of scored tasks and of all tasks, and the names of those without a
    /// solution. `None` if no task has a solution.
    pub(super) fn scored(&self) -> Option<(usize, Vec<String>)> {
        let mut has_solution = vec![false; self.names.len()];
        for test in self.tests.iter().filter(|test| test.solution.is_some()) {
            has_solution[test.task] = true;
        }
        let scored = has_solution.iter().filter(|scored| **scored).count();
        let names = self.names.iter().zip(has_solution);
        let missing = names
            .filter(|(_, scored)| !scored)
            .map(|(name, _)| name.clone());
        (scored > 0).then(|| (scored, missing.collect()))
    }

    /// Counts the votes for a test input and frees them.
    pub(super) fn close(&mut self, test: usize) {
        let test = &mut self.tests[test];
        let votes = std::mem::take(&mut test.votes);
        let ranked = votes.ranked();
        let attempt = |rank: usize| ranked.get(rank).or(ranked.first());
        let grid =
            |rank| attempt(rank).map_or_else(|| EMPTY_ATTEMPT.map(Vec::from).into(), |c| c.grid());
        let right = |solution: &Grid| {
            ranked
                .iter()
                .position(|candidate| candidate.grid() == *solution)
        };
        test.result = Some(VoteResult {
            attempts: [grid(0), grid(1)],
            votes: [0, 1].map(|rank| attempt(rank).map_or(0, |c| c.votes)),
            predictions: ranked.iter().map(|c| c.votes).sum(),
            rank: test.solution.as_ref().and_then(right),
        });
    }

    /// Counts the votes for all test inputs whose votes are not counted yet.
    pub(super) fn close_all(&mut self) {
        for test in 0..self.tests.len() {
            if self.tests[test].result.is_none() {
                self.close(test);
            }
        }
    }

    /// Returns the number of predictions that were counted.
    pub(super) fn predictions(&self) -> usize {
        self.tests
            .iter()
            .filter_map(|test| test.result.as_ref())
            .map(|result| result.predictions)
            .sum()
    }

    /// Returns the contest's file: two attempts for each test input of each task.
    pub(super) fn submission(&self) -> Value {
        let mut tasks: Vec<(&String, Vec<Value>)> =
            self.names.iter().map(|name| (name, Vec::new())).collect();
        for test in &self.tests {
            if let Some(VoteResult {
                attempts: [one, two],
                ..
            }) = &test.result
            {
                tasks[test.task]
                    .1
                    .push(json!({"attempt_1": one, "attempt_2": two}));
            }
        }
        tasks
            .into_iter()
            .map(|(name, tests)| (name.clone(), tests.into()))
            .collect::<Map<_, _>>()
            .into()
    }

    /// Returns a JSON record for each test input.
    pub(super) fn records(&self) -> impl Iterator<Item = Value> {
        self.tests.iter().filter_map(|test| {
            let VoteResult {
                attempts,
                votes,
                predictions,
                rank,
            } = test.result.as_ref()?;
            let mut record = json!({
                "type": "answer",
                "id": test.id.to_json(),
                "task": "arc",
                "answer": attempts[0],
                "attempts": attempts,
                "votes": votes,
                "predictions": predictions,
            });
            if test.solution.is_some() {
                record["correct"] = rank.is_some_and(|rank| rank < 2).into();
            }
            Some(record)
        })
    }

    /// Returns pass@k: the fraction of a task's test inputs whose solution is among the best k
    /// answers, averaged over the tasks with solutions. `None` if no task has one.
    pub(super) fn pass(&self, k: usize) -> Option<f64> {
        let mut shares = vec![(0, 0); self.names.len()];
        for test in self.tests.iter().filter(|test| test.solution.is_some()) {
            let right = test
                .result
                .as_ref()
                .and_then(|result| result.rank)
                .is_some_and(|rank| rank < k);
            shares[test.task].0 += usize::from(right);
            shares[test.task].1 += 1;
        }
        let shares: Vec<f64> = shares
            .into_iter()
            .filter(|(_, tests)| *tests > 0)
            .map(|(right, tests)| right as f64 / tests as f64)
            .collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        (!shares.is_empty()).then(|| rounded(mean, 6))
    }
}

/// Maximum number of tasks that are named.
const MAX_SHOWN_NAMES: usize = 5;

/// Returns the first of the names as a list, without control characters.
pub(super) fn shown_names(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(MAX_SHOWN_NAMES)
        .map(|name| printable(name));
    let shown: Vec<_> = shown.collect();
    let more = if names.len() > MAX_SHOWN_NAMES {
        ", ..."
    } else {
        ""
    };
    format!("{}{more}", shown.join(", "))
}

/// Returns the outputs of a task: a list of grids, or one grid.
fn outputs_of(outputs: &Value) -> trm_runtime::Result<Vec<Grid>> {
    let wrong = || {
        let message = "expected a list of grids, each a list of rows of numbers";
        Error::new(ErrorKind::Puzzle, message)
    };
    let list = outputs.as_array().ok_or_else(wrong)?;
    let is_cell = |value: &Value| value.is_number() || value.is_string();
    let is_grid = list
        .iter()
        .all(|row| row.as_array().is_some_and(|row| row.iter().all(is_cell)) && row != &json!([]));
    if is_grid && !list.is_empty() {
        return Ok(vec![grid_of(outputs)?]);
    }
    let grid = |(i, grid)| grid_of(grid).map_err(|e| e.context(format!("output {}", i + 1)));
    list.iter().enumerate().map(grid).collect()
}

/// Returns a grid of colours: whole numbers from 0 to 9 in rows of the same length.
fn grid_of(grid: &Value) -> trm_runtime::Result<Grid> {
    const MAX_SIDE: usize = 30;
    let wrong = |message: String| Error::new(ErrorKind::Puzzle, message);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a whole number from 0 to 9"
    )]
    let color = |value: &Value| -> Option<i64> {
        let number = match value {
            Value::String(text) if text.len() == 1 => text.parse().ok()?,
            // A whole float is a whole number.
            number => number.as_f64()?,
        };
        (number.fract() == 0.0 && (0.0..=9.0).contains(&number)).then_some(number as i64)
    };
    let rows = grid
        .as_array()
        .ok_or_else(|| wrong("is not a list of rows".into()))?;
    if !(1..=MAX_SIDE).contains(&rows.len()) {
        return Err(wrong(format!(
            "has {} rows: a grid has 1 to {MAX_SIDE}",
            rows.len()
        )));
    }
    let row = |(r, row): (usize, &Value)| {
        let digits: Option<Vec<Value>> = row
            .as_str()
            .map(|text| text.chars().map(|c| Value::from(c.to_string())).collect());
        let cells = digits.as_ref().or(row.as_array());
        let cells =
            cells.ok_or_else(|| wrong(format!("row {} is not a list of colours", r + 1)))?;
        let cell = |(c, cell): (usize, &Value)| {
            color(cell).ok_or_else(|| {
                let shown: String = cell.to_string().chars().take(20).collect();
                wrong(format!(
                    "{shown} in row {}, column {} is not a colour: colours are 0 to 9",
                    r + 1,
                    c + 1
                ))
            })
        };
        cells
            .iter()
            .enumerate()
            .map(cell)
            .collect::<trm_runtime::Result<Vec<i64>>>()
    };
    let rows: Grid = rows
        .iter()
        .enumerate()
        .map(row)
        .collect::<trm_runtime::Result<_>>()?;
    let width = rows.first().map_or(0, Vec::len);
    if !(1..=MAX_SIDE).contains(&width) {
        return Err(wrong(format!(
            "has {width} columns: a grid has 1 to {MAX_SIDE}"
        )));
    }
    match rows.iter().position(|row| row.len() != width) {
        Some(r) => Err(wrong(format!(
            "row {} has {} cells, but row 1 has {width}",
            r + 1,
            rows[r].len()
        ))),
        None => Ok(rows),
    }
}
