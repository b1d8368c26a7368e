//! Opens a model from a file of tensors ([`checkpoint`](crate::checkpoint)) or from an ONNX graph
//! ([`onnx`](crate::onnx)), and saves a model.

mod folder;
mod model;
mod save;

pub use model::{LoadOptions, Model, StoredTensor};
pub use save::SaveOptions;
