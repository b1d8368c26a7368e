//! Hyper-parameters of a model and the sizes that follow from them.
//!
//! Shapes use these letters everywhere: B batch size, S grid tokens, P prefix positions (puzzle
//! embedding), L = P + S positions, D hidden size, V vocabulary size, I inner width of the SwiGLU
//! over channels, T inner width of the SwiGLU over positions.

mod check;
#[cfg(feature = "onnx")]
mod graph;
mod json;
mod limits;
mod puzzle_embedding;
mod references;
mod resolve;
mod settings;
mod spelling;
mod yaml;

#[cfg(feature = "onnx")]
pub(crate) use graph::GraphShapes;
pub use resolve::Provenance;
pub(crate) use resolve::{ResolvedConfig, Shapes};
pub(crate) use settings::{MAX_CONFIG_BYTES, Settings};

/// A published architecture. The names of a model's tensors tell which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Tiny Recursive Model: states `z_H` and `z_L`, updated by one network.
    Trm,
    /// TRM with the single state `z_L`.
    SingleZ,
    /// TRM with `z_H` and six reasoning states `z_L1` .. `z_L6`.
    Hier6,
    /// Hierarchical Reasoning Model: states `z_H` and `z_L`, each updated by its own network.
    Hrm,
    /// The transformer baseline: the single state `z_H`.
    Baseline,
    /// TRM with a symbol axis: the states have one field of cells per digit, all with the same
    /// weights.
    Symbols,
}

impl Architecture {
    /// Returns the name for messages and reports, such as `TRM single-z`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trm => "TRM",
            Self::SingleZ => "TRM single-z",
            Self::Hier6 => "TRM hier6",
            Self::Hrm => "HRM",
            Self::Baseline => "transformer baseline",
            Self::Symbols => "TRM with a symbol axis",
        }
    }
}

/// How a model encodes the position of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PosEncodings {
    /// Rotary embedding (RoPE) of queries and keys.
    Rope,
    /// A learned row per position, `[L, D]`, added to the input.
    Learned,
    /// No position encoding.
    None,
}

impl PosEncodings {
    /// Returns the name in `all_config.yaml`: `rope`, `learned` or `none`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rope => "rope",
            Self::Learned => "learned",
            Self::None => "none",
        }
    }
}

/// A network of a model: a stack of blocks that updates a state. HRM has both levels, the
/// transformer baseline `H_level` only, and every other architecture `L_level` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The network `H_level`.
    H,
    /// The network `L_level`.
    L,
}

impl Level {
    /// Returns the name in checkpoints: `H_level` or `L_level`.
    pub fn name(self) -> &'static str {
        match self {
            Self::H => "H_level",
            Self::L => "L_level",
        }
    }
}

/// A state, `[L, D]`, that is carried from one refinement step to the next. In a model with a
/// symbol axis L = K S: one field of S cells for each of the K symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// The answer state, `z_H`.
    H,
    /// The reasoning state, `z_L`.
    L,
    /// One of the six reasoning states of hier6. The number counts from 0, the name from 1:
    /// `LowLevel(0)` is `z_L1`, `LowLevel(5)` is `z_L6`.
    LowLevel(u8),
}

impl State {
    /// Returns the name: `z_H`, `z_L`, or `z_L1` to `z_L6`.
    pub fn name(self) -> String {
        match self {
            Self::H => "z_H".into(),
            Self::L => "z_L".into(),
            Self::LowLevel(i) => format!("z_L{}", i + 1),
        }
    }
}

/// The units of a cell of a field in a model with a symbol axis: its row, column and box, its row
/// and its column within the box, and the symbols of the cell.
pub(crate) const UNITS: usize = 6;

