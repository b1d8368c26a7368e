//! What users bring: parts that no published network has, wrappers of training frameworks,
//! hyper-parameters inside the file, references in YAML, models in several files.

use std::path::Path;

use serde_json::{Value, json};
use trm_runtime::low_level::config::{Architecture, PosEncodings};
use trm_runtime::{Hint, LoadOptions, Model, SaveOptions};

use super::build::*;

const DOWN: &str = "L_level.layers.0.mlp.down_proj";

/// Hyper-parameters of [`ATTENTION`] as training writes them.
const YAML: &str = "arch:\n  H_cycles: 3\n  L_cycles: 4\n  num_heads: 2\n  pos_encodings: rope\n";

/// Returns a safetensors file whose tensors have the names that `stored` gives, and the values of
/// their published names.
fn renamed(tensors: &[(String, Vec<usize>)], stored: impl Fn(&str) -> String) -> Vec<u8> {
    with_metadata(tensors, stored, &[])
}

fn with_metadata(
    tensors: &[(String, Vec<usize>)],
    stored: impl Fn(&str) -> String,
    metadata: &[(&str, &str)],
) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        let pairs = metadata.iter().map(|(k, v)| ((*k).to_owned(), json!(v)));
        header.insert("__metadata__".into(), Value::Object(pairs.collect()));
    }
    let mut data = Vec::new();
    for (name, shape) in tensors {
        let start = data.len();
        for i in 0..shape.iter().product() {
            data.extend(element(name, i).to_le_bytes());
        }
        let info = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(stored(name), info);
    }
    frame(&serde_json::to_vec(&header).unwrap(), &data)
}

/// Checks that the weights are those of the plain file, so that no tensor was mistaken for another.
#[track_caller]
fn same_weights(model: &Model) {
    let plain = load(safetensors(&attention()), GIVEN).unwrap();
    let (found, expected) = (model.take_weights().unwrap(), plain.take_weights().unwrap());
    for weight in plain.config.weights() {
        assert_eq!(
            found.get(weight).data,
            expected.get(weight).data,
            "{weight:?}"
        );
    }
}

fn ignoring(set: &[(&str, &str)]) -> LoadOptions {
    LoadOptions {
        ignore_unknown_tensors: true,
        ..options(set)
    }
}

fn from(model: &Model, name: &str) -> String {
    let found = model.provenance.iter().find(|p| p.name == name);
    found.unwrap_or_else(|| panic!("no {name}")).from.clone()
}

#[test]
fn a_safetensors_file_is_one_whatever_its_length_looks_like() {
    // The first byte is the length of the header: `<` begins a web page, 0x80 a pickle, `G` of
    // GGUF.
    for first in [b'<', 0x80, b'G', 0x1f, b'v', 0x08] {
        let file = safetensors(&attention());
        let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let mut text = file[8..8 + header].to_vec();
        while text.len() % 256 != usize::from(first) {
            text.push(b' ');
        }
        load(frame(&text, &file[8 + header..]), GIVEN).unwrap();
    }
}

// Parts of the network that are not known.

#[test]
fn unknown_parts_of_the_network_are_errors() {
    for (name, shape, words) in [
        (format!("{DOWN}.lora_A.weight"), vec![1, 4], "LoRA"),
        (
            format!("{DOWN}.lora_B.default.weight"),
            vec![4, 1],
            "merge the adapters",
        ),
        (format!("{DOWN}.lora_magnitude_vector"), vec![4], "LoRA"),
        (
            "L_level.layers.0.adapter.up.weight".into(),
            vec![4, 2],
            "merge the adapters",
        ),
        (format!("{DOWN}.bias"), vec![4], "a bias"),
        ("lm_head.bias".into(), vec![6], "a bias"),
        (
            "L_level.layers.0.norm1.weight".into(),
            vec![4],
            "norm with learned weights",
        ),
        (
            "final_norm.weight".into(),
            vec![4],
            "norm with learned weights",
        ),
        (
            "L_level.layers.0.input_layernorm.weight".into(),
            vec![4],
            "norm with learned",
        ),
        (
            "L_level.layers.0.self_attn.q_norm.weight".into(),
            vec![2],
            "queries and keys",
        ),
        (
            "L_level.layers.0.self_attn.k_norm.weight".into(),
            vec![2],
            "queries and keys",
        ),
        (
            "L_level.layers.0.mlp.dwconv.weight".into(),
            vec![8, 1, 3],
            "a convolution",
        ),
        (format!("{DOWN}.weight_scale"), vec![4], "quantised weights"),
        (format!("{DOWN}.weight_g"), vec![4, 1], "reparametrised"),
        (format!("{DOWN}.mask"), vec![4, 4], "masks of pruned"),
        (
            "model_ema.L_levellayers0mlpdown_projweight".into(),
            vec![4, 4],
            "averaged by training",
        ),
        (
            "L_level.layers.0.gate".into(),
            vec![1],
            "changed architecture",
        ),
        (
            "step_embedding.weight".into(),
            vec![16, 4],
            "changed architecture",
        ),
    ] {
        for prefix in ["", "_orig_mod.model.inner."] {
            let mut all = attention();
            all.push((name.clone(), shape.clone()));
            let file = renamed(&all, |name| format!("{prefix}{name}"));
            let error = Model::from_bytes(file.clone(), &options(GIVEN)).unwrap_err();
            assert_eq!(error.hint(), Some(&Hint::IgnoreUnknownTensors), "{error}");
            let tensor = format!("\"{prefix}{name}\"");
            fails(
                Err::<(), _>(error.to_string()),
                &[
                    &tensor,
                    words,
                    "another network",
                    "1 tensor ",
                    "It looks like",
                ],
            );
            // The switch goes on, and says so.
            let model = Model::from_bytes(file, &ignoring(GIVEN)).unwrap();
            same_weights(&model);
            let told = |note: &String| note.contains(&tensor) && note.contains("another network");
            assert!(model.notes.iter().any(told), "{:?}", model.notes);
            // The saved model is whole without them.
            let out = Folder::new(&[]);
            model.save(out.path(), &SaveOptions::default()).unwrap();
            same_weights(&out.open().unwrap());
        }
    }
}

