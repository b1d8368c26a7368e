//! The arrays of the training pipeline: `*__inputs.npy` and `*__labels.npy`.
//!
//! NumPy documents the format in `numpy.lib.format`: a magic number, a version, the length of the
//! header, the header (a Python dictionary as text) and the numbers, row by row.

use crate::error::{Error, Result};
use std::io::Read;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The largest length of the header. NumPy writes 118 bytes for an array of integers.
const MAX_HEADER_BYTES: usize = 10_000;
/// The largest number of values in a row.
const MAX_ROW_VALUES: u64 = 1 << 20;

/// Reads the rows of an array of integers in a `.npy` file, one by one.
///
/// A row is everything at one index of the first dimension. Supported are versions 1, 2 and 3, C
/// order, and little-endian integers: signed with 1, 2, 4 or 8 bytes, unsigned with 1, 2 or 4.
#[derive(Debug)]
pub struct NpyRows<R> {
    reader: R,
    shape: Vec<usize>,
    number: Number,
    /// The bytes of one row.
    row: Vec<u8>,
    /// The number of rows that were read.
    rows_read: usize,
    failed: bool,
}

/// The storage format of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number {
    bytes: usize,
    signed: bool,
}

impl<R: Read> NpyRows<R> {
    /// Reads the header of an array. The rows are read later, one by one, so `reader` should be
    /// buffered.
    ///
    /// # Errors
    /// If this is not a `.npy` file, if the header is malformed, or if the array does not consist
    /// of rows of integers in C order.
    pub fn open(mut reader: R) -> Result<Self> {
        let header = header(&mut reader)?;
        let Header {
            descr,
            fortran_order,
            shape,
        } = Header::parse(&header).map_err(|e| e.context("the header"))?;
        if fortran_order {
            return Err(Error::puzzle(
                "the array is stored column by column (Fortran order); save it with \
                 `numpy.ascontiguousarray`",
            ));
        }
        let number = Number::of(&descr)?;
        let too_large = || Error::puzzle(format!("the shape {shape:?} is too large"));
        let (rows, rest) = shape
            .split_first()
            .ok_or_else(|| Error::puzzle("the array has no rows: its shape is ()"))?;
        let row = rest
            .iter()
            .try_fold(1_u64, |n, &d| n.checked_mul(d))
            .filter(|&n| n <= MAX_ROW_VALUES);
        let bytes = row.ok_or_else(too_large)? * number.bytes as u64;
        rows.checked_mul(bytes).ok_or_else(too_large)?;
        if bytes == 0 {
            return Err(Error::puzzle(format!(
                "the array has empty rows: its shape is {shape:?}"
            )));
        }
        let lengths: Option<Vec<usize>> = shape.iter().map(|&d| usize::try_from(d).ok()).collect();
        Ok(Self {
            reader,
            row: vec![0; usize::try_from(bytes).map_err(|_| too_large())?],
            shape: lengths.ok_or_else(too_large)?,
            number,
            rows_read: 0,
            failed: false,
        })
    }

    /// Returns the shape of the array. The first dimension is the number of rows.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or_default()
    }
}

impl<R: Read> Iterator for NpyRows<R> {
    type Item = Result<Vec<i64>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rows_read == self.rows() {
            return None;
        }
        if let Err(e) = self.reader.read_exact(&mut self.row) {
            self.failed = true;
            return Some(Err(read_error(
                e,
                &format!("the file ends in row {} of {}", self.rows_read, self.rows()),
            )));
        }
        self.rows_read += 1;
        let number = self.number;
        Some(Ok(self
            .row
            .chunks_exact(number.bytes)
            .map(|bytes| number.value(bytes))
            .collect()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.rows() - self.rows_read))
    }
}

impl Number {
    fn of(descr: &str) -> Result<Self> {
        let (bytes, signed) = match descr {
            "|u1" | "|b1" => (1, false),
            "|i1" => (1, true),
            "<u2" => (2, false),
            "<i2" => (2, true),
            "<u4" => (4, false),
            "<i4" => (4, true),
            "<i8" => (8, true),
            other => {
                return Err(Error::puzzle(format!(
                    "has numbers of type {other:?}; expected little-endian integers: |u1, |i1, \
                     <u2, <i2, <u4, <i4 or <i8"
                )));
            }
        };
        Ok(Self { bytes, signed })
    }

    fn value(self, bytes: &[u8]) -> i64 {
        let unsigned = bytes
            .iter()
            .rev()
            .fold(0_u64, |n, &byte| n << 8 | u64::from(byte));
        let unused = 64 - 8 * self.bytes;
        // The arithmetic shift back extends the sign.
        if self.signed {
            (unsigned << unused) as i64 >> unused
        } else {
            unsigned as i64
        }
    }
}

