//! A model, loaded: its configuration, its weights, and the puzzle embedding left in the file; or an ONNX graph.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use crate::checkpoint::names::{self, Names, SCALE, missing};
use crate::checkpoint::shapes::shapes;
use crate::checkpoint::{Checkpoint, Dtype, PuzzleRows, Source, int8, is_onnx, locate};
use crate::config::{Config, Provenance, Settings, State};
use crate::error::{Error, Result};
use crate::model::build::build_plan;
use crate::model::dtype::WeightDtype;
use crate::model::plan::Plan;
use crate::model::weights::{Weight, Weights};
use crate::onnx::Graph;

/// Where hyper-parameters come from beside the files of the model; these win over them.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// A further configuration: the `all_config.yaml` of the training, or a `config.json`.
    pub config: Option<PathBuf>,
    /// Single hyper-parameters, as in `--set KEY=VALUE`.
    pub set: Vec<(String, String)>,
}

/// Most tokens of a puzzle.
const MAX_TOKENS: usize = 65_536;

/// A tensor of the model as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    /// Its published name, without prefix.
    pub name: String,
    /// Its name in the file.
    pub stored_name: String,
    /// Its shape, outermost first.
    pub shape: Vec<usize>,
    /// Type of its elements in the file.
    pub dtype: Dtype,
    /// Bytes of its elements.
    pub bytes: u64,
}

/// A model, loaded.
#[derive(Debug)]
pub struct Model {
    /// What decides its shape and its refinement step.
    pub config: Config,
    /// Where each hyper-parameter came from.
    pub provenance: Vec<Provenance>,
    /// The puzzle embedding, left in the file; none where the model has none.
    pub puzzle_rows: Option<PuzzleRows>,
    /// All its tensors, the puzzle embedding included, in the order of their published names; none of an ONNX graph.
    pub tensors: Vec<StoredTensor>,
    /// The file; none for a model from memory.
    pub path: Option<PathBuf>,
    /// What was chosen or left aside while loading; also logged as warnings.
    pub notes: Vec<String>,
    /// How the matrices of the blocks stand in the file.
    dtype: WeightDtype,
    /// What each state starts from.
    initial: Vec<(State, Vec<f32>)>,
    body: Body,
}

/// What a model's step is made of.
#[derive(Debug)]
enum Body {
    /// Weights for this library's own recursion.
    Tensors(Box<Tensors>),
    /// A step that others have put together.
    Graph(Arc<Graph>),
}

/// An open file of tensors, as a model.
#[derive(Debug)]
pub(super) struct Tensors {
    /// What was read at opening, until it is handed over.
    weights: Mutex<Option<Weights>>,
    pub(super) names: Names,
    pub(super) checkpoint: Arc<Checkpoint>,
    pub(super) kept: Map<String, Value>,
}

impl Model {
    /// LoadedModel a model from a file of tensors or a directory.
    ///
    /// A directory holds `config.json` and `model.safetensors`, or what training left: `step_N` (the largest N is
    /// taken) and `all_config.yaml`, or one file of tensors. `dataset.json` is used where it lies in the directory or
    /// in `train/` or `test/` below. For a file, the configuration is looked for beside it.
    ///
    /// A refinement step exported as ONNX is a model too (feature `onnx`): see [`onnx`](crate::onnx).
    ///
    /// # Errors
    /// A file cannot be read or is damaged; hyper-parameters are missing, contradict the tensors or one another;
    /// a tensor is missing, has another shape than the configuration demands, or holds numbers that are not finite.
    pub fn open(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Model> {
        let file = locate::tensors(path.as_ref())?;
        let source = Source::open(&file)?;
        let mut settings = given(options)?;
        if is_onnx(&source)? {
            return Model::from_graph(Graph::read(source, Some(&file), settings)?, Some(file));
        }
        let checkpoint = Checkpoint::new(source)?;
        if !locate::beside(&file, checkpoint.format(), &mut settings)? {
            from_metadata(&checkpoint, &mut settings).map_err(|e| e.context(file.display()))?;
        }
        locate::dataset(&file, &mut settings)?;
        Model::load(checkpoint, &settings, Some(file))
    }

    /// LoadedModel a model from the bytes of its file of tensors. A file that [`Model::save`] wrote carries its configuration;
    /// for another, `options` must give what the tensors cannot tell. The bytes are kept and not copied.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        options: &LoadOptions,
    ) -> Result<Model> {
        let source = Source::memory(bytes);
        let mut settings = given(options)?;
        if is_onnx(&source)? {
            return Model::from_graph(Graph::read(source, None, settings)?, None);
        }
        let checkpoint = Checkpoint::new(source)?;
        from_metadata(&checkpoint, &mut settings)?;
        Model::load(checkpoint, &settings, None)
    }

