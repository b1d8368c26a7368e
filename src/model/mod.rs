//! What a refinement step is: its plan, the weights that it reads, and how they are stored.
//!
//! [`build`] writes the recursion of every published architecture as a [`plan`] of kernel calls.
//! This module knows neither puzzles nor devices.

pub mod build;
pub mod dtype;
pub mod plan;
pub mod weights;
