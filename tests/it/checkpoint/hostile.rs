//! Files that are cut, have flipped bits, or contradict themselves. Each must end in an error soon
//! and without a panic. A flip in bytes that are not read may load.

use std::fs;
use std::time::{Duration, Instant};

use trm_runtime::low_level::checkpoint::Checkpoint;
use trm_runtime::{LoadOptions, Model};

use super::build::*;

const PUZZLE: &[(&str, &str)] = &[("puzzle_emb_len", "2")];

/// `LoadedModel` a file and reads all of it within a second.
#[track_caller]
fn attempt(bytes: Vec<u8>) -> Result<(), String> {
    let start = Instant::now();
    // Unknown tensors end a damaged file early: without them more of it is read.
    let options = LoadOptions {
        ignore_unknown_tensors: true,
        ..options(&[GIVEN, PUZZLE].concat())
    };
    let model = Model::from_bytes(bytes.clone(), &options).map_err(|e| e.to_string());
    let result = model.and_then(|model| match model.puzzle_rows {
        Some(rows) => rows.row(0).map(drop).map_err(|e| e.to_string()),
        None => Ok(()),
    });
    // A file that is no model may still be read tensor by tensor.
    if let Ok(file) = Checkpoint::from_bytes(bytes) {
        for name in file.tensors().keys().take(20) {
            let _ = file.read(name);
        }
    }
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "took {:?}",
        start.elapsed()
    );
    result
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![safetensors(&with_puzzle(attention(), 3, 6))];
    for name in [
        "prefix_0.pt",
        "protocol_5.pt",
        "config_object.bin",
        "strided.pt",
        "resume.pt",
    ] {
        seeds.push(fs::read(data("wild").join(name)).unwrap());
    }
    seeds
}

#[test]
fn cut_files_are_errors() {
    for seed in seeds() {
        attempt(seed.clone()).unwrap();
        for len in (0..seed.len()).step_by(7) {
            let result = attempt(seed[..len].to_vec());
            assert!(result.is_err(), "{len} of {} bytes loaded", seed.len());
        }
    }
}

#[test]
fn flipped_bits_do_no_harm() {
    for seed in seeds() {
        let mut loaded = 0;
        for at in 0..seed.len() {
            let mut bytes = seed.clone();
            bytes[at] ^= [0xff, 0x01, 0x80][at % 3];
            loaded += usize::from(attempt(bytes).is_ok());
        }
        assert!(loaded < seed.len(), "no flip was noticed");
    }
}

#[test]
fn a_flip_in_the_weights_fails_the_checksum() {
    let mut bytes = fs::read(data("wild/prefix_0.pt")).unwrap();
    let file = Checkpoint::from_bytes(bytes.clone()).unwrap();
    let at = file.tensors()["lm_head.weight"].offset as usize;
    bytes[at] ^= 1;
    fails(attempt(bytes.clone()), &["lm_head.weight", "checksum"]);
    let pickle = bytes.windows(7).position(|w| w == b"lm_head").unwrap();
    bytes[pickle] ^= 1;
    fails(attempt(bytes), &["pickle", "checksum"]);
}

#[test]
fn other_formats_are_named() {
    let mut tar = vec![0; 600];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, word) in [
        (b"".to_vec(), "is empty"),
        (b"\x1f\x8b\x08\x00".to_vec(), "gzip"),
        (b"\x89HDF\r\n\x1a\n".to_vec(), "HDF5"),
        (b"GGUF\x03\x00\x00\x00".to_vec(), "GGUF"),
        (
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            "git lfs pull",
        ),
        (b"\n<!DOCTYPE html>".to_vec(), "web page"),
        (b"\x80\x04\x95\x00".to_vec(), "plain pickle"),
        (tar, "tar archive"),
        (b"hello, world".to_vec(), "neither a file of torch.save"),
        (vec![0; 1000], "neither a file of torch.save"),
    ] {
        fails(attempt(bytes), &[word]);
    }
}

