//! Opens models and builds solvers, with the options of the command line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use trm_runtime::task::{self, Cells, EncodedPuzzle, Maze, Sudoku, Task, TaskKind, TokenSpec};
use trm_runtime::{
    CancelToken, Config, Device, Error, ErrorKind, Hint, LoadOptions, Model, MultiStart, Puzzle,
    Solver, SolverBuilder,
};

use crate::args::Shared;
use crate::input::Body;

/// A model on its device.
#[derive(Debug)]
pub(crate) struct LoadedModel {
    /// Name of the file, or the bundled name.
    pub(crate) name: String,
    /// The solver, with all options applied.
    pub(crate) solver: Solver,
    /// Starts of each puzzle.
    pub(crate) starts: usize,
    /// Name of the device.
    pub(crate) device: &'static str,
    /// `--task`.
    task: Option<TaskKind>,
}

impl LoadedModel {
    /// Loads the weights of the solver onto its device.
    pub(crate) fn new(name: &str, solver: Solver, shared: &Shared) -> trm_runtime::Result<Self> {
        let name = Path::new(name)
            .file_name()
            .map_or_else(|| name.to_string(), |n| n.to_string_lossy().into_owned());
        let device = solver.device_name()?;
        let is_arc = solver.model().config.task.as_deref() == Some(TaskKind::Arc.name());
        if is_arc || shared.task == Some(TaskKind::Arc) {
            // Names that belong to another model are an error before any puzzle runs.
            if let Some(identifiers) = solver.identifiers()? {
                identifiers.check()?;
            }
        }
        Ok(Self {
            name,
            starts: solver.multi_start().starts,
            device,
            solver,
            task: shared.task,
        })
    }

    /// Returns a device name, with the reason why `auto` chose the device.
    pub(crate) fn device_label(&self, device: &str) -> String {
        match self.solver.device_choice_reason() {
            Some(reason) => format!("{device} by auto: {reason}"),
            None => device.to_string(),
        }
    }

    /// Encodes a record for the model. Returns the task that it belongs to, too.
    pub(crate) fn encode(&self, body: Body) -> trm_runtime::Result<(EncodedPuzzle, Arc<dyn Task>)> {
        match body {
            Body::Puzzle(puzzle) => self.solver.encode(&puzzle),
            Body::Row {
                tokens,
                labels,
                puzzle_id,
                identifier_count,
            } => {
                self.check_identifiers(identifier_count)?;
                self.encode_row(tokens, labels, puzzle_id)
            }
        }
    }

    /// Returns the rows and columns of a box of an n x n Sudoku.
    pub(crate) fn box_for(&self, n: usize) -> Option<[usize; 2]> {
        let sudoku = Sudoku {
            box_shape: self.solver.model().config.box_shape,
        };
        sudoku.boxes(n).ok()
    }

    /// Checks that a data set has as many puzzle identifiers as the model.
    fn check_identifiers(&self, data: Option<u64>) -> trm_runtime::Result<()> {
        let model = self.solver.token_spec().num_puzzle_identifiers as u64;
        match data {
            Some(data) if model > 0 && data != model => {
                let message = format!(
                    "the data set has {data} puzzle identifiers (dataset.json), but the model has \
                     {model}: they do not belong together"
                );
                Err(Error::new(ErrorKind::Puzzle, message))
            }
            _ => Ok(()),
        }
    }

