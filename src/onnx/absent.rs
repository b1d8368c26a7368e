//! A build without ONNX.

use std::path::Path;

use super::Read;
use crate::checkpoint::Source;
use crate::config::Settings;
use crate::error::{Error, Result};

/// There is none.
#[derive(Debug)]
pub(crate) enum Graph {}

impl Graph {
    pub(crate) fn read(source: Source, _: Option<&Path>, _: Settings) -> Result<Read> {
        let message = "is an ONNX file, which this build does not read (feature `onnx`)";
        Err(source.locate(Error::checkpoint(message)))
    }
}
