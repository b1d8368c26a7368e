//! The puzzle on the board: edit, generate, paste, open, drop.

use std::path::Path;

use egui::Context;

use super::{App, Fade, Tab, repaint_waker};
use crate::board::{self, Board, Kind};
use crate::file_dialog::{DialogKind, FileDialog};
use crate::generate::{Difficulty, generate};
use crate::model_choice::ModelChoice;
use crate::runner_view::RunnerView;

/// The maximum number of whole boards that undo can bring back.
const MAX_REPLACED_BOARDS: usize = 50;

/// File extensions of models. Dropped files with any other extension are puzzles.
const MODEL_EXTENSIONS: [&str; 5] = ["safetensors", "pt", "pth", "ckpt", "bin"];

impl App {
    /// Returns the board of the current tab.
    pub fn board(&self) -> &Board {
        static EMPTY: std::sync::OnceLock<Board> = std::sync::OnceLock::new();
        self.boards[self.tab as usize]
            .as_ref()
            .unwrap_or_else(|| EMPTY.get_or_init(|| Board::sudoku(9)))
    }

    fn board_mut(&mut self) -> &mut Board {
        let tab = self.tab;
        self.boards[tab as usize].get_or_insert_with(|| Board::empty(tab.kind()))
    }

    /// Edits the board, and discards the runs if `edit` returns that it changed the board.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut Board) -> bool) {
        if edit(self.board_mut()) {
            self.reset_runs();
        }
    }

    pub(super) fn end_stroke(&mut self) {
        self.board_mut().end_stroke();
    }

    /// Discards the steps of all runners.
    pub(crate) fn reset_runs(&mut self) {
        self.runners.iter_mut().for_each(RunnerView::reset);
        self.shown_step = 0;
        self.fade = Fade::DONE;
        self.follow_latest = true;
    }

    /// Switches to another tab.
    pub(crate) fn choose_tab(&mut self, tab: Tab) {
        if tab == self.tab {
            return;
        }
        self.tab = tab;
        if self.boards[tab as usize].is_none() {
            self.new_puzzle();
        }
        self.after_board_change();
        // A bundled model fits one board only.
        for runner in &mut self.runners {
            if runner.model.board_kind().is_some() {
                runner.model = ModelChoice::Auto;
            }
        }
    }

    fn after_board_change(&mut self) {
        self.cursor = 0;
        self.reset_brush();
        self.reset_runs();
    }

    pub(super) fn reset_brush(&mut self) {
        self.brush = match self.tab {
            Tab::Maze => board::WALL,
            _ => 1,
        };
    }

    /// Puts a puzzle onto the tab of its kind. Undo brings back the puzzle that was there.
    pub fn put(&mut self, board: Board) {
        let tab = Tab::of(board.kind());
        if let Some(old) = self.boards[tab as usize].replace(board) {
            self.undone_boards.clear();
            self.replaced_boards.push(old);
            if self.replaced_boards.len() > MAX_REPLACED_BOARDS {
                self.replaced_boards.remove(0);
            }
        }
        if tab == self.tab {
            self.after_board_change();
        } else {
            self.choose_tab(tab);
        }
    }

    /// Undoes the last edit of the board. If there is none, brings back the board before this one.
    pub(crate) fn undo(&mut self) {
        if self.board_mut().undo() {
            self.reset_runs();
        } else if let Some(old) = take_last(&mut self.replaced_boards, self.tab) {
            self.undone_boards
                .extend(self.boards[self.tab as usize].replace(old));
            self.after_board_change();
        }
    }

    /// Redoes what was undone last.
    pub(crate) fn redo(&mut self) {
        if self.board_mut().redo() {
            self.reset_runs();
        } else if let Some(new) = take_last(&mut self.undone_boards, self.tab) {
            self.replaced_boards
                .extend(self.boards[self.tab as usize].replace(new));
            self.after_board_change();
        }
    }

    pub(crate) fn can_undo(&self) -> bool {
        self.board().can_undo() || find_last(&self.replaced_boards, self.tab).is_some()
    }

    pub(crate) fn can_redo(&self) -> bool {
        self.board().can_redo() || find_last(&self.undone_boards, self.tab).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.edit(|board| {
            board.clear();
            true
        });
    }

    /// Changes the size of the board and keeps the cells that fit.
    pub(crate) fn resize(&mut self, kind: Kind) {
        let old = self.board().clone();
        let mut new = Board::empty(kind);
        let (rows, cols) = (new.rows().min(old.rows()), new.cols().min(old.cols()));
        for row in 0..rows {
            for col in 0..cols {
                new.set(row * new.cols() + col, old.cell(row * old.cols() + col));
            }
        }
        self.put(new);
    }

    /// Switches to the next difficulty, after hard to easy, and generates a puzzle.
    pub(crate) fn cycle_difficulty(&mut self) {
        self.difficulty = match self.difficulty {
            Difficulty::Easy => Difficulty::Medium,
            Difficulty::Medium => Difficulty::Hard,
            Difficulty::Hard => Difficulty::Easy,
        };
        self.new_puzzle();
    }

    /// Generates a puzzle of the current kind and size.
    pub(crate) fn new_puzzle(&mut self) {
        let kind = self.boards[self.tab as usize]
            .as_ref()
            .map_or(self.tab.kind(), Board::kind);
        let board = match kind {
            // ARC tasks cannot be generated. An empty grid is there to be coloured.
            Kind::Arc { .. } => Board::empty(kind),
            _ => generate(kind, self.difficulty, self.seed),
        };
        self.seed = self.seed.wrapping_add(1);
        self.put(board);
    }

    /// Sets the seed of the next generated puzzle.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Opens a puzzle from pasted text.
    pub(crate) fn paste(&mut self, text: &str) {
        match Board::parse(text) {
            Ok(board) => {
                self.note = None;
                self.put(board);
            }
            Err(e) => self.note = Some(format!("the pasted text is not a puzzle: {e}")),
        }
    }

    pub(crate) fn open_puzzle(&mut self, path: &Path) {
        match board::read_first_in_file(path) {
            Ok(first) => {
                let note = "showing the first puzzle of the file; the others are ignored";
                self.note = first.has_more.then(|| note.to_string());
                self.put(first.board);
            }
            Err(e) => self.note = Some(e),
        }
    }

    /// Opens the first of the dropped files. Folders and model files are models.
    pub(super) fn open_dropped(&mut self, ctx: &Context) {
        let dropped = ctx.input(|i| {
            i.raw
                .dropped_files
                .first()
                .map(|file| file.path().to_path_buf())
        });
        if let Some(path) = dropped {
            let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
            let is_model = extension.is_some_and(|e| MODEL_EXTENSIONS.contains(&e.as_str()));
            if path.is_dir() || is_model {
                self.choose_model(0, ModelChoice::Path(path));
            } else {
                self.open_puzzle(&path);
            }
        }
    }

    pub(crate) fn open_dialog(&mut self, kind: DialogKind, ctx: &Context) {
        if self.dialog.is_none() {
            self.dialog = FileDialog::open(kind, repaint_waker(ctx));
        }
    }
}

/// Returns the index of the newest board of a tab.
fn find_last(boards: &[Board], tab: Tab) -> Option<usize> {
    boards
        .iter()
        .rposition(|board| Tab::of(board.kind()) == tab)
}

/// Removes and returns the newest board of a tab.
fn take_last(boards: &mut Vec<Board>, tab: Tab) -> Option<Board> {
    let index = find_last(boards, tab)?;
    Some(boards.remove(index))
}
