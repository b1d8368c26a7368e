//! Matrices that a file holds in int8: a tensor of bytes, and beside it one with a scale for each row.

use super::names::{Names, SCALE, missing};
use super::{Checkpoint, Dtype, TensorInfo};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::dtype::{WeightDtype, takes_format};
use crate::model::weights::{Tensor, Weight, check_finite};

/// Checks that the bytes of every matrix have their scales, in the shape that its rows demand: [`WeightDtype::Int8`] if all matrices of the
/// blocks are bytes, [`WeightDtype::F32`] if none is.
pub(crate) fn check(checkpoint: &Checkpoint, names: &Names, config: &Config) -> Result<WeightDtype> {
    let mut found = None;
    for weight in config.weights().into_iter().filter(|w| takes_format(*w)) {
        let name = names.weights.get(&weight).ok_or_else(|| missing(weight))?;
        let format = format_of(checkpoint, names, weight, name)?;
        if *found.get_or_insert(format) != format {
            let message = "in int8 must be all matrices of the blocks or none; here some are, and this one";
            let is = if format == WeightDtype::Int8 {
                "is"
            } else {
                "is not"
            };
            return Err(Error::checkpoint(format!("{message} {is}")).context(format!("tensor \"{name}\"")));
        }
    }
    Ok(found.unwrap_or_default())
}

fn format_of(checkpoint: &Checkpoint, names: &Names, weight: Weight, name: &str) -> Result<WeightDtype> {
    let info = |name: &str| checkpoint.tensors().get(name);
    let dtype = info(name).map(|info| info.dtype);
    let at = |message: String| Err(Error::checkpoint(message).context(format!("tensor \"{name}\"")));
    match (dtype, names.scales.get(&weight)) {
        (Some(Dtype::I8), None) => at(format!(
            "is int8, but the tensor of its scales, \"{name}{SCALE}\", is missing"
        )),
        (Some(Dtype::I8), Some(scale)) => {
            let rows = info(name).and_then(|info| info.shape.first().copied());
            check_scales(info(scale), rows.unwrap_or(0)).map_err(|e| e.context(format!("tensor \"{scale}\"")))?;
            Ok(WeightDtype::Int8)
        }
        (Some(other), Some(scale)) => at(format!(
            "has scales (\"{scale}\"), which only int8 has, but is {other}"
        )),
        (_, None) | (None, _) => Ok(WeightDtype::F32),
    }
}

fn check_scales(info: Option<&TensorInfo>, rows: usize) -> Result<()> {
    match info {
        Some(info) if info.dtype != Dtype::F32 => Err(Error::checkpoint(format!(
            "holds the scales of an int8 matrix, which are F32, not {}",
            info.dtype
        ))),
        Some(info) if info.shape == [rows] => Ok(()),
        found => Err(Error::checkpoint(format!(
            "shape {:?}, but the int8 matrix has {rows} rows, each with one scale",
            found.map_or(&[][..], |info| &info.shape)
        ))),
    }
}

/// Reads a tensor of the model that has been checked, as the numbers that it stands for.
pub(crate) fn read(checkpoint: &Checkpoint, names: &Names, weight: Weight) -> Result<Tensor> {
    let name = names.weights.get(&weight).ok_or_else(|| missing(weight))?;
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
    Ok(tensor)
}
