//! The timeline at the bottom: a slider through the steps, and the halting probability of each step
//! with the threshold and the halt.

use egui::{
    Align2, Color32, FontId, Frame, Painter, Panel, Pos2, Rect, Sense, Shape, Slider, Stroke,
    StrokeKind, Ui, pos2, vec2,
};

use crate::app::App;
use crate::history::{History, StopReason};
use crate::palette::Palette;

/// The height of the plot, in points.
const PLOT_HEIGHT: f32 = 118.0;
/// The number of steps on the plot beyond which it only grows with the run.
const MAX_EMPTY_STEPS: usize = 32;
/// The minimum number of steps on the plot.
const MIN_PLOT_STEPS: usize = 4;

pub(crate) fn show(app: &mut App, ui: &mut Ui) {
    let fill = ui.visuals().faint_bg_color;
    let frame = Frame::NONE.fill(fill).inner_margin(egui::vec2(14.0, 8.0));
    Panel::bottom("timeline")
        .frame(frame)
        .resizable(false)
        .show(ui, |ui| {
            show_controls(app, ui);
            let size = vec2(ui.available_width(), PLOT_HEIGHT);
            let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
            let plot = Plot::new(app, rect);
            if let Some(pos) = response.interact_pointer_pos() {
                app.seek(plot.step_at(pos.x), ui.ctx());
            }
            let name = format!("Halting probability, {} steps", app.last_step());
            response
                .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, name.clone()));
            plot.draw(app, &ui.painter_at(rect), &Palette::of(ui.visuals()));
        });
}

/// Shows the slider, and buttons for users without a keyboard.
fn show_controls(app: &mut App, ui: &mut Ui) {
    ui.horizontal(|ui| {
        let (last, mut step) = (app.last_step(), app.shown_step);
        let back = ui
            .add_enabled(step > 0, egui::Button::new("<"))
            .on_hover_text("a step back ([)");
        if back.clicked() {
            app.seek(step.saturating_sub(1), ui.ctx());
        }
        let forward = ui
            .add_enabled(step < last, egui::Button::new(">"))
            .on_hover_text("a step forward (])");
        if forward.clicked() {
            app.seek(step + 1, ui.ctx());
        }
        ui.spacing_mut().slider_width = (ui.available_width() - 230.0).max(120.0);
        let slider = Slider::new(&mut step, 0..=last.max(1))
            .show_value(false)
            .text("Shown");
        if ui.add_enabled(last > 0, slider).changed() {
            app.seek(step, ui.ctx());
        }
        let shown = app.shown_step;
        let text = match (last, shown) {
            (0, _) => "no step yet".to_string(),
            (_, 0) => format!("the puzzle; {last} steps"),
            _ => format!("step {shown} of {last}"),
        };
        ui.label(text);
    });
}

/// The marker of a runner on the plot.
#[derive(Debug, Clone, Copy)]
enum Marker {
    Circle,
    Square,
}

/// The plot of halting probabilities over steps.
struct Plot {
    area: Rect,
    /// The number of steps on the horizontal axis.
    steps: usize,
}

