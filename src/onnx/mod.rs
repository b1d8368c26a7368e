//! Reads a refinement step that was exported as ONNX. The `tract` crate runs it on the CPU (feature
//! `onnx`).
//!
//! A graph is a program from an untrusted file. Its inputs, outputs and sizes are checked. Whether
//! it computes a refinement step is not.
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

/// The name of the device that runs a graph.
pub(crate) const DEVICE: &str = "cpu";

/// A graph and its configuration.
#[derive(Debug)]
pub(crate) struct LoadedGraph {
    pub(crate) graph: Graph,
    pub(crate) config: Config,
    pub(crate) provenance: Vec<Provenance>,
    /// Notes for the user.
    pub(crate) notes: Vec<String>,
    /// Initial value of each state, `[D]` or `[L, D]`. Empty: the file does not give it.
    pub(crate) initial: Vec<(State, Vec<f32>)>,
}
