//! The operators that a graph may use: which attributes each takes, and the size of its outputs.
//!
//! The list has what PyTorch exports of recursive models use, and close relatives. An operator that
//! is not here is refused before tract sees it. Sizes are computed as the ONNX standard defines
//! them, from the sizes of the inputs and from small integers whose values are known.

use std::ops::RangeInclusive;

use super::node::{Kind, Node, attribute, axes, axis};
use super::value::{Element, MAX_KNOWN_NUMBERS, MAX_RANK, Value, count};
use crate::error::{Error, Result};

/// What an operator takes and gives.
pub(super) struct Rule {
    pub(super) inputs: RangeInclusive<usize>,
    pub(super) outputs: RangeInclusive<usize>,
    pub(super) attributes: &'static [(&'static str, Kind)],
    /// Computes the outputs.
    pub(super) infer: fn(&Node) -> Result<Vec<Value>>,
}

/// Most inputs or outputs of a node.
const MAX_OPERANDS: usize = 1024;

/// Returns the rule of an operator. `None`: the operator is not supported.
pub(super) fn rule(operator: &str, version: i64) -> Option<Rule> {
    use Kind::{Float, Floats, Int, Ints, Tensor, Text};
    type Infer = fn(&Node) -> Result<Vec<Value>>;
    let rule = |inputs, attributes, infer: Infer| Rule {
        inputs,
        outputs: 1..=1,
        attributes,
        infer,
    };
    let axes_are_input = version >= 18 || (version >= 13 && operator == "ReduceSum");
    Some(match operator {
        "Ceil" | "Cos" | "Erf" | "Exp" | "Floor" | "HardSwish" | "Identity" | "IsNaN" | "Log"
        | "Mish" | "Not" | "Reciprocal" | "Relu" | "Round" | "Sigmoid" | "Sign" | "Sin"
        | "Softplus" | "Softsign" | "Sqrt" | "Tan" | "Tanh" | "Abs" | "Neg" => {
            rule(1..=1, &[], unary)
        }
        "Celu" | "Elu" | "LeakyRelu" | "ThresholdedRelu" | "Swish" => {
            rule(1..=1, &[("alpha", Float)], unary)
        }
        "HardSigmoid" => rule(1..=1, &[("alpha", Float), ("beta", Float)], unary),
        "Selu" => rule(1..=1, &[("alpha", Float), ("gamma", Float)], unary),
        "Gelu" => rule(1..=1, &[("approximate", Text)], unary),
        "Cast" => rule(1..=1, &[("to", Int), ("saturate", Int)], cast),
        "CastLike" => rule(2..=2, &[("saturate", Int)], cast),
        "Clip" => match version < 11 {
            true => rule(1..=1, &[("min", Float), ("max", Float)], unary),
            false => rule(1..=3, &[], clip),
        },
        "Dropout" => Rule {
            outputs: 1..=2,
            ..rule(1..=1, &[("ratio", Float), ("seed", Int)], dropout)
        },
        "Softmax" | "LogSoftmax" => rule(1..=1, &[("axis", Int)], softmax),
        "CumSum" => rule(
            2..=2,
            &[("exclusive", Int), ("reverse", Int)],
            cumulative_sum,
        ),
        "Trilu" => rule(1..=2, &[("upper", Int)], triangle),
        "LayerNormalization" => Rule {
            outputs: 1..=3,
            ..rule(
                2..=3,
                &[("axis", Int), ("epsilon", Float), ("stash_type", Int)],
                layer_norm,
            )
        },
        "RMSNormalization" => rule(
            2..=2,
            &[("axis", Int), ("epsilon", Float), ("stash_type", Int)],
            layer_norm,
        ),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "And" | "Or" | "Xor" | "Equal" | "Greater"
        | "GreaterOrEqual" | "Less" | "LessOrEqual" => rule(2..=2, &[], binary),
        "Mod" => rule(2..=2, &[("fmod", Int)], binary),
        "PRelu" => rule(2..=2, &[], prelu),
        "Max" | "Min" | "Sum" | "Mean" => rule(1..=MAX_OPERANDS, &[], nary),
        "Where" => rule(3..=3, &[], select),
        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax"
        | "ReduceMean" | "ReduceMin" | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => {
            match axes_are_input {
                true => rule(
                    1..=2,
                    &[("keepdims", Int), ("noop_with_empty_axes", Int)],
                    reduce,
                ),
                false => rule(1..=1, &[("axes", Ints), ("keepdims", Int)], reduce),
            }
        }
        "ArgMax" | "ArgMin" => rule(
            1..=1,
            &[("axis", Int), ("keepdims", Int), ("select_last_index", Int)],
            arg_max,
        ),
        "MatMul" => rule(2..=2, &[], mat_mul),
        "Gemm" => rule(
            2..=3,
            &[
                ("alpha", Float),
                ("beta", Float),
                ("transA", Int),
                ("transB", Int),
            ],
            gemm,
        ),
        "Einsum" => rule(1..=2, &[("equation", Text)], einsum),
        "Constant" => rule(
            0..=0,
            &[
                ("value", Tensor),
                ("value_float", Float),
                ("value_floats", Floats),
                ("value_int", Int),
                ("value_ints", Ints),
            ],
            constant,
        ),
        "ConstantOfShape" => rule(1..=1, &[("value", Tensor)], constant_of_shape),
        "Shape" => rule(1..=1, &[("start", Int), ("end", Int)], shape),
        "Size" => rule(1..=1, &[], size),
        "Reshape" => rule(2..=2, &[("allowzero", Int)], reshape),
        "Transpose" => rule(1..=1, &[("perm", Ints)], transpose),
        "Flatten" => rule(1..=1, &[("axis", Int)], flatten),
        "Squeeze" => match version < 13 {
            true => rule(1..=1, &[("axes", Ints)], squeeze),
            false => rule(1..=2, &[], squeeze),
        },
        "Unsqueeze" => match version < 13 {
            true => rule(1..=1, &[("axes", Ints)], unsqueeze),
            false => rule(2..=2, &[], unsqueeze),
        },
        "Expand" => rule(2..=2, &[], expand),
        "Tile" => rule(2..=2, &[], tile),
        "Concat" => rule(1..=MAX_OPERANDS, &[("axis", Int)], concat),
        "Split" => Rule {
            outputs: 1..=MAX_OPERANDS,
            ..match version < 13 {
                true => rule(1..=1, &[("axis", Int), ("split", Ints)], split),
                false => rule(1..=2, &[("axis", Int), ("num_outputs", Int)], split),
            }
        },
        "Slice" => match version < 10 {
            true => rule(
                1..=1,
                &[("axes", Ints), ("starts", Ints), ("ends", Ints)],
                slice,
            ),
            false => rule(3..=5, &[], slice),
        },
        "Gather" => rule(2..=2, &[("axis", Int)], gather),
        "GatherElements" => rule(2..=2, &[("axis", Int)], gather_elements),
        "ScatterElements" => rule(
            3..=3,
            &[("axis", Int), ("reduction", Text)],
            scatter_elements,
        ),
        "ScatterND" => rule(3..=3, &[("reduction", Text)], scatter_nd),
        "Range" => rule(3..=3, &[], range),
        "Pad" => match version < 11 {
            true => rule(
                1..=1,
                &[("mode", Text), ("pads", Ints), ("value", Float)],
                pad,
            ),
            false => rule(2..=4, &[("mode", Text)], pad),
        },
        "OneHot" => rule(3..=3, &[("axis", Int)], one_hot),
        "EyeLike" => rule(1..=1, &[("dtype", Int), ("k", Int)], eye_like),
        "TopK" => Rule {
            outputs: 2..=2,
            ..rule(
                2..=2,
                &[("axis", Int), ("largest", Int), ("sorted", Int)],
                top_k,
            )
        },
        _ => return None,
    })
}