    fn load(checkpoint: Checkpoint, settings: &Settings, path: Option<PathBuf>) -> Result<Model> {
        let locate = |e: Error| match &path {
            Some(path) => e.context(path.display()),
            None => e,
        };
        let names = names::assign(checkpoint.tensors()).map_err(locate)?;
        let shapes = shapes(&checkpoint, &names).map_err(locate)?;
        let resolved = Config::resolve(&shapes, settings).map_err(locate)?;
        let config = resolved.config;
        let mut notes = names.notes.clone();
        notes.extend(resolved.notes);
        let unused = check_tensors(&checkpoint, &names, &config).map_err(locate)?;
        if !unused.is_empty() {
            notes.push(format!("not used by this variant: {}", unused.join(", ")));
        }
        let dtype = int8::check(&checkpoint, &names, &config).map_err(locate)?;
        let weights = read(&checkpoint, &names, &config)?;
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
        Ok(Model {
            tensors: stored(&checkpoint, &names, &config),
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
            body: Body::Tensors(Box::new(Tensors {
                weights: Mutex::new(Some(weights)),
                names,
                checkpoint,
                kept: resolved.kept,
            })),
        })
    }

    fn from_graph(read: crate::onnx::Read, path: Option<PathBuf>) -> Result<Model> {
        for note in &read.notes {
            log::warn!("{note}");
        }
        Ok(Model {
            config: read.config,
            provenance: read.provenance,
            puzzle_rows: None,
            tensors: Vec::new(),
            path,
            notes: read.notes,
            dtype: WeightDtype::F32,
            initial: read.initial,
            body: Body::Graph(Arc::new(read.graph)),
        })
    }

    /// The directory of the file, where what belongs to the model lies; none for a model from memory.
    pub fn directory(&self) -> Option<&Path> {
        self.path.as_deref().map(locate::parent)
    }

    /// Its tensors, without the puzzle embedding, for a backend to keep. The first call hands over what was read at opening, a
    /// further one reads the file again: a model at work is in memory once.
    ///
    /// # Errors
    /// The file cannot be read again, or is an ONNX graph.
    pub fn take_weights(&self) -> Result<Weights> {
        let tensors = self.stored()?;
        // A poisoned lock guards nothing half-made: the weights are there or not.
        let kept = tensors.weights.lock().unwrap_or_else(|e| e.into_inner()).take();
        kept.map_or_else(|| read(&tensors.checkpoint, &tensors.names, &self.config), Ok)
    }

    /// The format that a solver takes unless told: [`WeightDtype::Int8`] if the matrices of the blocks stand in the file so, else
    /// [`WeightDtype::F32`], which holds whatever other numbers a file has.
    pub fn dtype(&self) -> WeightDtype {
        self.dtype
    }

