//! `eval`: how good a model is, on puzzles with solutions.

use std::collections::BTreeMap;
use std::rc::Rc;

use trm::{Answer, HaltRule};

use crate::args::{EvalArgs, Shared};
use crate::compare::Comparison;
use crate::input::{Intake, Item};
use crate::interrupt::Interrupt;
use crate::marks::{Marks, Ready};
use crate::models::{self, Opened, named, open, shown, solver};
use crate::output::{Done, Failure, print};
use crate::stream::{self, Desk, Work};

/// Runs the command.
pub(crate) fn run(shared: &Shared, args: &EvalArgs, interrupt: &Interrupt) -> Result<Done, Failure> {
    let path = named(&args.subject, shared)?;
    let rule = models::rule(shared).unwrap_or(HaltRule::Head);
    let solver = solver(open(path, shared)?, shared)?
        .halt(rule)
        .cancel_token(interrupt.now.clone());
    let model = Rc::new(Opened::new(&shown(path), solver, shared)?);
    let mut comparison = args
        .compare
        .map(|baseline| Comparison::of_formats(&model, baseline, shared))
        .transpose()?;
    let mut intake = Intake::start(args.data.clone(), args.limit);
    let mut marks = Marks::new(shared, model.clone(), rule);
    let batch = models::batch(shared);
    let interrupted = match &mut comparison {
        Some(comparison) => comparison.run(&mut marks, &mut intake, batch, &interrupt.asked)?,
        None => {
            let mut eval = Eval::new(&mut marks, model);
            stream::run(&mut eval, &mut intake, batch, interrupt)?
        }
    };
    marks.close(&args.data, interrupted)?;
    if shared.json {
        for record in comparison.iter().flat_map(|c| c.records(rule)) {
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
    Ok(match interrupted {
        true => Done::Interrupted,
        false if marks.errors > 0 => Done::Wrong,
        false => Done::Well,
    })
}

/// The command at work, without a comparison.
struct Eval<'a, 'b> {
    marks: &'a mut Marks<'b>,
    model: Rc<Opened>,
    /// For each work that has not ended its file and its solution.
    open: BTreeMap<usize, (usize, Vec<u32>)>,
    works: usize,
}

impl<'a, 'b> Eval<'a, 'b> {
    fn new(marks: &'a mut Marks<'b>, model: Rc<Opened>) -> Eval<'a, 'b> {
        Eval {
            marks,
            model,
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
        self.open.insert(self.works, (file, solution));
        self.works += 1;
        Ok(Some(Work {
            model: self.model.clone(),
            problem,
            task,
        }))
    }

    fn end(&mut self, work: usize, answer: Answer) -> Result<(), Failure> {
        if let Some((file, solution)) = self.open.remove(&work) {
            self.marks.add(file, &answer, &solution);
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.marks.tick();
    }
}