/// Returns the number of operations that a node takes: multiplications of a product, and otherwise
/// the elements that are read and written.
pub(super) fn work(node: &Node, outputs: &[Value]) -> u64 {
    let elements = |value: &Value| value.len().unwrap_or(usize::MAX) as u64;
    let output = outputs.first().map_or(0, elements);
    let inner = |axis: Option<usize>| match (axis, node.optional(0)) {
        (Some(axis), Some(value)) => value.shape.get(axis).copied().unwrap_or(1).max(1) as u64,
        _ => 1,
    };
    match node.proto.op_type.as_str() {
        "MatMul" => {
            let last = node
                .optional(0)
                .and_then(|value| value.rank().checked_sub(1));
            output.saturating_mul(inner(last))
        }
        "Gemm" => output.saturating_mul(inner(Some(usize::from(node.int("transA", 0) == 0)))),
        "Einsum" => einsum_sizes(node).fold(1, u64::saturating_mul),
        _ => {
            let inputs = node.inputs.iter().flatten().map(|value| elements(value));
            inputs
                .chain(outputs.iter().map(elements))
                .fold(0, u64::saturating_add)
        }
    }
}

fn one(value: Value) -> Result<Vec<Value>> {
    Ok(vec![value])
}

fn error<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::checkpoint(message))
}

/// Computes a number from each number of the input.
fn map(input: &Value, f: impl Fn(i64) -> Option<i64>) -> Option<Vec<i64>> {
    input.numbers.as_ref()?.iter().map(|&n| f(n)).collect()
}

fn unary(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let operator = node.proto.op_type.as_str();
    let f: Option<fn(i64) -> Option<i64>> = match operator {
        "Identity" => Some(Some),
        "Neg" => Some(i64::checked_neg),
        "Abs" => Some(i64::checked_abs),
        "Not" => Some(|n| Some(i64::from(n == 0))),
        _ => None,
    };
    let element = match operator {
        "IsNaN" | "Not" => Element::BOOL,
        _ => input.element,
    };
    let numbers = f.and_then(|f| map(input, f));
    one(Value::new(element, input.shape.clone()).with_numbers(numbers))
}

fn cast(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let element = match node.optional(1) {
        Some(like) => like.element,
        None => {
            let to = i32::try_from(node.int("to", 0)).unwrap_or(0);
            Element::new(to).map_err(|e| e.context("attribute \"to\""))?
        }
    };
    let to_bool = element == Element::BOOL;
    let numbers = map(input, |n| Some(if to_bool { i64::from(n != 0) } else { n }));
    one(Value::new(element, input.shape.clone()).with_numbers(numbers))
}

fn clip(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    for (index, what) in [(1, "minimum"), (2, "maximum")] {
        if let Some(bound) = node.optional(index)
            && (bound.len() != Ok(1) || bound.rank() > input.rank())
        {
            return error(format!("the {what} has shape {:?}, not []", bound.shape));
        }
    }
    one(Value::new(input.element, input.shape.clone()))
}

fn dropout(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    Ok(vec![
        input.clone(),
        Value::new(Element::BOOL, input.shape.clone()),
    ])
}

fn softmax(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let default = if node.version < 13 { 1 } else { -1 };
    node.axis("axis", default, input.rank())?;
    one(Value::new(input.element, input.shape.clone()))
}

fn cumulative_sum(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    axis(node.number(1)?, input.rank())?;
    node.flag("exclusive", false)?;
    node.flag("reverse", false)?;
    one(Value::new(input.element, input.shape.clone()))
}

