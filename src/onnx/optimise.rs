//! Lets tract optimise a graph within a time limit.
//!
//! tract's passes take more than linear time in the number of nodes, so that a file of 100 kB could
//! keep them busy for hours.

use std::time::{Duration, Instant};

use tract_onnx::prelude::{TractResult, TypedModel};
use tract_onnx::tract_core::model::TypedModelPatch;
use tract_onnx::tract_core::optim::{Optimizer, OptimizerSession, TypedPass};

use crate::error::Error;

/// Longest time for optimising a graph. The graphs of published models take up to 2 s.
pub(super) const MAX_TIME: Duration = Duration::from_secs(60);

/// Optimises a graph, as tract's `into_optimized` does.
///
/// # Errors
/// tract returns an error, or the time is over.
pub(super) fn optimise(mut model: TypedModel, limit: Duration) -> TractResult<TypedModel> {
    let start = Instant::now();
    let timed = |optimizer: Optimizer| Optimizer {
        passes: optimizer
            .passes
            .into_iter()
            .map(|pass| Box::new(TimedPass { pass, start, limit }) as Box<dyn TypedPass>)
            .collect(),
        ..optimizer
    };
    timed(Optimizer::declutter())
        .session()
        .optimize(&mut model)?;
    model.optimize_with_session(&mut timed(Optimizer::codegen()).session())?;
    Ok(model)
}

/// A pass that fails when the time is over. The time is checked before each change of the graph.
#[derive(Debug, Clone)]
struct TimedPass {
    pass: Box<dyn TypedPass>,
    start: Instant,
    limit: Duration,
}

impl TypedPass for TimedPass {
    fn reset(&mut self) -> TractResult<()> {
        self.pass.reset()
    }

    fn next(
        &mut self,
        session: &mut OptimizerSession,
        model: &TypedModel,
    ) -> TractResult<Option<TypedModelPatch>> {
        if self.start.elapsed() > self.limit {
            let message = format!("it was given up after {} s", self.limit.as_secs());
            return Err(Error::checkpoint(message).into());
        }
        self.pass.next(session, model)
    }

    fn run_direct(&mut self, model: &mut TypedModel) -> TractResult<bool> {
        self.pass.run_direct(model)
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::prelude::*;

    use super::*;

    fn model() -> TypedModel {
        let mut model = TypedModel::default();
        let input = model.add_source("x", f32::fact([2, 3])).unwrap();
        let one = model.add_const("one", tensor2(&[[1f32]])).unwrap();
        let add = tract_onnx::tract_core::ops::math::add();
        let sum = model.wire_node("sum", add, &[input, one]).unwrap();
        model.select_output_outlets(&sum).unwrap();
        model
    }

    #[test]
    fn optimising_ends_when_the_time_is_over() {
        optimise(model(), MAX_TIME).unwrap();
        let error = optimise(model(), Duration::ZERO).unwrap_err();
        let root = error.root_cause().to_string();
        assert_eq!(root, "it was given up after 0 s");
    }
}
