//! Configuration: missing and contradicting values, where it is found, and untrusted input.

use std::time::Instant;

use trm_runtime::low_level::config::{Architecture, PosEncodings};
use trm_runtime::{Hint, LoadOptions, Model};

use super::build::*;

const YAML: &str = "arch:\n  H_cycles: 3\n  L_cycles: 4\n  num_heads: 2\n  pos_encodings: rope\n";

fn attention_with(yaml: &str) -> Result<Model, String> {
    Folder::new(&[
        ("step_1.pt", &safetensors(&attention())),
        ("all_config.yaml", yaml.as_bytes()),
    ])
    .open()
}

fn puzzle_with(rows: usize, width: usize, extra: &str) -> Result<Model, String> {
    let file = safetensors(&with_puzzle(attention(), rows, width));
    Folder::new(&[
        ("m.safetensors", &file),
        ("all_config.yaml", format!("{YAML}{extra}").as_bytes()),
    ])
    .open()
}

#[test]
fn all_that_is_missing_is_listed_at_once() {
    let all = [
        "H_cycles",
        "L_cycles",
        "num_heads",
        "pos_encodings",
        "no_ACT_continue",
    ];
    let error = Model::from_bytes(safetensors(&attention()), &options(&[])).unwrap_err();
    // The hint has an example value for each of them.
    let Some(Hint::SetHyperparameters(examples)) = error.hint() else {
        panic!("{error}: {:?}", error.hint())
    };
    let hinted: Vec<&str> = examples.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(hinted, all);
    assert!(examples.iter().all(|(_, example)| !example.is_empty()));
    fails(Err::<(), _>(error.to_string()), &all);
    // Each alone.
    for lacking in all {
        let given: Vec<_> = GIVEN
            .iter()
            .copied()
            .filter(|(key, _)| *key != lacking)
            .collect();
        let message = load(safetensors(&attention()), &given)
            .map(|_| ())
            .unwrap_err();
        assert!(
            message.contains(&format!("cannot determine {lacking}:")),
            "{message}"
        );
    }
    load(safetensors(&attention()), GIVEN).unwrap();
    // Without attention there are no heads and no rotary positions. Without a file the prefix of a
    // puzzle embedding is unknown.
    let error = load(safetensors(&with_puzzle(mlp_t(), 2, 4)), &[])
        .map(|_| ())
        .unwrap_err();
    assert!(
        error.contains("puzzle_emb_len")
            && !error.contains("num_heads")
            && !error.contains("pos_enc"),
        "{error}"
    );
}

#[test]
fn the_halting_rule_is_published_only_for_a_training_file() {
    assert!(attention_with(YAML).unwrap().config.no_act_continue);
    assert!(
        !attention_with(&format!("{YAML}  no_ACT_continue: false\n"))
            .unwrap()
            .config
            .no_act_continue
    );
    let json = br#"{"H_cycles": 3, "L_cycles": 4, "num_heads": 2, "pos_encodings": "none"}"#;
    let folder = Folder::new(&[
        ("model.safetensors", &safetensors(&attention())),
        ("config.json", json),
    ]);
    fails(folder.open(), &["no_ACT_continue"]);
    let hrm = |level: &str| {
        let mut all = attention();
        all.retain(|t| t.0 != "L_init" || level == "both");
        let blocks: Tensors = all
            .iter()
            .filter(|t| t.0.starts_with("L_level"))
            .cloned()
            .collect();
        if level != "both" {
            all.retain(|t| !t.0.starts_with("L_level"));
        }
        all.extend(
            blocks
                .into_iter()
                .map(|(name, shape)| (name.replace("L_level", "H_level"), shape)),
        );
        safetensors(&all)
    };
    let model = load(
        hrm("both"),
        &[
            ("H_cycles", "2"),
            ("L_cycles", "2"),
            ("num_heads", "1"),
            ("pos_encodings", "rope"),
        ],
    );
    let model = model.unwrap();
    assert_eq!(
        (model.config.variant, model.config.no_act_continue),
        (Architecture::Hrm, false)
    );
    let model = load(
        hrm("one"),
        &[
            ("num_heads", "1"),
            ("pos_encodings", "none"),
            ("no_ACT_continue", "true"),
        ],
    )
    .unwrap();
    assert_eq!(
        (model.config.variant, model.config.no_act_continue),
        (Architecture::Baseline, false)
    );
    assert!(
        model.notes.iter().any(|n| n.contains("no_ACT_continue")),
        "{:?}",
        model.notes
    );
}