fn triangle(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    node.flag("upper", true)?;
    if input.rank() < 2 {
        return error("takes a tensor of two or more axes");
    }
    if node.optional(1).is_some() {
        let limit = input.shape.iter().copied().max().unwrap_or(0) as i64;
        let diagonal = node.number(1)?;
        if !(-limit..=limit).contains(&diagonal) {
            return error(format!("there is no diagonal {diagonal}"));
        }
    }
    one(Value::new(input.element, input.shape.clone()))
}

/// Checks that a tensor of shape `from` can be repeated to shape `to`, which does not grow.
fn check_repeats_to(what: &str, from: &[usize], to: &[usize]) -> Result<()> {
    match broadcast(&[from, to]) {
        Ok(found) if found == to => Ok(()),
        _ => error(format!(
            "the {what} has shape {from:?}, which does not fit {to:?}"
        )),
    }
}

fn layer_norm(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let first = node.axis("axis", -1, input.rank())?;
    check_repeats_to("scale", &node.input(1)?.shape, &input.shape[first..])?;
    if let Some(bias) = node.optional(2) {
        check_repeats_to("bias", &bias.shape, &input.shape[first..])?;
    }
    let stash = i32::try_from(node.int("stash_type", 1)).unwrap_or(0);
    let stash = Element::new(stash).map_err(|e| e.context("attribute \"stash_type\""))?;
    if !stash.is_float() {
        return Err(attribute(
            "stash_type",
            format!("is {}, not a float", stash.name()),
        ));
    }
    let mut reduced = input.shape.clone();
    reduced[first..].fill(1);
    let statistics = Value::new(stash, reduced);
    Ok(vec![
        Value::new(input.element, input.shape.clone()),
        statistics.clone(),
        statistics,
    ])
}

/// Returns the shape to which all of these are repeated.
fn broadcast(shapes: &[&[usize]]) -> Result<Vec<usize>> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for shape in shapes {
        for (size, &found) in result[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*size, found) {
                (_, 1) => {}
                (1, found) => *size = found,
                (size, found) if size == found => {}
                _ => return error(format!("the shapes {shapes:?} do not fit together")),
            }
        }
    }
    Ok(result)
}

/// Returns the numbers of a small value of `shape`. `place` gives the place of each in the numbers
/// of `value`, from its place in the result.
fn picked(
    value: &Value,
    shape: &[usize],
    place: impl Fn(&[usize]) -> Vec<usize>,
) -> Option<Vec<i64>> {
    let numbers = value.numbers.as_ref()?;
    let len = count(shape).ok().filter(|len| *len <= MAX_KNOWN_NUMBERS)?;
    let at = |index: usize| {
        let mut rest = index;
        let mut to = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            to[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        let from = place(&to).into_iter().zip(&value.shape);
        let index = from.fold(0, |index, (position, size)| index * size + position);
        numbers.get(index).copied()
    };
    (0..len).map(at).collect()
}

/// Returns the numbers of a value, repeated to a small shape.
fn repeated(value: &Value, shape: &[usize]) -> Option<Vec<i64>> {
    let skipped = shape.len().checked_sub(value.rank())?;
    picked(value, shape, |to| {
        let own = to[skipped..].iter().zip(&value.shape);
        own.map(|(&position, &size)| if size == 1 { 0 } else { position })
            .collect()
    })
}

/// Computes a number from each pair of numbers.
fn zip(
    [a, b]: [&Value; 2],
    shape: &[usize],
    f: impl Fn(i64, i64) -> Option<i64>,
) -> Option<Vec<i64>> {
    let (a, b) = (repeated(a, shape)?, repeated(b, shape)?);
    a.into_iter().zip(b).map(|(a, b)| f(a, b)).collect()
}

/// Checks that two inputs have one type, since tract converts inputs that do not.
fn check_same_type(a: &Value, b: &Value) -> Result<()> {
    match a.element == b.element {
        true => Ok(()),
        false => error(format!(
            "its inputs have the types {} and {}, not one type",
            a.element.name(),
            b.element.name()
        )),
    }
}

fn binary(node: &Node) -> Result<Vec<Value>> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    let operator = node.proto.op_type.as_str();
    if operator != "Pow" {
        check_same_type(a, b)?;
    }
    let shape = broadcast(&[&a.shape, &b.shape])?;
    let compares = matches!(
        operator,
        "And" | "Or" | "Xor" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual"
    );
    let element = if compares { Element::BOOL } else { a.element };
    // Division of negative numbers is left out: there are several kinds. So are floats, which are
    // rounded.
    let is_exact = !a.element.is_float() || compares;
    let numbers = zip([a, b], &shape, |a, b| match operator {
        _ if !is_exact => None,
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" if a >= 0 && b > 0 => Some(a / b),
        "Mod" if a >= 0 && b > 0 => Some(a % b),
        "And" => Some(a & b),
        "Or" => Some(a | b),
        "Xor" => Some(a ^ b),
        "Equal" => Some((a == b).into()),
        "Greater" => Some((a > b).into()),
        "GreaterOrEqual" => Some((a >= b).into()),
        "Less" => Some((a < b).into()),
        "LessOrEqual" => Some((a <= b).into()),
        _ => None,
    });
    one(Value::new(element, shape).with_numbers(numbers))
}

fn prelu(node: &Node) -> Result<Vec<Value>> {
    let (input, slope) = (node.input(0)?, node.input(1)?);
    check_same_type(input, slope)?;
    check_repeats_to("slope", &slope.shape, &input.shape)?;
    one(Value::new(input.element, input.shape.clone()))
}

fn nary(node: &Node) -> Result<Vec<Value>> {
    let mut result = node.input(0)?.clone();
    for index in 1..node.inputs.len() {
        let input = node.input(index)?;
        check_same_type(&result, input)?;
        let shape = broadcast(&[&result.shape, &input.shape])?;
        let numbers = zip([&result, input], &shape, |a, b| {
            match (result.element.is_float(), node.proto.op_type.as_str()) {
                (_, "Max") => Some(a.max(b)),
                (_, "Min") => Some(a.min(b)),
                (false, "Sum") => a.checked_add(b),
                _ => None,
            }
        });
        result = Value::new(result.element, shape).with_numbers(numbers);
    }
    one(result)
}

