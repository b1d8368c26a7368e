//! Reads an ONNX graph: finds its inputs and outputs by name, checks their sizes, and lets tract
//! optimise it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::LoadedGraph;
use super::initial::{StateSize, initial_states};
use crate::checkpoint::Source;
use crate::checkpoint::locate::add_settings_beside;
use crate::config::{Architecture, Config, GraphShapes, Settings, State};
use crate::error::{Error, Hint, Result};

/// Size limit of an ONNX file, in bytes. The format (protobuf) has the same limit.
const MAX_FILE_BYTES: u64 = 1 << 31;
/// Largest batch size of a graph, B.
const MAX_BATCH: usize = 1 << 12;
/// Largest tensor that a graph may compute, in bytes.
const MAX_TENSOR_BYTES: usize = 1 << 32;

/// Name of the input with the tokens, `[B, S]`.
const TOKENS_INPUT: &str = "inputs";
/// Name of the input with the puzzle identifiers, `[B]`.
const IDENTIFIERS_INPUT: &str = "puzzle_identifiers";

/// A graph that is ready to run.
pub(crate) struct Graph {
    pub(crate) plan: Arc<TypedRunnableModel>,
    /// B: puzzles in a run.
    pub(crate) batch: usize,
    /// L: positions.
    pub(crate) positions: usize,
    /// D: hidden size.
    pub(crate) hidden: usize,
    /// Number of elements of each output for one puzzle.
    pub(crate) lens: Vec<usize>,
    /// The inputs, in the order of the graph.
    pub(crate) inputs: Vec<(Role, DatumType)>,
    /// The states. The outputs are the next states in this order, then `logits`, `q_halt`, and
    /// `q_continue` if the graph has it.
    pub(crate) states: Vec<State>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("batch", &self.batch)
            .field("inputs", &self.inputs)
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}

/// The meaning of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Tokens,
    Identifiers,
    /// The state with this index in [`Graph::states`].
    State(usize),
}

impl Graph {
    /// Reads a graph, its configuration, and the initial values of its states.
    ///
    /// # Errors
    /// A file cannot be read or is damaged, the graph is not a refinement step, or a size is
    /// missing or too large.
    pub(crate) fn read(
        source: Source,
        path: Option<&Path>,
        mut settings: Settings,
    ) -> Result<LoadedGraph> {
        let at = |e: Error| source.locate(e);
        if source.len() > MAX_FILE_BYTES {
            return Err(at(Error::checkpoint(
                "is larger than 2 GiB, the limit of the ONNX format",
            )));
        }
        let bytes = source.read_vec(0, source.len()).map_err(at)?;
        let (model, metadata) = parse(&bytes, path).map_err(at)?;
        drop(bytes);
        let pairs = metadata
            .iter()
            .map(|(key, text)| (key.as_str(), text.as_str()));
        let has_config = settings.add_metadata(pairs).map_err(at)?;
        if let Some(path) = path {
            add_settings_beside(path, !has_config, &mut settings)?;
        }
        let signature = Signature::new(&model, &settings).map_err(at)?;
        let typed = optimise(model, &signature).map_err(at)?;
        let shapes = signature.shapes(&typed).map_err(at)?;
        let resolved = Config::of_graph(&shapes, &settings).map_err(at)?;
        let size = StateSize {
            positions: shapes.positions,
            hidden: shapes.hidden_size,
        };
        let initial = initial_states(&signature.states, size, &metadata, path).map_err(at)?;
        let plan = guarded("plan the graph", || typed.into_runnable()).map_err(at)?;
        Ok(LoadedGraph {
            graph: Self {
                plan,
                batch: signature.batch,
                positions: shapes.positions,
                hidden: shapes.hidden_size,
                lens: lens(&shapes, signature.states.len()),
                inputs: signature
                    .inputs
                    .iter()
                    .map(|i| (i.role, i.datum_type))
                    .collect(),
                states: signature.states,
            },
            config: resolved.config,
            provenance: resolved.provenance,
            notes: resolved.notes,
            initial,
        })
    }
}

/// Returns the number of elements of each output for one puzzle.
fn lens(shapes: &GraphShapes, states: usize) -> Vec<usize> {
    let mut lens = vec![shapes.positions * shapes.hidden_size; states];
    lens.push(shapes.seq_len * shapes.vocab_size);
    lens.extend(std::iter::repeat_n(
        1,
        1 + usize::from(shapes.has_q_continue),
    ));
    lens
}

