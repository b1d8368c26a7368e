//! `eval`: measures the accuracy of a model on puzzles with solutions.

mod compare;
mod curve;
mod drift;
mod metrics;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use trm_runtime::task::{EncodedPuzzle, Task};
use trm_runtime::{Answer, Error, HaltRule, MultiStart, PuzzleStep, Solver};

use crate::args::{EvalArgs, Shared};
use crate::input::{NumberedRecord, RecordReader, input_files};
use crate::interrupt::Interrupt;
use crate::models::{LoadedModel, display_path, model_path, open, solver_builder};
use crate::output::{CommandError, CommandStatus, eprint_line, print};
use crate::output_file::{OutputFile, Printed, check_stdout_is_no_input};
use crate::stream::{self, PreparedPuzzle, RecordHandler};
use compare::Comparison;
use curve::Curve;
use metrics::{EvalReport, LabeledPuzzle, RecordName};

/// Runs the command.
pub(crate) fn run(
    shared: &Shared,
    args: &EvalArgs,
    interrupt: &Interrupt,
) -> Result<CommandStatus, CommandError> {
    let path = model_path(&args.subject, shared)?;
    let rule = shared.halt_rule().unwrap_or(HaltRule::Head);
    let starts = args.effort.first().copied().unwrap_or(1);
    let solver = solver_builder(shared)?
        .halt_rule(rule)
        .cancel_token(interrupt.now.clone())
        .multi_start(multi_start(shared, starts))
        .build(open(path, shared)?)?;
    let inputs = [input_files(&args.data).as_slice(), solver.model().files()].concat();
    check_stdout_is_no_input(&inputs)?;
    if args.effort.len() > 1 {
        return compare_multi_starts(shared, args, solver, rule, interrupt);
    }
    let printed = if shared.json {
        Printed::Records
    } else {
        Printed::Tables
    };
    let plot = args
        .curve
        .as_ref()
        .map(|file| OutputFile::create(file, printed, &inputs))
        .transpose()?;
    let model = Rc::new(LoadedModel::new(&display_path(path), solver, shared)?);
    let mut comparison = args
        .compare
        .map(|baseline| Comparison::of_dtypes(&model, baseline, shared))
        .transpose()?;
    let mut report = EvalReport::new(shared, model.clone(), rule, args.limit);
    let mut curve = args.curve.as_ref().map(|_| Curve::default());
    let interrupted = match &mut comparison {
        Some(comparison) => {
            let mut reader = RecordReader::start(args.data.clone(), args.limit)?;
            comparison.run(
                &mut report,
                &mut reader,
                shared.batch_size(),
                &interrupt.asked,
            )?
        }
        None => evaluate(shared, args, &mut report, curve.as_mut(), interrupt)?,
    };
    report.close(&args.data, interrupted)?;
    if shared.json {
        for record in comparison.iter().flat_map(|c| c.records(rule)) {
            print(record)?;
        }
        for record in curve.iter().flat_map(|c| c.records(&report)) {
            print(record)?;
        }
        print(report.summary(interrupted))?;
    } else {
        report.print_table()?;
        if let Some(comparison) = &comparison {
            comparison.print_tables()?;
        }
        report.eprint_speed();
        report.eprint_part(interrupted);
    }
    // Last, so that all figures are printed even if the plot cannot be written.
    if let (Some(curve), Some(file)) = (&curve, plot) {
        match (interrupted, report.puzzles()) {
            (true, 0) => eprint_line(format_args!("stopped before the first answer: no plot")),
            (true, puzzles) => {
                let path = file.write_partial(&curve.svg(&report), &interrupt.now, &inputs)?;
                let path = path.display();
                eprint_line(format_args!(
                    "wrote {path}: only {puzzles} puzzles, then stopped"
                ));
            }
            (false, _) => file.write(&curve.svg(&report), &interrupt.now)?,
        }
    }
    Ok(status(interrupted, report.errors))
}

fn multi_start(shared: &Shared, starts: usize) -> MultiStart {
    MultiStart::new(starts).with_seed(shared.seed)
}

fn status(interrupted: bool, errors: u64) -> CommandStatus {
    match interrupted {
        true => CommandStatus::Interrupted,
        false if errors > 0 => CommandStatus::Invalid,
        false => CommandStatus::Success,
    }
}

/// Solves all puzzles. Returns whether Ctrl-C stopped it.
fn evaluate(
    shared: &Shared,
    args: &EvalArgs,
    report: &mut EvalReport,
    curve: Option<&mut Curve>,
    interrupt: &Interrupt,
) -> Result<bool, CommandError> {
    let mut reader = RecordReader::start(args.data.clone(), args.limit)?;
    let mut handler = Eval::new(report, curve);
    stream::run(&mut handler, &mut reader, shared.batch_size(), interrupt)
}