impl Plot {
    fn new(app: &App, rect: Rect) -> Self {
        let max_steps = app.runners.iter().map(|runner| runner.max_steps()).max();
        // Usually the steps of a whole run; more once a run has gone past its halt.
        let empty_steps = max_steps.unwrap_or_default().min(MAX_EMPTY_STEPS);
        let steps = app.last_step().max(empty_steps).max(MIN_PLOT_STEPS);
        Self {
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
        painter.rect_filled(area.expand(2.0), 3.0, palette.background);
        self.draw_axes(painter, palette);
        self.draw_threshold(app.threshold, painter, palette);
        let x = self.x(app.shown_step);
        painter.vline(
            x,
            area.expand2(vec2(0.0, 4.0)).y_range(),
            Stroke::new(2.0, palette.cursor.gamma_multiply(0.8)),
        );
        // The first runner last, so that it is on top.
        for (index, runner) in app.runners.iter().enumerate().rev() {
            let (color, marker) = match index {
                0 => (palette.answer, Marker::Circle),
                _ => (palette.second_answer, Marker::Square),
            };
            self.draw_curve(painter, &runner.history, color, marker, palette);
            self.draw_stop(painter, &runner.history, color, palette, index);
        }
    }

    fn draw_axes(&self, painter: &Painter, palette: &Palette) {
        let font = FontId::proportional(11.0);
        for probability in [0.0, 0.5, 1.0] {
            let y = self.y(probability);
            painter.hline(
                self.area.x_range(),
                y,
                Stroke::new(1.0, palette.thin_line.gamma_multiply(0.6)),
            );
            let at = pos2(self.area.left() - 8.0, y);
            painter.text(
                at,
                Align2::RIGHT_CENTER,
                format!("{probability}"),
                font.clone(),
                palette.muted_text,
            );
        }
        let label_interval = [1, 2, 4, 8, 16, 32, 64, 128]
            .into_iter()
            .find(|n| self.steps / n <= 16)
            .unwrap_or(128);
        for step in (0..=self.steps).step_by(label_interval) {
            let at = pos2(self.x(step), self.area.bottom() + 5.0);
            painter.text(
                at,
                Align2::CENTER_TOP,
                step,
                font.clone(),
                palette.muted_text,
            );
        }
        let at = pos2(self.area.right() + 12.0, self.area.bottom() + 5.0);
        painter.text(
            at,
            Align2::LEFT_TOP,
            "step",
            font.clone(),
            palette.muted_text,
        );
    }

    fn draw_threshold(&self, threshold: f32, painter: &Painter, palette: &Palette) {
        let y = self.y(threshold);
        let line = [pos2(self.area.left(), y), pos2(self.area.right(), y)];
        let stroke = Stroke::new(1.5, palette.muted_text);
        painter.extend(Shape::dashed_line(&line, stroke, 6.0, 4.0));
        let font = FontId::proportional(11.5);
        let at = pos2(self.area.right() + 8.0, y);
        let text = format!("halts above\n{threshold:.2}");
        let galley = painter.layout_no_wrap(text, font, palette.muted_text);
        painter.galley(
            at - vec2(0.0, galley.size().y / 2.0),
            galley,
            palette.muted_text,
        );
    }

    fn draw_curve(
        &self,
        painter: &Painter,
        history: &History,
        color: Color32,
        marker: Marker,
        palette: &Palette,
    ) {
        let points: Vec<Pos2> = history
            .steps
            .iter()
            .map(|record| pos2(self.x(record.step), self.y(record.halt_probability)))
            .collect();
        painter.add(Shape::line(points.clone(), Stroke::new(2.0, color)));
        let radius = if history.len() > 64 { 2.0 } else { 4.5 };
        for (record, at) in history.steps.iter().zip(points) {
            // A filled marker means that the head says "halt".
            let fill = if record.head_halts {
                color
            } else {
                palette.background
            };
            let stroke = Stroke::new(2.0, color);
            match marker {
                Marker::Circle => {
                    painter.circle(at, radius, fill, stroke);
                }
                Marker::Square => {
                    let rect = Rect::from_center_size(at, vec2(2.0, 2.0) * radius * 0.9);
                    painter.rect(rect, 0.0, fill, stroke, StrokeKind::Middle);
                }
            }
        }
    }

    /// Draws a flag where the run stopped. The labels of the runners are below each other.
    fn draw_stop(
        &self,
        painter: &Painter,
        history: &History,
        color: Color32,
        palette: &Palette,
        index: usize,
    ) {
        let Some(stop) = history.stop else { return };
        let x = self.x(stop.step());
        painter.vline(x, self.area.y_range(), Stroke::new(1.5, color));
        let top = pos2(x, self.area.top());
        let flag = vec![top, top + vec2(9.0, 4.5), top + vec2(0.0, 9.0)];
        painter.add(Shape::convex_polygon(flag, color, Stroke::NONE));
        let text = match stop {
            StopReason::Halted(step) => format!("halted after {step}"),
            StopReason::Exhausted(step) => format!("no steps left after {step}"),
        };
        let galley = painter.layout_no_wrap(text, FontId::proportional(12.5), color);
        let size = galley.size();
        // The label is right of the line or, if there is no space, left of it.
        let left = if x + size.x + 10.0 < self.area.right() {
            x + 7.0
        } else {
            x - size.x - 7.0
        };
        let at = pos2(
            left,
            self.area.top() + 6.0 + index as f32 * (size.y + 4.0) + self.area.height() * 0.55
                - 20.0,
        );
        let background = Rect::from_min_size(at, size).expand2(vec2(4.0, 2.0));
        painter.rect_filled(background, 3.0, palette.background.gamma_multiply(0.9));
        painter.galley(at, galley, color);
    }
}
