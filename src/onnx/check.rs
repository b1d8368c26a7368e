//! Checks a graph before tract reads it: its operators, their attributes, and the size of every
//! tensor. Afterwards nothing that tract allocates or computes while it loads the graph is larger
//! than the limits here.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb;

use super::external::ExternalFiles;
use super::node::{Node, check_attributes};
use super::operators::{rule, work};
use super::stored;
use super::value::{MAX_RANK, Value};
use crate::error::{Error, Result};

/// The versions of the operator set that are read. tract is tested with 9 to 18.
const OPERATOR_SETS: std::ops::RangeInclusive<i64> = 9..=23;
/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Largest computed tensor, in bytes. More if [`MAX_TENSOR_EXPANSION`] allows it.
const MAX_TENSOR_BYTES: u64 = 1 << 30;
/// Largest computed tensor, as a multiple of all stored tensors: the puzzle embedding may be stored
/// as f16 and computed as f32.
const MAX_TENSOR_EXPANSION: u64 = 4;
/// Largest size of all tensors that are computed while loading, in bytes...
const MAX_CONSTANT_BYTES: u64 = 128 << 20;
/// ...and beyond that, as a multiple of all stored tensors. Each pass of a step may transpose every
/// weight anew.
const MAX_CONSTANT_EXPANSION: u64 = 64;
/// Neither limit is ever larger than this, in bytes: a file beside the graph may have holes.
const MAX_EXPANDED_BYTES: u64 = 1 << 32;
/// Most operations that are computed while loading, beyond one for each byte.
const MAX_CONSTANT_WORK: u64 = 1 << 28;
/// Most operations of a run for each puzzle. A step of the largest published model has 2 * 10^11.
/// The fuzzer runs what is read, and has no time for as many.
const MAX_WORK: u64 = if cfg!(fuzzing) {
    1 << 26
} else {
    10_000_000_000_000
};
/// Most values of a graph.
const MAX_VALUES: usize = 100_000;

/// Returns the version of the operator set. Checks that all operators are supported and that names
/// are short.
///
/// # Errors
/// An operator or the operator set is not supported, or a name is too long.
pub(super) fn check_operators(model: &pb::ModelProto) -> Result<i64> {
    let mut sets = model
        .opset_import
        .iter()
        .filter(|set| is_standard(&set.domain));
    let version = match (sets.next(), sets.next()) {
        (Some(set), None) => set.version,
        (None, _) => return Err(Error::checkpoint("does not name its operator set")),
        (Some(_), Some(_)) => return Err(Error::checkpoint("names two operator sets")),
    };
    if !OPERATOR_SETS.contains(&version) {
        return Err(Error::checkpoint(format!(
            "has operator set {version}, which is not supported: export it with operator set 17"
        )));
    }
    for node in &graph(model)?.node {
        let names = [&node.name, &node.op_type, &node.domain];
        for name in names.into_iter().chain(&node.input).chain(&node.output) {
            check_name(name)?;
        }
        if !is_standard(&node.domain) {
            return Err(at_node(
                node,
                Error::checkpoint(format!(
                    "the operator is from {:?}, not from ONNX: export the step with the operators \
                     of ONNX alone",
                    node.domain
                )),
            ));
        }
        if rule(&node.op_type, version).is_none() {
            return Err(at_node(
                node,
                Error::checkpoint(
                    "the operator is not supported: export the step unrolled, with the operators \
                     that the ONNX guide lists",
                ),
            ));
        }
    }
    Ok(version)
}

