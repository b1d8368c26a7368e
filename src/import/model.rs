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

use super::folder::{always_replaced, is_config_outdated, stored_config};
use crate::checkpoint::locate::{Layout, ModelFile};
use crate::checkpoint::names::{self, SCALE_SUFFIX, TensorNames, missing_error, unknown_error};
use crate::checkpoint::shapes::model_shapes;
use crate::checkpoint::{Checkpoint, Dtype, PuzzleRows, Source, int8, is_onnx, locate, shards};
use crate::config::{Config, Provenance, ResolvedConfig, Settings, State};
use crate::error::{Error, Hint, Result};
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
    /// Opens a model whose network has tensors that no published architecture has, such as
    /// adapters. They are left out, so its answers are those of another network. Default: `false`,
    /// which makes such tensors an error.
    pub ignore_unknown_tensors: bool,
}

/// Most attempts to open a model that another program replaces at the same time.
const MAX_OPENINGS: usize = 20;

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
    /// The files that were read, for [`Model::files`].
    files: Vec<PathBuf>,
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

/// What [`Model::gather`] found beside a file.
struct FilesBeside {
    config_file: Option<PathBuf>,
    dataset_file: Option<PathBuf>,
    /// The settings without `config_file`, if the file of tensors stores a configuration itself.
    stored: Option<Settings>,
}

