//! Which device runs a model: as asked for, or chosen by measuring; and what takes over when it
//! fails.

#[cfg(feature = "gpu")]
mod auto;
mod fallback;
mod list;
mod placement;
mod request;

pub(crate) use fallback::FallbackStepper;
pub use list::{CpuInfo, cpu, devices};
pub(crate) use placement::Place;
pub use request::Device;
pub(crate) use request::Wish;
