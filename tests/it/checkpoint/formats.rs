//! Matrices in f16, bf16 and int8: what is written is read back, and inconsistent files are errors.

use std::fs;

use crate::rebuild::Rebuild;
use serde_json::{Map, Value, json};
use trm_runtime::low_level::dtype::takes_dtype;
use trm_runtime::{LoadOptions, Model, SaveOptions, Solver, WeightDtype};

use super::build::*;

const DOWN: &str = "L_level.layers.0.mlp.down_proj.weight";

/// A model whose numbers need all bits of f32.
fn wild() -> Model {
    let mut file = safetensors(&attention());
    let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    for (i, four) in file[8 + header..].chunks_exact_mut(4).enumerate() {
        four.copy_from_slice(&((i as f32 * 0.37).sin() * 1.3).to_le_bytes());
    }
    load(file, GIVEN).unwrap()
}

fn saved(model: &Model, dtype: WeightDtype) -> Vec<u8> {
    let out = Folder::new(&[]);
    let options = SaveOptions {
        dtype,
        ..SaveOptions::default()
    };
    model.save(out.path(), &options).unwrap();
    let config = fs::read_to_string(out.path().join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["dtype"], dtype.name(), "{config}");
    fs::read(out.path().join("model.safetensors")).unwrap()
}

fn read(file: Vec<u8>) -> Result<Model, String> {
    Model::from_bytes(file, &LoadOptions::default()).map_err(|e| e.to_string())
}

/// A change of a file: its header and its bytes.
type Change<'a> = &'a dyn Fn(&mut Map<String, Value>, &mut Vec<u8>);

#[test]
fn reading_gives_the_rounded_weights() {
    for format in WeightDtype::ALL {
        let file = saved(&wild(), format);
        let model = read(file.clone()).unwrap();
        let (got, want) = (
            model.take_weights().unwrap(),
            wild().take_weights().unwrap().rounded(format),
        );
        let exact = wild().take_weights().unwrap();
        for weight in model.config.weights() {
            let bits = |tensor: &trm_runtime::low_level::weights::Tensor| -> Vec<u32> {
                tensor.data.iter().map(|v| v.to_bits()).collect()
            };
            assert_eq!(
                bits(got.get(weight)),
                bits(want.get(weight)),
                "{format}, {weight:?}"
            );
            let changed = bits(got.get(weight)) != bits(exact.get(weight));
            assert_eq!(
                changed,
                format != WeightDtype::F32 && takes_dtype(weight),
                "{format}, {weight:?}"
            );
        }
        let int8 = format == WeightDtype::Int8;
        let expected = if int8 {
            WeightDtype::Int8
        } else {
            WeightDtype::F32
        };
        assert_eq!(model.dtype(), expected);
        let scales = model.tensors.iter().filter(|t| t.name.ends_with(".scale"));
        assert_eq!(scales.count(), if int8 { 4 } else { 0 });
        // Converting again gives the same bytes: nothing is rounded twice.
        assert_eq!(without_source(saved(&model, format)), without_source(file));
        let solver = Solver::builder().build(model).unwrap();
        assert_eq!(solver.dtype(), expected);
        assert_eq!(
            solver.rebuild(|b| b.dtype(WeightDtype::F16)).dtype(),
            WeightDtype::F16
        );
    }
}

/// Returns the tensors of a file, without the header, which names the file the model came from.
fn without_source(file: Vec<u8>) -> Vec<u8> {
    let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    file[8 + header..].to_vec()
}

/// Splits a file, lets `change` edit its header and its data, and joins them.
fn changed(file: &[u8], change: impl FnOnce(&mut Map<String, Value>, &mut Vec<u8>)) -> Vec<u8> {
    let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut map = serde_json::from_slice(&file[8..8 + header]).unwrap();
    let mut data = file[8 + header..].to_vec();
    change(&mut map, &mut data);
    frame(&serde_json::to_vec(&map).unwrap(), &data)
}

