//! Small models made by hand: a bundled one with other numbers, and one for very long inputs.

use serde_json::{Map, Value, json};
use trm_runtime::{LoadOptions, Model, bundled};

/// Returns the 4x4 Sudoku model with some numbers of a tensor of f32 replaced: those of one row, or
/// all.
pub(crate) fn patched(tensor: &str, row: Option<usize>, value: f32) -> Model {
    let mut bytes = bundled::bytes("sudoku-4x4").unwrap().to_vec();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let info = &header[tensor];
    assert_eq!(info["dtype"], "F32", "{tensor}");
    let number = |value: &Value| value.as_u64().unwrap() as usize;
    let offset = |i: usize| 8 + length + number(&info["data_offsets"][i]);
    let (mut start, mut end) = (offset(0), offset(1));
    if let Some(row) = row {
        let row_bytes = (end - start) / number(&info["shape"][0]);
        start += row * row_bytes;
        end = start + row_bytes;
    }
    let patch = |place: &mut [u8]| place.copy_from_slice(&value.to_le_bytes());
    bytes[start..end].chunks_exact_mut(4).for_each(patch);
    Model::from_bytes(bytes, &LoadOptions::default()).unwrap()
}

/// Returns a model with attention of D = 4 for any number of tokens.
pub(crate) fn attention_of_any_length() -> Model {
    let tensors: &[(&str, &[usize])] = &[
        ("H_init", &[4]),
        ("L_init", &[4]),
        ("embed_tokens.embedding_weight", &[6, 4]),
        ("lm_head.weight", &[6, 4]),
        ("q_head.weight", &[2, 4]),
        ("q_head.bias", &[2]),
        ("L_level.layers.0.self_attn.qkv_proj.weight", &[12, 4]),
        ("L_level.layers.0.self_attn.o_proj.weight", &[4, 4]),
        ("L_level.layers.0.mlp.gate_up_proj.weight", &[8, 4]),
        ("L_level.layers.0.mlp.down_proj.weight", &[4, 4]),
    ];
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in tensors {
        let start = data.len();
        for i in 0..shape.iter().product() {
            data.extend((((7 * i + name.len()) % 17) as f32 / 8.0 - 1.0).to_le_bytes());
        }
        let info = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert((*name).into(), info);
    }
    let header = Value::from(header).to_string().into_bytes();
    let length = (header.len() as u64).to_le_bytes();
    let set = [
        ("H_cycles", "3"),
        ("L_cycles", "6"),
        ("num_heads", "2"),
        ("pos_encodings", "rope"),
        ("no_ACT_continue", "true"),
        ("halt_max_steps", "16"),
    ];
    let set = set.map(|(name, value)| (name.to_string(), value.to_string()));
    let options = LoadOptions {
        set: set.to_vec(),
        ..LoadOptions::default()
    };
    Model::from_bytes([&length[..], &header, &data].concat(), &options).unwrap()
}
