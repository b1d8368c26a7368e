//! A solver with other settings.

use trm_runtime::{Solver, SolverBuilder};

/// Changes settings of a solver that is already built.
pub(crate) trait Rebuild {
    /// Returns a solver over the same model, with the settings that `change` makes.
    fn rebuild(&self, change: impl FnOnce(SolverBuilder) -> SolverBuilder) -> Solver;
}

impl Rebuild for Solver {
    fn rebuild(&self, change: impl FnOnce(SolverBuilder) -> SolverBuilder) -> Solver {
        change(self.to_builder())
            .build(self.model().clone())
            .unwrap()
    }
}
