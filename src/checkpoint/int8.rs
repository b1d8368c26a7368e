//! Reads matrices that a file stores in int8: a tensor of int8 values, and a tensor with one f32
//! scale per row. The zero point is 0.

use super::names::{SCALE_SUFFIX, TensorNames, missing_error};
use super::{Checkpoint, Dtype, TensorInfo};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::dtype::{WeightDtype, takes_dtype};
use crate::model::weights::{Tensor, Weight, check_finite};

/// Returns the dtype of the block matrices in a file: [`WeightDtype::Int8`] if all of them are
/// int8, [`WeightDtype::F32`] if no matrix is.
///
/// # Errors
/// A matrix is missing, some matrices are int8 and others are not, or a matrix and its scales do
/// not fit together.
pub(crate) fn check(
    checkpoint: &Checkpoint,
    names: &TensorNames,
    config: &Config,
) -> Result<WeightDtype> {
    let mut found = None;
    for weight in config.weights().into_iter().filter(|w| takes_dtype(*w)) {
        let name = names
            .weights
            .get(&weight)
            .ok_or_else(|| missing_error(weight))?;
        let dtype = dtype_of(checkpoint, names, weight, name)?;
        if *found.get_or_insert(dtype) != dtype {
            let is = if dtype == WeightDtype::Int8 {
                "is int8, but others are not"
            } else {
                "is not int8, but others are"
            };
            let rule = "all matrices of the blocks or none must be int8";
            return Err(
                Error::checkpoint(format!("{is}: {rule}")).context(format!("tensor \"{name}\""))
            );
        }
    }
    Ok(found.unwrap_or_default())
}

/// Returns the dtype of one matrix, [`WeightDtype::F32`] for every type but int8.
fn dtype_of(
    checkpoint: &Checkpoint,
    names: &TensorNames,
    weight: Weight,
    name: &str,
) -> Result<WeightDtype> {
    let info = |name: &str| checkpoint.tensors().get(name);
    let dtype = info(name).map(|info| info.dtype);
    let at =
        |message: String| Err(Error::checkpoint(message).context(format!("tensor \"{name}\"")));
    match (dtype, names.scales.get(&weight)) {
        (Some(Dtype::I8), None) => at(format!(
            "is int8, but the tensor of its scales, \"{name}{SCALE_SUFFIX}\", is missing"
        )),
        (Some(Dtype::I8), Some(scale)) => {
            let rows = info(name).and_then(|info| info.shape.first().copied());
            check_scales(info(scale), rows.unwrap_or(0))
                .map_err(|e| e.context(format!("tensor \"{scale}\"")))?;
            Ok(WeightDtype::Int8)
        }
        (Some(other), Some(scale)) => at(format!(
            "is {other}, but has scales (\"{scale}\"), which only int8 has"
        )),
        (_, None) | (None, _) => Ok(WeightDtype::F32),
    }
}

/// Checks the type and the shape, `[rows]`, of the scales of a matrix.
fn check_scales(info: Option<&TensorInfo>, rows: usize) -> Result<()> {
    match info {
        Some(info) if info.dtype != Dtype::F32 => Err(Error::checkpoint(format!(
            "holds the scales of an int8 matrix: its type must be F32, not {}",
            info.dtype
        ))),
        Some(info) if info.shape == [rows] => Ok(()),
        found => Err(Error::checkpoint(format!(
            "has shape {:?}, but the int8 matrix has {rows} rows, each with one scale",
            found.map_or(&[][..], |info| &info.shape)
        ))),
    }
}

/// Reads a tensor of the model as f32, after [`check`]. An int8 matrix is multiplied by its scales.
/// A halting head with one output gets a second one that is 0.
///
/// # Errors
/// The file cannot be read, or the tensor or its scales hold an infinity or a NaN.
pub(crate) fn read(checkpoint: &Checkpoint, names: &TensorNames, weight: Weight) -> Result<Tensor> {
    let name = names
        .weights
        .get(&weight)
        .ok_or_else(|| missing_error(weight))?;
    let mut tensor = checkpoint.read(name)?;
    if let Some(scale) = names.scales.get(&weight) {
        let scales = checkpoint.read(scale)?.data;
        check_finite(&scales).map_err(|e| checkpoint.locate(scale, e))?;
        let width = tensor.shape.last().copied().unwrap_or(1).max(1);
        for (row, scale) in tensor.data.chunks_exact_mut(width).zip(&scales) {
            row.iter_mut().for_each(|v| *v *= scale);
        }
    }
    check_finite(&tensor.data).map_err(|e| checkpoint.locate(name, e))?;
    if let (Weight::QHead | Weight::QHeadBias, Some(rows @ 1)) = (weight, tensor.shape.first_mut())
    {
        *rows = 2;
        tensor.data.resize(2 * tensor.data.len(), 0.0);
    }
    Ok(tensor)
}
