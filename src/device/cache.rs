//! The devices that a solver has opened, and what replaces one that fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::request::{Device, DeviceRequest, LoadedModel, load, open_gpu};
use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::backend::reference::Reference;
use crate::error::{Error, ErrorKind, Result};
use crate::import::Model;
use crate::process::ProcessId;

/// Number of device failures after which a solver uses only the CPU.
const MAX_FAILURES: usize = 2;

/// The largest batch that [`Device::Auto`] measures.
#[cfg(feature = "gpu")]
const MAX_MEASURED_SLOTS: usize = 16;

/// The class of a batch size. [`Device::Auto`] may choose another device for each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum BatchClass {
    /// One slot.
    Single,
    /// Several slots.
    Many,
}

impl BatchClass {
    fn of(slots: usize) -> Self {
        match slots {
            0 | 1 => Self::Single,
            _ => Self::Many,
        }
    }
}

/// A solver's model on the devices that it has used. Filled at the first use, shared by all clones
/// of the solver.
#[derive(Debug, Default)]
pub(crate) struct DeviceCache {
    state: Mutex<DeviceState>,
    process: ProcessId,
}

#[derive(Debug, Default)]
struct DeviceState {
    chosen: BTreeMap<BatchClass, LoadedModel>,
    /// The CPU, if [`Device::Auto`] measured it or if it took over from a GPU.
    cpu: Option<LoadedModel>,
    failures: usize,
    /// Why [`Device::Auto`] chose the last device.
    choice_reason: Option<String>,
}

/// Why a device could not be used.
struct OpenError {
    error: Error,
    /// Whether the device exists: it was opened and then failed.
    was_opened: bool,
}

impl DeviceCache {
    /// Returns the model on the requested device, for batches of `slots`. Opens a device that
    /// failed before once more.
    pub(crate) fn get(
        &self,
        model: &Model,
        request: &DeviceRequest,
        slots: usize,
    ) -> Result<LoadedModel> {
        let class = BatchClass::of(slots);
        let mut state = self.lock()?;
        if let Some(chosen) = state.chosen.get(&class) {
            return Ok(chosen.clone());
        }
        let chosen = match state.choose(model, request, slots) {
            // A device that does not exist is an error. A device that existed before, or that
            // exists and cannot hold the model, is replaced.
            Err(OpenError { error, was_opened })
                if error.kind() == ErrorKind::Device && (was_opened || state.failures > 0) =>
            {
                log::warn!("{error}; the CPU takes over");
                state.failures = MAX_FAILURES;
                state.cpu(model, request)?
            }
            Err(failed) => return Err(failed.error),
            Ok(chosen) => chosen,
        };
        state.chosen.insert(class, chosen.clone());
        Ok(chosen)
    }

    /// Returns why [`Device::Auto`] chose the device that it chose last.
    pub(crate) fn choice_reason(&self) -> Option<String> {
        self.lock().ok()?.choice_reason.clone()
    }

    /// Returns the model on the CPU, after the device of `failed` has failed.
    pub(crate) fn replace(
        &self,
        failed: &LoadedModel,
        error: &Error,
        model: &Model,
        request: &DeviceRequest,
    ) -> Result<LoadedModel> {
        let mut state = self.lock()?;
        log::warn!("{error}; its puzzles start again on the CPU");
        let cpu = state.cpu(model, request)?;
        // If several sessions used the same device, only the first report counts as a failure.
        let is_failed = |chosen: &LoadedModel| Arc::ptr_eq(&chosen.weights, &failed.weights);
        if state.chosen.values().any(is_failed) {
            state.failures += 1;
            state.chosen.retain(|_, chosen| !is_failed(chosen));
            if state.failures >= MAX_FAILURES {
                let classes = [BatchClass::Single, BatchClass::Many];
                state.chosen = classes.map(|class| (class, cpu.clone())).into();
            }
        }
        Ok(cpu)
    }

    /// Locks the state.
    ///
    /// # Errors
    /// The process is a child of a fork. A thread of its parent may hold the lock there.
    fn lock(&self) -> Result<std::sync::MutexGuard<'_, DeviceState>> {
        self.process.check()?;
        // A poisoned lock means that loading panicked on another thread. The state only ever holds
        // complete entries.
        Ok(self.state.lock().unwrap_or_else(|e| e.into_inner()))
    }
}