fn select(node: &Node) -> Result<Vec<Value>> {
    let (condition, a, b) = (node.input(0)?, node.input(1)?, node.input(2)?);
    check_same_type(a, b)?;
    let shape = broadcast(&[&condition.shape, &a.shape, &b.shape])?;
    let numbers = || {
        let condition = repeated(condition, &shape)?;
        let (a, b) = (repeated(a, &shape)?, repeated(b, &shape)?);
        let pairs = a.into_iter().zip(b);
        let chosen = condition.iter().zip(pairs);
        Some(
            chosen
                .map(|(c, (a, b))| if *c != 0 { a } else { b })
                .collect(),
        )
    };
    let numbers = numbers();
    one(Value::new(a.element, shape).with_numbers(numbers))
}

/// Returns the shape without the axes, or with size 1 there.
fn reduced(shape: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let sizes = shape.iter().enumerate();
    sizes
        .filter_map(|(axis, &size)| match (axes.contains(&axis), keep) {
            (false, _) => Some(size),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect()
}

fn reduce(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let keep = node.flag("keepdims", true)?;
    let numbers = match node.optional(1) {
        Some(_) => Some(node.numbers(1)?),
        None => node.ints("axes"),
    };
    let axes = match numbers {
        None | Some([]) if node.flag("noop_with_empty_axes", false)? => Vec::new(),
        None | Some([]) => (0..input.rank()).collect(),
        Some(numbers) => axes(numbers, input.rank())?,
    };
    let total = (axes.len() == input.rank() && !input.element.is_float())
        .then(|| {
            let numbers = input.numbers.as_ref()?;
            let result = match node.proto.op_type.as_str() {
                "ReduceProd" => numbers.iter().try_fold(1i64, |a, &b| a.checked_mul(b))?,
                "ReduceSum" => numbers.iter().try_fold(0i64, |a, &b| a.checked_add(b))?,
                "ReduceMax" => *numbers.iter().max()?,
                "ReduceMin" => *numbers.iter().min()?,
                _ => return None,
            };
            Some(vec![result])
        })
        .flatten();
    one(Value::new(input.element, reduced(&input.shape, &axes, keep)).with_numbers(total))
}

fn arg_max(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let axis = node.axis("axis", 0, input.rank())?;
    let keep = node.flag("keepdims", true)?;
    node.flag("select_last_index", false)?;
    one(Value::new(
        Element::INT64,
        reduced(&input.shape, &[axis], keep),
    ))
}

fn mat_mul(node: &Node) -> Result<Vec<Value>> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    check_same_type(a, b)?;
    let (mut left, mut right) = (a.shape.clone(), b.shape.clone());
    if left.is_empty() || right.is_empty() {
        return error("takes tensors of one or more axes");
    }
    let (is_row, is_column) = (left.len() == 1, right.len() == 1);
    if is_row {
        left.insert(0, 1);
    }
    if is_column {
        right.push(1);
    }
    let (rows, columns) = (left[left.len() - 2], right[right.len() - 1]);
    if left[left.len() - 1] != right[right.len() - 2] {
        return error(format!(
            "the shapes {:?} and {:?} do not fit together",
            a.shape, b.shape
        ));
    }
    let mut shape = broadcast(&[&left[..left.len() - 2], &right[..right.len() - 2]])?;
    shape.extend((!is_row).then_some(rows));
    shape.extend((!is_column).then_some(columns));
    one(Value::new(a.element, shape))
}

fn gemm(node: &Node) -> Result<Vec<Value>> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    check_same_type(a, b)?;
    let sides = |value: &Value, transposed: bool| match value.shape[..] {
        [rows, columns] if transposed => Ok([columns, rows]),
        [rows, columns] => Ok([rows, columns]),
        _ => error(format!("takes matrices, not the shape {:?}", value.shape)),
    };
    let [rows, inner] = sides(a, node.flag("transA", false)?)?;
    let [other, columns] = sides(b, node.flag("transB", false)?)?;
    if inner != other {
        return error(format!(
            "the shapes {:?} and {:?} do not fit together",
            a.shape, b.shape
        ));
    }
    if let Some(bias) = node.optional(2) {
        check_same_type(a, bias)?;
        check_repeats_to("bias", &bias.shape, &[rows, columns])?;
    }
    one(Value::new(a.element, vec![rows, columns]))
}

/// Returns the size of each letter of a checked equation.
fn einsum_sizes(node: &Node) -> impl Iterator<Item = u64> {
    let text = node.text("equation").unwrap_or_default();
    let letters = text.iter().filter(|byte| **byte != b' ');
    let terms: Vec<u8> = letters.copied().take_while(|byte| *byte != b'-').collect();
    let mut sizes = [1; 128];
    for (index, term) in terms.split(|byte| *byte == b',').enumerate() {
        let shape = node.optional(index).map_or(&[][..], |value| &value.shape);
        for (letter, &size) in term.iter().zip(shape) {
            if let Some(known) = sizes.get_mut(usize::from(*letter)) {
                *known = size as u64;
            }
        }
    }
    sizes.into_iter()
}

