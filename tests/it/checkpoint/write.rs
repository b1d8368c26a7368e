//! The writer: the same bytes every time, nothing lost, selected rows.

use std::fs;

use trm_runtime::{LoadOptions, Model, SaveOptions, WeightDtype};

use super::build::*;

fn training() -> Model {
    Model::open(data("training"), &LoadOptions::default()).unwrap()
}

fn bytes(folder: &Folder, name: &str) -> Vec<u8> {
    fs::read(folder.path().join(name)).unwrap()
}

fn json(folder: &Folder) -> serde_json::Value {
    serde_json::from_slice(&bytes(folder, "config.json")).unwrap()
}

/// Checks that everything but the source is the same.
#[track_caller]
fn same(a: &Model, b: &Model) {
    assert_eq!(a.config, b.config, "configuration");
    let (of_a, of_b) = (a.take_weights().unwrap(), b.take_weights().unwrap());
    for weight in a.config.weights() {
        assert_eq!(of_a.get(weight), of_b.get(weight), "{weight:?}");
    }
}

#[test]
fn converting_again_gives_the_same_bytes() {
    for dtype in WeightDtype::ALL {
        let options = SaveOptions {
            dtype,
            task: Some("maze".into()),
            ..SaveOptions::default()
        };
        let [one, two, three] = [(); 3].map(|()| Folder::new(&[]));
        training().save(one.path(), &options).unwrap();
        training().save(two.path(), &options).unwrap();
        let converted = one.open().unwrap();
        converted
            .save(
                three.path(),
                &SaveOptions {
                    dtype,
                    ..SaveOptions::default()
                },
            )
            .unwrap();
        for name in ["config.json", "model.safetensors"] {
            assert!(bytes(&one, name) == bytes(&two, name), "{name} differs");
            assert!(
                bytes(&one, name) == bytes(&three, name),
                "{name} of a converted model differs"
            );
        }
        let mut expected = training();
        expected.config.task = Some("maze".into());
        // int8 has its own tests in formats.rs.
        if dtype != WeightDtype::Int8 {
            same(&expected, &converted);
        }
        assert_eq!(
            fs::read_dir(one.path()).unwrap().count(),
            2,
            "something temporary was left behind"
        );
    }
}

#[test]
fn the_configuration_file_holds_everything() {
    let folder = Folder::new(&[]);
    let options = SaveOptions {
        box_shape: Some([2, 3]),
        task: Some("sudoku".into()),
        ..SaveOptions::default()
    };
    training().save(folder.path(), &options).unwrap();
    let json = json(&folder);
    for (key, value) in [
        ("format_version", "1"),
        ("task", "\"sudoku\""),
        ("box", "[2,3]"),
        ("H_cycles", "3"),
        ("L_cycles", "4"),
        ("H_layers", "0"),
        ("L_layers", "1"),
        ("hidden_size", "4"),
        ("num_heads", "2"),
        ("pos_encodings", "\"rope\""),
        ("mlp_t", "false"),
        ("puzzle_emb_ndim", "6"),
        ("puzzle_emb_len", "2"),
        ("halt_max_steps", "16"),
        ("no_ACT_continue", "true"),
        ("vocab_size", "6"),
        ("seq_len", "16"),
        ("num_puzzle_identifiers", "3"),
        ("forward_dtype", "\"bfloat16\""),
        ("dtype", "\"f32\""),
        ("rms_norm_eps", "0.00001"),
    ] {
        assert_eq!(json[key].to_string(), value, "{key}");
    }
    assert_eq!(json["source"]["file"], "step_100");
    let sha256 = json["source"]["sha256"].as_str().unwrap();
    assert_eq!(sha256, training().checkpoint().unwrap().sha256().unwrap());
    assert!(sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit()));
}

#[test]
fn one_file_is_enough() {
    let folder = Folder::new(&[]);
    training()
        .save(folder.path(), &SaveOptions::default())
        .unwrap();
    let lone =
        Model::from_bytes(bytes(&folder, "model.safetensors"), &LoadOptions::default()).unwrap();
    same(&training(), &lone);
    fs::remove_file(folder.path().join("config.json")).unwrap();
    same(&training(), &folder.open().unwrap());
}

#[test]
fn unknown_keys_are_kept() {
    let (folder, out) = (Folder::new(&[]), Folder::new(&[]));
    training()
        .save(folder.path(), &SaveOptions::default())
        .unwrap();
    let mut config = json(&folder);
    config["colour"] = serde_json::json!({"red": [1, 2]});
    folder.write("config.json", config.to_string().as_bytes());
    folder
        .open()
        .unwrap()
        .save(out.path(), &SaveOptions::default())
        .unwrap();
    assert_eq!(json(&out)["colour"], config["colour"]);
    assert_eq!(json(&out)["source"]["file"], "step_100");
}

