//! The tasks that are evaluated: their test inputs, the votes for each, and what comes of them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use trm_runtime::task::{Cells, Id, Votes};
use trm_runtime::{Error, ErrorKind};

use crate::args::ArcArgs;
use crate::input::{Body, Intake, Item, Next, located};
use crate::models::shown;
use crate::report::rounded;

pub(super) type Grid = Vec<Vec<i64>>;

/// The longest file of solutions, in bytes; the published ones have less than one.
const MAX_SOLUTIONS: u64 = 64 << 20;
/// What is handed in where nothing was predicted, as in the contest's own sample.
const NOTHING: [[i64; 2]; 2] = [[0; 2]; 2];

/// Tasks in the order of the input.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) names: Vec<String>,
    pub(super) tests: Vec<Test>,
    /// Records that are no ARC tasks.
    pub(super) errors: Vec<Error>,
}

/// A test input.
#[derive(Debug)]
pub(super) struct Test {
    /// Number of its task.
    pub(super) task: usize,
    /// What it is called: the task, with a number where that has several.
    pub(super) id: Id,
    pub(super) grid: Grid,
    solution: Option<Grid>,
    pub(super) votes: Votes,
    outcome: Option<Outcome>,
}

/// What the votes came to.
#[derive(Debug)]
struct Outcome {
    /// The best two; the best twice if there is no other.
    attempts: [Grid; 2],
    /// Votes for each.
    votes: [usize; 2],
    predictions: usize,
    /// Place of the solution among the candidates, from 0.
    rank: Option<usize>,
}

impl Tasks {
    /// Reads the tasks, and the solutions where there are any.
    pub(super) fn read(args: &ArcArgs) -> trm_runtime::Result<Tasks> {
        let mut tasks = Tasks::default();
        let mut known = HashMap::new();
        let mut intake = Intake::start(args.tasks.clone(), None);
        loop {
            match intake.next(Duration::from_secs(1)) {
                Next::Item(item) => {
                    if let Err(e) = tasks.take(*item, &mut known) {
                        tasks.errors.push(e);
                    }
                }
                Next::NotYet => {}
                Next::End => break,
            }
        }
        if let Some(path) = &args.solutions {
            tasks
                .take_solutions(path, &known)
                .map_err(|e| e.context(shown(path)))?;
        }
        if tasks.tests.is_empty() {
            let none = || Error::new(ErrorKind::Puzzle, "there is no ARC task");
            return Err(tasks.errors.into_iter().next().unwrap_or_else(none));
        }
        Ok(tasks)
    }

    fn take(&mut self, item: Item, known: &mut HashMap<String, usize>) -> trm_runtime::Result<()> {
        let id = item.id.unwrap_or(Id::Number(item.number));
        let wrong = |message: &str| {
            let error = Error::new(ErrorKind::Puzzle, message);
            Err(located(error, &item.file, item.line, &id))
        };
        let Body::Puzzle(puzzle) = item.body? else {
            return wrong("this is a row of tokens, not an ARC task");
        };
        let Cells::Arc(arc) = puzzle.cells else {
            return wrong("this is no ARC task");
        };
        let Some(name) = arc.task else {
            return wrong("the document does not say which ARC task this is: give it an id");
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
            outcome: None,
        });
        Ok(())
    }

    /// Solutions in the contest's format: for each task the outputs of its test inputs.
    fn take_solutions(
        &mut self,
        path: &Path,
        known: &HashMap<String, usize>,
    ) -> trm_runtime::Result<()> {
        let mut text = Vec::new();
        let file = File::open(path).map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
        file.take(MAX_SOLUTIONS + 1)
            .read_to_end(&mut text)
            .map_err(|e| Error::new(ErrorKind::Io, e.to_string()))?;
        let wrong = |message: String| Error::new(ErrorKind::Puzzle, message);
        if text.len() as u64 > MAX_SOLUTIONS {
            return Err(wrong(format!(
                "solutions have at most {} MB",
                MAX_SOLUTIONS >> 20
            )));
        }
        let solutions: BTreeMap<String, Vec<Grid>> =
            serde_json::from_slice(&text).map_err(|e| {
                wrong(format!(
                    "expected an object of task names and lists of grids: {e}"
                ))
            })?;
        let mut found = false;
        for (name, outputs) in solutions {
            let Some(&task) = known.get(&name) else {
                continue;
            };
            let mut tests: Vec<&mut Test> = self
                .tests
                .iter_mut()
                .filter(|test| test.task == task)
                .collect();
            if tests.len() != outputs.len() {
                let (there, inputs) = (outputs.len(), tests.len());
                return Err(wrong(format!(
                    "has {there} outputs, the task {inputs} test inputs"
                ))
                .context(name));
            }
            for (test, output) in tests.iter_mut().zip(outputs) {
                test.solution = Some(output);
            }
            found = true;
        }
        match found {
            true => Ok(()),
            false => Err(wrong("has none of the tasks".into())),
        }
    }

    /// Counts the votes for a test input, which are not needed afterwards.
    pub(super) fn close(&mut self, test: usize) {
        let test = &mut self.tests[test];
        let votes = std::mem::take(&mut test.votes);
        let ranked = votes.ranked();
        let attempt = |place: usize| ranked.get(place).or(ranked.first());
        let grid =
            |place| attempt(place).map_or_else(|| NOTHING.map(Vec::from).into(), |c| c.grid());
        let right = |solution: &Grid| {
            ranked
                .iter()
                .position(|candidate| candidate.grid() == *solution)
        };
        test.outcome = Some(Outcome {
            attempts: [grid(0), grid(1)],
            votes: [0, 1].map(|place| attempt(place).map_or(0, |c| c.votes)),
            predictions: ranked.iter().map(|c| c.votes).sum(),
            rank: test.solution.as_ref().and_then(right),
        });
    }

    /// Closes what is open.
    pub(super) fn close_all(&mut self) {
        for test in 0..self.tests.len() {
            if self.tests[test].outcome.is_none() {
                self.close(test);
            }
        }
    }

    /// Predictions that were counted.
    pub(super) fn predictions(&self) -> usize {
        self.tests
            .iter()
            .filter_map(|test| test.outcome.as_ref())
            .map(|o| o.predictions)
            .sum()
    }

    /// The contest's file: two attempts for each test input of each task.
    pub(super) fn submission(&self) -> Value {
        let mut tasks: Vec<(&String, Vec<Value>)> =
            self.names.iter().map(|name| (name, Vec::new())).collect();
        for test in &self.tests {
            if let Some(Outcome {
                attempts: [one, two],
                ..
            }) = &test.outcome
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

    /// A line of JSON for each test input.
    pub(super) fn records(&self) -> impl Iterator<Item = Value> {
        self.tests.iter().filter_map(|test| {
            let Outcome {
                attempts,
                votes,
                predictions,
                rank,
            } = test.outcome.as_ref()?;
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

    /// pass@k: the share of a task's test inputs whose solution is among the best k candidates, mean over the tasks that have
    /// solutions; none if none has.
    pub(super) fn pass(&self, k: usize) -> Option<f64> {
        let mut shares = vec![(0, 0); self.names.len()];
        for test in self.tests.iter().filter(|test| test.solution.is_some()) {
            let right = test
                .outcome
                .as_ref()
                .and_then(|o| o.rank)
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
