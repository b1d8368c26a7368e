//! Writes files so that a finished file is replaced only by a finished one.
//!
//! A [`Draft`] is a file beside its target, under a name that cannot be guessed. When it is
//! complete, it is flushed to disk and renamed. A run that is killed leaves its draft behind, and
//! the next draft in the same folder removes it.

mod destination;
mod draft;
mod identity;
mod lock;

pub use destination::{Destination, check_folder};
pub use draft::{Draft, DraftsHalted, discard_drafts};
pub(crate) use draft::{Placement, sync_folder};
pub(crate) use identity::is_at;
pub use identity::{FileIdentity, check_distinct};
pub(crate) use lock::FolderLock;
