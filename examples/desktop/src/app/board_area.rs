//! The boards in the middle: one, or two side by side.

use egui::{
    Align, Align2, CentralPanel, FontId, Frame, Layout, Rect, RichText, Sense, Ui, UiBuilder, pos2,
    vec2,
};

use super::App;
use crate::board::Kind;
use crate::paint::{self, BoardView};
use crate::palette::Palette;
use crate::runner_view::{Caption, Tone};

/// The duration of the fade from one step to the next.
const FADE_SECONDS: f64 = 0.3;
/// The height of the heading above a board, in points.
const HEADING_HEIGHT: f32 = 30.0;
/// The height of the caption below a board, in points.
const CAPTION_HEIGHT: f32 = 30.0;
/// The height of the legend below the captions, in points.
const LEGEND_HEIGHT: f32 = 24.0;
/// The gap between two boards, in points.
const BOARD_GAP: f32 = 16.0;

/// Shows all boards, in the area that the panels leave.
pub(super) fn show(app: &mut App, ui: &mut Ui) {
    let fill = ui.visuals().panel_fill;
    let frame = Frame::NONE.fill(fill).inner_margin(12.0);
    CentralPanel::no_frame().frame(frame).show(ui, |ui| {
        show_note(app, ui);
        let area = ui.available_rect_before_wrap();
        let count = app.runners.len();
        let width = (area.width() - BOARD_GAP * (count - 1) as f32) / count as f32;
        let height = area.height() - LEGEND_HEIGHT;
        for index in 0..count {
            let left = area.left() + index as f32 * (width + BOARD_GAP);
            let rect = Rect::from_min_size(pos2(left, area.top()), vec2(width, height));
            let builder = UiBuilder::new().max_rect(rect).id_salt(("runner", index));
            show_runner(app, &mut ui.new_child(builder), index, rect);
        }
        let legend = Rect::from_min_max(pos2(area.left(), area.bottom() - LEGEND_HEIGHT), area.max);
        paint::draw_legend(ui, legend, app.board().kind(), app.settings.heat);
    });
}

/// Shows the message of the app, if there is one.
fn show_note(app: &mut App, ui: &mut Ui) {
    let Some(note) = app.note.clone() else { return };
    Frame::group(ui.style())
        .fill(ui.visuals().faint_bg_color)
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui.small_button("close").clicked() {
                        app.note = None;
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| ui.label(note));
                });
            });
        });
}

fn show_runner(app: &mut App, ui: &mut Ui, index: usize, rect: Rect) {
    let palette = Palette::of(ui.visuals());
    let top = Rect::from_min_size(rect.min, vec2(rect.width(), HEADING_HEIGHT));
    show_heading(app, ui, index, top, &palette);
    let bottom = Rect::from_min_max(pos2(rect.left(), rect.bottom() - CAPTION_HEIGHT), rect.max);
    let middle = Rect::from_min_max(
        pos2(rect.left(), top.bottom()),
        pos2(rect.right(), bottom.top()),
    );

    let now = ui.input(|i| i.time);
    let age = (now - app.fade.start) / FADE_SECONDS;
    let blend = if age < 1.0 { age.max(0.0) as f32 } else { 1.0 };
    if blend < 1.0 {
        ui.ctx().request_repaint();
    }
    let Some(runner) = app.runners.get(index) else {
        return;
    };
    let history = &runner.history;
    // A runner that has stopped earlier than the other keeps its last step.
    let step = |step: usize| history.step(step.min(history.len()));
    let view = BoardView {
        board: app.board(),
        step: step(app.shown_step),
        previous_step: step(app.fade.from_step),
        blend,
        max_state_change: app.settings.heat.then(|| history.max_state_change()),
        cursor: (app.shown_step == 0 || app.runners.len() == 1).then_some(app.cursor),
        palette: &palette,
        accent: if index == 0 {
            palette.answer
        } else {
            palette.second_answer
        },
    };
    let sense = Sense::click_and_drag();
    let id = ui.scope_id().with(("board", index));
    let response = ui.interact(middle, id, sense);
    // The arrow keys move the cursor of the board, not the focus to the next widget.
    let arrows = egui::EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        ..Default::default()
    };
    ui.memory_mut(|m| m.set_focus_lock_filter(id, arrows));
    let layout = paint::draw_board(&ui.painter_at(middle.expand(8.0)), middle, &view);
    describe(app, &response, index);
    let mut caption = runner.caption(app.shown_step.min(history.len()));
    if caption.text.is_empty() {
        caption = puzzle_caption(app);
    }
    show_caption(ui, bottom, caption, &palette);
    app.board_ids.push(id);
    handle_pointer(app, &response, &layout);
}

/// Shows the heading above a board. It names the puzzle or, in a comparison, model and device.
fn show_heading(app: &App, ui: &Ui, index: usize, rect: Rect, palette: &Palette) {
    let Some(runner) = app.runners.get(index) else {
        return;
    };
    let kind = app.board().kind();
    let title = match app.runners.len() {
        1 => {
            let name = app.board().name().map(|name| format!(" · {name}"));
            format!(
                "{}{}",
                kind.name().replace(" x ", " × "),
                name.unwrap_or_default()
            )
        }
        _ => format!("{} on {}", runner.model.label(kind), runner.device),
    };
    let color = match (app.runners.len(), index) {
        (1, _) => palette.text,
        (_, 0) => palette.answer,
        _ => palette.second_answer,
    };
    let painter = ui.painter_at(rect);
    let font = FontId::proportional(18.0);
    let drawn = painter.text(rect.left_center(), Align2::LEFT_CENTER, title, font, color);
    let step = runner
        .history
        .step(runner.history.len().min(app.shown_step));
    if let Some(step) = step {
        let ms = step.duration.as_secs_f64() * 1e3;
        let text = format!("{ms:.1} ms");
        let at = pos2(rect.right(), rect.center().y);
        if drawn.right() + 80.0 < at.x {
            painter.text(
                at,
                Align2::RIGHT_CENTER,
                text,
                FontId::proportional(14.0),
                palette.muted_text,
            );
        }
    }
}

