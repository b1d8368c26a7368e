//! ONNX graphs exported from PyTorch: the same numbers and answers as the checkpoint they come
//! from.
//!
//! The graphs of tests/data/onnx leave their weights in the checkpoint, which is copied beside
//! them. If Python has PyTorch, they are also exported anew (`TRM_PYTHON` names the interpreter).

mod hostile;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rebuild::Rebuild;
use tempfile::TempDir;
use trm_runtime::low_level::config::State;
use trm_runtime::task::Puzzle;
use trm_runtime::{
    Answer, Device, Error, ErrorKind, HaltRule, Hint, LoadOptions, Solver, WeightDtype,
};

use crate::data::data;
use crate::each::test_each;
use crate::expected::{CASES, Expected, run};
use crate::noise::Noise;
use crate::onnx_file::Attribute;
use crate::skip::skip;
use crate::solving::{finish, puzzles};

/// A graph with its weights beside it.
struct Exported {
    folder: TempDir,
    graph: PathBuf,
}

impl Exported {
    /// The graph `name` of a folder, over the weights of `checkpoint`.
    fn new(graphs: &Path, name: &str, checkpoint: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let graph = folder.path().join("graph.onnx");
        std::fs::copy(graphs.join(format!("{name}.onnx")), &graph).unwrap();
        std::fs::copy(
            checkpoint,
            folder.path().join(checkpoint.file_name().unwrap()),
        )
        .unwrap();
        Self { folder, graph }
    }

    fn golden(name: &str) -> Self {
        let checkpoint = data("golden").join(name).join("step_100");
        Self::new(&data("onnx"), name, &checkpoint)
    }

    fn bundled(name: &str) -> Self {
        Self::new(&data("onnx"), name, &checkpoint(name))
    }

    /// Replaces `from` by `to` wherever it occurs in a file. Both have one length, so that no
    /// length in the file changes.
    fn replace(self, file: &str, from: &[u8], to: &[u8]) -> Self {
        assert_eq!(from.len(), to.len(), "bytes");
        let path = self.folder.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let found: Vec<usize> = (0..bytes.len() - from.len())
            .filter(|&at| bytes[at..].starts_with(from))
            .collect();
        assert!(!found.is_empty(), "no {from:?} in {file}");
        for at in found {
            bytes[at..][..to.len()].copy_from_slice(to);
        }
        std::fs::write(&path, bytes).unwrap();
        self
    }

    fn open(&self) -> trm_runtime::Result<Solver> {
        Solver::open(&self.graph)
    }

    fn with(&self, set: &[(&str, &str)]) -> trm_runtime::Result<Solver> {
        let options = LoadOptions {
            set: set
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
            ..LoadOptions::default()
        };
        Solver::builder().load_options(options).open(&self.graph)
    }
}

/// The file of a bundled model.
fn checkpoint(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(name)
        .join("model.safetensors")
}

fn failures(exported: &Exported, name: &str) -> Vec<String> {
    let solver = exported.open().unwrap();
    let expected = Expected::open(&data("golden").join(name));
    let slots = expected.integers("puzzle_identifiers").len();
    let tokens = expected.integers("inputs").len() / slots;
    let mut stepper = solver.stepper(tokens, slots).unwrap();
    run(&mut *stepper, solver.model(), &expected)
}

#[test]
fn every_variant_equals_pytorch() {
    test_each(CASES.map(|name| (name, name)), |name| {
        let found = failures(&Exported::golden(name), name);
        assert!(found.is_empty(), "{found:#?}");
    });
}

/// Planted bugs: a changed weight, a wrong state written, another rule.
#[test]
fn the_comparison_catches_planted_bugs() {
    for name in CASES {
        let file = std::fs::read(data("golden").join(name).join("step_100")).unwrap();
        // The middle of the file lies in the weights of a block.
        let from = &file[(file.len() / 2) & !3..][..16];
        let exported = Exported::golden(name).replace("step_100", from, &[0; 16]);
        assert!(!failures(&exported, name).is_empty(), "{name}");
    }
    // Exchanged states: their names have one length, unlike q_halt and q_continue.
    let swapped = Exported::golden("trm_mlp")
        .replace("graph.onnx", b"next_z_H", b"next_z_X")
        .replace("graph.onnx", b"next_z_L", b"next_z_H")
        .replace("graph.onnx", b"next_z_X", b"next_z_L");
    assert!(!failures(&swapped, "trm_mlp").is_empty());
}

