//! ONNX files that ask for endless time or memory, and files beside a graph that are not what they
//! seem. `cli/tests/cli/onnx.rs` runs the same files with little memory.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use trm_runtime::{ErrorKind, LoadOptions, Model, Result, Solver};

use super::said;
use crate::onnx_file::{FLOAT, Message, external, floats, integers, node, step, step_of_set};
use crate::onnx_hostile::cases;

/// Most processor time until a hostile file is refused.
const LIMIT: Duration = Duration::from_secs(1);

/// Measures processor time of the calling thread, so that a busy machine does not count. Elsewhere
/// than on Linux, it measures nothing.
struct Timer(Duration);

impl Timer {
    fn start() -> Self {
        Self(processor_time())
    }

    fn elapsed(&self) -> Duration {
        processor_time() - self.0
    }
}

fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn open(file: &[u8]) -> Result<Model> {
    Model::from_bytes(file.to_vec(), &LoadOptions::default())
}

#[test]
fn hostile_files_are_refused_at_once() {
    for case in cases() {
        let start = Timer::start();
        let error = open(&case.file).expect_err(&case.name);
        let time = start.elapsed();
        assert!(time < LIMIT, "{}: {time:?}", case.name);
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Checkpoint, "{}: {text}", case.name);
        for part in &case.says {
            assert!(
                text.contains(part),
                "{}: {part:?} is not in: {text}",
                case.name
            );
        }
        assert!(text.len() < 1000, "{}: {text}", case.name);
        assert!(!text.contains("tract"), "{}: {text}", case.name);
    }
}

/// Each value is small enough, but a run needs six at a time: all are multiplied by their sum.
#[test]
fn a_run_holds_bounded_memory() {
    let operators = ["Exp", "Sin", "Cos", "Tanh", "Sigmoid", "Erf"];
    let names = |prefix: &str| operators.map(|operator| format!("{prefix}{operator}"));
    let (sums, products) = (names("sum_"), names("product_"));
    let mut nodes = vec![node("Tile", &["z_L", "repeats"], &["tiled"], &[])];
    for ((operator, sum), product) in operators.iter().zip(&sums).zip(&products) {
        let keep = [("keepdims", crate::onnx_file::Attribute::Int(0))];
        nodes.push(node(operator, &["tiled"], &[operator], &[]));
        nodes.push(node("ReduceSum", &[operator], &[sum], &keep));
        let maximum = format!("max_{product}");
        nodes.push(node("Mul", &[operator, "sum"], &[product], &[]));
        nodes.push(node("ReduceMax", &[product], &[&maximum], &keep));
    }
    // The products follow the sum of all.
    nodes.sort_by_key(|node| node.0.windows(3).any(|part| part == b"pro"));
    let sum_names: Vec<&str> = sums.iter().map(String::as_str).collect();
    nodes.insert(
        1 + 2 * operators.len(),
        node("Sum", &sum_names, &["sum"], &[]),
    );
    let maxima: Vec<String> = products
        .iter()
        .map(|product| format!("max_{product}"))
        .collect();
    let maxima: Vec<&str> = maxima.iter().map(String::as_str).collect();
    nodes.push(node("Max", &maxima, &["y"], &[]));
    let refused = |repeats: i64| {
        let start = Timer::start();
        let result = open(&step(&nodes, &[integers("repeats", &[repeats, 1, 1])]));
        let time = start.elapsed();
        assert!(time < LIMIT, "{time:?}");
        result.map(|_| ())
    };
    let error = refused(15_000_000).unwrap_err();
    said(
        &error,
        ErrorKind::Checkpoint,
        &["the values that a run needs", "4096 MiB"],
    );
    refused(1_000_000).unwrap();
}

