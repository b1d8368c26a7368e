//! What a path of an output leads to, and whether it can be written.

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// Most links from a path to its file, as on Linux.
const MAX_LINKS: usize = 40;

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A regular file, or a name that no file has yet. All links are resolved.
    File(PathBuf),
    /// A device or a pipe. It is written in place.
    Device(PathBuf),
    /// An open descriptor of this process: `/dev/stdout`, `/dev/fd/3` and the like.
    Descriptor(u32),
}

impl Destination {
    /// Returns what a path leads to.
    ///
    /// # Errors
    /// The path is that of a folder, a socket or a block device; its folder does not exist; or the
    /// file may not be written.
    pub fn of(path: &Path) -> Result<Self> {
        Self::resolve(path).map_err(|e| e.context(path.display()))
    }

    fn resolve(path: &Path) -> Result<Self> {
        let mut current = path.to_owned();
        for _ in 0..=MAX_LINKS {
            if let Some(number) = descriptor(&current) {
                return Ok(Self::Descriptor(number));
            }
            if is_device_name(&current) {
                return Ok(Self::Device(current));
            }
            match fs::symlink_metadata(&current) {
                Ok(found) if found.is_symlink() => {
                    let target = fs::read_link(&current).map_err(io_error)?;
                    current = folder_of(&current).join(target);
                }
                Ok(found) => return Self::existing(current, &found),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Self::new_file(&current),
                Err(e) => return Err(io_error(e)),
            }
        }
        Err(invalid("is a chain of links without end"))
    }

    fn existing(path: PathBuf, found: &Metadata) -> Result<Self> {
        if found.is_dir() {
            return Err(invalid("is a folder; expected the name of a file"));
        }
        if found.is_file() {
            // Opened and closed again, since a file that may not be written must not be replaced.
            OpenOptions::new().write(true).open(&path).map_err(|e| {
                Error::new(ErrorKind::Io, format!("cannot be written: {e}")).with_source(e)
            })?;
            return path.canonicalize().map(Self::File).map_err(io_error);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if found.file_type().is_socket() {
                return Err(invalid("is a socket; expected the name of a file"));
            }
            if found.file_type().is_block_device() {
                return Err(invalid("is a block device; expected the name of a file"));
            }
        }
        Ok(Self::Device(path))
    }

    fn new_file(path: &Path) -> Result<Self> {
        let text = path.as_os_str().as_encoded_bytes();
        let is_folder = text.ends_with(b"/") || text.ends_with(b"/.");
        let name = path.file_name().filter(|_| !is_folder);
        let Some(name) = name else {
            return Err(invalid(match text {
                [] => "the name of the file is empty",
                _ => "is the name of a folder; expected that of a file",
            }));
        };
        let folder = folder_of(path);
        let found = fs::metadata(folder).map_err(|e| {
            let message = format!("the folder {} cannot be opened: {e}", folder.display());
            let missing = format!("the folder {} does not exist", folder.display());
            let is_missing = e.kind() == io::ErrorKind::NotFound;
            Error::new(ErrorKind::Io, if is_missing { missing } else { message }).with_source(e)
        })?;
        if !found.is_dir() {
            return Err(invalid(format!("{} is not a folder", folder.display())));
        }
        let folder = folder.canonicalize().map_err(io_error)?;
        Ok(Self::File(folder.join(name)))
    }
}

/// Checks that a folder can be written to, or can be created.
///
/// # Errors
/// The path is that of a file, or the first folder above it that exists cannot be written to.
pub fn check_folder(path: &Path) -> Result<()> {
    let check = || {
        if path.as_os_str().is_empty() {
            return Err(invalid("the name of the folder is empty"));
        }
        let mut above = Some(path);
        while let Some(folder) = above {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            match fs::metadata(folder) {
                Ok(found) if found.is_dir() => {
                    return super::Draft::create(&folder.join("check")).map(drop);
                }
                Ok(_) if folder == path => {
                    return Err(invalid("is not a folder; expected the name of a folder"));
                }
                Ok(_) => return Err(invalid(format!("{} is not a folder", folder.display()))),
                Err(_) if fs::symlink_metadata(folder).is_ok() => {
                    let message = format!("{} is a link to nothing", folder.display());
                    return Err(invalid(message));
                }
                Err(_) => above = folder.parent(),
            }
        }
        Ok(())
    };
    check().map_err(|e| e.context(path.display()))
}