#[test]
fn many_unknown_tensors_are_listed_shortly_with_every_kind() {
    let mut all = attention();
    for i in 0..40 {
        all.push((format!("{DOWN}.lora_A.{i}"), vec![1, 4]));
    }
    all.push((format!("{DOWN}.bias"), vec![4]));
    let message = load(safetensors(&all), GIVEN).map(drop).unwrap_err();
    fails(
        Err::<(), _>(message.clone()),
        &["holds 41 tensors", "and 36 more", "LoRA", "a bias"],
    );
    assert!(message.len() < 900, "{message}");
}

#[test]
fn known_tensors_of_another_architecture_are_errors() {
    // The second block has attention and a SwiGLU across positions.
    let mut all = attention();
    all.extend(
        ATTENTION
            .iter()
            .filter(|t| t.0.contains("layers.0"))
            .map(|(name, shape)| (name.replace("layers.0", "layers.1"), shape.to_vec())),
    );
    load(safetensors(&all), GIVEN).unwrap();
    let extra = "L_level.layers.1.mlp_t.down_proj.weight";
    all.push((extra.into(), vec![9, 4]));
    fails(
        load(safetensors(&all), GIVEN),
        &[extra, "does not use", "TRM"],
    );
    Model::from_bytes(safetensors(&all), &ignoring(GIVEN)).unwrap();
}

#[test]
fn what_is_no_part_of_the_network_is_no_error() {
    for name in [
        "model.rotary_emb.inv_freq",
        "model.puzzle_emb.local_weights",
        "optimizer.state.0.exp_avg",
        "optimizer_states.0.L_level.layers.0.mlp.down_proj.weight",
        "optim_g.momentum",
        "lr_scheduler.base",
        "rng_state",
        "model.n_averaged",
        "criterion.weight",
        "callbacks.Checkpoint.best",
    ] {
        let mut all = attention();
        all.iter_mut().for_each(|t| t.0 = format!("model.{}", t.0));
        all.push((name.into(), vec![2, 2]));
        let model = load(safetensors(&all), GIVEN).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(model.notes.is_empty(), "{name}: {:?}", model.notes);
    }
    // Something beside the model, in another dict, is told.
    let mut all = attention();
    all.iter_mut().for_each(|t| t.0 = format!("model.{}", t.0));
    all.push(("history".into(), vec![2, 2]));
    let model = load(safetensors(&all), GIVEN).unwrap();
    assert!(model.notes[0].contains("\"history\""), "{:?}", model.notes);
    // Adapters beside the model change its answers, wherever they are.
    all.push((
        "peft.L_level.layers.0.mlp.down_proj.lora_A".into(),
        vec![1, 4],
    ));
    fails(load(safetensors(&all), GIVEN), &["lora_A", "LoRA"]);
}

// Wrappers.

#[test]
fn whatever_stands_before_all_names_is_a_wrapper() {
    for prefix in [
        "student.",
        "trm.",
        "train_state.model.",
        "_forward_module._orig_mod.model.inner.",
        "_fsdp_wrapped_module.model.inner.",
        "policy.backbone.0.",
        "lightning_module.net.trm.inner.",
        "base_model.model.",
    ] {
        let file = renamed(&attention(), |name| format!("{prefix}{name}"));
        let model = load(file, GIVEN).unwrap_or_else(|e| panic!("{prefix}: {e}"));
        same_weights(&model);
        assert!(model.notes.is_empty(), "{prefix}: {:?}", model.notes);
    }
}

#[test]
fn wrappers_of_frameworks_are_dropped_anywhere_in_a_name() {
    for wrapper in [
        "_orig_mod",
        "module",
        "_forward_module",
        "_fsdp_wrapped_module",
        "_checkpoint_wrapped_module",
    ] {
        let places: [(&str, String); 5] = [
            ("L_level", format!("L_level.{wrapper}")),
            ("layers.0", format!("layers.0.{wrapper}")),
            (".mlp.", format!(".mlp.{wrapper}.")),
            ("down_proj", format!("{wrapper}.down_proj")),
            ("lm_head", format!("{wrapper}.{wrapper}.lm_head")),
        ];
        for (part, with_wrapper) in &places {
            let name = |name: &str| format!("model.{}", name.replace(part, with_wrapper));
            let model = load(renamed(&attention(), name), GIVEN);
            same_weights(&model.unwrap_or_else(|e| panic!("{with_wrapper}: {e}")));
        }
    }
    // The base layers of adapters are weights, the adapters are not.
    let mut all = attention();
    let name = |name: &str| name.replace("down_proj.weight", "down_proj.base_layer.weight");
    same_weights(&load(renamed(&all, name), GIVEN).unwrap());
    all.push((format!("{DOWN}.lora_A.default.weight"), vec![1, 4]));
    fails(load(renamed(&all, name), GIVEN), &["lora_A", "LoRA"]);
}

#[test]
fn a_wrapper_that_not_all_tensors_share_is_an_error() {
    // Two whole models; the same tensor twice.
    for second in ["teacher.", "_orig_mod."] {
        let mut all = attention();
        all.extend(
            attention()
                .into_iter()
                .map(|t| (format!("{second}{}", t.0), t.1)),
        );
        fails(
            load(safetensors(&all), GIVEN),
            &["more than one model", second],
        );
    }
    // A part of a second model.
    let mut all = attention();
    all.push(("value.lm_head.weight".into(), vec![6, 4]));
    fails(
        load(safetensors(&all), GIVEN),
        &["\"value.lm_head.weight\""],
    );
    // Three parts of a model: what is left over is named.
    let file = renamed(&attention(), |name| match name.split('.').next() {
        Some("lm_head") => format!("heads.{name}"),
        _ => format!("body.{name}"),
    });
    fails(load(file, GIVEN), &["\"heads.lm_head.weight\""]);
}

