//! The front door: a model, a device, and puzzles.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::lockstep::{Difference, compare_each};
use crate::backend::measurements::Cache;
use crate::backend::reference::Reference;
use crate::backend::{Backend, Case};
use crate::device::{Device, FallbackStepper, Place, Wish};
use crate::error::{Error, ErrorKind, Result};
use crate::import::{LoadOptions, Model};
use crate::model::dtype::Format;
use crate::model::plan::{Dims, Plan};
use crate::onnx::{self, Graph};
use crate::session::{
    Answer, CancelToken, Effort, HaltPolicy, HaltRule, Inspect, NativeStepper, Race, Session, Stepper, case,
    graph_stepper,
};
use crate::task::{
    self, ArcGrid, Id, Identifiers, Maze, Problem, Puzzle, Space, Sudoku, Task, TaskKind, Tokens,
};

/// A model on a device, ready to solve puzzles. Cheap to clone and to share between threads.
///
/// ```no_run
/// let solver = trm_runtime::Solver::open("models/sudoku-9x9")?;
/// let answer = solver.solve(&"53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79".parse()?)?;
/// assert_eq!(answer.valid, Some(true));
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Solver {
    model: Arc<Model>,
    wish: Wish,
    batch: usize,
    kind: Option<TaskKind>,
    task: Option<Arc<dyn Task>>,
    identifiers: Option<Identifiers>,
    rule: Option<HaltRule>,
    threshold: f32,
    min_steps: usize,
    max_steps: Option<usize>,
    time_limit: Option<Duration>,
    effort: Effort,
    cancel: CancelToken,
    /// The weights on the device, made at the first use.
    place: Arc<Place>,
}

impl Solver {
    /// Opens a model: a file that training wrote, a safetensors file, or a directory with one of them.
    ///
    /// # Errors
    /// What is wrong with the file, the tensor or the hyper-parameter.
    pub fn open(path: impl AsRef<Path>) -> Result<Solver> {
        Ok(Solver::new(Model::open(path, &LoadOptions::default())?))
    }

    /// A model from the bytes of a file that `trm-run convert` wrote. They are kept and not copied: an app can hand in a mapped file.
    ///
    /// # Errors
    /// As [`Solver::open`].
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Solver> {
        Ok(Solver::new(Model::from_bytes(bytes, &LoadOptions::default())?))
    }

    /// One of the models that the library carries: see [`bundled`](crate::bundled).
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if there is none of that name.
    pub fn bundled(name: &str) -> Result<Solver> {
        let bytes = crate::bundled::bytes(name).ok_or_else(|| {
            Error::argument(format!(
                "no bundled model {name:?}: {}",
                crate::bundled::NAMES.join(", ")
            ))
        })?;
        Solver::from_bytes(bytes).map_err(|e| e.at(name))
    }

    /// A solver over a model that was opened with options.
    pub fn new(model: impl Into<Arc<Model>>) -> Solver {
        let model = model.into();
        Solver {
            wish: Wish {
                format: model.format(),
                ..Wish::default()
            },
            model,
            batch: 16,
            kind: None,
            task: None,
            identifiers: None,
            rule: None,
            threshold: 0.5,
            min_steps: 1,
            max_steps: None,
            time_limit: None,
            effort: Effort::default(),
            cancel: CancelToken::new(),
            place: Arc::default(),
        }
    }

    /// Runs on another device.
    pub fn device(mut self, device: Device) -> Solver {
        self.wish.device = device;
        self.wish.backend = None;
        self.place = Arc::default();
        self
    }

    /// Runs on a backend that the app has made, such as a GPU that it has opened. If it fails, the CPU takes over.
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Solver {
        self.wish.backend = Some(backend);
        self.place = Arc::default();
        self
    }

    /// Stores the weights of the model's blocks in this format; [`Model::format`] unless told: int8 if the file has them so, else
    /// [`Format::F32`], which is what 16 bits are read as. A backend given with [`Solver::backend`] has its own.
    pub fn format(mut self, format: Format) -> Solver {
        self.wish.format = format;
        self.place = Arc::default();
        self
    }