fn einsum(node: &Node) -> Result<Vec<Value>> {
    let text = node.text("equation").unwrap_or_default();
    let text: String = String::from_utf8_lossy(text).replace(' ', "");
    let wrong = |message: &str| Err(attribute("equation", format!("{text:.60?} {message}")));
    let Some((inputs, output)) = text.split_once("->") else {
        return wrong("has no \"->\"");
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != node.inputs.len() {
        return wrong("has another number of terms than the node has inputs");
    }
    let mut sizes = [None; 128];
    for (index, term) in terms.iter().enumerate() {
        let input = node.input(index)?;
        check_same_type(node.input(0)?, input)?;
        if term.len() != input.rank() {
            return wrong(&format!("does not fit the shape {:?}", input.shape));
        }
        for (letter, &size) in term.bytes().zip(&input.shape) {
            let first = term.bytes().filter(|other| *other == letter).count() == 1;
            if !letter.is_ascii_alphabetic() || !first {
                return wrong("has terms that are not different letters");
            }
            if sizes[usize::from(letter)].is_some_and(|known| known != size) {
                return wrong("names axes of different sizes by one letter");
            }
            sizes[usize::from(letter)] = Some(size);
        }
    }
    let mut shape = Vec::new();
    for letter in output.bytes() {
        let first = output.bytes().filter(|other| *other == letter).count() == 1;
        match sizes.get(usize::from(letter)).copied().flatten() {
            Some(size) if first => shape.push(size),
            _ => return wrong("has an output that is not made of different letters of its terms"),
        }
    }
    one(Value::new(node.input(0)?.element, shape))
}

fn constant(node: &Node) -> Result<Vec<Value>> {
    if node.proto.attribute.len() != 1 {
        return error("a constant has one attribute, its value");
    }
    if let Some(value) = node.tensor("value") {
        return one(value.clone());
    }
    let numbers = match node.ints("value_ints") {
        Some(numbers) if node.has("value_ints") => numbers,
        _ if node.has("value_int") => {
            let number = vec![node.int("value_int", 0)];
            return one(Value::new(Element::INT64, vec![]).with_numbers(Some(number)));
        }
        _ if node.has("value_float") => return one(Value::new(Element::FLOAT, vec![])),
        _ => {
            let floats = node.proto.attribute.first().map_or(0, |a| a.floats.len());
            return one(Value::new(Element::FLOAT, vec![floats]));
        }
    };
    let value = Value::new(Element::INT64, vec![numbers.len()]);
    one(value.with_numbers(Some(numbers.to_vec())))
}

/// Converts sizes that the graph computes.
fn sizes(numbers: &[i64]) -> Result<Vec<usize>> {
    if numbers.len() > MAX_RANK {
        return error(format!(
            "gives a tensor of {} axes; the limit is {MAX_RANK}",
            numbers.len()
        ));
    }
    let convert = |&number: &i64| {
        usize::try_from(number).map_err(|_| Error::checkpoint(format!("{number} is not a size")))
    };
    numbers.iter().map(convert).collect()
}

/// Checks that a shape is given as a list.
fn check_list(node: &Node, index: usize) -> Result<()> {
    match node.input(index)?.rank() {
        1 => Ok(()),
        _ => error(format!("input {index} is not a list")),
    }
}

fn constant_of_shape(node: &Node) -> Result<Vec<Value>> {
    check_list(node, 0)?;
    let shape = sizes(node.numbers(0)?)?;
    let zero = Value::new(Element::FLOAT, vec![1]).with_numbers(Some(vec![0]));
    let value = node.tensor("value").unwrap_or(&zero);
    if value.len() != Ok(1) {
        return Err(attribute(
            "value",
            format!("has shape {:?}, not one element", value.shape),
        ));
    }
    let number = value.numbers.as_ref().and_then(|numbers| numbers.first());
    let len = count(&shape).ok().filter(|len| *len <= MAX_KNOWN_NUMBERS);
    let numbers = number.zip(len).map(|(&number, len)| vec![number; len]);
    one(Value::new(value.element, shape).with_numbers(numbers))
}

fn shape(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let rank = input.rank() as i64;
    let clamp = |axis: i64| {
        (if axis < 0 {
            axis.saturating_add(rank)
        } else {
            axis
        })
        .clamp(0, rank)
    };
    let start = clamp(node.int("start", 0));
    let end = clamp(node.int("end", rank)).max(start);
    let sizes = &input.shape[start as usize..end as usize];
    let numbers = sizes.iter().map(|&size| size as i64).collect();
    one(Value::new(Element::INT64, vec![sizes.len()]).with_numbers(Some(numbers)))
}

fn size(node: &Node) -> Result<Vec<Value>> {
    let numbers = node.input(0)?.len().ok().map(|len| vec![len as i64]);
    one(Value::new(Element::INT64, vec![]).with_numbers(numbers))
}

/// Returns the value with another shape and the same elements.
fn with_shape(value: &Value, shape: Vec<usize>) -> Value {
    Value {
        shape,
        ..value.clone()
    }
}

fn reshape(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let allow_zero = node.flag("allowzero", false)?;
    check_list(node, 1)?;
    let asked = node.numbers(1)?;
    let wrong = || error(format!("cannot reshape {:?} to {asked:?}", input.shape));
    if asked.len() > MAX_RANK {
        return wrong();
    }
    let Ok(elements) = input.len() else {
        return wrong();
    };
    let mut shape = Vec::new();
    let mut open = None;
    for (index, &number) in asked.iter().enumerate() {
        shape.push(match (number, input.shape.get(index)) {
            (-1, _) if open.is_none() => {
                open = Some(index);
                1
            }
            (0, Some(&size)) if !allow_zero => size,
            (0, None) if !allow_zero => return wrong(),
            _ => match usize::try_from(number) {
                Ok(size) => size,
                Err(_) => return wrong(),
            },
        });
    }
    let Ok(product) = count(&shape) else {
        return wrong();
    };
    if let Some(open) = open {
        if product == 0 || elements % product != 0 {
            return wrong();
        }
        shape[open] = elements / product;
    } else if product != elements {
        return wrong();
    }
    one(with_shape(input, shape))
}

fn transpose(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let order: Vec<usize> = match node.ints("perm") {
        None => (0..input.rank()).rev().collect(),
        Some(order) => {
            let found = axes(order, input.rank()).map_err(|e| e.context("attribute \"perm\""))?;
            if found.len() != input.rank() || order.iter().any(|&axis| axis < 0) {
                return Err(attribute(
                    "perm",
                    format!("{order:?} is no order of {} axes", input.rank()),
                ));
            }
            found
        }
    };
    let shape: Vec<usize> = order.iter().map(|&axis| input.shape[axis]).collect();
    let numbers = picked(input, &shape, |to| {
        let mut from = vec![0; to.len()];
        for (&axis, &position) in order.iter().zip(to) {
            from[axis] = position;
        }
        from
    });
    one(Value::new(input.element, shape).with_numbers(numbers))
}

/// Returns the product of sizes. A product that does not fit is larger than any tensor.
fn product(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n, &size| n.saturating_mul(size))
}