/// Runs `work`, which calls tract on an untrusted graph.
///
/// # Errors
/// Tract returns an error, or panics. `what` completes the sentence "tract could not ..".
pub(crate) fn guarded<T>(what: &str, work: impl FnOnce() -> TractResult<T>) -> Result<T> {
    let failed = |reason: &str| Error::checkpoint(format!("tract could not {what}: {reason}"));
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) => {
            // Some errors in the chain contain the text of the whole graph, so each is shortened.
            let chain: Vec<String> = e.chain().map(|e| shorten(&e.to_string())).collect();
            Err(failed(&chain.join(": ")))
        }
        Err(_) => Err(failed(
            "it panicked; the file is damaged, or uses unsupported operations",
        )),
    }
}

/// Returns the first line of a text, cut to 200 characters.
fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// Parses a graph. Returns it with its metadata.
fn parse(bytes: &[u8], path: Option<&Path>) -> Result<(InferenceModel, Vec<(String, String)>)> {
    // Sizes follow from the inputs that `optimise` sets. The sizes in the file are ignored, so that
    // they cannot contradict them.
    let onnx = tract_onnx::onnx().with_ignore_value_info(true);
    let proto = guarded("read the file", || {
        onnx.proto_model_for_read(&mut &bytes[..])
    })?;
    let folder = path.and_then(Path::parent).and_then(Path::to_str);
    let parsed = guarded("read the graph", || onnx.parse(&proto, folder))?;
    if let Some(name) = parsed.unresolved_inputs.first() {
        return Err(Error::checkpoint(format!(
            "the graph reads {name:?}, which no node computes"
        )));
    }
    let metadata = proto.metadata_props.iter();
    let metadata = metadata.map(|p| (p.key.clone(), p.value.clone())).collect();
    Ok((parsed.model, metadata))
}

/// The inputs, outputs and sizes of a refinement step.
struct Signature {
    states: Vec<State>,
    inputs: Vec<Input>,
    /// In the order of [`Graph::states`] and the heads.
    outputs: Vec<OutletId>,
    has_q_continue: bool,
    /// B.
    batch: usize,
    /// S.
    tokens: usize,
    /// L.
    positions: usize,
    /// D.
    hidden: usize,
}

/// An input of the graph.
struct Input {
    role: Role,
    datum_type: DatumType,
    /// `None` for an axis whose size the graph does not fix.
    shape: Vec<Option<usize>>,
    name: String,
}

impl Signature {
    /// Finds the inputs and outputs of a step by their names.
    fn new(model: &InferenceModel, settings: &Settings) -> Result<Self> {
        let outlets = guarded("find the inputs", || model.input_outlets())?;
        let names: Vec<&str> = outlets
            .iter()
            .map(|o| model.node(o.node).name.as_str())
            .collect();
        let states = states(&names)?;
        let mut inputs = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let role = match *name {
                TOKENS_INPUT => Role::Tokens,
                IDENTIFIERS_INPUT => Role::Identifiers,
                _ => match states.iter().position(|s| s.name() == *name) {
                    Some(state) => Role::State(state),
                    None => {
                        let message = format!("{UNKNOWN_INPUT} {}", list(&names));
                        return Err(Error::checkpoint(message).context(input(name)));
                    }
                },
            };
            inputs.push(Input::new(role, name, model, index)?);
        }
        if !inputs.iter().any(|i| i.role == Role::Tokens) {
            let message = format!("is missing: it takes the tokens, [B, S]; {}", list(&names));
            return Err(Error::checkpoint(message).context(input(TOKENS_INPUT)));
        }
        let axis =
            |role: fn(Role) -> bool, axis: usize, what: &str| axis_size(&inputs, role, axis, what);
        let is_state = |role| matches!(role, Role::State(_));
        let batch = axis(|_| true, 0, "puzzles")?.unwrap_or(1);
        if !(1..=MAX_BATCH).contains(&batch) {
            return Err(Error::checkpoint(format!(
                "the graph has a batch size of {batch}; it must be from 1 to {MAX_BATCH}"
            )));
        }
        let tokens = axis(|role| role == Role::Tokens, 1, "tokens")?.or(settings.size("seq_len"));
        let tokens = tokens.ok_or_else(|| missing_size("S", TOKENS_INPUT, "seq_len"))?;
        let prefix = settings.size("puzzle_emb_len");
        let positions = axis(is_state, 1, "positions")?.or(prefix.map(|prefix| prefix + tokens));
        let positions =
            positions.ok_or_else(|| missing_size("L", &states[0].name(), "puzzle_emb_len"))?;
        let hidden = axis(is_state, 2, "elements")?.or(settings.size("hidden_size"));
        let hidden = hidden.ok_or_else(|| missing_size("D", &states[0].name(), "hidden_size"))?;

