//! The device that runs a model: the requested one, or one chosen by measuring. The CPU takes over
//! if it fails.

#[cfg(feature = "gpu")]
mod auto;
mod cache;
mod fallback;
mod list;
mod request;

pub(crate) use cache::DeviceCache;
pub(crate) use fallback::FallbackStepper;
pub use list::{CpuInfo, cpu, devices};
pub use request::Device;
pub(crate) use request::DeviceRequest;
