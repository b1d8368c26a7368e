//! Mazes: walls, and the path of the answer as a line of dots, with its gap.

use egui::{Painter, Rect, Shape, Stroke, vec2};

use super::{
    BoardView, GridLayout, draw_cross, draw_cursor, draw_error, draw_heat, draw_highlight,
    draw_text,
};
use crate::board::{FREE, GOAL, PATH, START, WALL};
use crate::palette::{GREEN, ORANGE, Palette, text_on};

pub(super) fn draw(painter: &Painter, area: Rect, view: &BoardView<'_>) -> GridLayout {
    let (palette, side) = (view.palette, view.board.cols());
    let layout = GridLayout::fit(area, side, side);
    painter.rect_filled(layout.rect().expand(3.0), 5.0, palette.thick_line);
    painter.rect_filled(layout.rect(), 0.0, palette.background);
    for i in layout.cells() {
        let rect = layout.cell(i);
        if let Some(value) = view.heat(i) {
            draw_heat(painter, rect, value, palette);
        }
        if view.board.cell(i) == WALL {
            draw_wall(painter, rect, view);
        }
    }
    draw_lines(painter, &layout, palette);
    if view.step.is_some() {
        draw_path(painter, &layout, view);
    }
    for i in layout.cells() {
        match view.board.cell(i) {
            START => draw_end(painter, layout.cell(i), End::Start),
            GOAL => draw_end(painter, layout.cell(i), End::Goal),
            _ => {}
        }
    }
    for i in view.conflicts() {
        draw_error(painter, layout.cell(i), palette);
        draw_wrong_value(painter, layout.cell(i), view, i);
    }
    for i in layout.cells() {
        if view.is_changed(i) && view.answer(i) != Some(view.board.cell(i)) {
            draw_highlight(painter, layout.cell(i), view.blend, palette);
        }
    }
    draw_cursor(painter, &layout, view);
    layout
}

/// Draws a wall. With heat, it is smaller, so that the heat is visible around it.
fn draw_wall(painter: &Painter, rect: Rect, view: &BoardView<'_>) {
    let color = view.palette.wall;
    if view.max_state_change.is_some() && view.step.is_some() {
        let inset = rect.width() * 0.22;
        painter.rect_filled(
            rect.shrink(inset),
            rect.width() * 0.1,
            color.gamma_multiply(0.8),
        );
    } else {
        painter.rect_filled(rect.expand(0.25), 0.0, color);
    }
}

/// An end of a maze.
#[derive(Debug, Clone, Copy)]
enum End {
    Start,
    Goal,
}

/// Draws the start as a circle or the goal as a diamond.
fn draw_end(painter: &Painter, rect: Rect, end: End) {
    let radius = rect.width() * 0.4;
    let (letter, color) = match end {
        End::Start => ("S", GREEN),
        End::Goal => ("G", ORANGE),
    };
    match end {
        End::Start => {
            painter.circle_filled(rect.center(), radius, color);
        }
        End::Goal => {
            let reach = radius * 1.15;
            let points = [(0.0, -reach), (reach, 0.0), (0.0, reach), (-reach, 0.0)];
            let points = points.map(|(x, y)| rect.center() + vec2(x, y));
            painter.add(Shape::convex_polygon(points.to_vec(), color, Stroke::NONE));
        }
    }
    draw_text(painter, rect, letter, 0.5, text_on(color));
}

fn draw_lines(painter: &Painter, layout: &GridLayout, palette: &Palette) {
    if layout.side < 9.0 {
        return;
    }
    let (rect, stroke) = (
        layout.rect(),
        Stroke::new(1.0, palette.thin_line.gamma_multiply(0.7)),
    );
    for line in 1..layout.cols {
        let at = line as f32 * layout.side;
        painter.vline(rect.left() + at, rect.y_range(), stroke);
        painter.hline(rect.x_range(), rect.top() + at, stroke);
    }
}

fn draw_path(painter: &Painter, layout: &GridLayout, view: &BoardView<'_>) {
    let Some(step) = view.step else { return };
    let path = view.board.path(&step.answer.cells);
    let (side, accent) = (layout.side, view.accent);
    for part in [&path.from_start, &path.to_goal] {
        for pair in part.windows(2) {
            let [a, b] = [pair[0], pair[1]];
            let alpha = path_opacity(view, a).min(path_opacity(view, b));
            let stroke = Stroke::new(side * 0.16, accent.gamma_multiply(0.55 * alpha));
            painter.line_segment([layout.cell(a).center(), layout.cell(b).center()], stroke);
        }
    }
    for i in layout.cells().filter(|&i| view.answer(i) == Some(PATH)) {
        let color = accent.gamma_multiply(view.opacity(i));
        let center = layout.cell(i).center();
        if path.detached.contains(&i) {
            // Detached path cells are hollow.
            painter.circle_stroke(center, side * 0.2, Stroke::new(side * 0.07, color));
        } else {
            painter.circle_filled(center, side * 0.22, color);
        }
    }
    if let Some([a, b]) = path.gap {
        let (a, b) = (layout.cell(a).center(), layout.cell(b).center());
        let stroke = Stroke::new((side * 0.08).max(1.5), view.palette.error);
        painter.extend(Shape::dashed_line(
            &[a, b],
            stroke,
            side * 0.14,
            side * 0.12,
        ));
        let size = (side * 0.16).clamp(4.0, 12.0);
        draw_cross(painter, a + (b - a) / 2.0, size, view.palette.error);
    }
}

/// Returns the opacity of a path cell. The start and the goal are opaque.
fn path_opacity(view: &BoardView<'_>, i: usize) -> f32 {
    if matches!(view.board.cell(i), START | GOAL) {
        1.0
    } else {
        view.opacity(i)
    }
}

/// Draws the value of an answer in a cell where it breaks a rule.
fn draw_wrong_value(painter: &Painter, rect: Rect, view: &BoardView<'_>, i: usize) {
    let is_wrong = |&value: &u8| value != view.board.cell(i) && value != PATH;
    let Some(value) = view.answer(i).filter(is_wrong) else {
        return;
    };
    let text = match value {
        WALL => "#".to_string(),
        FREE => "_".to_string(),
        value => char::from(value).to_string(),
    };
    draw_text(painter, rect, text, 0.5, view.palette.error);
}

/// Draws a piece of a path for the legend.
pub(super) fn draw_sample_path(painter: &Painter, rect: Rect, palette: &Palette) {
    let color = palette.answer.gamma_multiply(0.7);
    let stroke = Stroke::new(3.0, color.gamma_multiply(0.6));
    painter.hline(rect.x_range(), rect.center().y, stroke);
    painter.circle_filled(rect.center(), rect.width() * 0.25, color);
}