impl Model {
    /// Opens a model from a file of tensors or from a directory.
    ///
    /// A directory holds one of:
    /// - `config.json` and `model.safetensors`, as [`Model::save`] writes them;
    /// - `step_N` and `all_config.yaml`, as training writes them (the largest N wins, and a note
    ///   says so);
    /// - a single file of tensors, or a model in several files with or without an index
    ///   (`model.safetensors.index.json`);
    /// - a directory `checkpoints` with one of these.
    ///
    /// `dataset.json` is read if it is in the directory, or in `train/` or `test/` below it. For a
    /// file, the configuration and `dataset.json` are read from its directory. Hyper-parameters
    /// that training stored in the file of tensors are read, too; see [the guide to
    /// checkpoints](crate::guide::checkpoints).
    ///
    /// With the feature `onnx`, the path may also be that of an ONNX graph: see
    /// [the ONNX guide](crate::guide::onnx).
    ///
    /// # Errors
    /// - A file cannot be read, or is damaged.
    /// - A hyper-parameter is missing, or contradicts the tensors or another hyper-parameter.
    /// - The configuration beside the file contradicts the one that the file stores itself.
    /// - A tensor is missing, has another shape than the configuration demands, or holds an
    ///   infinity or a NaN.
    /// - The network has a tensor that no published architecture has, unless
    ///   [`LoadOptions::ignore_unknown_tensors`] is set.
    pub fn open(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self> {
        for _ in 0..MAX_OPENINGS {
            let ModelFile {
                path: file,
                layout,
                note,
            } = locate::model_file(path.as_ref())?;
            let mut notes: Vec<String> = note.into_iter().collect();
            let mut settings = settings_from(options)?;
            let mut files = vec![file.clone()];
            files.extend(options.config.clone());
            let is_index = matches!(layout, Layout::Index);
            let checkpoint = match layout {
                Layout::Single => {
                    let source = Source::open(&file)?;
                    if is_onnx(&source)? {
                        let mut graph = Graph::read(source, Some(&file), settings)?;
                        notes.append(&mut graph.notes);
                        graph.notes = notes;
                        let mut model = Self::from_graph(graph, Some(file.clone()))?;
                        #[cfg(feature = "onnx")]
                        files.extend(locate::settings_beside(&file));
                        model.files = files;
                        return Ok(model);
                    }
                    Checkpoint::new(source)?
                }
                Layout::Index => {
                    let (checkpoint, mut shard_notes) = shards::open_index(&file)?;
                    notes.append(&mut shard_notes);
                    checkpoint
                }
                Layout::Numbered(paths) => {
                    files.extend(paths.iter().cloned());
                    shards::open_files(&paths)?
                }
            };
            let beside = Self::gather(&checkpoint, &file, &mut settings);
            // Another run may have replaced the model in the meantime. Then the configuration
            // beside it does not belong to the open file.
            if !is_index && !checkpoint.is_at(&file) {
                continue;
            }
            let beside = beside?;
            let config_file = beside.config_file.clone();
            files.extend(config_file.into_iter().chain(beside.dataset_file));
            let stored = beside.stored.zip(beside.config_file);
            let mut model = Self::load(checkpoint, &settings, stored, Some(file), options, notes)?;
            model.files = files;
            return Ok(model);
        }
        Err(always_replaced(path.as_ref()))
    }

    /// Adds the settings beside a file and in it.
    fn gather(
        checkpoint: &Checkpoint,
        file: &Path,
        settings: &mut Settings,
    ) -> Result<FilesBeside> {
        let mut stored = settings.clone();
        let is_stored =
            add_embedded_config(checkpoint, &mut stored).map_err(|e| e.context(file.display()))?;
        let mut config_file = None;
        if is_config_outdated(file, checkpoint) {
            log::warn!(
                "{}: {} belongs to the model before, since a save was interrupted; the \
                 configuration in the file is used",
                file.display(),
                locate::CONFIG_FILE
            );
        } else {
            config_file = locate::add_config_beside(file, checkpoint.format(), settings)?;
        }
        add_embedded_config(checkpoint, settings).map_err(|e| e.context(file.display()))?;
        add_stored_configs(checkpoint, settings);
        let dataset_file = locate::add_dataset_beside(file, settings)?;
        locate::add_dataset_beside(file, &mut stored)?;
        Ok(FilesBeside {
            config_file,
            dataset_file,
            stored: is_stored.then_some(stored),
        })
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
        add_stored_configs(&checkpoint, &mut settings);
        Self::load(checkpoint, &settings, None, None, options, Vec::new())
    }

    /// Runs the stages 5 to 9 of opening a file of tensors. `stored`: the settings without the
    /// configuration beside the file, which must give the same values, and the path of that
    /// configuration. `notes` are those of the stages before.
    fn load(
        checkpoint: Checkpoint,
        settings: &Settings,
        stored: Option<(Settings, PathBuf)>,
        path: Option<PathBuf>,
        options: &LoadOptions,
        mut notes: Vec<String>,
    ) -> Result<Self> {
        let locate = |e: Error| match &path {
            Some(path) => e.context(path.display()),
            None => e,
        };
        notes.extend(checkpoint.nameless_averages().iter().map(|key| {
            format!("the averaged weights under \"{key}\" have no names, so they are not used")
        }));
        let names = names::assign(checkpoint.tensors()).map_err(locate)?;
        let mut unknown = names.unknown.clone();
        if !unknown.is_empty() && !options.ignore_unknown_tensors {
            return Err(locate(unknown_error(&unknown)));
        }
        let shapes = model_shapes(&checkpoint, &names).map_err(locate)?;
        let resolved = Config::resolve(&shapes, settings);
        if let (Some((stored, config_file)), Some(path)) = (&stored, &path)
            && let Ok(stored) = Config::resolve(&shapes, stored)
        {
            check_stored(&resolved, &stored.config, config_file, path)?;
        }
        let resolved = resolved.map_err(locate)?;
        let config = resolved.config;
        notes.extend(names.notes.iter().cloned());
        notes.extend(resolved.notes);
        let unused = check_tensors(&checkpoint, &names, &config, shapes.one_halting_output)
            .map_err(locate)?;
        if !unused.is_empty() && !options.ignore_unknown_tensors {
            return Err(locate(unused_error(&unused, &config)));
        }
        unknown.extend(unused);
        if !unknown.is_empty() {
            notes.push(format!(
                "unknown tensors of the network are ignored, so the answers are those of another \
                 network: {}",
                names::list_names(&unknown)
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
            files: Vec::new(),
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
            files: Vec::new(),
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

    /// Returns the files that the model was read from: the tensors or the graph, and the
    /// configuration. Empty for a model from memory.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
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
        settings.add_given_file(&path.display().to_string(), &locate::read_config(path)?)?;
    }
    Ok(settings)
}

/// Adds the configuration that [`Model::save`] writes into the metadata of the file. Returns
/// whether there is one.
fn add_embedded_config(checkpoint: &Checkpoint, settings: &mut Settings) -> Result<bool> {
    match stored_config(checkpoint) {
        Some(text) => settings
            .add_file("metadata \"config\" of the file", text)
            .map(|()| true),
        None => Ok(false),
    }
}

/// Checks that the configuration beside a file gives the values that the file stores itself. If
/// not, the two files belong to different models.
///
/// # Errors
/// A value differs.
fn check_stored(
    beside: &Result<ResolvedConfig>,
    stored: &Config,
    config_file: &Path,
    path: &Path,
) -> Result<()> {
    let remedy = format!(
        "the files belong to different models: save the model again, or remove {} to use the \
         stored values",
        config_file.display()
    );
    let beside = match beside {
        Ok(beside) => beside.config.to_json(),
        Err(e) => {
            // The stored values fit the tensors, so that the error is about the other file.
            let message = format!("{e}; {remedy}");
            return Err(Error::config(message).context(path.display()));
        }
    };
    let mut differences = Vec::new();
    let mut values = Vec::new();
    let stored = stored.to_json();
    for (key, value) in &beside {
        // What only one file says is no contradiction, except which rows the tensors hold.
        let other = stored.get(key).unwrap_or(&Value::Null);
        if value != other && (key == "puzzle_ids" || !(value.is_null() || other.is_null())) {
            differences.push(format!(
                "{key} is {} in {}, but {} in the configuration stored in {}",
                shortened(value),
                config_file.display(),
                shortened(other),
                path.display()
            ));
            values.push((key.clone(), shortened(other)));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    let message = format!("{}; {remedy}", differences.join("; "));
    Err(Error::config(message).with_hint(Hint::SetHyperparameters(values)))
}

/// Returns a value as a short text for a message.
fn shortened(value: &Value) -> String {
    const MAX_SHOWN_CHARS: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Adds the hyper-parameters that training stored in the file of tensors: in a pickle, or in the
/// metadata of a safetensors file under other names than `config`.
fn add_stored_configs(checkpoint: &Checkpoint, settings: &mut Settings) {
    for stored in checkpoint.stored_configs() {
        let from = match stored.key.as_str() {
            "" => "the top level of the file".to_owned(),
            key => format!("\"{key}\" of the file"),
        };
        settings.add_stored(&from, &stored.value);
    }
    let mut single = Map::new();
    for (key, text) in checkpoint.metadata() {
        if key != "config" {
            settings.add_stored(
                &format!("metadata \"{key}\" of the file"),
                &Value::String(text.clone()),
            );
            single.insert(key.clone(), Settings::value_of_text(text));
        }
    }
    settings.add_stored("metadata of the file", &Value::Object(single));
}

/// Returns the error for known tensors that the architecture of the model does not use.
fn unused_error(names: &[String], config: &Config) -> Error {
    Error::checkpoint(format!(
        "holds tensors inside the network that its architecture ({}) does not use: {}. Left \
         out, the answers would be those of another network",
        config.variant.name(),
        names::list_names(names)
    ))
    .with_hint(Hint::IgnoreUnknownTensors)
}

/// Checks that the file has every tensor that `config` demands, in the demanded shape. Returns the
/// names of the tensors that the model does not use.
fn check_tensors(
    checkpoint: &Checkpoint,
    names: &TensorNames,
    config: &Config,
    one_halting_output: bool,
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
        // A halting head with one output is extended when it is read.
        let extended: Vec<usize> = match (weight, found) {
            (Weight::QHead | Weight::QHeadBias, [1, rest @ ..]) if one_halting_output => {
                std::iter::once(2).chain(rest.iter().copied()).collect()
            }
            _ => found.to_vec(),
        };
        weight
            .check_shape(config, &extended)
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
