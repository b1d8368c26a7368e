//! `eval`: how good a model is, on puzzles with solutions.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use trm_runtime::task::{EncodedPuzzle, Task};
use trm_runtime::{Answer, HaltRule, MultiStart, PuzzleStep, Solver};

use crate::args::{EvalArgs, Shared};
use crate::compare::Comparison;
use crate::curve::Curve;
use crate::input::{Intake, Item};
use crate::interrupt::Interrupt;
use crate::marks::{Marks, Ready};
use crate::models::{self, Opened, named, open, shown};
use crate::output::{Done, Failure, print};
use crate::stream::{self, Desk, Work};

/// Runs the command.
pub(crate) fn run(
    shared: &Shared,
    args: &EvalArgs,
    interrupt: &Interrupt,
) -> Result<Done, Failure> {
    let path = named(&args.subject, shared)?;
    let rule = models::rule(shared).unwrap_or(HaltRule::Head);
    let starts = args.effort.first().copied().unwrap_or(1);
    let solver = models::builder(shared)?
        .halt_rule(rule)
        .cancel_token(interrupt.now.clone())
        .multi_start(multi_start(shared, starts))
        .build(open(path, shared)?)?;
    if args.effort.len() > 1 {
        return efforts(shared, args, solver, rule, interrupt);
    }
    let model = Rc::new(Opened::new(&shown(path), solver, shared)?);
    let mut comparison = args
        .compare
        .map(|baseline| Comparison::of_formats(&model, baseline, shared))
        .transpose()?;
    let mut marks = Marks::new(shared, model.clone(), rule);
    let mut curve = args.curve.as_ref().map(|_| Curve::default());
    let interrupted = match &mut comparison {
        Some(comparison) => {
            let mut intake = Intake::start(args.data.clone(), args.limit);
            comparison.run(
                &mut marks,
                &mut intake,
                models::batch(shared),
                &interrupt.asked,
            )?
        }
        None => evaluate(shared, args, &mut marks, curve.as_mut(), interrupt)?,
    };
    marks.close(&args.data, interrupted)?;
    if shared.json {
        for record in comparison.iter().flat_map(|c| c.records(rule)) {
            print(record)?;
        }
        for record in curve.iter().flat_map(|c| c.records(&marks)) {
            print(record)?;
        }
        print(marks.summary())?;
    } else {
        marks.table()?;
        if let Some(comparison) = &comparison {
            comparison.table()?;
        }
        marks.tell();
    }
    // Last, so that a picture that cannot be written takes no figures away.
    if let (Some(curve), Some(file)) = (&curve, &args.curve) {
        curve.draw(&marks, file)?;
    }
    Ok(ended(interrupted, marks.errors))
}

fn multi_start(shared: &Shared, starts: usize) -> MultiStart {
    MultiStart::new(starts).with_seed(shared.seed)
}

fn ended(interrupted: bool, errors: u64) -> Done {
    match interrupted {
        true => Done::Interrupted,
        false if errors > 0 => Done::Wrong,
        false => Done::Well,
    }
}

/// Solves all puzzles; whether it was interrupted.
fn evaluate(
    shared: &Shared,
    args: &EvalArgs,
    marks: &mut Marks,
    curve: Option<&mut Curve>,
    interrupt: &Interrupt,
) -> Result<bool, Failure> {
    let mut intake = Intake::start(args.data.clone(), args.limit);
    stream::run(
        &mut Eval::new(marks, curve),
        &mut intake,
        models::batch(shared),
        interrupt,
    )
}

/// The same puzzles with one effort after the other, a row each.
fn efforts(
    shared: &Shared,
    args: &EvalArgs,
    solver: Solver,
    rule: HaltRule,
    interrupt: &Interrupt,
) -> Result<Done, Failure> {
    let path = named(&args.subject, shared)?;
    let mut done = Done::Well;
    for (i, &starts) in args.effort.iter().enumerate() {
        let solver = solver
            .to_builder()
            .multi_start(multi_start(shared, starts))
            .build(solver.model().clone())?;
        let model = Rc::new(Opened::new(&shown(path), solver, shared)?);
        let mut marks = Marks::new(shared, model, rule);
        let interrupted = evaluate(shared, args, &mut marks, None, interrupt)?;
        marks.close(&args.data, interrupted)?;
        let mut summary = marks.summary();
        if shared.json {
            if i + 1 < args.effort.len() && !interrupted {
                summary["type"] = "effort".into();
            }
            print(summary)?;
        } else {
            if i == 0 {
                print("effort  puzzles  exact %  valid %  steps  seconds")?;
            }
            print(marks.effort_row(starts))?;
        }
        done = ended(interrupted, marks.errors);
        if interrupted {
            break;
        }
    }
    Ok(done)
}

/// The command at work, without a comparison.
struct Eval<'a, 'b> {
    marks: &'a mut Marks<'b>,
    curve: Option<&'a mut Curve>,
    /// The works that have not ended.
    open: BTreeMap<usize, Open>,
    works: usize,
}

/// A puzzle at work.
struct Open {
    file: usize,
    solution: Vec<u32>,
    /// What judges its answer after each step, for a curve.
    rules: Option<(EncodedPuzzle, Arc<dyn Task>)>,
}

impl<'a, 'b> Eval<'a, 'b> {
    fn new(marks: &'a mut Marks<'b>, curve: Option<&'a mut Curve>) -> Eval<'a, 'b> {
        Eval {
            marks,
            curve,
            open: BTreeMap::new(),
            works: 0,
        }
    }
}

impl Desk for Eval<'_, '_> {
    fn has_room(&self) -> bool {
        true
    }

    fn begin(&mut self, _alone: bool) {}

    fn prepare(&mut self, item: Item) -> Result<Option<Work>, Failure> {
        let Some(ready) = self.marks.prepare(item)? else {
            return Ok(None);
        };
        let Ready {
            file,
            problem,
            task,
            solution,
        } = ready;
        let rules = self.watches().then(|| (problem.clone(), task.clone()));
        self.open.insert(
            self.works,
            Open {
                file,
                solution,
                rules,
            },
        );
        self.works += 1;
        Ok(Some(Work {
            model: self.marks.model.clone(),
            problem,
            task,
        }))
    }

    fn watches(&self) -> bool {
        self.curve.is_some()
    }

    fn step(&mut self, work: usize, step: &PuzzleStep) -> Result<(), Failure> {
        if let (Some(curve), Some(open)) = (&mut self.curve, self.open.get(&work))
            && let Some((problem, task)) = &open.rules
        {
            let exact = problem.is_solved_by(&step.tokens) == Some(true);
            let valid = task.verify(problem, &step.tokens).valid;
            curve.add(open.file, step.step, exact, valid);
        }
        Ok(())
    }

    fn end(&mut self, work: usize, answer: Answer) -> Result<(), Failure> {
        if let Some(open) = self.open.remove(&work) {
            if let Some(curve) = &mut self.curve {
                curve.end(
                    open.file,
                    answer.steps,
                    answer.correct == Some(true),
                    answer.valid,
                );
            }
            self.marks.add(open.file, &answer, &open.solution);
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.marks.tick();
    }
}
