//! Streams of puzzles that are too long, or whose writer is slow.

use std::collections::VecDeque;
use std::io::{BufReader, Cursor, Read};

use trm::task::Records;

/// Returns the content of each record, or its error.
fn shown(input: String) -> Vec<String> {
    let records = Records::new(Cursor::new(input), "-");
    records
        .map(|item| {
            item.map_or_else(
                |e| e.to_string(),
                |r| r.puzzle.content.to_json().to_string(),
            )
        })
        .collect()
}

#[test]
fn a_long_line_does_not_end_the_stream() {
    let long = "1".repeat(1_100_000);
    for (first, last) in [
        ("puzzle,solution\n1..4,\n", "4..1,\n"),
        ("{\"puzzle\":\"1..4\"}\n", "\"4..1\"\n"),
        ("1..4..1..1..4..1\n", "4..1\n"),
    ] {
        let found = shown(format!("{first}{long}\n{last}"));
        assert_eq!(found.len(), 3);
        assert!(found[1].contains("longer than 1 MiB"), "{}", found[1]);
        assert!(found[2].ends_with("\"4..1\""), "{}", found[2]);
    }
    let long = format!("[{}]\n\"4..1\"", "[1,1],".repeat(1_500_000));
    let found = shown(long);
    assert_eq!(found.len(), 2);
    assert!(found[0].contains("longer than 8 MiB"), "{}", found[0]);
}

#[test]
fn a_document_has_a_bounded_number_of_values() {
    // Numbers in lists are cheap. Other values are counted.
    for (list, expected) in [
        (
            format!("{{\"puzzle\":[{}1]}}", "1,".repeat(600_000)),
            "has 600001 cells",
        ),
        (
            format!("[{}\"\"]", "1,".repeat(600_000)),
            "more than 500000 values",
        ),
        (
            format!("[{}[]]", "[],".repeat(250_001)),
            "more than 500000 values",
        ),
        (
            format!("{{{}\"\":1}}", "\"\":1,".repeat(500_000)),
            "more than 500000 values",
        ),
    ] {
        let found = shown(list);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains(expected), "{}", found[0]);
    }
}

/// A pipe whose writer waits for an answer before it goes on.
struct Pipe(VecDeque<&'static str>);

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let line = self
            .0
            .pop_front()
            .ok_or_else(|| std::io::Error::other("read too far"))?;
        out[..line.len()].copy_from_slice(line.as_bytes());
        Ok(line.len())
    }
}

#[test]
fn records_come_as_soon_as_their_line_is_read() {
    for lines in [
        ["{\"puzzle\":\"1..4\"}\n", "[1,2]\n"],
        ["1..4..1..1..4..1\n", "1..4..1..1..4..1\n"],
        [" S  \n  # \n   G\n    \n", "S   \n  # \n   G\n    \n"],
        ["puzzle\n1..4\n", "4..1\n"],
    ] {
        let mut records = Records::new(BufReader::new(Pipe(lines.into())), "pipe");
        assert!(records.next().is_some_and(|r| r.is_ok()), "{lines:?}");
        assert!(records.next().is_some_and(|r| r.is_ok()), "{lines:?}");
        let error = records.next().unwrap().unwrap_err();
        assert_eq!(error.error.kind(), trm::ErrorKind::Io);
        assert!(error.to_string().contains("read too far"), "{error}");
        assert!(records.next().is_none());
    }
}