#[test]
fn averaged_and_raw_weights_are_told_apart() {
    // The averaged weights have the values of the plain file, the raw ones are all of another name.
    for (averaged, raw) in [
        ("ema.", "model."),
        ("ema.shadow.", "model."),
        ("model_ema.module.", "model."),
        ("ema_model.", "online_model."),
        ("swa_model.module.", "model."),
        ("state_dict.", "current_model_state."),
    ] {
        let mut all = attention();
        all.extend(
            attention()
                .into_iter()
                .map(|t| (format!("raw.{}", t.0), t.1)),
        );
        let file = renamed(&all, |name| match name.strip_prefix("raw.") {
            Some(name) => format!("{raw}{name}"),
            None => format!("{averaged}{name}"),
        });
        let model = load(file, GIVEN).unwrap_or_else(|e| panic!("{averaged}: {e}"));
        same_weights(&model);
        let raw = raw.trim_end_matches('.');
        assert!(model.notes[0].contains(raw), "{:?}", model.notes);
    }
    // Averaged weights in the state of a callback: training itself evaluates those of the model.
    let mut all = attention();
    all.extend(
        attention()
            .into_iter()
            .map(|t| (format!("copy.{}", t.0), t.1)),
    );
    let model = load(
        renamed(&all, |name| match name.strip_prefix("copy.") {
            Some(name) => format!("callbacks.EMACallback.shadow.{name}"),
            None => format!("state_dict.{name}"),
        }),
        GIVEN,
    )
    .unwrap();
    same_weights(&model);
    let note = &model.notes[0];
    assert!(note.contains("\"state_dict\" are used"), "{note}");
    assert!(note.contains("callbacks.EMACallback.shadow"), "{note}");
}

#[test]
fn averaged_weights_without_names_are_told() {
    let list = [b"](".as_slice(), &tensor("0", 4, 0, &[4], &[1]), b"e"].concat();
    let shadow = mapping(&[("decay", value(&json!(0.999))), ("shadow_params", list)]);
    let model = load(torch_with(&attention(), "model", &[("ema", shadow)]), GIVEN).unwrap();
    let note = &model.notes[0];
    assert!(
        note.contains("\"ema.shadow_params\" have no names"),
        "{note}"
    );
}

// Other names, and hyper-parameters inside the file.

/// Returns a file of `torch.save`: a dict of the tensors under `key`, and further items.
fn torch_with(tensors: &Tensors, key: &str, more: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let keys: Vec<String> = (0..tensors.len()).map(|i| i.to_string()).collect();
    let (mut items, mut storages) = (Vec::new(), Vec::new());
    for ((name, shape), key) in tensors.iter().zip(&keys) {
        let elements: usize = shape.iter().product();
        let shape: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
        let mut strides = vec![1; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i] * shape[i];
        }
        let value = tensor(key, elements as i64, 0, &shape, &strides);
        items.push((name.as_str(), value));
        storages.push((key.as_str(), elements));
    }
    let all = [&[(key, mapping(&items))][..], more].concat();
    torch_file(&dict(&all), &storages)
}

/// Returns the instructions for a dict.
fn mapping(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let whole = dict(items);
    whole[2..whole.len() - 1].to_vec()
}

/// Returns the instructions for a JSON value.
fn value(json: &Value) -> Vec<u8> {
    match json {
        Value::Null => b"N".to_vec(),
        Value::Bool(true) => b"\x88".to_vec(),
        Value::Bool(false) => b"\x89".to_vec(),
        Value::Number(number) => match number.as_i64() {
            Some(n) => int(n),
            None => [b"G".as_slice(), &number.as_f64().unwrap().to_be_bytes()].concat(),
        },
        Value::String(string) => text(string),
        Value::Array(list) => {
            let items: Vec<u8> = list.iter().flat_map(value).collect();
            [b"](".as_slice(), &items, b"e"].concat()
        }
        Value::Object(map) => {
            let items: Vec<(&str, Vec<u8>)> = map
                .iter()
                .map(|(key, item)| (key.as_str(), value(item)))
                .collect();
            mapping(&items)
        }
    }
}

/// Returns the instructions for an object of a foreign class with these attributes.
fn object(class: &str, attributes: Vec<u8>) -> Vec<u8> {
    let class = class.replace(' ', "\n");
    [b"c", class.as_bytes(), b"\n)\x81", &attributes, b"b"].concat()
}

/// Hyper-parameters of [`ATTENTION`].
fn ours() -> Value {
    json!({"H_cycles": 3, "L_cycles": 4, "num_heads": 2, "pos_encodings": "rope",
           "no_ACT_continue": false, "halt_max_steps": 9, "rms_norm_eps": 1e-6})
}

#[track_caller]
fn check_ours(model: &Model, source: &str) {
    let c = &model.config;
    assert_eq!(
        (c.h_cycles, c.l_cycles, c.num_heads, c.pos_encodings),
        (3, 4, 2, PosEncodings::Rope),
        "{source}"
    );
    assert_eq!(
        (c.halt_max_steps, c.no_act_continue),
        (9, false),
        "{source}"
    );
    assert_eq!(c.rms_norm_eps, 1e-6, "{source}");
    for name in ["H_cycles", "halt_max_steps", "no_ACT_continue"] {
        assert!(from(model, name).contains(source), "{}", from(model, name));
    }
}