#[test]
fn variants_are_recognised() {
    let mut all = attention();
    all.retain(|t| t.0 != "H_init");
    assert_eq!(
        load(safetensors(&all), GIVEN).unwrap().config.variant,
        Architecture::SingleZ
    );
    let mut all = attention();
    all.retain(|t| t.0 != "L_init");
    all.extend((1..=6).map(|i| (format!("L{i}_init"), vec![4])));
    assert_eq!(
        load(safetensors(&all), GIVEN).unwrap().config.variant,
        Architecture::Hier6
    );
    let seven: Vec<_> = GIVEN
        .iter()
        .map(|(k, v)| (*k, if *k == "L_cycles" { "7" } else { *v }))
        .collect();
    fails(
        load(safetensors(&all), &seven),
        &["L_cycles", "from 1 to 6"],
    );
    all.retain(|t| t.0 != "L4_init");
    fails(load(safetensors(&all), GIVEN), &["L4_init", "missing"]);
}

#[test]
fn contradictions_name_both_sources() {
    for (line, words) in [
        ("hidden_size: 8", ["hidden_size is 8", "4 by the shape"]),
        ("L_layers: 2", ["L_layers is 2", "1 by the shape"]),
        ("vocab_size: 11", ["vocab_size is 11", "6 by the shape"]),
        ("mlp_t: true", ["mlp_t is true", "self_attn"]),
        (
            "pos_encodings: learned",
            ["pos_encodings is learned", "no tensor embed_pos"],
        ),
        (
            "puzzle_emb_ndim: 16",
            ["puzzle_emb_ndim is 16", "puzzle_emb.weights"],
        ),
        ("expansion: 4", ["expansion is 4", "256"]),
        ("num_heads: 3", ["num_heads is 3", "hidden_size of 4"]),
        ("num_heads: 4", ["heads of 1", "even"]),
    ] {
        let (key, _) = line.split_once(':').unwrap();
        let yaml: String = YAML
            .lines()
            .filter(|l| !l.contains(key))
            .map(|l| format!("{l}\n"))
            .collect();
        fails(
            attention_with(&format!("{yaml}  {line}\n")),
            &[
                &words[..],
                &["all_config.yaml"][..usize::from(key != "num_heads")],
            ]
            .concat(),
        );
    }
}

#[test]
fn values_out_of_range_are_errors() {
    for (line, word) in [
        ("H_cycles: 0", "from 1 to 64"),
        ("H_cycles: 65", "from 1 to 64"),
        ("H_cycles: -1", "from 1 to 64"),
        ("H_cycles: 1.5", "from 1 to 64"),
        ("H_cycles: .inf", "from 1 to 64"),
        ("H_cycles: 1e400", "from 1 to 64"),
        ("H_cycles: 99999999999999999999999999", "from 1 to 64"),
        ("H_cycles: three", "\"three\""),
        ("H_cycles: [1]", "from 1 to 64"),
        ("num_heads: 0", "num_heads"),
        ("mlp_t: maybe", "true or false"),
        ("pos_encodings: alibi", "rope, learned or none"),
        ("halt_max_steps: 0", "halt_max_steps"),
        ("rms_norm_eps: -1", "rms_norm_eps"),
        ("rms_norm_eps: 1.0e-46", "from 1e-30 to 1e30"),
        ("rope_theta: .nan", "rope_theta"),
        ("rope_theta: 1.0e-300", "from 1e-30 to 1e30"),
        ("rope_theta: 1.0e+31", "from 1e-30 to 1e30"),
        ("seq_len: 18446744073709551615", "seq_len"),
        ("puzzle_emb_len: 18446744073709551615", "puzzle_emb_len"),
        ("expansion: 1e300", "expansion"),
    ] {
        let (key, _) = line.split_once(':').unwrap();
        let yaml: String = YAML
            .lines()
            .filter(|l| !l.contains(key))
            .map(|l| format!("{l}\n"))
            .collect();
        fails(attention_with(&format!("{yaml}  {line}\n")), &[key, word]);
    }
}