/// Returns the graph of a model.
///
/// # Errors
/// The file has none.
pub(super) fn graph(model: &pb::ModelProto) -> Result<&pb::GraphProto> {
    let graph = model.graph.as_ref();
    graph.ok_or_else(|| Error::checkpoint("contains no graph"))
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn check_name(name: &str) -> Result<()> {
    match name.len() <= MAX_NAME_BYTES {
        true => Ok(()),
        false => Err(Error::checkpoint(format!(
            "has a name of {} bytes; the limit is {MAX_NAME_BYTES}",
            name.len()
        ))),
    }
}

/// Adds the node to the context of an error.
fn at_node(node: &pb::NodeProto, error: Error) -> Error {
    let name = match (node.name.as_str(), node.output.first()) {
        ("", Some(output)) => output,
        (name, _) => name,
    };
    error.context(format!(
        "node {name:.100?} ({:.100})",
        node.op_type.escape_debug()
    ))
}

/// Computes the values of a graph from those of its inputs, as far as they are known before it
/// runs.
///
/// # Errors
/// The graph is not well-formed, or a limit is exceeded.
pub(super) fn infer<'a>(
    graph: &'a pb::GraphProto,
    version: i64,
    inputs: impl IntoIterator<Item = (&'a str, Value)>,
    batch: usize,
    files: &mut ExternalFiles,
) -> Result<HashMap<&'a str, Value>> {
    let mut check = Check {
        values: HashMap::new(),
        stored_bytes: 0,
        constant_bytes: 0,
        constant_work: 0,
        work: 0,
        max_work: MAX_WORK * batch as u64,
    };
    for (name, value) in inputs {
        let added = check
            .count_bytes(&value, false)
            .and_then(|()| check.add(name, value));
        added.map_err(|e| e.context(format!("input {name:?}")))?;
    }
    for tensor in &graph.initializer {
        let at = |e: Error| e.context(format!("tensor {:.100?}", tensor.name));
        check_name(&tensor.name)?;
        let value = stored::check(tensor, files).map_err(at)?;
        check.store(&value);
        check.add(&tensor.name, value).map_err(at)?;
    }
    // Before the nodes, since the limits depend on all stored tensors.
    let mut attribute_tensors = Vec::new();
    for node in &graph.node {
        let found = node_tensors(node, version, files).map_err(|e| at_node(node, e))?;
        found.iter().for_each(|(_, value)| check.store(value));
        attribute_tensors.push(found);
    }
    for (node, tensors) in graph.node.iter().zip(attribute_tensors) {
        check
            .node(node, version, tensors)
            .map_err(|e| at_node(node, e))?;
    }
    Ok(check.values)
}

/// Checks the attributes of a node. Returns those that are tensors.
fn node_tensors<'a>(
    node: &'a pb::NodeProto,
    version: i64,
    files: &mut ExternalFiles,
) -> Result<Vec<(&'a str, Value)>> {
    let known = rule(&node.op_type, version).map_or(&[][..], |rule| rule.attributes);
    check_attributes(node, known)?;
    let tensors = node
        .attribute
        .iter()
        .filter_map(|a| Some((a, a.t.as_ref()?)));
    tensors
        .map(|(attribute, tensor)| {
            let value = stored::check(tensor, files);
            let at = |e: Error| e.context(format!("attribute {:.100?}", attribute.name));
            Ok((attribute.name.as_str(), value.map_err(at)?))
        })
        .collect()
}

/// The state of the walk over a graph.
struct Check<'a> {
    values: HashMap<&'a str, Value>,
    stored_bytes: u64,
    /// Bytes and operations of what is computed while loading.
    constant_bytes: u64,
    constant_work: u64,
    /// Operations of a run.
    work: u64,
    max_work: u64,
}

impl<'a> Check<'a> {
    fn store(&mut self, value: &Value) {
        let elements = value.len().unwrap_or(0) as u64;
        self.stored_bytes += elements * value.element.bytes();
    }

