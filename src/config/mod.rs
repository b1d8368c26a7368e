//! Hyper-parameters of a model and the sizes that follow from them.
//!
//! Letters used everywhere: B batch, S grid tokens, P prefix positions (puzzle embedding), L = P + S positions,
//! D hidden size, V vocabulary, I inner width of the SwiGLU over channels, T inner width of the one over positions.

mod check;
#[cfg(feature = "onnx")]
mod graph;
mod json;
mod limits;
mod resolve;
mod settings;
mod yaml;

#[cfg(feature = "onnx")]
pub(crate) use graph::GraphShapes;
pub use resolve::Provenance;
pub(crate) use resolve::Shapes;
pub(crate) use settings::{MAX_FILE, Settings};

/// Which published model it is; told by the names of its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Tiny Recursive Model: z_H and z_L, one network.
    Trm,
    /// TRM with a single state z_L.
    SingleZ,
    /// TRM with six lower states z_L1 .. z_L6.
    Hier6,
    /// Hierarchical Reasoning Model: z_H and z_L, a network each.
    Hrm,
    /// The transformer baseline: z_H only.
    Baseline,
}

impl Architecture {
    /// Its name in messages and in the output of `inspect`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Trm => "TRM",
            Architecture::SingleZ => "TRM single-z",
            Architecture::Hier6 => "TRM hier6",
            Architecture::Hrm => "HRM",
            Architecture::Baseline => "transformer baseline",
        }
    }
}

/// How a model knows where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PosEncodings {
    /// Rotary embedding of queries and keys.
    Rope,
    /// A learned row per position, added to the input.
    Learned,
    /// Nothing.
    None,
}

impl PosEncodings {
    /// Its name in `all_config.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            PosEncodings::Rope => "rope",
            PosEncodings::Learned => "learned",
            PosEncodings::None => "none",
        }
    }
}

/// One of the two networks of a model; all variants but HRM have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// `H_level`.
    H,
    /// `L_level`.
    L,
}

impl Level {
    /// Its name in checkpoints.
    pub fn name(self) -> &'static str {
        match self {
            Level::H => "H_level",
            Level::L => "L_level",
        }
    }
}

/// A state that is carried from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// The answer state, `z_H`.
    H,
    /// The reasoning state, `z_L`.
    L,
    /// One of the six lower states of hier6, `z_L1` .. `z_L6`, counted from 0.
    LowLevel(u8),
}

impl State {
    /// `z_H`, `z_L`, `z_L1`, ...
    pub fn name(self) -> String {
        match self {
            State::H => "z_H".into(),
            State::L => "z_L".into(),
            State::LowLevel(i) => format!("z_L{}", i + 1),
        }
    }
}

/// Everything that decides a model's shape and its refinement step. Of an ONNX graph only the sizes and what concerns halting and tasks is known:
/// its variant is that whose states it has, and what decides the blocks is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which published model it is.
    pub variant: Architecture,
    /// Outer cycles of a refinement step.
    pub h_cycles: usize,
    /// Inner cycles in each outer cycle.
    pub l_cycles: usize,
    /// Blocks of `H_level`, 0 where there is none.
    pub h_layers: usize,
    /// Blocks of `L_level`, 0 where there is none.
    pub l_layers: usize,
    /// D.
    pub hidden_size: usize,
    /// Attention heads; without meaning for a model without attention.
    pub num_heads: usize,
    /// The factor from which the inner widths were made, where it is known.
    pub expansion: Option<f64>,
    /// I, the inner width of the SwiGLU over channels.
    pub inner: usize,
    /// T, the inner width of the SwiGLU over positions; 0 for a model with attention.
    pub token_inner: usize,
    /// A SwiGLU across positions stands in the place of attention.
    pub mlp_t: bool,
    /// How a model knows where a token stands.
    pub pos_encodings: PosEncodings,
    /// Base of the rotary embedding.
    pub rope_theta: f64,
    /// Added to the mean square in the norm.
    pub rms_norm_eps: f32,
    /// Width of a row of the puzzle embedding, 0 where there is none.
    pub puzzle_emb_ndim: usize,
    /// P as configured; 0 where it follows from the width.
    pub puzzle_emb_len: usize,
    /// Steps that the model was trained for.
    pub halt_max_steps: usize,
    /// The halting head's first logit alone decides (TRM), not its difference to the second.
    pub no_act_continue: bool,
    /// V.
    pub vocab_size: usize,
    /// S, where the model fixes it or its data set is known.
    pub seq_len: Option<usize>,
    /// Rows of the puzzle embedding as trained, 0 where there is none.
    pub num_puzzle_identifiers: usize,
    /// The identifiers whose rows this file holds, where it does not hold all (`convert --puzzle-ids`), in the order of the rows.
    pub puzzle_ids: Option<Vec<u32>>,
    /// Name of the task that the model was trained for, where it is known.
    pub task: Option<String>,
    /// Rows and columns of a Sudoku's box, where they are known.
    pub box_shape: Option<[usize; 2]>,
}

/// Which logit gives the halting probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltingLogit {
    /// `q_halt`: the model was trained without the continue loss (`no_ACT_continue`).
    Halt,
    /// `q_halt - q_continue`.
    HaltMinusContinue,
}

impl Config {
    /// Returns the logit that gives the halting probability.
    pub fn halting_logit(&self) -> HaltingLogit {
        match self.no_act_continue {
            true => HaltingLogit::Halt,
            false => HaltingLogit::HaltMinusContinue,
        }
    }

    /// P: the positions that the puzzle embedding takes.
    pub fn prefix_len(&self) -> usize {
        match (self.puzzle_emb_ndim, self.puzzle_emb_len) {
            (0, _) => 0,
            (width, 0) => width.div_ceil(self.hidden_size),
            (_, len) => len,
        }
    }

    /// The carried states, in the order of the checkpoint.
    pub fn states(&self) -> Vec<State> {
        match self.variant {
            Architecture::Trm | Architecture::Hrm => vec![State::H, State::L],
            Architecture::SingleZ => vec![State::L],
            Architecture::Hier6 => std::iter::once(State::H)
                .chain((0..6).map(State::LowLevel))
                .collect(),
            Architecture::Baseline => vec![State::H],
        }
    }

    /// The state that the heads read.
    pub fn answer_state(&self) -> State {
        if self.variant == Architecture::SingleZ {
            State::L
        } else {
            State::H
        }
    }

    /// The networks that the model has, with their number of blocks.
    pub fn nets(&self) -> Vec<(Level, usize)> {
        [(Level::H, self.h_layers), (Level::L, self.l_layers)]
            .into_iter()
            .filter(|n| n.1 > 0)
            .collect()
    }

    /// The inner width of a SwiGLU over `width`: two thirds of the expanded width, rounded up to a multiple of 256.
    pub fn inner_width(width: usize, expansion: f64) -> usize {
        // Python's round(): halves to even, as f64::round_ties_even.
        let wanted = (expansion * width as f64 * 2.0 / 3.0).round_ties_even();
        (wanted as usize).div_ceil(256) * 256
    }
}