/// The hyper-parameters that determine a model's shapes and its refinement step.
///
/// For an ONNX graph only the sizes and the fields about halting and tasks are known. Its `variant`
/// is the architecture with the same states, and the fields that describe blocks are 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The published architecture.
    pub variant: Architecture,
    /// Outer cycles of a refinement step.
    pub h_cycles: usize,
    /// Inner cycles per outer cycle.
    pub l_cycles: usize,
    /// Number of blocks of `H_level`. 0: the model has no such level.
    pub h_layers: usize,
    /// Number of blocks of `L_level`. 0: the model has no such level.
    pub l_layers: usize,
    /// D, the hidden size.
    pub hidden_size: usize,
    /// Number of attention heads. Unused in a model without attention.
    pub num_heads: usize,
    /// The factor from which training computed the inner widths. `None`: not known.
    pub expansion: Option<f64>,
    /// I, the inner width of the SwiGLU over channels.
    pub inner: usize,
    /// T, the inner width of the SwiGLU over positions. 0 for a model with attention.
    pub token_inner: usize,
    /// M, the width of the messages that the cells of a unit exchange in a model with a symbol
    /// axis, else 0.
    pub mixer_inner: usize,
    /// Whether a SwiGLU over positions replaces attention.
    pub mlp_t: bool,
    /// How the model encodes positions.
    pub pos_encodings: PosEncodings,
    /// Base of the rotary embedding.
    pub rope_theta: f64,
    /// Added to the mean square in the RMSNorm.
    pub rms_norm_eps: f32,
    /// Elements of a row of the puzzle embedding. 0: the model has no puzzle embedding.
    pub puzzle_emb_ndim: usize,
    /// P as configured. 0: P is `puzzle_emb_ndim / hidden_size`, rounded up.
    pub puzzle_emb_len: usize,
    /// Number of refinement steps that the model was trained for.
    pub halt_max_steps: usize,
    /// Whether `q_halt` alone gives the halting probability, as in TRM. See
    /// [`Config::halting_logit`].
    pub no_act_continue: bool,
    /// V, the vocabulary size.
    pub vocab_size: usize,
    /// S, if the model or its data set fixes it.
    pub seq_len: Option<usize>,
    /// Rows of the puzzle embedding as trained. 0: the model has no puzzle embedding.
    pub num_puzzle_identifiers: usize,
    /// The puzzle identifiers whose rows this file holds, in the order of the rows. `None`: it
    /// holds all of them.
    pub puzzle_ids: Option<Vec<u32>>,
    /// Name of the task that the model was trained for. `None`: not known.
    pub task: Option<String>,
    /// Rows and columns of a Sudoku box. `None`: not known.
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

    /// Returns P, the number of positions of the puzzle embedding.
    pub fn prefix_len(&self) -> usize {
        match (self.puzzle_emb_ndim, self.puzzle_emb_len) {
            (0, _) => 0,
            (width, 0) => width.div_ceil(self.hidden_size),
            (_, len) => len,
        }
    }

    /// Returns K, the number of symbols (digits) of a model with a symbol axis, else 0. The tokens
    /// 0 and 1 are no symbols.
    pub fn symbols(&self) -> usize {
        match self.variant {
            Architecture::Symbols => self.vocab_size.saturating_sub(2),
            _ => 0,
        }
    }

    /// Returns the rows and columns of a box in a model with a symbol axis: as configured, else the
    /// most square one with no more rows than columns.
    pub(crate) fn unit_box(&self) -> [usize; 2] {
        let n = self.symbols();
        let rows = (1..=n.isqrt()).rev().find(|r| n.is_multiple_of(*r));
        let rows = rows.unwrap_or(1);
        self.box_shape.unwrap_or([rows, n / rows])
    }

    /// Returns the carried states, in the order of the checkpoint.
    pub fn states(&self) -> Vec<State> {
        match self.variant {
            Architecture::Trm | Architecture::Hrm | Architecture::Symbols => {
                vec![State::H, State::L]
            }
            Architecture::SingleZ => vec![State::L],
            Architecture::Hier6 => std::iter::once(State::H)
                .chain((0..6).map(State::LowLevel))
                .collect(),
            Architecture::Baseline => vec![State::H],
        }
    }

    /// Returns the state that both heads read.
    pub fn answer_state(&self) -> State {
        if self.variant == Architecture::SingleZ {
            State::L
        } else {
            State::H
        }
    }

    /// Returns the levels of the model, each with its number of blocks.
    pub fn levels(&self) -> Vec<(Level, usize)> {
        [(Level::H, self.h_layers), (Level::L, self.l_layers)]
            .into_iter()
            .filter(|level| level.1 > 0)
            .collect()
    }

    /// Returns the inner width of a SwiGLU over `width` elements: two thirds of the expanded width,
    /// rounded up to a multiple of 256, as the published code computes it.
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
    pub fn inner_width(width: usize, expansion: f64) -> usize {
        // Python's round() rounds halves to even, too.
        let rounded = (expansion * width as f64 * 2.0 / 3.0).round_ties_even();
        (rounded as usize).div_ceil(256).saturating_mul(256)
    }
}
