//! From the options to models that are ready to solve.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use trm_runtime::task::{self, Cells, EncodedPuzzle, Sudoku, Task, TaskKind};
use trm_runtime::{
    CancelToken, Device, Error, ErrorKind, HaltRule, LoadOptions, Model, MultiStart, Puzzle,
    Solver, SolverBuilder,
};

use crate::args::{Rule, Shared, TaskName};
use crate::input::Body;

/// A model on its device.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What people call it: the file or the bundled name.
    pub(crate) name: String,
    /// The model, with all options applied.
    pub(crate) solver: Solver,
    /// Starts of a puzzle.
    pub(crate) starts: usize,
    /// The device that runs.
    pub(crate) device: &'static str,
    /// `--task`.
    pub(crate) kind: Option<TaskKind>,
}

impl Opened {
    /// Puts the model on its device.
    pub(crate) fn new(name: &str, solver: Solver, shared: &Shared) -> trm_runtime::Result<Opened> {
        let name = Path::new(name)
            .file_name()
            .map_or_else(|| name.to_string(), |n| n.to_string_lossy().into_owned());
        let device = solver.device_name()?;
        Ok(Opened {
            name,
            starts: solver.multi_start().starts,
            device,
            solver,
            kind: kind(shared),
        })
    }

    /// A device, and why `auto` runs there.
    pub(crate) fn on(&self, device: &str) -> String {
        match self.solver.device_choice_reason() {
            Some(why) => format!("{device} by auto: {why}"),
            None => device.to_string(),
        }
    }

    /// A record as the model sees it, and the task that it belongs to.
    pub(crate) fn encode(&self, body: Body) -> trm_runtime::Result<(EncodedPuzzle, Arc<dyn Task>)> {
        match body {
            Body::Puzzle(puzzle) => self.solver.encode(&puzzle),
            Body::Row { tokens, labels } => self.encode_row(tokens, labels),
        }
    }

    /// Rows and columns of a box of an n x n Sudoku.
    pub(crate) fn box_for(&self, n: usize) -> Option<[usize; 2]> {
        let sudoku = Sudoku {
            box_shape: self.solver.model().config.box_shape,
        };
        sudoku.boxes(n).ok()
    }

    /// A row of the training pipeline's arrays: its tokens are the model's own. Where they spell a puzzle that the
    /// model's task knows, its answers are verified by the task's rules.
    fn encode_row(
        &self,
        tokens: Vec<i64>,
        labels: Option<Vec<i64>>,
    ) -> trm_runtime::Result<(EncodedPuzzle, Arc<dyn Task>)> {
        let raw = Puzzle::from(Cells::Tokens(tokens));
        let encode = |kind| self.solver.encode_as(&raw, Some(kind));
        let known = self
            .solver
            .model()
            .config
            .task
            .as_deref()
            .and_then(|task| task.parse().ok());
        let kind = self.kind.or(known).filter(|kind| *kind != TaskKind::Arc);
        let (mut problem, task) = match kind.and_then(|kind| encode(kind).ok()) {
            Some(encoded) => encoded,
            None => encode(TaskKind::Tokens)?,
        };
        let labels = labels
            .map(|labels| {
                labels
                    .into_iter()
                    .map(label)
                    .collect::<trm_runtime::Result<Vec<u32>>>()
            })
            .transpose()?;
        if let Some(labels) = labels
            .as_ref()
            .filter(|labels| labels.len() != problem.tokens.len())
        {
            let message = format!(
                "{} labels for {} tokens",
                labels.len(),
                problem.tokens.len()
            );
            return Err(Error::new(ErrorKind::Puzzle, message));
        }
        problem.solution = labels;
        Ok((problem, task))
    }
}

/// A label; those that PyTorch ignores are negative.
fn label(label: i64) -> trm_runtime::Result<u32> {
    let too_large = |_| Error::new(ErrorKind::Puzzle, format!("the label {label} is no token"));
    u32::try_from(label.max(0)).map_err(too_large)
}

/// The model of `--model`, or the bundled ones, each opened when a puzzle first needs it.
#[derive(Debug)]
pub(crate) struct Models<'a> {
    shared: &'a Shared,
    cancel: CancelToken,
    multi_start: MultiStart,
    given: Option<Rc<Opened>>,
    bundled: HashMap<&'static str, Rc<Opened>>,
}

