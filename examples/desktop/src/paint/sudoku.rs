//! A Sudoku: clues on a shaded ground, the model's digits as opaque as it is sure of them.

use egui::{Painter, Rect, Stroke};

use super::{Painted, View, cursor, glow, heat, write, wrong};

pub(super) fn draw(painter: &Painter, room: Rect, view: &View<'_>, boxes: [usize; 2]) -> Painted {
    let (palette, side) = (view.palette, view.board.cols());
    let grid = Painted::fit(room, side, side);
    painter.rect_filled(grid.rect().expand(3.0), 5.0, palette.thick);
    painter.rect_filled(grid.rect(), 2.0, palette.paper);
    for i in grid.cells() {
        let rect = grid.cell(i);
        match view.heat(i) {
            Some(value) => heat(painter, rect, value, palette),
            None if view.board.is_given(i) => {
                painter.rect_filled(rect, 0.0, palette.given);
            }
            None => {}
        }
    }
    for i in view.conflicts() {
        wrong(painter, grid.cell(i), palette);
    }
    lines(painter, &grid, view, boxes);
    for i in grid.cells() {
        if view.changed(i) && !view.board.is_given(i) {
            glow(painter, grid.cell(i), view.blend, palette);
        }
    }
    for i in grid.cells() {
        digit(painter, grid.cell(i), view, i);
    }
    if let Some(i) = view.cursor.filter(|i| grid.cells().contains(i)) {
        cursor(painter, grid.cell(i), palette);
    }
    grid
}

fn lines(painter: &Painter, grid: &Painted, view: &View<'_>, [rows, cols]: [usize; 2]) {
    let (rect, side) = (grid.rect(), grid.side);
    let stroke = |thick: bool| {
        let (width, colour) = if thick {
            (2.0, view.palette.thick)
        } else {
            (1.0, view.palette.thin)
        };
        Stroke::new(width, colour)
    };
    // The thick lines last, on top.
    for thick in [false, true] {
        for line in 1..grid.cols {
            let at = line as f32 * side;
            if line.is_multiple_of(cols.max(1)) == thick {
                painter.vline(rect.left() + at, rect.y_range(), stroke(thick));
            }
            if line.is_multiple_of(rows.max(1)) == thick {
                painter.hline(rect.x_range(), rect.top() + at, stroke(thick));
            }
        }
    }
}

fn digit(painter: &Painter, rect: Rect, view: &View<'_>, i: usize) {
    let given = view.board.cell(i);
    let answer = view
        .answer(i)
        .filter(|&digit| digit > 0 && usize::from(digit) <= view.board.cols());
    match (given, answer) {
        // A clue that the answer leaves alone, or the puzzle itself.
        (1.., None) => clue(painter, rect, given, view),
        (1.., Some(digit)) if digit == given => clue(painter, rect, given, view),
        (1.., Some(digit)) => {
            clue(
                painter,
                rect.with_max_x(rect.center().x).shrink(rect.width() * 0.04),
                given,
                view,
            );
            let right = rect.with_min_x(rect.center().x);
            write(painter, right, digit, 0.45, view.palette.wrong);
        }
        (0, Some(digit)) => {
            let colour = view.accent.gamma_multiply(view.strength(i));
            write(painter, rect, digit, 0.62, colour);
        }
        (0, None) => {}
    }
}

/// Twice, half a point apart: the font has no bold.
fn clue(painter: &Painter, rect: Rect, digit: u8, view: &View<'_>) {
    let share = if rect.width() < rect.height() * 0.8 {
        0.45
    } else {
        0.62
    };
    for shift in [-0.35, 0.35] {
        write(
            painter,
            rect.translate(egui::vec2(shift, 0.0)),
            digit,
            share,
            view.palette.ink,
        );
    }
}
