//! What a GPU is, and what it allows.

use std::fmt;

/// A GPU, or a program that behaves like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// N in `gpu:N`.
    pub number: usize,
    /// As its driver calls it.
    pub name: String,
    /// What it is reached through: `vulkan`, `metal`, `dx12`, `gl`.
    pub backend: String,
    /// Name and version of the driver.
    pub driver: String,
    /// What it is made of.
    pub kind: DeviceKind,
    /// Computes with 16-bit floating point numbers.
    pub f16: bool,
    /// Invocations that run together, at least and at most, where they can exchange values.
    pub subgroups: Option<[u32; 2]>,
    /// Multiplies small matrices in one instruction.
    pub cooperative_matrix: bool,
    /// What it allows.
    pub limits: DeviceLimits,
    /// Why the device cannot run the kernels. `None` if it can.
    pub unsupported_reason: Option<String>,
}

/// What a device is made of, the preferred first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// A card with memory of its own.
    Discrete,
    /// A part of the processor.
    Integrated,
    /// A share of one, lent by a host.
    Virtual,
    /// Its driver does not tell.
    Other,
    /// No GPU: a program that imitates one on the CPU, for tests.
    Software,
}

impl DeviceKind {
    /// Its name: `discrete`, `integrated`, `virtual`, `other`, `software`.
    pub fn name(self) -> &'static str {
        match self {
            DeviceKind::Discrete => "discrete",
            DeviceKind::Integrated => "integrated",
            DeviceKind::Virtual => "virtual",
            DeviceKind::Other => "other",
            DeviceKind::Software => "software",
        }
    }
}

/// What a device allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Bytes of one buffer.
    pub buffer: u64,
    /// Bytes that a workgroup shares.
    pub workgroup_memory: u32,
    /// Invocations of a workgroup.
    pub workgroup_size: u32,
    /// Buffers that a kernel binds.
    pub storage_buffers: u32,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "gpu:{} {} ({}, {})",
            self.number,
            self.name,
            self.backend,
            self.kind.name()
        )
    }
}