#[test]
fn the_puzzle_embedding_is_never_reset() {
    let dataset = |n: usize| {
        format!("{{\"num_puzzle_identifiers\": {n}, \"vocab_size\": 6, \"seq_len\": 9}}")
    };
    let file = safetensors(&with_puzzle(attention(), 3, 6));
    for place in ["dataset.json", "train/dataset.json", "test/dataset.json"] {
        let folder = Folder::new(&[("step_5", &file), ("all_config.yaml", YAML.as_bytes())]);
        folder.write(place, dataset(3).as_bytes());
        assert_eq!(folder.open().unwrap().config.seq_len, Some(9), "{place}");
        folder.write(place, dataset(1000).as_bytes());
        fails(
            folder.open(),
            &[
                "num_puzzle_identifiers is 1000",
                place,
                "3 by the shape of puzzle_emb.weights",
            ],
        );
    }
    // A data set of one kind of puzzle counts one identifier even if the model has no embedding.
    let folder = Folder::new(&[
        ("step_5", &safetensors(&attention())),
        ("all_config.yaml", YAML.as_bytes()),
    ]);
    folder.write("dataset.json", dataset(1).as_bytes());
    assert_eq!(folder.open().unwrap().config.num_puzzle_identifiers, 0);
    folder.write("dataset.json", b"{\"vocab_size\": 11}");
    fails(
        folder.open(),
        &["vocab_size is 11 (dataset.json)", "6 by the shape"],
    );
}

#[test]
fn prefix_positions_follow_from_what_is_known() {
    // As given; 0 or absent: from the width.
    assert_eq!(
        puzzle_with(2, 6, "  puzzle_emb_len: 5\n")
            .unwrap()
            .config
            .prefix_len(),
        5
    );
    assert_eq!(
        puzzle_with(2, 6, "  puzzle_emb_len: 0\n")
            .unwrap()
            .config
            .prefix_len(),
        2
    );
    assert_eq!(puzzle_with(2, 6, "").unwrap().config.prefix_len(), 2);
    assert_eq!(puzzle_with(2, 4, "").unwrap().config.prefix_len(), 1);
    assert_eq!(
        attention_with(&format!(
            "{YAML}  puzzle_emb_ndim: 0\n  puzzle_emb_len: 16\n"
        ))
        .unwrap()
        .config
        .prefix_len(),
        0
    );
    fails(
        puzzle_with(2, 6, "  puzzle_emb_len: 1\n"),
        &["puzzle_emb_len is 1", "6"],
    );
    fails(
        puzzle_with(2, 6, "  puzzle_emb_ndim: 4\n"),
        &["puzzle_emb_ndim is 4", "6 by the shape"],
    );
}