#[test]
fn hyper_parameters_in_a_pickle_are_read() {
    let arch = json!({"arch": ours(), "lr": 0.1});
    let any_node = |value: &Value| {
        object(
            "omegaconf.nodes AnyNode",
            self::value(&json!({"_metadata": null, "_val": value})),
        )
    };
    let content: Vec<(&str, Vec<u8>)> = ours()
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| {
            // The keys live as long as the test.
            let key: &'static str = Box::leak(key.clone().into_boxed_str());
            (key, any_node(value))
        })
        .collect();
    let dict_config = object(
        "omegaconf.dictconfig DictConfig",
        mapping(&[
            ("_metadata", b"N".to_vec()),
            ("_content", mapping(&content)),
        ]),
    );
    let dict_subclass = [
        b"clightning_fabric.utilities.data\nAttributeDict\n)\x81".as_slice(),
        b"(",
        &ours()
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(key, item)| [text(key), value(item)].concat())
            .collect::<Vec<u8>>(),
        b"u",
    ]
    .concat();
    let slots = object(
        "lab.config Config",
        [b"(N".as_slice(), &value(&ours()), b"t"].concat(),
    );
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("hyper_parameters", value(&ours())),
        ("hyper_parameters", value(&json!({"model": ours()}))),
        ("hyper_parameters", dict_subclass),
        ("hparams", object("argparse Namespace", value(&ours()))),
        ("config", value(&arch)),
        ("config", object("lab.config PretrainConfig", value(&arch))),
        ("config", dict_config),
        ("config", text(&arch.to_string())),
        (
            "cfg",
            text(
                "arch:\n  H_cycles: 3\n  L_cycles: 4\n  num_heads: 2\n  pos_encodings: rope\n  no_ACT_continue: false\n  halt_max_steps: 9\n  rms_norm_eps: 1.0e-06\n",
            ),
        ),
        ("args", slots),
        (
            "model_config",
            object("pydantic.main Config", value(&json!({"__dict__": ours()}))),
        ),
    ];
    for (i, (key, stored)) in cases.into_iter().enumerate() {
        let file = torch_with(&attention(), "state_dict", &[(key, stored)]);
        let model = load(file, &[]).unwrap_or_else(|e| panic!("case {i}, {key}: {e}"));
        check_ours(&model, &format!("\"{key}\" of the file"));
    }
    // One level down, and beside the weights at the top level.
    let inner = mapping(&[("config", value(&ours()))]);
    let file = torch_with(&attention(), "state_dict", &[("checkpoint", inner)]);
    check_ours(
        &load(file, &[]).unwrap(),
        "\"checkpoint.config\" of the file",
    );
    let items = ours();
    let items: Vec<(&str, Vec<u8>)> = items
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, item)| (key.as_str(), value(item)))
        .collect();
    let file = torch_with(&attention(), "model", &items);
    check_ours(&load(file, &[]).unwrap(), "the top level of the file");
    // What other programs call a task is none of ours.
    let mut stored = ours();
    stored["task"] = json!("train");
    let file = torch_with(&attention(), "model", &[("args", value(&stored))]);
    assert_eq!(load(file, &[]).unwrap().config.task, None);
    // What has no hyper-parameter has no say.
    let file = torch_with(
        &attention(),
        "model",
        &[("args", value(&json!({"lr": 0.1})))],
    );
    fails(
        load(file, &[]),
        &["cannot determine H_cycles", "no_ACT_continue"],
    );
}

#[test]
fn hyper_parameters_in_the_metadata_of_safetensors_are_read() {
    let loose: Vec<(String, String)> = ours()
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), value.to_string().trim_matches('"').to_owned()))
        .collect();
    let loose: Vec<(&str, &str)> = loose
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let nested = json!({"model": ours()}).to_string();
    for (metadata, source) in [
        (
            vec![("hyper_parameters", nested.as_str())],
            "metadata \"hyper_parameters\"",
        ),
        (vec![("config", nested.as_str())], "metadata \"config\""),
        (loose, "metadata of the file"),
    ] {
        let file = with_metadata(&attention(), str::to_owned, &metadata);
        check_ours(&load(file, &[]).unwrap(), source);
    }
}

#[test]
fn stored_hyper_parameters_must_agree_with_the_files_beside() {
    let file = torch_with(&attention(), "model", &[("config", value(&ours()))]);
    let folder =
        |beside: &str| Folder::new(&[("last.ckpt", &file), ("all_config.yaml", beside.as_bytes())]);
    let yaml = format!("{YAML}  no_ACT_continue: false\n  halt_max_steps: 9\n");
    folder(&yaml).open().unwrap();
    // 3 and 3.0 are the same number.
    folder(&yaml.replace("H_cycles: 3", "H_cycles: 3.0"))
        .open()
        .unwrap();
    for (change, words) in [
        (
            "L_cycles: 4",
            [
                "L_cycles is 6 (all_config.yaml)",
                "but 4 (\"config\" of the file)",
            ],
        ),
        (
            "halt_max_steps: 9",
            ["halt_max_steps is 6 (all_config.yaml)", "but 9"],
        ),
        (
            "num_heads: 2",
            ["num_heads is 6 (all_config.yaml)", "but 2"],
        ),
    ] {
        let key = change.split_once(':').unwrap().0;
        let folder = folder(&yaml.replace(change, &format!("{key}: 6")));
        fails(folder.open(), &words);
        // What the caller gives decides.
        let value = change.split_once(": ").unwrap().1;
        open(folder.path(), &[(key, value)]).unwrap();
        folder.write("given.yaml", yaml.as_bytes());
        let given = LoadOptions {
            config: Some(folder.path().join("given.yaml")),
            ..LoadOptions::default()
        };
        Model::open(folder.path(), &given).unwrap();
    }
    // Two configurations in one file.
    let mut other = ours();
    other["L_cycles"] = json!(6);
    let stored = [
        ("config", value(&ours())),
        ("hyper_parameters", value(&other)),
    ];
    let file = torch_with(&attention(), "model", &stored);
    fails(
        load(file, &[]),
        &["L_cycles is 4", "but 6 (\"hyper_parameters\" of the file)"],
    );
}

