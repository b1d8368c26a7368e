//! Reads the directory of a zip archive whose entries are stored without compression, as
//! `torch.save` writes it.
//!
//! Only the positions of entries are read. Nothing is extracted, so entry names are harmless. This
//! is not a crate because the common ones reserve memory for as many entries as the file claims to
//! have.

use std::collections::BTreeMap;

use super::source::Source;
use crate::error::{Error, Result};

/// Size limit of the directory, in bytes.
const MAX_DIRECTORY_BYTES: u64 = 8 << 20;
/// Most entries of an archive.
const MAX_ENTRIES: u64 = 100_000;
/// Compression method 0: stored without compression.
const METHOD_STORED: u16 = 0;

/// An entry, as the directory describes it. Sizes and positions are in bytes.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    name: String,
    flags: u16,
    method: u16,
    size: u64,
    compressed: u64,
    /// Position of its local header.
    header: u64,
    /// CRC-32 of its bytes.
    pub(super) crc: u32,
}

/// The entries of an archive by name.
pub(super) type Entries = BTreeMap<String, Entry>;

fn bytes<const N: usize>(data: &[u8], at: usize) -> Result<[u8; N]> {
    let found = data.get(at..).and_then(|rest| rest.first_chunk::<N>());
    found
        .copied()
        .ok_or_else(|| Error::checkpoint("its zip directory is cut short"))
}

fn u16_at(data: &[u8], at: usize) -> Result<u16> {
    Ok(u16::from_le_bytes(bytes(data, at)?))
}

fn u32_at(data: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from_le_bytes(bytes(data, at)?))
}

fn u64_at(data: &[u8], at: usize) -> Result<u64> {
    Ok(u64::from_le_bytes(bytes(data, at)?))
}

/// Number of entries, and size and position of the directory in bytes.
struct Directory {
    entries: u64,
    size: u64,
    offset: u64,
}

/// Reads the directory at the end of the archive.
///
/// # Errors
/// The file cannot be read, or its directory is damaged or too large.
pub(super) fn entries(source: &Source) -> Result<Entries> {
    let directory = find_directory(source)?;
    if directory.size > MAX_DIRECTORY_BYTES || directory.entries > MAX_ENTRIES {
        return Err(Error::checkpoint(format!(
            "its zip directory claims {} entries in {} bytes, more than any checkpoint has",
            directory.entries, directory.size
        )));
    }
    let data = source.read_vec(directory.offset, directory.size)?;
    let mut entries = Entries::new();
    let mut rest = data.as_slice();
    for _ in 0..directory.entries {
        let (entry, len) = entry(rest)?;
        rest = rest.get(len..).unwrap_or_default();
        if let Some(old) = entries.insert(entry.name.clone(), entry) {
            return Err(Error::checkpoint(format!(
                "its zip directory names \"{}\" twice",
                old.name
            )));
        }
    }
    Ok(entries)
}

/// Finds the directory by the end record, which a comment may follow.
fn find_directory(source: &Source) -> Result<Directory> {
    const END_SIGNATURE: &[u8] = b"PK\x05\x06";
    const END_BYTES: u64 = 22;
    const MAX_COMMENT_BYTES: u64 = 65_535;
    let tail_len = source.len().min(END_BYTES + MAX_COMMENT_BYTES);
    let tail_at = source.len() - tail_len;
    let tail = source.read_vec(tail_at, tail_len)?;
    let fits = |at: usize| {
        u16_at(&tail, at + 20).is_ok_and(|comment| at + 22 + usize::from(comment) == tail.len())
    };
    let at = (0..tail.len())
        .rev()
        .find(|&at| tail.get(at..at + 4) == Some(END_SIGNATURE) && fits(at))
        .ok_or_else(|| {
            Error::checkpoint("is cut short: the zip directory at its end is missing")
        })?;
    let end = tail.get(at..).unwrap_or_default();
    let (entries, size, offset) = (u16_at(end, 10)?, u32_at(end, 12)?, u32_at(end, 16)?);
    if entries == u16::MAX || size == u32::MAX || offset == u32::MAX {
        return find_directory64(source, tail_at + at as u64);
    }
    Ok(Directory {
        entries: entries.into(),
        size: size.into(),
        offset: offset.into(),
    })
}

