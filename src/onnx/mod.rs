//! Reads a refinement step that was exported as ONNX. The `tract` crate runs it on the CPU (feature
//! `onnx`).
//!
//! A graph is a program from an untrusted file. Its operators, inputs, outputs and sizes are
//! checked before tract sees it. Whether it computes a refinement step is not.
//!
//! | module | does |
//! |---|---|
//! | `graph` | reads a file, in this order: decode, check, optimise, plan |
//! | `decode` | from bytes to messages, within limits |
//! | `check`, `operators`, `node`, `value` | operators, attributes, and the size of every tensor |
//! | `stored`, `external` | stored tensors, in the file and beside it |
//! | `guarded`, `optimise` | calls tract; its panics become errors; its optimiser has a time limit |
//! | `initial` | the initial values of the states |
//!
#![allow(
    clippy::doc_markdown,
    reason = "the guide lists operators, which are no items"
)]
#![doc = include_str!("../../docs/guide/onnx.md")]

#[cfg(not(feature = "onnx"))]
mod absent;
#[cfg(feature = "onnx")]
mod check;
#[cfg(feature = "onnx")]
mod decode;
#[cfg(feature = "onnx")]
mod external;
#[cfg(feature = "onnx")]
mod graph;
#[cfg(feature = "onnx")]
mod guarded;
#[cfg(feature = "onnx")]
mod initial;
#[cfg(feature = "onnx")]
mod node;
#[cfg(feature = "onnx")]
mod operators;
#[cfg(feature = "onnx")]
mod optimise;
#[cfg(feature = "onnx")]
mod stored;
#[cfg(feature = "onnx")]
mod value;

#[cfg(not(feature = "onnx"))]
pub(crate) use absent::Graph;
#[cfg(feature = "onnx")]
pub(crate) use graph::{Graph, Role};
#[cfg(feature = "onnx")]
pub(crate) use guarded::guarded;

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
