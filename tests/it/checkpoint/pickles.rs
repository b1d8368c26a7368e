//! The pickle interpreter: what it understands, and what is an error.

use std::time::{Duration, Instant};

use trm_runtime::low_level::checkpoint::Checkpoint;

use super::build::*;

#[track_caller]
fn index(pickle: &[u8]) -> Result<Vec<String>, String> {
    let start = Instant::now();
    let file = Checkpoint::from_bytes(torch_file(pickle, &[("0", 4)])).map_err(|e| e.to_string());
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "took {:?}",
        start.elapsed()
    );
    file.map(|f| f.tensors().keys().cloned().collect())
}

fn a() -> Vec<u8> {
    tensor("0", 4, 0, &[4], &[1])
}

/// Returns a dict that holds `a` and the value of some instructions.
fn beside(instructions: &[u8]) -> Vec<u8> {
    dict(&[("a", a()), ("b", instructions.to_vec())])
}

#[test]
fn no_function_is_called() {
    for foreign in [
        b"cos\nsystem\n(X\x04\x00\x00\x00exittR".to_vec(),
        b"cbuiltins\neval\n(X\x01\x00\x00\x001tR".to_vec(),
        b"(ios\nsystem\n".to_vec(),
        b"(cos\nsystem\nX\x01\x00\x00\x00xo".to_vec(),
        b"cos\nsystem\n)\x81".to_vec(),
        b"cos\nsystem\n)}\x92".to_vec(),
        b"\x8c\x02os\x8c\x06system\x93)R".to_vec(),
        b"\x82\x01)R".to_vec(),
        b"ctorch._utils\n_rebuild_tensor_v3x\n)R".to_vec(),
        b"ccollections\ndefaultdict\ncbuiltins\nlist\n\x85R".to_vec(),
        b"cmine\nConfig\n)\x81}(X\x01\x00\x00\x00kK\x01ub".to_vec(),
        b"cmine\nList\n)\x81(K\x01K\x02e".to_vec(),
        b"cmine\nDict\n)\x81(K\x01K\x02u".to_vec(),
        b"Pref\n".to_vec(),
    ] {
        assert_eq!(
            index(&beside(&foreign)).unwrap(),
            ["a"],
            "{}",
            foreign.escape_ascii()
        );
    }
}

#[test]
fn every_kind_of_value_is_read() {
    for value in [
        &b"N"[..],
        b"\x88",
        b"\x89",
        b"I5\n",
        b"I01\n",
        b"L5L\n",
        b"F1.5\n",
        b"G\x3f\xf0\0\0\0\0\0\0",
        b"J\xff\xff\xff\xff",
        b"K\x01",
        b"M\x01\x02",
        b"\x8a\x00",
        b"\x8a\x0a\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a",
        b"\x8b\x01\0\0\0\x05",
        b"S'x'\n",
        b"T\x01\0\0\0x",
        b"U\x01x",
        b"Vx\n",
        b"B\x01\0\0\0x",
        b"C\x01x",
        b"\x8c\x01x",
        b"\x8d\x01\0\0\0\0\0\0\0x",
        b"\x8e\x01\0\0\0\0\0\0\0x",
        b"\x96\x01\0\0\0\0\0\0\0x",
        b"]",
        b"}",
        b")",
        b"\x8f",
        b"(K\x01t",
        b"(K\x01l",
        b"(K\x01K\x02d",
        b"K\x01\x85",
        b"K\x01K\x02\x86",
        b"K\x01K\x02K\x03\x87",
        b"(K\x01\x91",
        b"\x8f(K\x01\x90",
        b"]K\x01a",
        b"](K\x01e",
        b"}K\x01K\x02s",
        b"K\x01q\x05h\x05\x86",
        b"K\x01r\x05\0\0\0j\x05\0\0\0\x86",
        b"K\x01p9\ng9\n\x86",
        b"K\x01\x94",
        b"K\x012\x86",
        b"K\x01K\x020",
        b"(0K\x01",
        b"(K\x011K\x01",
        b"\x97\x98",
        b"ctorch\nSize\n(K\x01t\x85R",
        b"ccollections\nOrderedDict\n](](X\x01\0\0\0kK\x01ee\x85R",
    ] {
        assert_eq!(
            index(&beside(value)).unwrap(),
            ["a"],
            "{}",
            value.escape_ascii()
        );
    }
}