/// Finds the directory by the zip64 end record. `end` is the position of the plain end record.
fn find_directory64(source: &Source, end: u64) -> Result<Directory> {
    let damaged = || Error::checkpoint("the end of its zip directory is damaged");
    let locator = source.read_vec(end.checked_sub(20).ok_or_else(damaged)?, 20)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Err(damaged());
    }
    let record = source.read_vec(u64_at(&locator, 8)?, 56)?;
    if !record.starts_with(b"PK\x06\x06") {
        return Err(damaged());
    }
    Ok(Directory {
        entries: u64_at(&record, 32)?,
        size: u64_at(&record, 40)?,
        offset: u64_at(&record, 48)?,
    })
}

/// Returns the first entry of `data`, and its size in the directory in bytes.
fn entry(data: &[u8]) -> Result<(Entry, usize)> {
    let damaged = || Error::checkpoint("its zip directory is damaged");
    if !data.starts_with(b"PK\x01\x02") {
        return Err(damaged());
    }
    let name_len = usize::from(u16_at(data, 28)?);
    let extra_len = usize::from(u16_at(data, 30)?);
    let len = 46 + name_len + extra_len + usize::from(u16_at(data, 32)?);
    let name = data.get(46..46 + name_len).ok_or_else(damaged)?;
    let extra = data
        .get(46 + name_len..46 + name_len + extra_len)
        .ok_or_else(damaged)?;
    if data.len() < len {
        return Err(damaged());
    }
    let mut entry = Entry {
        name: String::from_utf8_lossy(name).into_owned(),
        flags: u16_at(data, 8)?,
        method: u16_at(data, 10)?,
        crc: u32_at(data, 16)?,
        compressed: u32_at(data, 20)?.into(),
        size: u32_at(data, 24)?.into(),
        header: u32_at(data, 42)?.into(),
    };
    widen(&mut entry, extra)?;
    Ok((entry, len))
}

/// Replaces the saturated fields of an entry by the values in its zip64 extra field.
fn widen(entry: &mut Entry, mut extra: &[u8]) -> Result<()> {
    const ZIP64: u16 = 1;
    let saturated = u64::from(u32::MAX);
    while extra.len() >= 4 {
        let (id, len) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        if id == ZIP64 {
            let mut at = 4;
            for field in [&mut entry.size, &mut entry.compressed, &mut entry.header] {
                if *field == saturated {
                    *field = u64_at(extra, at)?;
                    at += 8;
                }
            }
            return Ok(());
        }
        extra = extra.get(4 + len..).unwrap_or_default();
    }
    Ok(())
}

impl Entry {
    /// Returns the size of the data in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the position of the entry's data, in bytes.
    ///
    /// # Errors
    /// The entry is encrypted or compressed, or does not lie inside the file.
    pub(super) fn data(&self, source: &Source) -> Result<u64> {
        self.locate(source)
            .map_err(|e| e.context(format!("zip entry \"{}\"", self.name)))
    }

    fn locate(&self, source: &Source) -> Result<u64> {
        if self.flags & 1 != 0 {
            return Err(Error::checkpoint("is encrypted"));
        }
        if self.method != METHOD_STORED || self.size != self.compressed {
            return Err(Error::checkpoint(
                "is compressed, but torch.save writes entries without compression; load the file \
                 with PyTorch and save it again",
            ));
        }
        let header = source.read_vec(self.header, 30)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(Error::checkpoint(
                "does not begin where the zip directory says",
            ));
        }
        let lengths = 30 + u64::from(u16_at(&header, 26)?) + u64::from(u16_at(&header, 28)?);
        let data = self.header.checked_add(lengths);
        data.filter(|d| {
            d.checked_add(self.size)
                .is_some_and(|end| end <= source.len())
        })
        .ok_or_else(|| {
            Error::checkpoint(format!(
                "claims {} bytes, more than the file has",
                self.size
            ))
        })
    }
}
