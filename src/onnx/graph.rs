//! Reads a graph: its inputs and outputs by name, their sizes, and a plan of tract's that runs it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::Read;
use super::initial::{Size, initial};
use crate::checkpoint::Source;
use crate::checkpoint::locate::settings_beside;
use crate::config::{Architecture, Config, GraphShapes, Settings, State};
use crate::error::{Error, Hint, Result};

/// The format itself ends here.
const MAX_FILE: u64 = 1 << 31;
/// Most puzzles that a graph takes at once.
const MAX_BATCH: usize = 1 << 12;
/// Largest tensor that a graph may compute, in bytes.
const MAX_TENSOR: usize = 1 << 32;

const INPUTS: &str = "inputs";
const IDENTIFIERS: &str = "puzzle_identifiers";

/// A graph that is ready to run.
pub(crate) struct Graph {
    pub(crate) plan: Arc<TypedRunnableModel>,
    /// Puzzles in a run.
    pub(crate) batch: usize,
    /// L.
    pub(crate) positions: usize,
    /// D.
    pub(crate) hidden: usize,
    /// Numbers that each output has for a puzzle.
    pub(crate) lens: Vec<usize>,
    /// In the graph's order.
    pub(crate) inputs: Vec<(Role, DatumType)>,
    /// The states; the outputs are theirs, in this order, then `logits`, `q_halt` and perhaps `q_continue`.
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

/// What an input takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Tokens,
    Identifiers,
    /// By its number among the states.
    State(usize),
}

impl Graph {
    /// Reads a graph and all that belongs to it.
    pub(crate) fn read(source: Source, path: Option<&Path>, mut settings: Settings) -> Result<Read> {
        let at = |e: Error| source.locate(e);
        if source.len() > MAX_FILE {
            return Err(at(Error::checkpoint(
                "has more than 2 GiB, which no ONNX file has",
            )));
        }
        let bytes = source.read_vec(0, source.len()).map_err(at)?;
        let (model, metadata) = parse(&bytes, path).map_err(at)?;
        drop(bytes);
        let pairs = metadata.iter().map(|(key, text)| (key.as_str(), text.as_str()));
        let configured = settings.add_metadata(pairs).map_err(at)?;
        if let Some(path) = path {
            settings_beside(path, !configured, &mut settings)?;
        }
        let signature = Signature::new(&model, &settings).map_err(at)?;
        let typed = optimise(model, &signature).map_err(at)?;
        let shapes = signature.shapes(&typed).map_err(at)?;
        let resolved = Config::of_graph(&shapes, &settings).map_err(at)?;
        let size = Size {
            positions: shapes.positions,
            hidden: shapes.hidden_size,
        };
        let initial = initial(&signature.states, size, &metadata, path).map_err(at)?;
        let plan = guarded("plan the graph", || typed.into_runnable()).map_err(at)?;
        Ok(Read {
            graph: Graph {
                plan,
                batch: signature.batch,
                positions: shapes.positions,
                hidden: shapes.hidden_size,
                lens: lens(&shapes, signature.states.len()),
                inputs: signature.inputs.iter().map(|i| (i.role, i.datum_type)).collect(),
                states: signature.states,
            },
            config: resolved.config,
            provenance: resolved.provenance,
            notes: resolved.notes,
            initial,
        })
    }
}

/// Numbers of each output for a puzzle.
fn lens(shapes: &GraphShapes, states: usize) -> Vec<usize> {
    let mut lens = vec![shapes.positions * shapes.hidden_size; states];
    lens.push(shapes.seq_len * shapes.vocab_size);
    lens.extend(std::iter::repeat_n(1, 1 + usize::from(shapes.q_continue)));
    lens
}

