//! The models whose steps are timed (published sizes, random weights), and the distinct calls of
//! their plans.
#![allow(dead_code, reason = "no bench uses all of it")]

use std::collections::HashMap;

use trm_runtime::low_level::config::{Architecture, Config, PosEncodings};
use trm_runtime::low_level::plan::{Call, Dims, Plan};
use trm_runtime::low_level::weights::{Tensor, Weights};

/// Sudoku with `mlp_t`, maze with attention, and a small model of the size of the bundled ones.
pub(crate) const MODELS: [&str; 3] = ["sudoku", "maze", "small"];

/// The sizes of the models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// The published sizes.
    Full,
    /// Tiny sizes, which a software GPU computes in seconds.
    Quick,
}

/// Returns the configuration of a model in [`MODELS`], and its number of cells.
pub(crate) fn config(name: &str, scale: Scale) -> (Config, usize) {
    let attention = name == "maze";
    // Cells, prefix, hidden size, heads, vocabulary, outer and inner cycles.
    let [cells, prefix, hidden, heads, vocab, outer, inner] = match (name, scale) {
        ("sudoku", Scale::Full) => [81, 16, 512, 8, 11, 3, 6],
        ("maze", Scale::Full) => [900, 16, 512, 8, 6, 3, 4],
        (_, Scale::Full) => [81, 2, 128, 2, 11, 2, 3],
        ("sudoku", Scale::Quick) => [16, 2, 64, 2, 6, 1, 2],
        ("maze", Scale::Quick) => [25, 2, 64, 2, 6, 1, 1],
        (_, Scale::Quick) => [16, 1, 32, 2, 6, 1, 1],
    };
    let width = |of: usize| match scale {
        Scale::Full => Config::inner_width(of, 4.0),
        Scale::Quick => 2 * of,
    };
    let config = Config {
        variant: Architecture::Trm,
        h_cycles: outer,
        l_cycles: inner,
        h_layers: 0,
        l_layers: 2,
        hidden_size: hidden,
        num_heads: heads,
        expansion: Some(4.0),
        inner: width(hidden),
        token_inner: if attention { 0 } else { width(prefix + cells) },
        mixer_inner: 0,
        mlp_t: !attention,
        pos_encodings: if attention {
            PosEncodings::Rope
        } else {
            PosEncodings::None
        },
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        puzzle_emb_ndim: hidden,
        puzzle_emb_len: prefix,
        halt_max_steps: 16,
        no_act_continue: true,
        vocab_size: vocab,
        seq_len: Some(cells),
        num_puzzle_identifiers: 1,
        puzzle_ids: None,
        task: None,
        box_shape: None,
    };
    (config, cells)
}

/// Returns random weights for a model, the same in every run.
pub(crate) fn weights(config: &Config) -> Weights {
    let mut noise = Noise(12);
    let made = config.weights().into_iter().map(|weight| {
        let shape = weight.shape(config);
        let scale = 1.7 / (shape.last().copied().unwrap_or(1) as f32).sqrt();
        let mut data = noise.values(shape.iter().product());
        data.iter_mut().for_each(|v| *v *= scale);
        (weight, Tensor { shape, data })
    });
    Weights::from_tensors(made.collect::<HashMap<_, _>>())
}

/// A distinct call of a plan. Calls that differ only in the names of buffers and weights count as
/// one.
#[derive(Debug, Clone)]
pub(crate) struct DistinctCall {
    /// The name of the kernel, with the sizes that its time depends on.
    pub(crate) name: String,
    /// The first such call.
    pub(crate) call: Call,
    /// Number of such calls in a step.
    pub(crate) count: usize,
}

/// Returns the distinct calls of a plan, in order.
pub(crate) fn distinct_calls(plan: &Plan) -> Vec<DistinctCall> {
    let mut all: Vec<DistinctCall> = Vec::new();
    for (number, call) in plan.calls.iter().enumerate() {
        let name = name(call, &plan.dims);
        let count = usize::from(plan.step().contains(&number));
        match all.iter_mut().find(|known| known.name == name) {
            Some(known) => known.count += count,
            None => all.push(DistinctCall {
                name,
                call: call.clone(),
                count,
            }),
        }
    }
    all
}

/// Returns a name such as `project_add_norm 1536 +1`: the kernel, K of the projection, and the
/// number of buffers that are added.
fn name(call: &Call, d: &Dims) -> String {
    let kernel = call.kernel();
    match call {
        Call::TokenMix { sources, .. } | Call::QkvRope { sources, .. } => {
            format!("{kernel} +{}", sources.len())
        }
        Call::ProjectAddNorm {
            input, residuals, ..
        } => {
            format!(
                "{kernel} {} +{}",
                input.len(d) / d.positions,
                residuals.len()
            )
        }
        _ => kernel.to_string(),
    }
}

/// Reproducible noise without a dependency: xorshift, uniform in -1 .. 1.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(crate) fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}
