//! Arrays of the training pipeline: complete, damaged and hostile.

use std::io::Cursor;
use trm_runtime::task::NpyRows;

fn npy(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY".to_vec();
    file.extend([version, 0]);
    match version {
        1 => file.extend((header.len() as u16).to_le_bytes()),
        _ => file.extend((header.len() as u32).to_le_bytes()),
    }
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

#[test]
fn arrays_are_read_and_damaged_ones_are_errors() {
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}   \n")
    };
    for (descr, bytes, expected) in [
        ("|u1", vec![0, 1, 127, 255], [0, 1, 127, 255]),
        ("|i1", vec![0, 1, 128, 255], [0, 1, -128, -1]),
        ("<u2", vec![0, 0, 1, 0, 0, 1, 255, 255], [0, 1, 256, 65_535]),
        ("<i2", vec![0, 0, 1, 0, 0, 1, 254, 255], [0, 1, 256, -2]),
        (
            "<i4",
            [0_i32, 1, i32::MAX, i32::MIN]
                .iter()
                .flat_map(|n| n.to_le_bytes())
                .collect(),
            [0, 1, i32::MAX as i64, i32::MIN as i64],
        ),
        (
            "<i8",
            [0, 1, i64::MAX, i64::MIN]
                .iter()
                .flat_map(|n| n.to_le_bytes())
                .collect(),
            [0, 1, i64::MAX, i64::MIN],
        ),
    ] {
        for version in 1..=3 {
            let rows =
                NpyRows::open(Cursor::new(npy(version, &header(descr, "(2, 2)"), &bytes))).unwrap();
            assert_eq!(rows.shape(), [2, 2]);
            let rows: Vec<Vec<i64>> = rows.map(Result::unwrap).collect();
            assert_eq!(rows.concat(), expected, "{descr}");
            assert_eq!(rows.len(), 2);
        }
        let mut rows =
            NpyRows::open(Cursor::new(npy(1, &header(descr, "(3, 2)"), &bytes))).unwrap();
        let error = rows.find_map(Result::err).unwrap();
        assert!(error.to_string().contains("ends in row 2 of 3"), "{error}");
        assert!(rows.next().is_none());
    }
    let flat = NpyRows::open(Cursor::new(npy(1, &header("|u1", "(3,)"), &[7, 8, 9]))).unwrap();
    assert_eq!(
        flat.map(Result::unwrap).collect::<Vec<_>>(),
        [[7], [8], [9]]
    );
    for (file, expected) in [
        (b"".to_vec(), "ends in its header"),
        (b"PK\x03\x04abcdefgh".to_vec(), "not a `.npy` file"),
        (npy(4, "", &[]), "version 4"),
        (npy(2, &" ".repeat(10_001), &[]), "header of 10001 bytes"),
        (
            npy(1, &header(">i4", "(2, 2)"), &[]),
            "numbers of type \">i4\"",
        ),
        (
            npy(1, &header("<f4", "(2, 2)"), &[]),
            "numbers of type \"<f4\"",
        ),
        (npy(1, &header("|O", "(2, 2)"), &[]), "numbers of type"),
        (npy(1, &header("|u1", "()"), &[]), "no rows"),
        (npy(1, &header("|u1", "(5, 0)"), &[]), "empty rows"),
        (
            npy(1, &header("|u1", "(2, 4294967296, 4294967296)"), &[]),
            "too large",
        ),
        (
            npy(1, &header("<i8", "(18446744073709551615, 2)"), &[]),
            "too large",
        ),
        (
            npy(1, &header("|u1", "(99999999999999999999, 1)"), &[]),
            "expected a length",
        ),
        (npy(1, &header("|u1", "(-1, 1)"), &[]), "expected a length"),
        (npy(1, &header("|u1", "[1, 1]"), &[]), "expected `(`"),
        (
            npy(
                1,
                "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2)}",
                &[],
            ),
            "column by column",
        ),
        (
            npy(1, "{'descr': '|u1', 'shape': (2, 2)}", &[]),
            "no entry `fortran_order`",
        ),
        (
            npy(1, "{'descr': __import__('os'), }", &[]),
            "expected a string in quotes",
        ),
        (
            npy(1, "{'descr': '|u1', 'more': 1}", &[]),
            "unknown entry \"more\"",
        ),
        (npy(1, "{'descr': '|u1'} x", &[]), "expected its end"),
        (npy(1, "{'descr", &[]), "a closing quote"),
    ] {
        let error = NpyRows::open(Cursor::new(file))
            .map(|rows| rows.shape().to_vec())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
