//! Properties: any strides are read like plain indices, and what is written is read back.

use std::fs;

use proptest::prelude::*;
use trm_runtime::low_level::checkpoint::Checkpoint;
use trm_runtime::{Config, SaveOptions};

use super::build::*;

/// Shape, strides of a permuted and stretched layout, offset.
fn layout() -> impl Strategy<Value = (Vec<i64>, Vec<i64>, i64)> {
    let axes = prop::collection::vec((1i64..6, 1i64..3, any::<bool>()), 0..4);
    (axes, any::<u64>(), 0i64..5).prop_map(|(axes, order, offset)| {
        // Strides grow along a random order of the axes, with gaps; some axes are expanded.
        let mut by: Vec<usize> = (0..axes.len()).collect();
        by.sort_by_key(|i| (order >> (i * 8)) as u8);
        let mut strides = vec![0; axes.len()];
        let mut step = 1;
        for i in by {
            let (size, gap, expanded) = axes[i];
            if !(expanded && gap == 2) {
                strides[i] = step * gap;
                step *= size * gap;
            }
        }
        (axes.iter().map(|a| a.0).collect(), strides, offset)
    })
}

/// The bytes of a number in an element type.
type Encode = fn(usize) -> Vec<u8>;

/// Storage classes and what their elements look like.
fn kinds() -> Vec<(&'static str, Encode)> {
    vec![
        ("FloatStorage", |n| (n as f32).to_le_bytes().to_vec()),
        ("DoubleStorage", |n| (n as f64).to_le_bytes().to_vec()),
        ("HalfStorage", |n| {
            half::f16::from_f32(n as f32).to_le_bytes().to_vec()
        }),
        ("BFloat16Storage", |n| {
            half::bf16::from_f32(n as f32).to_le_bytes().to_vec()
        }),
        ("LongStorage", |n| (n as i64).to_le_bytes().to_vec()),
        ("IntStorage", |n| (n as i32).to_le_bytes().to_vec()),
        ("ShortStorage", |n| (n as i16).to_le_bytes().to_vec()),
    ]
}

proptest! {
    #[test]
    fn strides_are_plain_indexing((shape, strides, offset) in layout(), kind in 0usize..7) {
        let (class, encode) = kinds()[kind];
        let span: i64 = shape.iter().zip(&strides).map(|(n, s)| (n - 1) * s).sum();
        let elements = (offset + span + 1) as usize;
        // 256 steps: all that bf16 holds exactly.
        let pickle = dict(&[("a", tensor("0", elements as i64, offset, &shape, &strides))]);
        let pickle = String::from_utf8_lossy(&pickle).contains("FloatStorage").then(|| replace(&pickle, "FloatStorage", class)).unwrap();
        let bytes: Vec<u8> = (0..elements).flat_map(|n| encode(n % 256)).collect();
        let file = Zip::default().add("a/data.pkl", &pickle).add("a/data/0", &bytes).finish();
        let file = Checkpoint::from_bytes(file).unwrap();
        let found = file.read("a").unwrap();
        let mut expected = Vec::new();
        let mut at = vec![0i64; shape.len()];
        'all: loop {
            let index = offset + at.iter().zip(&strides).map(|(i, s)| i * s).sum::<i64>();
            expected.push((index % 256) as f32);
            for axis in (0..shape.len()).rev() {
                at[axis] += 1;
                if at[axis] < shape[axis] {
                    continue 'all;
                }
                at[axis] = 0;
            }
            break;
        }
        prop_assert_eq!(&found.data, &expected);
        // Row by row it is the same.
        if let Some(rows) = shape.first() {
            let by_row: Vec<f32> = (0..*rows as usize).flat_map(|row| file.read_row("a", row).unwrap()).collect();
            prop_assert_eq!(by_row, expected);
        }
    }

    #[test]
    fn written_is_read(
        heads in 1usize..4,
        pairs in 1usize..3,
        vocab in 1usize..9,
        inner in 1usize..9,
        rows in 1usize..5,
        width in 1usize..20,
    ) {
        let d = heads * pairs * 2;
        let tensors = with_puzzle(attention(), rows, width).into_iter();
        let tensors: Tensors = tensors.map(|(name, shape)| {
            let shape = match (name.as_str(), shape.len()) {
                ("embed_tokens.embedding_weight" | "lm_head.weight", _) => vec![vocab, d],
                ("q_head.weight", _) => vec![2, d],
                ("q_head.bias" | "puzzle_emb.weights", _) => shape,
                (name, 2) if name.contains("qkv") => vec![3 * d, d],
                (name, 2) if name.contains("o_proj") => vec![d, d],
                (name, 2) if name.contains("gate_up") => vec![2 * inner, d],
                (_, 2) => vec![d, inner],
                _ => vec![d],
            };
            (name, shape)
        }).collect();
        let heads = heads.to_string();
        let set: Vec<_> = GIVEN.iter().map(|(k, v)| (*k, if *k == "num_heads" { heads.as_str() } else { *v })).chain([("puzzle_emb_len", "20")]).collect();
        let model = load(safetensors(&tensors), &set).unwrap();
        let folder = Folder::new(&[]);
        model.save(folder.path(), &SaveOptions::default()).unwrap();
        let again = folder.open().unwrap();
        prop_assert_eq!(&again.config, &model.config);
        let (before, after) = (model.take_weights().unwrap(), again.take_weights().unwrap());
        for weight in model.config.weights() {
            prop_assert_eq!(after.get(weight), before.get(weight));
        }
        let written = fs::read(folder.path().join("model.safetensors")).unwrap();
        let checked = safetensors::SafeTensors::deserialize(&written).unwrap();
        prop_assert_eq!(checked.len(), tensors.len());
        for (name, shape) in &tensors {
            let view = checked.tensor(name).unwrap();
            prop_assert_eq!(view.shape(), shape);
            let elements = 0..shape.iter().product();
            let expected: Vec<u8> = elements.flat_map(|i| element(name, i).to_le_bytes()).collect();
            prop_assert_eq!(view.data(), expected);
        }
    }

    #[test]
    fn any_bytes_are_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        start in 0usize..4,
    ) {
        let starts: [&[u8]; 4] = [b"", b"PK\x03\x04", b"\x40\0\0\0\0\0\0\0{", b"\x80\x02"];
        prop_assert!(load([starts[start], &bytes].concat(), GIVEN).is_err());
    }

    #[test]
    fn any_pickle_ends(bytes in prop::collection::vec(prop::sample::select(&b"\x80\x02(}])0123acehijlopqrstuNKJX\x85\x86\x87\x8c\x93\x94\x81Qb.\n"[..]), 0..200)) {
        let _ = Checkpoint::from_bytes(torch_file(&bytes, &[("0", 4)]));
    }

    #[test]
    fn any_configuration_ends(text in "[a-zA-Z_0-9:,.{}\\[\\]&*!|>'\"# \n-]{0,200}") {
        let folder = Folder::new(&[("m.safetensors", &safetensors(&attention())), ("all_config.yaml", text.as_bytes())]);
        let _ = folder.open();
    }
}

fn replace(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|w| w == from.as_bytes())
        .unwrap();
    [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
}

/// The published rule of inner widths, by its two published numbers.
#[test]
fn inner_widths_follow_the_published_rule() {
    assert_eq!(Config::inner_width(512, 4.0), 1536);
    assert_eq!(Config::inner_width(97, 4.0), 512);
    assert_eq!(Config::inner_width(1, f64::INFINITY), usize::MAX);
}
