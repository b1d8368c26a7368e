//! Opens a model. The stages of [`Model::open`], and the files that implement them:
//!
//! 1. Find the file that the path means (`checkpoint/locate.rs`).
//! 2. Open it (`checkpoint/source.rs`). For an ONNX graph, `onnx/graph.rs` replaces the stages 3 to
//!    9.
//! 3. Read the index of its tensors: names, types, shapes, positions (`checkpoint/torch.rs`,
//!    `checkpoint/safetensors.rs`).
//! 4. Gather the hyper-parameters from [`LoadOptions`] and from the files beside it
//!    (`config/settings.rs`).
//! 5. Assign the tensors to weights by their names (`checkpoint/names.rs`).
//! 6. Derive the sizes and the architecture from the shapes (`checkpoint/shapes.rs`).
//! 7. Resolve the [`Config`] from shapes and hyper-parameters (`config/resolve.rs`).
//! 8. Check the shape and the type of every tensor against the configuration (`check_tensors`
//!    below, `checkpoint/int8.rs`).
//! 9. Read the weights as f32 (`checkpoint/read.rs`). The puzzle embedding stays in the file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use crate::checkpoint::names::{self, SCALE_SUFFIX, TensorNames, missing_error};
use crate::checkpoint::shapes::model_shapes;
use crate::checkpoint::{Checkpoint, Dtype, PuzzleRows, Source, int8, is_onnx, locate};
use crate::config::{Config, Provenance, Settings, State};
use crate::error::{Error, Result};
use crate::memory;
use crate::model::build::build_plan;
use crate::model::dtype::WeightDtype;
use crate::model::plan::Plan;
use crate::model::weights::{Weight, Weights};
use crate::onnx::{Graph, LoadedGraph};

/// Hyper-parameters that take precedence over those in the files of the model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// A further configuration file: the `all_config.yaml` of the training, or a `config.json`.
    pub config: Option<PathBuf>,
    /// Single hyper-parameters, as `(name, value)`. They also take precedence over `config`.
    pub set: Vec<(String, String)>,
}

/// Most tokens of a puzzle, S.
const MAX_TOKENS: usize = 65_536;

/// A tensor of the model as the file stores it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    /// Published name, without prefix.
    pub name: String,
    /// Name in the file.
    pub stored_name: String,
    /// Size of each dimension, outermost first.
    pub shape: Vec<usize>,
    /// Type of the elements in the file.
    pub dtype: Dtype,
    /// Size of the elements in bytes.
    pub bytes: u64,
}

/// A model: its configuration, its weights, and its puzzle embedding; or an ONNX graph.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use trm_runtime::{LoadOptions, Model, bundled};
///
/// let bytes = bundled::bytes("sudoku-4x4").unwrap();
/// let model = Model::from_bytes(bytes, &LoadOptions::default())?;
/// assert_eq!(model.config.seq_len, Some(16));
/// assert_eq!(model.plan(16)?.calls[0].kernel(), "embed");
/// # }
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    /// The hyper-parameters.
    pub config: Config,
    /// The source of each hyper-parameter.
    pub provenance: Vec<Provenance>,
    /// The puzzle embedding, which stays in the file. `None`: the model has no puzzle embedding.
    pub puzzle_rows: Option<PuzzleRows>,
    /// All tensors, the puzzle embedding included, in the order of their published names. Empty for
    /// an ONNX graph.
    pub tensors: Vec<StoredTensor>,
    /// The file. `None`: the model is from memory.
    pub path: Option<PathBuf>,
    /// Notes on loading, such as ignored tensors. They are also logged as warnings.
    pub notes: Vec<String>,
    /// Dtype of the block matrices in the file: int8, or f32 for every other type.
    dtype: WeightDtype,
    /// Initial value of each state.
    initial: Vec<(State, Vec<f32>)>,
    content: ModelContent,
}

/// The content of a model's file.
#[derive(Debug)]
enum ModelContent {
    /// Weights for the recursion of this library.
    Tensors(Box<TensorFile>),
    /// A refinement step as an ONNX graph.
    Graph(Arc<Graph>),
}

/// The open file of tensors of a model.
#[derive(Debug)]
pub(super) struct TensorFile {
    /// The weights that were read at opening, until [`Model::take_weights`] takes them.
    weights: Mutex<Option<Weights>>,
    pub(super) names: TensorNames,
    pub(super) checkpoint: Arc<Checkpoint>,
    /// Keys of the configuration files that are not hyper-parameters. [`Model::save`] keeps them.
    pub(super) extra: Map<String, Value>,
}

