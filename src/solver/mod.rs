//! The entry point of the library: a model, a device, and puzzles.

mod builder;
mod solve_many;

pub use builder::SolverBuilder;
pub use solve_many::SolveMany;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::backend::lockstep::{Difference, compare_with};
use crate::backend::reference::Reference;
use crate::backend::{Backend, SlotInput};
use crate::device::{Device, DeviceCache, FallbackStepper};
use crate::error::{Error, ErrorKind, Result};
use crate::import::Model;
use crate::model::dtype::WeightDtype;
use crate::model::plan::{Dims, Plan};
use crate::onnx::{self, Graph};
use crate::session::{
    Answer, HaltPolicy, Inspect, MultiStart, PlanStepper, Session, Stepper, graph_stepper,
    slot_input,
};
use crate::task::{
    self, ArcGrid, EncodedPuzzle, Id, Identifiers, Maze, Puzzle, Sudoku, Task, TaskKind, TokenSpec,
    Tokens,
};

/// A model on a device, ready to solve puzzles. Cheap to clone, and shared between threads.
///
/// ```no_run
/// let solver = trm_runtime::Solver::open("models/sudoku-9x9")?;
/// let puzzle = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
/// let answer = solver.solve(&puzzle.parse()?)?;
/// assert_eq!(answer.valid, Some(true));
/// # Ok::<(), trm_runtime::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Solver {
    model: Arc<Model>,
    /// The settings that `to_builder` returns.
    settings: SolverBuilder,
    policy: HaltPolicy,
    multi_start: MultiStart,
    /// The weights on the device, loaded at the first use.
    cache: Arc<DeviceCache>,
    /// The names of the rows of the puzzle embedding, once they were looked for.
    identifiers: Arc<OnceLock<Option<Identifiers>>>,
}

impl Solver {
    /// Returns a builder for a solver with other settings than the defaults.
    pub fn builder() -> SolverBuilder {
        SolverBuilder::default()
    }

