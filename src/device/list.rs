//! Describes the processor and the GPUs of this machine.

use std::fmt;
use std::num::NonZero;

use crate::backend::cpu::{Cpu, InstructionSet, features, physical_cores};
use crate::backend::info::DeviceInfo;
use crate::error::Result;

/// Describes the processor of this machine, and how the CPU backend uses it.
///
/// # Errors
/// [`ErrorKind::Device`](crate::ErrorKind::Device) if the environment variable `TRM_CPU` names an
/// instruction set that the processor lacks, [`ErrorKind::Argument`](crate::ErrorKind::Argument) if
/// it is not the name of an instruction set.
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

/// The processor of a machine. [`cpu`] describes it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuInfo {
    /// Architecture, such as `x86_64` or `aarch64`.
    pub architecture: &'static str,
    /// The instruction set that the kernels use.
    pub instructions: InstructionSet,
    /// The best instruction set that the processor supports.
    pub best: InstructionSet,
    /// Whether the environment variable `TRM_CPU` chose the instruction set.
    pub forced: bool,
    /// The processor features that matter to the kernels, and whether the processor has them.
    pub features: Vec<(&'static str, bool)>,
    /// The instruction set extension that multiplies int8, if the processor has one.
    pub int8: Option<&'static str>,
    /// The instruction set extension that multiplies bf16, if the processor has one.
    pub bf16: Option<&'static str>,
    /// Physical cores that this process may use.
    pub physical_cores: usize,
    /// Hardware threads that this process may use.
    pub logical_cores: usize,
    /// Default number of CPU threads.
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

/// Lists the GPUs that the drivers of this machine offer, the best first. Empty without the feature
/// `gpu`.
pub fn devices() -> Vec<DeviceInfo> {
    #[cfg(feature = "gpu")]
    return pollster::block_on(crate::backend::gpu::adapters())
        .into_iter()
        .map(|(_, info)| info)
        .collect();
    #[cfg(not(feature = "gpu"))]
    Vec::new()
}
