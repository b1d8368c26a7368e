//! Reads the lines of a stream in bounded memory.

use crate::error::{Error, Result};
use crate::file_kind::{FileKind, START_BYTES};
use std::io::{BufRead, ErrorKind};

/// The largest length of a line of a stream, in bytes: 1 MiB.
pub(crate) const MAX_LINE_BYTES: usize = 1 << 20;
/// How many bytes without a line ending are skipped: 64 MiB. A device may never end.
const MAX_SKIPPED_BYTES: usize = 64 << 20;

/// A line without its line ending.
#[derive(Debug)]
pub(crate) struct Line {
    /// The number of the line, from 1.
    pub(crate) number: u64,
    /// The text of the line, or the reason why it cannot be read.
    pub(crate) text: Result<String, LineError>,
}

/// The reason why a line cannot be read.
#[derive(Debug)]
pub(crate) enum LineError {
    /// The line is longer than this limit in bytes. It was skipped.
    TooLong(usize),
    /// The input has no line ending within this many bytes. It is not read further.
    Endless(usize),
    /// The input is a file of another kind.
    Kind(FileKind),
    /// The line is not UTF-8. The position of its first byte that is no text, from 0.
    NotUtf8(usize),
    /// The reader failed. No line follows.
    Io(std::io::Error),
}

impl LineError {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::TooLong(limit) => Error::puzzle(format!(
                "the line is longer than {} MiB and was skipped",
                limit >> 20
            )),
            Self::Endless(limit) => Error::puzzle(format!(
                "no line ends within {} MiB: this is not a list of puzzles, or it never ends",
                limit >> 20
            )),
            Self::Kind(kind) => Error::puzzle(format!("this {}", kind.message())),
            Self::NotUtf8(at) => Error::puzzle(format!(
                "this is not text (not UTF-8): byte {} of the line",
                at + 1
            )),
            Self::Io(error) => Error::io("the input", error),
        }
    }
}

/// Reads lines. Lines can be pushed back, and are then returned once more.
pub(crate) struct Lines {
    reader: Option<Box<dyn BufRead + Send>>,
    number: u64,
    /// The lines that were pushed back, and the byte offset of the next of them.
    pushed_back: Option<(String, usize)>,
    /// The number of the line before the next pushed-back line.
    pushed_back_number: u64,
}

impl Lines {
    pub(crate) fn new(reader: impl BufRead + Send + 'static) -> Self {
        Self {
            reader: Some(Box::new(reader)),
            number: 0,
            pushed_back: None,
            pushed_back_number: 0,
        }
    }

    /// Returns the next line, or `None` at the end of the input.
    ///
    /// A line has at most `max_bytes` bytes, or `max_json_bytes` if it starts like JSON.
    pub(crate) fn next(&mut self, max_bytes: usize, max_json_bytes: usize) -> Option<Line> {
        if let Some((text, at)) = &mut self.pushed_back {
            if let Some(rest) = text.get(*at..) {
                let line = rest.split('\n').next().unwrap_or_default();
                *at += line.len() + 1;
                self.pushed_back_number += 1;
                return Some(Line {
                    number: self.pushed_back_number,
                    text: Ok(line.to_owned()),
                });
            }
            self.pushed_back = None;
        }
        let bytes = self.read(max_bytes, max_json_bytes)?;
        self.number += 1;
        let text = bytes.and_then(|bytes| {
            String::from_utf8(bytes).map_err(|e| LineError::NotUtf8(e.utf8_error().valid_up_to()))
        });
        Some(Line {
            number: self.number,
            text,
        })
    }

    /// Pushes `lines` back, the first of which has the number `number`. Lines that were pushed back
    /// earlier and not yet read must be the next lines of the input.
    pub(crate) fn push_back(&mut self, number: u64, mut lines: String) {
        if let Some((rest, at)) = self.pushed_back.take()
            && let Some(rest) = rest.get(at..)
        {
            lines.push('\n');
            lines.push_str(rest);
        }
        self.pushed_back_number = number.saturating_sub(1);
        self.pushed_back = Some((lines, 0));
    }

    /// Returns the bytes of the next line without `\n` or `\r\n`, or `None` at the end of the
    /// input.
    ///
    /// The byte order mark of the first line is removed.
    fn read(
        &mut self,
        max_bytes: usize,
        max_json_bytes: usize,
    ) -> Option<Result<Vec<u8>, LineError>> {
        let is_first = self.number == 0;
        let reader = self.reader.as_mut()?;
        let mut line = Vec::new();
        // The beginning of the input, with its line ending.
        let mut start = Vec::new();
        let mut skipped = 0;
        let (mut any, mut too_long, mut limit) = (false, None, None);
        loop {
            let chunk = match reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => {
                    self.reader = None;
                    return Some(Err(LineError::Io(e)));
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
            if is_first && start.len() < START_BYTES {
                let len = end.map_or(chunk.len(), |end| end + 1);
                start.extend(chunk.iter().take(len.min(START_BYTES - start.len())));
                let kind = FileKind::not_text(&start).filter(|_| start.len() == START_BYTES);
                if let Some(kind) = kind {
                    self.reader = None;
                    return Some(Err(LineError::Kind(kind)));
                }
            }
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or(chunk);
            if too_long.is_none() {
                // The first byte that is not white space decides.
                let chosen = |json| if json { max_json_bytes } else { max_bytes };
                limit = limit.or_else(|| starts_like_json(part).map(chosen));
                let limit = limit.unwrap_or(max_bytes);
                if line.len() + part.len() > limit {
                    too_long = Some(limit);
                    line = Vec::new();
                } else {
                    line.extend_from_slice(part);
                }
            }
            skipped += part.len();
            if too_long.is_some() && skipped > MAX_SKIPPED_BYTES {
                self.reader = None;
                return Some(Err(LineError::Endless(MAX_SKIPPED_BYTES)));
            }
            let consumed = end.map_or(chunk.len(), |end| end + 1);
            reader.consume(consumed);
            if end.is_some() {
                break;
            }
        }
        if is_first && let Some(kind) = FileKind::not_text(&start) {
            self.reader = None;
            return Some(Err(LineError::Kind(kind)));
        }
        if let Some(limit) = too_long {
            return Some(Err(LineError::TooLong(limit)));
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

/// Returns whether the first byte that is not white space starts a JSON document, or `None` if all
/// bytes are white space.
fn starts_like_json(part: &[u8]) -> Option<bool> {
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
    fn lines_pushed_back_return_with_their_numbers() {
        let mut lines = Lines::new(Cursor::new("a\nb\nc\n"));
        let next = |lines: &mut Lines| {
            lines
                .next(9, 9)
                .map(|l| (l.number, l.text.unwrap_or_default()))
        };
        next(&mut lines);
        next(&mut lines);
        lines.push_back(1, "a\nb".into());
        assert_eq!(next(&mut lines), Some((1, "a".into())));
        lines.push_back(1, "a".into());
        for expected in [(1, "a"), (2, "b"), (3, "c")] {
            assert_eq!(next(&mut lines), Some((expected.0, expected.1.into())));
        }
        assert_eq!(next(&mut lines), None);
    }
}
