//! Opens a model, whatever its file: tensors from [`checkpoint`](crate::checkpoint), or an
//! [`onnx`](crate::onnx) graph; and saves one.

mod model;
mod save;

pub use model::{LoadOptions, Model, StoredTensor};
pub use save::SaveOptions;