        let outputs = guarded("find the outputs", || model.output_outlets())?;
        let find = |name: &str| {
            outputs
                .iter()
                .find(|o| model.outlet_label(**o) == Some(name))
                .copied()
        };
        let required = states.iter().map(|s| format!("next_{}", s.name()));
        let required = required.chain(["logits".to_owned(), "q_halt".to_owned()]);
        let mut found = Vec::new();
        for name in required {
            let outlet = find(&name).ok_or_else(|| {
                let labels: Vec<&str> = outputs
                    .iter()
                    .filter_map(|o| model.outlet_label(*o))
                    .collect();
                Error::checkpoint(format!("is missing; the outputs are {}", labels.join(", ")))
                    .context(format!("output \"{name}\""))
            })?;
            found.push(outlet);
        }
        let q_continue = find("q_continue");
        found.extend(q_continue);
        Ok(Self {
            states,
            inputs,
            outputs: found,
            has_q_continue: q_continue.is_some(),
            batch,
            tokens,
            positions,
            hidden,
        })
    }

    /// Returns the shape of an input.
    fn shape(&self, role: Role) -> TVec<usize> {
        match role {
            Role::Tokens => tvec!(self.batch, self.tokens),
            Role::Identifiers => tvec!(self.batch),
            Role::State(_) => tvec!(self.batch, self.positions, self.hidden),
        }
    }

    /// Returns the sizes of the model. Checks that the outputs have the shapes of a step.
    fn shapes(&self, model: &TypedModel) -> Result<GraphShapes> {
        let state = [self.batch, self.positions, self.hidden];
        let shape = |output: usize| -> Result<Vec<usize>> {
            let fact = guarded("find an output", || model.output_fact(output))?;
            let shape = fact.shape.as_concrete().map(<[usize]>::to_vec);
            shape.ok_or_else(|| {
                Error::checkpoint(format!(
                    "has shape {:?}, which depends on a size that is not fixed",
                    fact.shape
                ))
            })
        };
        let check =
            |output: usize, name: String, fits: &dyn Fn(&[usize]) -> bool, expected: String| {
                let found = shape(output).map_err(|e| e.context(format!("output \"{name}\"")))?;
                match fits(&found) {
                    true => Ok(found),
                    false => Err(
                        Error::checkpoint(format!("has shape {found:?}, not {expected}"))
                            .context(format!("output \"{name}\"")),
                    ),
                }
            };
        let states = self.states.len();
        for (i, s) in self.states.iter().enumerate() {
            check(
                i,
                format!("next_{}", s.name()),
                &|found| found == state,
                format!("{state:?}"),
            )?;
        }
        let rows = [self.batch, self.tokens];
        let logits = check(
            states,
            "logits".into(),
            &|found| found.len() == 3 && found[..2] == rows && found[2] > 0,
            format!("[{}, {}, V]", rows[0], rows[1]),
        )?;
        let per_puzzle = |found: &[usize]| found == [self.batch] || found == [self.batch, 1];
        for (i, name) in ["q_halt", "q_continue"]
            .iter()
            .enumerate()
            .take(1 + usize::from(self.has_q_continue))
        {
            check(
                states + 1 + i,
                (*name).into(),
                &per_puzzle,
                format!("[{}]", self.batch),
            )?;
        }
        Ok(GraphShapes {
            variant: architecture(&self.states),
            seq_len: self.tokens,
            positions: self.positions,
            hidden_size: self.hidden,
            vocab_size: logits.last().copied().unwrap_or(0),
            takes_identifiers: self.inputs.iter().any(|i| i.role == Role::Identifiers),
            has_q_continue: self.has_q_continue,
        })
    }
}

impl Input {
    /// Checks the element type and the number of axes of an input.
    fn new(role: Role, name: &str, model: &InferenceModel, index: usize) -> Result<Self> {
        let at = |e: Error| e.context(input(name));
        let fact = guarded("find an input", || model.input_fact(index)).map_err(at)?;
        let datum_type = fact.datum_type.concretize();
        let datum_type = datum_type.ok_or_else(|| at(Error::checkpoint("has no element type")))?;
        let (fits, expected) = match role {
            Role::State(_) => (datum_type.is_float(), "float"),
            _ => (datum_type.is_integer(), "int32 or int64"),
        };
        if !fits {
            return Err(at(Error::checkpoint(format!(
                "has elements of type {datum_type:?}, not {expected}"
            ))));
        }
        let axes: Vec<_> = fact.shape.dims().collect();
        let shape: Vec<Option<usize>> = axes
            .iter()
            .map(|axis| {
                axis.concretize()
                    .and_then(|size| size.to_i64().ok())
                    .and_then(|size| usize::try_from(size).ok())
            })
            .collect();
        let (rank, expected) = match role {
            Role::Tokens => (2, "[B, S]"),
            Role::Identifiers => (1, "[B]"),
            Role::State(_) => (3, "[B, L, D]"),
        };
        if shape.len() != rank {
            return Err(at(Error::checkpoint(format!(
                "has {} axes, not {expected}",
                shape.len()
            ))));
        }
        Ok(Self {
            role,
            datum_type,
            shape,
            name: name.to_owned(),
        })
    }
}