/// Evaluates the same puzzles with each number of starts, and prints a row for each.
fn compare_multi_starts(
    shared: &Shared,
    args: &EvalArgs,
    solver: Solver,
    rule: HaltRule,
    interrupt: &Interrupt,
) -> Result<CommandStatus, CommandError> {
    let path = model_path(&args.subject, shared)?;
    let mut last_status = CommandStatus::Success;
    for (i, &starts) in args.effort.iter().enumerate() {
        let solver = solver
            .to_builder()
            .multi_start(multi_start(shared, starts))
            .build(solver.model().clone())?;
        let model = Rc::new(LoadedModel::new(&display_path(path), solver, shared)?);
        let mut report = EvalReport::new(shared, model, rule, args.limit);
        let interrupted = evaluate(shared, args, &mut report, None, interrupt)?;
        report.close(&args.data, interrupted)?;
        let mut summary = report.summary(interrupted);
        if shared.json {
            if i + 1 < args.effort.len() && !interrupted {
                summary["type"] = "effort".into();
            }
            print(summary)?;
        } else {
            if i == 0 {
                print("effort  puzzles  exact %  valid %  steps  seconds")?;
            }
            print(report.multi_start_row(starts))?;
            report.eprint_part(interrupted);
        }
        last_status = status(interrupted, report.errors);
        if interrupted {
            break;
        }
    }
    Ok(last_status)
}

/// The state of the command, without `--compare`.
struct Eval<'a, 'b> {
    report: &'a mut EvalReport<'b>,
    curve: Option<&'a mut Curve>,
    /// The puzzles in progress, by their prepared index.
    in_progress: BTreeMap<usize, InProgress>,
    /// Number of prepared puzzles.
    prepared_count: usize,
}

/// A puzzle in progress.
struct InProgress {
    /// Index of its file.
    file: usize,
    /// The record that it comes from.
    record: RecordName,
    solution: Vec<u32>,
    /// The puzzle and its task, to judge the answer after each step. For a curve.
    rules: Option<(EncodedPuzzle, Arc<dyn Task>)>,
}

impl<'a, 'b> Eval<'a, 'b> {
    fn new(report: &'a mut EvalReport<'b>, curve: Option<&'a mut Curve>) -> Self {
        Eval {
            report,
            curve,
            in_progress: BTreeMap::new(),
            prepared_count: 0,
        }
    }
}

impl RecordHandler for Eval<'_, '_> {
    fn has_room(&self) -> bool {
        true
    }

    fn begin(&mut self, _alone: bool) {}

    fn prepare(&mut self, record: NumberedRecord) -> Result<Option<PreparedPuzzle>, CommandError> {
        let Some(labeled) = self.report.prepare(record)? else {
            return Ok(None);
        };
        let LabeledPuzzle {
            file,
            record,
            puzzle,
            task,
            solution,
        } = labeled;
        let rules = self.wants_steps().then(|| (puzzle.clone(), task.clone()));
        self.in_progress.insert(
            self.prepared_count,
            InProgress {
                file,
                record,
                solution,
                rules,
            },
        );
        self.prepared_count += 1;
        Ok(Some(PreparedPuzzle {
            model: self.report.model.clone(),
            puzzle,
            task,
        }))
    }

    fn wants_steps(&self) -> bool {
        self.curve.is_some()
    }

    fn step(&mut self, prepared: usize, step: &PuzzleStep) -> Result<(), CommandError> {
        if let (Some(curve), Some(current)) = (&mut self.curve, self.in_progress.get(&prepared))
            && let Some((puzzle, task)) = &current.rules
        {
            let exact = puzzle.is_solved_by(&step.tokens) == Some(true);
            let valid = task.verify(puzzle, &step.tokens).valid;
            curve.add(current.file, step.step, exact, valid);
        }
        Ok(())
    }

    fn end(&mut self, prepared: usize, answer: Answer) -> Result<(), CommandError> {
        if let Some(ended) = self.in_progress.remove(&prepared) {
            if let Some(curve) = &mut self.curve {
                let exact = answer.correct == Some(true);
                curve.end(ended.file, answer.steps, exact, answer.valid);
            }
            self.report.add(ended.file, &answer, &ended.solution);
        }
        Ok(())
    }

    fn fail(&mut self, prepared: usize, error: Error) -> Result<(), CommandError> {
        match self.in_progress.remove(&prepared) {
            Some(failed) => self.report.fail(&failed.record, error),
            None => Ok(()),
        }
    }

    fn tick(&mut self) {
        self.report.tick();
    }
}