#[test]
fn the_sequence_length_follows_from_what_is_known() {
    let model = |set: &[(&str, &str)]| {
        let given = [
            ("H_cycles", "3"),
            ("L_cycles", "4"),
            ("no_ACT_continue", "true"),
        ];
        load(
            safetensors(&with_puzzle(mlp_t(), 2, 4)),
            &[&given, set].concat(),
        )
    };
    assert_eq!(
        model(&[("puzzle_emb_len", "1")]).unwrap().config.seq_len,
        Some(8)
    );
    let derived = model(&[("seq_len", "7")]).unwrap().config;
    assert_eq!((derived.seq_len, derived.prefix_len()), (Some(7), 2));
    fails(
        model(&[("puzzle_emb_len", "1"), ("seq_len", "9")]),
        &["seq_len is 9", "(option)", "8 by the shape"],
    );
    fails(model(&[("puzzle_emb_len", "9")]), &["no position is left"]);
    let mut learned = attention();
    learned.push(("embed_pos.embedding_weight".into(), vec![16, 4]));
    let given: Vec<_> = GIVEN
        .iter()
        .copied()
        .filter(|g| g.0 != "pos_encodings")
        .collect();
    let config = load(safetensors(&learned), &given).unwrap().config;
    assert_eq!(
        (config.seq_len, config.pos_encodings),
        (Some(16), PosEncodings::Learned)
    );
    fails(
        load(safetensors(&learned), GIVEN),
        &["pos_encodings is rope", "embed_pos"],
    );
    // Elsewhere its absence is no error.
    assert_eq!(
        load(safetensors(&attention()), GIVEN)
            .unwrap()
            .config
            .seq_len,
        None
    );
}

#[test]
fn a_box_is_given_as_people_write_it() {
    let folder = Folder::new(&[
        ("step_1", &safetensors(&attention())),
        ("all_config.yaml", YAML.as_bytes()),
    ]);
    let open = |text| Model::open(folder.path(), &options(&[("box", text)]));
    for text in ["2,3", "2x3", "[2, 3]"] {
        assert_eq!(open(text).unwrap().config.box_shape, Some([2, 3]), "{text}");
    }
    for text in ["2", "2,x", "0,3", "two"] {
        assert!(
            open(text)
                .unwrap_err()
                .to_string()
                .contains("[rows, columns]"),
            "{text}"
        );
    }
}

#[test]
fn sources_are_used_in_their_order() {
    let folder = Folder::new(&[
        ("step_1", &safetensors(&attention())),
        ("all_config.yaml", YAML.as_bytes()),
    ]);
    folder.write("other.yaml", b"H_cycles: 5\nL_cycles: 6\n");
    let mut options = options(&[("H_cycles", "7")]);
    options.config = Some(folder.path().join("other.yaml"));
    let model = Model::open(folder.path(), &options).unwrap();
    assert_eq!(
        (
            model.config.h_cycles,
            model.config.l_cycles,
            model.config.num_heads
        ),
        (7, 6, 2)
    );
    let from = |name| {
        model
            .provenance
            .iter()
            .find(|p| p.name == name)
            .unwrap()
            .from
            .clone()
    };
    assert_eq!(from("H_cycles"), "option");
    assert!(from("L_cycles").ends_with("other.yaml"));
    fails(
        open(folder.path(), &[("H_cycle", "3")]),
        &["hyper-parameter H_cycle", "H_cycles"],
    );
    options.config = Some(folder.path().join("absent.yaml"));
    fails(
        Model::open(folder.path(), &options).map_err(|e| e.to_string()),
        &["absent.yaml"],
    );
}

