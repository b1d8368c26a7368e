//! Writes ONNX files, field by field, so that a test can also write what no exporter would.

/// A message of protobuf.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    pub(crate) fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub(crate) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(crate) fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }
}

pub(crate) const FLOAT: i64 = 1;
pub(crate) const INT64: i64 = 7;
pub(crate) const BOOL: i64 = 9;
pub(crate) const FLOAT16: i64 = 10;

/// The value of an attribute.
#[derive(Debug, Clone)]
pub(crate) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(String),
    Tensor(Message),
    Graph(Message),
}

/// A node, whose name is its operator in lower case.
pub(crate) fn node(
    operator: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[(&str, Attribute)],
) -> Message {
    let mut node = Message::default();
    for input in inputs {
        node = node.text(1, input);
    }
    for output in outputs {
        node = node.text(2, output);
    }
    node = node.text(
        3,
        &format!("my_{}_{}", operator.to_lowercase(), outputs.join("_")),
    );
    node = node.text(4, operator);
    for (name, value) in attributes {
        let attribute = Message::default().text(1, name);
        let attribute = match value {
            Attribute::Int(value) => attribute.int(3, *value).int(20, 2),
            Attribute::Float(value) => attribute.float(2, *value).int(20, 1),
            Attribute::Text(value) => attribute.text(4, value).int(20, 3),
            Attribute::Tensor(value) => attribute.message(5, value).int(20, 4),
            Attribute::Graph(value) => attribute.message(6, value).int(20, 5),
            Attribute::Ints(values) => {
                let all = values.iter().fold(attribute, |a, &value| a.int(8, value));
                all.int(20, 7)
            }
        };
        node = node.message(5, &attribute);
    }
    node
}

/// A stored tensor.
pub(crate) fn tensor(name: &str, element: i64, dims: &[i64], bytes: &[u8]) -> Message {
    let tensor = dims
        .iter()
        .fold(Message::default(), |t, &size| t.int(1, size));
    tensor.int(2, element).text(8, name).bytes(9, bytes)
}

/// A stored list of 64-bit integers.
pub(crate) fn integers(name: &str, numbers: &[i64]) -> Message {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    tensor(name, INT64, &[numbers.len() as i64], &bytes)
}

/// A stored 64-bit integer.
pub(crate) fn integer(name: &str, number: i64) -> Message {
    tensor(name, INT64, &[], &number.to_le_bytes())
}

/// Stored floats.
pub(crate) fn floats(name: &str, dims: &[i64], numbers: &[f32]) -> Message {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    tensor(name, FLOAT, dims, &bytes)
}

/// A tensor in another file.
pub(crate) fn external(
    name: &str,
    element: i64,
    dims: &[i64],
    entries: &[(&str, &str)],
) -> Message {
    let tensor = dims
        .iter()
        .fold(Message::default(), |t, &size| t.int(1, size));
    let tensor = tensor.int(2, element).text(8, name).int(14, 1);
    entries.iter().fold(tensor, |tensor, (key, value)| {
        tensor.message(13, &Message::default().text(1, key).text(2, value))
    })
}

/// An input or output, with or without a shape.
pub(crate) fn value(name: &str, element: i64, dims: Option<&[i64]>) -> Message {
    let mut tensor = Message::default().int(1, element);
    if let Some(dims) = dims {
        let shape = dims.iter().fold(Message::default(), |shape, &size| {
            shape.message(1, &Message::default().int(1, size))
        });
        tensor = tensor.message(2, &shape);
    }
    Message::default()
        .text(1, name)
        .message(2, &Message::default().message(1, &tensor))
}

/// A graph.
pub(crate) fn graph(
    nodes: &[Message],
    tensors: &[Message],
    inputs: &[Message],
    outputs: &[Message],
) -> Message {
    let mut graph = nodes
        .iter()
        .fold(Message::default(), |g, node| g.message(1, node));
    graph = graph.text(2, "graph");
    for (field, all) in [(5, tensors), (11, inputs), (12, outputs)] {
        graph = all
            .iter()
            .fold(graph, |graph, one| graph.message(field, one));
    }
    graph
}

/// A file with this graph.
pub(crate) fn model(graph: &Message, operator_set: i64) -> Message {
    Message::default()
        .int(1, 8)
        .message(8, &Message::default().text(1, "").int(2, operator_set))
        .message(7, graph)
}

/// A refinement step of 4 positions, D 4 and V 6, with single-z states. Its halting logit also
/// takes the maximum of the value `y`, which `nodes` compute from the stored `tensors` and the
/// inputs `z_L` (float, `[1, 4, 4]`) and `inputs` (int64, `[1, 4]`).
pub(crate) fn step_of_set(nodes: &[Message], tensors: &[Message], operator_set: i64) -> Vec<u8> {
    let mut all = nodes.to_vec();
    all.extend([
        node("Identity", &["z_L"], &["next_z_L"], &[]),
        node("MatMul", &["z_L", "readout"], &["logits"], &[]),
        node(
            "ReduceMax",
            &["y"],
            &["extra"],
            &[("keepdims", Attribute::Int(0))],
        ),
        node("Mul", &["extra", "nothing"], &["q_halt"], &[]),
    ]);
    let mut stored = tensors.to_vec();
    stored.push(floats("readout", &[4, 6], &[0.5; 24]));
    // Not 0: tract would leave out what is multiplied by it.
    stored.push(floats("nothing", &[1], &[1e-20]));
    let inputs = [
        value("inputs", INT64, Some(&[1, 4])),
        value("z_L", FLOAT, Some(&[1, 4, 4])),
    ];
    let outputs = ["next_z_L", "logits", "q_halt"].map(|name| value(name, FLOAT, None));
    let graph = graph(&all, &stored, &inputs, &outputs);
    let start = Message::default().text(1, "L_init").text(2, "[1, 2, 3, 4]");
    model(&graph, operator_set).message(14, &start).0
}

/// [`step_of_set`] with operator set 17.
pub(crate) fn step(nodes: &[Message], tensors: &[Message]) -> Vec<u8> {
    step_of_set(nodes, tensors, 17)
}