/// Returns the error of a failed read. The message for the end of the file is `truncated`.
fn read_error(error: std::io::Error, truncated: &str) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::puzzle(truncated),
        _ => Error::io("the array", error),
    }
}

/// Reads the text of the header.
fn header(reader: &mut impl Read) -> Result<String> {
    let mut read = |bytes: &mut [u8]| {
        reader
            .read_exact(bytes)
            .map_err(|e| read_error(e, "the file ends in its header"))
    };
    let mut magic = [0; 8];
    read(&mut magic)?;
    let [start @ .., version, _] = magic;
    if start != MAGIC {
        return Err(Error::puzzle("this is not a `.npy` file"));
    }
    let (mut short, mut long) = ([0; 2], [0; 4]);
    let length = match version {
        1 => read(&mut short).map(|()| u16::from_le_bytes(short).into())?,
        2 | 3 => read(&mut long).map(|()| u32::from_le_bytes(long) as usize)?,
        _ => {
            return Err(Error::puzzle(format!(
                "version {version} of the `.npy` format is not supported"
            )));
        }
    };
    if length > MAX_HEADER_BYTES {
        return Err(Error::puzzle(format!(
            "has a header of {length} bytes; the limit is {MAX_HEADER_BYTES} bytes"
        )));
    }
    let mut text = vec![0; length];
    read(&mut text)?;
    String::from_utf8(text).map_err(|_| Error::puzzle("is not text").context("the header"))
}

/// The entries of the header.
#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl Header {
    /// Parses `{'descr': '|u1', 'fortran_order': False, 'shape': (500, 900), }`
    fn parse(text: &str) -> Result<Self> {
        let mut text = HeaderParser(text);
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        text.expect("{")?;
        while !text.eat("}") {
            match text.string()? {
                "descr" => {
                    text.expect(":")?;
                    descr = Some(text.string()?.to_owned());
                }
                "fortran_order" => {
                    text.expect(":")?;
                    fortran_order = Some(text.eat("True"));
                    if fortran_order == Some(false) {
                        text.expect("False")?;
                    }
                }
                "shape" => {
                    text.expect(":")?;
                    shape = Some(text.tuple()?);
                }
                other => return Err(Error::puzzle(format!("has the unknown entry {other:?}"))),
            }
            if !text.eat(",") {
                text.expect("}")?;
                break;
            }
        }
        text.end()?;
        let missing = |name| move || Error::puzzle(format!("has no entry `{name}`"));
        Ok(Self {
            descr: descr.ok_or_else(missing("descr"))?,
            fortran_order: fortran_order.ok_or_else(missing("fortran_order"))?,
            shape: shape.ok_or_else(missing("shape"))?,
        })
    }
}

/// A parser of the header. Holds the text that is not parsed yet.
struct HeaderParser<'a>(&'a str);

impl<'a> HeaderParser<'a> {
    /// Consumes `token` if it comes next, and returns whether it did.
    fn eat(&mut self, token: &str) -> bool {
        self.0 = self.0.trim_start();
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Consumes `token`, which must come next.
    fn expect(&mut self, token: &str) -> Result<()> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.error(&format!("`{token}`")))
        }
    }

    fn end(&mut self) -> Result<()> {
        if self.0.trim().is_empty() {
            Ok(())
        } else {
            Err(self.error("its end"))
        }
    }

    fn error(&self, expected: &str) -> Error {
        let found: String = self.0.chars().take(20).collect();
        Error::puzzle(format!("found {found:?}, expected {expected}"))
    }

    fn string(&mut self) -> Result<&'a str> {
        for quote in ['\'', '"'] {
            if self.eat(quote.encode_utf8(&mut [0; 4])) {
                let (string, rest) = self
                    .0
                    .split_once(quote)
                    .ok_or_else(|| self.error("a closing quote"))?;
                self.0 = rest;
                return Ok(string);
            }
        }
        Err(self.error("a string in quotes"))
    }

    fn tuple(&mut self) -> Result<Vec<u64>> {
        let mut values = Vec::new();
        self.expect("(")?;
        while !self.eat(")") {
            self.0 = self.0.trim_start();
            let digits = self
                .0
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(self.0.len());
            let (number, rest) = self.0.split_at(digits);
            values.push(number.parse().map_err(|_| self.error("a length"))?);
            self.0 = rest;
            if !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(values)
    }
}
