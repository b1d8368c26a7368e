//! A refinement step exported as ONNX, run by [tract](https://github.com/sonos/tract) on the CPU: a model like any other, though its blocks are not
//! known here.
//!
//! | input | shape | | output | shape |
//! |---|---|---|---|---|
//! | `inputs` | `[B, S]`, whole numbers | | `next_` and the state's name | `[B, L, D]` |
//! | `puzzle_identifiers`, or none | `[B]`, whole numbers | | `logits` | `[B, S, V]` |
//! | `z_H` and `z_L`; or `z_L`; or `z_H`; or `z_H`, `z_L1` .. `z_L6` | `[B, L, D]` | | `q_halt`, and `q_continue` or none | `[B]` or `[B, 1]` |
//!
//! The batch B may be a number or left open; an open S or L is told by `seq_len` and `puzzle_emb_len`. Annotations (`metadata_props`) say what the
//! graph cannot: `config`, a configuration file as text, or single hyper-parameters by their names (`task`, `box`, `no_ACT_continue`,
//! `halt_max_steps`, `num_puzzle_identifiers`); else a configuration file beside it does. What the states start from stands in annotations with
//! the checkpoint's names (`H_init`, `L_init`, `L1_init`, ..: numbers of a row `[D]`, or `[L, D]`), or in tensors of these names in a file beside it: NAME`.safetensors` for
//! NAME`.onnx`, or the checkpoint.
//!
//! A graph is a program: what it computes is checked for its sizes, and for nothing else.

#[cfg(not(feature = "onnx"))]
mod absent;
#[cfg(feature = "onnx")]
mod graph;
#[cfg(feature = "onnx")]
mod initial;
#[cfg(feature = "onnx")]
mod stepper;

#[cfg(not(feature = "onnx"))]
pub(crate) use absent::Graph;
#[cfg(feature = "onnx")]
pub(crate) use graph::Graph;

use crate::config::{Config, Provenance, State};

/// What a graph runs on, as answers name it.
pub(crate) const DEVICE: &str = "cpu";

/// A graph, and what is known of it.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) graph: Graph,
    pub(crate) config: Config,
    pub(crate) provenance: Vec<Provenance>,
    pub(crate) notes: Vec<String>,
    /// What each state starts from, `[D]` or `[L, D]`; empty where it is not known.
    pub(crate) initial: Vec<(State, Vec<f32>)>,
}