impl<'a> Models<'a> {
    /// Opens the model of `--model`, if it was given.
    pub(crate) fn new(
        shared: &'a Shared,
        multi_start: MultiStart,
        cancel: CancelToken,
    ) -> trm_runtime::Result<Models<'a>> {
        let mut models = Models {
            shared,
            cancel,
            multi_start,
            given: None,
            bundled: HashMap::new(),
        };
        match shared.model() {
            Some(path) => {
                models.given = Some(Rc::new(models.prepare(&shown(path), open(path, shared)?)?))
            }
            // A device that is not there is an error even before the first puzzle.
            None => device(shared)?.check()?,
        }
        Ok(models)
    }

    /// The model for a record.
    pub(crate) fn for_record(&mut self, body: &Body) -> trm_runtime::Result<Rc<Opened>> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        let Body::Puzzle(puzzle) = body else {
            return Err(Error::new(
                ErrorKind::Argument,
                "raw tokens need a model: give --model",
            ));
        };
        let kind = task::detect(puzzle, None, kind(self.shared), None)?;
        let name = trm_runtime::bundled::choose(kind, puzzle.cells.count())?;
        if let Some(model) = self.bundled.get(name) {
            return Ok(model.clone());
        }
        let model = Rc::new(self.prepare(name, open(Path::new(name), self.shared)?)?);
        self.bundled.insert(name, model.clone());
        Ok(model)
    }

    fn prepare(&self, name: &str, model: Model) -> trm_runtime::Result<Opened> {
        let solver = builder(self.shared)?
            .multi_start(self.multi_start)
            .cancel_token(self.cancel.clone())
            .build(model)?;
        Opened::new(name, solver, self.shared)
    }
}

/// The model that a command takes as its first argument or as `--model`.
pub(crate) fn named<'a>(
    argument: &'a Option<PathBuf>,
    shared: &'a Shared,
) -> trm_runtime::Result<&'a Path> {
    argument.as_deref().or(shared.model()).ok_or_else(|| {
        Error::new(
            ErrorKind::Argument,
            "no model: give a file, a directory or the name of a bundled model",
        )
    })
}

/// Opens a file or a directory; where there is none of that name, the bundled model of that name.
pub(crate) fn open(path: &Path, shared: &Shared) -> trm_runtime::Result<Model> {
    let options = LoadOptions {
        config: shared.config.clone(),
        set: shared.set.clone(),
    };
    if !matches!(path.try_exists(), Ok(false)) {
        return Model::open(path, &options);
    }
    match path.to_str().and_then(trm_runtime::bundled::bytes) {
        Some(bytes) => Model::from_bytes(bytes, &options).map_err(|e| e.context(path.display())),
        None => {
            let message = match trm_runtime::bundled::NAMES {
                [] => "there is no such file or directory".to_string(),
                names => format!(
                    "there is no such file or directory; bundled models are {}",
                    names.join(", ")
                ),
            };
            Err(Error::new(ErrorKind::Io, message).context(path.display()))
        }
    }
}

/// Returns a solver over `model` with every option of the command line.
pub(crate) fn solver(model: Model, shared: &Shared) -> trm_runtime::Result<Solver> {
    builder(shared)?.build(model)
}

/// Returns a solver builder with every option of the command line.
pub(crate) fn builder(shared: &Shared) -> trm_runtime::Result<SolverBuilder> {
    let mut builder = Solver::builder()
        .device(device(shared)?)
        .batch(batch(shared));
    if let Some(dtype) = shared.dtype {
        builder = builder.dtype(dtype);
    }
    if let Some(threads) = shared.threads {
        builder = builder.threads(threads);
    }
    if let Some(folder) = std::env::var_os("TRM_CACHE_DIR").filter(|f| !f.is_empty()) {
        builder = builder.cache_dir(folder);
    }
    if let Some(kind) = kind(shared) {
        builder = builder.kind(kind);
    }
    if let Some(rule) = rule(shared) {
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

/// `--batch`.
pub(crate) fn batch(shared: &Shared) -> usize {
    shared.batch.unwrap_or(16)
}

/// `--halt` or `--no-halt`, if either was given.
pub(crate) fn rule(shared: &Shared) -> Option<HaltRule> {
    match (shared.no_halt, shared.halt) {
        (true, _) | (_, Some(Rule::Never)) => Some(HaltRule::Never),
        (_, Some(Rule::Head)) => Some(HaltRule::Head),
        (_, Some(Rule::Verified)) => Some(HaltRule::Verified),
        (false, None) => None,
    }
}

/// `--task`.
pub(crate) fn kind(shared: &Shared) -> Option<TaskKind> {
    shared.task.map(|task| match task {
        TaskName::Sudoku => TaskKind::Sudoku,
        TaskName::Maze => TaskKind::Maze,
        TaskName::Arc => TaskKind::Arc,
        TaskName::Tokens => TaskKind::Tokens,
    })
}

fn device(shared: &Shared) -> trm_runtime::Result<Device> {
    shared.device().parse()
}

/// A path as people know it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A time for people: `4.2 ms`, `1.3 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}
