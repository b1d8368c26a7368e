//! The directory of a zip archive of stored entries, which is all that `torch.save` writes.
//!
//! Only positions are wanted, nothing is extracted; so names may be what they like. Written here and not taken from a
//! crate because those reserve memory for as many entries as the file claims to have.

use std::collections::BTreeMap;

use super::source::Source;
use crate::error::{Error, Result};

const MAX_DIRECTORY: u64 = 8 << 20;
const MAX_ENTRIES: u64 = 100_000;
const STORED: u16 = 0;

/// An entry, as the directory describes it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    name: String,
    flags: u16,
    method: u16,
    size: u64,
    compressed: u64,
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

struct Directory {
    entries: u64,
    size: u64,
    offset: u64,
}

/// Reads the directory at the end of the archive.
pub(super) fn entries(source: &Source) -> Result<Entries> {
    let directory = find_directory(source)?;
    if directory.size > MAX_DIRECTORY || directory.entries > MAX_ENTRIES {
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

fn find_directory(source: &Source) -> Result<Directory> {
    const END: &[u8] = b"PK\x05\x06";
    const END_LEN: u64 = 22;
    const MAX_COMMENT: u64 = 65_535;
    let tail_len = source.len().min(END_LEN + MAX_COMMENT);
    let tail_at = source.len() - tail_len;
    let tail = source.read_vec(tail_at, tail_len)?;
    let fits =
        |at: usize| u16_at(&tail, at + 20).is_ok_and(|comment| at + 22 + usize::from(comment) == tail.len());
    let at = (0..tail.len())
        .rev()
        .find(|&at| tail.get(at..at + 4) == Some(END) && fits(at))
        .ok_or_else(|| {
            Error::checkpoint("cut short: a zip archive whose directory, which stands at the end, is missing")
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

/// The first entry of `data` and the number of bytes that it takes.
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

/// Replaces the saturated fields of an entry by those of its zip64 extra field.
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
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Byte position of the entry's data, which is checked to lie inside the file.
    pub(super) fn data(&self, source: &Source) -> Result<u64> {
        self.locate(source)
            .map_err(|e| e.context(format!("zip entry \"{}\"", self.name)))
    }

    fn locate(&self, source: &Source) -> Result<u64> {
        if self.flags & 1 != 0 {
            return Err(Error::checkpoint("is encrypted"));
        }
        if self.method != STORED || self.size != self.compressed {
            return Err(Error::checkpoint(
                "is compressed; torch.save stores its entries as they are, so load and save the file with PyTorch",
            ));
        }
        let header = source.read_vec(self.header, 30)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(Error::checkpoint("does not begin where the zip directory says"));
        }
        let lengths = 30 + u64::from(u16_at(&header, 26)?) + u64::from(u16_at(&header, 28)?);
        let data = self.header.checked_add(lengths);
        data.filter(|d| d.checked_add(self.size).is_some_and(|end| end <= source.len()))
            .ok_or_else(|| Error::checkpoint(format!("claims {} bytes, more than the file has", self.size)))
    }
}
