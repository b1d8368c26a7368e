//! A maze: the way as a line of dots, broken where it is broken.

use egui::{Color32, Painter, Rect, Shape, Stroke, vec2};

use super::{Painted, View, cross, cursor, glow, heat, write, wrong};
use crate::board::{FREE, GOAL, PATH, START, WALL};
use crate::palette::{GREEN, ORANGE, Palette, on};

pub(super) fn draw(painter: &Painter, room: Rect, view: &View<'_>) -> Painted {
    let (palette, side) = (view.palette, view.board.cols());
    let grid = Painted::fit(room, side, side);
    painter.rect_filled(grid.rect().expand(3.0), 5.0, palette.thick);
    painter.rect_filled(grid.rect(), 0.0, palette.paper);
    for i in grid.cells() {
        let rect = grid.cell(i);
        if let Some(value) = view.heat(i) {
            heat(painter, rect, value, palette);
        }
        if view.board.cell(i) == WALL {
            block(painter, rect, view);
        }
    }
    lines(painter, &grid, palette);
    if view.frame.is_some() {
        way(painter, &grid, view);
    }
    for i in grid.cells() {
        match view.board.cell(i) {
            START => end(painter, grid.cell(i), "S", GREEN, true),
            GOAL => end(painter, grid.cell(i), "G", ORANGE, false),
            _ => {}
        }
    }
    for i in view.conflicts() {
        wrong(painter, grid.cell(i), palette);
        other(painter, grid.cell(i), view, i);
    }
    for i in grid.cells() {
        if view.changed(i) && view.answer(i) != Some(view.board.cell(i)) {
            glow(painter, grid.cell(i), view.blend, palette);
        }
    }
    if let Some(i) = view.cursor.filter(|i| grid.cells().contains(i)) {
        cursor(painter, grid.cell(i), palette);
    }
    grid
}

/// A wall; with heat on, what it is stays to be seen as a frame.
fn block(painter: &Painter, rect: Rect, view: &View<'_>) {
    let colour = view.palette.wall;
    if view.hottest.is_some() && view.frame.is_some() {
        let inset = rect.width() * 0.22;
        painter.rect_filled(rect.shrink(inset), rect.width() * 0.1, colour.gamma_multiply(0.8));
    } else {
        painter.rect_filled(rect.expand(0.25), 0.0, colour);
    }
}

/// The start is round, the goal is a diamond.
fn end(painter: &Painter, rect: Rect, letter: &str, colour: Color32, round: bool) {
    let radius = rect.width() * 0.4;
    if round {
        painter.circle_filled(rect.center(), radius, colour);
    } else {
        let reach = radius * 1.15;
        let points = [
            vec2(0.0, -reach),
            vec2(reach, 0.0),
            vec2(0.0, reach),
            vec2(-reach, 0.0),
        ];
        let points = points.into_iter().map(|d| rect.center() + d).collect();
        painter.add(Shape::convex_polygon(points, colour, Stroke::NONE));
    }
    write(painter, rect, letter, 0.5, on(colour));
}

fn lines(painter: &Painter, grid: &Painted, palette: &Palette) {
    if grid.side < 9.0 {
        return;
    }
    let (rect, stroke) = (grid.rect(), Stroke::new(1.0, palette.thin.gamma_multiply(0.7)));
    for line in 1..grid.cols {
        let at = line as f32 * grid.side;
        painter.vline(rect.left() + at, rect.y_range(), stroke);
        painter.hline(rect.x_range(), rect.top() + at, stroke);
    }
}

fn way(painter: &Painter, grid: &Painted, view: &View<'_>) {
    let Some(frame) = view.frame else { return };
    let path = view.board.path(&frame.answer.cells);
    let (side, accent) = (grid.side, view.accent);
    for way in [&path.walk, &path.rest] {
        for pair in way.windows(2) {
            let [a, b] = [pair[0], pair[1]];
            let alpha = ends_are_sure(view, a).min(ends_are_sure(view, b));
            let stroke = Stroke::new(side * 0.16, accent.gamma_multiply(0.55 * alpha));
            painter.line_segment([grid.cell(a).center(), grid.cell(b).center()], stroke);
        }
    }
    for i in grid.cells().filter(|&i| frame.answer.cells.get(i) == Some(&PATH)) {
        let colour = accent.gamma_multiply(view.strength(i));
        let center = grid.cell(i).center();
        if path.loose.contains(&i) {
            // On no way between the ends: hollow.
            painter.circle_stroke(center, side * 0.2, Stroke::new(side * 0.07, colour));
        } else {
            painter.circle_filled(center, side * 0.22, colour);
        }
    }
    if let Some([a, b]) = path.gap {
        let (a, b) = (grid.cell(a).center(), grid.cell(b).center());
        let stroke = Stroke::new((side * 0.08).max(1.5), view.palette.wrong);
        painter.extend(Shape::dashed_line(&[a, b], stroke, side * 0.14, side * 0.12));
        cross(
            painter,
            a + (b - a) / 2.0,
            (side * 0.16).clamp(4.0, 12.0),
            view.palette.wrong,
        );
    }
}

/// The ends of a maze are there whether the model is sure of them or not.
fn ends_are_sure(view: &View<'_>, i: usize) -> f32 {
    if matches!(view.board.cell(i), START | GOAL) {
        1.0
    } else {
        view.strength(i)
    }
}

/// What an answer has in a cell where it must not.
fn other(painter: &Painter, rect: Rect, view: &View<'_>, i: usize) {
    let Some(value) = view
        .answer(i)
        .filter(|&value| value != view.board.cell(i) && value != PATH)
    else {
        return;
    };
    let text = match value {
        WALL => "#".to_string(),
        FREE => "_".to_string(),
        value => char::from(value).to_string(),
    };
    write(painter, rect, text, 0.5, view.palette.wrong);
}

/// For the legend.
pub(super) fn sign(painter: &Painter, rect: Rect, palette: &Palette) {
    let colour = palette.answer.gamma_multiply(0.7);
    painter.hline(
        rect.x_range(),
        rect.center().y,
        Stroke::new(3.0, colour.gamma_multiply(0.6)),
    );
    painter.circle_filled(rect.center(), rect.width() * 0.25, colour);
}