#[test]
fn a_hostile_stored_configuration_ends_soon() {
    // A list that holds itself, and a tree of shared dicts.
    let circle = b"]q\x01h\x01a".to_vec();
    let mut tree = b"}q\x02".to_vec();
    for _ in 0..40 {
        tree.extend(b"}(");
        for key in ["a", "b", "c", "d"] {
            tree.extend(text(key));
            tree.extend(b"h\x02");
        }
        tree.extend(b"uq\x02");
    }
    for stored in [circle, tree] {
        let start = std::time::Instant::now();
        let more = [("config", stored), ("args", value(&ours()))];
        let file = torch_with(&attention(), "model", &more);
        // What else the file stores is read or not; it does not hang.
        let _ = load(file, GIVEN).unwrap();
        assert!(start.elapsed().as_secs_f32() < 1.0, "{:?}", start.elapsed());
    }
}

/// The names of the re-implementation nano-trm.
fn nano() -> Tensors {
    let rename = |name: String| match name.as_str() {
        "H_init" => "z_H_init".to_owned(),
        "L_init" => "z_L_init".to_owned(),
        _ => name
            .replace("L_level", "lenet")
            .replace("embed_tokens", "input_embedding"),
    };
    let mut all: Tensors = attention()
        .into_iter()
        .map(|t| (rename(t.0), t.1))
        .collect();
    for (name, shape) in &mut all {
        if name.starts_with("q_head") {
            shape[0] = 1;
        }
    }
    all
}

#[test]
fn the_names_and_hyper_parameters_of_nano_trm_are_read() {
    let stored = json!({"hidden_size": 4, "num_layers": 1, "num_heads": 2, "H_cycles": 3,
        "L_cycles": 4, "N_supervision": 4, "N_supervision_val": 7, "puzzle_emb_dim": 0,
        "puzzle_emb_len": 16, "pos_emb_type": "1d", "use_mlp_t": false, "vocab_size": 6,
        "seq_len": 9, "num_puzzles": 1});
    let open = |stored: &Value| {
        let more = [("hyper_parameters", value(stored))];
        load(torch_with(&nano(), "state_dict", &more), &[])
    };
    let model = open(&stored).unwrap();
    let c = &model.config;
    assert_eq!(
        (c.variant, c.h_cycles, c.l_cycles),
        (Architecture::Trm, 3, 4)
    );
    assert_eq!((c.halt_max_steps, c.pos_encodings), (7, PosEncodings::Rope));
    assert_eq!(
        (c.seq_len, c.prefix_len(), c.no_act_continue),
        (Some(9), 0, true)
    );
    assert_eq!(
        from(&model, "halt_max_steps"),
        "N_supervision_val in \"hyper_parameters\" of the file"
    );
    assert_eq!(from(&model, "no_ACT_continue"), "q_head has one output");
    // The missing output of the halting head is 0, and stays so.
    let head = |model: &Model| {
        let weights = model.take_weights().unwrap();
        let [head, bias] = ["q_head.weight", "q_head.bias"].map(|name| {
            let all = model.config.weights();
            let weight = all
                .into_iter()
                .find(|weight| weight.name() == name)
                .unwrap();
            weights.get(weight).clone()
        });
        assert_eq!((head.shape, bias.shape), (vec![2, 4], vec![2]));
        (head.data, bias.data)
    };
    assert_eq!(head(&model).0, [0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0]);
    let out = Folder::new(&[]);
    model.save(out.path(), &SaveOptions::default()).unwrap();
    assert_eq!(head(&out.open().unwrap()), head(&model));
    assert!(out.open().unwrap().config.no_act_continue);

    let with = |key: &str, value: Value| {
        let mut changed = stored.clone();
        changed[key] = value;
        open(&changed)
    };
    for none in [json!(null), json!("null"), json!("none")] {
        let config = with("pos_emb_type", none).unwrap().config;
        assert_eq!(config.pos_encodings, PosEncodings::None);
    }
    fails(
        with("pos_emb_type", json!("2d")),
        &["\"2d\"", "pos_emb_type in"],
    );
    fails(
        with("num_layers", json!(2)),
        &["L_layers is 2 (num_layers in", "1 by the shape"],
    );
    fails(
        with("use_mlp_t", json!(true)),
        &["mlp_t is true (use_mlp_t in", "self_attn"],
    );
    fails(
        with("no_ACT_continue", json!(false)),
        &["no_ACT_continue is false", "q_head has one output"],
    );
}

#[test]
fn a_published_file_may_have_one_halting_output() {
    let mut all = attention();
    for (name, shape) in &mut all {
        if name.starts_with("q_head") {
            shape[0] = 1;
        }
    }
    let given: Vec<_> = GIVEN
        .iter()
        .copied()
        .filter(|(key, _)| *key != "no_ACT_continue")
        .collect();
    assert!(
        load(safetensors(&all), &given)
            .unwrap()
            .config
            .no_act_continue
    );
    // One output in the weights and two in the bias do not fit together.
    all.iter_mut().find(|t| t.0 == "q_head.bias").unwrap().1 = vec![2];
    fails(
        load(safetensors(&all), GIVEN),
        &["q_head.weight", "[1, 4]", "[2, 4]"],
    );
}

// References in YAML.

fn yaml_model(yaml: &str) -> Result<Model, String> {
    let file = safetensors(&with_puzzle(attention(), 2, 4));
    Folder::new(&[("step_1", &file), ("all_config.yaml", yaml.as_bytes())]).open()
}