/// Does something with tract, whose errors and panics on a file that nobody has checked become an error here.
pub(crate) fn guarded<T>(what: &str, work: impl FnOnce() -> TractResult<T>) -> Result<T> {
    let failed = |why: &str| Error::checkpoint(format!("tract could not {what}: {why}"));
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) => {
            // The chain from the outermost in, without the text of the whole graph that some steps of it carry.
            let chain: Vec<String> = e.chain().map(|e| shortened(&e.to_string())).collect();
            Err(failed(&chain.join(": ")))
        }
        Err(_) => Err(failed(
            "it panicked, so the file is damaged or uses what it does not know",
        )),
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// The graph with its outputs in our order, and its annotations.
fn parse(bytes: &[u8], path: Option<&Path>) -> Result<(InferenceModel, Vec<(String, String)>)> {
    // Sizes are computed from the inputs that we set, so that those written beside the nodes cannot contradict them.
    let onnx = tract_onnx::onnx().with_ignore_value_info(true);
    let proto = guarded("read the file", || onnx.proto_model_for_read(&mut &bytes[..]))?;
    let folder = path.and_then(Path::parent).and_then(Path::to_str);
    let parsed = guarded("read the graph", || onnx.parse(&proto, folder))?;
    if let Some(name) = parsed.unresolved_inputs.first() {
        return Err(Error::checkpoint(format!(
            "the graph reads {name:?}, which nothing computes"
        )));
    }
    let metadata = proto.metadata_props.iter();
    let metadata = metadata.map(|p| (p.key.clone(), p.value.clone())).collect();
    Ok((parsed.model, metadata))
}

/// The inputs and outputs of a step, found by their names.
struct Signature {
    states: Vec<State>,
    inputs: Vec<Input>,
    outputs: Vec<OutletId>,
    q_continue: bool,
    batch: usize,
    tokens: usize,
    positions: usize,
    hidden: usize,
}

struct Input {
    role: Role,
    datum_type: DatumType,
    /// An axis that is left open has no size.
    shape: Vec<Option<usize>>,
    name: String,
}

impl Signature {
    fn new(model: &InferenceModel, settings: &Settings) -> Result<Signature> {
        let outlets = guarded("find the inputs", || model.input_outlets())?;
        let names: Vec<&str> = outlets.iter().map(|o| model.node(o.node).name.as_str()).collect();
        let states = states(&names)?;
        let mut inputs = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let role = match *name {
                INPUTS => Role::Tokens,
                IDENTIFIERS => Role::Identifiers,
                _ => match states.iter().position(|s| s.name() == *name) {
                    Some(state) => Role::State(state),
                    None => {
                        return Err(
                            Error::checkpoint(format!("{} {}", unknown(), listed(&names))).context(input(name))
                        );
                    }
                },
            };
            inputs.push(Input::new(role, name, model, index)?);
        }
        if !inputs.iter().any(|i| i.role == Role::Tokens) {
            return Err(
                Error::checkpoint(format!("is missing: tokens, [B, S]; {}", listed(&names)))
                    .context(input(INPUTS)),
            );
        }
        let axis = |role: fn(Role) -> bool, axis: usize, what: &str| common(&inputs, role, axis, what);
        let is_state = |role| matches!(role, Role::State(_));
        let batch = axis(|_| true, 0, "puzzles")?.unwrap_or(1);
        if !(1..=MAX_BATCH).contains(&batch) {
            return Err(Error::checkpoint(format!(
                "the graph takes {batch} puzzles at once; 1 to {MAX_BATCH} are run"
            )));
        }
        let tokens = axis(|role| role == Role::Tokens, 1, "tokens")?.or(settings.size("seq_len"));
        let tokens = tokens.ok_or_else(|| open("S", "inputs", "seq_len"))?;
        let prefix = settings.size("puzzle_emb_len");
        let positions = axis(is_state, 1, "positions")?.or(prefix.map(|prefix| prefix + tokens));
        let positions = positions.ok_or_else(|| open("L", &states[0].name(), "puzzle_emb_len"))?;
        let hidden = axis(is_state, 2, "elements")?.or(settings.size("hidden_size"));
        let hidden = hidden.ok_or_else(|| open("D", &states[0].name(), "hidden_size"))?;