fn flatten(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let rank = input.rank() as i64;
    let asked = node.int("axis", 1);
    let at = if asked < 0 {
        asked.saturating_add(rank)
    } else {
        asked
    };
    if !(0..=rank).contains(&at) {
        return Err(attribute(
            "axis",
            format!("{asked} is not an axis of {rank}"),
        ));
    }
    let (outer, inner) = input.shape.split_at(at as usize);
    one(with_shape(input, vec![product(outer), product(inner)]))
}

/// Returns the axes of an attribute, or of input 1.
fn given_axes<'a>(node: &Node<'a>) -> Result<Option<&'a [i64]>> {
    match node.optional(1) {
        Some(_) => node.numbers(1).map(Some),
        None => Ok(node.ints("axes")),
    }
}

fn squeeze(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let axes = match given_axes(node)? {
        Some(numbers) => axes(numbers, input.rank())?,
        None => (0..input.rank()).filter(|&a| input.shape[a] == 1).collect(),
    };
    if let Some(axis) = axes.iter().find(|&&axis| input.shape[axis] != 1) {
        return error(format!(
            "axis {axis} of the shape {:?} is not 1",
            input.shape
        ));
    }
    one(with_shape(input, reduced(&input.shape, &axes, false)))
}

fn unsqueeze(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let Some(numbers) = given_axes(node)? else {
        return Err(attribute("axes", "is missing".into()));
    };
    let rank = input.rank() + numbers.len();
    if rank > MAX_RANK {
        return error(format!(
            "gives a tensor of {rank} axes; the limit is {MAX_RANK}"
        ));
    }
    let mut added = axes(numbers, rank)?;
    added.sort_unstable();
    let mut shape = input.shape.clone();
    for axis in added {
        shape.insert(axis, 1);
    }
    one(with_shape(input, shape))
}

fn expand(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    check_list(node, 1)?;
    let shape = broadcast(&[&input.shape, &sizes(node.numbers(1)?)?])?;
    let numbers = repeated(input, &shape);
    one(Value::new(input.element, shape).with_numbers(numbers))
}

fn tile(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    check_list(node, 1)?;
    let repeats = sizes(node.numbers(1)?)?;
    if repeats.len() != input.rank() {
        return error(format!(
            "repeats a tensor of {} axes along {} axes",
            input.rank(),
            repeats.len()
        ));
    }
    let sizes = input.shape.iter().zip(&repeats);
    let shape = sizes.map(|(&size, &n)| size.saturating_mul(n)).collect();
    one(Value::new(input.element, shape))
}

fn concat(node: &Node) -> Result<Vec<Value>> {
    let first = node.input(0)?;
    if !node.has("axis") {
        return Err(attribute("axis", "is missing".into()));
    }
    let axis = node.axis("axis", 0, first.rank())?;
    let mut shape = first.shape.clone();
    let mut numbers = (first.rank() == 1).then(Vec::new);
    for index in 0..node.inputs.len() {
        let input = node.input(index)?;
        check_same_type(first, input)?;
        let mut expected = input.shape.clone();
        if let (Some(size), Some(own)) = (expected.get_mut(axis), first.shape.get(axis)) {
            *size = *own;
        }
        if expected != first.shape {
            return error(format!(
                "the shapes {:?} and {:?} do not fit together",
                first.shape, input.shape
            ));
        }
        if index > 0 {
            shape[axis] = shape[axis].saturating_add(input.shape[axis]);
        }
        numbers = numbers.zip(input.numbers.as_ref()).map(|(mut all, own)| {
            all.extend_from_slice(own);
            all
        });
        numbers = numbers.filter(|all| all.len() <= MAX_KNOWN_NUMBERS);
    }
    one(Value::new(first.element, shape).with_numbers(numbers))
}

fn split(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let axis = node.axis("axis", 0, input.rank())?;
    let parts = node.proto.output.len();
    if node.proto.output.iter().any(String::is_empty) {
        return error("an output is left out");
    }
    let outputs = node.int("num_outputs", parts as i64);
    if outputs != parts as i64 {
        return Err(attribute(
            "num_outputs",
            format!("is {outputs}, but the node has {parts} outputs"),
        ));
    }
    let given = match node.optional(1) {
        Some(_) => Some(node.numbers(1)?),
        None => node.ints("split"),
    };
    let size = input.shape[axis];
    let lens: Vec<usize> = match given {
        Some(given) => given
            .iter()
            .map(|&len| usize::try_from(len).unwrap_or(usize::MAX))
            .collect(),
        None if size % parts == 0 => vec![size / parts; parts],
        None => {
            return error(format!(
                "axis {axis} of the shape {:?} cannot be split into {parts} equal parts",
                input.shape
            ));
        }
    };
    if lens.len() != parts || lens.iter().fold(0, |n: usize, &len| n.saturating_add(len)) != size {
        return error(format!(
            "the parts {given:?} do not give axis {axis} of the shape {:?} and {parts} outputs",
            input.shape
        ));
    }
    let mut start = 0;
    let mut outputs = Vec::new();
    for len in lens {
        let mut shape = input.shape.clone();
        shape[axis] = len;
        let all = input.numbers.as_ref().filter(|_| input.rank() == 1);
        let numbers = all.and_then(|all| all.get(start..start + len));
        let value = Value::new(input.element, shape);
        outputs.push(value.with_numbers(numbers.map(<[i64]>::to_vec)));
        start += len;
    }
    Ok(outputs)
}

