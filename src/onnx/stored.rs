//! Tensors that are stored in the file, or in a file beside it.

use tract_onnx::pb::{self, tensor_proto::DataType};

use super::external::{ExternalFiles, is_external};
use super::value::{Element, MAX_KNOWN_NUMBERS, MAX_RANK, Value, count};
use crate::error::{Error, Result};

/// Checks a stored tensor. Returns its size and, if they are few, its numbers.
///
/// # Errors
/// The tensor has another number of bytes than its shape says, or is not supported.
pub(super) fn check(tensor: &pb::TensorProto, files: &mut ExternalFiles) -> Result<Value> {
    let element = Element::new(tensor.data_type)?;
    let too_large = || Error::checkpoint(format!("has shape {:?}", short(&tensor.dims)));
    if tensor.dims.len() > MAX_RANK {
        return Err(Error::checkpoint(format!(
            "has {} axes; the limit is {MAX_RANK}",
            tensor.dims.len()
        )));
    }
    let sizes = tensor.dims.iter().map(|&size| usize::try_from(size));
    let shape: Vec<usize> = sizes.collect::<Result<_, _>>().map_err(|_| too_large())?;
    let elements = count(&shape).map_err(|_| too_large())?;
    if tensor.segment.is_some() {
        return Err(Error::checkpoint(
            "is stored in segments, which is not supported",
        ));
    }
    let bytes = elements as u64 * element.bytes();
    let value = Value {
        is_constant: true,
        ..Value::new(element, shape)
    };
    let is_small = elements <= MAX_KNOWN_NUMBERS;
    if !tensor.raw_data.is_empty() {
        if is_external(tensor) {
            return Err(Error::checkpoint(
                "is both in the graph and in another file",
            ));
        }
        check_count(tensor.raw_data.len() as u64, bytes, "bytes")?;
        let numbers = is_small
            .then(|| from_bytes(element, &tensor.raw_data))
            .flatten();
        return Ok(value.with_numbers(numbers));
    }
    if is_external(tensor) {
        let range = files.add(tensor, bytes)?;
        let numbers = match is_small {
            true => from_bytes(element, &files.read(&range)?),
            false => None,
        };
        return Ok(value.with_numbers(numbers));
    }
    let found = match data_type(element) {
        DataType::Float => tensor.float_data.len(),
        DataType::Double => tensor.double_data.len(),
        DataType::Int64 | DataType::Uint64 => tensor.int64_data.len(),
        _ => tensor.int32_data.len(),
    };
    check_count(found as u64, elements as u64, "elements")?;
    let numbers = match data_type(element) {
        _ if !is_small => None,
        DataType::Float => tensor
            .float_data
            .iter()
            .map(|&x| integer(x.into()))
            .collect(),
        DataType::Double => tensor.double_data.iter().map(|&x| integer(x)).collect(),
        DataType::Int64 => Some(tensor.int64_data.clone()),
        DataType::Int32 | DataType::Bool | DataType::Int8 | DataType::Uint8 => {
            Some(tensor.int32_data.iter().map(|&n| n.into()).collect())
        }
        _ => None,
    };
    Ok(value.with_numbers(numbers))
}

fn data_type(element: Element) -> DataType {
    DataType::try_from(element.number()).unwrap_or(DataType::Undefined)
}

fn check_count(found: u64, expected: u64, what: &str) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => Err(Error::checkpoint(format!(
            "has {found} {what}, but its shape needs {expected}"
        ))),
    }
}

/// Returns the first sizes of a shape.
fn short(dims: &[i64]) -> &[i64] {
    &dims[..dims.len().min(MAX_RANK)]
}

/// Returns a number if it is an integer.
fn integer(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 2f64.powi(53)).then_some(number as i64)
}

/// Returns the numbers of a small tensor, if all are integers.
fn from_bytes(element: Element, bytes: &[u8]) -> Option<Vec<i64>> {
    let size = usize::try_from(element.bytes()).ok()?;
    let number = |b: &[u8]| {
        Some(match data_type(element) {
            DataType::Bool => i64::from(b[0] != 0),
            DataType::Uint8 => b[0].into(),
            DataType::Int8 => (b[0] as i8).into(),
            DataType::Int32 => i32::from_le_bytes(b.try_into().ok()?).into(),
            DataType::Int64 => i64::from_le_bytes(b.try_into().ok()?),
            DataType::Float => integer(f32::from_le_bytes(b.try_into().ok()?).into())?,
            DataType::Double => integer(f64::from_le_bytes(b.try_into().ok()?))?,
            _ => return None,
        })
    };
    bytes.chunks_exact(size).map(number).collect()
}
