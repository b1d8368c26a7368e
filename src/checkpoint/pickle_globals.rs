//! The globals (names of Python classes and functions) that have a meaning in a pickle. Every other
//! global is ignored.

use super::dtype::Dtype;

/// A global with a meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum PickleGlobal {
    OrderedDict,
    Size,
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`.
    Tensor,
    /// `_rebuild_tensor_v3`, whose arguments include the element type.
    TensorOfType,
    Parameter,
    /// A storage class, which determines the element type.
    Storage(Dtype),
    UntypedStorage,
    /// An element type, such as `torch.float32`.
    Type(Dtype),
}

/// Returns the global `module.name`. `None`: it has no meaning.
pub(super) fn lookup(module: &str, name: &str) -> Option<PickleGlobal> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => PickleGlobal::OrderedDict,
        ("torch", "Size") => PickleGlobal::Size,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => PickleGlobal::Tensor,
        ("torch._utils", "_rebuild_tensor_v3") => PickleGlobal::TensorOfType,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            PickleGlobal::Parameter
        }
        ("torch.storage" | "torch", "UntypedStorage") => PickleGlobal::UntypedStorage,
        ("torch" | "torch.cuda", storage) if storage.ends_with("Storage") => {
            PickleGlobal::Storage(match storage {
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
            })
        }
        ("torch", dtype) => PickleGlobal::Type(match dtype {
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