#[test]
fn references_to_keys_of_the_same_file_are_followed() {
    const REST: &str = "H_cycles: 3\nL_cycles: 4\nnum_heads: 2\npos_encodings: rope\n";
    let arch = REST
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect::<String>();
    for yaml in [
        format!("{REST}hidden_size: 4\npuzzle_emb_ndim: ${{.hidden_size}}\n"),
        format!("{REST}hidden_size: 4\npuzzle_emb_ndim: ${{hidden_size}}\n"),
        format!("{REST}hidden_size: 4\npuzzle_emb_ndim: ${{arch.hidden_size}}\n"),
        format!("arch:\n{arch}  hidden_size: 4\n  puzzle_emb_ndim: ${{.hidden_size}}\n"),
        format!("arch:\n{arch}  hidden_size: 4\n  puzzle_emb_ndim: ${{arch.hidden_size}}\n"),
        format!(
            "arch:\n{arch}  hidden_size: ${{..width}}\n  puzzle_emb_ndim: ${{.hidden_size}}\nwidth: 4\n"
        ),
        format!("arch:\n{arch}  hidden_size: ${{data.sizes[1]}}\ndata:\n  sizes: [2, 4]\n"),
        format!("arch: &a\n{arch}  hidden_size: 4\ncopy: *a\n"),
        format!("base: &b {{hidden_size: 4, L_cycles: 9}}\narch:\n  <<: *b\n{arch}"),
        format!(
            "a: &a {{hidden_size: 4}}\nb: &b {{hidden_size: 5}}\narch:\n  <<: [*a, *b]\n{arch}"
        ),
        // What no hyper-parameter needs may refer to anything.
        format!("{REST}run: ${{now:%Y}}\nuser: ${{oc.env:USER}}\nlost: ${{.absent}}\n"),
    ] {
        let model = yaml_model(&yaml).unwrap_or_else(|e| panic!("{yaml}{e}"));
        assert_eq!(model.config.l_cycles, 4, "{yaml}");
    }
}

#[test]
fn other_references_are_named_as_what_they_are() {
    for (reference, reason) in [
        ("${oc.env:LAYERS}", "environment variable LAYERS"),
        ("${env:LAYERS,4}", "environment variable LAYERS"),
        ("${now:%H}", "the time of the training"),
        ("${hydra:job.num}", "setting of Hydra"),
        ("${eval:2*2}", "resolver \"eval\""),
        ("${.absent}", "no key \".absent\""),
        ("${data.absent}", "no key \"data.absent\""),
        ("${.L_cycles}", "circle"),
        ("${.loop}", "circle"),
        ("???", "mark of a value that training had to be given"),
    ] {
        let yaml = format!(
            "arch:\n  H_cycles: 3\n  L_cycles: {reference}\n  loop: ${{.back}}\n  back: \
             ${{.loop}}\n  num_heads: 2\n  pos_encodings: rope\n"
        );
        fails(
            yaml_model(&yaml),
            &["L_cycles is", reference, "all_config.yaml", reason],
        );
        // Given otherwise, it does not matter.
        let file = safetensors(&attention());
        let folder = Folder::new(&[("step_1", &file), ("all_config.yaml", yaml.as_bytes())]);
        open(folder.path(), &[("L_cycles", "4")]).unwrap();
    }
    // In a value that must be one of some words.
    let yaml = YAML.replace("rope", "${oc.env:POS}");
    fails(
        yaml_model(&yaml),
        &["pos_encodings", "environment variable POS"],
    );
}

// Several files.

/// Splits a model after `at` tensors into two files and an index.
fn shards(at: usize) -> Folder {
    let all = attention();
    let folder = Folder::new(&[("all_config.yaml", YAML.as_bytes())]);
    folder.write("model-00001-of-00002.safetensors", &safetensors(&all[..at]));
    folder.write("model-00002-of-00002.safetensors", &safetensors(&all[at..]));
    let map: serde_json::Map<String, Value> = all
        .iter()
        .enumerate()
        .map(|(i, (name, _))| {
            let number = 1 + usize::from(i >= at);
            (
                name.clone(),
                json!(format!("model-0000{number}-of-00002.safetensors")),
            )
        })
        .collect();
    write_index(
        &folder,
        &json!({"metadata": {"total_size": total(&all)}, "weight_map": map}),
    );
    folder
}

fn total(tensors: &Tensors) -> usize {
    let elements = |t: &(String, Vec<usize>)| t.1.iter().product::<usize>();
    4 * tensors.iter().map(elements).sum::<usize>()
}

const INDEX: &str = "model.safetensors.index.json";

fn write_index(folder: &Folder, index: &Value) {
    folder.write(INDEX, index.to_string().as_bytes());
}

fn index(folder: &Folder) -> Value {
    serde_json::from_slice(&std::fs::read(folder.path().join(INDEX)).unwrap()).unwrap()
}

#[test]
fn shards_with_an_index_are_one_model() {
    for at in 1..attention().len() {
        let folder = shards(at);
        let model = folder.open().unwrap();
        same_weights(&model);
        assert!(model.notes.is_empty(), "{:?}", model.notes);
        assert!(model.path.as_deref().unwrap().ends_with(INDEX));
    }
    let folder = shards(4);
    // The index and a shard stand for the model, too.
    same_weights(&open(folder.path().join(INDEX), &[]).unwrap());
    let model = open(folder.path().join("model-00002-of-00002.safetensors"), &[]).unwrap();
    same_weights(&model);
    assert!(
        model.notes[0].contains("one of 2 files"),
        "{:?}",
        model.notes
    );
    // The hash is that of both files, and the saved model is one file.
    let out = Folder::new(&[]);
    model.save(out.path(), &SaveOptions::default()).unwrap();
    same_weights(&out.open().unwrap());
    // A wrong total is told, as other programs accept it.
    let mut changed = index(&folder);
    changed["metadata"]["total_size"] = json!(1);
    write_index(&folder, &changed);
    let model = folder.open().unwrap();
    assert!(
        model.notes[0].contains("a total of 1 bytes"),
        "{:?}",
        model.notes
    );
    // Without an index, the numbers tell.
    std::fs::remove_file(folder.path().join(INDEX)).unwrap();
    same_weights(&folder.open().unwrap());
    std::fs::remove_file(folder.path().join("model-00001-of-00002.safetensors")).unwrap();
    fails(folder.open(), &["number 1 is missing"]);
}