impl DeviceState {
    fn cpu(&mut self, model: &Model, request: &DeviceRequest) -> Result<LoadedModel> {
        if let Some(cpu) = &self.cpu {
            return Ok(cpu.clone());
        }
        let cpu = load(&Cpu::new(request.threads)?.with_dtype(request.dtype), model)?;
        self.cpu = Some(cpu.clone());
        Ok(cpu)
    }

    fn choose(
        &mut self,
        model: &Model,
        request: &DeviceRequest,
        slots: usize,
    ) -> Result<LoadedModel, OpenError> {
        let not_opened = |error| OpenError {
            error,
            was_opened: false,
        };
        if let Some(known) = self.chosen.values().next()
            && (request.backend.is_some() || request.device != Device::Auto)
        {
            return Ok(known.clone());
        }
        let backend: Arc<dyn Backend> = match (&request.backend, request.device) {
            (Some(backend), _) => backend.clone(),
            (None, Device::Reference) => {
                // The reference stores f32 only. It computes with the rounded weights.
                let load = || {
                    let weights = model.take_weights()?;
                    weights.check_range(request.dtype)?;
                    Reference.load(weights.rounded(request.dtype))
                };
                return Ok(LoadedModel {
                    device: Reference.name(),
                    weights: load().map_err(not_opened)?,
                    tolerance: Reference.tolerance(),
                });
            }
            (None, Device::Gpu(number)) => open_gpu(number, request).map_err(not_opened)?,
            (None, Device::Cpu) => return self.cpu(model, request).map_err(not_opened),
            (None, Device::Auto) => {
                return self
                    .choose_by_measuring(model, request, slots)
                    .map_err(not_opened);
            }
        };
        load(&*backend, model).map_err(|error| OpenError {
            error,
            was_opened: true,
        })
    }

    #[cfg(feature = "gpu")]
    fn choose_by_measuring(
        &mut self,
        model: &Model,
        request: &DeviceRequest,
        slots: usize,
    ) -> Result<LoadedModel> {
        let cpu = self.cpu(model, request)?;
        let decision = super::auto::decide(model, &cpu, slots.min(MAX_MEASURED_SLOTS), request);
        let device = if decision.gpu.is_some() {
            "a GPU"
        } else {
            "the CPU"
        };
        log::info!("auto: {device}: {}", decision.reason);
        self.choice_reason = Some(decision.reason);
        Ok(decision.gpu.unwrap_or(cpu))
    }

    #[cfg(not(feature = "gpu"))]
    fn choose_by_measuring(
        &mut self,
        model: &Model,
        request: &DeviceRequest,
        _: usize,
    ) -> Result<LoadedModel> {
        self.choice_reason = Some("this build has no GPU backend".into());
        self.cpu(model, request)
    }
}

#[cfg(all(test, feature = "gpu", feature = "bundled"))]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_failed_once_is_opened_once_more() {
        match open_gpu(None, &DeviceRequest::default()) {
            Ok(_) => {}
            Err(e) if std::env::var("TRM_REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("{e}"),
            Err(e) => return eprintln!("skipped: no adapter: {e}"),
        }
        let solver = crate::Solver::bundled("sudoku-4x4").unwrap();
        let (model, cache) = (solver.model(), DeviceCache::default());
        let request = DeviceRequest {
            device: Device::Gpu(None),
            ..DeviceRequest::default()
        };
        let lost = Error::new(ErrorKind::Device, "lost by a test");
        let first = cache.get(model, &request, 1).unwrap();
        let many = cache.get(model, &request, 16).unwrap();
        assert!(Arc::ptr_eq(&first.weights, &many.weights));
        assert_eq!(
            cache
                .replace(&first, &lost, model, &request)
                .unwrap()
                .device,
            "cpu"
        );
        let second = cache.get(model, &request, 1).unwrap();
        assert_eq!(second.device, "gpu");
        assert!(!Arc::ptr_eq(&first.weights, &second.weights));
        // Another session reports the first device late. This does not count as a second failure.
        assert_eq!(
            cache
                .replace(&first, &lost, model, &request)
                .unwrap()
                .device,
            "cpu"
        );
        assert_eq!(cache.get(model, &request, 16).unwrap().device, "gpu");
        cache.replace(&second, &lost, model, &request).unwrap();
        assert_eq!(cache.get(model, &request, 16).unwrap().device, "cpu");
    }
}
