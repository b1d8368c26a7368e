//! ARC: the pairs that a task shows in a row, below them the grid to answer and the answer. Each colour has its number in the cell.

use egui::{Align2, Color32, FontId, Painter, Rect, Stroke, StrokeKind, pos2, vec2};

use super::{Painted, View, cursor, glow, heat, write, wrong};
use crate::board::Grid;
use crate::palette::{ARC, Palette, on};

pub(super) fn draw(painter: &Painter, room: Rect, view: &View<'_>) -> Painted {
    let pairs: Vec<(Grid, Grid)> = view
        .board
        .demonstrations()
        .iter()
        .filter_map(|(input, output)| Some((Grid::of_rows(input)?, Grid::of_rows(output)?)))
        .take(4)
        .collect();
    let (shown, below) = if pairs.is_empty() {
        (Rect::NOTHING, room)
    } else {
        room.split_top_bottom_at_fraction(0.36)
    };
    let width = shown.width() / pairs.len().max(1) as f32;
    for (n, (input, output)) in pairs.iter().enumerate() {
        let left = shown.left() + n as f32 * width;
        let rect = Rect::from_min_size(pos2(left, shown.top()), vec2(width, shown.height())).shrink(6.0);
        pair(painter, rect, input, output, view.palette);
    }
    let Some(frame) = view.frame else {
        return test(painter, titled(painter, below, "to answer", view.palette), view);
    };
    let (left, right) = below.split_left_right_at_fraction(0.5);
    let grid = test(
        painter,
        titled(
            painter,
            left.with_max_x(left.right() - 14.0),
            "to answer",
            view.palette,
        ),
        view,
    );
    arrow(painter, below, view.palette);
    let right = titled(
        painter,
        right.with_min_x(right.left() + 14.0),
        "answer",
        view.palette,
    );
    answer(painter, right, &frame.answer, view);
    grid
}

/// Room below a title.
fn titled(painter: &Painter, room: Rect, text: &str, palette: &Palette) -> Rect {
    let at = pos2(room.center().x, room.top() + 2.0);
    painter.text(
        at,
        Align2::CENTER_TOP,
        text,
        FontId::proportional(12.5),
        palette.faint,
    );
    room.with_min_y(room.top() + 20.0)
}

fn pair(painter: &Painter, room: Rect, input: &Grid, output: &Grid, palette: &Palette) {
    let (left, right) = room.split_left_right_at_fraction(0.5);
    for (grid, room) in [(input, left), (output, right)] {
        let at = Painted::fit(room.shrink2(vec2(8.0, 0.0)), grid.rows, grid.cols);
        for i in at.cells() {
            tile(
                painter,
                at.cell(i),
                grid.cells.get(i).copied().unwrap_or_default(),
                1.0,
                palette,
            );
        }
        frame(painter, &at, palette);
    }
    arrow(painter, room, palette);
}

fn arrow(painter: &Painter, room: Rect, palette: &Palette) {
    let from = room.center() - vec2(7.0, 0.0);
    painter.arrow(from, vec2(14.0, 0.0), Stroke::new(1.5, palette.faint));
}

fn test(painter: &Painter, room: Rect, view: &View<'_>) -> Painted {
    let at = Painted::fit(room, view.board.rows(), view.board.cols());
    for i in at.cells() {
        tile(painter, at.cell(i), view.board.cell(i), 1.0, view.palette);
    }
    frame(painter, &at, view.palette);
    if let Some(i) = view.cursor.filter(|i| at.cells().contains(i)) {
        cursor(painter, at.cell(i), view.palette);
    }
    at
}

fn answer(painter: &Painter, room: Rect, grid: &Grid, view: &View<'_>) {
    if grid.cells.is_empty() {
        let font = FontId::proportional(14.0);
        painter.text(
            room.center(),
            Align2::CENTER_CENTER,
            "no grid",
            font,
            view.palette.faint,
        );
        return;
    }
    let at = Painted::fit(room, grid.rows, grid.cols);
    for i in at.cells() {
        match view.heat(i) {
            Some(value) => {
                heat(painter, at.cell(i), value, view.palette);
                let inner = at.cell(i).shrink(at.side * 0.24);
                tile(
                    painter,
                    inner,
                    grid.cells.get(i).copied().unwrap_or_default(),
                    view.strength(i),
                    view.palette,
                );
            }
            None => tile(
                painter,
                at.cell(i),
                grid.cells.get(i).copied().unwrap_or_default(),
                view.strength(i),
                view.palette,
            ),
        }
    }
    frame(painter, &at, view.palette);
    for i in view.conflicts().into_iter().filter(|i| at.cells().contains(i)) {
        wrong(painter, at.cell(i), view.palette);
    }
    for i in at.cells().filter(|&i| view.changed(i)) {
        glow(painter, at.cell(i), view.blend, view.palette);
    }
}

/// A colour, and its number where there is room for it.
fn tile(painter: &Painter, rect: Rect, colour: u8, strength: f32, palette: &Palette) {
    let Some(ground) = ARC.get(usize::from(colour)).copied() else {
        write(painter, rect, "?", 0.6, palette.wrong);
        return;
    };
    painter.rect_filled(rect, 0.0, palette.paper);
    painter.rect_filled(rect, 0.0, ground.gamma_multiply(strength));
    if rect.width() >= 11.0 {
        let ink: Color32 = if strength > 0.5 { on(ground) } else { palette.ink };
        write(painter, rect, colour, 0.45, ink.gamma_multiply(0.8));
    }
}

fn frame(painter: &Painter, grid: &Painted, palette: &Palette) {
    let rect = grid.rect();
    if grid.side >= 8.0 {
        let stroke = Stroke::new(1.0, palette.thin);
        for line in 1..grid.cols {
            painter.vline(rect.left() + line as f32 * grid.side, rect.y_range(), stroke);
        }
        for line in 1..grid.rows {
            painter.hline(rect.x_range(), rect.top() + line as f32 * grid.side, stroke);
        }
    }
    painter.rect_stroke(rect, 1.0, Stroke::new(1.5, palette.thick), StrokeKind::Outside);
}
