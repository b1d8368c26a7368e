//! Where a solver's model runs: which device is taken, and what stands in for one that fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::request::{Device, Loads, Wish, load, open_gpu};
use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::backend::reference::Reference;
use crate::error::{Error, ErrorKind, Result};
use crate::import::Model;

/// A solver's weights on the devices that it came to use. Made at the first use, shared by its clones.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    /// What was chosen for batches of one, and for others; `auto` may differ.
    chosen: BTreeMap<bool, Loads>,
    /// The CPU, where `auto` looked at it or where it had to stand in.
    cpu: Option<Loads>,
    failures: usize,
    why: Option<String>,
}

/// A device that fails this often in a solver's life is not tried again.
const FAILURES: usize = 2;

impl Place {
    /// The weights on the device that is wished for, for batches of `slots`. A device that failed before is opened anew.
    pub(crate) fn loads(&self, model: &Model, wish: &Wish, slots: usize) -> Result<Loads> {
        let mut used = self.lock();
        if let Some(chosen) = used.chosen.get(&(slots > 1)) {
            return Ok(chosen.clone());
        }
        let chosen = match used.choose(model, wish, slots) {
            // One that is not there is an error at first; one that was there, or is and cannot hold the model, is replaced.
            Err(Refused { error, opened })
                if error.kind() == ErrorKind::Device && (opened || used.failures > 0) =>
            {
                log::warn!("{error}; the CPU takes over");
                used.failures = FAILURES;
                used.cpu(model, wish)?
            }
            Err(refused) => return Err(refused.error),
            Ok(chosen) => chosen,
        };
        used.chosen.insert(slots > 1, chosen.clone());
        Ok(chosen)
    }

    /// Why `auto` chose the device that it chose last.
    pub(crate) fn why(&self) -> Option<String> {
        self.lock().why.clone()
    }

    /// The weights on the CPU, after `failed` has failed.
    pub(crate) fn replace(&self, failed: &Loads, error: &Error, model: &Model, wish: &Wish) -> Result<Loads> {
        let mut used = self.lock();
        log::warn!("{error}; its puzzles start again on the CPU");
        let spare = used.cpu(model, wish)?;
        // Only the first of several sessions over the same device counts.
        let is_failed = |chosen: &Loads| Arc::ptr_eq(&chosen.loaded, &failed.loaded);
        if used.chosen.values().any(is_failed) {
            used.failures += 1;
            used.chosen.retain(|_, chosen| !is_failed(chosen));
            if used.failures >= FAILURES {
                used.chosen = [(false, spare.clone()), (true, spare.clone())].into();
            }
        }
        Ok(spare)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Used> {
        // A poisoned lock means that loading panicked on another thread; nothing half-made is stored.
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Used {
    fn cpu(&mut self, model: &Model, wish: &Wish) -> Result<Loads> {
        if let Some(cpu) = &self.cpu {
            return Ok(cpu.clone());
        }
        let cpu = load(&Cpu::new(wish.threads)?.with_format(wish.format), model)?;
        self.cpu = Some(cpu.clone());
        Ok(cpu)
    }

    fn choose(&mut self, model: &Model, wish: &Wish, slots: usize) -> Result<Loads, Refused> {
        let absent = |error| Refused { error, opened: false };
        if let Some(known) = self.chosen.values().next()
            && (wish.backend.is_some() || wish.device != Device::Auto)
        {
            return Ok(known.clone());
        }
        let backend: Arc<dyn Backend> = match (&wish.backend, wish.device) {
            (Some(backend), _) => backend.clone(),
            (None, Device::Reference) => {
                // The oracle stores nothing: it computes with the numbers that the format has.
                let load = || Reference.load(model.weights()?.rounded(wish.format));
                let loaded = load().map_err(absent)?;
                return Ok(Loads {
                    name: Reference.name(),
                    loaded,
                });
            }
            (None, Device::Gpu(number)) => open_gpu(number, wish).map_err(absent)?,
            (None, Device::Cpu) => return self.cpu(model, wish).map_err(absent),
            (None, Device::Auto) => return self.choose_by_measuring(model, wish, slots).map_err(absent),
        };
        load(&*backend, model).map_err(|error| Refused { error, opened: true })
    }

    #[cfg(feature = "gpu")]
    fn choose_by_measuring(&mut self, model: &Model, wish: &Wish, slots: usize) -> Result<Loads> {
        let cpu = self.cpu(model, wish)?;
        let choice = super::auto::faster_gpu(model, &cpu, slots.min(MEASURED), wish);
        let device = if choice.gpu.is_some() { "a GPU" } else { "the CPU" };
        log::info!("auto: {device}: {}", choice.why);
        self.why = Some(choice.why);
        Ok(choice.gpu.unwrap_or(cpu))
    }

    #[cfg(not(feature = "gpu"))]
    fn choose_by_measuring(&mut self, model: &Model, wish: &Wish, _: usize) -> Result<Loads> {
        self.why = Some("this build has no GPU backend".into());
        self.cpu(model, wish)
    }
}

/// The largest batch that `auto` measures.
#[cfg(feature = "gpu")]
const MEASURED: usize = 16;

/// Why a device was not taken.
struct Refused {
    error: Error,
    /// It is there, but failed.
    opened: bool,
}

#[cfg(all(test, feature = "gpu", feature = "bundled"))]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_failed_once_is_opened_anew() {
        match open_gpu(None, &Wish::default()) {
            Ok(_) => {}
            Err(e) if std::env::var("TRM_REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("{e}"),
            Err(e) => return eprintln!("skipped: no adapter: {e}"),
        }
        let solver = crate::Solver::bundled("sudoku-4x4").unwrap();
        let (model, place) = (solver.model(), Place::default());
        let wish = Wish {
            device: Device::Gpu(None),
            ..Wish::default()
        };
        let lost = Error::new(ErrorKind::Device, "lost by a test");
        let first = place.loads(model, &wish, 1).unwrap();
        assert!(Arc::ptr_eq(
            &first.loaded,
            &place.loads(model, &wish, 16).unwrap().loaded
        ));
        assert_eq!(place.replace(&first, &lost, model, &wish).unwrap().name, "cpu");
        let second = place.loads(model, &wish, 1).unwrap();
        assert_eq!(second.name, "gpu");
        assert!(!Arc::ptr_eq(&first.loaded, &second.loaded));
        // Another session over the first device is late: that counts no more.
        assert_eq!(place.replace(&first, &lost, model, &wish).unwrap().name, "cpu");
        assert_eq!(place.loads(model, &wish, 16).unwrap().name, "gpu");
        place.replace(&second, &lost, model, &wish).unwrap();
        assert_eq!(place.loads(model, &wish, 16).unwrap().name, "cpu");
    }
}