    /// The format in which the weights of the model's blocks are stored.
    pub fn weight_format(&self) -> Format {
        self.wish.format
    }

    /// Runs on this many threads instead of all that the machine has.
    pub fn threads(mut self, threads: usize) -> Solver {
        self.wish.threads = Some(threads);
        self.place = Arc::default();
        self
    }

    /// Keeps in this folder what is measured to choose a device, so that it is measured once; nowhere unless told.
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Solver {
        self.wish.cache = Cache::new(Some(folder.into()));
        self
    }

    /// Works on this many puzzles at once; 16 unless told.
    pub fn batch(mut self, puzzles: usize) -> Solver {
        self.batch = puzzles;
        self
    }

    /// Takes puzzles for this kind, whatever they look like.
    pub fn kind(mut self, kind: TaskKind) -> Solver {
        self.kind = Some(kind);
        self
    }

    /// Solves an app's own kind of puzzle.
    pub fn task(mut self, task: Arc<dyn Task>) -> Solver {
        self.task = Some(task);
        self
    }

    /// The names of an ARC checkpoint's puzzles, where they do not lie beside the model.
    pub fn identifiers(mut self, identifiers: Identifiers) -> Solver {
        self.identifiers = Some(identifiers);
        self
    }

    /// Who decides that a puzzle halts; unless told, the head, checked by the puzzle's rules where it has any.
    pub fn halt(mut self, rule: HaltRule) -> Solver {
        self.rule = Some(rule);
        self
    }

    /// The head says "halt" above this probability; 0.5 unless told.
    pub fn halt_threshold(mut self, probability: f32) -> Solver {
        self.threshold = probability;
        self
    }

    /// No puzzle halts before this many steps; 1 unless told.
    pub fn min_steps(mut self, steps: usize) -> Solver {
        self.min_steps = steps;
        self
    }

    /// Every puzzle ends after this many steps; as many as the model was trained for unless told.
    pub fn max_steps(mut self, steps: usize) -> Solver {
        self.max_steps = Some(steps);
        self
    }

    /// Gives every session this long from its start.
    pub fn time_limit(mut self, limit: Duration) -> Solver {
        self.time_limit = Some(limit);
        self
    }

    /// How many starts [`Solver::solve`] and [`Solver::race`] give a puzzle; one unless told.
    pub fn effort(mut self, effort: Effort) -> Solver {
        self.effort = effort;
        self
    }

    /// What [`Solver::effort`] was told.
    pub fn known_effort(&self) -> Effort {
        self.effort
    }

    /// Lets `token` stop every session of this solver; each has a token of its own besides.
    pub fn cancel_token(mut self, token: CancelToken) -> Solver {
        self.cancel = token;
        self
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// What the sessions' halting follows.
    pub fn policy(&self) -> HaltPolicy {
        HaltPolicy {
            rule: self.rule.unwrap_or(HaltRule::Verified),
            threshold: self.threshold,
            min_steps: self.min_steps,
            max_steps: self.max_steps.unwrap_or(self.model.config.halt_max_steps),
        }
    }

    /// The device that runs, as the output names it: `cpu`, `reference`, `gpu`.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) if it is not available.
    pub fn device_name(&self) -> Result<&'static str> {
        if self.graph()?.is_some() {
            return Ok(onnx::DEVICE);
        }
        Ok(self.place.loads(&self.model, &self.wish, self.batch)?.name)
    }

    /// Why [`Device::Auto`] runs where it runs, for people, once it has been decided.
    pub fn device_reason(&self) -> Option<String> {
        match self.wish.device {
            Device::Auto if self.model.is_onnx() => Some("an ONNX graph is run there, by tract".into()),
            _ => self.place.why(),
        }
    }

