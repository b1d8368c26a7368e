//! The edit history of a board, for undo and redo.

use std::collections::VecDeque;

/// The maximum number of edits to keep. The oldest is dropped first.
const MAX_EDITS: usize = 1000;

/// A changed cell: its index, its old and its new value.
type Change = (usize, u8, u8);

/// The edits of a board. Each changes one or more cells.
#[derive(Debug, Clone, Default)]
pub(super) struct UndoStack {
    undo: VecDeque<Vec<Change>>,
    redo: Vec<Vec<Change>>,
    /// The changes of the edit in progress, such as a mouse stroke.
    current: Option<Vec<Change>>,
}

impl UndoStack {
    /// Begins an edit. Returns false, and continues the current edit, if there is one.
    pub(super) fn begin(&mut self) -> bool {
        let is_new = self.current.is_none();
        self.current.get_or_insert_default();
        is_new
    }

    /// Changes a cell as part of the current edit.
    pub(super) fn write(&mut self, cells: &mut [u8], i: usize, value: u8) {
        let Some(cell) = cells.get_mut(i) else { return };
        let old = std::mem::replace(cell, value);
        let changes = self.current.get_or_insert_default();
        match changes.iter_mut().find(|change| change.0 == i) {
            Some(change) => change.2 = value,
            None => changes.push((i, old, value)),
        }
    }

    /// Ends the current edit. Drops it if it changed nothing.
    pub(super) fn end(&mut self) {
        let mut edit = self.current.take().unwrap_or_default();
        edit.retain(|(_, old, new)| old != new);
        if edit.is_empty() {
            return;
        }
        self.redo.clear();
        self.undo.push_back(edit);
        if self.undo.len() > MAX_EDITS {
            self.undo.pop_front();
        }
    }

    /// Ends the current edit and undoes the last one. Returns whether there was one.
    pub(super) fn undo(&mut self, cells: &mut [u8]) -> bool {
        self.end();
        let Some(edit) = self.undo.pop_back() else {
            return false;
        };
        restore(cells, edit.iter().map(|&(i, old, _)| (i, old)));
        self.redo.push(edit);
        true
    }

    /// Ends the current edit and redoes the edit that was undone last. Returns whether there was
    /// one.
    pub(super) fn redo(&mut self, cells: &mut [u8]) -> bool {
        self.end();
        let Some(edit) = self.redo.pop() else {
            return false;
        };
        restore(cells, edit.iter().map(|&(i, _, new)| (i, new)));
        self.undo.push_back(edit);
        true
    }

    pub(super) fn can_undo(&self) -> bool {
        !self.undo.is_empty()
            || self
                .current
                .as_ref()
                .is_some_and(|changes| !changes.is_empty())
    }

    pub(super) fn can_redo(&self) -> bool {
        !self.redo.is_empty()
    }
}

fn restore(cells: &mut [u8], values: impl Iterator<Item = (usize, u8)>) {
    for (i, value) in values {
        if let Some(cell) = cells.get_mut(i) {
            *cell = value;
        }
    }
}
