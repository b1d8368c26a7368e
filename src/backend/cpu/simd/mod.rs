//! The inner loops. The only place of the CPU backend with `unsafe`.

mod elementwise;
mod matmul;

pub(super) use elementwise::{rms_norm, rms_norm_columns, silu_mul, softmax};
pub(super) use matmul::{Matrix, matmul};