/// Part of an axis: the first element, the number of elements, and the distance between them.
struct Part {
    first: i64,
    len: usize,
    step: i64,
}

/// Returns the part of an axis of `size` that a slice takes.
fn part(size: usize, start: i64, end: i64, step: i64) -> Part {
    let size = size as i64;
    let from_start = |n: i64| if n < 0 { n.saturating_add(size) } else { n };
    let (start, end) = (from_start(start), from_start(end));
    let (first, distance) = match step > 0 {
        true => {
            let first = start.clamp(0, size);
            (first, end.clamp(0, size) - first)
        }
        false => {
            let first = start.clamp(0, (size - 1).max(0));
            (first, first - end.clamp(-1, size - 1))
        }
    };
    let step_len = step.saturating_abs();
    let len = (distance.max(0) as u64).div_ceil(step_len as u64) as usize;
    Part { first, len, step }
}

fn slice(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let is_attribute = node.version < 10;
    let (starts, ends, given, steps) = match is_attribute {
        true => {
            let ints = |name: &str| {
                let found = node.ints(name);
                found.ok_or_else(|| attribute(name, "is missing".into()))
            };
            (ints("starts")?, ints("ends")?, node.ints("axes"), None)
        }
        false => {
            let optional = |index| match node.optional(index) {
                Some(_) => node.numbers(index).map(Some),
                None => Ok(None),
            };
            (
                node.numbers(1)?,
                node.numbers(2)?,
                optional(3)?,
                optional(4)?,
            )
        }
    };
    let axes = match given {
        Some(given) => axes(given, input.rank())?,
        None => (0..starts.len()).collect(),
    };
    let counts = [
        starts.len(),
        ends.len(),
        steps.map_or(ends.len(), <[i64]>::len),
    ];
    if counts.iter().any(|&n| n != axes.len()) || axes.len() > input.rank() {
        return error("has different numbers of starts, ends, axes and steps");
    }
    let mut shape = input.shape.clone();
    let whole = |&size: &usize| Part {
        first: 0,
        len: size,
        step: 1,
    };
    let mut parts: Vec<Part> = input.shape.iter().map(whole).collect();
    for (index, &axis) in axes.iter().enumerate() {
        let step = steps.map_or(1, |steps| steps[index]);
        if step == 0 || i32::try_from(step).is_err() {
            return error(format!("{step} is not a step"));
        }
        let size = shape[axis];
        if is_attribute {
            // tract computes the old form without limits.
            let limit = size as i64;
            let inside = |n: i64| (-limit..=limit).contains(&n) || n >= limit;
            let is_negative = given.is_some_and(|given| given[index] < 0);
            if !inside(starts[index]) || !inside(ends[index]) || is_negative {
                return error(format!("a slice leaves the shape {:?}", input.shape));
            }
        }
        let part = part(size, starts[index], ends[index], step);
        if is_attribute && part.len == 0 {
            return error("a slice is empty");
        }
        shape[axis] = part.len;
        parts[axis] = part;
    }
    let numbers = picked(input, &shape, |to| {
        let places = to.iter().zip(&parts);
        let place = |(&position, part): (&usize, &Part)| part.first + position as i64 * part.step;
        places.map(|place_of| place(place_of) as usize).collect()
    });
    one(Value::new(input.element, shape).with_numbers(numbers))
}

fn check_indices(indices: &Value) -> Result<()> {
    match indices.element.is_integer() {
        true => Ok(()),
        false => error(format!(
            "the indices are {}, not integers",
            indices.element.name()
        )),
    }
}

fn gather(node: &Node) -> Result<Vec<Value>> {
    let (input, indices) = (node.input(0)?, node.input(1)?);
    check_indices(indices)?;
    let axis = node.axis("axis", 0, input.rank())?;
    let size = input.shape[axis] as i64;
    let known = indices.numbers.as_deref();
    if let Some(index) = known.and_then(|all| all.iter().find(|&&i| !(-size..size).contains(&i))) {
        return error(format!(
            "there is no element {index} along an axis of {size}"
        ));
    }
    let shape = [
        &input.shape[..axis],
        &indices.shape,
        &input.shape[axis + 1..],
    ]
    .concat();
    let numbers = || {
        let all = input.numbers.as_ref().filter(|_| input.rank() == 1)?;
        let at = |&i: &i64| {
            let index = if i < 0 { i + size } else { i };
            all.get(usize::try_from(index).ok()?).copied()
        };
        known?.iter().map(at).collect()
    };
    let numbers = numbers();
    one(Value::new(input.element, shape).with_numbers(numbers))
}

/// Checks that indices fit into a tensor in all axes but one.
fn check_fits(indices: &Value, input: &Value, axis: usize) -> Result<()> {
    check_indices(indices)?;
    let fits = indices.rank() == input.rank()
        && (0..input.rank()).all(|a| a == axis || indices.shape[a] <= input.shape[a]);
    match fits {
        true => Ok(()),
        false => error(format!(
            "the indices have shape {:?}, which does not fit {:?}",
            indices.shape, input.shape
        )),
    }
}

