//! Limits of the time and memory for reading streams of puzzles, which are untrusted input.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::time::{Duration, Instant};

use trm_runtime::task::Records;

use crate::alone;
#[cfg(target_os = "linux")]
use crate::in_own_process;

/// Repeats one byte string as long as it is read.
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

/// Returns the peak memory of this process in MiB. `None` if the system does not report it.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[test]
fn a_huge_input_ends_in_an_error_soon_and_in_little_memory() {
    let _alone = alone();
    #[cfg(target_os = "linux")]
    if !in_own_process("records::a_huge_input_ends_in_an_error_soon_and_in_little_memory") {
        return;
    }
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
        let items: Vec<_> = Records::new(input, "-")
            .filter_map(Result::err)
            .take(2)
            .collect();
        let took = begin.elapsed();
        if !(start.is_empty() && piece == " ") {
            assert!(!items.is_empty(), "{start}{piece}");
        }
        assert!(took < Duration::from_secs(2), "{start}{piece}: {took:?}");
        // Documents just below the size limit are parsed in one piece.
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
