//! The cases of a run: models, batches, weight dtypes, and the implementations of a call.

use trm_runtime::low_level::backend::gpu::KernelSelection;
use trm_runtime::low_level::dtype::WeightDtype;
use trm_runtime::low_level::plan::Call;

use crate::args::NamedSelection;
use crate::models::{DistinctCall, MODELS, Scale};

impl Scale {
    pub(crate) fn models(self) -> Vec<String> {
        let all = match self {
            Self::Full => &MODELS[..],
            // Together they have every kernel.
            Self::Quick => &["sudoku", "maze"],
        };
        all.iter().map(|name| name.to_string()).collect()
    }

    pub(crate) fn batches(self) -> Vec<usize> {
        match self {
            Self::Full => vec![1, 16, 64],
            Self::Quick => vec![1, 3],
        }
    }

    pub(crate) fn dtypes(self) -> Vec<WeightDtype> {
        match self {
            Self::Full => vec![WeightDtype::F32, WeightDtype::F16, WeightDtype::Int8],
            // On software adapters most of the time goes into compiling, once per dtype.
            Self::Quick => vec![WeightDtype::F32, WeightDtype::Int8],
        }
    }
}

impl DistinctCall {
    /// Returns whether its time depends on the weight dtype.
    pub(crate) fn depends_on_dtype(&self) -> bool {
        self.has_implementations() && !matches!(self.call, Call::Attention { .. })
    }

    /// Returns the name of the implementation that it runs by under this selection.
    pub(crate) fn kernels(&self, named: NamedSelection) -> &'static str {
        match self.call {
            _ if !self.has_implementations() => "only",
            Call::ProjectAddNorm { .. } => named.name,
            // Only projections are split.
            _ if named.selection == KernelSelection::Split => "tiled",
            _ => named.name,
        }
    }

    /// Returns whether it has several implementations.
    fn has_implementations(&self) -> bool {
        !matches!(
            self.call,
            Call::Embed { .. } | Call::Halt { .. } | Call::Decode { .. }
        )
    }
}
