//! Files as training and its relatives write them, made by tests/data/checkpoint/make.py.

use std::path::PathBuf;

use trm_runtime::low_level::checkpoint::{Checkpoint, Dtype};
use trm_runtime::low_level::config::{Architecture, PosEncodings};
use trm_runtime::{LoadOptions, Model};

use super::build::{data, element, fails};

fn open(name: &str) -> Result<Model, String> {
    open_with(name, false)
}

fn open_with(name: &str, ignore_unknown_tensors: bool) -> Result<Model, String> {
    let config: Option<PathBuf> = Some(data("training/all_config.yaml"));
    Model::open(
        data(name),
        &LoadOptions {
            config,
            ignore_unknown_tensors,
            ..LoadOptions::default()
        },
    )
    .map_err(|e| e.to_string())
}

/// Checks that every weight and every row of the puzzle embedding is what make.py wrote, plus `add`
/// for the weights that `added` selects.
#[track_caller]
fn check(model: &Model, added: impl Fn(&str) -> bool, add: f32) {
    let expect = |name: &str, i: usize| element(name, i) + if added(name) { add } else { 0.0 };
    let weights = model.take_weights().unwrap();
    for weight in model.config.weights() {
        let (name, found) = (weight.name(), weights.get(weight));
        for (i, value) in found.data.iter().enumerate() {
            assert_eq!(*value, expect(&name, i), "{name}, element {i}");
        }
    }
    let rows = model.puzzle_rows.as_ref().unwrap();
    for id in 0..3 {
        for (i, value) in rows.row(id).unwrap().iter().enumerate() {
            assert_eq!(
                *value,
                expect("puzzle_emb.weights", 6 * id as usize + i),
                "row {id}, element {i}"
            );
        }
    }
}

#[test]
fn a_training_folder_is_read() {
    let model = Model::open(data("training"), &LoadOptions::default()).unwrap();
    assert_eq!(
        model.path.as_deref().unwrap().file_name().unwrap(),
        "step_100",
        "the newest, not the first by name"
    );
    check(&model, |_| false, 0.0);
    let config = &model.config;
    assert_eq!(
        (config.variant, config.h_cycles, config.l_cycles),
        (Architecture::Trm, 3, 4)
    );
    assert_eq!(
        (config.num_heads, config.pos_encodings, config.prefix_len()),
        (2, PosEncodings::Rope, 2)
    );
    assert_eq!(
        (config.seq_len, config.num_puzzle_identifiers),
        (Some(16), 3)
    );
    let from = |name| {
        model
            .provenance
            .iter()
            .find(|p| p.name == name)
            .unwrap()
            .from
            .as_str()
    };
    assert_eq!(from("H_cycles"), "all_config.yaml");
    assert_eq!(from("seq_len"), "dataset.json");
    assert_eq!(from("vocab_size"), "shape of embed_tokens.embedding_weight");
    let [note] = model.notes.as_slice() else {
        panic!("{:?}", model.notes)
    };
    assert!(
        note.contains("step_100 is used") && note.contains("step_9"),
        "{note}"
    );
    let stored = model.tensors.iter().find(|t| t.name == "H_init").unwrap();
    assert_eq!(
        (stored.stored_name.as_str(), stored.dtype),
        ("_orig_mod.model.inner.H_init", Dtype::BF16)
    );
}

#[test]
fn a_single_checkpoint_uses_the_configuration_beside_it() {
    let model = Model::open(data("training/step_9"), &LoadOptions::default()).unwrap();
    check(&model, |_| true, 0.5);
}

#[test]
fn prefixes_and_nestings_are_removed() {
    for i in 0..5 {
        check(
            &open(&format!("wild/prefix_{i}.pt")).unwrap(),
            |_| false,
            0.0,
        );
    }
    for name in ["nested_model.pth", "nested_state_dict.ckpt", "checkpoint"] {
        let model = open(&format!("wild/{name}")).unwrap();
        check(&model, |_| false, 0.0);
        assert!(model.notes.is_empty(), "{:?}", model.notes);
    }
}