/// Returns the size of an axis that several inputs share. `None`: none of them fixes it.
///
/// # Errors
/// Two inputs have different sizes.
fn axis_size(
    inputs: &[Input],
    has: fn(Role) -> bool,
    axis: usize,
    what: &str,
) -> Result<Option<usize>> {
    let mut known: Option<(usize, &str)> = None;
    for found in inputs.iter().filter(|i| has(i.role)) {
        let Some(size) = found.shape.get(axis).copied().flatten() else {
            continue;
        };
        match known {
            Some((other, name)) if other != size => {
                let message = format!("has {size} {what}, but input \"{name}\" has {other}");
                return Err(Error::checkpoint(message).context(input(&found.name)));
            }
            _ => known = Some((size, &found.name)),
        }
    }
    Ok(known.map(|known| known.0))
}

/// Returns the states of a graph with these inputs.
fn states(names: &[&str]) -> Result<Vec<State>> {
    let has = |state: &State| names.contains(&state.name().as_str());
    let low: Vec<State> = (0..6).map(State::LowLevel).collect();
    if low.iter().any(has) {
        let all: Vec<State> = std::iter::once(State::H).chain(low).collect();
        return match all.iter().find(|s| !has(s)) {
            None => Ok(all),
            Some(missing) => Err(Error::checkpoint(
                "is missing: a step with one of z_L1 to z_L6 has all of them, and z_H",
            )
            .context(input(&missing.name()))),
        };
    }
    let found: Vec<State> = [State::H, State::L].into_iter().filter(has).collect();
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::checkpoint(format!(
            "the graph is not a refinement step: {}",
            list(names)
        ))),
    }
}

/// Returns the architecture with these states.
fn architecture(states: &[State]) -> Architecture {
    match states {
        [State::L] => Architecture::SingleZ,
        [State::H] => Architecture::Baseline,
        [State::H, State::L] => Architecture::Trm,
        _ => Architecture::Hier6,
    }
}

/// Message for an input that a refinement step does not have.
const UNKNOWN_INPUT: &str = "is not an input of a refinement step (inputs, puzzle_identifiers, and \
    the states z_H, z_L or z_L1 to z_L6);";

/// Lists the inputs of the graph for a message.
fn list(names: &[&str]) -> String {
    const MAX_SHOWN_NAMES: usize = 12;
    let names: Vec<&str> = names.iter().take(MAX_SHOWN_NAMES).copied().collect();
    match names.is_empty() {
        true => "the graph has no inputs".into(),
        false => format!("the inputs are {}", names.join(", ")),
    }
}

fn input(name: &str) -> String {
    format!("input \"{name}\"")
}

/// Returns the error for an axis whose size neither the graph nor the setting `key` gives.
fn missing_size(axis: &str, name: &str, key: &str) -> Error {
    let message = format!("does not fix the size {axis}");
    Error::checkpoint(message)
        .context(input(name))
        .with_hint(Hint::SetHyperparameters(vec![(key.into(), "N".into())]))
}

/// Sets the sizes of the inputs, checks the sizes of all tensors, and lets tract optimise the
/// graph.
fn optimise(mut model: InferenceModel, signature: &Signature) -> Result<TypedModel> {
    let typed = guarded("understand the graph", || {
        for (index, i) in signature.inputs.iter().enumerate() {
            let fact = InferenceFact::dt_shape(i.datum_type, &*signature.shape(i.role));
            model.set_input_fact(index, fact)?;
        }
        model.select_output_outlets(&signature.outputs)?;
        model.into_typed()
    })?;
    // The check comes before tract computes anything, because a small file can ask for huge
    // tensors.
    for node in typed.nodes() {
        for output in &node.outputs {
            let elements = output.fact.shape.as_concrete();
            let bytes = elements.and_then(|shape| {
                shape
                    .iter()
                    .try_fold(output.fact.datum_type.size_of(), |n, size| {
                        n.checked_mul(*size)
                    })
            });
            if elements.is_some() && bytes.is_none_or(|bytes| bytes > MAX_TENSOR_BYTES) {
                return Err(Error::checkpoint(format!(
                    "node \"{}\" computes a tensor of shape {:?}, more than 4 GiB",
                    shorten(&node.name),
                    output.fact.shape
                )));
            }
        }
    }
    guarded("optimise the graph", || typed.into_optimized())
}