impl Model {
    /// Opens a model from a file of tensors or from a directory.
    ///
    /// A directory holds one of:
    /// - `config.json` and `model.safetensors`, as [`Model::save`] writes them;
    /// - `step_N` and `all_config.yaml`, as training writes them (the largest N wins);
    /// - a single file of tensors.
    ///
    /// `dataset.json` is read if it is in the directory, or in `train/` or `test/` below it. For a
    /// file, the configuration and `dataset.json` are read from its directory.
    ///
    /// With the feature `onnx`, the path may also be that of an ONNX graph: see
    /// [the ONNX guide](crate::guide::onnx).
    ///
    /// # Errors
    /// - A file cannot be read, or is damaged.
    /// - A hyper-parameter is missing, or contradicts the tensors or another hyper-parameter.
    /// - A tensor is missing, has another shape than the configuration demands, or holds an
    ///   infinity or a NaN.
    pub fn open(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self> {
        let file = locate::model_file(path.as_ref())?;
        let source = Source::open(&file)?;
        let mut settings = settings_from(options)?;
        if is_onnx(&source)? {
            return Self::from_graph(Graph::read(source, Some(&file), settings)?, Some(file));
        }
        let checkpoint = Checkpoint::new(source)?;
        if !locate::add_config_beside(&file, checkpoint.format(), &mut settings)? {
            add_embedded_config(&checkpoint, &mut settings)
                .map_err(|e| e.context(file.display()))?;
        }
        locate::add_dataset_beside(&file, &mut settings)?;
        Self::load(checkpoint, &settings, Some(file))
    }

    /// Opens a model from the bytes of its file. A file that [`Model::save`] wrote contains its
    /// configuration. For any other file, `options` must give the hyper-parameters that the tensors
    /// do not determine. The bytes are kept and not copied.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        options: &LoadOptions,
    ) -> Result<Self> {
        let source = Source::memory(bytes);
        let mut settings = settings_from(options)?;
        if is_onnx(&source)? {
            return Self::from_graph(Graph::read(source, None, settings)?, None);
        }
        let checkpoint = Checkpoint::new(source)?;
        add_embedded_config(&checkpoint, &mut settings)?;
        Self::load(checkpoint, &settings, None)
    }

    /// Runs the stages 5 to 9 of opening a file of tensors.
    fn load(checkpoint: Checkpoint, settings: &Settings, path: Option<PathBuf>) -> Result<Self> {
        let locate = |e: Error| match &path {
            Some(path) => e.context(path.display()),
            None => e,
        };
        let names = names::assign(checkpoint.tensors()).map_err(locate)?;
        let shapes = model_shapes(&checkpoint, &names).map_err(locate)?;
        let resolved = Config::resolve(&shapes, settings).map_err(locate)?;
        let config = resolved.config;
        let mut notes = names.notes.clone();
        notes.extend(resolved.notes);
        let unused_tensors = check_tensors(&checkpoint, &names, &config).map_err(locate)?;
        if !unused_tensors.is_empty() {
            notes.push(format!(
                "tensors that this architecture does not use: {}",
                unused_tensors.join(", ")
            ));
        }
        let dtype = int8::check(&checkpoint, &names, &config).map_err(locate)?;
        let weights = read_weights(&checkpoint, &names, &config)?;
        for note in &notes {
            log::warn!("{note}");
        }
        let checkpoint = Arc::new(checkpoint);
        let puzzle_rows = names
            .puzzle_emb
            .as_ref()
            .zip(shapes.puzzle_emb)
            .map(|(name, shape)| {
                PuzzleRows::new(
                    checkpoint.clone(),
                    name.clone(),
                    shape,
                    config.puzzle_ids.as_deref(),
                )
            });
        Ok(Self {
            tensors: stored_tensors(&checkpoint, &names, &config),
            initial: config
                .states()
                .into_iter()
                .map(|s| (s, weights.get(Weight::Init(s)).data.clone()))
                .collect(),
            config,
            dtype,
            provenance: resolved.provenance,
            puzzle_rows,
            path,
            notes,
            content: ModelContent::Tensors(Box::new(TensorFile {
                weights: Mutex::new(Some(weights)),
                names,
                checkpoint,
                extra: resolved.extra,
            })),
        })
    }

