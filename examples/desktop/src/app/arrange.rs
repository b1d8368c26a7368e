//! The boards in the middle: one, or two side by side.

use egui::{
    Align, Align2, CentralPanel, FontId, Frame, Layout, Rect, RichText, Sense, Ui, UiBuilder, pos2, vec2,
};

use super::App;
use crate::board::{self, Kind};
use crate::paint::{self, View};
use crate::palette::Palette;

/// Seconds in which one step fades into the next.
const FADE: f64 = 0.3;
/// Points above a board, below it, and below that.
const HEAD: f32 = 30.0;
const FOOT: f32 = 30.0;
const LEGEND: f32 = 24.0;

/// All boards, in the room that the panels leave.
pub(super) fn boards(app: &mut App, ui: &mut Ui) {
    let fill = ui.visuals().panel_fill;
    let frame = Frame::NONE.fill(fill).inner_margin(12.0);
    CentralPanel::no_frame().frame(frame).show(ui, |ui| {
        note(app, ui);
        let room = ui.available_rect_before_wrap();
        let lanes = app.lanes.len();
        let width = (room.width() - 16.0 * (lanes - 1) as f32) / lanes as f32;
        for lane in 0..lanes {
            let left = room.left() + lane as f32 * (width + 16.0);
            let rect = Rect::from_min_size(pos2(left, room.top()), vec2(width, room.height() - LEGEND));
            let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(("lane", lane)));
            show_lane(app, &mut child, lane, rect);
        }
        let legend = Rect::from_min_max(pos2(room.left(), room.bottom() - LEGEND), room.max);
        paint::legend(ui, legend, app.board().kind(), app.settings.heat);
    });
}

/// What the window has to say.
fn note(app: &mut App, ui: &mut Ui) {
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

fn show_lane(app: &mut App, ui: &mut Ui, lane: usize, rect: Rect) {
    let palette = Palette::of(ui.visuals());
    let head = Rect::from_min_size(rect.min, vec2(rect.width(), HEAD));
    heading(app, ui, lane, head, &palette);
    let foot = Rect::from_min_max(pos2(rect.left(), rect.bottom() - FOOT), rect.max);
    let middle = Rect::from_min_max(pos2(rect.left(), head.bottom()), pos2(rect.right(), foot.top()));

    let now = ui.input(|i| i.time);
    let age = (now - app.faded.1) / FADE;
    let blend = if age < 1.0 { age.max(0.0) as f32 } else { 1.0 };
    if blend < 1.0 {
        ui.ctx().request_repaint();
    }
    let Some(this) = app.lanes.get(lane) else { return };
    let film = &this.film;
    // A lane that has stopped earlier than the other keeps its last step.
    let step = |step: usize| film.frame(step.min(film.len()));
    let view = View {
        board: app.board(),
        frame: step(app.shown),
        before: step(app.faded.0),
        blend,
        hottest: app.settings.heat.then(|| film.hottest()),
        cursor: (app.shown == 0 || app.lanes.len() == 1).then_some(app.cursor),
        palette: &palette,
        accent: if lane == 0 { palette.answer } else { palette.other },
    };
    let sense = Sense::click_and_drag();
    let id = ui.scope_id().with(("board", lane));
    let response = ui.interact(middle, id, sense);
    // The arrows walk over the board instead of to the next widget.
    let arrows = egui::EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        ..Default::default()
    };
    ui.memory_mut(|m| m.set_focus_lock_filter(id, arrows));
    let painted = paint::board(&ui.painter_at(middle.expand(8.0)), middle, &view);
    describe(app, &response, lane);
    let (text, good) = this.verdict(app.shown.min(film.len()));
    let text = if text.is_empty() {
        puzzle_says(app, &palette)
    } else {
        (text, mark(good, &palette))
    };
    caption(ui, foot, text, &palette);
    app.board_ids.push(id);
    point(app, &response, &painted);
}

/// What stands above a board: who thinks there.
fn heading(app: &App, ui: &Ui, lane: usize, rect: Rect, palette: &Palette) {
    let Some(this) = app.lanes.get(lane) else { return };
    let name = app
        .board()
        .name()
        .map(|name| format!(" · {name}"))
        .unwrap_or_default();
    let title = match (app.lanes.len(), lane) {
        (1, _) => format!("{}{name}", app.board().kind().name().replace(" x ", " × ")),
        (_, _) => {
            let device = crate::probe::device_name(this.device);
            format!("{} on {device}", this.model.label(app.board().kind()))
        }
    };
    let colour = match (app.lanes.len(), lane) {
        (1, _) => palette.ink,
        (_, 0) => palette.answer,
        _ => palette.other,
    };
    let painter = ui.painter_at(rect);
    let middle = rect.left_center();
    let drawn = painter.text(
        middle,
        Align2::LEFT_CENTER,
        title,
        FontId::proportional(18.0),
        colour,
    );
    let time = this
        .film
        .frame(this.film.len().min(app.shown))
        .map(|f| f.time.as_secs_f64() * 1e3);
    if let Some(ms) = time {
        let text = format!("{ms:.1} ms");
        let at = pos2(rect.right(), rect.center().y);
        if drawn.right() + 80.0 < at.x {
            painter.text(
                at,
                Align2::RIGHT_CENTER,
                text,
                FontId::proportional(14.0),
                palette.faint,
            );
        }
    }
}