#[test]
fn malformed_pickles_are_errors() {
    let max = [0xff; 8];
    for pickle in [
        &b""[..],
        b".",
        b"\x80",
        b"\x80\x02",
        b"\x80\x02}",
        b"N.N",
        b"0.",
        b"1.",
        b"2.",
        b"a.",
        b"]a.",
        b"K\x01K\x01a.",
        b"K\x01(K\x02e.",
        b"}(K\x01u.",
        b"}K\x01s.",
        b"\x85.",
        b"K\x01\x86.",
        b"t.",
        b"R.",
        b"K\x01R.",
        b"b.",
        b"\x81.",
        b"\x93.",
        b"K\x01K\x02\x93.",
        b"Q.",
        b"K\x01Q.",
        b")Q.",
        b"h\x00.",
        b"j\xff\xff\xff\xff.",
        b"gx\n.",
        b"p1\n.",
        b"K\x01px\n.",
        b"q\x00.",
        b"\x94.",
        b"ctorch\n",
        b"c\xff\n\xff\n.",
        b"X\xff\xff\xff\xff.",
        b"T\xff\xff\xff\x7f.",
        b"\x8b\xff\xff\xff\xff.",
        b"\xff.",
        b"\x00.",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"ctorch._utils\n_rebuild_parameter\n)R.",
        b"K\x01(K\x02R.",
        b"(K\x01(0000.",
        &[&b"\x8d"[..], &max].concat(),
        &[&b"\x8e"[..], &max].concat(),
        &[&b"\x95"[..], &max[..4]].concat(),
    ] {
        assert!(index(pickle).is_err(), "{}", pickle.escape_ascii());
    }
    // The messages of some.
    fails(index(b"\x80\x02}"), &["pickle, byte 3", "cut short"]);
    fails(index(b"\x80\x02\xf0."), &["unknown instruction 0xf0"]);
    fails(index(b"\x80\x02}."), &["no tensors"]);
    fails(index(b"\x80\x02]."), &["no dict"]);
    let v3 = b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v3\n(K\x01tRs.";
    fails(index(v3), &["not a storage"]);
}

#[test]
fn cycles_and_deep_nesting_end() {
    // A dict in itself, beside a tensor; a list in itself; 300,000 nested lists and tuples.
    let cyclic = [
        b"\x80\x02}q\x00".as_slice(),
        &text("d"),
        b"h\x00s",
        &text("a"),
        &a(),
        b"s.",
    ]
    .concat();
    let names = index(&cyclic).unwrap();
    assert!(
        names.contains(&"a".to_owned()) && names.len() <= 17,
        "{names:?}"
    );
    assert_eq!(index(&beside(b"]q\x00h\x00a")).unwrap(), ["a"]);
    let deep = [vec![b']'; 300_000], vec![b'a'; 299_999]].concat();
    assert_eq!(index(&beside(&deep)).unwrap(), ["a"]);
    let deep = [vec![b')'; 1], vec![0x85; 300_000]].concat();
    assert_eq!(index(&beside(&deep)).unwrap(), ["a"]);
    let marks = vec![b'('; 300_000];
    assert!(index(&marks).is_err());
    // A dict with two keys that both lead back to it: 2^16 ways.
    let twice = [
        b"\x80\x02}q\x00".as_slice(),
        &text("d"),
        b"h\x00s",
        &text("e"),
        b"h\x00s",
        &text("a"),
        &a(),
        b"s.",
    ]
    .concat();
    fails(index(&twice), &["far more tensors"]);
    // 30 dicts, each holding the next 60 times: 60^16 ways.
    let mut layers = b"\x80\x02}q\x00".to_vec();
    for i in 1..30u8 {
        layers.extend([b'}', b'q', i]);
        for key in 0..60u8 {
            layers.extend([b'K', key, b'h', i - 1, b's']);
        }
    }
    layers.push(b'.');
    fails(index(&layers), &["far more tensors"]);
    // The same depth without branches is not followed.
    let chain: Vec<u8> = [b"}".to_vec(), text("a"), a(), b"s".to_vec()].concat();
    let chain = (0..40).fold(chain, |inner, _| {
        [b"}".to_vec(), text("n"), inner, b"s".to_vec()].concat()
    });
    fails(
        index(&[b"\x80\x02".to_vec(), chain, b".".to_vec()].concat()),
        &["no tensors"],
    );
}

#[test]
fn too_much_memory_is_an_error() {
    fails(
        index(&vec![b'}'; 2_000_000]),
        &["more than 1000000 objects"],
    );
    fails(
        index(&vec![b']'; 9 << 20]),
        &["far more than a checkpoint needs"],
    );
    fails(
        index(&[b"N".to_vec(), b"2".repeat(1_500_000), b".".to_vec()].concat()),
        &["more than 1000000 objects"],
    );
    fails(
        index(&b"N\x94".repeat(700_000)),
        &["more than 1000000 objects"],
    );
    // One list copied again and again.
    let list = [b"](".to_vec(), b"N".repeat(400_000), b"eq\x00".to_vec()].concat();
    let copies = b"ccollections\nOrderedDict\nh\x00\x85R".repeat(1000);
    fails(
        index(&[list, copies].concat()),
        &["more than 1000000 objects"],
    );
    // A long name under many keys.
    let long = "n".repeat(400_000);
    let pickle = [
        b"\x80\x02}".to_vec(),
        text(&long),
        b"}".to_vec(),
        text("a"),
        a(),
        b"ss.".to_vec(),
    ]
    .concat();
    fails(index(&pickle), &["a tensor name of 400000 bytes"]);
    // Two long texts joined to the name of a class, many times.
    let half = text(&"m".repeat(400_000));
    let joined = [
        half.clone(),
        b"q\x000".to_vec(),
        b"h\x00h\x00\x930".repeat(100_000),
        b"}.".to_vec(),
    ]
    .concat();
    fails(index(&joined), &["no tensors"]);
}

#[test]
fn tensors_of_all_pytorch_versions_are_read() {
    let storage = [
        b"(".as_slice(),
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        &int(4),
        b"tQ",
    ]
    .concat();
    let first = [
        b"ctorch._utils\n_rebuild_tensor\n(".as_slice(),
        &storage,
        &int(1),
        &tuple(&[3]),
        &tuple(&[1]),
        b"tR",
    ]
    .concat();
    let untyped = [
        b"(".as_slice(),
        &text("storage"),
        b"ctorch.storage\nUntypedStorage\n",
        &text("0"),
        &text("cpu"),
        &int(16),
        b"tQ",
    ]
    .concat();
    let third = [
        b"ctorch._utils\n_rebuild_tensor_v3\n(".as_slice(),
        &untyped,
        &int(2),
        &tuple(&[2]),
        &tuple(&[1]),
        b"\x89ccollections\nOrderedDict\n)Rctorch\nfloat32\ntR",
    ]
    .concat();
    let file = Checkpoint::from_bytes(torch_file(
        &dict(&[("v1", first), ("v3", third)]),
        &[("0", 4)],
    ))
    .unwrap();
    assert_eq!(file.read("v1").unwrap().data, [1.0, 2.0, 3.0]);
    assert_eq!(file.read("v3").unwrap().data, [2.0, 3.0]);
}
