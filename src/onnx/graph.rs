//! Reads an ONNX graph: finds its inputs and outputs by name, checks it, and lets tract optimise
//! it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::{self, tensor_shape_proto, type_proto};
use tract_onnx::prelude::*;

use super::LoadedGraph;
use super::check::{check_operators, graph, infer, open_inputs};
use super::decode::{MAX_FILE_BYTES, decode};
use super::external::ExternalFiles;
use super::guarded::{guarded, shorten};
use super::initial::{StateSize, initial_states};
use super::optimise;
use super::value::{Element, Value};
use crate::checkpoint::Source;
use crate::checkpoint::locate::add_settings_beside;
use crate::config::{Architecture, Config, GraphShapes, Settings, State};
use crate::error::{Error, Hint, Result};

/// Largest batch size of a graph, B.
const MAX_BATCH: usize = 1 << 12;
/// Largest size of S, L and D.
const MAX_AXIS: usize = 1 << 24;
/// Largest size of all values that exist at one time in a run, in bytes.
const MAX_RUN_BYTES: u64 = 1 << 32;

/// Name of the input with the tokens, `[B, S]`.
const TOKENS_INPUT: &str = "inputs";
/// Name of the input with the puzzle identifiers, `[B]`.
const IDENTIFIERS_INPUT: &str = "puzzle_identifiers";
/// Name of the optional output with the second logit of the halting head, `[B]`.
const Q_CONTINUE: &str = "q_continue";

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
        let mut model = decode(&bytes).map_err(at)?;
        drop(bytes);
        let version = check_operators(&model).map_err(at)?;
        let metadata = std::mem::take(&mut model.metadata_props);
        let metadata: Vec<_> = metadata.into_iter().map(|p| (p.key, p.value)).collect();
        let pairs = metadata
            .iter()
            .map(|(key, text)| (key.as_str(), text.as_str()));
        let has_config = settings.add_metadata(pairs).map_err(at)?;
        if let Some(path) = path {
            add_settings_beside(path, !has_config, &mut settings)?;
        }
        let mut files = ExternalFiles::beside(path);
        let (signature, shapes) =
            check_graph(&model, version, &settings, &mut files).map_err(at)?;
        let resolved = Config::of_graph(&shapes, &settings).map_err(at)?;
        let size = StateSize {
            positions: shapes.positions,
            hidden: shapes.hidden_size,
        };
        let initial = initial_states(&signature.states, size, &metadata, path).map_err(at)?;
        let typed = read_checked(model, version, &signature, files).map_err(at)?;
        let plan = guarded("plan the graph", || typed.into_runnable()).map_err(at)?;
        check_run_bytes(&plan).map_err(at)?;
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
                    .map(|i| Ok((i.role, i.datum_type()?)))
                    .collect::<Result<_>>()?,
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

/// Checks a graph. Returns its signature and the sizes of the model.
///
/// # Errors
/// The graph is not a refinement step, or a limit is exceeded.
fn check_graph(
    model: &pb::ModelProto,
    version: i64,
    settings: &Settings,
    files: &mut ExternalFiles,
) -> Result<(Signature, GraphShapes)> {
    let graph = graph(model)?;
    let signature = Signature::new(graph, settings)?;
    let inputs = signature.inputs.iter();
    let inputs = inputs.map(|i| (i.name.as_str(), signature.value(i)));
    let inputs: Vec<(&str, Value)> = inputs.collect();
    let values = infer(graph, version, inputs, signature.batch, files)?;
    let shapes = signature.shapes(&values)?;
    Ok((signature, shapes))
}

/// The inputs, outputs and sizes of a refinement step.
struct Signature {
    states: Vec<State>,
    /// In the order of the graph.
    inputs: Vec<Input>,
    /// In the order of [`Graph::states`] and the heads.
    outputs: Vec<String>,
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
    element: Element,
    /// `None` for an axis whose size the graph does not fix.
    shape: Vec<Option<usize>>,
    name: String,
}

