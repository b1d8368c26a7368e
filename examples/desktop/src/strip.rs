//! The strip at the bottom: the halting probability step by step, the threshold, where it stopped; and the slider through the steps.

use egui::{
    Align2, Color32, FontId, Frame, Painter, Panel, Pos2, Rect, Sense, Shape, Slider, Stroke, StrokeKind, Ui,
    pos2, vec2,
};

use crate::app::App;
use crate::film::{Film, Stop};
use crate::palette::Palette;

const HEIGHT: f32 = 118.0;

pub(crate) fn show(app: &mut App, ui: &mut Ui) {
    let fill = ui.visuals().faint_bg_color;
    let frame = Frame::NONE.fill(fill).inner_margin(egui::vec2(14.0, 8.0));
    Panel::bottom("strip")
        .frame(frame)
        .resizable(false)
        .show(ui, |ui| {
            controls(app, ui);
            let (rect, response) =
                ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::click_and_drag());
            let plot = Plot::new(app, rect);
            if let Some(pos) = response.interact_pointer_pos() {
                app.scrub(plot.step_at(pos.x), ui.ctx());
            }
            let name = format!("Halting probability, {} steps", app.last_step());
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, name.clone()));
            plot.draw(app, &ui.painter_at(rect), &Palette::of(ui.visuals()));
        });
}

/// The slider, and buttons to either side for who has no keyboard.
fn controls(app: &mut App, ui: &mut Ui) {
    ui.horizontal(|ui| {
        let (last, mut step) = (app.last_step(), app.shown);
        let back = ui
            .add_enabled(step > 0, egui::Button::new("<"))
            .on_hover_text("a step back ([)");
        if back.clicked() {
            app.scrub(step.saturating_sub(1), ui.ctx());
        }
        let forward = ui
            .add_enabled(step < last, egui::Button::new(">"))
            .on_hover_text("a step forward (])");
        if forward.clicked() {
            app.scrub(step + 1, ui.ctx());
        }
        ui.spacing_mut().slider_width = (ui.available_width() - 230.0).max(120.0);
        let slider = Slider::new(&mut step, 0..=last.max(1))
            .show_value(false)
            .text("Shown");
        if ui.add_enabled(last > 0, slider).changed() {
            app.scrub(step, ui.ctx());
        }
        let shown = app.shown;
        let text = match (last, shown) {
            (0, _) => "no step yet".to_string(),
            (_, 0) => format!("the puzzle; {last} steps"),
            _ => format!("step {shown} of {last}"),
        };
        ui.label(text);
    });
}

/// Where steps and probabilities are on the strip.
struct Plot {
    area: Rect,
    /// Steps that there is room for.
    steps: usize,
}

impl Plot {
    fn new(app: &App, rect: Rect) -> Plot {
        let trained = app.lanes.iter().map(|lane| lane.max_steps()).max().unwrap_or(16);
        // Up to what was trained for, and past it only once a run has gone there.
        let steps = app.last_step().max(trained.min(32)).max(4);
        Plot {
            area: Rect::from_min_max(rect.min + vec2(38.0, 12.0), rect.max - vec2(96.0, 20.0)),
            steps,
        }
    }

    fn x(&self, step: usize) -> f32 {
        self.area.left() + self.area.width() * step as f32 / self.steps as f32
    }

    fn y(&self, probability: f32) -> f32 {
        self.area.bottom() - self.area.height() * probability.clamp(0.0, 1.0)
    }

    fn step_at(&self, x: f32) -> usize {
        let share = ((x - self.area.left()) / self.area.width().max(1.0)).clamp(0.0, 1.0);
        (share * self.steps as f32).round() as usize
    }

    fn draw(&self, app: &App, painter: &Painter, palette: &Palette) {
        let area = self.area;
        painter.rect_filled(area.expand(2.0), 3.0, palette.paper);
        self.axes(painter, palette);
        self.threshold(app, painter, palette);
        let x = self.x(app.shown);
        painter.vline(
            x,
            area.expand2(vec2(0.0, 4.0)).y_range(),
            Stroke::new(2.0, palette.cursor.gamma_multiply(0.8)),
        );
        for (n, lane) in app.lanes.iter().enumerate().rev() {
            let (colour, square) = if n == 0 {
                (palette.answer, false)
            } else {
                (palette.other, true)
            };
            self.curve(painter, &lane.film, colour, square, palette);
            self.stop(painter, &lane.film, colour, palette, n);
        }
    }