fn solve(solver: &Solver, puzzles: &[Puzzle]) -> Vec<Answer> {
    finish(solver.session(puzzles).unwrap())
}

const BUNDLED: [(&str, &str); 4] = [
    ("sudoku-4x4", "sudoku_4x4_test.csv"),
    ("sudoku-6x6", "sudoku_6x6_mixed_test.csv"),
    ("sudoku-9x9", "sudoku_9x9_newspaper_test.csv"),
    ("maze-10x10", "maze_10x10_test_1000.csv"),
];

/// Logits after a step are close, and puzzles take the same steps to the same answers.
#[test]
fn bundled_models_solve_alike() {
    for (name, file) in BUNDLED {
        let exported = Exported::bundled(name);
        let graph = exported.open().unwrap();
        let native = Solver::builder()
            .device(Device::Cpu)
            .open(checkpoint(name))
            .unwrap();
        let puzzles = puzzles(file, 12);
        compare_logits(name, &graph, &native, &puzzles[0]);
        let (ours, theirs) = (solve(&native, &puzzles), solve(&graph, &puzzles));
        let mut halted = 0;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let what = format!("{name} {}", ours.id);
            assert_eq!((theirs.device, &theirs.task), ("cpu", &ours.task));
            assert_eq!(
                (ours.steps, ours.halted),
                (theirs.steps, theirs.halted),
                "{what}"
            );
            // A maze that does not halt changes up to the last step, and the last bit decides how.
            if ours.halted {
                halted += 1;
                assert_eq!(ours.tokens, theirs.tokens, "{what}");
                assert!(
                    (ours.halting.logit - theirs.halting.logit).abs() < 1e-2,
                    "{what}"
                );
            }
        }
        assert!(halted >= 5, "{name}: {halted} of 12 halted");
    }
}

fn compare_logits(name: &str, graph: &Solver, native: &Solver, puzzle: &Puzzle) {
    let step = |solver: &Solver| {
        let (problem, _) = solver.encode(puzzle).unwrap();
        let mut stepper = solver.stepper(problem.tokens.len(), 1).unwrap();
        stepper.load(0, &problem.tokens, 0).unwrap();
        stepper.step(&[0]).unwrap();
        stepper.logits(0).unwrap()
    };
    let (ours, theirs) = (step(native), step(graph));
    let worst = ours
        .iter()
        .zip(&theirs)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 5e-4, "{name}: logits differ by {worst:e}");
}

/// Logits are the same bits in any batch, with any graph batch and number of threads.
#[test]
fn an_answer_depends_on_neither_batch_nor_threads() {
    let puzzles = puzzles("sudoku_4x4_test.csv", 7);
    let exported = Exported::bundled("sudoku-4x4");
    let graph = exported
        .open()
        .unwrap()
        .rebuild(|b| b.halt_rule(HaltRule::Never).max_steps(3));
    let bits = |answers: Vec<Answer>| {
        answers
            .iter()
            .map(|a| a.halting.logit.to_bits())
            .collect::<Vec<_>>()
    };
    let alone: Vec<u32> = puzzles
        .iter()
        .flat_map(|puzzle| {
            bits(solve(
                &graph.rebuild(|b| b.batch(1).threads(1)),
                std::slice::from_ref(puzzle),
            ))
        })
        .collect();
    for (batch, threads) in [(1, 1), (2, 2), (7, 3), (16, 1)] {
        assert_eq!(
            bits(solve(
                &graph.rebuild(|b| b.batch(batch).threads(threads)),
                &puzzles
            )),
            alone,
            "{batch} {threads}"
        );
    }

    // A graph of two puzzles at a time: the second slot has another puzzle, or the same once more.
    let pairs = Exported::golden("trm_mlp").open().unwrap();
    let expected = Expected::open(&data("golden/trm_mlp"));
    let (inputs, ids) = (
        expected.integers("inputs"),
        expected.integers("puzzle_identifiers"),
    );
    let run = |order: &[usize]| -> Vec<Vec<f32>> {
        let mut stepper = pairs.stepper(16, order.len()).unwrap();
        for (slot, &puzzle) in order.iter().enumerate() {
            stepper
                .load(slot, &inputs[puzzle * 16..][..16], ids[puzzle])
                .unwrap();
        }
        stepper.step(&(0..order.len()).collect::<Vec<_>>()).unwrap();
        (0..order.len())
            .map(|slot| stepper.state(slot, State::H).unwrap())
            .collect()
    };
    let together = run(&[0, 1, 2]);
    assert_eq!(run(&[2, 0]), [together[2].clone(), together[0].clone()]);
    assert_eq!(run(&[1]), [together[1].clone()]);
}