#[test]
fn shards_of_torch_save_are_one_model() {
    let all = attention();
    let (first, second) = all.split_at(5);
    let names = [
        "pytorch_model-00001-of-00002.bin",
        "pytorch_model-00002-of-00002.bin",
    ];
    let folder = Folder::new(&[
        ("all_config.yaml", YAML.as_bytes()),
        (names[0], &torch_with(&first.to_vec(), "state_dict", &[])),
        (names[1], &torch_with(&second.to_vec(), "state_dict", &[])),
    ]);
    let map: serde_json::Map<String, Value> = all
        .iter()
        .enumerate()
        .map(|(i, (name, _))| {
            (
                format!("state_dict.{name}"),
                json!(names[usize::from(i >= 5)]),
            )
        })
        .collect();
    let text = json!({"weight_map": map}).to_string();
    folder.write("pytorch_model.bin.index.json", text.as_bytes());
    let model = folder.open().unwrap();
    let weights = model.take_weights().unwrap();
    for weight in model.config.weights() {
        let data = &weights.get(weight).data;
        let expected: Vec<f32> = (0..data.len()).map(|i| i as f32).collect();
        assert_eq!(*data, expected, "{weight:?}");
    }
}

#[test]
fn an_index_that_does_not_fit_is_an_error() {
    let name = "lm_head.weight";
    let refused = |change: &dyn Fn(&Folder, &mut Value), words: &[&str]| {
        let folder = shards(4);
        let mut index = index(&folder);
        change(&folder, &mut index);
        write_index(&folder, &index);
        fails(folder.open(), words);
    };
    refused(
        &|folder, _| {
            let shard = folder.path().join("model-00002-of-00002.safetensors");
            std::fs::remove_file(shard).unwrap();
        },
        &[
            INDEX,
            "\"model-00002-of-00002.safetensors\"",
            "not in the directory",
        ],
    );
    for trick in [
        "../model-00002-of-00002.safetensors",
        "/etc/passwd",
        "a/../b.safetensors",
        "..\\b.safetensors",
        "C:model.safetensors",
        "..",
        ".hidden",
        "",
    ] {
        refused(
            &|_, index| index["weight_map"][name] = json!(trick),
            &[INDEX, "not the name of a file in its directory"],
        );
    }
    refused(
        &|_, index| index["weight_map"][name] = json!("model-00002-of-00002.safetensors"),
        &[name, "but it is in \"model-00001-of-00002.safetensors\""],
    );
    refused(
        &|_, index| {
            index["weight_map"]["absent"] = json!("model-00001-of-00002.safetensors");
        },
        &["\"absent\"", "does not hold it"],
    );
    refused(
        &|_, index| {
            index["weight_map"].as_object_mut().unwrap().remove(name);
        },
        &["does not list", name],
    );
    refused(
        &|folder, _| {
            let all = attention();
            let shard = "model-00002-of-00002.safetensors";
            folder.write(shard, &safetensors(&all[3..]));
        },
        &[name, "in another shard, too"],
    );
    refused(
        &|folder, _| {
            let shard = "model-00002-of-00002.safetensors";
            let file = torch_with(&attention()[4..].to_vec(), "x", &[]);
            folder.write(shard, &file);
        },
        &["another format"],
    );
    refused(
        &|folder, _| {
            let shard = "model-00002-of-00002.safetensors";
            let whole = std::fs::read(folder.path().join(shard)).unwrap();
            folder.write(shard, &whole[..whole.len() - 4]);
        },
        &["model-00002-of-00002.safetensors", "cut short"],
    );
    refused(
        &|_, index| index["weight_map"] = json!({}),
        &["no weight_map"],
    );
    refused(
        &|_, index| index["weight_map"] = json!([1]),
        &["not an index"],
    );
    refused(
        &|_, index| index["weight_map"][name] = json!(1),
        &["not an index"],
    );
    let many = |_: &Folder, index: &mut Value| {
        for i in 0..300 {
            index["weight_map"][format!("t{i}")] = json!(format!("s{i}"));
        }
    };
    refused(&many, &["not in the directory"]);
    // A tensor that is listed twice; text that is no JSON.
    let folder = shards(4);
    let twice = index(&folder)
        .to_string()
        .replacen("\"L_init\"", "\"H_init\"", 1);
    folder.write(INDEX, twice.as_bytes());
    fails(folder.open(), &["\"H_init\" is listed twice"]);
    folder.write(INDEX, b"{\"weight_map\": ");
    fails(folder.open(), &[INDEX, "not an index"]);
    folder.write(INDEX, &vec![b' '; 5 << 20]);
    fails(folder.open(), &[INDEX, "more than"]);
}

#[test]
fn too_many_shards_are_an_error() {
    let folder = Folder::new(&[("all_config.yaml", YAML.as_bytes())]);
    let one = safetensors(&[("x".into(), vec![1])]);
    let mut map = serde_json::Map::new();
    for i in 0..300 {
        folder.write(&format!("s{i}.safetensors"), &one);
        map.insert(format!("t{i}"), json!(format!("s{i}.safetensors")));
    }
    write_index(&folder, &json!({"weight_map": map}));
    fails(
        open(folder.path().join(INDEX), &[]),
        &["300 shards", "from 1 to 256"],
    );
}

#[test]
fn the_file_that_was_chosen_is_told() {
    let file = safetensors(&attention());
    let yaml = ("all_config.yaml", YAML.as_bytes());
    let folder = Folder::new(&[yaml, ("step_7", &file)]);
    assert!(folder.open().unwrap().notes.is_empty());
    for other in ["step_5", "step_6.pt", "best.pt"] {
        let folder = Folder::new(&[yaml, ("step_7", &file), (other, &file)]);
        let model = folder.open().unwrap();
        assert!(model.path.as_deref().unwrap().ends_with("step_7"));
        let note = &model.notes[0];
        assert!(
            note.contains("step_7 is used") && note.contains(other),
            "{note}"
        );
    }
    // A saved model has precedence over the steps that it was made from.
    let json = ours().to_string();
    let saved = [
        ("config.json", json.as_bytes()),
        ("model.safetensors", &file[..]),
    ];
    let model = Folder::new(&saved).open().unwrap();
    assert!(model.notes.is_empty(), "{:?}", model.notes);
    let model = Folder::new(&[&saved[..], &[("step_7", &file[..])]].concat())
        .open()
        .unwrap();
    let note = &model.notes[0];
    assert!(
        note.contains("model.safetensors is used") && note.contains("step_7"),
        "{note}"
    );
    // With suffixes, by number and not by name.
    let folder = Folder::new(&[yaml, ("step_9.pth", &file), ("step_10.pth", &file)]);
    assert!(
        folder
            .open()
            .unwrap()
            .path
            .unwrap()
            .ends_with("step_10.pth")
    );
    // What training leaves beside a checkpoint is none.
    for other in [
        "optimizer.pt",
        "training_args.bin",
        "rng_state_0.pth",
        "step_7_train_state.pt",
    ] {
        let folder = Folder::new(&[yaml, ("model.pt", &file), (other, b"x")]);
        let model = folder.open().unwrap_or_else(|e| panic!("{other}: {e}"));
        assert!(model.path.as_deref().unwrap().ends_with("model.pt"));
    }
}

