//! The names that a pickle may use. Nothing else in a pickle has a meaning.

use super::dtype::Dtype;

/// Names that are understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Known {
    OrderedDict,
    Size,
    /// `_rebuild_tensor` and its second version.
    Tensor,
    /// The third version, which names the element type instead of the storage's class.
    TensorOfType,
    Parameter,
    Storage(Dtype),
    UntypedStorage,
    Type(Dtype),
}

/// The meaning of a name, if it has one.
pub(super) fn known(module: &str, name: &str) -> Option<Known> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Known::OrderedDict,
        ("torch", "Size") => Known::Size,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Known::Tensor,
        ("torch._utils", "_rebuild_tensor_v3") => Known::TensorOfType,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Known::Parameter,
        ("torch.storage" | "torch", "UntypedStorage") => Known::UntypedStorage,
        ("torch" | "torch.cuda", storage) if storage.ends_with("Storage") => Known::Storage(match storage {
            "DoubleStorage" => Dtype::F64,
            "FloatStorage" => Dtype::F32,
            "HalfStorage" => Dtype::F16,
            "BFloat16Storage" => Dtype::BF16,
            "LongStorage" => Dtype::I64,
            "IntStorage" => Dtype::I32,
            "ShortStorage" => Dtype::I16,
            "CharStorage" => Dtype::I8,
            "ByteStorage" => Dtype::U8,
            "BoolStorage" => Dtype::Bool,
            "ComplexFloatStorage" => Dtype::Other("complex64"),
            "ComplexDoubleStorage" => Dtype::Other("complex128"),
            _ => Dtype::Other("unknown"),
        }),
        ("torch", dtype) => Known::Type(match dtype {
            "float64" | "double" => Dtype::F64,
            "float32" | "float" => Dtype::F32,
            "float16" | "half" => Dtype::F16,
            "bfloat16" => Dtype::BF16,
            "int64" | "long" => Dtype::I64,
            "int32" | "int" => Dtype::I32,
            "int16" | "short" => Dtype::I16,
            "int8" => Dtype::I8,
            "uint8" => Dtype::U8,
            "bool" => Dtype::Bool,
            "uint16" => Dtype::Other("uint16"),
            "uint32" => Dtype::Other("uint32"),
            "uint64" => Dtype::Other("uint64"),
            "float8_e4m3fn" => Dtype::Other("float8_e4m3fn"),
            "float8_e5m2" => Dtype::Other("float8_e5m2"),
            _ => return None,
        }),
        _ => return None,
    })
}
