//! Resolves the configuration of an ONNX graph: the sizes come from its inputs and outputs, the
//! fields about halting and tasks from the settings.

use serde_json::Value;

use super::limits::{MAX_DIMENSION, MAX_IDENTIFIERS, MAX_STEPS};
use super::resolve::{ResolvedConfig, Resolver};
use super::{Architecture, Config, PosEncodings, Settings, Shapes};
use crate::error::{Error, Result};

/// The sizes and options that the inputs and outputs of a graph determine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GraphShapes {
    /// The architecture with the same states.
    pub(crate) variant: Architecture,
    /// S: grid tokens.
    pub(crate) seq_len: usize,
    /// L: positions.
    pub(crate) positions: usize,
    /// D: hidden size.
    pub(crate) hidden_size: usize,
    /// V: vocabulary size.
    pub(crate) vocab_size: usize,
    /// Whether the graph has the input `puzzle_identifiers`.
    pub(crate) takes_identifiers: bool,
    /// Whether the graph has the output `q_continue`.
    pub(crate) has_q_continue: bool,
}

impl Settings {
    /// Returns the value of `key` as a size, for an axis whose size the graph does not fix.
    pub(crate) fn size(&self, key: &str) -> Option<usize> {
        let size = self.get(key)?.0.as_u64()?;
        usize::try_from(size).ok().filter(|n| *n <= MAX_DIMENSION)
    }
}

impl Config {
    /// Resolves the configuration of a graph.
    ///
    /// # Errors
    /// A setting is invalid or contradicts the graph, or a size is out of range.
    pub(crate) fn of_graph(graph: &GraphShapes, settings: &Settings) -> Result<ResolvedConfig> {
        let shapes = Shapes {
            variant: graph.variant,
            hidden_size: graph.hidden_size,
            vocab_size: Some(graph.vocab_size),
            h_layers: 0,
            l_layers: 0,
            inner: 0,
            token_inner: None,
            mixer_inner: None,
            positions: Some(graph.positions),
            learned_positions: false,
            puzzle_emb: None,
            one_halting_output: false,
        };
        let mut resolver = Resolver::new(&shapes, settings);
        let config = resolver.of_graph(graph)?;
        Ok(ResolvedConfig {
            config,
            provenance: resolver.provenance,
            extra: settings.extra.clone(),
            notes: resolver.notes,
        })
    }
}

impl Resolver<'_> {
    fn of_graph(&mut self, graph: &GraphShapes) -> Result<Config> {
        let hidden_size = self.size_from_shape("hidden_size", graph.hidden_size, "the states")?;
        let vocab_size =
            self.size_from_shape("vocab_size", graph.vocab_size, "output \"logits\"")?;
        let seq_len = self.size_from_shape("seq_len", graph.seq_len, "input \"inputs\"")?;
        let prefix = graph.positions.checked_sub(seq_len).ok_or_else(|| {
            Error::config(format!(
                "the states have {} positions, fewer than the {seq_len} tokens of input \"inputs\"",
                graph.positions
            ))
        })?;
        for (name, size) in [
            ("L", graph.positions),
            ("D", hidden_size),
            ("V", vocab_size),
        ] {
            if !(1..=MAX_DIMENSION).contains(&size) {
                return Err(Error::config(format!(
                    "{name} is {size}; it must be from 1 to {MAX_DIMENSION}"
                )));
            }
        }
        self.note_source(
            "puzzle_emb_len",
            prefix,
            "positions of the states less tokens",
        );
        Ok(Config {
            variant: graph.variant,
            h_cycles: 0,
            l_cycles: 0,
            h_layers: 0,
            l_layers: 0,
            hidden_size,
            num_heads: 0,
            expansion: None,
            inner: 0,
            token_inner: 0,
            mixer_inner: 0,
            mlp_t: false,
            pos_encodings: PosEncodings::None,
            rope_theta: 0.0,
            rms_norm_eps: 0.0,
            // The graph has a prefix, whether it comes from a puzzle embedding or not.
            puzzle_emb_ndim: prefix * hidden_size,
            puzzle_emb_len: prefix,
            halt_max_steps: self.count("halt_max_steps", 1, MAX_STEPS, Some(16))?,
            no_act_continue: self.halting_rule(graph)?,
            vocab_size,
            seq_len: Some(seq_len),
            num_puzzle_identifiers: self.identifiers(graph)?,
            puzzle_ids: None,
            task: self.task()?,
            box_shape: self.box_shape()?,
        })
    }

    /// Returns `no_ACT_continue`.
    fn halting_rule(&mut self, graph: &GraphShapes) -> Result<bool> {
        const KEY: &str = "no_ACT_continue";
        let (value, from) = match self.bool_setting(KEY)? {
            Some((false, from)) if !graph.has_q_continue => {
                return Err(Error::config(format!(
                    "{KEY} is false ({from}), but the graph has no output \"q_continue\""
                )));
            }
            Some(given) => given,
            None if !graph.has_q_continue => (true, "there is no output \"q_continue\"".to_owned()),
            None if self.settings.has_training_file() => (true, "published default".to_owned()),
            None => {
                self.notes.push(format!(
                    "the file does not give {KEY}: the halting probability is the sigmoid of \
                     q_halt alone, as in the published TRM; for HRM and the baseline, set {KEY} to \
                     false"
                ));
                (true, "published default".to_owned())
            }
        };
        self.note_source(KEY, value, from);
        Ok(value)
    }

    /// Returns the number of puzzle identifiers.
    fn identifiers(&mut self, graph: &GraphShapes) -> Result<usize> {
        const KEY: &str = "num_puzzle_identifiers";
        if !graph.takes_identifiers {
            self.note_source(
                KEY,
                Value::from(0),
                "there is no input \"puzzle_identifiers\"",
            );
            return Ok(0);
        }
        // A count of 0 is possible: training counts identifiers even for a model without them.
        match self.count_setting(KEY, 0, MAX_IDENTIFIERS)? {
            Some((count, from)) if count > 0 => {
                self.note_source(KEY, count, from);
                Ok(count)
            }
            _ => {
                self.note_source(KEY, 1, "not given: only identifier 0 is accepted");
                Ok(1)
            }
        }
    }
}
