//! Element types of stored tensors, and their conversion to f32.

use std::fmt;

use half::{bf16, f16};

/// The type of the elements of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dtype {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// 16-bit IEEE 754 float.
    F16,
    /// 16-bit float with the exponent range of f32 (bfloat16).
    BF16,
    /// 64-bit signed integer.
    I64,
    /// 32-bit signed integer.
    I32,
    /// 16-bit signed integer.
    I16,
    /// 8-bit signed integer.
    I8,
    /// 8-bit unsigned integer.
    U8,
    /// Boolean, one byte: false is 0.
    Bool,
    /// A type that is not supported, with its name. A tensor of this type is an error only when it
    /// is read.
    Other(&'static str),
}

impl Dtype {
    /// Returns the size of an element in bytes. 0: the type is not supported.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::Other(_) => 0,
        }
    }

    /// Returns the name in the safetensors format.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
            Self::Other(name) => name,
        }
    }

    /// Converts little-endian elements to f32, until the shorter of both slices ends.
    #[allow(clippy::cast_possible_truncation, reason = "f64 is rounded to f32")]
    pub(crate) fn decode(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::F64 => convert(bytes, out, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => convert(bytes, out, f32::from_le_bytes),
            Self::F16 => convert(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
            Self::BF16 => convert(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
            Self::I64 => convert(bytes, out, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => convert(bytes, out, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => convert(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => convert(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
            Self::U8 => convert(bytes, out, |b: [u8; 1]| f32::from(b[0])),
            Self::Bool => convert(bytes, out, |b: [u8; 1]| f32::from(u8::from(b[0] != 0))),
            Self::Other(_) => {}
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn convert<const N: usize>(bytes: &[u8], out: &mut [f32], from: impl Fn([u8; N]) -> f32) {
    for (value, element) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *value = from(*element);
    }
}