fn gather_elements(node: &Node) -> Result<Vec<Value>> {
    let (input, indices) = (node.input(0)?, node.input(1)?);
    let axis = node.axis("axis", 0, input.rank())?;
    check_fits(indices, input, axis)?;
    one(Value::new(input.element, indices.shape.clone()))
}

fn scatter_elements(node: &Node) -> Result<Vec<Value>> {
    let (input, indices, updates) = (node.input(0)?, node.input(1)?, node.input(2)?);
    check_same_type(input, updates)?;
    let axis = node.axis("axis", 0, input.rank())?;
    check_fits(indices, input, axis)?;
    if indices.shape != updates.shape {
        return error("the indices and the updates have different shapes");
    }
    one(Value::new(input.element, input.shape.clone()))
}

fn scatter_nd(node: &Node) -> Result<Vec<Value>> {
    let (input, indices, updates) = (node.input(0)?, node.input(1)?, node.input(2)?);
    check_same_type(input, updates)?;
    check_indices(indices)?;
    let expected = match indices.shape.split_last() {
        Some((&depth, outer)) if depth <= input.rank() => [outer, &input.shape[depth..]].concat(),
        _ => return error(format!("the indices have shape {:?}", indices.shape)),
    };
    if updates.shape != expected {
        return error(format!(
            "the updates have shape {:?}, not {expected:?}",
            updates.shape
        ));
    }
    one(Value::new(input.element, input.shape.clone()))
}

fn range(node: &Node) -> Result<Vec<Value>> {
    for index in 0..3 {
        check_same_type(node.input(0)?, node.input(index)?)?;
        if node.input(index)?.rank() > 0 {
            return error(format!("input {index} is a list, not a number"));
        }
    }
    let (start, limit, step) = (node.number(0)?, node.number(1)?, node.number(2)?);
    let distance = limit.checked_sub(start);
    let Some(distance) = distance.filter(|_| step > 0) else {
        return error(format!(
            "cannot count from {start} to {limit} in steps of {step}"
        ));
    };
    let len = (distance.max(0) as u64).div_ceil(step as u64) as usize;
    let numbers =
        (len <= MAX_KNOWN_NUMBERS).then(|| (0..len as i64).map(|i| start + i * step).collect());
    one(Value::new(node.input(0)?.element, vec![len]).with_numbers(numbers))
}

fn pad(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let pads = match node.optional(1) {
        Some(_) => node.numbers(1)?,
        None => match node.ints("pads") {
            Some(pads) => pads,
            None => return error("the pads are missing"),
        },
    };
    if let Some(value) = node.optional(2) {
        check_same_type(input, value)?;
        if value.len() != Ok(1) {
            return error(format!("the padding has shape {:?}, not []", value.shape));
        }
    }
    let axes = match node.optional(3) {
        Some(_) => axes(node.numbers(3)?, input.rank())?,
        None => (0..input.rank()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return error(format!("has {} pads for {} axes", pads.len(), axes.len()));
    }
    let mode = node.text("mode").unwrap_or(b"constant");
    let mut shape = input.shape.clone();
    let (before, after) = pads.split_at(axes.len());
    for ((&axis, &before), &after) in axes.iter().zip(before).zip(after) {
        let size = input.shape[axis];
        let most = match mode {
            b"constant" => usize::MAX,
            b"edge" if size > 0 => usize::MAX,
            b"reflect" => size.saturating_sub(1),
            _ => return Err(attribute("mode", "is not constant, edge or reflect".into())),
        };
        let [Ok(before), Ok(after)] = [before, after].map(usize::try_from) else {
            return error(format!("a pad of {pads:?} is negative: use Slice"));
        };
        if before.max(after) > most {
            return error(format!(
                "the pads {pads:?} are larger than what they repeat"
            ));
        }
        shape[axis] = size.saturating_add(before).saturating_add(after);
    }
    one(Value::new(input.element, shape))
}

fn one_hot(node: &Node) -> Result<Vec<Value>> {
    let (indices, values) = (node.input(0)?, node.input(2)?);
    check_indices(indices)?;
    if values.shape != [2] {
        return error(format!("the values have shape {:?}, not [2]", values.shape));
    }
    let depth = match node.number(1)? {
        depth @ 1.. => usize::try_from(depth).unwrap_or(usize::MAX),
        depth => return error(format!("the depth is {depth}")),
    };
    if indices.rank() >= MAX_RANK {
        return error(format!("gives more than {MAX_RANK} axes"));
    }
    let axis = node.axis("axis", -1, indices.rank() + 1)?;
    let mut shape = indices.shape.clone();
    shape.insert(axis, depth);
    one(Value::new(values.element, shape))
}

fn eye_like(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let [rows, columns] = input.shape[..] else {
        return error(format!("takes a matrix, not the shape {:?}", input.shape));
    };
    let limit = rows.max(columns) as i64;
    let diagonal = node.int("k", 0);
    if !(-limit..=limit).contains(&diagonal) {
        return Err(attribute("k", format!("there is no diagonal {diagonal}")));
    }
    let element = match node.has("dtype") {
        true => Element::new(i32::try_from(node.int("dtype", 0)).unwrap_or(0))?,
        false => input.element,
    };
    one(Value::new(element, input.shape.clone()))
}

fn top_k(node: &Node) -> Result<Vec<Value>> {
    let input = node.input(0)?;
    let axis = node.axis("axis", -1, input.rank())?;
    node.flag("largest", true)?;
    node.flag("sorted", true)?;
    let k = usize::try_from(node.number(1)?).unwrap_or(usize::MAX);
    if k > input.shape[axis] {
        return error(format!("asks for {k} of {} elements", input.shape[axis]));
    }
    let mut shape = input.shape.clone();
    shape[axis] = k;
    Ok(vec![
        Value::new(input.element, shape.clone()),
        Value::new(Element::INT64, shape),
    ])
}
