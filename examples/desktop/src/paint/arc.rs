//! ARC tasks: the example pairs in a row, and below them the test input and the answer.

use egui::{Align2, FontId, Painter, Rect, Stroke, StrokeKind, pos2, vec2};

use super::{BoardView, GridLayout, draw_cursor, draw_error, draw_heat, draw_highlight, draw_text};
use crate::board::Grid;
use crate::palette::{ARC, Palette, text_on};

/// The maximum number of example pairs to draw.
const MAX_PAIRS: usize = 4;

pub(super) fn draw(painter: &Painter, area: Rect, view: &BoardView<'_>) -> GridLayout {
    let pairs: Vec<(Grid, Grid)> = view
        .board
        .demonstrations()
        .iter()
        .filter_map(|(input, output)| Some((Grid::from_rows(input)?, Grid::from_rows(output)?)))
        .take(MAX_PAIRS)
        .collect();
    let (pairs_area, test_area) = match pairs.is_empty() {
        true => (Rect::NOTHING, area),
        false => area.split_top_bottom_at_fraction(0.36),
    };
    let size = vec2(
        pairs_area.width() / pairs.len().max(1) as f32,
        pairs_area.height(),
    );
    for (n, (input, output)) in pairs.iter().enumerate() {
        let left_top = pos2(pairs_area.left() + n as f32 * size.x, pairs_area.top());
        let rect = Rect::from_min_size(left_top, size).shrink(6.0);
        draw_pair(painter, rect, input, output, view.palette);
    }
    let Some(step) = view.step else {
        let area = draw_title(painter, test_area, "to answer", view.palette);
        return draw_test(painter, area, view);
    };
    let (left, right) = test_area.split_left_right_at_fraction(0.5);
    let left = left.with_max_x(left.right() - 14.0);
    let layout = draw_test(
        painter,
        draw_title(painter, left, "to answer", view.palette),
        view,
    );
    draw_arrow(painter, test_area, view.palette);
    let right = right.with_min_x(right.left() + 14.0);
    let right = draw_title(painter, right, "answer", view.palette);
    draw_answer(painter, right, &step.answer, view);
    layout
}

/// Draws a title and returns the area below it.
fn draw_title(painter: &Painter, area: Rect, text: &str, palette: &Palette) -> Rect {
    let at = pos2(area.center().x, area.top() + 2.0);
    let font = FontId::proportional(12.5);
    painter.text(at, Align2::CENTER_TOP, text, font, palette.muted_text);
    area.with_min_y(area.top() + 20.0)
}

fn draw_pair(painter: &Painter, area: Rect, input: &Grid, output: &Grid, palette: &Palette) {
    let (left, right) = area.split_left_right_at_fraction(0.5);
    for (grid, area) in [(input, left), (output, right)] {
        let layout = GridLayout::fit(area.shrink2(vec2(8.0, 0.0)), grid.rows, grid.cols);
        for i in layout.cells() {
            draw_tile(painter, layout.cell(i), grid.cell(i), 1.0, palette);
        }
        draw_grid_lines(painter, &layout, palette);
    }
    draw_arrow(painter, area, palette);
}

fn draw_arrow(painter: &Painter, area: Rect, palette: &Palette) {
    let from = area.center() - vec2(7.0, 0.0);
    painter.arrow(from, vec2(14.0, 0.0), Stroke::new(1.5, palette.muted_text));
}

fn draw_test(painter: &Painter, area: Rect, view: &BoardView<'_>) -> GridLayout {
    let layout = GridLayout::fit(area, view.board.rows(), view.board.cols());
    for i in layout.cells() {
        draw_tile(
            painter,
            layout.cell(i),
            view.board.cell(i),
            1.0,
            view.palette,
        );
    }
    draw_grid_lines(painter, &layout, view.palette);
    draw_cursor(painter, &layout, view);
    layout
}

fn draw_answer(painter: &Painter, area: Rect, grid: &Grid, view: &BoardView<'_>) {
    let palette = view.palette;
    if grid.cells.is_empty() {
        let font = FontId::proportional(14.0);
        let center = Align2::CENTER_CENTER;
        painter.text(area.center(), center, "no grid", font, palette.muted_text);
        return;
    }
    let layout = GridLayout::fit(area, grid.rows, grid.cols);
    for i in layout.cells() {
        let mut rect = layout.cell(i);
        if let Some(value) = view.heat(i) {
            draw_heat(painter, rect, value, palette);
            rect = rect.shrink(layout.side * 0.24);
        }
        draw_tile(painter, rect, grid.cell(i), view.opacity(i), palette);
    }
    draw_grid_lines(painter, &layout, palette);
    for i in view
        .conflicts()
        .into_iter()
        .filter(|i| layout.cells().contains(i))
    {
        draw_error(painter, layout.cell(i), palette);
    }
    for i in layout.cells().filter(|&i| view.is_changed(i)) {
        draw_highlight(painter, layout.cell(i), view.blend, palette);
    }
}

/// Draws a colour, and its number if the cell is large enough.
fn draw_tile(painter: &Painter, rect: Rect, color: u8, opacity: f32, palette: &Palette) {
    let Some(background) = ARC.get(usize::from(color)).copied() else {
        draw_text(painter, rect, "?", 0.6, palette.error);
        return;
    };
    painter.rect_filled(rect, 0.0, palette.background);
    painter.rect_filled(rect, 0.0, background.gamma_multiply(opacity));
    if rect.width() >= 11.0 {
        let color_of_number = if opacity > 0.5 {
            text_on(background)
        } else {
            palette.text
        };
        draw_text(
            painter,
            rect,
            color,
            0.45,
            color_of_number.gamma_multiply(0.8),
        );
    }
}

fn draw_grid_lines(painter: &Painter, layout: &GridLayout, palette: &Palette) {
    let rect = layout.rect();
    if layout.side >= 8.0 {
        let stroke = Stroke::new(1.0, palette.thin_line);
        for line in 1..layout.cols {
            painter.vline(
                rect.left() + line as f32 * layout.side,
                rect.y_range(),
                stroke,
            );
        }
        for line in 1..layout.rows {
            painter.hline(
                rect.x_range(),
                rect.top() + line as f32 * layout.side,
                stroke,
            );
        }
    }
    painter.rect_stroke(
        rect,
        1.0,
        Stroke::new(1.5, palette.thick_line),
        StrokeKind::Outside,
    );
}
