//! Sudokus: clues on a shaded background, and the digits of the answer.

use egui::{Painter, Rect, Stroke};

use super::{BoardView, GridLayout, draw_cursor, draw_error, draw_heat, draw_highlight, draw_text};

pub(super) fn draw(
    painter: &Painter,
    area: Rect,
    view: &BoardView<'_>,
    boxes: [usize; 2],
) -> GridLayout {
    let (palette, side) = (view.palette, view.board.cols());
    let layout = GridLayout::fit(area, side, side);
    painter.rect_filled(layout.rect().expand(3.0), 5.0, palette.thick_line);
    painter.rect_filled(layout.rect(), 2.0, palette.background);
    for i in layout.cells() {
        let rect = layout.cell(i);
        match view.heat(i) {
            Some(value) => draw_heat(painter, rect, value, palette),
            None if view.board.is_given(i) => {
                painter.rect_filled(rect, 0.0, palette.given);
            }
            None => {}
        }
    }
    for i in view.conflicts() {
        draw_error(painter, layout.cell(i), palette);
    }
    draw_lines(painter, &layout, view, boxes);
    for i in layout.cells() {
        if view.is_changed(i) && !view.board.is_given(i) {
            draw_highlight(painter, layout.cell(i), view.blend, palette);
        }
    }
    for i in layout.cells() {
        draw_digit(painter, layout.cell(i), view, i);
    }
    draw_cursor(painter, &layout, view);
    layout
}

fn draw_lines(painter: &Painter, layout: &GridLayout, view: &BoardView<'_>, boxes: [usize; 2]) {
    let (rect, palette) = (layout.rect(), view.palette);
    let [box_rows, box_cols] = boxes.map(|side| side.max(1));
    let thin = Stroke::new(1.0, palette.thin_line);
    let thick = Stroke::new(2.0, palette.thick_line);
    // The lines between boxes come last, so that they are on top.
    for (between_boxes, stroke) in [(false, thin), (true, thick)] {
        for line in 1..layout.cols {
            let offset = line as f32 * layout.side;
            if line.is_multiple_of(box_cols) == between_boxes {
                painter.vline(rect.left() + offset, rect.y_range(), stroke);
            }
            if line.is_multiple_of(box_rows) == between_boxes {
                painter.hline(rect.x_range(), rect.top() + offset, stroke);
            }
        }
    }
}

/// Draws the digit of a cell. If the answer changed a clue, draws both.
fn draw_digit(painter: &Painter, rect: Rect, view: &BoardView<'_>, i: usize) {
    let given = view.board.cell(i);
    let is_digit = |digit: &u8| (1..=view.board.cols()).contains(&usize::from(*digit));
    let answer = view.answer(i).filter(is_digit);
    match (given, answer) {
        (1.., None) => draw_clue(painter, rect, given, view),
        (1.., Some(digit)) if digit == given => draw_clue(painter, rect, given, view),
        (1.., Some(digit)) => {
            let left = rect.with_max_x(rect.center().x).shrink(rect.width() * 0.04);
            draw_clue(painter, left, given, view);
            let right = rect.with_min_x(rect.center().x);
            draw_text(painter, right, digit, 0.45, view.palette.error);
        }
        (0, Some(digit)) => {
            let color = view.accent.gamma_multiply(view.opacity(i));
            draw_text(painter, rect, digit, 0.62, color);
        }
        (0, None) => {}
    }
}

/// Draws a clue twice, slightly shifted, because the font has no bold.
fn draw_clue(painter: &Painter, rect: Rect, digit: u8, view: &BoardView<'_>) {
    let is_narrow = rect.width() < rect.height() * 0.8;
    let share = if is_narrow { 0.45 } else { 0.62 };
    for shift in [-0.35, 0.35] {
        let rect = rect.translate(egui::vec2(shift, 0.0));
        draw_text(painter, rect, digit, share, view.palette.text);
    }
}