#[test]
fn wrong_safetensors_headers_are_errors() {
    let info = |dtype: &str, shape: &str, offsets: &str| {
        format!("{{\"a\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
            .into_bytes()
    };
    let huge = u64::MAX;
    for header in [
        info("F32", "[2]", "[0,4]"),
        info("F32", "[2]", "[4,12]"),
        info("F32", "[2]", "[8,0]"),
        info("F32", "[4294967296,4294967296]", "[0,8]"),
        info("F32", &format!("[{huge},{huge},2]"), "[0,8]"),
        info("F32", "[2]", &format!("[0,{huge}]")),
        info("F32", "[-2]", "[0,8]"),
        info("F33", "[2]", "[0,8]"),
        b"{\"a\":1}".to_vec(),
        b"{".to_vec(),
        b"{}".to_vec(),
        b"{\"__metadata__\":{\"a\":1}}".to_vec(),
        [b"{\"a\":".to_vec(), vec![b'['; 500_000]].concat(),
        [b"{\"a\":".to_vec(), b"{\"a\":".repeat(500_000)].concat(),
        // Two tensors over the same bytes.
        b"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}".to_vec(),
    ] {
        let shown = String::from_utf8_lossy(&header[..header.len().min(80)]).into_owned();
        assert!(attempt(frame(&header, &[0; 8])).is_err(), "{shown}");
    }
    for len in [9, 1 << 20, u64::MAX, i64::MAX as u64, u64::MAX - 7] {
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend(b"{}      ");
        fails(attempt(bytes), &["header"]);
    }
    // A header that is too long, but complete.
    let header = [b"{\"a\":\"".to_vec(), vec![b'x'; 2 << 20]].concat();
    fails(attempt(frame(&header, &[])), &["at most 1048576"]);
    // Many names.
    let names: Vec<_> = (0..15_000)
        .map(|i| format!("\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}"))
        .collect();
    let header = format!("{{{}}}", names.join(",")).into_bytes();
    fails(attempt(frame(&header, &[])), &["no tensor of a TRM"]);
}

#[test]
fn wrong_zip_headers_are_errors() {
    let pickle = dict(&[("a", tensor("0", 4, 0, &[4], &[1]))]);
    let with = |zip: Zip| zip.add("a/data.pkl", &pickle).add("a/byteorder", b"little");
    let good = with(Zip::default()).add("a/data/0", &[0; 16]).finish();
    assert_eq!(
        Checkpoint::from_bytes(good)
            .unwrap()
            .read("a")
            .unwrap()
            .data,
        [0.0; 4]
    );
    let claim = |zip: Zip| {
        Checkpoint::from_bytes(zip.finish())
            .map(drop)
            .map_err(|e| e.to_string())
    };
    fails(
        claim(with(Zip::default()).entry("a/data/0", &[0; 16], 0, 8, 16, 1 << 30)),
        &["a/data/0", "compressed"],
    );
    fails(
        claim(with(Zip::default()).entry("a/data/0", &[0; 16], 1, 0, 16, 16)),
        &["encrypted"],
    );
    fails(
        claim(with(Zip::default()).entry("a/data/0", &[0; 16], 0, 0, 1 << 30, 1 << 30)),
        &["claims 1073741824 bytes"],
    );
    fails(
        claim(with(Zip::default()).entry("a/data/0", &[0; 16], 0, 0, 8, 16)),
        &["compressed"],
    );
    fails(
        claim(with(Zip::default()).add("a/data/0", &[0; 8])),
        &["tensor \"a\"", "does not fit its storage of 8 bytes"],
    );
    fails(
        claim(with(Zip::default())),
        &["storage \"0\" is not in the file"],
    );
    fails(
        claim(
            with(Zip::default())
                .add("a/data/0", &[0; 16])
                .add("a/data/0", &[0; 16]),
        ),
        &["twice"],
    );
    fails(
        claim(with(Zip::default()).directory_entry("a/data/0", 0, 0, 16, 16, 1)),
        &["does not begin"],
    );
    fails(
        claim(with(Zip::default()).directory_entry("a/data/0", 0, 0, 16, 16, u32::MAX - 9)),
        &["a/data/0"],
    );
    fails(
        claim(with(Zip::default()).add("b/data.pkl", &pickle)),
        &["several"],
    );
    fails(
        claim(Zip::default().add("a/weights.npy", &[0; 16])),
        &["no entry data.pkl"],
    );
    fails(
        claim(
            Zip::default()
                .add("a/data.pkl", &pickle)
                .add("a/byteorder", b"big"),
        ),
        &["byte order", "big"],
    );
    let zip = with(Zip::default())
        .add("a/data/0", &[0; 16])
        .finish_claiming(60_000);
    fails(
        Checkpoint::from_bytes(zip).map_err(|e| e.to_string()),
        &["zip directory"],
    );
    // Many entries, and a directory that claims more than there are.
    let many = (0..65_000).fold(with(Zip::default()), |zip, i| {
        zip.directory_entry(&i.to_string(), 0, 0, 0, 0, 0)
    });
    let start = Instant::now();
    fails(claim(many), &["storage \"0\""]);
    assert!(start.elapsed() < Duration::from_secs(1));
    let mut end = b"PK\x03\x04".to_vec();
    end.extend(b"PK\x06\x06");
    end.extend([0xff; 52]);
    end.extend(b"PK\x06\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00");
    end.extend(b"PK\x05\x06\x00\x00\x00\x00");
    end.extend([0xff; 12]);
    end.extend([0; 2]);
    fails(attempt(end), &["claims 18446744073709551615 entries"]);
}

#[test]
fn paths_in_names_are_only_names() {
    let key = "../../../../tmp/x";
    let pickle = dict(&[("../../a", tensor(key, 4, 0, &[4], &[1]))]);
    let file = Checkpoint::from_bytes(torch_file(&pickle, &[(key, 4)])).unwrap();
    assert_eq!(file.read("../../a").unwrap().data, [0.0, 1.0, 2.0, 3.0]);
}

#[test]
fn tensors_outside_their_storage_are_errors() {
    let max = i64::MAX;
    for (offset, shape, strides) in [
        (0, vec![5], vec![1]),
        (1, vec![4], vec![1]),
        (4, vec![1], vec![1]),
        (0, vec![2, 2], vec![3, 1]),
        (0, vec![2], vec![max]),
        (0, vec![max, max], vec![max, max]),
        (0, vec![max], vec![0]),
        (0, vec![1 << 40, 1 << 40], vec![0, 0]),
        (max, vec![1], vec![1]),
        (-1, vec![1], vec![1]),
        (0, vec![-1], vec![1]),
        (0, vec![2], vec![-1]),
        (0, vec![2, 2], vec![1]),
        (0, vec![1; 9], vec![1; 9]),
    ] {
        let pickle = dict(&[("a", tensor("0", 4, offset, &shape, &strides))]);
        let result =
            Checkpoint::from_bytes(torch_file(&pickle, &[("0", 4)])).map_err(|e| e.to_string());
        assert!(
            result.is_err(),
            "offset {offset}, shape {shape:?}, strides {strides:?}"
        );
    }
}

#[test]
fn tensors_that_expand_are_not_read() {
    // A stride of 0 makes 16 GB of one element.
    let pickle = dict(&[("a", tensor("0", 4, 0, &[1 << 16, 1 << 16], &[0, 0]))]);
    let file = Checkpoint::from_bytes(torch_file(&pickle, &[("0", 4)])).unwrap();
    fails(
        file.read("a").map_err(|e| e.to_string()),
        &["\"a\"", "expands"],
    );
    fails(
        file.read_rows("a", 0, 1 << 16).map_err(|e| e.to_string()),
        &["expands"],
    );
    assert_eq!(file.read_row("a", 7).unwrap().len(), 1 << 16);
    // Elements that overlap one another.
    let pickle = dict(&[("a", tensor("0", 4, 0, &[2, 3], &[1, 1]))]);
    let file = Checkpoint::from_bytes(torch_file(&pickle, &[("0", 4)])).unwrap();
    fails(file.read("a").map_err(|e| e.to_string()), &["overlap"]);
    // A model whose tensors all lie over the same bytes, and are 100 MB together.
    let sizes: Vec<(&str, Vec<i64>, Vec<i64>)> = ATTENTION
        .iter()
        .map(|(name, shape)| {
            let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
            let strides = if shape.len() == 2 {
                vec![shape[1], 1]
            } else {
                vec![1]
            };
            (*name, shape, strides)
        })
        .chain([("puzzle_emb.weights", vec![4_000_000, 8], vec![0, 1])])
        .collect();
    let items: Vec<_> = sizes
        .iter()
        .map(|(name, shape, strides)| (*name, tensor("0", 64, 0, shape, strides)))
        .collect();
    fails(
        attempt(torch_file(&dict(&items), &[("0", 64)])),
        &["expands"],
    );
}

#[cfg(unix)]
#[test]
fn special_files_are_errors() {
    fails(
        open("/dev/zero", GIVEN),
        &["/dev/zero", "not a regular file"],
    );
}
