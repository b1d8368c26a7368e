//! The lines of a stream in bounded memory.

use crate::error::{Error, Result};
use std::io::{BufRead, ErrorKind};

/// The longest line of a stream, in bytes.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// A line without its end.
#[derive(Debug)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    /// The line, or why it cannot be had.
    pub(crate) text: Result<String, Unreadable>,
}

/// Why a line cannot be had.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It was longer than this many bytes, and skipped to its end.
    TooLong(usize),
    /// It is not UTF-8.
    NoText,
    /// The reader failed: nothing follows.
    Failed(std::io::Error),
}

impl Unreadable {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Unreadable::TooLong(limit) => Error::puzzle(format!(
                "the line is longer than {} MiB and was skipped",
                limit >> 20
            )),
            Unreadable::NoText => Error::puzzle("this is no text (not UTF-8)"),
            Unreadable::Failed(error) => Error::io("the input", error),
        }
    }
}

/// Reads lines, and takes back lines that are to be read once more.
pub(crate) struct Lines {
    reader: Option<Box<dyn BufRead + Send>>,
    number: u64,
    /// Lines to read once more, and where the next of them begins.
    again: Option<(String, usize)>,
    /// How many lines of the reader lie before `again`'s next.
    again_number: u64,
}

impl Lines {
    pub(crate) fn new(reader: impl BufRead + Send + 'static) -> Lines {
        Lines {
            reader: Some(Box::new(reader)),
            number: 0,
            again: None,
            again_number: 0,
        }
    }

    /// The next line; `limit` bytes at most, or `document` bytes if the line begins like JSON.
    pub(crate) fn next(&mut self, limit: usize, document: usize) -> Option<Line> {
        if let Some((text, at)) = &mut self.again {
            if let Some(rest) = text.get(*at..) {
                let line = rest.split('\n').next().unwrap_or_default();
                *at += line.len() + 1;
                self.again_number += 1;
                return Some(Line {
                    number: self.again_number,
                    text: Ok(line.to_owned()),
                });
            }
            self.again = None;
        }
        let bytes = self.read(limit, document)?;
        self.number += 1;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|_| Unreadable::NoText));
        Some(Line {
            number: self.number,
            text,
        })
    }

    /// Reads `lines` once more, the first of which is the line `number`. What was taken back before must be used up.
    pub(crate) fn take_back(&mut self, number: u64, mut lines: String) {
        if let Some((rest, at)) = self.again.take()
            && let Some(rest) = rest.get(at..)
        {
            lines.push('\n');
            lines.push_str(rest);
        }
        self.again_number = number.saturating_sub(1);
        self.again = Some((lines, 0));
    }

    /// The bytes of a line without `\n` or `\r\n`, and without a byte order mark in the first; `None` at the end.
    fn read(&mut self, limit: usize, document: usize) -> Option<Result<Vec<u8>, Unreadable>> {
        let reader = self.reader.as_mut()?;
        let mut line = Vec::new();
        let (mut any, mut too_long, mut max) = (false, None, None);
        loop {
            let chunk = match reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => {
                    self.reader = None;
                    return Some(Err(Unreadable::Failed(e)));
                }
            };
            if chunk.is_empty() {
                self.reader = None;
                if !any {
                    return None;
                }
                break;
            }
            any = true;
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or(chunk);
            if too_long.is_none() {
                // The first byte that is not blank decides.
                max = max.or_else(|| begins_json(part).map(|json| if json { document } else { limit }));
                let max = max.unwrap_or(limit);
                if line.len() + part.len() > max {
                    too_long = Some(max);
                    line = Vec::new();
                } else {
                    line.extend_from_slice(part);
                }
            }
            let used = end.map_or(chunk.len(), |end| end + 1);
            reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if let Some(limit) = too_long {
            return Some(Err(Unreadable::TooLong(limit)));
        }
        if self.number == 0 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(Ok(line))
    }
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether what follows begins like JSON; `None` if all of it is blank.
fn begins_json(part: &[u8]) -> Option<bool> {
    let first = part
        .iter()
        .find(|byte| !byte.is_ascii_whitespace() && !BYTE_ORDER_MARK.contains(byte))?;
    Some(matches!(first, b'{' | b'[' | b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Cursor};

    fn texts(input: &'static [u8], capacity: usize) -> Vec<String> {
        let mut lines = Lines::new(BufReader::with_capacity(capacity, Cursor::new(input)));
        let mut all = Vec::new();
        while let Some(line) = lines.next(8, 16) {
            all.push(format!(
                "{} {:?}",
                line.number,
                line.text.map_err(|e| e.into_error().to_string())
            ));
        }
        all
    }

    #[test]
    fn lines_are_bounded_and_skipped_to_their_end() {
        for capacity in [1, 2, 3, 7, 100] {
            let found = texts(
                b"\xef\xbb\xbfab\r\n\n123456789\n {23456789\n[2345678901234567\nz\xff\nend",
                capacity,
            );
            assert_eq!(found[0], r#"1 Ok("ab")"#);
            assert_eq!(found[1], r#"2 Ok("")"#);
            assert!(found[2].contains("longer"), "{}", found[2]);
            assert_eq!(found[3], r#"4 Ok(" {23456789")"#);
            assert!(found[4].contains("longer"), "{}", found[4]);
            assert!(found[5].contains("UTF-8"), "{}", found[5]);
            assert_eq!(found[6], r#"7 Ok("end")"#);
            assert_eq!(found.len(), 7);
        }
        assert_eq!(texts(b"a\n", 9), [r#"1 Ok("a")"#]);
        assert!(texts(b"", 9).is_empty());
    }

    #[test]
    fn lines_taken_back_come_again_with_their_numbers() {
        let mut lines = Lines::new(Cursor::new("a\nb\nc\n"));
        let next = |lines: &mut Lines| lines.next(9, 9).map(|l| (l.number, l.text.unwrap_or_default()));
        next(&mut lines);
        next(&mut lines);
        lines.take_back(1, "a\nb".into());
        assert_eq!(next(&mut lines), Some((1, "a".into())));
        lines.take_back(1, "a".into());
        for expected in [(1, "a"), (2, "b"), (3, "c")] {
            assert_eq!(next(&mut lines), Some((expected.0, expected.1.into())));
        }
        assert_eq!(next(&mut lines), None);
    }
}
