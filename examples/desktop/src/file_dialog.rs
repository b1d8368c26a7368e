//! The system's file dialogs. Each runs in its own thread, so that the window continues to draw.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// What a dialog asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialogKind {
    /// A file with a puzzle.
    Puzzle,
    /// A folder with a model.
    ModelFolder,
    /// A file with a model.
    ModelFile,
}

/// An open dialog.
#[derive(Debug)]
pub(crate) struct FileDialog {
    kind: DialogKind,
    answer: Receiver<Option<PathBuf>>,
}

impl FileDialog {
    /// Opens a dialog. Call this on the main thread, because macOS allows dialogs only there.
    pub(crate) fn open(kind: DialogKind, wake: impl Fn() + Send + 'static) -> Option<Self> {
        use std::future::Future;
        use std::pin::Pin;
        let dialog = rfd::AsyncFileDialog::new();
        let picking: Pin<Box<dyn Future<Output = Option<rfd::FileHandle>> + Send>> = match kind {
            DialogKind::Puzzle => {
                let dialog = dialog.set_title("Open a puzzle");
                let dialog =
                    dialog.add_filter("Puzzles", &["json", "txt", "csv", "ndjson", "jsonl", "sdm"]);
                Box::pin(dialog.add_filter("All files", &["*"]).pick_file())
            }
            DialogKind::ModelFolder => {
                Box::pin(dialog.set_title("Open a folder with a model").pick_folder())
            }
            DialogKind::ModelFile => {
                Box::pin(dialog.set_title("Open a file with a model").pick_file())
            }
        };
        let (sender, answer) = channel();
        // This thread is never joined, because it waits for the user, who may close the window
        // first.
        let wait = move || {
            let picked = pollster::block_on(picking);
            let _ = sender.send(picked.map(|file| file.path().to_path_buf()));
            wake();
        };
        match std::thread::Builder::new()
            .name("dialog".into())
            .spawn(wait)
        {
            Ok(_) => Some(Self { kind, answer }),
            Err(e) => {
                log::warn!("cannot start a thread for a dialog: {e}");
                None
            }
        }
    }

    /// Returns the result once the dialog is closed. The path is `None` if the user cancelled.
    pub(crate) fn answer(&self) -> Option<(DialogKind, Option<PathBuf>)> {
        match self.answer.try_recv() {
            Ok(path) => Some((self.kind, path)),
            Err(TryRecvError::Disconnected) => Some((self.kind, None)),
            Err(TryRecvError::Empty) => None,
        }
    }
}