#[test]
fn multi_start_runs_a_graph() {
    let exported = Exported::bundled("sudoku-6x6");
    let starts = trm_runtime::MultiStart::new(4);
    let solver = exported.open().unwrap().rebuild(|b| b.multi_start(starts));
    let answer = solver
        .solve(&puzzles("sudoku_6x6_minimal_test.csv", 1)[0])
        .unwrap();
    assert_eq!(answer.valid, Some(true));
}

fn refused(result: trm_runtime::Result<Solver>, kind: ErrorKind, parts: &[&str]) {
    let error = result.expect_err(&parts.join(" "));
    said(&error, kind, parts);
}

/// Returns the names of the hyper-parameters that the hint asks for.
fn hinted(error: &Error) -> Vec<&str> {
    match error.hint() {
        Some(Hint::SetHyperparameters(all)) => all.iter().map(|(name, _)| name.as_str()).collect(),
        hint => panic!("{error}: {hint:?}"),
    }
}

fn said(error: &Error, kind: ErrorKind, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn missing_inputs_and_outputs_are_named() {
    let changed = |from: &str, to: &str| {
        Exported::golden("trm_mlp")
            .replace("graph.onnx", from.as_bytes(), to.as_bytes())
            .open()
    };
    let kind = ErrorKind::Checkpoint;
    refused(
        changed("next_z_L", "next_z_X"),
        kind,
        &["graph.onnx", "\"next_z_L\"", "is missing", "next_z_X"],
    );
    refused(changed("q_halt", "q_holt"), kind, &["\"q_halt\""]);
    refused(changed("logits", "lagits"), kind, &["\"logits\"", "lagits"]);
    refused(
        changed("inputs", "inpats"),
        kind,
        &["input \"inpats\"", "is not an input of a refinement step"],
    );
    refused(changed("z_H", "z_G"), kind, &["\"z_G\""]);
    refused(
        changed("step_100", "step_999"),
        kind,
        &["graph.onnx", "step_999"],
    );

    // Without the rows, a step from a given state is all that can be taken.
    let exported = Exported::bundled("sudoku-4x4").replace("graph.onnx", b"H_init", b"H_inix");
    refused(exported.open(), kind, &["\"H_init\"", "is missing"]);
    let exported = exported.replace("graph.onnx", b"L_init", b"L_inix");
    assert!(
        exported
            .open()
            .unwrap()
            .solve(&puzzles("sudoku_4x4_test.csv", 1)[0])
            .unwrap()
            .valid
            .unwrap(),
        "they stand in the checkpoint"
    );
    std::fs::write(exported.folder.path().join("graph.safetensors"), b"{}").unwrap();
    refused(exported.open(), kind, &["graph.safetensors"]);
}

#[test]
fn devices_dtypes_and_identifiers_that_a_graph_lacks_are_errors() {
    let exported = Exported::golden("trm_mlp");
    let solver = exported.open().unwrap();
    let model = || solver.model().clone();
    let on_gpu = solver.to_builder().device(Device::Gpu(None));
    let device = on_gpu.build(model()).unwrap_err();
    said(&device, ErrorKind::Device, &["the CPU alone"]);
    let in_int8 = solver.to_builder().dtype(WeightDtype::Int8);
    let format = in_int8.build(model()).unwrap_err();
    said(&format, ErrorKind::Argument, &["number format"]);
    assert_eq!(solver.device_name().unwrap(), "cpu");
    assert!(solver.device_choice_reason().unwrap().contains("tract"));

    let mut stepper = solver.stepper(16, 1).unwrap();
    let known = solver.model().config.num_puzzle_identifiers as u32;
    assert!(known > 1);
    stepper.load(0, &[1; 16], known - 1).unwrap();
    said(
        &stepper.load(0, &[1; 16], known).unwrap_err(),
        ErrorKind::Argument,
        &["identifier", &known.to_string()],
    );
    said(
        &stepper.load(0, &[9999; 16], 0).unwrap_err(),
        ErrorKind::Argument,
        &["9999"],
    );
    said(
        &stepper.load(0, &[1; 15], 0).unwrap_err(),
        ErrorKind::Argument,
        &["16"],
    );
    said(
        &solver.plan(16).unwrap_err(),
        ErrorKind::Checkpoint,
        &["ONNX graph"],
    );
    said(
        &solver
            .model()
            .save(exported.folder.path().join("x"), &Default::default())
            .unwrap_err(),
        ErrorKind::Checkpoint,
        &["ONNX"],
    );
}

#[test]
fn options_override_the_file() {
    let exported = Exported::golden("trm_mlp");
    assert_eq!(
        exported
            .with(&[("halt_max_steps", "3")])
            .unwrap()
            .policy()
            .max_steps,
        3
    );
    assert_eq!(
        exported
            .with(&[("task", "sudoku")])
            .unwrap()
            .model()
            .config
            .task
            .as_deref(),
        Some("sudoku")
    );
    refused(
        exported.with(&[("hidden_size", "7")]),
        ErrorKind::Config,
        &["hidden_size is 7", "states"],
    );
    refused(
        exported.with(&[("seq_len", "7")]),
        ErrorKind::Config,
        &["seq_len is 7"],
    );
    // The published rules of HRM, from the exporter's word.
    assert!(
        !Exported::golden("hrm")
            .open()
            .unwrap()
            .model()
            .config
            .no_act_continue
    );
}

fn axis(axis: i64) -> (&'static str, Attribute) {
    ("axis", Attribute::Int(axis))
}

fn to(element: i64) -> (&'static str, Attribute) {
    ("to", Attribute::Int(element))
}

fn ints(numbers: &[i64]) -> Attribute {
    Attribute::Ints(numbers.to_vec())
}

fn equation(text: &str) -> (&'static str, Attribute) {
    ("equation", Attribute::Text(text.into()))
}

/// A step of an unpublished architecture with open sizes, 32-bit tokens and outputs in another
/// order. Its initial states lie beside it.
#[test]
fn unpublished_architectures_run() {
    let folder = tempfile::tempdir().unwrap();
    let graph = folder.path().join("step.onnx");
    std::fs::copy(data("onnx/unknown.onnx"), &graph).unwrap();
    let error = Solver::open(&graph).unwrap_err();
    said(
        &error,
        ErrorKind::Checkpoint,
        &["input \"inputs\"", "does not fix the size S"],
    );
    assert_eq!(hinted(&error), ["seq_len"]);
    let exported = Exported { folder, graph };
    let set = [("seq_len", "3")];
    let error = exported.with(&set).unwrap_err();
    said(&error, ErrorKind::Checkpoint, &["does not fix the size L"]);
    assert_eq!(hinted(&error), ["puzzle_emb_len"]);
    let set = [("seq_len", "3"), ("puzzle_emb_len", "0")];
    let bare = exported.with(&set).unwrap();
    assert!(
        bare.model()
            .notes
            .iter()
            .all(|note| !note.contains("no_ACT_continue")),
        "it has no other logit"
    );
    let mut stepper = bare.stepper(3, 1).unwrap();
    said(
        &stepper.step(&[0]).unwrap_err(),
        ErrorKind::Argument,
        &["slot 0 has no puzzle"],
    );
    stepper.load(0, &[0, 1, 5], 7).unwrap();
    said(
        &stepper.step(&[0]).unwrap_err(),
        ErrorKind::Checkpoint,
        &["L_init"],
    );

    let row: Vec<u8> = [2.0f32, 4.0, 6.0, 8.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![4], &row).unwrap();
    let file = safetensors::serialize([("L_init", view)], None).unwrap();
    std::fs::write(exported.folder.path().join("step.safetensors"), file).unwrap();
    let mut stepper = exported.with(&set).unwrap().stepper(3, 2).unwrap();
    stepper.load(1, &[0, 1, 5], 7).unwrap();
    stepper.step(&[1]).unwrap();
    let state: Vec<f32> = [0.0f32, 4.0, 20.0]
        .iter()
        .flat_map(|first| (0..4).map(move |i| first + i as f32 + 1.0 + i as f32))
        .collect();
    assert_eq!(stepper.state(1, State::L).unwrap(), state);
    let logits: Vec<f32> = state
        .chunks(4)
        .flat_map(|row| {
            (0..6).map(move |v| {
                (0..4)
                    .map(|i| row[i] * ((i * 6 + v) % 5) as f32 - 2.0 * row[i])
                    .sum()
            })
        })
        .collect();
    assert_eq!(stepper.logits(1).unwrap(), logits);
    let halting = stepper.halting(1).unwrap();
    assert_eq!(
        (halting.q_halt, halting.q_continue, halting.logit),
        (24.0, 0.0, 24.0)
    );
}

/// Damaged and cut files are errors: no panic, no endless loop, no memory beyond what the file has.
#[test]
fn damaged_files_are_errors() {
    let whole = std::fs::read(data("onnx/trm_mlp.onnx")).unwrap();
    let folder = Exported::golden("trm_mlp");
    let mut noise = Noise(7);
    // `.ci/long fuzz` asks for more.
    let rounds = std::env::var("TRM_DAMAGED").map_or(120, |n| n.parse().unwrap());
    let mut opened = 0;
    for round in 0..rounds {
        let mut bytes = whole.clone();
        match round % 3 {
            0 => bytes.truncate(3 + noise.below(bytes.len() - 3)),
            1 => (0..1 + round / 10 % 12).for_each(|_| {
                let at = noise.below(bytes.len());
                bytes[at] ^= 1 << noise.below(8);
            }),
            _ => {
                let at = noise.below(bytes.len());
                bytes[at] = 0xff;
            }
        }
        std::fs::write(&folder.graph, &bytes).unwrap();
        let Ok(solver) = folder.open() else { continue };
        opened += 1;
        // What still opens still runs, or says why not.
        if let Ok(mut stepper) = solver.stepper(16, 1) {
            let _ = stepper
                .load(0, &[1; 16], 0)
                .and_then(|()| stepper.step(&[0]));
        }
    }
    assert!(
        (1..rounds - 10).contains(&opened),
        "{opened} of {rounds} opened"
    );
}

/// The exporter, run here.
#[test]
fn the_exporter_writes_the_stored_graphs() {
    let python = std::env::var("TRM_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_torch = Command::new(&python)
        .args(["-c", "import torch, onnx, yaml, safetensors"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !has_torch {
        return skip(
            "TORCH",
            &format!("{python} has no torch, onnx, yaml and safetensors"),
        );
    }
    let graphs = tempfile::tempdir().unwrap();
    let made = Command::new(&python)
        .arg(data("onnx/make.py"))
        .arg(graphs.path())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    for name in CASES {
        let exported = Exported::new(
            graphs.path(),
            name,
            &data("golden").join(name).join("step_100"),
        );
        let found = failures(&exported, name);
        assert!(found.is_empty(), "{name}: {found:#?}");
    }
    for (name, file) in BUNDLED {
        let exported = Exported::new(graphs.path(), name, &checkpoint(name));
        let native = Solver::builder()
            .device(Device::Cpu)
            .open(checkpoint(name))
            .unwrap();
        compare_logits(
            name,
            &exported.open().unwrap(),
            &native,
            &puzzles(file, 1)[0],
        );
    }
}
