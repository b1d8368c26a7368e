//! Recognises files by their first bytes, to name what was given instead of what is expected.

/// A kind of file that is neither a model nor a puzzle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileKind {
    /// The name with its article: "a Git LFS pointer".
    pub(crate) name: &'static str,
    /// What to do instead. Empty if nothing helps.
    pub(crate) advice: &'static str,
}

/// The number of bytes at the beginning of a file that are enough to recognise every kind.
pub(crate) const START_BYTES: usize = 512;

/// A kind, and the bytes with which its files start.
type Magic = (&'static [u8], &'static str, &'static str);

const UNPACK: &str = "unpack it first";
/// The advice for tables, which are no models.
pub(crate) const EXPORT: &str = "export it as CSV or JSON";

/// The kinds that are recognised by their first bytes alone.
const MAGICS: [Magic; 32] = [
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself",
        "download the file with: git lfs pull",
    ),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"ARROW1", "an Arrow file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Office file, such as a spreadsheet (.xls)",
        EXPORT,
    ),
    (b"\x1f\x8b", "compressed with gzip", UNPACK),
    (b"BZh", "compressed with bzip2", UNPACK),
    (b"\xfd7zXZ\0", "compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", UNPACK),
    (b"\x04\x22\x4d\x18", "compressed with LZ4", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"\x89PNG\r", "a picture (PNG)", ""),
    (b"\xff\xd8\xff", "a picture (JPEG)", ""),
    (b"GIF87a", "a picture (GIF)", ""),
    (b"GIF89a", "a picture (GIF)", ""),
    (b"II*\0", "a picture (TIFF)", ""),
    (b"MM\0*", "a picture (TIFF)", ""),
    (b"RIFF", "a picture, sound or film (RIFF)", ""),
    (b"%PDF-", "a PDF document", ""),
    (b"%!PS", "a PostScript document", ""),
    (b"{\\rtf", "an RTF document", "save it as plain text"),
    (b"\x89HDF\r", "an HDF5 file", ""),
    (b"GGUF", "a GGUF file", ""),
    (
        b"\x93NUMPY",
        "a NumPy array",
        "name it with the ending .npy",
    ),
    (b"\x7fELF", "a program", ""),
    (b"MZ\x90\0", "a program", ""),
    (b"\0asm", "a program", ""),
    (b"\xff\xfe\0\0", "text in UTF-32", "save it as UTF-8"),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
];

impl FileKind {
    /// Returns the kind of a file that starts with `start`, or `None` if it is not known.
    ///
    /// Archives in the format of zip are named by their first entry.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        let kind = |name, advice| Some(Self { name, advice });
        let magic = MAGICS.iter().find(|(magic, ..)| start.starts_with(magic));
        if let Some(&(_, name, advice)) = magic {
            return kind(name, advice);
        }
        if start.get(257..262) == Some(b"ustar") {
            return kind("a tar archive", UNPACK);
        }
        if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
            return Some(Self::of_zip(start));
        }
        if matches!(start, [0x80, 2..=5, ..]) {
            return kind(
                "a pickle of Python",
                "save its arrays as .npy, or its puzzles as JSON",
            );
        }
        if is_web_page(start) {
            return kind("a web page", "download the file itself");
        }
        if start.get(8..).is_some_and(|rest| rest.starts_with(b"{\"")) && start.get(7) == Some(&0) {
            return kind("a safetensors file", "");
        }
        None
    }

    /// Returns the kind of a file that is no text, or `None` if it can be text in UTF-8.
    pub(crate) fn not_text(start: &[u8]) -> Option<Self> {
        Self::of(start).or_else(|| Self::of_zeros(start))
    }

    fn of_zip(start: &[u8]) -> Self {
        let has = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
        let (name, advice) = if has(b"xl/") || has(b"opendocument.spreadsheet") {
            ("a spreadsheet", EXPORT)
        } else if has(b"word/") || has(b"opendocument.text") {
            (
                "a text document of an office program",
                "save it as plain text",
            )
        } else if has(b"[Content_Types].xml") {
            ("an Office file, such as a spreadsheet (.xlsx)", EXPORT)
        } else if has(b".npy") {
            ("a NumPy archive (.npz)", "save each array as .npy")
        } else if has(b"/data.pkl") {
            ("a file of torch.save", "")
        } else {
            ("a zip archive", UNPACK)
        };
        Self { name, advice }
    }

    /// Recognises text in UTF-16 or UTF-32 without a mark at its beginning, and files of zeros.
    fn of_zeros(start: &[u8]) -> Option<Self> {
        let zeros = start.iter().filter(|byte| **byte == 0).count();
        let advice = "save it as UTF-8";
        let name = match start.len() {
            0 => return None,
            len if zeros == len && len >= 4 => {
                return Some(Self {
                    name: "a file of zero bytes",
                    advice: "",
                });
            }
            len if len >= 8 && zeros * 4 >= len * 3 - 4 => "text in UTF-32",
            len if len >= 4 && zeros * 2 >= len - 2 && alternates(start) => "text in UTF-16",
            _ if zeros > 0 => {
                return Some(Self {
                    name: "binary data, not text",
                    advice: "",
                });
            }
            _ => return None,
        };
        Some(Self { name, advice })
    }

    /// Returns the message about a file of this kind: "is a zip archive; unpack it first".
    pub(crate) fn message(self) -> String {
        match self.advice {
            "" => format!("is {}", self.name),
            advice => format!("is {}; {advice}", self.name),
        }
    }
}

