//! The sums of messages within the units of a Sudoku.
//!
//! A task computes all cells of all fields for one unit, which has a sixth of the channels. It adds
//! up the members of each group once and then subtracts each member's own message.

use super::scratch::{Scratch, ScratchSize};
use super::simd::{Tile, TileGrid, TileIndex};
use crate::config::UNITS;
use crate::model::plan::Dims;

/// Returns the scratch memory of a task: the sum of a group.
pub(super) fn scratch_size(d: &Dims) -> ScratchSize {
    ScratchSize::of(&[width(d)], &[])
}

/// Returns the grid of the output `[L, M]`: a tile for each unit.
pub(super) fn grid(d: &Dims) -> TileGrid {
    TileGrid::new(d.positions, d.mixer_inner, d.positions, width(d))
}

/// Returns the channels of a unit.
fn width(d: &Dims) -> usize {
    d.mixer_inner / UNITS
}

/// Computes the channels of one unit: messages `[L, M]` -> sums of the other members' messages.
pub(super) fn unit_sums(
    d: &Dims,
    messages: &[f32],
    index: &TileIndex,
    mut out: Tile<'_>,
    scratch: &mut Scratch,
) {
    let channels = index.cols.clone();
    let [sum] = scratch.split([channels.len()]);
    let groups = Groups::of(d, channels.start / width(d).max(1));
    let message = |position: usize| &messages[position * d.mixer_inner..][channels.clone()];
    for group in 0..groups.count {
        sum.fill(0.0);
        for member in 0..groups.members {
            let term = message(groups.position(group, member));
            sum.iter_mut().zip(term).for_each(|(s, m)| *s += m);
        }
        for member in 0..groups.members {
            let position = groups.position(group, member);
            let own = sum.iter().zip(message(position));
            out.row(position)
                .iter_mut()
                .zip(own)
                .for_each(|(o, (s, m))| *o = s - m);
        }
    }
}

/// The groups of positions that exchange messages in one unit.
struct Groups {
    unit: usize,
    /// n: rows and columns of the grid.
    side: usize,
    box_rows: usize,
    box_cols: usize,
    /// S: cells of a field.
    cells: usize,
    count: usize,
    members: usize,
}

impl Groups {
    fn of(d: &Dims, unit: usize) -> Self {
        let [box_rows, box_cols] = d.box_shape;
        let side = d.tokens.isqrt();
        let members = match unit {
            0..=2 => side,
            3 => box_cols,
            4 => box_rows,
            _ => d.symbols,
        };
        Self {
            unit,
            side,
            box_rows,
            box_cols,
            cells: d.tokens,
            count: d.positions / members.max(1),
            members,
        }
    }

    /// Returns the position of a member of a group. The groups of a field follow each other.
    fn position(&self, group: usize, member: usize) -> usize {
        let in_field = self.cells / self.members.max(1);
        if self.unit >= 5 {
            return member * self.cells + group;
        }
        let (field, group) = (group / in_field, group % in_field);
        let (rows, cols) = (self.box_rows, self.box_cols);
        let (row, col) = match self.unit {
            0 => (group, member),
            1 => (member, group),
            2 => {
                let across = self.side / cols;
                (
                    group / across * rows + member / cols,
                    group % across * cols + member % cols,
                )
            }
            3 => {
                let across = self.side / cols;
                (group / across, group % across * cols + member)
            }
            _ => (group / self.side * rows + member, group % self.side),
        };
        field * self.cells + row * self.side + col
    }
}
