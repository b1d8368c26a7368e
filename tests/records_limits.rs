//! Streams of puzzles from strangers and from slow writers: time, memory and when a record comes.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::time::{Duration, Instant};
use trm::task::Records;

/// Gives one byte string again and again, as long as it is asked for.
struct Endless {
    piece: Vec<u8>,
    at: usize,
    left: usize,
}

fn endless(piece: &str, bytes: usize) -> impl BufRead + Send + use<> {
    BufReader::new(Endless {
        piece: piece.into(),
        at: 0,
        left: bytes,
    })
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = out.len().min(self.left).min(self.piece.len() - self.at);
        out[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at = (self.at + n) % self.piece.len();
        self.left -= n;
        Ok(n)
    }
}

/// The most memory that this process had, in MiB, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[test]
fn a_huge_input_ends_in_an_error_soon_and_in_little_memory() {
    const HUGE: usize = 20_000_000;
    for (start, piece) in [
        ("", "1"),
        ("", " "),
        ("", "#"),
        ("", "a,"),
        ("", "\u{e9}"),
        ("", "\\"),
        ("\"", "1"),
        ("[", "1,"),
        ("", "["),
        ("{\"puzzle\":\"", "5"),
        ("", "{\"a\":"),
        ("[\n", "1,\n"),
        ("[", "{\"\":1},"),
        ("[", "\"a\","),
        ("[", "[1],"),
        ("[\n", "{},\n"),
        ("{\"puzzle\":\n", "\n"),
        ("", "\"\\"),
        ("puzzle,solution\n", "1"),
        ("{\"puzzle\":\"1..4\"}\n", "[1],"),
        ("[", "[],"),
        ("{", "\"a\":{},"),
    ] {
        let begin = Instant::now();
        let input = Cursor::new(start.to_owned()).chain(endless(piece, HUGE));
        let items: Vec<_> = Records::new(input, "-").filter_map(Result::err).take(2).collect();
        let took = begin.elapsed();
        if !(start.is_empty() && piece == " ") {
            assert!(!items.is_empty(), "{start}{piece}");
        }
        assert!(took < Duration::from_secs(2), "{start}{piece}: {took:?}");
        // Documents just below the limit are parsed as a whole.
        let begin = Instant::now();
        let small = 8 * 1024 * 1024 - 1000;
        let end = if start.starts_with('[') { "1]" } else { "" };
        let input = Cursor::new(start.to_owned())
            .chain(endless(piece, small / piece.len() * piece.len()))
            .chain(Cursor::new(end));
        let count = Records::new(input, "-").take(1_000_000).count();
        let took = begin.elapsed();
        println!(
            "{start:?} {piece:?}: {count} items in {took:?}; {:?} MiB",
            peak_mib()
        );
        assert!(took < Duration::from_secs(4), "{start}{piece}: {took:?}");
    }
    let peak = peak_mib();
    assert!(peak.is_none_or(|mib| mib < 200), "{peak:?} MiB");
}

/// The content of each record, or its error.
fn shown(input: String) -> Vec<String> {
    let records = Records::new(Cursor::new(input), "-");
    records
        .map(|item| item.map_or_else(|e| e.to_string(), |r| r.puzzle.content.to_json().to_string()))
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
    // Lists of numbers are cheap, other values are counted.
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

/// A pipe whose other end waits for an answer before it writes on.
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
