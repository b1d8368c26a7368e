//! The device that a solver requests, and a model's weights on it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::backend::measurements::MeasurementCache;
use crate::backend::{Backend, DeviceWeights};
use crate::error::{Error, Result};
#[cfg(not(feature = "gpu"))]
use crate::error::{ErrorKind, Hint};
use crate::import::Model;
use crate::model::dtype::WeightDtype;

/// Where a model runs.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The CPU, or a hardware GPU if a short measurement finds it faster for the model and batch.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The scalar reference: slow, plain loops.
    Reference,
    /// A GPU: the one with this number in [`devices`](crate::devices), or the best one. The best
    /// one may be a software GPU if no hardware GPU exists.
    Gpu(Option<usize>),
}

impl FromStr for Device {
    type Err = Error;

    /// Parses `auto`, `cpu`, `reference`, `gpu` or `gpu:N`.
    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "reference" => Self::Reference,
            "gpu" => Self::Gpu(None),
            _ => match name.strip_prefix("gpu:").and_then(|n| n.parse().ok()) {
                Some(n) => Self::Gpu(Some(n)),
                None => {
                    return Err(Error::argument(format!(
                        "no device {name:?}: auto, cpu, reference, gpu or gpu:N"
                    )));
                }
            },
        })
    }
}

impl fmt::Display for Device {
    /// Writes the form that [`Device::from_str`] parses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Reference => f.write_str("reference"),
            Self::Gpu(None) => f.write_str("gpu"),
            Self::Gpu(Some(number)) => write!(f, "gpu:{number}"),
        }
    }
}

impl Device {
    /// Checks that the device is available.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) for a GPU that does not exist or cannot run
    /// the kernels.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Gpu(number) => open_gpu(number, &DeviceRequest::default()).map(drop),
            _ => Ok(()),
        }
    }
}

/// The device settings of a solver.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceRequest {
    pub(crate) device: Device,
    /// A backend that the app created, which replaces `device`.
    pub(crate) backend: Option<Arc<dyn Backend>>,
    /// CPU threads. `None`: one per core.
    pub(crate) threads: Option<usize>,
    /// How the weights are stored.
    pub(crate) dtype: WeightDtype,
    /// Where measurements are stored.
    pub(crate) measurements: MeasurementCache,
}

/// The weights of a model on a device.
#[derive(Debug, Clone)]
pub(crate) struct LoadedModel {
    /// Name of the device.
    pub(crate) device: &'static str,
    pub(crate) weights: Arc<dyn DeviceWeights>,
    /// Largest allowed difference from the reference.
    pub(crate) tolerance: f32,
}

impl LoadedModel {
    /// Returns whether the CPU can take over from the device.
    pub(crate) fn is_replaceable(&self) -> bool {
        !matches!(self.device, "cpu" | "reference")
    }
}

/// Loads a model's weights on a backend.
pub(crate) fn load(backend: &dyn Backend, model: &Model) -> Result<LoadedModel> {
    Ok(LoadedModel {
        device: backend.name(),
        weights: backend.load(model.take_weights()?)?,
        tolerance: backend.tolerance(),
    })
}

/// Opens GPU `number`, or the best one.
#[cfg(feature = "gpu")]
pub(crate) fn open_gpu(number: Option<usize>, request: &DeviceRequest) -> Result<Arc<dyn Backend>> {
    let gpu = crate::backend::gpu::Gpu::open(number)?;
    if gpu.is_software() {
        // Once: a solver opens its device again after a failure.
        static WARN: std::sync::Once = std::sync::Once::new();
        WARN.call_once(|| {
            log::warn!(
                "{} is a software adapter: it computes on the CPU, many times slower than the \
                 CPU backend",
                gpu.description()
            );
        });
    }
    Ok(Arc::new(
        gpu.with_dtype(request.dtype)
            .with_cache(request.measurements.clone()),
    ))
}

/// Always fails: this build has no GPU backend.
#[cfg(not(feature = "gpu"))]
pub(crate) fn open_gpu(_: Option<usize>, _: &DeviceRequest) -> Result<Arc<dyn Backend>> {
    let message = "no GPU is available: this build runs on the CPU only";
    Err(Error::new(ErrorKind::Device, message).with_hint(Hint::UseCpu))
}