#[test]
fn inconsistent_bytes_and_scales_are_errors() {
    let file = saved(&wild(), WeightDtype::Int8);
    let scale = format!("{DOWN}.scale");
    let refused = |change: Change, words: &[&str]| {
        fails(read(changed(&file, change)), words);
    };
    assert!(read(changed(&file, |_, _| ())).is_ok());
    // No scales: they have another name.
    refused(
        &|header, _| {
            let scales = header.remove(&scale).unwrap();
            header.insert("optimizer.extra".into(), scales);
        },
        &[DOWN, ".scale\", is missing"],
    );
    for shape in [json!([2, 2]), json!([4, 1]), json!([1, 4])] {
        refused(
            &|header, _| header[&scale]["shape"] = shape.clone(),
            &[&scale, "4 rows"],
        );
    }
    for shape in [
        json!([u64::MAX]),
        json!([1u64 << 62, 4]),
        json!([5]),
        json!([0]),
    ] {
        refused(
            &|header, _| header[&scale]["shape"] = shape.clone(),
            &["header"],
        );
    }
    // Sixteen bytes as another type of as many.
    refused(
        &|header, _| {
            header[&scale]["dtype"] = json!("F16");
            header[&scale]["shape"] = json!([8]);
        },
        &[&scale, "F32, not F16"],
    );
    // Scales of a matrix that is not int8. In f32 it takes four times the space, so it goes last.
    let as_floats = |header: &mut Map<String, Value>, data: &mut Vec<u8>, keep: bool| {
        let old = header[DOWN]["data_offsets"].clone();
        let old = [old[0].as_u64().unwrap(), old[1].as_u64().unwrap()];
        header.insert(
            "optimizer.extra".into(),
            json!({"dtype": "I8", "shape": [16], "data_offsets": old}),
        );
        header[DOWN] =
            json!({"dtype": "F32", "shape": [4, 4], "data_offsets": [data.len(), data.len() + 64]});
        data.extend([0; 64]);
        if !keep {
            let scales = header.remove(&scale).unwrap();
            header.insert("optimizer.more".into(), scales);
        }
    };
    refused(
        &|header, data| as_floats(header, data, true),
        &[DOWN, "only int8 has"],
    );
    refused(
        &|header, data| as_floats(header, data, false),
        &["all matrices of the blocks or none"],
    );
    for damage in [f32::NAN, f32::INFINITY, f32::MAX] {
        refused(
            &|header, data| {
                let at = header[&scale]["data_offsets"][0].as_u64().unwrap() as usize;
                data[at..at + 4].copy_from_slice(&damage.to_le_bytes());
            },
            &[DOWN, "element"],
        );
    }
    // Cut short anywhere.
    for len in (0..file.len()).step_by(7) {
        assert!(read(file[..len].to_vec()).is_err(), "{len}");
    }
}

#[test]
fn a_puzzle_embedding_becomes_16_bits_with_the_matrices_but_never_int8() {
    let given = [GIVEN, &[("puzzle_emb_len", "1")]].concat();
    let model = load(safetensors(&with_puzzle(attention(), 3, 4)), &given).unwrap();
    let all = model.puzzle_rows.as_ref().unwrap();
    let size = |format| without_source(saved(&model, format)).len();
    // 16 bits: 2 bytes fewer for each of 12 x 4 + 4 x 4 + 8 x 4 + 4 x 4 elements of matrices and 3
    // x 4 elements of the embedding.
    assert_eq!(
        size(WeightDtype::F32) - size(WeightDtype::Bf16),
        2 * (112 + 12)
    );
    assert_eq!(size(WeightDtype::F16), size(WeightDtype::Bf16));
    // int8: 3 bytes fewer for each element of a matrix, and 28 scales.
    assert_eq!(
        size(WeightDtype::F32) - size(WeightDtype::Int8),
        3 * 112 - 4 * 28
    );
    for format in WeightDtype::ALL {
        let read = read(saved(&model, format)).unwrap();
        assert_eq!(
            read.puzzle_rows.unwrap().row(2).unwrap(),
            all.row(2).unwrap()
        );
    }
}