/// Returns the caption before the run starts.
fn puzzle_caption(app: &App) -> Caption {
    match app.board().check() {
        Err(reason) => Caption::new(reason, Tone::Bad),
        Ok(()) => Caption::new("press Think (or the space bar)", Tone::Neutral),
    }
}

fn show_caption(ui: &mut Ui, rect: Rect, caption: Caption, palette: &Palette) {
    let layout = Layout::left_to_right(Align::Center);
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect).layout(layout));
    let color = match caption.tone {
        Tone::Neutral => palette.muted_text,
        Tone::Good => palette.success,
        Tone::Bad => palette.error,
    };
    if caption.tone != Tone::Neutral {
        let (mark, _) = child.allocate_exact_size(vec2(18.0, 18.0), Sense::hover());
        paint::draw_mark(child.painter(), mark.center(), caption.tone, color);
    }
    let text = RichText::new(caption.text).size(15.0).color(color);
    child.add(egui::Label::new(text).truncate());
}

/// Handles the mouse on a board: it selects a cell of a Sudoku, and draws in a maze or an ARC grid.
/// A whole stroke is one edit.
fn handle_pointer(app: &mut App, response: &egui::Response, layout: &paint::GridLayout) {
    let down = response.is_pointer_button_down_on();
    let clicked = response.clicked() || response.secondary_clicked();
    let pos = response.interact_pointer_pos();
    if let Some(cell) = pos
        .and_then(|pos| layout.cell_at(pos))
        .filter(|_| down || clicked)
    {
        response.request_focus();
        app.cursor = cell;
        let erases =
            response.secondary_clicked() || response.ctx.input(|i| i.pointer.secondary_down());
        let kind = app.board().kind();
        if let Kind::Sudoku { .. } = kind {
            if erases {
                app.edit(|board| board.set(cell, 0));
            }
        } else {
            let is_new = app.stroke.is_none();
            let (from, value) = app
                .stroke
                .unwrap_or_else(|| (cell, stroke_value(app, cell, erases)));
            app.stroke = Some((cell, value));
            let cells = cells_on_line(from, cell, app.board().cols());
            app.edit(|board| {
                if is_new {
                    board.begin_stroke();
                }
                cells
                    .into_iter()
                    .filter(|cell| board.set(*cell, value))
                    .count()
                    > 0
            });
        }
    }
    if !down && app.stroke.take().is_some() {
        app.end_stroke();
    }
}

/// Returns the value that a stroke draws. It erases if it starts on a cell with the brush's value.
fn stroke_value(app: &App, cell: usize, erases: bool) -> u8 {
    let blank = app.board().kind().blank();
    if erases || app.board().cell(cell) == app.brush {
        blank
    } else {
        app.brush
    }
}

/// Returns the cells on the line between two cells, because a fast mouse skips cells.
fn cells_on_line(from: usize, to: usize, cols: usize) -> Vec<usize> {
    let position = |cell: usize| ((cell / cols.max(1)) as f32, (cell % cols.max(1)) as f32);
    let ((r0, c0), (r1, c1)) = (position(from), position(to));
    let steps = (r1 - r0).abs().max((c1 - c0).abs()) as usize;
    let cell = |i: usize| {
        let t = i as f32 / steps.max(1) as f32;
        let (row, col) = ((r0 + (r1 - r0) * t).round(), (c0 + (c1 - c0) * t).round());
        row as usize * cols + col as usize
    };
    (0..=steps).map(cell).collect()
}

/// Describes the board and the cell under the cursor to screen readers.
fn describe(app: &App, response: &egui::Response, index: usize) {
    let board = app.board();
    let cols = board.cols().max(1);
    let (row, col) = (app.cursor / cols + 1, app.cursor % cols + 1);
    let value = paint::describe_value(board.kind(), board.cell(app.cursor));
    let name = if index == 0 { "Board" } else { "Second board" };
    let step = app
        .runners
        .get(index)
        .and_then(|runner| runner.history.step(app.shown_step));
    let answer = step.map(|step| {
        let value = step.answer.cell(app.cursor);
        format!(", answered {}", paint::describe_value(board.kind(), value))
    });
    let label = format!(
        "{name}: row {row}, column {col}: {value}{}",
        answer.unwrap_or_default()
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Grid, true, label.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_stroke_skips_no_cell() {
        assert_eq!(cells_on_line(0, 0, 5), [0]);
        assert_eq!(cells_on_line(0, 4, 5), [0, 1, 2, 3, 4]);
        assert_eq!(cells_on_line(22, 2, 5), [22, 17, 12, 7, 2]);
        assert_eq!(cells_on_line(0, 24, 5), [0, 6, 12, 18, 24]);
    }
}
