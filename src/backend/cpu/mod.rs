//! The fast CPU: every kernel over tiles of a slot's rows or channels, spread over a team of threads.
//!
//! Each element of a product is one sum in one order, whichever tile it falls into, and a row or channel is normed as a whole: so an answer
//! depends neither on the batch nor on the number of threads, bit for bit. The weights are packed once for the instruction set.

mod aligned;
mod attention;
mod attention_pairs;
mod cores;
mod cut;
mod decode;
mod embed;
mod features;
mod halt;
mod heads;
mod instructions;
mod kernels;
mod packed;
mod program;
mod project;
mod project_add_norm;
mod qkv_rope;
mod simd;
mod swiglu;
mod token_mix;

use std::sync::Arc;

use super::{Backend, DeviceWeights, F32_TOLERANCE, Program};
use crate::error::{Error, Result};
use crate::model::dtype::WeightDtype;
use crate::model::plan::Plan;
use crate::model::weights::Weights;
pub use cores::physical_cores;
pub use features::features;
pub use instructions::InstructionSet;
use kernels::Model;
use packed::Prepared;
use program::CpuProgram;
use qkv_rope::Rope;
use simd::{Shift, Simd, Team};

/// Largest difference from the reference where activations are rounded to int8, relative to the
/// largest value of a buffer. One wrong row of weights exceeds it.
const INT8_TOLERANCE: f32 = 0.05;
/// The same where activations are rounded to bf16.
const BF16_TOLERANCE: f32 = 0.01;

/// Threads of a team.
const MOST_THREADS: usize = 1024;

/// The fast CPU backend, with a team of threads of its own.
#[derive(Debug, Clone)]
pub struct Cpu {
    team: Arc<Team>,
    simd: Simd,
    instructions: InstructionSet,
    format: WeightDtype,
}

impl Cpu {
    /// A team of `threads`, or of [one for each core](Cpu::default_threads), with the [chosen](InstructionSet::chosen) instruction set.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) for no or more than 1024 threads, [`ErrorKind::Device`](crate::ErrorKind::Device)
    /// if the system refuses to start them; those of [`InstructionSet::chosen`].
    pub fn new(threads: Option<usize>) -> Result<Cpu> {
        Cpu::with(threads, InstructionSet::chosen()?)
    }

    /// The same with an instruction set of one's choice.
    ///
    /// # Errors
    /// As for [`Cpu::new`]; [`ErrorKind::Device`](crate::ErrorKind::Device) if the machine lacks it.
    pub fn with(threads: Option<usize>, instructions: InstructionSet) -> Result<Cpu> {
        let threads = threads.unwrap_or_else(Cpu::default_threads);
        if !(1..=MOST_THREADS).contains(&threads) {
            return Err(Error::argument(format!(
                "{threads} threads: give a number from 1 to {MOST_THREADS}"
            )));
        }
        Ok(Cpu {
            simd: instructions.simd()?,
            team: Arc::new(Team::new(threads)?),
            instructions,
            format: WeightDtype::default(),
        })
    }

    /// The same team with another format of the blocks' weights, for the models that are loaded from now on.
    ///
    /// f16 and bf16 are the numbers that the format has, computed in `f32`; but in bf16 activations are rounded too where the CPU has
    /// instructions for it ([`InstructionSet::bf16`]), and attention is that of int8. In int8 products are of bytes, with a scale for each row of
    /// weights and each row (or channel) of activations, and added up exactly; attention is of whole numbers of 13 bits with a sign, and its softmax
    /// of 16. States, norms and both heads stay `f32`.
    pub fn with_format(self, format: WeightDtype) -> Cpu {
        Cpu { format, ..self }
    }

    /// How many threads a team has that was not told: one for each [core](physical_cores), at most 1024.
    pub fn default_threads() -> usize {
        physical_cores().min(MOST_THREADS)
    }

    /// Threads in the team.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// The instruction set that the loops use.
    pub fn instructions(&self) -> InstructionSet {
        self.instructions
    }
}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn tolerance(&self) -> f32 {
        match self.format {
            WeightDtype::Int8 => INT8_TOLERANCE,
            WeightDtype::Bf16 if self.simd.bf16().is_some() => BF16_TOLERANCE,
            _ => F32_TOLERANCE,
        }
    }

    fn load(&self, weights: Weights) -> Result<Arc<dyn DeviceWeights>> {
        let weights = match self.format {
            // Packing rounds them.
            WeightDtype::Int8 => weights,
            WeightDtype::Bf16 if self.simd.bf16().is_some() => weights,
            format => weights.rounded(format),
        };
        let pack = |shift: &mut Shift<'_>| Prepared::of(weights, self.simd, self.format, shift);
        Ok(Arc::new(CpuWeights {
            weights: Arc::new(self.team.shift(pack)),
            team: self.team.clone(),
            simd: self.simd,
        }))
    }
}

#[derive(Debug)]
struct CpuWeights {
    team: Arc<Team>,
    simd: Simd,
    weights: Arc<Prepared>,
}

impl DeviceWeights for CpuWeights {
    fn program(&self, plan: Arc<Plan>, slots: usize) -> Result<Box<dyn Program>> {
        let model = Model {
            simd: self.simd,
            weights: self.weights.clone(),
            rope: Rope::of(&plan.dims),
        };
        Ok(Box::new(CpuProgram::new(plan, self.team.clone(), model, slots)))
    }
}
