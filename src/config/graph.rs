//! The configuration of an ONNX graph: sizes from its inputs and outputs, halting and task from settings.

use serde_json::Value;

use super::limits::{MAX_IDENTIFIERS, MAX_SIZE, MAX_STEPS};
use super::resolve::{Resolved, Resolver};
use super::{Architecture, Config, PosEncodings, Settings, Shapes};
use crate::error::{Error, Result};

/// What the inputs and outputs of a graph tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GraphShapes {
    /// The variant with these states.
    pub(crate) variant: Architecture,
    /// S.
    pub(crate) seq_len: usize,
    /// L.
    pub(crate) positions: usize,
    /// D.
    pub(crate) hidden_size: usize,
    /// V.
    pub(crate) vocab_size: usize,
    /// It takes puzzle identifiers.
    pub(crate) identifiers: bool,
    /// It has a logit to go on.
    pub(crate) q_continue: bool,
}

impl Settings {
    /// A size, for an axis that the graph leaves open.
    pub(crate) fn size(&self, key: &str) -> Option<usize> {
        let size = self.get(key)?.0.as_u64()?;
        usize::try_from(size).ok().filter(|n| *n <= MAX_SIZE)
    }
}

impl Config {
    /// Resolves the configuration of a graph.
    pub(crate) fn of_graph(graph: &GraphShapes, settings: &Settings) -> Result<Resolved> {
        let shapes = Shapes {
            variant: graph.variant,
            hidden_size: graph.hidden_size,
            vocab_size: graph.vocab_size,
            h_layers: 0,
            l_layers: 0,
            inner: 0,
            token_inner: None,
            positions: Some(graph.positions),
            learned: false,
            puzzle_emb: None,
        };
        let mut r = Resolver::new(&shapes, settings);
        let config = r.of_graph(graph)?;
        Ok(Resolved {
            config,
            provenance: r.provenance,
            kept: settings.kept.clone(),
            notes: r.notes,
        })
    }
}

impl Resolver<'_> {
    fn of_graph(&mut self, graph: &GraphShapes) -> Result<Config> {
        let hidden_size = self.shaped("hidden_size", graph.hidden_size, "the states")?;
        let vocab_size = self.shaped("vocab_size", graph.vocab_size, "output \"logits\"")?;
        let seq_len = self.shaped("seq_len", graph.seq_len, "input \"inputs\"")?;
        let prefix = graph.positions.checked_sub(seq_len).ok_or_else(|| {
            Error::config(format!(
                "the states have {} positions, fewer than the {seq_len} tokens of input \"inputs\"",
                graph.positions
            ))
        })?;
        for (name, size) in [("L", graph.positions), ("D", hidden_size), ("V", vocab_size)] {
            if !(1..=MAX_SIZE).contains(&size) {
                return Err(Error::config(format!(
                    "{name} is {size}; at most {MAX_SIZE} is run"
                )));
            }
        }
        self.note_source("puzzle_emb_len", prefix, "positions of the states less tokens");
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
            mlp_t: false,
            pos_encodings: PosEncodings::None,
            rope_theta: 0.0,
            rms_norm_eps: 0.0,
            // A prefix is there whatever it comes from.
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

    fn halting_rule(&mut self, graph: &GraphShapes) -> Result<bool> {
        const KEY: &str = "no_ACT_continue";
        let (value, from) = match self.given_bool(KEY)? {
            Some((false, from)) if !graph.q_continue => {
                let message = format!("{KEY} is false ({from}), but the graph has no output \"q_continue\"");
                return Err(Error::config(message));
            }
            Some(given) => given,
            None if !graph.q_continue => (true, "there is no output \"q_continue\"".to_owned()),
            None if self.settings.training().is_some() => (true, "published default".to_owned()),
            None => {
                self.notes.push(format!(
                    "the file does not tell {KEY}: the halting probability is taken from q_halt alone, as TRM is published; \
                     for HRM and the baseline, give --set {KEY}=false"
                ));
                (true, "published default".to_owned())
            }
        };
        self.note_source(KEY, value, from);
        Ok(value)
    }

    fn identifiers(&mut self, graph: &GraphShapes) -> Result<usize> {
        const KEY: &str = "num_puzzle_identifiers";
        if !graph.identifiers {
            self.note_source(KEY, Value::from(0), "there is no input \"puzzle_identifiers\"");
            return Ok(0);
        }
        // Training counts identifiers even where a model takes none.
        match self.given_count(KEY, 0, MAX_IDENTIFIERS)? {
            Some((count, from)) if count > 0 => {
                self.note_source(KEY, count, from);
                Ok(count)
            }
            _ => {
                self.note_source(KEY, 1, "not told: only identifier 0 is taken");
                Ok(1)
            }
        }
    }
}
