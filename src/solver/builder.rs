//! The settings of a solver, validated once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Solver;
use crate::backend::Backend;
use crate::backend::cpu::check_threads;
use crate::backend::measurements::MeasurementCache;
use crate::device::{Device, DeviceCache, DeviceRequest};
use crate::error::{Error, Result};
use crate::import::{LoadOptions, Model};
use crate::model::dtype::WeightDtype;
use crate::session::{CancelToken, HaltPolicy, HaltRule, MultiStart};
use crate::task::{Identifiers, Task, TaskKind};

/// Default number of slots of a batch.
const DEFAULT_BATCH: usize = 16;

/// Settings of a [`Solver`]. [`Solver::builder`] creates it.
///
/// The last call opens the model and checks all settings: [`open`](SolverBuilder::open),
/// [`bundled`](SolverBuilder::bundled), [`from_bytes`](SolverBuilder::from_bytes) or
/// [`build`](SolverBuilder::build).
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use trm_runtime::{Device, HaltRule, Solver};
///
/// let solver = Solver::builder()
///     .device(Device::Cpu)
///     .threads(1)
///     .halt_rule(HaltRule::Head)
///     .bundled("sudoku-4x4")?;
/// assert_eq!(solver.device_name()?, "cpu");
/// # }
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it opens a model"]
pub struct SolverBuilder {
    pub(super) load: LoadOptions,
    pub(super) request: DeviceRequest,
    /// `None`: the weight dtype of the file.
    pub(super) dtype: Option<WeightDtype>,
    pub(super) batch: usize,
    pub(super) kind: Option<TaskKind>,
    pub(super) task: Option<Arc<dyn Task>>,
    pub(super) identifiers: Option<Identifiers>,
    pub(super) halt_rule: Option<HaltRule>,
    pub(super) halt_threshold: f32,
    pub(super) min_steps: usize,
    pub(super) max_steps: Option<usize>,
    pub(super) time_limit: Option<Duration>,
    pub(super) multi_start: MultiStart,
    pub(super) cancel: CancelToken,
    /// The model that is already on a device, if a built solver was changed.
    pub(super) loaded: Option<(Arc<Model>, Arc<DeviceCache>)>,
}

impl Default for SolverBuilder {
    fn default() -> Self {
        Self {
            load: LoadOptions::default(),
            request: DeviceRequest::default(),
            dtype: None,
            batch: DEFAULT_BATCH,
            kind: None,
            task: None,
            identifiers: None,
            halt_rule: None,
            halt_threshold: 0.5,
            min_steps: 1,
            max_steps: None,
            time_limit: None,
            multi_start: MultiStart::default(),
            cancel: CancelToken::new(),
            loaded: None,
        }
    }
}

impl SolverBuilder {
    /// Sets hyper-parameters that override those of the model's files.
    pub fn load_options(mut self, options: LoadOptions) -> Self {
        self.load = options;
        self
    }

    /// Sets whether a model opens whose network has tensors that no published architecture has,
    /// such as adapters. They are left out, so its answers are those of another network. Default:
    /// `false`, which makes such tensors an error.
    pub fn ignore_unknown_tensors(mut self, ignore: bool) -> Self {
        self.load.ignore_unknown_tensors = ignore;
        self
    }

    /// Sets the device. Default: [`Device::Auto`].
    pub fn device(mut self, device: Device) -> Self {
        self.request.device = device;
        self.request.backend = None;
        self.loaded = None;
        self
    }