    /// Encodes a row of the training pipeline's arrays, whose tokens are the model's own. If they
    /// are a valid puzzle of the model's task, the rules of that task verify the answer.
    fn encode_row(
        &self,
        tokens: Vec<i64>,
        labels: Option<Vec<i64>>,
        puzzle_id: Option<u32>,
    ) -> trm_runtime::Result<(EncodedPuzzle, Arc<dyn Task>)> {
        let raw = Puzzle {
            puzzle_id,
            ..Puzzle::from(Cells::Tokens(tokens))
        };
        let encode = |kind| self.solver.encode_as(&raw, Some(kind));
        let model_task = self
            .solver
            .model()
            .config
            .task
            .as_deref()
            .and_then(|task| task.parse().ok());
        let kind = self
            .task
            .or(model_task)
            .filter(|kind| *kind != TaskKind::Arc);
        let (mut puzzle, task) = match kind.and_then(|kind| encode(kind).ok()) {
            Some(encoded) => encoded,
            None => encode(TaskKind::Tokens)?,
        };
        let (cols, vocab) = (puzzle.cols, self.solver.token_spec().vocab_size);
        let labels = labels
            .map(|labels| {
                let label = |(i, label)| token_of_label(label, i, cols, vocab);
                let labels = labels.into_iter().enumerate();
                labels.map(label).collect::<trm_runtime::Result<Vec<u32>>>()
            })
            .transpose()?;
        if let Some(labels) = labels
            .as_ref()
            .filter(|labels| labels.len() != puzzle.tokens.len())
        {
            let message = format!("{} labels for {} tokens", labels.len(), puzzle.tokens.len());
            return Err(Error::new(ErrorKind::Puzzle, message));
        }
        // A row without a known label has no solution.
        puzzle.solution = labels.filter(|labels| labels.iter().any(|label| *label != 0));
        task.check_solution(&puzzle)?;
        Ok((puzzle, task))
    }
}

/// The label that PyTorch ignores.
const IGNORED_LABEL: i64 = -100;

/// Converts label `index`, counted from 0, of a grid of `cols` columns. The label that PyTorch
/// ignores becomes 0.
fn token_of_label(label: i64, index: usize, cols: usize, vocab: usize) -> trm_runtime::Result<u32> {
    if label == IGNORED_LABEL {
        return Ok(0);
    }
    let token = u32::try_from(label).ok();
    token.filter(|&token| (token as usize) < vocab).ok_or_else(|| {
        let (row, col) = (index / cols.max(1) + 1, index % cols.max(1) + 1);
        let message = format!(
            "label {label} in row {row}, column {col} is not a token: the model's tokens are 0 to \
             {}",
            vocab.saturating_sub(1)
        );
        Error::new(ErrorKind::Puzzle, message)
    })
}

/// The model of `--model`, or the bundled ones, each opened when a puzzle first needs it.
#[derive(Debug)]
pub(crate) struct Models<'a> {
    shared: &'a Shared,
    cancel: CancelToken,
    multi_start: MultiStart,
    given: Option<Rc<LoadedModel>>,
    bundled: HashMap<&'static str, Rc<LoadedModel>>,
}

impl<'a> Models<'a> {
    /// Opens the model of `--model`, if given.
    pub(crate) fn new(
        shared: &'a Shared,
        multi_start: MultiStart,
        cancel: CancelToken,
    ) -> trm_runtime::Result<Self> {
        let mut models = Models {
            shared,
            cancel,
            multi_start,
            given: None,
            bundled: HashMap::new(),
        };
        match shared.model() {
            Some(path) => {
                let model = models.load(&display_path(path), open(path, shared)?)?;
                models.given = Some(Rc::new(model));
            }
            // A device that is not available is reported before the first puzzle.
            None => device(shared)?.check()?,
        }
        Ok(models)
    }

    /// Returns the model for a record.
    pub(crate) fn for_record(&mut self, body: &Body) -> trm_runtime::Result<Rc<LoadedModel>> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        let Body::Puzzle(puzzle) = body else {
            let message = "no bundled model takes raw tokens";
            return Err(Error::new(ErrorKind::Argument, message).with_hint(Hint::ChooseModel));
        };
        let kind = task::detect(puzzle, None, self.shared.task, None)?;
        let name = trm_runtime::bundled::choose(kind, puzzle.cells.count())
            .map_err(|e| why_unreadable(puzzle, kind).unwrap_or(e))?;
        if let Some(model) = self.bundled.get(name) {
            return Ok(model.clone());
        }
        let model = Rc::new(self.load(name, open(Path::new(name), self.shared)?)?);
        self.bundled.insert(name, model.clone());
        Ok(model)
    }

    fn load(&self, name: &str, model: Model) -> trm_runtime::Result<LoadedModel> {
        let solver = solver_builder(self.shared)?
            .multi_start(self.multi_start)
            .cancel_token(self.cancel.clone())
            .build(model)?;
        LoadedModel::new(name, solver, self.shared)
    }
}

