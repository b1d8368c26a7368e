//! Errors and behaviour that only a GPU has, and the shaders. An adapter in software is enough.

#[cfg(feature = "gpu")]
#[path = "../common/data.rs"]
mod data;
#[cfg(feature = "gpu")]
#[path = "../common/each.rs"]
mod each;
#[cfg(feature = "gpu")]
#[path = "../common/gpu.rs"]
mod gpu;
#[cfg(feature = "gpu")]
#[path = "../common/long.rs"]
mod long;
#[cfg(feature = "gpu")]
#[path = "../common/noise.rs"]
mod noise;
#[cfg(feature = "gpu")]
#[path = "../common/rebuild.rs"]
mod rebuild;
#[path = "../common/skip.rs"]
mod skip;

#[cfg(feature = "gpu")]
mod errors;
#[cfg(feature = "gpu")]
mod puzzles;
#[path = "../shaders.rs"]
mod shaders;
#[cfg(feature = "gpu")]
mod solve;