#[test]
fn all_element_types_are_read() {
    for name in ["f64", "f16", "bf16"] {
        check(&open(&format!("wild/{name}.pt")).unwrap(), |_| false, 0.0);
    }
    let file = Checkpoint::open(data("wild/integers.pt")).unwrap();
    let kinds = [
        Dtype::I64,
        Dtype::I32,
        Dtype::I16,
        Dtype::I8,
        Dtype::U8,
        Dtype::Bool,
    ];
    for (i, kind) in kinds.into_iter().enumerate() {
        let name = format!("extra.{i}");
        assert_eq!(file.tensors()[&name].dtype, kind);
        assert_eq!(file.read(&name).unwrap().data, [0.0, 1.0, 1.0], "{name}");
    }
    assert_eq!(file.read("extra.negative").unwrap().data, [-3.0, 2.0]);
    let error = |name: &str| file.read(name).map_err(|e| e.to_string());
    fails(
        error("extra.complex"),
        &["integers.pt", "extra.complex", "complex64"],
    );
    fails(error("extra.float8"), &["extra.float8", "float8_e4m3fn"]);
    // The model is known without them, but they are part of the network.
    fails(open("wild/integers.pt"), &["9 tensors", "\"extra.0\""]);
    check(
        &open_with("wild/integers.pt", true).unwrap(),
        |_| false,
        0.0,
    );
}

#[test]
fn all_pickle_protocols_are_read() {
    for protocol in 3..=5 {
        check(
            &open(&format!("wild/protocol_{protocol}.pt")).unwrap(),
            |_| false,
            0.0,
        );
    }
}

#[test]
fn strided_storages_are_read() {
    fails(
        open("wild/strided.pt"),
        &["3 tensors", "\"extra.expanded\""],
    );
    check(&open_with("wild/strided.pt", true).unwrap(), |_| false, 0.0);
    let file = Checkpoint::open(data("wild/strided.pt")).unwrap();
    let expanded = file.read("extra.expanded").unwrap();
    assert_eq!(expanded.shape, [2, 5]);
    assert_eq!(
        expanded.data,
        [1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    );
    assert_eq!(file.read("extra.scalar").unwrap().data, [3.0]);
    assert_eq!(file.read("extra.empty").unwrap().shape, [0, 4]);
    let name = "L_level.layers.0.self_attn.qkv_proj.weight";
    assert!(
        !file.tensors()[name].is_contiguous(),
        "the file no longer tests what it should"
    );
}

#[test]
fn objects_beside_the_tensors_are_skipped() {
    check(&open("wild/config_object.bin").unwrap(), |_| false, 0.0);
    check(&open("wild/parameters.pt").unwrap(), |_| false, 0.0);
    check(&open("wild/no_checksums.pt").unwrap(), |_| false, 0.0);
}

#[test]
fn averaged_weights_are_preferred() {
    let model = open("wild/resume.pt").unwrap();
    check(&model, |_| true, 1.0);
    assert!(
        model.notes.iter().any(|n| n.contains("\"ema\" are used")),
        "{:?}",
        model.notes
    );
    // Averaged parameters only: the buffers come from the model.
    let model = open("wild/ema_parameters.pt").unwrap();
    check(
        &model,
        |name| !name.ends_with("_init") && name != "puzzle_emb.weights",
        1.0,
    );
    assert!(
        model.notes.iter().any(|n| n.contains("buffers")),
        "{:?}",
        model.notes
    );
    let model = open("wild/ema_incomplete.pt").unwrap();
    check(&model, |_| false, 0.0);
    assert!(
        model.notes.iter().any(|n| n.contains("incomplete")),
        "{:?}",
        model.notes
    );
}

#[test]
fn files_without_a_state_dict_are_errors() {
    fails(
        open("wild/legacy.pt"),
        &["legacy.pt", "old format", "torch.save(torch.load("],
    );
    fails(
        open("wild/only_object.pt"),
        &[
            "private_lab.config.Settings",
            "never executed",
            "state_dict()",
        ],
    );
    fails(
        open("wild/whole_model.pt"),
        &["__main__.Model", "never executed", "state_dict()"],
    );
    fails(
        open("wild/torchscript.pt"),
        &["TorchScript", "state_dict()"],
    );
    fails(open("wild/two_models.pt"), &["\"model.", "\"module."]);
}

#[test]
fn unknown_identifiers_are_named() {
    let rows = open("training").unwrap().puzzle_rows.unwrap();
    assert_eq!((rows.len(), rows.width()), (3, 6));
    fails(
        rows.row(3).map_err(|e| e.to_string()),
        &["identifier 3", "0 to 2"],
    );
    fails(rows.row(u32::MAX).map_err(|e| e.to_string()), &["unknown"]);
}
