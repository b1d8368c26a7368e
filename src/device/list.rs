//! What [`cpu`] and [`devices`] tell of the processor and the GPUs of a machine.

use std::fmt;
use std::num::NonZero;

use crate::backend::cpu::{Cpu, InstructionSet, features, physical_cores};
use crate::backend::info::DeviceInfo;
use crate::error::Result;

/// The processor of this machine, and how the [CPU backend](crate::backend::cpu) uses it.
///
/// # Errors
/// Those of [`InstructionSet::chosen`].
pub fn cpu() -> Result<CpuInfo> {
    let instructions = InstructionSet::chosen()?;
    Ok(CpuInfo {
        architecture: std::env::consts::ARCH,
        instructions,
        best: InstructionSet::best(),
        forced: InstructionSet::forced().is_some(),
        features: features(),
        int8: instructions.int8(),
        bf16: instructions.bf16(),
        physical_cores: physical_cores(),
        logical_cores: std::thread::available_parallelism().map_or(1, NonZero::get),
        threads: Cpu::default_threads(),
    })
}

/// A processor.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuInfo {
    /// Its kind: `x86_64`, `aarch64`.
    pub architecture: &'static str,
    /// The instruction set that the loops use.
    pub instructions: InstructionSet,
    /// The best that the machine has.
    pub best: InstructionSet,
    /// Whether the environment variable `TRM_CPU` chose.
    pub forced: bool,
    /// What the machine has of the instruction sets that concern the loops; see [`features`].
    pub features: Vec<(&'static str, bool)>,
    /// The extension that multiplies bytes in int8, if there is one; see [`InstructionSet::int8`].
    pub int8: Option<&'static str>,
    /// The extension that multiplies bf16, if there is one; see [`InstructionSet::bf16`].
    pub bf16: Option<&'static str>,
    /// Cores that this process may use, each counted once.
    pub physical_cores: usize,
    /// Threads that these cores can run at once.
    pub logical_cores: usize,
    /// Threads of a team that was not told how many.
    pub threads: usize,
}

impl fmt::Display for CpuInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (instructions, threads) = (self.instructions.name(), self.threads);
        write!(
            f,
            "cpu {instructions} ({}, {threads} threads)",
            self.architecture
        )?;
        if self.forced {
            write!(
                f,
                ", forced by TRM_CPU; the best here is {}",
                self.best.name()
            )?;
        }
        Ok(())
    }
}

/// The GPUs of this machine as their drivers offer them, the best first.
/// Without the feature `gpu` there are none.
pub fn devices() -> Vec<DeviceInfo> {
    #[cfg(feature = "gpu")]
    return pollster::block_on(crate::backend::gpu::adapters())
        .into_iter()
        .map(|(_, info)| info)
        .collect();
    #[cfg(not(feature = "gpu"))]
    Vec::new()
}