    /// Runs on a backend that the app has created, such as a GPU that it has opened. If the backend
    /// fails, the CPU takes over.
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.request.backend = Some(backend);
        self.loaded = None;
        self
    }

    /// Sets how the weights of the blocks are stored. Default: [`Model::dtype`]. No effect on a
    /// backend that was set with [`SolverBuilder::backend`], which has its own dtype.
    pub fn dtype(mut self, dtype: WeightDtype) -> Self {
        self.dtype = Some(dtype);
        self.loaded = None;
        self
    }

    /// Sets the number of CPU threads. Default: one per core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.request.threads = Some(threads);
        self.loaded = None;
        self
    }

    /// Sets the folder that stores the measurements by which a device is chosen, so that they are
    /// made once. Default: `None`; every process measures again.
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.request.measurements = MeasurementCache::new(Some(folder.into()));
        self
    }

    /// Sets the largest number of puzzles that are computed at once. Default: 16.
    pub fn batch(mut self, puzzles: usize) -> Self {
        self.batch = puzzles;
        self
    }

    /// Sets the kind of the puzzles. Default: detected from each puzzle and the model.
    pub fn kind(mut self, kind: TaskKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Sets an app's own kind of puzzle, which replaces the built-in ones.
    pub fn task(mut self, task: Arc<dyn Task>) -> Self {
        self.task = Some(task);
        self
    }

    /// Sets the names of an ARC checkpoint's puzzles. Default: `identifiers.json` beside the model.
    pub fn identifiers(mut self, identifiers: Identifiers) -> Self {
        self.identifiers = Some(identifiers);
        self
    }

    /// Sets when a puzzle halts. Default: [`HaltRule::Verified`].
    pub fn halt_rule(mut self, rule: HaltRule) -> Self {
        self.halt_rule = Some(rule);
        self
    }

    /// Sets the halting probability above which a puzzle halts, from 0 to 1. Default: 0.5.
    pub fn halt_threshold(mut self, probability: f32) -> Self {
        self.halt_threshold = probability;
        self
    }

    /// Sets the number of steps before which no puzzle halts. Default: 1.
    pub fn min_steps(mut self, steps: usize) -> Self {
        self.min_steps = steps;
        self
    }

    /// Sets the number of steps after which every puzzle ends. Default: as many as the model was
    /// trained for.
    pub fn max_steps(mut self, steps: usize) -> Self {
        self.max_steps = Some(steps);
        self
    }

    /// Sets how long each session may run, counted from its creation. Default: no limit.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Sets how many starts each puzzle gets. Default: one.
    pub fn multi_start(mut self, settings: MultiStart) -> Self {
        self.multi_start = settings;
        self
    }

    /// Sets a token that stops every session of the solver. Each session also has its own token.
    pub fn cancel_token(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }

    /// Opens a model: a file that training wrote, a safetensors file, an ONNX file, or a folder
    /// that holds one of them.
    ///
    /// # Errors
    /// As [`Model::open`] and [`SolverBuilder::build`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Solver> {
        let model = Model::open(path, &self.load)?;
        self.build(model)
    }

    /// Opens a model from the bytes of a file that `trm-run convert` wrote. The bytes are kept and
    /// not copied: an app can pass a mapped file.
    ///
    /// # Errors
    /// As [`Model::from_bytes`] and [`SolverBuilder::build`].
    pub fn from_bytes(self, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Solver> {
        let model = Model::from_bytes(bytes, &self.load)?;
        self.build(model)
    }

    /// Opens one of the [bundled models](crate::bundled).
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if no bundled model has this name; as
    /// [`SolverBuilder::build`].
    pub fn bundled(self, name: &str) -> Result<Solver> {
        let bytes = crate::bundled::bytes(name).ok_or_else(|| {
            let names = crate::bundled::NAMES.join(", ");
            Error::argument(format!("no bundled model {name:?}: {names}"))
        })?;
        self.from_bytes(bytes).map_err(|e| e.context(name))
    }

    /// Builds a solver over a model that is already open.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a setting is out of range or does not
    /// fit the model; [`ErrorKind::Device`](crate::ErrorKind::Device) if an ONNX graph is to run on
    /// anything but the CPU. Other devices are opened at the first use.
    pub fn build(mut self, model: impl Into<Arc<Model>>) -> Result<Solver> {
        let model = model.into();
        if self.batch == 0 {
            return Err(Error::argument("batch 0: a batch has at least one slot"));
        }
        if let Some(threads) = self.request.threads {
            check_threads(threads)?;
        }
        self.request.dtype = self.dtype.unwrap_or(model.dtype());
        let policy = HaltPolicy {
            rule: self.halt_rule.unwrap_or(HaltRule::Verified),
            threshold: self.halt_threshold,
            min_steps: self.min_steps,
            max_steps: self.max_steps.unwrap_or(model.config.halt_max_steps),
        };
        let cache = match self.loaded.take() {
            Some((loaded, cache)) if Arc::ptr_eq(&loaded, &model) => cache,
            _ => Arc::default(),
        };
        let mut multi_start = self.multi_start.checked()?;
        multi_start.noise_only |= model.config.symbols() > 0;
        let solver = Solver {
            policy: policy.checked()?,
            multi_start,
            model,
            cache,
            identifiers: Arc::default(),
            settings: self,
        };
        solver.graph()?;
        Ok(solver)
    }
}
