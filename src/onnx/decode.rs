//! Decodes an ONNX file within limits.
//!
//! A decoded message takes up to 250 times the bytes that it has in the file: two bytes make an
//! empty node. So the file is walked once before it is decoded, and everything that decoding would
//! allocate is added up.

use prost::Message as _;
use tract_onnx::pb;

use crate::error::{Error, Result};

/// Size limit of an ONNX file, in bytes. The format (protobuf) has the same limit.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 31;
/// Largest number of nodes. A step of the published models has up to 2,000.
const MAX_NODES: usize = 10_000;
/// Deepest nesting of messages.
const MAX_DEPTH: usize = 24;
/// Memory for decoding beyond four times the size of the file, in bytes.
const MIN_DECODED_BYTES: u64 = 64 << 20;
/// Size limit of the metadata, in bytes.
const MAX_METADATA_BYTES: u64 = 16 << 20;

/// Decodes a file.
///
/// # Errors
/// The file is damaged, or a limit is exceeded.
pub(super) fn decode(bytes: &[u8]) -> Result<pb::ModelProto> {
    let mut scan = Scan {
        decoded: 0,
        limit: MIN_DECODED_BYTES + 4 * bytes.len() as u64,
        nodes: 0,
        metadata: 0,
    };
    scan.message(Message::Model, bytes, 0, 0)?;
    let decoded = pb::ModelProto::decode(bytes);
    decoded.map_err(|e| Error::checkpoint("is damaged: it is no valid protobuf").with_source(e))
}

/// What decoding would allocate.
struct Scan {
    decoded: u64,
    limit: u64,
    nodes: usize,
    metadata: u64,
}

/// The messages of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Segment,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
    Entry,
    OperatorSet,
    Annotation,
}

/// The content of a field.
enum Field {
    Message(Message),
    /// Variable-length integers, packed or single.
    Integers,
    /// Text, bytes, numbers of fixed size, or a field that is skipped.
    Plain,
    /// A part of the format that is not supported, with its name.
    Unsupported(&'static str),
}

impl Message {
    /// Returns the content of field `number`.
    fn field(self, number: u64) -> Field {
        use Field::{Integers, Message as Sub, Plain, Unsupported};
        match (self, number) {
            (Self::Model, 7) => Sub(Self::Graph),
            (Self::Model, 8) => Sub(Self::OperatorSet),
            (Self::Model, 14) => Sub(Self::Entry),
            (Self::Model, 20) => Unsupported("training information"),
            (Self::Model, 25) => Unsupported("functions of its own"),
            (Self::Graph, 1) => Sub(Self::Node),
            (Self::Graph, 5) => Sub(Self::Tensor),
            (Self::Graph, 15) => Unsupported("sparse tensors"),
            (Self::Graph, 11..=13) => Sub(Self::ValueInfo),
            (Self::Graph, 14) => Sub(Self::Annotation),
            (Self::Node, 5) => Sub(Self::Attribute),
            (Self::Attribute, 5 | 10) => Sub(Self::Tensor),
            (Self::Attribute, 6 | 11) => Sub(Self::Graph),
            (Self::Attribute, 22 | 23) => Unsupported("sparse tensors"),
            (Self::Attribute, 15) => Sub(Self::Type),
            (Self::Attribute, 8) => Integers,
            (Self::Tensor, 1 | 5 | 7 | 11) => Integers,
            (Self::Tensor, 3) => Sub(Self::Segment),
            (Self::Tensor, 13) => Sub(Self::Entry),
            (Self::ValueInfo, 2) => Sub(Self::Type),
            (Self::Type, 1) => Sub(Self::TensorType),
            (Self::TensorType, 2) => Sub(Self::Shape),
            (Self::Shape, 1) => Sub(Self::Dimension),
            (Self::Annotation, 2) => Sub(Self::Entry),
            _ => Plain,
        }
    }

