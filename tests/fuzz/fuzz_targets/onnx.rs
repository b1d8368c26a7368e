//! ONNX files: any bytes, a small file with changed bytes, and graphs of random operators with
//! random attributes. What is read also runs a step.
#![no_main]

#[allow(dead_code)]
#[path = "../../common/onnx_file.rs"]
mod onnx_file;

use onnx_file::{Attribute, Message, floats, node, step, step_of_set, tensor};
use trm_runtime::{LoadOptions, Model, Solver};

/// A step with open sizes and its weights inside.
const SMALL: &[u8] = include_bytes!("../../data/onnx/unknown.onnx");

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    match bytes.below(8) {
        0 => load(bytes.0.to_vec()),
        1 => load(changed(SMALL.to_vec(), &mut bytes)),
        2 => load(changed(random_graph(&mut bytes), &mut bytes)),
        _ => load(random_graph(&mut bytes)),
    }
});

fn load(file: Vec<u8>) {
    let set = [("seq_len", "4"), ("puzzle_emb_len", "0")];
    let options = LoadOptions {
        set: set.map(|(key, value)| (key.into(), value.into())).to_vec(),
        ..LoadOptions::default()
    };
    let Ok(model) = Model::from_bytes(file, &options) else {
        return;
    };
    let Ok(solver) = Solver::builder().threads(1).build(model) else {
        return;
    };
    if let Ok(mut stepper) = solver.stepper(4, 1) {
        let _ = stepper
            .load(0, &[0, 1, 2, 3], 0)
            .and_then(|()| stepper.step(&[0]));
    }
}

/// The fuzzer's bytes, read one after the other. Zeros follow the last.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        (usize::from(self.next()) | usize::from(self.next()) << 8) % limit.max(1)
    }

    /// A number that is often small, and sometimes at a limit.
    fn number(&mut self) -> i64 {
        const LIMITS: [i64; 14] = [
            i64::MIN,
            i64::MAX,
            1 << 62,
            1 << 40,
            1 << 32,
            (1 << 31) - 1,
            1 << 31,
            1 << 24,
            1 << 16,
            1 << 12,
            1000,
            64,
            -(1 << 31),
            -1000,
        ];
        match self.next() {
            small @ 0..=199 => i64::from(small % 10) - 3,
            index => LIMITS[usize::from(index) % LIMITS.len()],
        }
    }

    fn numbers(&mut self, most: usize) -> Vec<i64> {
        (0..self.below(most + 1)).map(|_| self.number()).collect()
    }
}

/// Exchanges, removes and repeats bytes of a file.
fn changed(mut file: Vec<u8>, bytes: &mut Bytes) -> Vec<u8> {
    for _ in 0..1 + bytes.below(6) {
        if file.is_empty() {
            return file;
        }
        let at = bytes.below(file.len());
        match bytes.below(4) {
            0 => file[at] ^= 1 << bytes.below(8),
            1 => file[at] = bytes.next(),
            2 => {
                let end = (at + bytes.below(16)).min(file.len());
                file.drain(at..end);
            }
            _ => {
                let end = (at + bytes.below(64)).min(file.len());
                let part = file[at..end].to_vec();
                file.splice(at..at, part);
            }
        }
    }
    file
}

/// Operators, and the attributes that each may get.
const OPERATORS: &[(&str, usize, &[&str])] = &[
    ("Exp", 1, &[]),
    ("Neg", 1, &[]),
    ("Relu", 1, &[]),
    ("Sigmoid", 1, &[]),
    ("Erf", 1, &[]),
    ("Not", 1, &[]),
    ("IsNaN", 1, &[]),
    ("Identity", 1, &[]),
    ("Round", 1, &[]),
    ("Softplus", 1, &[]),
    ("HardSwish", 1, &[]),
    ("Gelu", 1, &[]),
    ("Elu", 1, &["alpha"]),
    ("Cast", 1, &["to"]),
    ("CastLike", 2, &[]),
    ("Clip", 3, &[]),
    ("Dropout", 1, &[]),
    ("Softmax", 1, &["axis"]),
    ("LogSoftmax", 1, &["axis"]),
    ("CumSum", 2, &["exclusive", "reverse"]),
    ("Trilu", 2, &["upper"]),
    ("LayerNormalization", 3, &["axis"]),
    ("RMSNormalization", 2, &["axis"]),
    ("Add", 2, &[]),
    ("Sub", 2, &[]),
    ("Mul", 2, &[]),
    ("Div", 2, &[]),
    ("Pow", 2, &[]),
    ("Mod", 2, &["fmod"]),
    ("Equal", 2, &[]),
    ("Less", 2, &[]),
    ("GreaterOrEqual", 2, &[]),
    ("And", 2, &[]),
    ("Or", 2, &[]),
    ("PRelu", 2, &[]),
    ("Max", 3, &[]),
    ("Min", 2, &[]),
    ("Sum", 3, &[]),
    ("Mean", 2, &[]),
    ("Where", 3, &[]),
    ("ReduceSum", 2, &["axes", "keepdims", "noop_with_empty_axes"]),
    ("ReduceMean", 1, &["axes", "keepdims"]),
    ("ReduceMax", 1, &["axes", "keepdims"]),
    ("ReduceL2", 1, &["axes", "keepdims"]),
    ("ReduceProd", 1, &["axes", "keepdims"]),
    ("ReduceLogSumExp", 1, &["axes", "keepdims"]),
    ("ArgMax", 1, &["axis", "keepdims", "select_last_index"]),
    ("MatMul", 2, &[]),
    ("Gemm", 3, &["transA", "transB"]),
    ("Einsum", 2, &["equation"]),
    ("ConstantOfShape", 1, &["value"]),
    ("Shape", 1, &["start", "end"]),
    ("Size", 1, &[]),
    ("Reshape", 2, &["allowzero"]),
    ("Transpose", 1, &["perm"]),
    ("Flatten", 1, &["axis"]),
    ("Squeeze", 2, &["axes"]),
    ("Unsqueeze", 2, &["axes"]),
    ("Expand", 2, &[]),
    ("Tile", 2, &[]),
    ("Concat", 2, &["axis"]),
    ("Split", 2, &["axis", "split", "num_outputs"]),
    ("Slice", 5, &["starts", "ends"]),
    ("Gather", 2, &["axis"]),
    ("GatherElements", 2, &["axis"]),
    ("ScatterElements", 3, &["axis", "reduction"]),
    ("ScatterND", 3, &["reduction"]),
    ("Range", 3, &[]),
    ("Pad", 4, &["mode", "pads"]),
    ("OneHot", 3, &["axis"]),
    ("EyeLike", 1, &["dtype", "k"]),
    ("TopK", 2, &["axis", "largest", "sorted"]),
    ("Scan", 1, &["num_scan_inputs"]),
    ("MaxPool", 1, &["kernel_shape"]),
];

