//! A refinement step exported as ONNX, run by tract on the CPU (feature `onnx`).
//!
//! A graph is a program: its sizes are checked, what it computes is its own affair.
//!
#![doc = include_str!("../../docs/guide/onnx.md")]

#[cfg(not(feature = "onnx"))]
mod absent;
#[cfg(feature = "onnx")]
mod graph;
#[cfg(feature = "onnx")]
mod initial;

#[cfg(not(feature = "onnx"))]
pub(crate) use absent::Graph;
#[cfg(feature = "onnx")]
pub(crate) use graph::{Graph, Role, guarded};

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