impl Signature {
    /// Finds the inputs and outputs of a step by their names.
    fn new(graph: &pb::GraphProto, settings: &Settings) -> Result<Self> {
        let open = open_inputs(graph)?;
        let names: Vec<&str> = open.iter().map(|input| input.name.as_str()).collect();
        let states = states(&names)?;
        let mut inputs: Vec<Input> = Vec::new();
        for proto in open {
            let name = proto.name.as_str();
            let role = match name {
                TOKENS_INPUT => Role::Tokens,
                IDENTIFIERS_INPUT => Role::Identifiers,
                _ => match states.iter().position(|s| s.name() == name) {
                    Some(state) => Role::State(state),
                    None => {
                        let message = format!("{UNKNOWN_INPUT} {}", list(&names));
                        return Err(Error::checkpoint(message).context(input(name)));
                    }
                },
            };
            if inputs.iter().any(|i| i.role == role) {
                return Err(Error::checkpoint("is there twice").context(input(name)));
            }
            inputs.push(Input::new(role, proto).map_err(|e| e.context(input(name)))?);
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
        let with_prefix = prefix.map(|prefix| prefix.saturating_add(tokens));
        let positions = axis(is_state, 1, "positions")?.or(with_prefix);
        let positions =
            positions.ok_or_else(|| missing_size("L", &states[0].name(), "puzzle_emb_len"))?;
        let hidden = axis(is_state, 2, "elements")?.or(settings.size("hidden_size"));
        let hidden = hidden.ok_or_else(|| missing_size("D", &states[0].name(), "hidden_size"))?;
        for (name, size) in [("S", tokens), ("L", positions), ("D", hidden)] {
            if !(1..=MAX_AXIS).contains(&size) {
                return Err(Error::checkpoint(format!(
                    "the size {name} is {size}; it must be from 1 to {MAX_AXIS}"
                )));
            }
        }

        let labels: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
        let required = states.iter().map(|s| format!("next_{}", s.name()));
        let required = required.chain(["logits".to_owned(), "q_halt".to_owned()]);
        let mut outputs: Vec<String> = required.collect();
        if let Some(missing) = outputs.iter().find(|name| !labels.contains(&name.as_str())) {
            let message = format!("is missing; the outputs are {}", shown(&labels));
            return Err(Error::checkpoint(message).context(format!("output \"{missing}\"")));
        }
        let has_q_continue = labels.contains(&Q_CONTINUE);
        outputs.extend(has_q_continue.then(|| Q_CONTINUE.to_owned()));
        Ok(Self {
            states,
            inputs,
            outputs,
            has_q_continue,
            batch,
            tokens,
            positions,
            hidden,
        })
    }

    /// Returns the shape of an input.
    fn shape(&self, role: Role) -> Vec<usize> {
        match role {
            Role::Tokens => vec![self.batch, self.tokens],
            Role::Identifiers => vec![self.batch],
            Role::State(_) => vec![self.batch, self.positions, self.hidden],
        }
    }

    /// Returns the description of an input with fixed sizes.
    fn proto(&self, input: &Input) -> pb::ValueInfoProto {
        let size = |size: usize| tensor_shape_proto::Dimension {
            denotation: String::new(),
            value: Some(tensor_shape_proto::dimension::Value::DimValue(size as i64)),
        };
        let shape = self.shape(input.role).into_iter().map(size).collect();
        let tensor = type_proto::Tensor {
            elem_type: input.element.number(),
            shape: Some(pb::TensorShapeProto { dim: shape }),
        };
        pb::ValueInfoProto {
            r#type: Some(pb::TypeProto {
                value: Some(type_proto::Value::TensorType(tensor)),
                ..pb::TypeProto::default()
            }),
            ..value_info(&input.name)
        }
    }

    /// Returns an input as a value of the graph.
    fn value(&self, input: &Input) -> Value {
        Value::new(input.element, self.shape(input.role))
    }

    /// Returns the sizes of the model. Checks that the outputs have the shapes of a step.
    fn shapes(&self, values: &HashMap<&str, Value>) -> Result<GraphShapes> {
        let state = [self.batch, self.positions, self.hidden];
        let check = |output: usize,
                     fits: &dyn Fn(&[usize]) -> bool,
                     expected: String|
         -> Result<Vec<usize>> {
            let name = &self.outputs[output];
            let at = |e: Error| e.context(format!("output \"{name}\""));
            let value = values.get(name.as_str());
            let value = value.ok_or_else(|| at(Error::checkpoint("no node computes it")))?;
            match fits(&value.shape) {
                true => Ok(value.shape.clone()),
                false => Err(at(Error::checkpoint(format!(
                    "has shape {:?}, not {expected}",
                    value.shape
                )))),
            }
        };
        let states = self.states.len();
        for i in 0..states {
            check(i, &|found| found == state, format!("{state:?}"))?;
        }
        let rows = [self.batch, self.tokens];
        let logits = check(
            states,
            &|found| found.len() == 3 && found[..2] == rows && found[2] > 0,
            format!("[{}, {}, V]", rows[0], rows[1]),
        )?;
        let per_puzzle = |found: &[usize]| found == [self.batch] || found == [self.batch, 1];
        for i in states + 1..self.outputs.len() {
            check(i, &per_puzzle, format!("[{}]", self.batch))?;
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
    fn new(role: Role, proto: &pb::ValueInfoProto) -> Result<Self> {
        let Some(type_proto::Value::TensorType(tensor)) =
            proto.r#type.as_ref().and_then(|t| t.value.as_ref())
        else {
            return Err(Error::checkpoint("is not a tensor"));
        };
        let element = Element::new(tensor.elem_type)?;
        let (fits, expected) = match role {
            Role::State(_) => (element.is_float(), "float"),
            _ => (element.is_integer(), "int32 or int64"),
        };
        if !fits {
            return Err(Error::checkpoint(format!(
                "has elements of type {}, not {expected}",
                element.name()
            )));
        }
        let (rank, expected) = match role {
            Role::Tokens => (2, "[B, S]"),
            Role::Identifiers => (1, "[B]"),
            Role::State(_) => (3, "[B, L, D]"),
        };
        let Some(shape) = &tensor.shape else {
            return Err(Error::checkpoint(format!(
                "has no shape, but needs {expected}"
            )));
        };
        if shape.dim.len() != rank {
            return Err(Error::checkpoint(format!(
                "has {} axes, not {expected}",
                shape.dim.len()
            )));
        }
        let size = |axis: &tensor_shape_proto::Dimension| match axis.value {
            Some(tensor_shape_proto::dimension::Value::DimValue(size)) => {
                usize::try_from(size).ok()
            }
            _ => None,
        };
        Ok(Self {
            role,
            element,
            shape: shape.dim.iter().map(size).collect(),
            name: proto.name.clone(),
        })
    }

    fn datum_type(&self) -> Result<DatumType> {
        let number = pb::tensor_proto::DataType::try_from(self.element.number());
        let number = number.map_err(|e| Error::checkpoint(e.to_string()))?;
        guarded("understand the type of an input", || number.try_into())
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
    match names.is_empty() {
        true => "the graph has no inputs".into(),
        false => format!("the inputs are {}", shown(names)),
    }
}

/// Returns the first of several names, each shortened.
fn shown(names: &[&str]) -> String {
    const MAX_SHOWN_NAMES: usize = 12;
    let names = names.iter().take(MAX_SHOWN_NAMES);
    let names: Vec<String> = names.map(|name| shorten(name)).collect();
    names.join(", ")
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

/// Gives tract the checked parts of a model, and lets it optimise the graph.
fn read_checked(
    mut model: pb::ModelProto,
    version: i64,
    signature: &Signature,
    files: ExternalFiles,
) -> Result<TypedModel> {
    let mut checked = model.graph.take().unwrap_or_default();
    checked.input = signature
        .inputs
        .iter()
        .map(|i| signature.proto(i))
        .collect();
    checked.output = signature
        .outputs
        .iter()
        .map(|name| value_info(name))
        .collect();
    checked.value_info.clear();
    let model = pb::ModelProto {
        graph: Some(checked),
        opset_import: vec![pb::OperatorSetIdProto {
            domain: String::new(),
            version,
        }],
        ..pb::ModelProto::default()
    };
    let folder = files.folder().map(str::to_owned);
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true);
    onnx.provider = Arc::new(files);
    let parsed = guarded("read the graph", || onnx.parse(&model, folder.as_deref()))?;
    drop(model);
    let typed = guarded("understand the graph", || parsed.model.into_typed())?;
    guarded("optimise the graph", || {
        optimise::optimise(typed, optimise::MAX_TIME)
    })
}

/// Returns the description of a value without its type.
fn value_info(name: &str) -> pb::ValueInfoProto {
    pb::ValueInfoProto {
        name: name.into(),
        ..pb::ValueInfoProto::default()
    }
}

/// Checks the size of the values that exist at one time while the graph runs, in tract's order.
fn check_run_bytes(plan: &TypedRunnableModel) -> Result<()> {
    let model = plan.model();
    let order = plan.order_without_consts();
    let mut last_use = HashMap::new();
    for (step, &node) in order.iter().enumerate() {
        let reads = model.nodes[node].inputs.iter();
        last_use.extend(reads.map(|outlet| (outlet.node, step)));
    }
    last_use.extend(
        model
            .outputs
            .iter()
            .map(|outlet| (outlet.node, order.len())),
    );
    let bytes = |node: usize| -> u64 {
        let outputs = model.nodes[node].outputs.iter();
        // A size that is not known is larger than any limit.
        let sizes = outputs.map(|o| o.fact.mem_size().to_i64().map_or(u64::MAX, |n| n as u64));
        sizes.fold(0, u64::saturating_add)
    };
    let mut alive = HashMap::new();
    let mut total: u64 = 0;
    for (step, &node) in order.iter().enumerate() {
        let own = bytes(node);
        total = total.saturating_add(own);
        if total > MAX_RUN_BYTES {
            return Err(Error::checkpoint(format!(
                "the values that a run needs at node {:?} take more than {} MiB, the limit",
                shorten(&model.nodes[node].name),
                MAX_RUN_BYTES >> 20
            )));
        }
        alive.insert(node, own);
        let reads = model.nodes[node].inputs.iter().map(|outlet| outlet.node);
        for freed in reads.chain([node]) {
            if last_use.get(&freed).is_none_or(|last| *last <= step) {
                total -= alive.remove(&freed).unwrap_or(0);
            }
        }
    }
    Ok(())
}
