//! Whether two paths are names of the same file.

use std::fs::Metadata;
use std::path::Path;

use crate::error::{Error, Result};

/// A regular file, whichever of its names was given: a link, a hard link, another spelling, or an
/// open descriptor such as `/dev/stdin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileIdentity(Key);

#[cfg(unix)]
type Key = (u64, u64);
/// Other systems have no stable number for a file, so that hard links count as different files.
#[cfg(not(unix))]
type Key = std::path::PathBuf;

impl FileIdentity {
    /// Returns the identity of the file that a path leads to. `None`: it is no regular file.
    pub fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        found.is_file().then(|| Self::key(path, &found)).flatten()
    }

    #[cfg(unix)]
    fn key(_path: &Path, found: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self((found.dev(), found.ino())))
    }

    #[cfg(not(unix))]
    fn key(path: &Path, _found: &Metadata) -> Option<Self> {
        path.canonicalize().ok().map(Self)
    }
}

/// Returns whether a path still leads to the open file. True where the system cannot tell.
pub(crate) fn is_at(file: &std::fs::File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        let open = file.metadata().ok();
        let open = open.and_then(|found| FileIdentity::key(path, &found));
        open.is_none() || open == FileIdentity::of(path)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

/// Checks that writing `output` destroys none of the `inputs`. Only regular files can be destroyed.
///
/// # Errors
/// Both are the same file.
pub fn check_distinct<P: AsRef<Path>>(
    output: &Path,
    inputs: impl IntoIterator<Item = P>,
) -> Result<()> {
    let Some(identity) = FileIdentity::of(output) else {
        return Ok(());
    };
    for input in inputs {
        let input = input.as_ref();
        if FileIdentity::of(input).as_ref() == Some(&identity) {
            let message = format!(
                "is the same file as the input {}; write to another file",
                input.display()
            );
            return Err(Error::argument(message).context(output.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "1").unwrap();
        std::fs::write(path("b"), "1").unwrap();
        std::fs::create_dir(path("sub")).unwrap();
        let mut names = vec![path("a"), path("sub/../a"), folder.path().join("./a")];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../a", path("sub/link")).unwrap();
            std::os::unix::fs::symlink("sub/link", path("chain")).unwrap();
            std::fs::hard_link(path("a"), path("hard")).unwrap();
            names.extend([path("sub/link"), path("chain"), path("hard")]);
        }
        for name in &names {
            let error = check_distinct(name, [path("b"), path("a")]).unwrap_err();
            assert!(error.to_string().contains("the same file"), "{error}");
        }
        check_distinct(&path("b"), &names).unwrap();
        check_distinct(&path("missing"), &names).unwrap();
        check_distinct(&path("a"), [path("missing"), path("sub")]).unwrap();
    }
}
