//! Steps that can be taken back.

use std::collections::VecDeque;

/// The most steps that are kept; the oldest goes first.
const MAX_STEPS: usize = 1000;

/// What a step changed: the cell, its old and its new value.
type Change = (usize, u8, u8);

/// The steps of a board, and the stroke that is being drawn.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    done: VecDeque<Vec<Change>>,
    undone: Vec<Vec<Change>>,
    stroke: Option<Vec<Change>>,
}

impl History {
    /// Begins a step and returns true, unless one has begun already.
    pub(super) fn begin(&mut self) -> bool {
        let begins = self.stroke.is_none();
        self.stroke.get_or_insert_default();
        begins
    }

    /// Changes a cell, within the step that has begun.
    pub(super) fn write(&mut self, cells: &mut [u8], i: usize, value: u8) {
        let Some(cell) = cells.get_mut(i) else { return };
        let old = std::mem::replace(cell, value);
        let stroke = self.stroke.get_or_insert_default();
        match stroke.iter_mut().find(|change| change.0 == i) {
            Some(change) => change.2 = value,
            None => stroke.push((i, old, value)),
        }
    }

    /// Ends the step; one that changed nothing is none.
    pub(super) fn end(&mut self) {
        let mut step = self.stroke.take().unwrap_or_default();
        step.retain(|(_, old, new)| old != new);
        if step.is_empty() {
            return;
        }
        self.undone.clear();
        self.done.push_back(step);
        if self.done.len() > MAX_STEPS {
            self.done.pop_front();
        }
    }

    pub(super) fn undo(&mut self, cells: &mut [u8]) -> bool {
        self.end();
        let Some(step) = self.done.pop_back() else {
            return false;
        };
        restore(cells, step.iter().map(|&(i, old, _)| (i, old)));
        self.undone.push(step);
        true
    }

    pub(super) fn redo(&mut self, cells: &mut [u8]) -> bool {
        self.end();
        let Some(step) = self.undone.pop() else {
            return false;
        };
        restore(cells, step.iter().map(|&(i, _, new)| (i, new)));
        self.done.push_back(step);
        true
    }

    pub(super) fn can_undo(&self) -> bool {
        !self.done.is_empty() || self.stroke.as_ref().is_some_and(|stroke| !stroke.is_empty())
    }

    pub(super) fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }
}

fn restore(cells: &mut [u8], values: impl Iterator<Item = (usize, u8)>) {
    for (i, value) in values {
        if let Some(cell) = cells.get_mut(i) {
            *cell = value;
        }
    }
}
