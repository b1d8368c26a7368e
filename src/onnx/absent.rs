//! A build without ONNX.

use std::path::Path;
use std::sync::Arc;

use super::Read;
use crate::checkpoint::{Model, Source};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::stepper::Stepper;

/// There is none.
#[derive(Debug)]
pub(crate) enum Graph {}

impl Graph {
    pub(crate) fn read(source: Source, _: Option<&Path>, _: Settings) -> Result<Read> {
        let message = "is an ONNX file, which this build does not read (feature `onnx`)";
        Err(source.locate(Error::checkpoint(message)))
    }
}

pub(crate) fn stepper(
    graph: &Arc<Graph>,
    _: Arc<Model>,
    _: usize,
    _: Option<usize>,
) -> Result<Box<dyn Stepper>> {
    match **graph {}
}