#[test]
fn the_configuration_that_belongs_to_the_file() {
    let json = br#"{"format_version": 1, "H_cycles": 9, "L_cycles": 4, "num_heads": 2, "pos_encodings": "rope", "no_ACT_continue": true, "colour": "red"}"#;
    let folder = Folder::new(&[
        ("step_1", &safetensors(&attention())),
        ("all_config.yaml", YAML.as_bytes()),
    ]);
    folder.write("config.json", json);
    let model = open(folder.path().join("step_1"), &[]).unwrap();
    assert_eq!(
        model.config.h_cycles, 9,
        "a safetensors file, whatever its name, goes with config.json"
    );
    assert!(
        model.notes.iter().any(|n| n.contains("colour")),
        "{:?}",
        model.notes
    );
    let torch = std::fs::read(data("wild/prefix_0.pt")).unwrap();
    folder.write("step_1", &torch);
    assert_eq!(
        open(folder.path().join("step_1"), &[])
            .unwrap()
            .config
            .h_cycles,
        3
    );
    std::fs::remove_file(folder.path().join("all_config.yaml")).unwrap();
    assert_eq!(
        open(folder.path().join("step_1"), &[("puzzle_emb_len", "2")])
            .unwrap()
            .config
            .h_cycles,
        9
    );
    folder.write("config.json", br#"{"format_version": 2}"#);
    fails(folder.open(), &["config.json", "format_version is 2"]);
}

#[test]
fn which_file_a_directory_means() {
    let file = safetensors(&attention());
    fails(Folder::new(&[]).open(), &["holds no model", "no file"]);
    fails(Folder::new(&[("notes.txt", b"x")]).open(), &["notes.txt"]);
    let folder = Folder::new(&[
        ("a.pt", &file),
        ("b.ckpt", &file),
        ("all_config.yaml", YAML.as_bytes()),
    ]);
    fails(folder.open(), &["several checkpoints", "a.pt", "b.ckpt"]);
    for name in ["only.pth", "only.bin", "checkpoint", "only.safetensors"] {
        Folder::new(&[(name, &file), ("all_config.yaml", YAML.as_bytes())])
            .open()
            .unwrap();
    }
    let folder = Folder::new(&[("all_config.yaml", YAML.as_bytes())]);
    for name in [
        "step_9",
        "step_10",
        "step_x",
        "step_",
        "step_99999999999999999999999",
        "step_11.tmp",
    ] {
        folder.write(name, &file);
    }
    std::fs::create_dir(folder.path().join("step_12")).unwrap();
    assert!(folder.open().unwrap().path.unwrap().ends_with("step_10"));
    fails(open(folder.path().join("absent"), &[]), &["absent"]);
}

#[test]
fn shapes_are_checked() {
    for (name, shape, words) in [
        (
            "lm_head.weight",
            vec![3, 4],
            vec!["[3, 4]", "[6, 4]", "vocab_size x hidden_size"],
        ),
        ("q_head.weight", vec![1, 4], vec!["[1, 4]", "[2, 4]"]),
        ("H_init", vec![5], vec!["[5]", "[4]"]),
        (
            "L_level.layers.0.self_attn.qkv_proj.weight",
            vec![4, 12],
            vec!["[4, 12]", "[12, 4]"],
        ),
        (
            "L_level.layers.0.mlp.gate_up_proj.weight",
            vec![4, 4],
            vec!["[4, 4]", "[8, 4]"],
        ),
    ] {
        let mut all = attention();
        all.iter_mut().find(|t| t.0 == name).unwrap().1 = shape;
        fails(
            load(safetensors(&all), GIVEN),
            &[&[name][..], &words].concat(),
        );
    }
    for (name, _) in ATTENTION
        .iter()
        .filter(|t| !t.0.contains("_init") && !t.0.contains("layers"))
    {
        let mut all = attention();
        all.retain(|t| t.0 != *name);
        fails(load(safetensors(&all), GIVEN), &[name, "missing"]);
    }
    let mut all = attention();
    all.iter_mut()
        .for_each(|t| t.0 = t.0.replace("layers.0", "layers.1"));
    fails(load(safetensors(&all), GIVEN), &["layers.0", "missing"]);
}

#[test]
fn numbers_that_are_not_finite_are_errors() {
    let mut file = safetensors(&attention());
    let end = file.len();
    file[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let words = ["down_proj", "NaN", "element 15"];
    fails(load(file.clone(), GIVEN), &words);
    let folder = Folder::new(&[("step_3", &file), ("all_config.yaml", YAML.as_bytes())]);
    fails(folder.open(), &[&words[..], &["step_3: tensor"]].concat());
}

#[test]
fn yaml_is_read_as_python_writes_it() {
    let yaml = "arch: {H_cycles: 3, 'L_cycles': 4, num_heads: 2, pos_encodings: \"none\",\n  rms_norm_eps: 1.0e-06, no_ACT_continue: FALSE, expansion: null}\nextra: !!python/object:x.Y {a: [1, ~]}\n";
    let config = attention_with(yaml).unwrap().config;
    assert_eq!(
        (config.pos_encodings, config.no_act_continue),
        (PosEncodings::None, false)
    );
    assert_eq!(config.rms_norm_eps, 1e-6);
    // Anchors and aliases, flat keys.
    let yaml = "x: &n 3\nH_cycles: *n\nL_cycles: *n\nnum_heads: 2\npos_encodings: rope\n";
    assert_eq!(attention_with(yaml).unwrap().config.h_cycles, 3);
}

#[test]
fn hostile_yaml_and_json_end_soon() {
    let bomb: String = (1..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".into(), |text, i| {
        let item = format!("*a{}", i - 1);
        format!("{text}a{i}: &a{i} [{}]\n", vec![item; 9].join(", "))
    });
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "all_config.yaml",
            bomb.into_bytes(),
            "more than 20000 values",
        ),
        (
            "all_config.yaml",
            [b"a: ".to_vec(), vec![b'['; 40]].concat(),
            "nested more than 32 deep",
        ),
        (
            "all_config.yaml",
            [b"a: ".to_vec(), vec![b'['; 100_000]].concat(),
            "YAML",
        ),
        (
            "all_config.yaml",
            (0..5000)
                .map(|i| format!("{}a:\n", " ".repeat(i % 1000)))
                .collect::<String>()
                .into_bytes(),
            "",
        ),
        ("all_config.yaml", b"a: &a [*a]\n".to_vec(), "alias"),
        ("all_config.yaml", b"a: [1, 2\n".to_vec(), "YAML"),
        (
            "all_config.yaml",
            vec![b'a'; 2 << 20],
            "more than 1048576 bytes",
        ),
        ("all_config.yaml", vec![0xff; 100], "UTF-8"),
        ("all_config.yaml", b"- 1\n- 2\n".to_vec(), "mapping"),
        ("all_config.yaml", b"".to_vec(), "mapping"),
        (
            "all_config.yaml",
            [b"arch: ".to_vec(), b"{a: ".repeat(50_000)].concat(),
            "",
        ),
        (
            "all_config.yaml",
            [b"arch: \"".to_vec(), vec![b'x'; 900_000]].concat(),
            "",
        ),
        ("all_config.yaml", b"? ".repeat(400_000), ""),
        ("all_config.yaml", b"- ".repeat(400_000), ""),
        ("all_config.yaml", b"&a ".repeat(300_000), ""),
        (
            "config.json",
            [b"{\"a\":".to_vec(), vec![b'['; 100_000]].concat(),
            "JSON",
        ),
        ("config.json", b"{\"a\": 1,}".to_vec(), "JSON"),
        (
            "config.json",
            b"{\"puzzle_ids\": [1, 1]}".to_vec(),
            "more than once",
        ),
        (
            "config.json",
            b"{\"puzzle_ids\": [-1]}".to_vec(),
            "identifiers",
        ),
        (
            "config.json",
            b"{\"box\": [0, 3]}".to_vec(),
            "rows, columns",
        ),
    ];
    for (name, bytes, word) in cases {
        let start = Instant::now();
        let puzzle = with_puzzle(attention(), 2, 4);
        let folder = Folder::new(&[("model.safetensors", &safetensors(&puzzle)), (name, &bytes)]);
        fails(folder.open(), &[name, word]);
        assert!(
            start.elapsed().as_secs_f32() < 1.0,
            "{name} {:?}: {:?}",
            &bytes[..bytes.len().min(20)],
            start.elapsed()
        );
    }
    fails(
        Model::open(
            std::env::temp_dir().join("absent-dir-of-trm"),
            &LoadOptions::default(),
        )
        .map_err(|e| e.to_string()),
        &["absent-dir-of-trm"],
    );
}
