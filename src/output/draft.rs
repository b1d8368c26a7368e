//! Files that get their name when they are complete.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::destination::folder_of;
use super::identity::is_at;
use crate::error::{Error, ErrorKind, Result};

/// Drafts are named `.trm-` and 16 hexadecimal digits, with the suffix `.part`.
const PREFIX: &str = ".trm-";
const SUFFIX: &str = ".part";
const DIGITS: usize = 16;
/// Attempts to create a draft. One fails only if another run removes it at the same moment.
const MAX_ATTEMPTS: usize = 100;
/// Most entries of a folder that are searched for drafts of runs that were killed.
const MAX_ENTRIES: usize = 100_000;
/// Age from which a draft counts as abandoned where files cannot be locked.
const ABANDONED_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The drafts of this process that have no final name yet.
static DRAFTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn drafts() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    DRAFTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps drafts from being created and from getting their final names.
#[derive(Debug)]
pub struct DraftsHalted {
    _drafts: MutexGuard<'static, BTreeSet<PathBuf>>,
}

/// Removes all drafts of this process, for a program that ends at once. While the result lives, no
/// output changes. An output that is just getting its final name is waited for.
pub fn discard_drafts() -> DraftsHalted {
    let mut drafts = drafts();
    for path in std::mem::take(&mut *drafts) {
        let _ = fs::remove_file(path);
    }
    DraftsHalted { _drafts: drafts }
}

/// A new file that is not complete. It is removed unless it replaces its target.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    file: File,
    target: PathBuf,
}