    /// Solves one puzzle.
    ///
    /// # Errors
    /// [`ErrorKind::Puzzle`](crate::ErrorKind::Puzzle) if it is impossible, [`ErrorKind::Deadline`](crate::ErrorKind::Deadline) or [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) if it was stopped.
    pub fn solve(&self, puzzle: &Puzzle) -> Result<Answer> {
        let (problem, task) = self.encode(puzzle)?;
        let mut race = self.race(problem.tokens.len(), self.effort.starts)?;
        race.push(problem, task)?;
        loop {
            let answers = race
                .advance()?
                .ok_or_else(|| Error::argument("the puzzle ended without an answer"))?;
            if let Some(answer) = answers.into_iter().next() {
                return Ok(answer);
            }
        }
    }

    /// A session over these puzzles: each halts on its own.
    ///
    /// # Errors
    /// [`ErrorKind::Puzzle`](crate::ErrorKind::Puzzle) if one is impossible, or if their sizes differ.
    pub fn session(&self, puzzles: &[Puzzle]) -> Result<Session> {
        let mut encoded = Vec::with_capacity(puzzles.len());
        for (index, puzzle) in puzzles.iter().enumerate() {
            let (mut problem, task) = self.encode(puzzle).map_err(|e| e.at(format!("puzzle {index}")))?;
            if puzzle.id.is_none() {
                problem.id = Id::Number(index as u64);
            }
            encoded.push((problem, task));
        }
        let tokens = encoded
            .first()
            .map_or(self.model.config.seq_len.unwrap_or(1), |(p, _)| p.tokens.len());
        let mut session = self.empty_session(tokens, self.batch.min(puzzles.len().max(1)))?;
        for (problem, task) in encoded {
            session.push(problem, task)?;
        }
        Ok(session)
    }

    /// A session of `slots` places for puzzles of S = `tokens` tokens, to be filled with [`Session::push`].
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the model fixes another S, [`ErrorKind::Device`](crate::ErrorKind::Device) if the device is not available.
    pub fn empty_session(&self, tokens: usize, slots: usize) -> Result<Session> {
        let (model, place, wish) = (self.model.clone(), self.place.clone(), self.wish.clone());
        let stepper: Box<dyn Stepper> = match self.graph()? {
            Some(_) => self.stepper(tokens, slots)?,
            None => Box::new(FallbackStepper::new(model, place, wish, tokens, slots)?),
        };
        let mut session = Session::new(stepper, self.policy())?;
        session.set_cancel_token(self.cancel.child());
        session.set_deadline(self.time_limit.map(|limit| Instant::now() + limit));
        Ok(session)
    }

    /// As [`Solver::empty_session`], for puzzles that have several starts each: see [`Solver::effort`].
    ///
    /// # Errors
    /// As [`Solver::empty_session`]; [`ErrorKind::Argument`](crate::ErrorKind::Argument) for no starts, or too many.
    pub fn race(&self, tokens: usize, slots: usize) -> Result<Race> {
        let effort = self.effort.checked()?;
        Race::new(self.empty_session(tokens, slots)?, effort)
    }

    /// Raw access: `slots` places for puzzles of S = `tokens` tokens, with their states and logits, and no halting. Nothing stands in
    /// for a device that fails.
    ///
    /// # Errors
    /// As [`Solver::empty_session`].
    pub fn stepper(&self, tokens: usize, slots: usize) -> Result<Box<dyn Inspect>> {
        if let Some(graph) = self.graph()? {
            self.model.check_token_count(tokens)?;
            return graph_stepper(graph, self.model.clone(), slots, self.wish.threads);
        }
        let on = self.place.loads(&self.model, &self.wish, slots)?;
        Ok(Box::new(NativeStepper::new(
            self.model.clone(),
            &*on.loaded,
            tokens,
            slots,
        )?))
    }

    /// The model's graph, if it is one. That runs on the CPU, and in its own numbers.
    fn graph(&self) -> Result<Option<&Arc<Graph>>> {
        let Some(graph) = self.model.graph() else {
            return Ok(None);
        };
        let device = self.wish.device;
        if self.wish.backend.is_some() || !matches!(device, Device::Auto | Device::Cpu) {
            let message = "an ONNX graph runs on the CPU alone; the checkpoint runs on any device";
            return Err(Error::new(ErrorKind::Device, message));
        }
        if self.wish.format != Format::F32 {
            return Err(Error::argument(format!(
                "an ONNX graph has its own number format; the checkpoint runs in {}",
                self.wish.format
            )));
        }
        Ok(Some(graph))
    }