/// Returns the folder of a path, `.` for a bare name.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Returns the number of an open descriptor of this process that a path is the name of.
fn descriptor(path: &Path) -> Option<u32> {
    if !cfg!(unix) {
        return None;
    }
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let folder = folder_of(path);
    let real = folder.canonicalize().ok()?;
    let is_ours = folder == Path::new("/dev/fd")
        || Path::new("/proc/self").canonicalize().is_ok_and(|process| {
            real.starts_with(process) && real.file_name().is_some_and(|name| name == "fd")
        });
    is_ours.then_some(number)
}

/// Returns whether a name is that of a device in every folder, as on Windows.
fn is_device_name(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|name| name.to_str());
    cfg!(windows)
        && stem.is_some_and(|stem| {
            stem.eq_ignore_ascii_case("nul") || stem.eq_ignore_ascii_case("con")
        })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::argument(message)
}

fn io_error(e: io::Error) -> Error {
    Error::new(ErrorKind::Io, e.to_string()).with_source(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a path of the folder leads to, or why it cannot be written.
    fn of(folder: &tempfile::TempDir, name: &str) -> std::result::Result<Destination, String> {
        Destination::of(&folder.path().join(name)).map_err(|e| e.to_string())
    }

    #[test]
    fn names_that_no_file_can_have_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "1").unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        for (name, why) in [
            ("sub", "is a folder"),
            ("sub/", "is a folder"),
            ("sub/.", "is a folder"),
            ("new/", "the name of a folder"),
            ("none/new", "none does not exist"),
            ("sub/none/../new", "does not exist"),
            ("file/new", "a directory"),
        ] {
            let error = of(&folder, name).expect_err(name);
            assert!(error.contains(why), "{name}: {error}");
        }
        let empty = Destination::of(Path::new("")).unwrap_err().to_string();
        assert!(empty.contains("is empty"), "{empty}");
        let real = folder.path().canonicalize().unwrap();
        assert_eq!(
            of(&folder, "sub/../new"),
            Ok(Destination::File(real.join("new")))
        );
        assert_eq!(
            of(&folder, "file"),
            Ok(Destination::File(real.join("file")))
        );
    }

    #[test]
    fn folders_are_checked_before_they_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "1").unwrap();
        check_folder(&path("a/b/c")).unwrap();
        check_folder(folder.path()).unwrap();
        for name in ["file", "file/sub"] {
            let error = check_folder(&path(name)).unwrap_err().to_string();
            assert!(error.contains("not a folder"), "{name}: {error}");
        }
        assert!(check_folder(Path::new("")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_to_their_end() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        symlink("sub/two", path("one")).unwrap();
        symlink("../end", path("sub/two")).unwrap();
        symlink("loop", path("loop")).unwrap();
        symlink("none/end", path("lost")).unwrap();
        symlink("sub", path("folder")).unwrap();
        assert_eq!(of(&folder, "one"), Ok(Destination::File(real.join("end"))));
        fs::write(path("end"), "1").unwrap();
        assert_eq!(of(&folder, "one"), Ok(Destination::File(real.join("end"))));
        assert_eq!(
            of(&folder, "folder/x"),
            Ok(Destination::File(real.join("sub/x")))
        );
        for (name, why) in [
            ("loop", "without end"),
            ("lost", "none does not exist"),
            ("folder", "is a folder"),
        ] {
            let error = of(&folder, name).expect_err(name);
            assert!(error.contains(why), "{name}: {error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_and_descriptors_are_known_by_every_name() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (link, target) in [
            ("out", "/proc/self/fd/1"),
            ("chain", "out"),
            ("error", "/dev/fd/2"),
            ("thread", "/proc/thread-self/fd/1"),
        ] {
            symlink(target, path(link)).unwrap();
        }
        for (name, number) in [("out", 1), ("chain", 1), ("error", 2), ("thread", 1)] {
            assert_eq!(
                of(&folder, name),
                Ok(Destination::Descriptor(number)),
                "{name}"
            );
        }
        assert_eq!(
            Destination::of(Path::new("/dev/stdout")).unwrap(),
            Destination::Descriptor(1)
        );
        let null = PathBuf::from("/dev/null");
        assert_eq!(Destination::of(&null).unwrap(), Destination::Device(null));
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert!(of(&folder, "socket").unwrap_err().contains("is a socket"));
    }
}