/// A step in which `y` is the last of a chain of random nodes.
fn random_graph(bytes: &mut Bytes) -> Vec<u8> {
    let mut tensors = Vec::new();
    let mut names = vec!["z_L".to_owned(), "inputs".to_owned()];
    for index in 0..bytes.below(5) {
        let name = format!("t{index}");
        tensors.push(random_tensor(&name, bytes));
        names.push(name);
    }
    let mut nodes = Vec::new();
    let mut last = "z_L".to_owned();
    for index in 0..1 + bytes.below(10) {
        let (operator, inputs, attributes) = OPERATORS[bytes.below(OPERATORS.len())];
        let count = match bytes.below(8) {
            0 => bytes.below(6),
            1 => 1,
            2 => 2,
            _ => inputs,
        };
        let first = bytes.below(3) > 0;
        let read: Vec<String> = (0..count)
            .map(|i| match (i, bytes.below(12)) {
                (0, _) if first => last.clone(),
                (_, 0) => String::new(),
                _ => names[bytes.below(names.len())].clone(),
            })
            .collect();
        let read: Vec<&str> = read.iter().map(String::as_str).collect();
        let outputs = match operator {
            "Split" | "TopK" | "Dropout" => 1 + bytes.below(3),
            _ => 1,
        };
        let written: Vec<String> = (0..outputs).map(|i| format!("v{index}_{i}")).collect();
        let output_names: Vec<&str> = written.iter().map(String::as_str).collect();
        let mut given = Vec::new();
        for name in attributes {
            if bytes.below(2) == 0 {
                given.push((*name, random_attribute(name, bytes)));
            }
        }
        nodes.push(node(operator, &read, &output_names, &given));
        last.clone_from(&written[0]);
        names.extend(written);
    }
    nodes.push(node("Cast", &[&last], &["y"], &[("to", Attribute::Int(onnx_file::FLOAT))]));
    match bytes.below(3) {
        0 => step_of_set(&nodes, &tensors, 9 + bytes.below(15) as i64),
        _ => step(&nodes, &tensors),
    }
}

fn random_tensor(name: &str, bytes: &mut Bytes) -> Message {
    match bytes.below(4) {
        0 => {
            let numbers = bytes.numbers(4);
            onnx_file::integers(name, &numbers)
        }
        1 => onnx_file::integer(name, bytes.number()),
        2 => {
            let shape: Vec<i64> = (0..bytes.below(4)).map(|_| bytes.below(5) as i64).collect();
            let len = shape.iter().product::<i64>() as usize;
            floats(name, &shape, &vec![bytes.number() as f32; len])
        }
        _ => {
            let element = bytes.below(14) as i64;
            let shape = [1, bytes.below(4) as i64];
            let content: Vec<u8> = (0..bytes.below(17)).map(|_| bytes.next()).collect();
            tensor(name, element, &shape, &content)
        }
    }
}

fn random_attribute(name: &str, bytes: &mut Bytes) -> Attribute {
    match name {
        "perm" | "axes" | "split" | "starts" | "ends" | "pads" | "kernel_shape" => {
            Attribute::Ints(bytes.numbers(6))
        }
        "alpha" => Attribute::Float(bytes.number() as f32),
        "value" => Attribute::Tensor(random_tensor("", bytes)),
        "mode" => {
            Attribute::Text(["constant", "edge", "reflect", "wrap"][bytes.below(4)].into())
        }
        "reduction" => Attribute::Text(["none", "add", "mul", "max"][bytes.below(4)].into()),
        "equation" => {
            const EQUATIONS: [&str; 7] = [
                "abc,ace->abe",
                "abc,abc->",
                "abc,dec->abde",
                "abc->cab",
                "ab,bc->ac",
                "a,b->ab",
                "abc,c->ab",
            ];
            Attribute::Text(EQUATIONS[bytes.below(EQUATIONS.len())].into())
        }
        "to" | "dtype" => Attribute::Int(bytes.below(17) as i64),
        _ => Attribute::Int(bytes.number()),
    }
}