/// Whether a verdict has a tick or a cross, and its colour.
fn mark(good: Option<bool>, palette: &Palette) -> Option<(bool, egui::Color32)> {
    match good {
        Some(true) => Some((true, palette.right)),
        Some(false) => Some((false, palette.wrong)),
        None => None,
    }
}

type Said = (String, Option<(bool, egui::Color32)>);

/// What can be said of the puzzle before anybody thinks.
fn puzzle_says(app: &App, palette: &Palette) -> Said {
    match app.board().check() {
        Err(why) => (why, mark(Some(false), palette)),
        Ok(()) => ("press Think (or the space bar)".into(), None),
    }
}

fn caption(ui: &mut Ui, rect: Rect, (text, mark): Said, palette: &Palette) {
    let mut child = ui.new_child(
        UiBuilder::new()
            .max_rect(rect)
            .layout(Layout::left_to_right(Align::Center)),
    );
    if let Some((right, colour)) = mark {
        let (at, _) = child.allocate_exact_size(vec2(18.0, 18.0), Sense::hover());
        paint::verdict(child.painter(), at.center(), right, colour);
    }
    let colour = mark.map_or(palette.faint, |mark| mark.1);
    let text = RichText::new(text).size(15.0).color(colour);
    child.add(egui::Label::new(text).truncate());
}

/// The mouse on a board: picks a cell of a Sudoku, draws in a maze or an ARC grid. A stroke is one step to take back.
fn point(app: &mut App, response: &egui::Response, painted: &paint::Painted) {
    let down = response.is_pointer_button_down_on();
    let clicked = response.clicked() || response.secondary_clicked();
    let pos = response.interact_pointer_pos();
    if let Some(cell) = pos
        .and_then(|pos| painted.cell_at(pos))
        .filter(|_| down || clicked)
    {
        response.request_focus();
        app.cursor = cell;
        let erases = response.secondary_clicked() || response.ctx.input(|i| i.pointer.secondary_down());
        let kind = app.board().kind();
        if let Kind::Sudoku { .. } = kind {
            if erases {
                app.edit(|board| board.set(cell, 0));
            }
        } else {
            let begins = app.stroke.is_none();
            let (from, value) = app
                .stroke
                .unwrap_or_else(|| (cell, stroke_value(app, cell, erases)));
            app.stroke = Some((cell, value));
            let cells = between(from, cell, app.board().cols());
            app.edit(|board| {
                if begins {
                    board.begin_stroke();
                }
                cells.into_iter().filter(|cell| board.set(*cell, value)).count() > 0
            });
        }
    }
    if !down && app.stroke.take().is_some() {
        app.end_stroke();
    }
}

/// What a stroke that begins in this cell draws. A brush that finds its own value there takes it away.
fn stroke_value(app: &App, cell: usize, erases: bool) -> u8 {
    let blank = match app.board().kind() {
        Kind::Maze { .. } => board::FREE,
        _ => 0,
    };
    if erases || app.board().cell(cell) == app.brush {
        blank
    } else {
        app.brush
    }
}

/// The cells from one to another: a quick mouse leaves cells out.
fn between(from: usize, to: usize, cols: usize) -> Vec<usize> {
    let place = |cell: usize| ((cell / cols.max(1)) as f32, (cell % cols.max(1)) as f32);
    let ((r0, c0), (r1, c1)) = (place(from), place(to));
    let steps = (r1 - r0).abs().max((c1 - c0).abs()) as usize;
    let cell = |i: usize| {
        let t = i as f32 / steps.max(1) as f32;
        let (row, col) = ((r0 + (r1 - r0) * t).round(), (c0 + (c1 - c0) * t).round());
        row as usize * cols + col as usize
    };
    (0..=steps).map(cell).collect()
}

/// For those who do not see the board: the cell under the cursor.
fn describe(app: &App, response: &egui::Response, lane: usize) {
    let board = app.board();
    let (row, col) = (
        app.cursor / board.cols().max(1) + 1,
        app.cursor % board.cols().max(1) + 1,
    );
    let value = paint::spoken(board.kind(), board.cell(app.cursor));
    let side = if lane == 0 { "Board" } else { "Second board" };
    let answer = app
        .lanes
        .get(lane)
        .and_then(|lane| lane.film.frame(app.shown))
        .map(|frame| {
            let value = frame.answer.cells.get(app.cursor).copied().unwrap_or_default();
            format!(", answered {}", paint::spoken(board.kind(), value))
        });
    let label = format!(
        "{side}: row {row}, column {col}: {value}{}",
        answer.unwrap_or_default()
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Grid, true, label.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_stroke_leaves_no_cell_out() {
        assert_eq!(between(0, 0, 5), [0]);
        assert_eq!(between(0, 4, 5), [0, 1, 2, 3, 4]);
        assert_eq!(between(22, 2, 5), [22, 17, 12, 7, 2]);
        assert_eq!(between(0, 24, 5), [0, 6, 12, 18, 24]);
    }
}
