//! ONNX files of a few hundred bytes that ask for endless time or memory. Each must be refused at
//! once.

use super::onnx_file::Attribute::{Float, Graph, Int, Ints, Tensor, Text};
use super::onnx_file::{
    Attribute, BOOL, FLOAT, FLOAT16, INT64, Message, external, floats, graph, integer, integers,
    model, node, step, step_of_set, tensor, value,
};

/// A hostile file.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
    /// What the message contains.
    pub(crate) says: Vec<&'static str>,
}

/// A step with one operator on the state.
fn one(operator: &str, attributes: &[(&str, Attribute)]) -> Vec<u8> {
    step(&[node(operator, &["z_L"], &["y"], attributes)], &[])
}

/// A trillion.
const HUGE: i64 = 1_000_000_000_000;

/// Returns all cases.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, file: Vec<u8>, says: &[&'static str]| {
        cases.push(Case {
            name: name.into(),
            file,
            says: says.to_vec(),
        });
    };

    // Operators that are not on the list, with the node's name.
    let body = || {
        graph(
            &[node("Identity", &["a"], &["b"], &[])],
            &[],
            &[value("a", FLOAT, Some(&[4, 4]))],
            &[value("b", FLOAT, None)],
        )
    };
    let scan = ("num_scan_inputs", Int(HUGE));
    add(
        "Scan with 10^12 inputs",
        step(
            &[node(
                "Scan",
                &["z_L"],
                &["y"],
                &[scan, ("body", Graph(body()))],
            )],
            &[],
        ),
        &["\"my_scan_y\" (Scan)", "not supported"],
    );
    for (operator, attributes) in [
        ("Loop", vec![("body", Graph(body()))]),
        (
            "If",
            vec![
                ("then_branch", Graph(body())),
                ("else_branch", Graph(body())),
            ],
        ),
        ("LSTM", vec![("hidden_size", Int(HUGE))]),
        ("GRU", vec![("hidden_size", Int(HUGE))]),
        ("RNN", vec![("hidden_size", Int(HUGE))]),
        ("MaxPool", vec![("kernel_shape", Ints(vec![HUGE]))]),
        (
            "AveragePool",
            vec![("kernel_shape", Ints(vec![1_000_000_000]))],
        ),
        ("GlobalLpPool", vec![("p", Int(HUGE))]),
        ("LRN", vec![("size", Int(HUGE))]),
        (
            "Conv",
            vec![("kernel_shape", Ints(vec![HUGE])), ("group", Int(HUGE))],
        ),
        ("ConvTranspose", vec![("output_padding", Ints(vec![HUGE]))]),
        ("Resize", vec![("mode", Text("linear".into()))]),
        (
            "RandomNormal",
            vec![("shape", Ints(vec![1 << 20, 1 << 20]))],
        ),
        (
            "ConstantLike",
            vec![("shape", Ints(vec![1 << 20, 1 << 20]))],
        ),
        ("HannWindow", vec![]),
        ("MelWeightMatrix", vec![]),
        ("DFT", vec![]),
        ("SpaceToDepth", vec![("blocksize", Int(0))]),
        ("MatMulNBits", vec![("K", Int(HUGE)), ("N", Int(HUGE))]),
        ("NonZero", vec![]),
        ("Compress", vec![]),
        ("Multinomial", vec![("sample_size", Int(HUGE))]),
        ("TreeEnsembleClassifier", vec![]),
        ("NoSuchOperator", vec![]),
    ] {
        let file = step(&[node(operator, &["z_L"], &["y"], &attributes)], &[]);
        add(operator, file, &["node \"my_", operator, "not supported"]);
    }
    let foreign = node("Gelu", &["z_L"], &["y"], &[]).text(7, "com.microsoft");
    add(
        "another domain",
        step(&[foreign], &[]),
        &["\"com.microsoft\"", "my_gelu_y"],
    );

    // Attributes.
    for (name, order) in [
        ("all the same", vec![0, 0, 0]),
        ("too short", vec![0, 1]),
        ("too long", vec![0, 1, 2, 3]),
        ("out of range", vec![0, 1, 3]),
        ("huge", vec![0, 1, i64::MAX]),
        ("negative", vec![0, 1, i64::MIN]),
    ] {
        let perm = ("perm", Ints(order));
        add(
            &format!("Transpose, {name}"),
            step(&[node("Transpose", &["z_L"], &["y"], &[perm])], &[]),
            &["\"my_transpose_y\" (Transpose)", "\"perm\""],
        );
    }
    add(
        "Split into 10^12",
        step_of_set(
            &[node(
                "Split",
                &["z_L"],
                &["y"],
                &[("num_outputs", Int(HUGE))],
            )],
            &[],
            18,
        ),
        &["num_outputs", "1000000000000"],
    );
    for axis in [3, HUGE, i64::MAX, i64::MIN, -4] {
        for operator in ["Softmax", "ArgMax", "Concat", "LogSoftmax"] {
            add(
                &format!("{operator} along {axis}"),
                one(operator, &[("axis", Int(axis))]),
                &[operator, "axis"],
            );
        }
        add(
            &format!("Flatten at {axis}"),
            {
                let axis = if axis == 3 { 4 } else { axis };
                one("Flatten", &[("axis", Int(axis))])
            },
            &["Flatten", "axis"],
        );
    }
    add(
        "an attribute twice",
        {
            let axis = ("axis", Int(1));
            one("Softmax", &[axis.clone(), axis])
        },
        &["Softmax", "given twice"],
    );
    add(
        "an unknown attribute",
        one("Softmax", &[("body", Graph(body()))]),
        &["Softmax", "body"],
    );
    add(
        "an attribute of another type",
        one("Softmax", &[("axis", Float(1.0))]),
        &["Softmax", "\"axis\"", "int"],
    );
    add(
        "a reduction over an axis that is not there",
        one("ReduceMean", &[("axes", Ints(vec![7]))]),
        &["ReduceMean", "axis 7"],
    );

    // A few numbers that ask for much memory.
    let sum = |name: &str| {
        [
            node("ReduceSum", &[name], &["sum"], &[("keepdims", Int(0))]),
            node("Add", &["z_L", "sum"], &["y"], &[]),
        ]
    };
    let folded = |first: Vec<Message>, tensors: &[Message]| {
        let mut nodes = first;
        nodes.extend(sum("big"));
        step(&nodes, tensors)
    };
    let shape = integers("shape", &[1 << 20, 1 << 10]);
    add(
        "ConstantOfShape of 4 GiB",
        folded(
            vec![node("ConstantOfShape", &["shape"], &["big"], &[])],
            &[shape.clone()],
        ),
        &["ConstantOfShape", "[1048576, 1024]", "MiB"],
    );
    add(
        "ConstantOfShape of 256 MiB",
        folded(
            vec![node("ConstantOfShape", &["shape"], &["big"], &[])],
            &[integers("shape", &[1 << 16, 1 << 10])],
        ),
        &["ConstantOfShape", "MiB"],
    );
    for sizes in [
        vec![i64::MAX, i64::MAX],
        vec![-1],
        vec![1 << 62, 4],
        vec![0, i64::MAX],
        vec![1; 9],
    ] {
        add(
            &format!("ConstantOfShape {sizes:?}"),
            folded(
                vec![node("ConstantOfShape", &["shape"], &["big"], &[])],
                &[integers("shape", &sizes)],
            ),
            &["ConstantOfShape"],
        );
    }
    let scalar = floats("one", &[1], &[1.0]);
    add(
        "Expand of a constant",
        folded(
            vec![node("Expand", &["one", "shape"], &["big"], &[])],
            &[scalar.clone(), shape.clone()],
        ),
        &["Expand", "MiB"],
    );
    add(
        "Expand of the state",
        step(
            &[node("Expand", &["z_L", "shape"], &["y"], &[])],
            &[integers("shape", &[1 << 30, 4, 4])],
        ),
        &["Expand", "[1073741824, 4, 4]", "MiB"],
    );
    add(
        "Tile of a constant",
        folded(
            vec![node("Tile", &["one", "repeats"], &["big"], &[])],
            &[scalar.clone(), integers("repeats", &[1 << 34])],
        ),
        &["Tile", "MiB"],
    );
    add(
        "Tile of the state",
        step(
            &[node("Tile", &["z_L", "repeats"], &["y"], &[])],
            &[integers("repeats", &[HUGE, HUGE, HUGE])],
        ),
        &["Tile", "MiB"],
    );
    let to_float = || node("Cast", &["integers"], &["big"], &[("to", Int(FLOAT))]);
    add(
        "Range to 10^12",
        folded(
            vec![
                node("Range", &["zero", "limit", "one"], &["integers"], &[]),
                to_float(),
            ],
            &[
                integer("zero", 0),
                integer("limit", HUGE),
                integer("one", 1),
            ],
        ),
        &["Range", "MiB"],
    );
    add(
        "Range in steps of 0",
        folded(
            vec![
                node("Range", &["zero", "limit", "zero"], &["integers"], &[]),
                to_float(),
            ],
            &[integer("zero", 0), integer("limit", 10)],
        ),
        &["Range", "steps of 0"],
    );
    add(
        "Range in steps of -1",
        folded(
            vec![
                node("Range", &["zero", "limit", "step"], &["integers"], &[]),
                to_float(),
            ],
            &[
                integer("zero", 0),
                integer("limit", -10),
                integer("step", -1),
            ],
        ),
        &["Range", "steps of -1"],
    );
    for (name, pads) in [
        ("huge", vec![0, HUGE]),
        ("negative", vec![0, -1]),
        ("more than there are", vec![0, 0, 0, 1]),
        ("the largest", vec![i64::MAX, i64::MAX]),
    ] {
        add(
            &format!("Pad, {name}"),
            folded(
                vec![node("Pad", &["one", "pads"], &["big"], &[])],
                &[scalar.clone(), integers("pads", &pads)],
            ),
            &["Pad"],
        );
    }
    add(
        "Pad by reflection of more than there is",
        folded(
            vec![node(
                "Pad",
                &["one", "pads"],
                &["big"],
                &[("mode", Text("reflect".into()))],
            )],
            &[scalar.clone(), integers("pads", &[0, 1 << 20])],
        ),
        &["Pad", "larger than what they repeat"],
    );
    add(
        "OneHot of 10^12",
        step(
            &[node("OneHot", &["inputs", "depth", "values"], &["y"], &[])],
            &[integer("depth", HUGE), floats("values", &[2], &[0.0, 1.0])],
        ),
        &["OneHot", "MiB"],
    );
    add(
        "EyeLike of 4 GiB",
        folded(
            vec![
                node(
                    "ConstantOfShape",
                    &["shape"],
                    &["zeros"],
                    &[("value", Tensor(tensor("v", BOOL, &[1], &[0])))],
                ),
                node("EyeLike", &["zeros"], &["big"], &[("dtype", Int(FLOAT))]),
            ],
            &[integers("shape", &[1 << 13, 1 << 13])],
        ),
        &["EyeLike", "MiB"],
    );
    add(
        "TopK of more than there are",
        step(
            &[node("TopK", &["z_L", "k"], &["y", "indices"], &[])],
            &[integers("k", &[HUGE])],
        ),
        &["TopK", "1000000000000"],
    );
    add(
        "Gather that repeats a row",
        folded(
            vec![
                node(
                    "ConstantOfShape",
                    &["shape"],
                    &["rows"],
                    &[(
                        "value",
                        Tensor(tensor("v", INT64, &[1], &0i64.to_le_bytes())),
                    )],
                ),
                node("Gather", &["table", "rows"], &["big"], &[]),
            ],
            &[
                integers("shape", &[1 << 20]),
                floats("table", &[1, 1024], &[0.0; 1024]),
            ],
        ),
        &["Gather", "MiB"],
    );
    add(
        "Gather outside",
        step(
            &[node("Gather", &["z_L", "row"], &["y"], &[("axis", Int(1))])],
            &[integers("row", &[4])],
        ),
        &["Gather", "no element 4"],
    );

    // Small sizes that multiply.
    let doubled = |operator: &str, attributes: &[(&str, Attribute)], constant: bool| {
        let mut nodes = Vec::new();
        let mut last = if constant {
            "one".to_owned()
        } else {
            "z_L".to_owned()
        };
        for i in 0..40 {
            let next = if i == 39 {
                "big".to_owned()
            } else {
                format!("x{i}")
            };
            nodes.push(node(operator, &[&last, &last], &[&next], attributes));
            last = next;
        }
        folded(nodes, &[scalar.clone()])
    };
    let axis = [("axis", Int(0))];
    add(
        "Concat 40 times, of a constant",
        doubled("Concat", &axis, true),
        &["Concat", "MiB"],
    );
    add(
        "Concat 40 times, of the state",
        doubled("Concat", &axis, false),
        &["Concat", "MiB"],
    );
    let outer = |operator: &str| {
        let nodes = vec![
            node("ConstantOfShape", &["column"], &["a"], &[]),
            node("ConstantOfShape", &["row"], &["b"], &[]),
            node(operator, &["a", "b"], &["big"], &[]),
        ];
        folded(
            nodes,
            &[
                integers("column", &[1 << 16, 1]),
                integers("row", &[1, 1 << 16]),
            ],
        )
    };
    for operator in ["Add", "Mul", "Sub", "Div", "Pow", "Max", "Sum", "MatMul"] {
        add(
            &format!("{operator} of a row and a column"),
            outer(operator),
            &[operator, "MiB"],
        );
    }
    add(
        "Where of a row and a column",
        folded(
            vec![
                node("ConstantOfShape", &["column"], &["a"], &[]),
                node(
                    "ConstantOfShape",
                    &["row"],
                    &["b"],
                    &[("value", Tensor(tensor("v", BOOL, &[1], &[1])))],
                ),
                node("Where", &["b", "a", "a"], &["big"], &[]),
            ],
            &[
                integers("column", &[1 << 16, 1]),
                integers("row", &[1, 1 << 16]),
            ],
        ),
        &["Where", "MiB"],
    );
    add(
        "Einsum of a row and a column",
        folded(
            vec![
                node("ConstantOfShape", &["length"], &["a"], &[]),
                node(
                    "Einsum",
                    &["a", "a"],
                    &["big"],
                    &[("equation", Text("i,j->ij".into()))],
                ),
            ],
            &[integers("length", &[1 << 16])],
        ),
        &["Einsum", "MiB"],
    );
    for equation in [
        "i,j", "ii->i", "...i->i", "ij->i", "i->", "i->ii", "i->k", "->", "é->é",
    ] {
        let attributes = [("equation", Text(equation.into()))];
        add(
            &format!("Einsum {equation}"),
            one("Einsum", &attributes),
            &["Einsum", "\"equation\""],
        );
    }
    add(
        "a chain of 100 constants of 100 MB",
        {
            let mut nodes = Vec::new();
            let mut last = "start".to_owned();
            nodes.push(node("ConstantOfShape", &["shape"], &["start"], &[]));
            for i in 0..100 {
                let next = if i == 99 {
                    "big".to_owned()
                } else {
                    format!("x{i}")
                };
                nodes.push(node("Exp", &[&last], &[&next], &[]));
                last = next;
            }
            folded(nodes, &[integers("shape", &[25_000_000])])
        },
        &["Exp", "computed while the graph is loaded"],
    );
    add(
        "a product that takes minutes",
        {
            let nodes = vec![
                node("ConstantOfShape", &["shape"], &["a"], &[]),
                node("MatMul", &["a", "a"], &["b"], &[]),
                node("MatMul", &["b", "a"], &["big"], &[]),
            ];
            folded(nodes, &[integers("shape", &[3000, 3000])])
        },
        &["MatMul", "loading the graph would take more than"],
    );
    add(
        "a step that takes hours",
        {
            let mut nodes = vec![node("Tile", &["z_L", "repeats"], &["x0"], &[])];
            for i in 0..10 {
                let (a, b) = (format!("x{i}"), format!("x{}", i + 1));
                nodes.push(node(
                    "MatMul",
                    &[&a, &a],
                    &[if i == 9 { "big" } else { &b }],
                    &[],
                ));
            }
            folded(nodes, &[integers("repeats", &[1, 4000, 4000])])
        },
        &["MatMul", "a step would take more than"],
    );
    // 64-bit integers are kept as expressions, which take six times the memory.
    add(
        "64-bit integers of 64 MiB",
        folded(
            vec![
                node(
                    "ConstantOfShape",
                    &["shape"],
                    &["integers"],
                    &[(
                        "value",
                        Tensor(tensor("v", INT64, &[1], &1i64.to_le_bytes())),
                    )],
                ),
                to_float(),
            ],
            &[integers("shape", &[1 << 23])],
        ),
        &["ConstantOfShape", "MiB"],
    );
    // Numbers that are only known to tract, or rounded.
    add(
        "a size from rounded floats",
        {
            let nodes = vec![
                node("Add", &["large", "one"], &["sum"], &[]),
                node("Sub", &["sum", "large"], &["difference"], &[]),
                node("Mul", &["difference", "factor"], &["float"], &[]),
                node("Cast", &["float"], &["shape"], &[("to", Int(INT64))]),
                node("ConstantOfShape", &["shape"], &["big"], &[]),
            ];
            folded(
                nodes,
                &[
                    floats("large", &[1], &[16_777_216.0]),
                    scalar.clone(),
                    floats("factor", &[1], &[1e12]),
                ],
            )
        },
        &["ConstantOfShape", "not known before the graph runs"],
    );
    add(
        "a size from overflow",
        {
            let nodes = vec![
                node("Add", &["large", "large"], &["shape"], &[]),
                node("ConstantOfShape", &["shape"], &["big"], &[]),
            ];
            folded(nodes, &[integers("large", &[i64::MAX - (1 << 40)])])
        },
        &["ConstantOfShape", "not known before the graph runs"],
    );
    add(
        "a size from the division of a negative number",
        {
            let nodes = vec![
                node("Div", &["a", "b"], &["quotient"], &[]),
                node("Add", &["quotient", "c"], &["d"], &[]),
                node("Mul", &["d", "e"], &["shape"], &[]),
                node("ConstantOfShape", &["shape"], &["big"], &[]),
            ];
            let numbers = [("a", -3), ("b", 2), ("c", 1), ("e", -(1 << 40))];
            folded(
                nodes,
                &numbers.map(|(name, number)| integers(name, &[number])),
            )
        },
        &["ConstantOfShape", "not known before the graph runs"],
    );
    add(
        "a size from the puzzle",
        {
            let nodes = vec![
                node("Squeeze", &["inputs", "zero"], &["shape"], &[]),
                node("ConstantOfShape", &["shape"], &["big"], &[]),
            ];
            folded(nodes, &[integers("zero", &[0])])
        },
        &["ConstantOfShape", "not known before the graph runs"],
    );

    // Operands that grow a tensor which should keep its shape.
    let widened = |operator: &str, tensors: &[Message], names: &[&str]| {
        let inputs: Vec<&str> = ["row"].iter().chain(names).copied().collect();
        let mut nodes = vec![node("Slice", &["z_L", "n0", "n1", "n2"], &["row"], &[])];
        nodes.push(node(operator, &inputs, &["y"], &[]));
        let ends = [("n0", vec![0]), ("n1", vec![1]), ("n2", vec![2])];
        let mut all: Vec<Message> = ends
            .map(|(name, numbers)| integers(name, &numbers))
            .to_vec();
        all.extend_from_slice(tensors);
        step_of_set(&nodes, &all, 17)
    };
    let wide = floats("wide", &[64], &[1.0; 64]);
    for (operator, names) in [
        ("LayerNormalization", vec!["wide"]),
        ("PRelu", vec!["wide"]),
        ("Clip", vec!["wide"]),
    ] {
        add(
            &format!("{operator} with a wide operand"),
            widened(operator, std::slice::from_ref(&wide), &names),
            &[operator, "[64]"],
        );
    }
    add(
        "Gemm with a wide bias",
        step(
            &[
                node("Flatten", &["z_L"], &["flat"], &[]),
                node("Gemm", &["flat", "w", "wide"], &["y"], &[]),
            ],
            &[floats("w", &[16, 1], &[1.0; 16]), wide.clone()],
        ),
        &["Gemm", "[64]"],
    );

    // Slices in the old form, which tract computes without limits.
    for (name, starts, ends, axes) in [
        ("before the start", vec![-9], vec![4], vec![0]),
        ("backwards", vec![3], vec![1], vec![1]),
        ("of an axis that is not there", vec![0], vec![1], vec![9]),
        ("far before the end", vec![0], vec![-HUGE], vec![1]),
    ] {
        let attributes = [
            ("starts", Ints(starts)),
            ("ends", Ints(ends)),
            ("axes", Ints(axes)),
        ];
        add(
            &format!("an old slice {name}"),
            step_of_set(&[node("Slice", &["z_L"], &["y"], &attributes)], &[], 9),
            &["Slice"],
        );
    }
    for (name, steps) in [("0", 0), ("10^12", HUGE), ("the smallest", i64::MIN)] {
        let tensors = [("s", 0), ("e", 4), ("a", 1), ("step", steps)];
        add(
            &format!("a slice in steps of {name}"),
            step(
                &[node("Slice", &["z_L", "s", "e", "a", "step"], &["y"], &[])],
                &tensors.map(|(name, number)| integers(name, &[number])),
            ),
            &["Slice", "not a step"],
        );
    }

    // The graph itself.
    add(
        "a circle",
        {
            let nodes = [
                node("Add", &["z_L", "b"], &["a"], &[]),
                node("Add", &["a", "z_L"], &["b"], &[]),
                node("Identity", &["b"], &["y"], &[]),
            ];
            step(&nodes, &[])
        },
        &["\"b\"", "no node before it computes"],
    );
    add(
        "a value that is defined twice",
        {
            let nodes = [
                node("Identity", &["z_L"], &["y"], &[]),
                node("Exp", &["z_L"], &["y"], &[]),
            ];
            step(&nodes, &[])
        },
        &["\"y\" is defined twice"],
    );
    add(
        "100,000 nodes",
        {
            let mut nodes = vec![node("Identity", &["z_L"], &["x0"], &[])];
            for i in 0..100_000 {
                nodes.push(node(
                    "Neg",
                    &[&format!("x{i}")],
                    &[&format!("x{}", i + 1)],
                    &[],
                ));
            }
            step(&nodes, &[])
        },
        &["more than 10000 nodes"],
    );
    add(
        "a tensor of 1,000 axes",
        {
            let flat = tensor("flat", FLOAT, &[1; 1000], &[0; 4]);
            step(&[node("Add", &["z_L", "flat"], &["y"], &[])], &[flat])
        },
        &["\"flat\"", "1000 axes"],
    );
    add(
        "a tensor whose sizes overflow",
        {
            let flat = tensor("flat", FLOAT, &[1 << 32, 1 << 32], &[0; 4]);
            step(&[node("Add", &["z_L", "flat"], &["y"], &[])], &[flat])
        },
        &["\"flat\""],
    );
    add(
        "a tensor with too few bytes",
        {
            let flat = tensor("flat", FLOAT, &[1 << 28], &[0; 4]);
            step(&[node("Add", &["z_L", "flat"], &["y"], &[])], &[flat])
        },
        &["\"flat\"", "has 4 bytes"],
    );
    add(
        "a name of 64 kB",
        {
            let name = "x".repeat(1 << 16);
            let nodes = [
                node("Neg", &["z_L"], &[&name], &[]),
                node("Neg", &[&name], &["y"], &[]),
            ];
            step(&nodes, &[])
        },
        &["name of"],
    );
    add(
        "an operator set from the future",
        step_of_set(&[node("Neg", &["z_L"], &["y"], &[])], &[], 1000),
        &["operator set 1000"],
    );
    add(
        "no operator set",
        {
            let graph = graph(&[], &[], &[], &[]);
            Message::default().int(1, 8).message(7, &graph).0
        },
        &["operator set"],
    );
    add(
        "half precision, with the wrong number of bytes",
        {
            let flat = tensor("flat", FLOAT16, &[4], &[0; 16]);
            step(&[node("Add", &["z_L", "flat"], &["y"], &[])], &[flat])
        },
        &["\"flat\"", "16 bytes"],
    );

    // The encoding.
    add(
        "a million empty nodes",
        {
            let graph = (0..1_000_000).fold(Message::default(), |graph, _| graph.bytes(1, &[]));
            model(&graph, 17).0
        },
        &["more than 10000 nodes"],
    );
    add(
        "a million empty attributes",
        {
            let mut many = Message::default();
            for _ in 0..1_000_000 {
                many = many.bytes(5, &[]);
            }
            step(&[many], &[])
        },
        &["tiny or empty messages"],
    );
    add(
        "a million empty dimensions of an input",
        {
            let mut shape = Message::default();
            for _ in 0..4_000_000 {
                shape = shape.bytes(1, &[]);
            }
            let tensor = Message::default().int(1, FLOAT).message(2, &shape);
            let ty = Message::default().message(1, &tensor);
            let input = Message::default().text(1, "z_L").message(2, &ty);
            model(&graph(&[], &[], &[input], &[]), 17).0
        },
        &["tiny or empty messages"],
    );
    add(
        "graphs nested 1,000 deep",
        {
            let mut inner = graph(&[], &[], &[], &[]);
            for _ in 0..1000 {
                inner = graph(
                    &[node("If", &["c"], &["y"], &[("then_branch", Graph(inner))])],
                    &[],
                    &[],
                    &[],
                );
            }
            model(&inner, 17).0
        },
        &["nested more than"],
    );
    add(
        "types nested in brackets",
        {
            let name = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
            let axis = Message::default().text(2, &name);
            let shape = Message::default().message(1, &axis);
            let tensor = Message::default().int(1, FLOAT).message(2, &shape);
            let ty = Message::default().message(1, &tensor);
            let input = Message::default().text(1, "z_L").message(2, &ty);
            model(&graph(&[], &[], &[input], &[]), 17).0
        },
        &["\"z_L\"", "1 axes"],
    );
    for (field, name) in [(20, "training information"), (25, "functions of its own")] {
        add(
            name,
            {
                let mut file = step(&[node("Neg", &["z_L"], &["y"], &[])], &[]);
                file.extend(Message::default().bytes(field, &[]).0);
                file
            },
            &["contains", name],
        );
    }
    add(
        "sparse tensors",
        {
            let graph = graph(&[], &[], &[], &[]).bytes(15, &[]);
            model(&graph, 17).0
        },
        &["sparse tensors"],
    );
    add(
        "metadata of 17 MiB",
        {
            let mut file = step(&[node("Neg", &["z_L"], &["y"], &[])], &[]);
            let text = "0,".repeat((17 << 20) / 2);
            let entry = Message::default().text(1, "H_init").text(2, &text);
            file.extend(Message::default().message(14, &entry).0);
            file
        },
        &["metadata"],
    );
    add(
        "a batch of 10^12",
        {
            let inputs = [
                value("inputs", INT64, Some(&[HUGE, 4])),
                value("z_L", FLOAT, Some(&[HUGE, 4, 4])),
            ];
            model(&graph(&[], &[], &inputs, &[]), 17).0
        },
        &["batch size"],
    );
    add(
        "states of 10^12 positions",
        {
            let inputs = [
                value("inputs", INT64, Some(&[1, 4])),
                value("z_L", FLOAT, Some(&[1, HUGE, HUGE])),
            ];
            model(&graph(&[], &[], &inputs, &[]), 17).0
        },
        &["1000000000000"],
    );
    add(
        "states of 2^48 numbers",
        {
            let outputs = ["next_z_L", "logits", "q_halt"].map(|name| value(name, FLOAT, None));
            let inputs = [
                value("inputs", INT64, Some(&[1, 1 << 24])),
                value("z_L", FLOAT, Some(&[1, 1 << 24, 1 << 24])),
            ];
            model(&graph(&[], &[], &inputs, &outputs), 17).0
        },
        &["\"z_L\"", "MiB"],
    );
    add(
        "a file outside without a folder",
        {
            let outside = external("w", FLOAT, &[4, 4], &[("location", "/etc/passwd")]);
            step(&[node("Add", &["z_L", "w"], &["y"], &[])], &[outside])
        },
        &["\"w\"", "/etc/passwd"],
    );
    cases
}
