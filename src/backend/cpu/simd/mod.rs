//! The inner loops and what they stand on; the only place of the CPU backend with `unsafe`.
//!
//! The loops are written once, over a [vector](lanes::Lanes); [`Simd`] has them compiled for each instruction set, and the one that this
//! machine has is chosen at run time.
#![allow(
    unsafe_code,
    reason = "vector instructions, tiles of one buffer in several threads, a closure handed to threads"
)]

mod elementwise;
mod int8;
mod lanes;
mod micro;
mod micro_int8;
mod micro_pairs;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pairs;
mod portable;
#[cfg(target_arch = "aarch64")]
mod smmla;
mod table;
mod team;
#[cfg(test)]
mod tests;
mod tile;
mod words;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use int8::Int8Group;
pub(super) use table::Simd;
pub(super) use team::{Room, Scratch, Shift, Team};
pub(super) use tile::{Finish, Grid, Marks, Place, Sum, Tile, for_each_chosen, for_each_tile};