/// Returns whether all zero bytes have even positions, or all have odd ones.
fn alternates(start: &[u8]) -> bool {
    let zero_at = |parity: usize| {
        let positions = start.iter().enumerate();
        positions
            .filter(|(at, byte)| **byte == 0 && at % 2 == parity)
            .count()
    };
    zero_at(0) == 0 || zero_at(1) == 0
}

/// Returns whether this is the beginning of HTML or XML.
fn is_web_page(start: &[u8]) -> bool {
    let start = start
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(start)
        .trim_ascii_start();
    // A comment may stand above a puzzle.
    matches!(
        start,
        [b'<', b'!' | b'?' | b'/' | b'a'..=b'z' | b'A'..=b'Z', ..]
    ) && !start.starts_with(b"<!--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_recognised_by_their_first_bytes() {
        let zip = |entry: &[u8]| [b"PK\x03\x04".as_slice(), &[0; 26], entry].concat();
        let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
        let utf16: Vec<u8> = "puzzle".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let utf32: Vec<u8> = "puzzle"
            .chars()
            .flat_map(|c| u32::from(c).to_le_bytes())
            .collect();
        let table: [(&[u8], &str); 22] = [
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            (b"<!DOCTYPE html>", "a web page"),
            (b"\xef\xbb\xbf\n <html>", "a web page"),
            (b"PAR1\x15\x04", "a Parquet file"),
            (&zip(b"xl/workbook.xml"), "a spreadsheet"),
            (&zip(b"[Content_Types].xml"), "a spreadsheet (.xlsx)"),
            (&zip(b"arr_0.npy"), "a NumPy archive (.npz)"),
            (&zip(b"puzzles.txt"), "a zip archive"),
            (b"\x1f\x8b\x08\0", "compressed with gzip"),
            (b"\x89PNG\r\n\x1a\n", "a picture (PNG)"),
            (b"%PDF-1.7", "a PDF document"),
            (b"SQLite format 3\0\x10", "an SQLite database"),
            (b"\x93NUMPY\x01\0", "a NumPy array"),
            (b"\x80\x04\x95", "a pickle"),
            (&tar, "a tar archive"),
            (b"\xff\xfe5\x003\0", "text in UTF-16"),
            (&utf16, "text in UTF-16"),
            (&utf32, "text in UTF-32"),
            (&[0; 512], "zero bytes"),
            (b"53..\x0053", "binary data"),
            (b"d\x02\0\0\0\0\0\0{\"a\":", "a safetensors file"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "spreadsheet (.xls)"),
        ];
        for (start, name) in table {
            let kind = FileKind::not_text(start).unwrap_or_else(|| panic!("{name}"));
            assert!(kind.message().contains(name), "{name}: {kind:?}");
        }
        for text in [
            "",
            "5",
            "53..7",
            "{\"puzzle\": 1}",
            "# S G",
            "<!-- easy -->",
            "< 3",
        ] {
            assert_eq!(FileKind::not_text(text.as_bytes()), None, "{text}");
        }
    }
}
