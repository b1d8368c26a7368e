//! The inner loops of the kernels, compiled for each instruction set. With the
//! [thread pool](super::pool), this is the only part of the CPU backend with `unsafe`.
//!
//! Every loop is written once, over a [vector type](lanes::Lanes). [`Simd`] holds the loops that
//! are compiled for one instruction set, which is chosen at run time.
#![allow(
    unsafe_code,
    reason = "vector instructions, and tiles of one buffer that several threads write"
)]

mod elementwise;
mod int16;
mod int8;
mod int8_lanes;
mod int8_table;
mod lanes;
mod micro;
mod micro_int16;
mod micro_int8;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_int8;
mod portable;
mod portable_int8;
#[cfg(target_arch = "aarch64")]
mod smmla;
mod table;
#[cfg(test)]
mod tests;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
mod x86_int8;

pub(super) use int8::Int8Panel;
pub(super) use lanes::PackedWord;
pub(super) use table::Simd;
pub(super) use tile::{
    BufferSum, RowEpilogue, Tile, TileCounters, TileGrid, TileIndex, for_each_chosen, for_each_tile,
};
