//! Which device is asked for, and a model's weights on one.

use std::str::FromStr;
use std::sync::Arc;

use crate::backend::measurements::Cache;
use crate::backend::{Backend, Loaded};
#[cfg(not(feature = "gpu"))]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::import::Model;
use crate::model::dtype::Format;

/// Where a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The CPU, or a real GPU where a short measurement finds it faster for the model.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The oracle: slow, plain loops.
    Reference,
    /// A GPU: the best there is, software that imitates one included, or one by its number in [`devices`](crate::device::devices()).
    Gpu(Option<usize>),
}

impl FromStr for Device {
    type Err = Error;

    /// `auto`, `cpu`, `reference`, `gpu`, `gpu:N`.
    fn from_str(name: &str) -> Result<Device> {
        Ok(match name {
            "auto" => Device::Auto,
            "cpu" => Device::Cpu,
            "reference" => Device::Reference,
            "gpu" => Device::Gpu(None),
            _ => match name.strip_prefix("gpu:").and_then(|n| n.parse().ok()) {
                Some(n) => Device::Gpu(Some(n)),
                None => {
                    return Err(Error::argument(format!(
                        "no device {name:?}: auto, cpu, reference, gpu or gpu:N"
                    )));
                }
            },
        })
    }
}

impl Device {
    /// An error if the device is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] for a GPU that does not exist or cannot run the kernels.
    pub fn check(self) -> Result<()> {
        match self {
            Device::Gpu(number) => open_gpu(number, &Wish::default()).map(drop),
            _ => Ok(()),
        }
    }
}

/// What a solver was told about its device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// The device.
    pub(crate) device: Device,
    /// A backend of the app's own, instead.
    pub(crate) backend: Option<Arc<dyn Backend>>,
    /// Threads of the CPU.
    pub(crate) threads: Option<usize>,
    /// How the weights are stored.
    pub(crate) format: Format,
    /// Where measurements are kept.
    pub(crate) cache: Cache,
}

/// The weights on a device.
#[derive(Debug, Clone)]
pub(crate) struct Loads {
    /// The device's name.
    pub(crate) name: &'static str,
    /// The weights.
    pub(crate) loaded: Arc<dyn Loaded>,
}

impl Loads {
    /// Whether the CPU can stand in for the device.
    pub(crate) fn is_replaceable(&self) -> bool {
        !matches!(self.name, "cpu" | "reference")
    }
}

pub(crate) fn load(backend: &dyn Backend, model: &Model) -> Result<Loads> {
    Ok(Loads {
        name: backend.name(),
        loaded: backend.load(model.weights()?)?,
    })
}

#[cfg(feature = "gpu")]
pub(crate) fn open_gpu(number: Option<usize>, wish: &Wish) -> Result<Arc<dyn Backend>> {
    let gpu = crate::backend::gpu::Gpu::open(number)?;
    Ok(Arc::new(
        gpu.with_format(wish.format).with_cache(wish.cache.clone()),
    ))
}

#[cfg(not(feature = "gpu"))]
pub(crate) fn open_gpu(_: Option<usize>, _: &Wish) -> Result<Arc<dyn Backend>> {
    let message = "no GPU can be used: this build runs on the CPU only (--device cpu)";
    Err(Error::new(ErrorKind::Device, message))
}
