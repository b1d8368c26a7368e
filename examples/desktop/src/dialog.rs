//! The system's dialogs, in a thread of their own: the window goes on drawing behind them.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A file with a puzzle.
    Puzzle,
    /// A folder with a model.
    ModelFolder,
    /// A file with a model.
    ModelFile,
}

/// A dialog that is open.
#[derive(Debug)]
pub(crate) struct Dialog {
    wanted: Wanted,
    answer: Receiver<Option<PathBuf>>,
}

impl Dialog {
    /// Opens it. Must be called on the window's thread: macOS shows dialogs only from there.
    pub(crate) fn open(wanted: Wanted, wake: impl Fn() + Send + 'static) -> Option<Dialog> {
        use std::future::Future;
        use std::pin::Pin;
        let dialog = rfd::AsyncFileDialog::new();
        let asked: Pin<Box<dyn Future<Output = Option<rfd::FileHandle>> + Send>> = match wanted {
            Wanted::Puzzle => {
                let dialog = dialog.set_title("Open a puzzle");
                let dialog = dialog.add_filter("Puzzles", &["json", "txt", "csv", "ndjson", "jsonl", "sdm"]);
                Box::pin(dialog.add_filter("All files", &["*"]).pick_file())
            }
            Wanted::ModelFolder => Box::pin(dialog.set_title("Open a folder with a model").pick_folder()),
            Wanted::ModelFile => Box::pin(dialog.set_title("Open a file with a model").pick_file()),
        };
        let (sender, answer) = channel();
        // Never joined: it waits for a person, who may close the window first.
        let wait = move || {
            let picked = pollster::block_on(asked);
            let _ = sender.send(picked.map(|file| file.path().to_path_buf()));
            wake();
        };
        match std::thread::Builder::new().name("dialog".into()).spawn(wait) {
            Ok(_) => Some(Dialog { wanted, answer }),
            Err(e) => {
                log::warn!("no thread for a dialog: {e}");
                None
            }
        }
    }

    /// What was picked, once the dialog is closed: `Some((wanted, None))` if nothing.
    pub(crate) fn answer(&self) -> Option<(Wanted, Option<PathBuf>)> {
        match self.answer.try_recv() {
            Ok(path) => Some((self.wanted, path)),
            Err(TryRecvError::Disconnected) => Some((self.wanted, None)),
            Err(TryRecvError::Empty) => None,
        }
    }
}
