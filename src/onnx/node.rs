//! A node whose inputs are known, and access to its attributes.

use tract_onnx::pb::{AttributeProto, NodeProto, attribute_proto::AttributeType};

use super::value::Value;
use crate::error::{Error, Result};

/// A node, as the rules of the operators see it.
pub(super) struct Node<'a> {
    pub(super) proto: &'a NodeProto,
    /// Version of the operator set.
    pub(super) version: i64,
    /// `None` for an optional input that is left out.
    pub(super) inputs: Vec<Option<&'a Value>>,
    /// The attributes that are tensors, by name.
    pub(super) tensors: Vec<(&'a str, Value)>,
}

/// The type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Ints,
    Float,
    Floats,
    Text,
    Tensor,
}

impl Kind {
    fn attribute_type(self) -> AttributeType {
        match self {
            Self::Int => AttributeType::Int,
            Self::Ints => AttributeType::Ints,
            Self::Float => AttributeType::Float,
            Self::Floats => AttributeType::Floats,
            Self::Text => AttributeType::String,
            Self::Tensor => AttributeType::Tensor,
        }
    }
}

/// Most numbers in an attribute.
const MAX_ATTRIBUTE_NUMBERS: usize = 1024;

/// Checks that a node has only attributes of `known`, each once and with the right type.
///
/// # Errors
/// An attribute is unknown, is there twice, has another type, or is too long.
pub(super) fn check_attributes(node: &NodeProto, known: &[(&str, Kind)]) -> Result<()> {
    for (index, attribute) in node.attribute.iter().enumerate() {
        let at = |message: String| {
            Error::checkpoint(message).context(format!("attribute {:.100?}", attribute.name))
        };
        let Some((_, kind)) = known.iter().find(|(name, _)| *name == attribute.name) else {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            return Err(at(match names.is_empty() {
                true => "the operator takes no attributes here".into(),
                false => format!("the operator takes only {} here", names.join(", ")),
            }));
        };
        if node.attribute[..index]
            .iter()
            .any(|a| a.name == attribute.name)
        {
            return Err(at("is given twice".into()));
        }
        let is_plain = attribute.ref_attr_name.is_empty()
            && attribute.g.is_none()
            && attribute.graphs.is_empty()
            && attribute.tensors.is_empty()
            && (*kind == Kind::Tensor) == attribute.t.is_some();
        if attribute.r#type != kind.attribute_type() as i32 || !is_plain {
            return Err(at(format!(
                "is not of type {}",
                kind.attribute_type().as_str_name().to_lowercase()
            )));
        }
        let numbers = attribute.ints.len().max(attribute.floats.len());
        if numbers.max(attribute.s.len()) > MAX_ATTRIBUTE_NUMBERS {
            return Err(at(format!(
                "has more than {MAX_ATTRIBUTE_NUMBERS} elements, the limit"
            )));
        }
    }
    Ok(())
}

impl<'a> Node<'a> {
    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|a| a.name == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    pub(super) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|a| &a.ints[..])
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a [u8]> {
        self.attribute(name).map(|a| &a.s[..])
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&Value> {
        let found = self.tensors.iter().find(|(found, _)| *found == name);
        found.map(|(_, value)| value)
    }

    /// Returns whether an attribute is 1.
    ///
    /// # Errors
    /// The attribute is neither 0 nor 1.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.int(name, default.into()) {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(attribute(name, format!("is {other}, not 0 or 1"))),
        }
    }

    /// Returns an input.
    ///
    /// # Errors
    /// The input is left out.
    pub(super) fn input(&self, index: usize) -> Result<&'a Value> {
        let input = self.optional(index);
        input.ok_or_else(|| Error::checkpoint(format!("input {index} is left out")))
    }

    pub(super) fn optional(&self, index: usize) -> Option<&'a Value> {
        self.inputs.get(index).copied().flatten()
    }

    /// Returns the numbers of an input on which sizes depend.
    ///
    /// # Errors
    /// The input has more than one axis, or its numbers are not known before the graph runs.
    pub(super) fn numbers(&self, index: usize) -> Result<&'a [i64]> {
        let input = self.input(index)?;
        if input.rank() > 1 {
            return Err(Error::checkpoint(format!(
                "input {index} has shape {:?}, not one axis",
                input.shape
            )));
        }
        input.numbers.as_deref().ok_or_else(|| {
            Error::checkpoint(format!(
                "the size of its output depends on input {index}, whose numbers are not known \
                 before the graph runs: export the step with fixed sizes"
            ))
        })
    }

    /// Returns the only number of an input on which sizes depend.
    ///
    /// # Errors
    /// As [`Self::numbers`], or there are more.
    pub(super) fn number(&self, index: usize) -> Result<i64> {
        match self.numbers(index)? {
            [number] => Ok(*number),
            numbers => Err(Error::checkpoint(format!(
                "input {index} has {} numbers, not one",
                numbers.len()
            ))),
        }
    }

    /// Returns the axis in an attribute.
    ///
    /// # Errors
    /// A tensor of this rank does not have the axis.
    pub(super) fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize> {
        axis(self.int(name, default), rank).map_err(|e| e.context(format!("attribute \"{name}\"")))
    }
}

/// Returns the axis with this number, which counts from the end if it is negative.
///
/// # Errors
/// A tensor of this rank does not have the axis.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let from_start = if axis < 0 {
        axis.checked_add(rank as i64)
    } else {
        Some(axis)
    };
    from_start
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|axis| *axis < rank)
        .ok_or_else(|| {
            Error::checkpoint(format!(
                "there is no axis {axis} in a tensor of {rank} axes"
            ))
        })
}

/// Returns several axes.
///
/// # Errors
/// An axis does not exist, or is there twice.
pub(super) fn axes(numbers: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut found = Vec::new();
    for &number in numbers {
        let axis = axis(number, rank)?;
        if found.contains(&axis) {
            return Err(Error::checkpoint(format!("axis {number} is named twice")));
        }
        found.push(axis);
    }
    Ok(found)
}

/// Returns an error about an attribute.
pub(super) fn attribute(name: &str, message: String) -> Error {
    Error::checkpoint(message).context(format!("attribute \"{name}\""))
}