#[test]
fn folders_of_training_programs_are_read() {
    let file = safetensors(&attention());
    let flat = YAML.replace("arch:", "model:");
    for (model_at, config_at, config) in [
        ("step_1", ".hydra/config.yaml", YAML),
        ("last.ckpt", ".hydra/config.yaml", &flat),
        ("last.ckpt", "config.yaml", YAML),
        ("last.ckpt", "hparams.yaml", &flat),
        ("checkpoints/last.ckpt", "hparams.yaml", &flat),
        ("checkpoints/last.ckpt", ".hydra/config.yaml", &flat),
        ("checkpoints/last.ckpt", "checkpoints/all_config.yaml", YAML),
        ("ckpt/step_3.pt", "all_config.yaml", YAML),
    ] {
        let folder = Folder::new(&[(model_at, &file), (config_at, config.as_bytes())]);
        for path in [folder.path().to_owned(), folder.path().join(model_at)] {
            let model = open(&path, &[]);
            let model = model.unwrap_or_else(|e| panic!("{model_at}, {config_at}: {e}"));
            same_weights(&model);
            let found = from(&model, "H_cycles");
            assert!(config_at.ends_with(&found), "{found}, not {config_at}");
        }
    }
    // A file of that name without hyper-parameters belongs to another program.
    let folder = Folder::new(&[("last.ckpt", &file), ("config.yaml", b"lr: 1\n")]);
    folder.write("hparams.yaml", flat.as_bytes());
    folder.open().unwrap();
    std::fs::remove_file(folder.path().join("hparams.yaml")).unwrap();
    fails(
        folder.open(),
        &["cannot determine H_cycles", "no_ACT_continue"],
    );
    // A checkpoint in many pieces that only its own program can join.
    let folder = Folder::new(&[("__0_0.distcp", b"x"), (".metadata", b"x")]);
    fails(folder.open(), &["distributed checkpoint", "dcp_to_torch"]);
}

// Models that are elsewhere, and models that would never end.

#[test]
fn an_address_or_a_name_of_a_hub_says_how_to_fetch_it() {
    let hint = |path: &str| {
        let error = Model::open(path, &LoadOptions::default()).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
        error.hint().cloned()
    };
    let hub = |name: &str| Some(Hint::FetchFromHub(name.into()));
    assert_eq!(
        hint("some-user/trm_sudoku.v2"),
        hub("some-user/trm_sudoku.v2")
    );
    assert_eq!(hint("some-user/trm/"), hub("some-user/trm"));
    assert_eq!(hint("hf://some-user/trm"), hub("some-user/trm"));
    assert_eq!(hint("hub.example/some-user/trm"), hub("some-user/trm"));
    let address = "https://hub.example/some-user/trm/resolve/main/model.safetensors";
    assert_eq!(hint(address), Some(Hint::DownloadFile(address.into())));
    // A path that is only mistyped.
    for path in [
        "no-such-model",
        "src/absent",
        "some-user/step_9",
        "a/b/c",
        "/no/model",
        "../x",
    ] {
        assert!(!Path::new(path).exists());
        assert_eq!(hint(path), None, "{path}");
    }
}

#[test]
fn a_plan_without_end_is_an_error() {
    let deep = |layers: usize, set: &[(&str, &str)]| {
        let mut all = attention();
        for i in 1..layers {
            all.extend(ATTENTION.iter().filter(|t| t.0.contains("layers.0")).map(
                |(name, shape)| {
                    (
                        name.replace("layers.0", &format!("layers.{i}")),
                        shape.to_vec(),
                    )
                },
            ));
        }
        let rest = GIVEN.iter().filter(|g| !set.iter().any(|s| s.0 == g.0));
        let given: Vec<_> = rest.chain(set).copied().collect();
        load(safetensors(&all), &given)
    };
    let start = std::time::Instant::now();
    fails(
        deep(256, &[("H_cycles", "64"), ("L_cycles", "64")]),
        &[
            "5324802 kernel calls",
            "H_cycles 64",
            "L_cycles 64",
            "256 layers",
            "at most 100000",
        ],
    );
    fails(
        deep(8, &[("H_cycles", "64"), ("L_cycles", "64")]),
        &["166402 kernel calls"],
    );
    // A deep recursion of a small network is real, and so are thousands of steps.
    deep(2, &[("H_cycles", "64"), ("L_cycles", "64")]).unwrap();
    deep(1, &[("halt_max_steps", "20000")]).unwrap();
    fails(
        deep(1, &[("halt_max_steps", "1048576")]),
        &[
            "halt_max_steps is 1048576",
            "77 kernel calls",
            "at most 10000000",
        ],
    );
    fails(
        deep(
            2,
            &[
                ("H_cycles", "64"),
                ("L_cycles", "64"),
                ("halt_max_steps", "1000"),
            ],
        ),
        &["halt_max_steps is 1000", "41602 kernel calls"],
    );
    fails(
        deep(1, &[("halt_max_steps", "1000000000")]),
        &["halt_max_steps", "from 1 to"],
    );
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