    fn axes(&self, painter: &Painter, palette: &Palette) {
        let font = FontId::proportional(11.0);
        for probability in [0.0, 0.5, 1.0] {
            let y = self.y(probability);
            painter.hline(
                self.area.x_range(),
                y,
                Stroke::new(1.0, palette.thin.gamma_multiply(0.6)),
            );
            let at = pos2(self.area.left() - 8.0, y);
            painter.text(
                at,
                Align2::RIGHT_CENTER,
                format!("{probability}"),
                font.clone(),
                palette.faint,
            );
        }
        let every = [1, 2, 4, 8, 16, 32, 64, 128]
            .into_iter()
            .find(|n| self.steps / n <= 16)
            .unwrap_or(128);
        for step in (0..=self.steps).step_by(every) {
            let at = pos2(self.x(step), self.area.bottom() + 5.0);
            painter.text(at, Align2::CENTER_TOP, step, font.clone(), palette.faint);
        }
        let at = pos2(self.area.right() + 12.0, self.area.bottom() + 5.0);
        painter.text(at, Align2::LEFT_TOP, "step", font.clone(), palette.faint);
    }

    fn threshold(&self, app: &App, painter: &Painter, palette: &Palette) {
        let y = self.y(app.threshold);
        let line = [pos2(self.area.left(), y), pos2(self.area.right(), y)];
        let stroke = Stroke::new(1.5, palette.faint);
        painter.extend(Shape::dashed_line(&line, stroke, 6.0, 4.0));
        let font = FontId::proportional(11.5);
        let at = pos2(self.area.right() + 8.0, y);
        let text = format!("halts above\n{:.2}", app.threshold);
        let galley = painter.layout_no_wrap(text, font, palette.faint);
        painter.galley(at - vec2(0.0, galley.size().y / 2.0), galley, palette.faint);
    }

    fn curve(&self, painter: &Painter, film: &Film, colour: Color32, square: bool, palette: &Palette) {
        let points: Vec<Pos2> = film
            .frames
            .iter()
            .map(|frame| pos2(self.x(frame.step), self.y(frame.halt)))
            .collect();
        painter.add(Shape::line(points.clone(), Stroke::new(2.0, colour)));
        let radius = if film.len() > 64 { 2.0 } else { 4.5 };
        for (frame, at) in film.frames.iter().zip(points) {
            // Full once the head says "halt".
            let fill = if frame.head_halts { colour } else { palette.paper };
            let stroke = Stroke::new(2.0, colour);
            if square {
                let rect = Rect::from_center_size(at, vec2(2.0, 2.0) * radius * 0.9);
                painter.rect(rect, 0.0, fill, stroke, StrokeKind::Middle);
            } else {
                painter.circle(at, radius, fill, stroke);
            }
        }
    }

    /// A flag where the run stopped.
    fn stop(&self, painter: &Painter, film: &Film, colour: Color32, palette: &Palette, n: usize) {
        let Some(stop) = film.stop else { return };
        let x = self.x(stop.step());
        painter.vline(x, self.area.y_range(), Stroke::new(1.5, colour));
        let top = pos2(x, self.area.top());
        let flag = vec![top, top + vec2(9.0, 4.5), top + vec2(0.0, 9.0)];
        painter.add(Shape::convex_polygon(flag, colour, Stroke::NONE));
        let text = match stop {
            Stop::Halted(step) => format!("halted after {step}"),
            Stop::Exhausted(step) => format!("no step left after {step}"),
        };
        let galley = painter.layout_no_wrap(text, FontId::proportional(12.5), colour);
        let size = galley.size();
        // On whichever side there is room.
        let left = if x + size.x + 10.0 < self.area.right() {
            x + 7.0
        } else {
            x - size.x - 7.0
        };
        let at = pos2(
            left,
            self.area.top() + 6.0 + n as f32 * (size.y + 4.0) + self.area.height() * 0.55 - 20.0,
        );
        let ground = Rect::from_min_size(at, size).expand2(vec2(4.0, 2.0));
        painter.rect_filled(ground, 3.0, palette.paper.gamma_multiply(0.9));
        painter.galley(at, galley, colour);
    }
}
