//! The fast CPU backend. Every kernel is divided into tiles of a slot's rows or channels, which a
//! thread pool computes.
//!
//! Each element of a product is one sum in one order, whichever tile it belongs to. A row or
//! channel is normalised as a whole. So an answer depends neither on the batch nor on the number of
//! threads, bit for bit. The weights are packed once for the instruction set.

mod aligned;
mod attention;
mod attention_int16;
mod blocking;
mod cores;
mod decode;
mod detect;
mod embed;
mod features;
mod halt;
mod heads;
mod instructions;
mod kernels;
mod packed;
mod pool;
mod program;
mod project;
mod project_add_norm;
mod qkv_rope;
mod quantize;
mod scratch;
mod simd;
mod slot;
mod swiglu;
mod token_mix;
mod unit_sums;

use std::sync::Arc;

use super::lockstep::F32_TOLERANCE;
use super::{Backend, DeviceWeights, Program, StopSignal};
use crate::error::{Error, Result};
use crate::memory;
use crate::model::dtype::WeightDtype;
use crate::model::plan::Plan;
use crate::model::weights::Weights;
pub use cores::physical_cores;
pub use features::features;
pub use instructions::InstructionSet;
use packed::PackedWeights;
use pool::{PoolScope, ThreadPool};
use program::CpuProgram;
use qkv_rope::Rope;
use simd::Simd;
use slot::{RunStop, SharedWeights};

/// Largest difference from the reference where activations are rounded to int8, relative to the
/// largest value of a buffer. One wrong row of weights exceeds it.
const INT8_TOLERANCE: f32 = 0.05;
/// Like [`INT8_TOLERANCE`], where activations are rounded to bf16.
const BF16_TOLERANCE: f32 = 0.01;

/// The largest number of threads of a pool.
const MAX_THREADS: usize = 1024;

/// Checks that a pool can have this many threads.
pub(crate) fn check_threads(threads: usize) -> Result<()> {
    if (1..=MAX_THREADS).contains(&threads) {
        return Ok(());
    }
    let message = format!("{threads} threads: give a number from 1 to {MAX_THREADS}");
    Err(Error::argument(message))
}

/// The fast CPU backend, with its own thread pool. Clones share the pool.
#[derive(Debug, Clone)]
pub struct Cpu {
    pool: Arc<ThreadPool>,
    simd: Simd,
    instructions: InstructionSet,
    dtype: WeightDtype,
}

impl Cpu {
    /// Starts the thread pool, with the [chosen](InstructionSet::chosen) instruction set. Default
    /// number of threads: [one per core](Cpu::default_threads), or fewer if the system refuses to
    /// start so many.
    ///
    /// # Errors
    /// - [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `threads` is 0 or more than 1024.
    /// - [`ErrorKind::Device`](crate::ErrorKind::Device) if the system refuses to start the
    ///   threads.
    /// - The errors of [`InstructionSet::chosen`].
    pub fn new(threads: Option<usize>) -> Result<Self> {
        Self::with(threads, InstructionSet::chosen()?)
    }

    /// Like [`Cpu::new`], with a given instruction set.
    ///
    /// # Errors
    /// Those of [`Cpu::new`], and [`ErrorKind::Device`](crate::ErrorKind::Device) if the machine
    /// lacks the instruction set.
    pub fn with(threads: Option<usize>, instructions: InstructionSet) -> Result<Self> {
        let pool = match threads {
            Some(threads) => {
                check_threads(threads)?;
                ThreadPool::new(threads)?
            }
            None => ThreadPool::up_to(Self::default_threads()),
        };
        Ok(Self {
            simd: instructions.simd()?,
            pool: Arc::new(pool),
            instructions,
            dtype: WeightDtype::default(),
        })
    }

    /// Sets the dtype of the block weights of models that are loaded from now on. The thread pool
    /// stays the same. Default: f32.
    ///
    /// | dtype | products | activations | attention |
    /// |---|---|---|---|
    /// | f32, f16 | f32 | f32 | f32 |
    /// | bf16 with [`InstructionSet::bf16`] | bf16, summed in f32 | bf16 | int16 |
    /// | bf16 without | f32 | f32 | f32 |
    /// | int8 | int8, summed exactly | int8, a scale for each row or channel | int16 |
    ///
    /// Weights are rounded to the dtype. Int8 has a scale for each row of weights. Int16 attention
    /// quantises queries, keys and values to 12 bits and a sign, and the softmax to 15 bits and a
    /// sign. States, norms and both heads stay f32.
    #[must_use]
    pub fn with_dtype(self, dtype: WeightDtype) -> Self {
        Self { dtype, ..self }
    }

    /// Returns the default number of threads: one per [physical core](physical_cores), at most
    /// 1024.
    pub fn default_threads() -> usize {
        physical_cores().min(MAX_THREADS)
    }

    /// Returns the number of threads in the pool.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Returns the instruction set that the inner loops use.
    pub fn instructions(&self) -> InstructionSet {
        self.instructions
    }
}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn tolerance(&self) -> f32 {
        match self.dtype {
            WeightDtype::Int8 => INT8_TOLERANCE,
            WeightDtype::Bf16 if self.simd.bf16().is_some() => BF16_TOLERANCE,
            _ => F32_TOLERANCE,
        }
    }

    fn load(&self, weights: Weights) -> Result<Arc<dyn DeviceWeights>> {
        self.pool.check_process()?;
        weights.check_range(self.dtype)?;
        memory::check(weights.bytes(), "packing the weights")?;
        let weights = match self.dtype {
            // Packing rounds these.
            WeightDtype::Int8 => weights,
            WeightDtype::Bf16 if self.simd.bf16().is_some() => weights,
            dtype => weights.rounded(dtype),
        };
        let pack =
            |scope: &mut PoolScope<'_>| PackedWeights::of(weights, self.simd, self.dtype, scope);
        Ok(Arc::new(CpuWeights {
            weights: Arc::new(self.pool.scope(pack)),
            pool: self.pool.clone(),
            simd: self.simd,
        }))
    }
}

#[derive(Debug)]
struct CpuWeights {
    pool: Arc<ThreadPool>,
    simd: Simd,
    weights: Arc<PackedWeights>,
}

impl DeviceWeights for CpuWeights {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let shared = SharedWeights {
            simd: self.simd,
            weights: self.weights.clone(),
            rope: Rope::of(&plan.dims),
            stop: RunStop::new(StopSignal::default()),
        };
        let pool = self.pool.clone();
        Ok(Box::new(CpuProgram::new(plan, pool, shared, slots)?))
    }
}
