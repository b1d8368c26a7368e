//! What is timed of each model: batches, formats, and the ways in which a call is run.

use trm_runtime::low_level::backend::gpu::Kernels;
use trm_runtime::low_level::dtype::WeightDtype;
use trm_runtime::low_level::plan::Call;

use crate::args::Way;
use crate::models::{Different, MODELS, Scale};

impl Scale {
    pub(crate) fn models(self) -> Vec<String> {
        let all = match self {
            Scale::Full => &MODELS[..],
            // Between them they have every kernel.
            Scale::Quick => &["sudoku", "maze"],
        };
        all.iter().map(|name| name.to_string()).collect()
    }

    pub(crate) fn batches(self) -> Vec<usize> {
        match self {
            Scale::Full => vec![1, 16, 64],
            Scale::Quick => vec![1, 3],
        }
    }

    pub(crate) fn formats(self) -> Vec<WeightDtype> {
        match self {
            Scale::Full => vec![WeightDtype::F32, WeightDtype::F16, WeightDtype::Int8],
            // In software compiling takes most of the time, and each format has shaders of its own.
            Scale::Quick => vec![WeightDtype::F32, WeightDtype::Int8],
        }
    }
}

impl Different {
    /// Whether the format of the weights may change its time.
    pub(crate) fn has_formats(&self) -> bool {
        self.has_ways() && !matches!(self.call, Call::Attention { .. })
    }

    /// The name of the way in which it is run where `way` is asked for.
    pub(crate) fn way(&self, way: Way) -> &'static str {
        match self.call {
            _ if !self.has_ways() => "only",
            Call::ProjectAddNorm { .. } => way.name,
            // Only projections are split.
            _ if way.kernels == Kernels::Split => "tiled",
            _ => way.name,
        }
    }

    /// Whether there are several ways of running it.
    fn has_ways(&self) -> bool {
        !matches!(
            self.call,
            Call::Embed { .. } | Call::Halt { .. } | Call::Decode { .. }
        )
    }
}
