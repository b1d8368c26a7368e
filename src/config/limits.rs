//! The largest values that a configuration may hold.

pub(super) const MAX_CYCLES: usize = 64;
pub(super) const MAX_LAYERS: usize = 256;
pub(super) const MAX_STEPS: usize = 1 << 20;
/// Largest size of a dimension. Every product of three fits in 64 bits.
pub(super) const MAX_SIZE: usize = 1 << 20;
pub(super) const MAX_IDENTIFIERS: usize = u32::MAX as usize;