impl Draft {
    /// Creates the draft of a file, in the same folder. Removes the drafts of runs that were
    /// killed.
    ///
    /// # Errors
    /// The folder does not exist, or no file can be created in it.
    pub fn create(target: &Path) -> Result<Self> {
        let folder = folder_of(target);
        remove_abandoned(folder);
        // A draft of a private file is private from the start.
        let mode = fs::metadata(target).ok().as_ref().map_or(0o666, mode);
        for _ in 0..MAX_ATTEMPTS {
            let path = folder.join(random_name());
            let mut drafts = drafts();
            let file = match create_new(&path, mode) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => {
                    let folder = folder.display();
                    let message = format!("no file can be created in the folder {folder}: {e}");
                    return Err(Error::new(ErrorKind::Io, message).with_source(e));
                }
                Ok(file) => file,
            };
            // Without the lock, another run takes the draft for one that was left behind.
            let locked = !matches!(file.try_lock(), Err(TryLockError::WouldBlock));
            if locked && is_at(&file, &path) {
                drafts.insert(path.clone());
                return Ok(Self {
                    path,
                    file,
                    target: target.to_owned(),
                });
            }
        }
        let message = "no temporary file can be kept: another program removes it";
        Err(Error::new(ErrorKind::Io, message).context(folder.display()))
    }

    /// Returns the file, for writing and reading.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Flushes the draft to disk and gives it the name of its target.
    ///
    /// # Errors
    /// The file cannot be flushed or renamed.
    pub fn replace(mut self) -> Result<()> {
        let target = self.target.clone();
        let replaced = self.make_durable().and_then(|()| {
            let placed = Placement::begin().rename(&mut self, &target);
            match placed {
                // A single file that is mounted cannot be replaced.
                Err(e) if cannot_be_replaced(&e) => self.copy_over(&target),
                other => other,
            }
        });
        replaced.map_err(|e| Error::io(target.display(), e))?;
        sync_folder(folder_of(&target));
        Ok(())
    }

    /// Gives the draft the permissions of the file that it replaces, and flushes it to disk.
    pub(crate) fn make_durable(&mut self) -> io::Result<()> {
        if let Ok(replaced) = fs::metadata(&self.target) {
            keep_owner(&self.file, &replaced);
            // Some file systems have none. The draft is never readable to more users.
            let _ = self.file.set_permissions(replaced.permissions());
        }
        match self.file.sync_all() {
            // Not every file system can.
            Err(e) if is_unsupported(&e) => Ok(()),
            other => other,
        }
    }

    fn copy_over(&mut self, target: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).truncate(true).open(target)?;
        self.file.seek(SeekFrom::Start(0))?;
        io::copy(&mut self.file, &mut file)?;
        file.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let mut drafts = drafts();
        if drafts.remove(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Gives drafts their names. While it lives, [`discard_drafts`] waits.
pub(crate) struct Placement {
    drafts: MutexGuard<'static, BTreeSet<PathBuf>>,
}

impl Placement {
    pub(crate) fn begin() -> Self {
        Self { drafts: drafts() }
    }

    /// Renames a draft, and replaces what had the name.
    pub(crate) fn rename(&mut self, draft: &mut Draft, to: &Path) -> io::Result<()> {
        fs::rename(&draft.path, to)?;
        self.drafts.remove(&draft.path);
        Ok(())
    }
}

/// Flushes the names of a folder to disk, where the system can.
pub(crate) fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

fn is_unsupported(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

fn cannot_be_replaced(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices
    )
}

/// Returns a name that cannot be guessed. The keys of the hasher come from the system.
fn random_name() -> String {
    let number = RandomState::new().build_hasher().finish();
    format!("{PREFIX}{number:0DIGITS$x}{SUFFIX}")
}

fn is_draft(name: &OsStr) -> bool {
    let digits = name
        .to_str()
        .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    digits.is_some_and(|d| d.len() == DIGITS && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Removes the drafts in a folder whose runs have ended.
fn remove_abandoned(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.take(MAX_ENTRIES).flatten() {
        if is_draft(&entry.file_name()) && is_abandoned(&entry.path()) {
            log::debug!(
                "removed {}, left by a run that was killed",
                entry.path().display()
            );
        }
    }
}

/// Removes a draft if no run uses it. Returns whether it did.
fn is_abandoned(path: &Path) -> bool {
    // Opening a pipe would wait.
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else {
        return false;
    };
    let unused = match file.try_lock() {
        Ok(()) => is_at(&file, path),
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => file
            .metadata()
            .and_then(|found| found.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED_AGE)),
    };
    unused && fs::remove_file(path).is_ok()
}

#[cfg(unix)]
fn mode(found: &fs::Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt;
    found.mode() & 0o777
}

#[cfg(not(unix))]
fn mode(_found: &fs::Metadata) -> u32 {
    0
}

fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

/// Gives a file the owner and the group of another one, if the system allows it.
#[cfg(unix)]
fn keep_owner(file: &File, replaced: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    let Ok(own) = file.metadata() else {
        return;
    };
    let changed = |old: u32, new: u32| (old != new).then_some(new);
    let (owner, group) = (
        changed(own.uid(), replaced.uid()),
        changed(own.gid(), replaced.gid()),
    );
    if owner.is_some() || group.is_some() {
        let _ = fchown(file, owner, group).or_else(|_| fchown(file, None, group));
    }
}

#[cfg(not(unix))]
fn keep_owner(_file: &File, _replaced: &fs::Metadata) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_changes_only_when_the_draft_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("result");
        fs::write(&target, "old").unwrap();
        let mut draft = Draft::create(&target).unwrap();
        draft.file().write_all(b"half").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        drop(draft);
        assert_eq!(names(folder.path()), ["result"]);
        let mut draft = Draft::create(&target).unwrap();
        draft.file().write_all(b"new").unwrap();
        draft.replace().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["result"]);
    }

    #[test]
    fn drafts_of_killed_runs_are_removed_and_those_in_use_stay() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("result");
        let path = |name: &str| folder.path().join(name);
        fs::write(path(".trm-0123456789abcdef.part"), "left").unwrap();
        let others = [".trm-0123.part", ".trm-0123456789abcdeg.part", "trm.part"];
        for other in others {
            fs::write(path(other), "kept").unwrap();
        }
        let first = Draft::create(&target).unwrap();
        let second = Draft::create(&target).unwrap();
        assert!(!path(".trm-0123456789abcdef.part").exists());
        assert!(first.path.exists() && second.path.exists());
        assert_ne!(first.path, second.path);
        drop((first, second));
        assert_eq!(names(folder.path()).len(), others.len());
    }

    #[cfg(unix)]
    #[test]
    fn planted_names_are_not_followed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("victim"), "kept").unwrap();
        symlink("victim", path(".trm-0123456789abcdef.part")).unwrap();
        assert!(create_new(&path(".trm-0123456789abcdef.part"), 0o666).is_err());
        let pipe = std::process::Command::new("mkfifo")
            .arg(path(".trm-0123456789abcdee.part"))
            .status();
        assert!(pipe.unwrap().success());
        drop(Draft::create(&path("result")).unwrap());
        assert_eq!(fs::read(path("victim")).unwrap(), b"kept");
        assert_eq!(names(folder.path()).len(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_of_the_replaced_file_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("result");
        for mode in [0o600, 0o640, 0o664, 0o777] {
            fs::write(&target, "old").unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
            let draft = Draft::create(&target).unwrap();
            let of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(of(&draft.path) & !mode, 0, "the draft is as private");
            draft.replace().unwrap();
            assert_eq!(of(&target), mode);
        }
    }

    /// Two sides create, replace and remove at once, as two runs do.
    #[test]
    fn runs_at_the_same_time_lose_no_file() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for side in 0..4 {
                let folder = folder.path();
                scope.spawn(move || {
                    let target = folder.join(format!("result-{side}"));
                    for round in 0..50 {
                        let mut draft = Draft::create(&target).unwrap();
                        draft.file().write_all(&[round]).unwrap();
                        draft.replace().unwrap();
                        assert_eq!(fs::read(&target).unwrap(), [round]);
                    }
                });
            }
        });
        assert_eq!(names(folder.path()).len(), 4);
    }
}