    /// Returns the size of the decoded message, in bytes.
    fn size(self) -> usize {
        match self {
            Self::Model => size_of::<pb::ModelProto>(),
            Self::Graph => size_of::<pb::GraphProto>(),
            Self::Node => size_of::<pb::NodeProto>(),
            Self::Attribute => size_of::<pb::AttributeProto>(),
            Self::Tensor => size_of::<pb::TensorProto>(),
            Self::Segment => size_of::<pb::tensor_proto::Segment>(),
            Self::ValueInfo => size_of::<pb::ValueInfoProto>(),
            Self::Type => size_of::<pb::TypeProto>(),
            Self::TensorType => size_of::<pb::type_proto::Tensor>(),
            Self::Shape => size_of::<pb::TensorShapeProto>(),
            Self::Dimension => size_of::<pb::tensor_shape_proto::Dimension>(),
            Self::Entry => size_of::<pb::StringStringEntryProto>(),
            Self::OperatorSet => size_of::<pb::OperatorSetIdProto>(),
            Self::Annotation => size_of::<pb::TensorAnnotation>(),
        }
    }
}

impl Scan {
    /// Walks a message, which begins at byte `start` of the file.
    fn message(
        &mut self,
        message: Message,
        bytes: &[u8],
        start: usize,
        depth: usize,
    ) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::checkpoint(format!(
                "has messages nested more than {MAX_DEPTH} deep at byte {start}"
            )));
        }
        // A vector that grows takes up to twice its final size.
        self.allocate(2 * message.size())?;
        if message == Message::Node {
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                return Err(Error::checkpoint(format!(
                    "has more than {MAX_NODES} nodes, the limit"
                )));
            }
        }
        let mut reader = Reader { bytes, at: 0 };
        while reader.at < bytes.len() {
            let field_start = start + reader.at;
            let damaged = || {
                Error::checkpoint(format!(
                    "is damaged or cut short: the field at byte {field_start} does not fit its \
                     message"
                ))
            };
            let tag = reader.integer().ok_or_else(damaged)?;
            let field = message.field(tag >> 3);
            match tag & 7 {
                0 => {
                    reader.integer().ok_or_else(damaged)?;
                    self.allocate(2 * size_of::<u64>())?;
                }
                1 => {
                    reader.take(8).ok_or_else(damaged)?;
                    self.allocate(2 * size_of::<u64>())?;
                }
                5 => {
                    reader.take(4).ok_or_else(damaged)?;
                    self.allocate(2 * size_of::<u32>())?;
                }
                2 => {
                    let len = reader.integer().and_then(|len| usize::try_from(len).ok());
                    let content_start = start + reader.at;
                    let content = len.and_then(|len| reader.take(len)).ok_or_else(damaged)?;
                    match field {
                        Field::Message(inner) => {
                            if (message, inner) == (Message::Model, Message::Entry) {
                                self.count_metadata(content.len())?;
                            }
                            self.message(inner, content, content_start, depth + 1)?;
                        }
                        Field::Integers => {
                            let count = content.iter().filter(|byte| **byte < 0x80).count();
                            self.allocate(2 * size_of::<u64>() * count)?;
                        }
                        Field::Plain => self.allocate(2 * size_of::<String>() + content.len())?,
                        Field::Unsupported(what) => {
                            return Err(Error::checkpoint(format!(
                                "contains {what}, which is not supported: export the step without"
                            )));
                        }
                    }
                }
                _ => return Err(damaged()),
            }
        }
        Ok(())
    }

    fn allocate(&mut self, bytes: usize) -> Result<()> {
        self.decoded += bytes as u64;
        match self.decoded <= self.limit {
            true => Ok(()),
            false => Err(Error::checkpoint(format!(
                "would take more than {} MiB to decode, the limit for a file of its size: it \
                 consists of tiny or empty messages",
                self.limit >> 20
            ))),
        }
    }

    fn count_metadata(&mut self, bytes: usize) -> Result<()> {
        self.metadata += bytes as u64;
        match self.metadata <= MAX_METADATA_BYTES {
            true => Ok(()),
            false => Err(Error::checkpoint(format!(
                "has more than {} MiB of metadata, the limit",
                MAX_METADATA_BYTES >> 20
            ))),
        }
    }
}

/// Reads the parts of a message.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads an integer of variable length. `None`: the message ends before, or it has more than 64
    /// bits.
    fn integer(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Takes the next `len` bytes. `None`: the message ends before.
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(taken)
    }
}