        let outputs = guarded("find the outputs", || model.output_outlets())?;
        let find = |name: &str| {
            outputs
                .iter()
                .find(|o| model.outlet_label(**o) == Some(name))
                .copied()
        };
        let wanted = states.iter().map(|s| format!("next_{}", s.name()));
        let wanted = wanted.chain(["logits".to_owned(), "q_halt".to_owned()]);
        let mut found = Vec::new();
        for name in wanted {
            let outlet = find(&name).ok_or_else(|| {
                let labels: Vec<&str> = outputs.iter().filter_map(|o| model.outlet_label(*o)).collect();
                Error::checkpoint(format!("is missing; the outputs are {}", labels.join(", ")))
                    .context(format!("output \"{name}\""))
            })?;
            found.push(outlet);
        }
        let q_continue = find("q_continue");
        found.extend(q_continue);
        Ok(Signature {
            states,
            inputs,
            outputs: found,
            q_continue: q_continue.is_some(),
            batch,
            tokens,
            positions,
            hidden,
        })
    }

    /// The sizes of an input.
    fn shape(&self, role: Role) -> TVec<usize> {
        match role {
            Role::Tokens => tvec!(self.batch, self.tokens),
            Role::Identifiers => tvec!(self.batch),
            Role::State(_) => tvec!(self.batch, self.positions, self.hidden),
        }
    }

    /// What the sizes of the outputs tell; they must be those of a step.
    fn shapes(&self, model: &TypedModel) -> Result<GraphShapes> {
        let state = [self.batch, self.positions, self.hidden];
        let shape = |output: usize| -> Result<Vec<usize>> {
            let fact = guarded("find an output", || model.output_fact(output))?;
            let shape = fact.shape.as_concrete().map(<[usize]>::to_vec);
            shape.ok_or_else(|| {
                Error::checkpoint(format!(
                    "has shape {:?}, which depends on a size that is open",
                    fact.shape
                ))
            })
        };
        let check = |output: usize, name: String, fits: &dyn Fn(&[usize]) -> bool, wanted: String| {
            let found = shape(output).map_err(|e| e.context(format!("output \"{name}\"")))?;
            match fits(&found) {
                true => Ok(found),
                false => Err(Error::checkpoint(format!("has shape {found:?}, not {wanted}"))
                    .context(format!("output \"{name}\""))),
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
            .take(1 + usize::from(self.q_continue))
        {
            check(
                states + 1 + i,
                (*name).into(),
                &per_puzzle,
                format!("[{}]", self.batch),
            )?;
        }
        Ok(GraphShapes {
            variant: variant(&self.states),
            seq_len: self.tokens,
            positions: self.positions,
            hidden_size: self.hidden,
            vocab_size: logits.last().copied().unwrap_or(0),
            identifiers: self.inputs.iter().any(|i| i.role == Role::Identifiers),
            q_continue: self.q_continue,
        })
    }
}

impl Input {
    fn new(role: Role, name: &str, model: &InferenceModel, index: usize) -> Result<Input> {
        let at = |e: Error| e.context(input(name));
        let fact = guarded("find an input", || model.input_fact(index)).map_err(at)?;
        let datum_type = fact.datum_type.concretize();
        let datum_type = datum_type.ok_or_else(|| at(Error::checkpoint("has no type of elements")))?;
        let (fits, wanted) = match role {
            Role::State(_) => (datum_type.is_float(), "float"),
            _ => (datum_type.is_integer(), "int32 or int64"),
        };
        if !fits {
            return Err(at(Error::checkpoint(format!(
                "has elements of type {datum_type:?}, not {wanted}"
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
        let (rank, wanted) = match role {
            Role::Tokens => (2, "[B, S]"),
            Role::Identifiers => (1, "[B]"),
            Role::State(_) => (3, "[B, L, D]"),
        };
        if shape.len() != rank {
            return Err(at(Error::checkpoint(format!(
                "has {} axes, not {wanted}",
                shape.len()
            ))));
        }
        Ok(Input {
            role,
            datum_type,
            shape,
            name: name.to_owned(),
        })
    }
}

/// The size of an axis in all inputs that have it; `None` if all leave it open.
fn common(inputs: &[Input], has: fn(Role) -> bool, axis: usize, what: &str) -> Result<Option<usize>> {
    let mut known: Option<(usize, &str)> = None;
    for found in inputs.iter().filter(|i| has(i.role)) {
        let Some(size) = found.shape.get(axis).copied().flatten() else {
            continue;
        };
        match known {
            Some((other, name)) if other != size => {
                let message = format!("has {size} {what}, input \"{name}\" {other}");
                return Err(Error::checkpoint(message).context(input(&found.name)));
            }
            _ => known = Some((size, &found.name)),
        }
    }
    Ok(known.map(|known| known.0))
}

/// The states of a graph with these inputs.
fn states(names: &[&str]) -> Result<Vec<State>> {
    let has = |state: &State| names.contains(&state.name().as_str());
    let low: Vec<State> = (0..6).map(State::Low).collect();
    if low.iter().any(has) {
        let all: Vec<State> = std::iter::once(State::H).chain(low).collect();
        return match all.iter().find(|s| !has(s)) {
            None => Ok(all),
            Some(missing) => Err(
                Error::checkpoint("is missing: a step with z_L1 has z_H and z_L1 to z_L6")
                    .context(input(&missing.name())),
            ),
        };
    }
    let found: Vec<State> = [State::H, State::L].into_iter().filter(has).collect();
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::checkpoint(format!(
            "the graph is no refinement step: {}",
            listed(names)
        ))),
    }
}

/// The variant with these states.
fn variant(states: &[State]) -> Architecture {
    match states {
        [State::L] => Architecture::SingleZ,
        [State::H] => Architecture::Baseline,
        [State::H, State::L] => Architecture::Trm,
        _ => Architecture::Hier6,
    }
}

fn unknown() -> &'static str {
    "is not one that a refinement step has (inputs, puzzle_identifiers and its states: z_H, z_L or z_L1 to z_L6);"
}

fn listed(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().take(12).copied().collect();
    match shown.is_empty() {
        true => "it has no inputs".into(),
        false => format!("its inputs are {}", shown.join(", ")),
    }
}

fn input(name: &str) -> String {
    format!("input \"{name}\"")
}

fn open(axis: &str, name: &str, key: &str) -> Error {
    let message = format!("leaves its {axis} open");
    Error::checkpoint(message)
        .context(input(name))
        .with_hint(Hint::SetHyperparameters(vec![(key.into(), "N".into())]))
}

/// Sets the sizes of the inputs, and lets tract make of the graph what is fast to run.
fn optimise(mut model: InferenceModel, signature: &Signature) -> Result<TypedModel> {
    let typed = guarded("understand the graph", || {
        for (index, i) in signature.inputs.iter().enumerate() {
            let fact = InferenceFact::dt_shape(i.datum_type, &*signature.shape(i.role));
            model.set_input_fact(index, fact)?;
        }
        model.select_output_outlets(&signature.outputs)?;
        model.into_typed()
    })?;
    // Before anything is computed: a small file can ask for tensors without end.
    for node in typed.nodes() {
        for output in &node.outputs {
            let elements = output.fact.shape.as_concrete();
            let bytes = elements.and_then(|shape| {
                shape
                    .iter()
                    .try_fold(output.fact.datum_type.size_of(), |n, size| n.checked_mul(*size))
            });
            if elements.is_some() && bytes.is_none_or(|bytes| bytes > MAX_TENSOR) {
                return Err(Error::checkpoint(format!(
                    "node \"{}\" computes a tensor of shape {:?}, more than 4 GiB",
                    shortened(&node.name),
                    output.fact.shape
                )));
            }
        }
    }
    guarded("optimise the graph", || typed.into_optimized())
}