    /// The sizes of the model for puzzles of S = `tokens` tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the model fixes another S.
    pub fn dims(&self, tokens: usize) -> Result<Dims> {
        self.model.check_token_count(tokens)?;
        Ok(Dims::new(&self.model.config, tokens))
    }

    /// The calls of a refinement step for puzzles of S = `tokens` tokens.
    ///
    /// # Errors
    /// As [`Solver::dims`]; the model is an ONNX graph.
    pub fn plan(&self, tokens: usize) -> Result<Plan> {
        self.model.plan(tokens)
    }

    /// Runs one step of these puzzles, `[S]` tokens each, in lockstep on this device and on the scalar reference, call by call;
    /// the first kernel whose results differ by more than `tolerance`. `observe` is told the difference after every call.
    ///
    /// # Errors
    /// As [`Solver::empty_session`]; a token outside the vocabulary.
    pub fn check(
        &self,
        puzzles: &[Vec<u32>],
        tolerance: f32,
        observe: &mut dyn FnMut(&Difference),
    ) -> Result<Option<Difference>> {
        let tokens = puzzles.first().map_or(0, Vec::len);
        let plan = Arc::new(self.plan(tokens)?);
        let cases: Result<Vec<Case>> = puzzles
            .iter()
            .map(|tokens| case(&self.model, &plan.dims, tokens, 0))
            .collect();
        let device = self.place.loads(&self.model, &self.wish, puzzles.len())?.loaded;
        let weights = self.model.weights()?.rounded(self.wish.format);
        let reference = Reference.load(weights)?;
        compare_each(&*reference, &*device, &plan, &cases?, tolerance, observe)
    }

    /// A puzzle as this model sees it, and the task that it belongs to.
    ///
    /// # Errors
    /// [`ErrorKind::Puzzle`](crate::ErrorKind::Puzzle) in words that a puzzle player understands.
    pub fn encode(&self, puzzle: &Puzzle) -> Result<(Problem, Arc<dyn Task>)> {
        let space = self.space();
        let task = match &self.task {
            Some(task) => task.clone(),
            None => self.known_task(task::detect(
                puzzle,
                Some(&space),
                self.kind,
                self.model.config.task.as_deref(),
            )?)?,
        };
        let problem = task.encode(puzzle, &space)?;
        // What the model itself does not take is an error of this puzzle, not of the session that it would join.
        self.model.check_token_count(problem.tokens.len())?;
        self.model.check_puzzle_id(problem.puzzle_id)?;
        Ok((problem, task))
    }

    /// What a task must know of the model.
    pub fn space(&self) -> Space {
        let config = &self.model.config;
        Space {
            vocab_size: config.vocab_size,
            seq_len: config.seq_len,
            num_puzzle_identifiers: config.num_puzzle_identifiers,
        }
    }

    fn known_task(&self, kind: TaskKind) -> Result<Arc<dyn Task>> {
        Ok(match kind {
            TaskKind::Sudoku => Arc::new(Sudoku {
                box_shape: self.model.config.box_shape,
            }),
            TaskKind::Maze => Arc::new(Maze),
            TaskKind::Tokens => Arc::new(Tokens),
            TaskKind::Arc => Arc::new(ArcGrid {
                identifiers: self.known_identifiers()?,
            }),
        })
    }

    /// The names of an ARC checkpoint's puzzles: those given, or `identifiers.json` beside the model, if there is one.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn known_identifiers(&self) -> Result<Option<Identifiers>> {
        if self.identifiers.is_some() {
            return Ok(self.identifiers.clone());
        }
        let beside = self
            .model
            .directory()
            .map(|d| d.join("identifiers.json"))
            .filter(|p| p.exists());
        beside.map(Identifiers::open).transpose()
    }
}