/// Returns why a puzzle is wrong for every model, or `None` if it is not.
fn why_unreadable(puzzle: &Puzzle, kind: TaskKind) -> Option<Error> {
    // A model of any size.
    let spec = TokenSpec {
        vocab_size: 66,
        seq_len: None,
        num_puzzle_identifiers: 0,
    };
    match kind {
        TaskKind::Sudoku => Sudoku::default().encode(puzzle, &spec).err(),
        TaskKind::Maze => Maze.encode(puzzle, &spec).err(),
        TaskKind::Arc | TaskKind::Tokens => None,
    }
}

/// Returns the model of a command: its first argument, or `--model`.
pub(crate) fn model_path<'a>(
    argument: &'a Option<PathBuf>,
    shared: &'a Shared,
) -> trm_runtime::Result<&'a Path> {
    argument.as_deref().or(shared.model()).ok_or_else(|| {
        let message = "no model: expected a file, a directory or the name of a bundled model";
        Error::new(ErrorKind::Argument, message)
    })
}

/// Opens a file or a directory, or the bundled model of that name if neither exists.
pub(crate) fn open(path: &Path, shared: &Shared) -> trm_runtime::Result<Model> {
    let options = LoadOptions {
        config: shared.config.clone(),
        set: shared.set.clone(),
        ignore_unknown_tensors: shared.ignore_unknown_tensors,
    };
    if !matches!(path.try_exists(), Ok(false)) {
        return Model::open(path, &options);
    }
    match path.to_str().and_then(trm_runtime::bundled::bytes) {
        Some(bytes) => Model::from_bytes(bytes, &options).map_err(|e| e.context(path.display())),
        None => {
            // An address, or the name of a model on a hub, has a hint.
            if let Err(e) = Model::open(path, &options)
                && e.hint().is_some()
            {
                return Err(e);
            }
            let message = match trm_runtime::bundled::NAMES {
                [] => "no such file or directory".to_string(),
                names => format!(
                    "no such file or directory; the bundled models are {}",
                    names.join(", ")
                ),
            };
            Err(Error::new(ErrorKind::Io, message).context(path.display()))
        }
    }
}

/// Returns a solver for `model` with the options of the command line.
pub(crate) fn build_solver(model: Model, shared: &Shared) -> trm_runtime::Result<Solver> {
    solver_builder(shared)?.build(model)
}

/// Returns a solver builder with the options of the command line.
pub(crate) fn solver_builder(shared: &Shared) -> trm_runtime::Result<SolverBuilder> {
    let mut builder = Solver::builder()
        .device(device(shared)?)
        .batch(shared.batch_size());
    if let Some(dtype) = shared.dtype {
        builder = builder.dtype(dtype);
    }
    if let Some(threads) = shared.threads {
        builder = builder.threads(threads);
    }
    if let Some(folder) = std::env::var_os("TRM_CACHE_DIR").filter(|f| !f.is_empty()) {
        builder = builder.cache_dir(folder);
    }
    if let Some(kind) = shared.task {
        builder = builder.kind(kind);
    }
    if let Some(rule) = shared.halt_rule() {
        builder = builder.halt_rule(rule);
    }
    if let Some(threshold) = shared.halt_threshold {
        builder = builder.halt_threshold(threshold);
    }
    if let Some(steps) = shared.min_steps {
        builder = builder.min_steps(steps);
    }
    if let Some(steps) = shared.max_steps {
        builder = builder.max_steps(steps);
    }
    Ok(builder)
}

/// Returns the number of tokens that the model takes.
///
/// # Errors
/// The model takes puzzles of any size, and no option gives one.
pub(crate) fn token_count(config: &Config) -> trm_runtime::Result<usize> {
    config.seq_len.ok_or_else(|| {
        let message = "the model takes puzzles of any size, and the number of tokens is not given";
        let example = ("seq_len".to_string(), "81".to_string());
        Error::new(ErrorKind::Argument, message).with_hint(Hint::SetHyperparameters(vec![example]))
    })
}

fn device(shared: &Shared) -> trm_runtime::Result<Device> {
    shared.device().parse()
}

/// Formats a path for people.
pub(crate) fn display_path(path: &Path) -> String {
    path.display().to_string()
}

/// Formats a time for people: `4.2 ms`, `1.3 s`.
pub(crate) fn format_duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}
