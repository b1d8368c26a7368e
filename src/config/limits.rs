//! Upper limits of hyper-parameters, so that an untrusted configuration cannot ask for endless
//! work.

/// Largest value of `H_cycles` and `L_cycles`.
pub(super) const MAX_CYCLES: usize = 64;
/// Most blocks of one level.
pub(super) const MAX_LAYERS: usize = 256;
/// Largest value of `halt_max_steps`, in refinement steps.
pub(super) const MAX_STEPS: usize = 1 << 20;
/// Largest size of a dimension. A product of three such sizes fits in 64 bits.
pub(super) const MAX_DIMENSION: usize = 1 << 20;
/// Most symbols of a model with a symbol axis: the side of the largest Sudoku.
pub(super) const MAX_SYMBOLS: usize = 36;
/// Most puzzle identifiers: an identifier is a `u32`.
pub(super) const MAX_IDENTIFIERS: usize = u32::MAX as usize;
/// Most kernel calls of a refinement step. Published models have up to a few hundred.
pub(super) const MAX_CALLS: usize = 100_000;
/// Most kernel calls of all refinement steps that a model was trained for: days of work.
pub(super) const MAX_RUN_CALLS: usize = 10_000_000;
