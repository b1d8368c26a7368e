//! What is known of a value before anything is computed.

use std::rc::Rc;

use tract_onnx::pb::tensor_proto::DataType;

use crate::error::{Error, Result};

/// Largest number of axes.
pub(super) const MAX_RANK: usize = 8;
/// Most numbers of a value that are tracked. Shapes and lists of axes have fewer.
pub(super) const MAX_KNOWN_NUMBERS: usize = 1024;
/// Largest tensor, in bytes.
pub(super) const MAX_TENSOR_BYTES: u64 = 1 << 32;
/// Bytes that tract takes for a computed 64-bit integer: it may be an expression.
const COMPUTED_INT64_BYTES: u64 = 48;

/// A value of the graph.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
    /// Whether no input of the graph has a part in it, so that tract computes it while it loads.
    pub(super) is_constant: bool,
    /// The numbers of a small value, if they are integers. Sizes are computed from them.
    pub(super) numbers: Option<Rc<[i64]>>,
}

/// The type of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element(DataType);

impl Element {
    pub(super) const BOOL: Self = Self(DataType::Bool);
    pub(super) const FLOAT: Self = Self(DataType::Float);
    pub(super) const INT64: Self = Self(DataType::Int64);

    /// Returns the type with this number in the format.
    ///
    /// # Errors
    /// The type is not supported.
    pub(super) fn new(number: i32) -> Result<Self> {
        use DataType::{
            Bool, Double, Float, Float16, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64,
        };
        match DataType::try_from(number) {
            Ok(
                found @ (Bool | Double | Float | Float16 | Int8 | Int16 | Int32 | Int64 | Uint8
                | Uint16 | Uint32 | Uint64),
            ) => Ok(Self(found)),
            Ok(other) => Err(Error::checkpoint(format!(
                "has elements of type {}, which is not supported",
                other.as_str_name().to_lowercase()
            ))),
            Err(_) => Err(Error::checkpoint(format!(
                "has elements of type {number}, which the format does not have"
            ))),
        }
    }

    /// Returns the number of the type in the format.
    pub(super) fn number(self) -> i32 {
        self.0 as i32
    }

    pub(super) fn name(self) -> String {
        self.0.as_str_name().to_lowercase()
    }

    /// Returns the size of a stored element, in bytes.
    pub(super) fn bytes(self) -> u64 {
        match self.0 {
            DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
            DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
            DataType::Float16 | DataType::Int16 | DataType::Uint16 => 2,
            _ => 1,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(
            self.0,
            DataType::Double | DataType::Float | DataType::Float16
        )
    }

    pub(super) fn is_integer(self) -> bool {
        !self.is_float() && self.0 != DataType::Bool
    }

    /// Returns whether the type holds this integer exactly. Larger numbers are not tracked.
    pub(super) fn holds(self, number: i64) -> bool {
        let range = match self.0 {
            DataType::Bool => 0..=1,
            DataType::Int8 => i8::MIN.into()..=i8::MAX.into(),
            DataType::Int16 => i16::MIN.into()..=i16::MAX.into(),
            DataType::Int32 => i32::MIN.into()..=i32::MAX.into(),
            DataType::Uint8 => 0..=u8::MAX.into(),
            DataType::Uint16 => 0..=u16::MAX.into(),
            DataType::Uint32 => 0..=u32::MAX.into(),
            DataType::Float16 => -(1 << 11)..=1 << 11,
            DataType::Float => -(1 << 24)..=1 << 24,
            DataType::Double => -(1 << 53)..=1 << 53,
            DataType::Uint64 => 0..=i64::MAX,
            _ => i64::MIN..=i64::MAX,
        };
        range.contains(&number)
    }
}

impl Value {
    /// Creates a value that depends on the inputs of the graph.
    pub(super) fn new(element: Element, shape: Vec<usize>) -> Self {
        Self {
            element,
            shape,
            is_constant: false,
            numbers: None,
        }
    }

    /// Sets the numbers, if they are few, as many as the shape says, and the type holds each.
    pub(super) fn with_numbers(mut self, numbers: Option<Vec<i64>>) -> Self {
        self.numbers = numbers
            .filter(|numbers| {
                numbers.len() <= MAX_KNOWN_NUMBERS
                    && self.len() == Ok(numbers.len())
                    && numbers.iter().all(|&number| self.element.holds(number))
            })
            .map(Rc::from);
        self
    }

    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Returns the number of elements. `Err`: it is larger than any tensor.
    pub(super) fn len(&self) -> std::result::Result<usize, TooLarge> {
        count(&self.shape)
    }

    /// Returns the largest number of bytes that tract takes for the value.
    pub(super) fn computed_bytes(&self) -> std::result::Result<u64, TooLarge> {
        let bytes = match self.element {
            Element::INT64 => COMPUTED_INT64_BYTES,
            element => element.bytes(),
        };
        let all = (self.len()? as u64).checked_mul(bytes).ok_or(TooLarge)?;
        match all <= MAX_TENSOR_BYTES {
            true => Ok(all),
            false => Err(TooLarge),
        }
    }
}

/// A tensor has more bytes than [`MAX_TENSOR_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Returns the number of elements of a tensor. Checks the product without the axes of size 0 as
/// well, because tract multiplies sizes in any order.
pub(super) fn count(shape: &[usize]) -> std::result::Result<usize, TooLarge> {
    let elements = shape
        .iter()
        .try_fold(1u64, |n, &size| n.checked_mul(size.max(1) as u64));
    match elements {
        Some(elements) if elements <= MAX_TENSOR_BYTES => match shape.contains(&0) {
            true => Ok(0),
            false => Ok(elements as usize),
        },
        _ => Err(TooLarge),
    }
}