    /// Opens a model with the default settings: a file that training wrote, a safetensors file, an
    /// ONNX file, or a folder that holds one of them.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(path)
    }

    /// Opens a model with the default settings from the bytes of a file that `trm-run convert`
    /// wrote. The bytes are kept and not copied: an app can pass a mapped file.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self> {
        Self::builder().from_bytes(bytes)
    }

    /// Opens one of the [bundled models](crate::bundled) with the default settings.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// let solver = trm_runtime::Solver::bundled("sudoku-4x4")?;
    /// let answer = solver.solve(&"0000020440102103".parse()?)?;
    /// assert_eq!(answer.cells.to_string(), "3421123443122143");
    /// # }
    /// # Ok::<(), trm_runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if no bundled model has this name.
    pub fn bundled(name: &str) -> Result<Self> {
        Self::builder().bundled(name)
    }

    /// Returns a builder with the settings of this solver. A solver that is built from it over the
    /// same model shares the loaded weights, unless the device, backend, dtype or number of threads
    /// changed.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// let solver = trm_runtime::Solver::bundled("sudoku-4x4")?;
    /// let patient = solver.to_builder().max_steps(64).build(solver.model().clone())?;
    /// assert_eq!(patient.policy().max_steps, 64);
    /// # }
    /// # Ok::<(), trm_runtime::Error>(())
    /// ```
    pub fn to_builder(&self) -> SolverBuilder {
        SolverBuilder {
            loaded: Some((self.model.clone(), self.cache.clone())),
            ..self.settings.clone()
        }
    }

    /// Returns the model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Returns the halting policy of the sessions.
    pub fn policy(&self) -> HaltPolicy {
        self.policy
    }

    /// Returns how the weights of the model's blocks are stored.
    pub fn dtype(&self) -> WeightDtype {
        self.settings.request.dtype
    }

    /// Returns how many starts each puzzle gets.
    pub fn multi_start(&self) -> MultiStart {
        self.multi_start
    }

    /// Returns the name of the device that runs: `cpu`, `reference` or `gpu`. Opens the device and
    /// loads the weights if no call did so before.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) if the device is not available.
    pub fn device_name(&self) -> Result<&'static str> {
        if self.graph()?.is_some() {
            return Ok(onnx::DEVICE);
        }
        let slots = self.settings.batch;
        Ok(self
            .cache
            .get(&self.model, &self.settings.request, slots)?
            .device)
    }

    /// Returns why [`Device::Auto`] chose its device, in plain words. `None` before the choice.
    pub fn device_choice_reason(&self) -> Option<String> {
        match self.settings.request.device {
            Device::Auto if self.model.graph().is_some() => {
                Some("tract runs the ONNX graph, on the CPU only".into())
            }
            _ => self.cache.choice_reason(),
        }
    }

    /// Solves one puzzle.
    ///
    /// # Errors
    /// [`ErrorKind::Puzzle`](crate::ErrorKind::Puzzle) if the puzzle is impossible,
    /// [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) if the numbers of the model
    /// overflow,
    /// [`ErrorKind::Deadline`](crate::ErrorKind::Deadline) or
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) if it was stopped.
    pub fn solve(&self, puzzle: &Puzzle) -> Result<Answer> {
        let (puzzle, task) = self.encode(puzzle)?;
        let mut session = self.empty_session(puzzle.tokens.len(), self.multi_start.starts)?;
        session.push(puzzle, task)?;
        loop {
            let answers = session
                .next_answers()?
                .ok_or_else(|| Error::argument("the puzzle ended without an answer"))?;
            if let Some(answer) = answers.into_iter().next() {
                return Ok(answer);
            }
        }
    }

    /// Solves any number of puzzles and yields their answers in the order of the puzzles.
    ///
    /// Puzzles are taken from the iterator as slots become free, so that memory stays bounded. A
    /// puzzle that cannot be encoded, or for which the numbers of the model overflow, yields an
    /// error in its place, and the others go on.
    /// [`Answer::index`] counts the puzzles from 0.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// let solver = trm_runtime::Solver::bundled("sudoku-4x4")?;
    /// let puzzles = ["0000020440102103", "1000000400310002"];
    /// let puzzles = puzzles.map(|puzzle| puzzle.parse().expect("a puzzle"));
    /// for answer in solver.solve_many(puzzles) {
    ///     let answer = answer?;
    ///     println!("{}: {}", answer.index, answer.cells);
    /// }
    /// # }
    /// # Ok::<(), trm_runtime::Error>(())
    /// ```
    pub fn solve_many<I>(&self, puzzles: I) -> SolveMany<I::IntoIter>
    where
        I: IntoIterator<Item = Puzzle>,
    {
        SolveMany::new(self.clone(), puzzles.into_iter())
    }

    /// Creates a session over these puzzles. Each of them halts on its own.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// let solver = trm_runtime::Solver::bundled("sudoku-4x4")?;
    /// let mut session = solver.session(&["0000020440102103".parse()?])?;
    /// while let Some(step) = session.next_step()? {
    ///     for puzzle in &step.puzzles {
    ///         println!("{} {:.2} {}", puzzle.id, puzzle.halt_probability, puzzle.cells);
    ///     }
    /// }
    /// # }
    /// # Ok::<(), trm_runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Puzzle`](crate::ErrorKind::Puzzle) if a puzzle is impossible, or if the sizes
    /// of the puzzles differ.
    pub fn session(&self, puzzles: &[Puzzle]) -> Result<Session> {
        let mut encoded = Vec::with_capacity(puzzles.len());
        for (index, puzzle) in puzzles.iter().enumerate() {
            encoded.push(self.encode_numbered(puzzle, index)?);
        }
        let tokens = encoded
            .first()
            .map_or(self.model.config.seq_len.unwrap_or(1), |(p, _)| {
                p.tokens.len()
            });
        let starts = puzzles.len().max(1).saturating_mul(self.multi_start.starts);
        let mut session = self.empty_session(tokens, self.settings.batch.min(starts))?;
        for (puzzle, task) in encoded {
            session.push(puzzle, task)?;
        }
        Ok(session)
    }

    /// Creates an empty session with `slots` slots for puzzles of S = `tokens` tokens, to be filled
    /// with [`Session::push`].
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the model fixes another S,
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) if the device is not available.
    pub fn empty_session(&self, tokens: usize, slots: usize) -> Result<Session> {
        let stepper: Box<dyn Stepper> = match self.graph()? {
            Some(_) => self.stepper(tokens, slots)?,
            None => Box::new(FallbackStepper::new(
                self.model.clone(),
                self.cache.clone(),
                self.settings.request.clone(),
                tokens,
                slots,
            )?),
        };
        let mut session = Session::with_multi_start(stepper, self.policy, self.multi_start)?;
        session.set_cancel_token(self.settings.cancel.child());
        session.set_deadline(self.settings.time_limit.map(|limit| Instant::now() + limit));
        Ok(session)
    }

    /// Creates a stepper with `slots` slots for puzzles of S = `tokens` tokens, whose states and
    /// logits can be read. The stepper does not halt puzzles, and the CPU does not take over if the
    /// device fails.
    ///
    /// # Errors
    /// As [`Solver::empty_session`].
    pub fn stepper(&self, tokens: usize, slots: usize) -> Result<Box<dyn Inspect>> {
        let request = &self.settings.request;
        if let Some(graph) = self.graph()? {
            self.model.check_token_count(tokens)?;
            return graph_stepper(graph, self.model.clone(), slots, request.threads);
        }
        let loaded = self.cache.get(&self.model, request, slots)?;
        let model = self.model.clone();
        Ok(Box::new(PlanStepper::new(
            model,
            &*loaded.weights,
            tokens,
            slots,
        )?))
    }

    /// Returns the model's graph if it is an ONNX graph, which runs on the CPU and in its own
    /// dtype.
    fn graph(&self) -> Result<Option<&Arc<Graph>>> {
        let Some(graph) = self.model.graph() else {
            return Ok(None);
        };
        let request = &self.settings.request;
        if request.backend.is_some() || !matches!(request.device, Device::Auto | Device::Cpu) {
            let message = "an ONNX graph runs on the CPU alone; the checkpoint runs on any device";
            return Err(Error::new(ErrorKind::Device, message));
        }
        if request.dtype != WeightDtype::F32 {
            return Err(Error::argument(format!(
                "an ONNX graph has its own number format; the checkpoint runs in {}",
                request.dtype
            )));
        }
        Ok(Some(graph))
    }

    /// Returns the sizes of the model for puzzles of S = `tokens` tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the model fixes another S.
    pub fn dims(&self, tokens: usize) -> Result<Dims> {
        self.model.check_token_count(tokens)?;
        Ok(Dims::new(&self.model.config, tokens))
    }

    /// Returns the plan of a refinement step for puzzles of S = `tokens` tokens.
    ///
    /// # Errors
    /// As [`Model::plan`].
    pub fn plan(&self, tokens: usize) -> Result<Plan> {
        self.model.plan(tokens)
    }

    /// Returns the largest difference from the reference that [`Solver::check`] should allow on
    /// this device.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) if the device is not available.
    pub fn check_tolerance(&self) -> Result<f32> {
        let slots = self.settings.batch;
        Ok(self
            .cache
            .get(&self.model, &self.settings.request, slots)?
            .tolerance)
    }

    /// Runs one step of these puzzles, `[S]` tokens each, on this device and on the scalar
    /// reference, and compares them after every call. Returns the first call whose results differ
    /// by more than `tolerance`. `on_call` receives the difference after every call.
    ///
    /// # Errors
    /// As [`Solver::empty_session`]; a token is outside the vocabulary.
    pub fn check(
        &self,
        puzzles: &[Vec<u32>],
        tolerance: f32,
        on_call: &mut dyn FnMut(&Difference),
    ) -> Result<Option<Difference>> {
        let tokens = puzzles.first().map_or(0, Vec::len);
        let plan = Arc::new(self.plan(tokens)?);
        let inputs: Result<Vec<SlotInput>> = puzzles
            .iter()
            .map(|tokens| slot_input(&self.model, &plan.dims, tokens, 0))
            .collect();
        let request = &self.settings.request;
        let device = self.cache.get(&self.model, request, puzzles.len())?.weights;
        let weights = self.model.take_weights()?.rounded(request.dtype);
        let reference = Reference.load(weights)?;
        compare_with(&*reference, &*device, &plan, &inputs?, tolerance, on_call)
    }

    /// Encodes a puzzle for this model, and returns the task that it belongs to.
    ///
    /// # Errors
    /// [`ErrorKind::Puzzle`](crate::ErrorKind::Puzzle) if the puzzle is impossible. The message is
    /// written for players.
    pub fn encode(&self, puzzle: &Puzzle) -> Result<(EncodedPuzzle, Arc<dyn Task>)> {
        self.encode_as(puzzle, self.settings.kind)
    }

    /// As [`Solver::encode`], for a puzzle of this kind. `None`: detected from the puzzle and the
    /// model.
    ///
    /// # Errors
    /// As [`Solver::encode`].
    pub fn encode_as(
        &self,
        puzzle: &Puzzle,
        kind: Option<TaskKind>,
    ) -> Result<(EncodedPuzzle, Arc<dyn Task>)> {
        let spec = self.token_spec();
        let task = match &self.settings.task {
            Some(task) => task.clone(),
            None => {
                let trained_for = self.model.config.task.as_deref();
                let kind = task::detect(puzzle, Some(&spec), kind, trained_for)?;
                self.built_in_task(kind)?
            }
        };
        let puzzle = task.encode(puzzle, &spec)?;
        // Checked here, so that the error concerns this puzzle and not its session.
        self.model.check_token_count(puzzle.tokens.len())?;
        self.model.check_puzzle_id(puzzle.puzzle_id)?;
        Ok((puzzle, task))
    }

    /// As [`Solver::encode`]. A puzzle without an identifier gets its index.
    fn encode_numbered(
        &self,
        puzzle: &Puzzle,
        index: usize,
    ) -> Result<(EncodedPuzzle, Arc<dyn Task>)> {
        let encoded = self
            .encode(puzzle)
            .map_err(|e| e.context(format!("puzzle {index}")));
        let (mut encoded, task) = encoded?;
        if puzzle.id.is_none() {
            encoded.id = Id::Number(index as u64);
        }
        Ok((encoded, task))
    }

    /// Returns the token space of the model, which a task needs to encode a puzzle.
    pub fn token_spec(&self) -> TokenSpec {
        let config = &self.model.config;
        TokenSpec {
            vocab_size: config.vocab_size,
            seq_len: config.seq_len,
            num_puzzle_identifiers: config.num_puzzle_identifiers,
        }
    }

    fn built_in_task(&self, kind: TaskKind) -> Result<Arc<dyn Task>> {
        Ok(match kind {
            TaskKind::Sudoku => Arc::new(Sudoku {
                box_shape: self.model.config.box_shape,
            }),
            TaskKind::Maze => Arc::new(Maze),
            TaskKind::Tokens => Arc::new(Tokens),
            TaskKind::Arc => Arc::new(ArcGrid {
                identifiers: self.identifiers()?,
            }),
        })
    }

    /// Returns the names of an ARC checkpoint's puzzles: those given, or `identifiers.json` beside
    /// the model, if it exists.
    ///
    /// # Errors
    /// The file cannot be opened. Its content is checked against the model when it is read.
    pub fn identifiers(&self) -> Result<Option<Identifiers>> {
        if let Some(known) = self.identifiers.get() {
            return Ok(known.clone());
        }
        let found = match &self.settings.identifiers {
            Some(given) => Some(given.clone()),
            None => {
                let beside = self
                    .model
                    .directory()
                    .map(|directory| directory.join("identifiers.json"))
                    .filter(|path| path.exists());
                beside.map(Identifiers::open).transpose()?
            }
        };
        // A model without a puzzle embedding ignores the names.
        let found = found.map(|names| match self.model.config.num_puzzle_identifiers {
            0 => names,
            rows => names.for_rows(rows),
        });
        Ok(self.identifiers.get_or_init(|| found).clone())
    }
}
