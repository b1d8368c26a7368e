//! The puzzle on the board: edited, generated, pasted, opened, dropped.

use std::path::Path;

use egui::Context;

use super::{App, DIFFICULTIES, Tab, waker};
use crate::board::{self, Board, Kind};
use crate::choice::ModelChoice;
use crate::dialog::{Dialog, Wanted};
use crate::generate::generate;
use crate::lane::Lane;

/// Boards that undo can bring back.
const MAX_REPLACED: usize = 50;

impl App {
    /// The board that is looked at.
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

    /// Changes the board by `edit`, which says whether it did; what was thought about it is forgotten then.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut Board) -> bool) {
        if edit(self.board_mut()) {
            self.forget();
        }
    }

    pub(super) fn end_stroke(&mut self) {
        self.board_mut().end_stroke();
    }

    /// Forgets what was thought.
    pub(crate) fn forget(&mut self) {
        self.lanes.iter_mut().for_each(Lane::forget);
        self.shown = 0;
        self.faded = (0, f64::NEG_INFINITY);
        self.follow = true;
    }

    /// Looks at another board.
    pub(crate) fn choose_tab(&mut self, tab: Tab) {
        if tab == self.tab {
            return;
        }
        self.tab = tab;
        if self.boards[tab as usize].is_none() {
            self.new_puzzle();
        }
        self.moved_to_another_board();
        // A bundled model is for one board; the one that fits is always right.
        for lane in &mut self.lanes {
            if lane.model.board().is_some() {
                lane.model = ModelChoice::Fitting;
            }
        }
    }

    fn moved_to_another_board(&mut self) {
        self.cursor = 0;
        self.reset_brush();
        self.forget();
    }

    pub(super) fn reset_brush(&mut self) {
        self.brush = match self.tab {
            Tab::Maze => board::WALL,
            _ => 1,
        };
    }

    /// Puts a puzzle on the board of its kind; undo brings the one back that was there.
    pub fn put(&mut self, board: Board) {
        let tab = Tab::of(board.kind());
        if let Some(old) = self.boards[tab as usize].replace(board) {
            self.restored.clear();
            self.replaced.push(old);
            if self.replaced.len() > MAX_REPLACED {
                self.replaced.remove(0);
            }
        }
        if tab == self.tab {
            self.moved_to_another_board();
        } else {
            self.choose_tab(tab);
        }
    }

    /// Takes the last change back, else the last replacement of the board.
    pub(crate) fn undo(&mut self) {
        if self.board_mut().undo() {
            self.forget();
        } else if let Some(old) = last_of(&mut self.replaced, self.tab) {
            self.restored.extend(self.boards[self.tab as usize].replace(old));
            self.moved_to_another_board();
        }
    }

    /// Does again what was taken back last.
    pub(crate) fn redo(&mut self) {
        if self.board_mut().redo() {
            self.forget();
        } else if let Some(new) = last_of(&mut self.restored, self.tab) {
            self.replaced.extend(self.boards[self.tab as usize].replace(new));
            self.moved_to_another_board();
        }
    }

    pub(crate) fn can_undo(&self) -> bool {
        self.board().can_undo()
            || self
                .replaced
                .iter()
                .any(|board| Tab::of(board.kind()) == self.tab)
    }

    pub(crate) fn can_redo(&self) -> bool {
        self.board().can_redo()
            || self
                .restored
                .iter()
                .any(|board| Tab::of(board.kind()) == self.tab)
    }

    pub(crate) fn clear(&mut self) {
        self.edit(|board| {
            board.clear();
            true
        });
    }

    /// What an empty cell has.
    pub(crate) fn blank(&self) -> u8 {
        match self.board().kind() {
            Kind::Maze { .. } => board::FREE,
            _ => 0,
        }
    }

    /// A board of another size, with what fits of the old one on it.
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

    /// Easy, medium, hard, and easy again; with a new puzzle.
    pub(crate) fn next_difficulty(&mut self) {
        let at = DIFFICULTIES
            .iter()
            .position(|known| known.0 == self.difficulty)
            .unwrap_or(0);
        self.difficulty = DIFFICULTIES[(at + 1) % DIFFICULTIES.len()].0;
        self.new_puzzle();
    }

    /// A new puzzle of the kind that is looked at.
    pub(crate) fn new_puzzle(&mut self) {
        let kind = self.boards[self.tab as usize]
            .as_ref()
            .map_or(self.tab.kind(), Board::kind);
        let board = match kind {
            // Nobody can make up a task of ARC: an empty grid is there to be coloured.
            Kind::Arc { .. } => Board::empty(kind),
            _ => generate(kind, self.difficulty, self.seed),
        };
        self.seed = self.seed.wrapping_add(1);
        self.put(board);
    }

    /// Seeds what is generated from now on.
    pub fn seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Reads a puzzle from text that was pasted.
    pub(crate) fn paste(&mut self, text: &str) {
        match Board::parse(text) {
            Ok(board) => {
                self.note = None;
                self.put(board);
            }
            Err(e) => self.note = Some(format!("what was pasted is no puzzle: {e}")),
        }
    }

    pub(crate) fn open_puzzle(&mut self, path: &Path) {
        match board::find_file(path) {
            Ok(found) => {
                self.note = found
                    .more
                    .then(|| "the first puzzle of the file is shown; there are more in it".to_string());
                self.put(found.board);
            }
            Err(e) => self.note = Some(e),
        }
    }

    pub(super) fn take_dropped(&mut self, ctx: &Context) {
        let dropped = ctx.input(|i| i.raw.dropped_files.first().map(|file| file.path().to_path_buf()));
        if let Some(path) = dropped {
            // A folder, or what a model's file is called, is a model; anything else a puzzle.
            let model = ["safetensors", "pt", "pth", "ckpt", "bin"];
            let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
            if path.is_dir() || ending.is_some_and(|ending| model.contains(&ending.as_str())) {
                self.choose_model(0, ModelChoice::Path(path));
            } else {
                self.open_puzzle(&path);
            }
        }
    }

    pub(crate) fn ask_for(&mut self, wanted: Wanted, ctx: &Context) {
        if self.dialog.is_none() {
            self.dialog = Dialog::open(wanted, waker(ctx));
        }
    }
}

/// Takes the newest board of a tab out of a list.
fn last_of(boards: &mut Vec<Board>, tab: Tab) -> Option<Board> {
    let at = boards.iter().rposition(|board| Tab::of(board.kind()) == tab)?;
    Some(boards.remove(at))
}