    /// Adds a value under a new name.
    fn add(&mut self, name: &'a str, value: Value) -> Result<()> {
        if self.values.len() >= MAX_VALUES {
            return Err(Error::checkpoint(format!(
                "has more than {MAX_VALUES} values"
            )));
        }
        match self.values.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(Error::checkpoint(format!("{name:.100?} is defined twice"))),
        }
    }

    /// Checks a node. Adds its outputs.
    fn node(
        &mut self,
        proto: &'a pb::NodeProto,
        version: i64,
        tensors: Vec<(&'a str, Value)>,
    ) -> Result<()> {
        let Some(rule) = rule(&proto.op_type, version) else {
            return Err(Error::checkpoint("the operator is not supported"));
        };
        for (what, found, allowed) in [
            ("inputs", proto.input.len(), &rule.inputs),
            ("outputs", proto.output.len(), &rule.outputs),
        ] {
            if !allowed.contains(&found) {
                return Err(Error::checkpoint(format!(
                    "has {found} {what}; the operator has {} to {}",
                    allowed.start(),
                    allowed.end()
                )));
            }
        }
        let find = |name: &'a String| match name.as_str() {
            "" => Ok(None),
            name => match self.values.get(name) {
                Some(value) => Ok(Some(value)),
                None => Err(Error::checkpoint(format!(
                    "reads {name:.100?}, which no node before it computes"
                ))),
            },
        };
        let inputs = proto.input.iter().map(find).collect::<Result<Vec<_>>>()?;
        let is_constant = matches!(proto.op_type.as_str(), "Shape" | "Size")
            || inputs.iter().flatten().all(|input| input.is_constant);
        let node = Node {
            proto,
            version,
            inputs,
            tensors,
        };
        let outputs = (rule.infer)(&node)?;
        let is_stored = proto.op_type == "Constant";
        let work = work(&node, &outputs);
        for value in &outputs {
            self.count_bytes(value, is_constant && !is_stored)?;
        }
        self.count_work(work, is_constant)?;
        for (name, value) in proto.output.iter().zip(outputs) {
            if !name.is_empty() {
                let value = Value {
                    is_constant,
                    ..value
                };
                self.add(name, value)?;
            }
        }
        Ok(())
    }

    fn count_work(&mut self, work: u64, is_constant: bool) -> Result<()> {
        self.work = self.work.saturating_add(work);
        if is_constant {
            self.constant_work = self.constant_work.saturating_add(work);
        }
        let max_constant = MAX_CONSTANT_WORK + self.max_constant_bytes();
        let (found, limit, what) = match self.constant_work > max_constant {
            true => (self.constant_work, max_constant, "loading the graph"),
            false => (self.work, self.max_work, "a step"),
        };
        match found <= limit {
            true => Ok(()),
            false => Err(Error::checkpoint(format!(
                "{what} would take more than {limit} operations, the limit"
            ))),
        }
    }

    fn count_bytes(&mut self, value: &Value, is_constant: bool) -> Result<()> {
        if value.rank() > MAX_RANK {
            return Err(Error::checkpoint(format!(
                "computes a tensor of {} axes; the limit is {MAX_RANK}",
                value.rank()
            )));
        }
        let limit =
            (self.stored_bytes * MAX_TENSOR_EXPANSION).clamp(MAX_TENSOR_BYTES, MAX_EXPANDED_BYTES);
        let bytes = value.computed_bytes().ok().filter(|bytes| *bytes <= limit);
        let Some(bytes) = bytes else {
            return Err(Error::checkpoint(format!(
                "computes a tensor of shape {:?}, more than {} MiB",
                value.shape,
                limit >> 20
            )));
        };
        if is_constant {
            self.constant_bytes += bytes;
        }
        match self.constant_bytes <= self.max_constant_bytes() {
            true => Ok(()),
            false => Err(Error::checkpoint(format!(
                "the tensors that are computed while the graph is loaded take more than {} MiB, \
                 the limit for its stored tensors; the last has shape {:?}",
                self.max_constant_bytes() >> 20,
                value.shape
            ))),
        }
    }

    fn max_constant_bytes(&self) -> u64 {
        let limit = MAX_CONSTANT_BYTES + MAX_CONSTANT_EXPANSION * self.stored_bytes;
        limit.min(MAX_EXPANDED_BYTES)
    }
}

/// Returns the inputs that a graph takes: those that are not stored in it.
///
/// # Errors
/// A name is too long.
pub(super) fn open_inputs(graph: &pb::GraphProto) -> Result<Vec<&pb::ValueInfoProto>> {
    let stored: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs = graph.input.iter();
    let open = inputs.filter(|input| !stored.contains(input.name.as_str()));
    open.map(|input| check_name(&input.name).map(|()| input))
        .collect()
}