    fn from_graph(loaded: LoadedGraph, path: Option<PathBuf>) -> Result<Self> {
        for note in &loaded.notes {
            log::warn!("{note}");
        }
        Ok(Self {
            config: loaded.config,
            provenance: loaded.provenance,
            puzzle_rows: None,
            tensors: Vec::new(),
            path,
            notes: loaded.notes,
            dtype: WeightDtype::F32,
            initial: loaded.initial,
            content: ModelContent::Graph(Arc::new(loaded.graph)),
        })
    }

    /// Returns the directory of the model's file. `None`: the model is from memory.
    pub fn directory(&self) -> Option<&Path> {
        self.path.as_deref().map(locate::parent)
    }

    /// Returns the weights, without the puzzle embedding, for a backend to store.
    ///
    /// The first call returns the weights that were read at opening. Each further call reads the
    /// file again, so that the model itself keeps no second copy in memory.
    ///
    /// # Errors
    /// The model is an ONNX graph, or the file cannot be read again.
    pub fn take_weights(&self) -> Result<Weights> {
        let file = self.tensor_file()?;
        // A poisoned lock is harmless: the weights are either complete or taken.
        let weights = file
            .weights
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .take();
        weights.map_or_else(
            || read_weights(&file.checkpoint, &file.names, &self.config),
            Ok,
        )
    }

    /// Returns the default weight dtype of a solver: [`WeightDtype::Int8`] if the file stores the
    /// block matrices in int8, else [`WeightDtype::F32`], which represents every other type.
    pub fn dtype(&self) -> WeightDtype {
        self.dtype
    }

    /// Returns the initial value of a carried state: `[D]`, the same for every position, or
    /// `[L, D]` for some ONNX graphs. Empty if an ONNX file does not give it.
    pub fn initial(&self, state: State) -> &[f32] {
        self.initial
            .iter()
            .find(|(s, _)| *s == state)
            .map_or(&[], |(_, row)| row)
    }

    /// Returns the plan of a refinement step for puzzles of S = `tokens` tokens.
    ///
    /// # Errors
    /// The model is an ONNX graph, or it does not take puzzles of this size.
    pub fn plan(&self, tokens: usize) -> Result<Plan> {
        self.tensor_file()?;
        self.check_token_count(tokens)?;
        Ok(build_plan(&self.config, tokens))
    }