/// The step that the cases change is read and runs, so that each is refused for what it changes.
/// Operators that exporters write, with sizes that the graph computes, are read as well.
#[test]
fn operators_of_exporters_are_read() {
    let shape_of_state = || node("Shape", &["z_L"], &["sizes"], &[]);
    let one = integers("one", &[1]);
    let graphs: Vec<(&str, Vec<Message>, Vec<Message>)> = vec![
        ("Exp", vec![node("Exp", &["z_L"], &["y"], &[])], vec![]),
        (
            "Reshape to a computed size",
            vec![
                shape_of_state(),
                node("Gather", &["sizes", "zero"], &["batch"], &[]),
                node("Concat", &["batch", "rest"], &["shape"], &[super::axis(0)]),
                node("Reshape", &["z_L", "shape"], &["y"], &[]),
            ],
            vec![integers("zero", &[0]), integers("rest", &[-1])],
        ),
        (
            "Expand to the size of the state",
            vec![
                shape_of_state(),
                node("ConstantOfShape", &["sizes"], &["zeros"], &[]),
                node("Add", &["zeros", "z_L"], &["y"], &[]),
            ],
            vec![],
        ),
        (
            "a computed table of positions",
            vec![
                shape_of_state(),
                node("Gather", &["sizes", "length_axis"], &["length"], &[]),
                node("Squeeze", &["length"], &["limit"], &[]),
                node("Range", &["start", "limit", "step"], &["positions"], &[]),
                node("Cast", &["positions"], &["y"], &[super::to(FLOAT)]),
            ],
            vec![
                integers("length_axis", &[1]),
                crate::onnx_file::integer("start", 0),
                crate::onnx_file::integer("step", 1),
            ],
        ),
        (
            "a reversed slice",
            vec![node(
                "Slice",
                &["z_L", "from", "to", "one", "back"],
                &["y"],
                &[],
            )],
            vec![
                integers("from", &[-1]),
                integers("to", &[i64::MIN]),
                one.clone(),
                integers("back", &[-1]),
            ],
        ),
        (
            "an attention by Einsum",
            vec![
                node(
                    "Einsum",
                    &["z_L", "z_L"],
                    &["scores"],
                    &[super::equation("bid,bjd->bij")],
                ),
                node("Softmax", &["scores"], &["weights"], &[super::axis(-1)]),
                node(
                    "Einsum",
                    &["weights", "z_L"],
                    &["y"],
                    &[super::equation("bij,bjd->bid")],
                ),
            ],
            vec![],
        ),
        (
            "LayerNormalization",
            vec![node("LayerNormalization", &["z_L", "scale"], &["y"], &[])],
            vec![floats("scale", &[4], &[1.0; 4])],
        ),
    ];
    for (name, nodes, tensors) in graphs {
        let model = open(&step(&nodes, &tensors)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let solver = Solver::builder().build(model).unwrap();
        let mut stepper = solver.stepper(4, 1).unwrap();
        stepper.load(0, &[1, 2, 3, 0], 0).unwrap();
        stepper.step(&[0]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let logits = stepper.logits(0).unwrap();
        assert_eq!(logits, [5.0; 24], "{name}");
    }
}

/// Every operator set that is read takes its own form of attributes.
#[test]
fn old_forms_of_operators_are_read() {
    for set in [9, 10, 11, 12, 13, 17, 18] {
        let file = step_of_set(&[node("Exp", &["z_L"], &["y"], &[])], &[], set);
        open(&file).unwrap_or_else(|e| panic!("operator set {set}: {e}"));
    }
    let ints = |name, numbers: &[i64]| (name, super::ints(numbers));
    let slice = [ints("starts", &[0]), ints("ends", &[2]), ints("axes", &[1])];
    for (operator, attributes) in [
        ("Slice", &slice[..]),
        ("Unsqueeze", &[ints("axes", &[0])]),
        ("Squeeze", &[ints("axes", &[0])]),
        ("ReduceSum", &[ints("axes", &[1])]),
    ] {
        let file = step_of_set(&[node(operator, &["z_L"], &["y"], attributes)], &[], 9);
        open(&file).unwrap_or_else(|e| panic!("{operator}: {e}"));
    }
}

/// A graph that adds a `[4, 4]` tensor of another file to its state.
fn outside(entries: &[(&str, &str)]) -> Vec<u8> {
    let tensor = external("w", FLOAT, &[4, 4], entries);
    step(&[node("Add", &["z_L", "w"], &["y"], &[])], &[tensor])
}

/// A folder with a graph, and a file beside it.
fn folder(entries: &[(&str, &str)], bytes: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("step.onnx"), outside(entries)).unwrap();
    std::fs::write(folder.path().join("w.bin"), vec![0; bytes]).unwrap();
    folder
}

fn open_in(folder: &Path) -> Result<Solver> {
    let start = Timer::start();
    let result = Solver::open(folder.join("step.onnx"));
    let time = start.elapsed();
    assert!(time < LIMIT, "{time:?}");
    result
}

#[test]
fn files_beside_a_graph_are_read() {
    for location in ["w.bin", "./w.bin"] {
        let folder = folder(&[("location", location)], 64);
        open_in(folder.path()).unwrap();
    }
    let entries = [
        ("location", "w.bin"),
        ("offset", "8"),
        ("length", "64"),
        ("checksum", "x"),
    ];
    open_in(folder(&entries, 100).path()).unwrap();
}

#[test]
fn references_outside_the_file_are_refused() {
    let kind = ErrorKind::Checkpoint;
    let huge = u64::MAX.to_string();
    let cases: [(&[(&str, &str)], &[&str]); 10] = [
        (&[], &["\"w\"", "does not name"]),
        (&[("location", "")], &["\"w\"", "only files in the folder"]),
        (
            &[("location", "w.bin"), ("offset", "40")],
            &["w.bin", "24 bytes"],
        ),
        (
            &[("location", "w.bin"), ("offset", "40"), ("length", "64")],
            &["at byte 40"],
        ),
        (
            &[("location", "w.bin"), ("offset", &huge), ("length", "64")],
            &["w.bin", "at byte"],
        ),
        (
            &[("location", "w.bin"), ("length", "60")],
            &["60 bytes", "64 bytes"],
        ),
        (
            &[("location", "w.bin"), ("offset", "-1")],
            &["\"-1\"", "offset"],
        ),
        (
            &[("location", "w.bin"), ("length", "1e3")],
            &["\"1e3\"", "length"],
        ),
        (&[("location", "w.bin"), ("location", "x.bin")], &["twice"]),
        (&[("location", "w.bin"), ("offset", &huge)], &["0 bytes"]),
    ];
    for (entries, parts) in cases {
        let error = open_in(folder(entries, 64).path()).expect_err(parts[0]);
        said(&error, kind, parts);
    }
    let missing = open_in(folder(&[("location", "x.bin")], 64).path()).unwrap_err();
    said(&missing, kind, &["x.bin"]);
    for location in ["../w.bin", "/etc/hostname", "a/../w.bin", "/dev/zero"] {
        let error = open_in(folder(&[("location", location)], 64).path()).unwrap_err();
        said(
            &error,
            kind,
            &["\"w\"", location, "only files in the folder"],
        );
    }
}

/// A tensor that a hundred thousand names share does not take a hundred thousand times its bytes.
#[test]
fn shared_bytes_do_not_expand() {
    let entries = [("location", "w.bin")];
    let folder = folder(&entries, 1 << 20);
    let tensors: Vec<Message> = (0..100)
        .map(|i| external(&format!("w{i}"), FLOAT, &[1 << 18], &entries))
        .collect();
    let file = step(&[node("Exp", &["z_L"], &["y"], &[])], &tensors);
    std::fs::write(folder.path().join("step.onnx"), file).unwrap();
    let error = open_in(folder.path()).unwrap_err();
    said(&error, ErrorKind::Checkpoint, &["w.bin", "64 MiB"]);
    // A file with a hole is large and takes no space.
    let hole = std::fs::File::create(folder.path().join("w.bin")).unwrap();
    hole.set_len(1 << 42).unwrap();
    let tensors: Vec<Message> = (0..8)
        .map(|i| {
            let entries = [("location", "w.bin"), ("length", "1073741824")];
            external(&format!("w{i}"), FLOAT, &[1 << 28], &entries)
        })
        .collect();
    let file = step(&[node("Exp", &["z_L"], &["y"], &[])], &tensors);
    std::fs::write(folder.path().join("step.onnx"), file).unwrap();
    let error = open_in(folder.path()).unwrap_err();
    said(&error, ErrorKind::Checkpoint, &["w.bin", "4096 MiB"]);
}

#[cfg(unix)]
#[test]
fn pipes_folders_and_links_beside_a_graph_are_refused() {
    use std::os::unix::fs::symlink;
    let kind = ErrorKind::Checkpoint;
    let entries = [("location", "w.bin"), ("length", "64")];
    let place = |make: &dyn Fn(&Path)| {
        let folder = folder(&entries, 64);
        let file = folder.path().join("w.bin");
        std::fs::remove_file(&file).unwrap();
        make(&file);
        (open_in(folder.path()), folder)
    };
    let mkfifo = |path: &Path| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    // As for every file beside a model.
    let special_kind = ErrorKind::Io;
    let special = &["w.bin", "is not a regular file"];
    said(&place(&mkfifo).0.unwrap_err(), special_kind, special);
    said(
        &place(&|path| std::fs::create_dir(path).unwrap())
            .0
            .unwrap_err(),
        special_kind,
        special,
    );
    let to_pipe = |path: &Path| {
        mkfifo(&path.with_extension("fifo"));
        symlink("w.fifo", path).unwrap();
    };
    said(
        &place(&to_pipe).0.unwrap_err(),
        special_kind,
        &["w.fifo", "is not a regular file"],
    );
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("x.bin"), [0; 64]).unwrap();
    let leaves = &["\"w\"", "w.bin", "leaves the folder"];
    let to_outside = |path: &Path| symlink(outside.path().join("x.bin"), path).unwrap();
    said(&place(&to_outside).0.unwrap_err(), kind, leaves);
    said(
        &place(&|path| symlink("/dev/zero", path).unwrap())
            .0
            .unwrap_err(),
        kind,
        leaves,
    );
    let circle = |path: &Path| symlink("w.bin", path).unwrap();
    said(&place(&circle).0.unwrap_err(), kind, &["w.bin"]);
    let inside = |path: &Path| {
        std::fs::write(path.with_extension("data"), [0; 64]).unwrap();
        symlink("w.data", path).unwrap();
    };
    place(&inside).0.unwrap();

    // A folder of the graph's folder that leads elsewhere.
    let entries = [("location", "sub/x.bin"), ("length", "64")];
    let folder = folder(&entries, 64);
    symlink(outside.path(), folder.path().join("sub")).unwrap();
    said(
        &open_in(folder.path()).unwrap_err(),
        kind,
        &["leaves the folder"],
    );
}

/// A file that is cut while it is read gives an error, not a signal.
#[test]
fn a_file_that_is_cut_while_it_is_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: usize = 32 << 20;
    let tensor = external(
        "w",
        FLOAT,
        &[4, bytes as i64 / 16],
        &[("location", "w.bin")],
    );
    let nodes = [node("MatMul", &["z_L", "w"], &["y"], &[])];
    std::fs::write(folder.path().join("step.onnx"), step(&nodes, &[tensor])).unwrap();
    let weights = folder.path().join("w.bin");
    let (mut refused, mut opened) = (0, 0);
    for round in 0..12u64 {
        std::fs::write(&weights, vec![0; bytes]).unwrap();
        let cut = weights.clone();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(2 * round));
            let file = std::fs::OpenOptions::new().write(true).open(cut).unwrap();
            file.set_len(4096).unwrap();
        });
        match Solver::open(folder.path().join("step.onnx")) {
            Ok(_) => opened += 1,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("w.bin"), "{text}");
                refused += 1;
            }
        }
        other.join().unwrap();
    }
    assert!(refused > 0, "{refused} refused, {opened} opened");
}