#[test]
fn selected_rows_are_written() {
    let (folder, out) = (Folder::new(&[]), Folder::new(&[]));
    let choose = |ids: &[u32]| SaveOptions {
        puzzle_ids: Some(ids.to_vec()),
        ..SaveOptions::default()
    };
    training().save(folder.path(), &choose(&[2, 0])).unwrap();
    let model = folder.open().unwrap();
    let (all, rows) = (
        training().puzzle_rows.unwrap(),
        model.puzzle_rows.as_ref().unwrap(),
    );
    assert_eq!((rows.len(), model.config.num_puzzle_identifiers), (2, 3));
    for id in [0, 2] {
        assert_eq!(rows.row(id).unwrap(), all.row(id).unwrap());
    }
    fails(
        rows.row(1).map_err(|e| e.to_string()),
        &["identifier 1", "2 identifiers"],
    );
    model.save(out.path(), &choose(&[2])).unwrap();
    assert_eq!(
        out.open().unwrap().puzzle_rows.unwrap().row(2).unwrap(),
        all.row(2).unwrap()
    );
    let error = |ids: &[u32]| {
        training()
            .save(out.path(), &choose(ids))
            .map_err(|e| e.to_string())
    };
    fails(error(&[3]), &["identifier 3"]);
    fails(error(&[1, 1]), &["contains one twice"]);
    fails(error(&[]), &["is empty"]);
    // A configuration with another number of rows than there are.
    let mut config = json(&folder);
    config["puzzle_ids"] = serde_json::json!([0, 1, 2]);
    folder.write("config.json", config.to_string().as_bytes());
    fails(folder.open(), &["puzzle_ids names 3", "2 rows"]);
}

#[test]
fn impossible_conversions_are_errors() {
    let folder = Folder::new(&[]);
    training()
        .save(folder.path(), &SaveOptions::default())
        .unwrap();
    let before = bytes(&folder, "model.safetensors");
    fails(
        folder
            .open()
            .unwrap()
            .save(folder.path(), &SaveOptions::default())
            .map_err(|e| e.to_string()),
        &["another directory"],
    );
    assert_eq!(before, bytes(&folder, "model.safetensors"));
    // Too large for f16: no file is left behind.
    let mut file = safetensors(&attention());
    let end = file.len();
    file[end - 4..].copy_from_slice(&1e6f32.to_le_bytes());
    let (model, out) = (load(file, GIVEN).unwrap(), Folder::new(&[]));
    let options = SaveOptions {
        dtype: WeightDtype::F16,
        ..SaveOptions::default()
    };
    fails(
        model.save(out.path(), &options).map_err(|e| e.to_string()),
        &["down_proj", "f16"],
    );
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    let blocked = out.path().join("file");
    fs::write(&blocked, b"x").unwrap();
    fails(
        model
            .save(&blocked, &SaveOptions::default())
            .map_err(|e| e.to_string()),
        &["file"],
    );
}

/// Returns the test model with another number of cycles, which no shape shows.
fn with_cycles(l_cycles: usize) -> Model {
    let mut model = training();
    model.config.l_cycles = l_cycles;
    model
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The states between the three renames of a save, as a crash leaves them.
#[test]
fn a_save_that_was_interrupted_leaves_one_model() {
    let options = SaveOptions::default();
    let [old, new] = [5, 6].map(|cycles| {
        let folder = Folder::new(&[]);
        with_cycles(cycles).save(folder.path(), &options).unwrap();
        ["model.safetensors", "config.json"].map(|name| bytes(&folder, name))
    });
    for (model, config, next, cycles) in [
        (&old[0], &old[1], None, 5),
        (&old[0], &old[1], Some(&new[1]), 5),
        (&new[0], &old[1], Some(&new[1]), 6),
        (&new[0], &new[1], None, 6),
    ] {
        let folder = Folder::new(&[("model.safetensors", model), ("config.json", config)]);
        if let Some(next) = next {
            fs::write(folder.path().join(".config.json.next"), next).unwrap();
        }
        assert_eq!(folder.open().unwrap().config.l_cycles, cycles);
        // The next save, even one that is interrupted too, begins with a folder of one model.
        with_cycles(4).save(folder.path(), &options).unwrap();
        assert_eq!(folder.open().unwrap().config.l_cycles, 4);
        assert_eq!(names(&folder), ["config.json", "model.safetensors"]);
    }
    // Without the third file, and with one of another model, the mixture is an error.
    for next in [None, Some(&old[1]), Some(&b"{".to_vec())] {
        let folder = Folder::new(&[("model.safetensors", &new[0]), ("config.json", &old[1])]);
        if let Some(next) = next {
            fs::write(folder.path().join(".config.json.next"), next).unwrap();
        }
        let error = folder.open().unwrap_err().to_string();
        for part in [
            "L_cycles is 5 in",
            "but 6 in",
            "config.json",
            "model.safetensors",
            "remove",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

#[test]
fn a_model_names_the_files_that_it_was_read_from() {
    let folder = Folder::new(&[]);
    training()
        .save(folder.path(), &SaveOptions::default())
        .unwrap();
    let names = ["model.safetensors", "config.json"].map(|name| folder.path().join(name));
    assert_eq!(folder.open().unwrap().files(), names);
    let bytes = bytes(&folder, "model.safetensors");
    let model = Model::from_bytes(bytes, &LoadOptions::default()).unwrap();
    assert!(model.files().is_empty());
}

#[test]
fn saves_at_the_same_time_leave_one_model() {
    let folder = Folder::new(&[]);
    with_cycles(4)
        .save(folder.path(), &SaveOptions::default())
        .unwrap();
    std::thread::scope(|scope| {
        for cycles in [5, 6] {
            let path = folder.path();
            scope.spawn(move || {
                for _ in 0..20 {
                    with_cycles(cycles)
                        .save(path, &SaveOptions::default())
                        .unwrap();
                }
            });
        }
        for _ in 0..200 {
            folder.open().unwrap();
        }
    });
    assert!([5, 6].contains(&folder.open().unwrap().config.l_cycles));
    assert_eq!(names(&folder), ["config.json", "model.safetensors"]);
}