    /// What a carried state starts from: a row for every position, `[D]`, or `[L, D]` in some ONNX graphs; empty if an ONNX file does not tell.
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
        if self.is_onnx() {
            return Err(self.no_tensors());
        }
        self.check_token_count(tokens)?;
        Ok(build_plan(&self.config, tokens))
    }

    /// Checks that the model takes puzzles of S = `tokens` tokens.
    pub(crate) fn check_token_count(&self, tokens: usize) -> Result<()> {
        if let Some(seq_len) = self.config.seq_len.filter(|&s| s != tokens) {
            return Err(Error::argument(format!(
                "{tokens} tokens: this model takes {seq_len}"
            )));
        }
        if !(1..=MAX_TOKENS).contains(&tokens) {
            return Err(Error::argument(format!(
                "{tokens} tokens: a puzzle has 1 to {MAX_TOKENS}"
            )));
        }
        Ok(())
    }

    /// Checks that the model's vocabulary has all these tokens.
    pub(crate) fn check_vocabulary(&self, tokens: &[u32]) -> Result<()> {
        let vocab = self.config.vocab_size;
        match tokens.iter().find(|&&t| t as usize >= vocab) {
            Some(token) => Err(Error::argument(format!(
                "token {token}: the model's vocabulary has {vocab}"
            ))),
            None => Ok(()),
        }
    }

    /// An error unless the model knows this puzzle identifier, or takes none.
    pub(crate) fn check_puzzle_id(&self, id: u32) -> Result<()> {
        if let Some(rows) = &self.puzzle_rows {
            return rows.row(id).map(drop);
        }
        match self.config.num_puzzle_identifiers {
            known if self.is_onnx() && known > 0 && id as usize >= known => Err(Error::argument(format!(
                "puzzle identifier {id}: the model has {known} (num_puzzle_identifiers)"
            ))),
            _ => Ok(()),
        }
    }

    /// The open file of tensors that the model came from; none if it is an ONNX graph.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.stored().ok().map(|tensors| &*tensors.checkpoint)
    }

    /// The graph, if the model is one.
    pub(crate) fn graph(&self) -> Option<&Arc<Graph>> {
        match &self.body {
            Body::Graph(graph) => Some(graph),
            Body::Tensors(_) => None,
        }
    }

    /// Whether the model is an ONNX graph, which is all that is known of its step.
    pub fn is_onnx(&self) -> bool {
        self.graph().is_some()
    }

    pub(super) fn stored(&self) -> Result<&Tensors> {
        match &self.body {
            Body::Tensors(tensors) => Ok(tensors),
            Body::Graph(_) => Err(self.no_tensors()),
        }
    }

    /// What to say where a graph does not do.
    pub(crate) fn no_tensors(&self) -> Error {
        let message = "is an ONNX graph, whose blocks are not known here; that needs the checkpoint";
        let error = Error::checkpoint(message);
        match &self.path {
            Some(path) => error.context(path.display()),
            None => error,
        }
    }
}

fn given(options: &LoadOptions) -> Result<Settings> {
    let mut settings = Settings::default();
    settings.add_options(&options.set)?;
    if let Some(path) = &options.config {
        settings.add_file(&path.display().to_string(), &locate::read(path)?)?;
    }
    Ok(settings)
}

/// Adds the configuration that [`Model::save`] puts into the file itself.
fn from_metadata(checkpoint: &Checkpoint, settings: &mut Settings) -> Result<()> {
    match checkpoint.metadata().get("config") {
        Some(text) if text.trim_start().starts_with('{') => {
            settings.add_file("metadata \"config\" of the file", text)
        }
        _ => Ok(()),
    }
}

/// Checks that the tensors demanded are there in the demanded shapes; gives the names of those that are not.
fn check_tensors(checkpoint: &Checkpoint, names: &Names, config: &Config) -> Result<Vec<String>> {
    let demanded = config.weights();
    for weight in &demanded {
        let name = names.weights.get(weight).ok_or_else(|| missing(*weight))?;
        let found = checkpoint
            .tensors()
            .get(name)
            .map(|info| info.shape.as_slice())
            .unwrap_or_default();
        weight
            .check_shape(config, found)
            .map_err(|e| e.context(format!("tensor \"{name}\"")))?;
    }
    let stored = demanded
        .iter()
        .flat_map(|weight| {
            names
                .weights
                .get(weight)
                .into_iter()
                .chain(names.scales.get(weight))
        })
        .chain(&names.puzzle_emb);
    checkpoint.check_cost(stored.map(String::as_str))?;
    Ok(names
        .weights
        .iter()
        .filter(|(weight, _)| !demanded.contains(weight))
        .map(|(_, name)| name.clone())
        .collect())
}

/// Reads what [`check_tensors`] has checked.
fn read(checkpoint: &Checkpoint, names: &Names, config: &Config) -> Result<Weights> {
    Weights::collect(config, |weight| int8::read(checkpoint, names, weight))
}

fn stored(checkpoint: &Checkpoint, names: &Names, config: &Config) -> Vec<StoredTensor> {
    let weights = config.weights().into_iter().flat_map(|w| {
        let scales = names.scales.get(&w).map(|name| (w.name() + SCALE, name));
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
