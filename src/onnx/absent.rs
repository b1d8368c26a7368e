//! Replaces `graph` in a build without the feature `onnx`.

use std::path::Path;

use super::LoadedGraph;
use crate::checkpoint::Source;
use crate::config::Settings;
use crate::error::{Error, Result};

/// A graph, which cannot exist in this build.
#[derive(Debug)]
pub(crate) enum Graph {}

impl Graph {
    /// Returns the error that this build does not support ONNX.
    pub(crate) fn read(source: Source, _: Option<&Path>, _: Settings) -> Result<LoadedGraph> {
        let message = "is an ONNX file, which this build does not support (feature `onnx`)";
        Err(source.locate(Error::checkpoint(message)))
    }
}
