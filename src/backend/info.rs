//! Descriptions of GPUs, as their drivers report them.

use std::fmt;

/// A GPU, or a software implementation of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The number N in `gpu:N`.
    pub number: usize,
    /// Name, from the driver.
    pub name: String,
    /// Graphics API: `vulkan`, `metal`, `dx12` or `gl`.
    pub backend: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Kind of device.
    pub kind: DeviceKind,
    /// Whether shaders can compute with 16-bit floating-point numbers.
    pub f16: bool,
    /// Smallest and largest subgroup size, if shaders can use subgroup operations.
    pub subgroups: Option<[u32; 2]>,
    /// Whether shaders can use cooperative matrices (small matrix products in one instruction).
    pub cooperative_matrix: bool,
    /// Limits of the device.
    pub limits: DeviceLimits,
    /// Why the device cannot run the kernels. `None` if it can.
    pub unsupported_reason: Option<String>,
}

/// The kind of a device, in order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares memory with the CPU.
    Integrated,
    /// A virtual GPU, provided by a host.
    Virtual,
    /// Unknown.
    Other,
    /// A software implementation on the CPU, for tests.
    Software,
}

impl DeviceKind {
    /// Returns the name: `discrete`, `integrated`, `virtual`, `other` or `software`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Other => "other",
            Self::Software => "software",
        }
    }
}

/// Limits of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Largest buffer in bytes.
    pub buffer: u64,
    /// Largest workgroup memory in bytes.
    pub workgroup_memory: u32,
    /// Largest number of invocations in a workgroup.
    pub workgroup_size: u32,
    /// Largest number of storage buffers that a kernel binds.
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