    /// Checks that the model takes puzzles of S = `tokens` tokens.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn check_token_count(&self, tokens: usize) -> Result<()> {
        if let Some(seq_len) = self.config.seq_len.filter(|&s| s != tokens) {
            return Err(Error::argument(format!(
                "the puzzle has {tokens} tokens, but this model takes {seq_len}"
            )));
        }
        if !(1..=MAX_TOKENS).contains(&tokens) {
            return Err(Error::argument(format!(
                "the puzzle has {tokens} tokens; it must have 1 to {MAX_TOKENS}"
            )));
        }
        Ok(())
    }

    /// Checks that all `tokens` are in the model's vocabulary.
    ///
    /// # Errors
    /// A token is not.
    pub(crate) fn check_vocabulary(&self, tokens: &[u32]) -> Result<()> {
        let vocab = self.config.vocab_size;
        match tokens.iter().find(|&&t| t as usize >= vocab) {
            Some(token) => Err(Error::argument(format!(
                "token {token} is out of range: the model's vocabulary has {vocab} tokens"
            ))),
            None => Ok(()),
        }
    }

    /// Checks that the model has the puzzle identifier `id`. A model without identifiers ignores
    /// them.
    ///
    /// # Errors
    /// It does not, or the row of the puzzle embedding cannot be read.
    pub(crate) fn check_puzzle_id(&self, id: u32) -> Result<()> {
        if let Some(rows) = &self.puzzle_rows {
            return rows.row(id).map(drop);
        }
        match self.config.num_puzzle_identifiers {
            // Without a puzzle embedding, only an ONNX graph has identifiers.
            count if count > 0 && id as usize >= count => Err(Error::argument(format!(
                "puzzle identifier {id} is out of range: the model has {count} \
                 (num_puzzle_identifiers)"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the open file of tensors. `None`: the model is an ONNX graph.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.tensor_file().ok().map(|file| &*file.checkpoint)
    }

    /// Returns the ONNX graph. `None`: the model is a file of tensors.
    pub(crate) fn graph(&self) -> Option<&Arc<Graph>> {
        match &self.content {
            ModelContent::Graph(graph) => Some(graph),
            ModelContent::Tensors(_) => None,
        }
    }

    /// Returns whether the model is an ONNX graph. Such a model has no plan, no weights and no
    /// known number of floating-point operations.
    pub fn is_onnx(&self) -> bool {
        self.graph().is_some()
    }

    /// Returns the file of tensors.
    ///
    /// # Errors
    /// The model is an ONNX graph.
    pub(super) fn tensor_file(&self) -> Result<&TensorFile> {
        match &self.content {
            ModelContent::Tensors(file) => Ok(file),
            ModelContent::Graph(_) => Err(self.needs_tensors_error()),
        }
    }

    /// Returns the error for an operation that an ONNX graph does not support.
    fn needs_tensors_error(&self) -> Error {
        let message = "is an ONNX graph, which has no plan and no separate weights; \
            use the checkpoint instead";
        let error = Error::checkpoint(message);
        match &self.path {
            Some(path) => error.context(path.display()),
            None => error,
        }
    }
}

/// Returns the hyper-parameters of the options.
fn settings_from(options: &LoadOptions) -> Result<Settings> {
    let mut settings = Settings::default();
    settings.add_options(&options.set)?;
    if let Some(path) = &options.config {
        settings.add_file(&path.display().to_string(), &locate::read_config(path)?)?;
    }
    Ok(settings)
}

/// Adds the configuration that [`Model::save`] writes into the metadata of the file.
fn add_embedded_config(checkpoint: &Checkpoint, settings: &mut Settings) -> Result<()> {
    match checkpoint.metadata().get("config") {
        Some(text) if text.trim_start().starts_with('{') => {
            settings.add_file("metadata \"config\" of the file", text)
        }
        _ => Ok(()),
    }
}

/// Checks that the file has every tensor that `config` demands, in the demanded shape. Returns the
/// names of the tensors that the model does not use.
fn check_tensors(
    checkpoint: &Checkpoint,
    names: &TensorNames,
    config: &Config,
) -> Result<Vec<String>> {
    let demanded = config.weights();
    for weight in &demanded {
        let name = names
            .weights
            .get(weight)
            .ok_or_else(|| missing_error(*weight))?;
        let found = checkpoint
            .tensors()
            .get(name)
            .map(|info| info.shape.as_slice())
            .unwrap_or_default();
        weight
            .check_shape(config, found)
            .map_err(|e| e.context(format!("tensor \"{name}\"")))?;
    }
    let used = demanded
        .iter()
        .flat_map(|weight| {
            names
                .weights
                .get(weight)
                .into_iter()
                .chain(names.scales.get(weight))
        })
        .chain(&names.puzzle_emb);
    checkpoint.check_cost(used.map(String::as_str))?;
    Ok(names
        .weights
        .iter()
        .filter(|(weight, _)| !demanded.contains(weight))
        .map(|(_, name)| name.clone())
        .collect())
}

/// Reads the weights after [`check_tensors`].
fn read_weights(checkpoint: &Checkpoint, names: &TensorNames, config: &Config) -> Result<Weights> {
    let sizes = config.weights().into_iter();
    let sizes = sizes.map(|w| {
        w.shape(config)
            .iter()
            .fold(4usize, |n, d| n.saturating_mul(*d))
    });
    let bytes = sizes.fold(0usize, usize::saturating_add);
    memory::check(bytes, "the weights of the model")?;
    Weights::collect(config, |weight| int8::read(checkpoint, names, weight))
}

/// Lists the tensors of the model, sorted by published name.
fn stored_tensors(
    checkpoint: &Checkpoint,
    names: &TensorNames,
    config: &Config,
) -> Vec<StoredTensor> {
    let weights = config.weights().into_iter().flat_map(|w| {
        let scales = names
            .scales
            .get(&w)
            .map(|name| (w.name() + SCALE_SUFFIX, name));
        names
            .weights
            .get(&w)
            .map(|name| (w.name(), name))
            .into_iter()
            .chain(scales)
    });
    let puzzle_emb = names
        .puzzle_emb
        .as_ref()
        .map(|name| (names::PUZZLE_EMB.to_owned(), name));
    let mut all: Vec<StoredTensor> = weights
        .chain(puzzle_emb)
        .filter_map(|(name, stored_name)| {
            let info = checkpoint.tensors().get(stored_name)?;
            Some(StoredTensor {
                name,
                stored_name: stored_name.clone(),
                shape: info.shape.clone(),
                dtype: info.dtype,
                bytes: info.stored_bytes().unwrap_or(0),
            })
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
