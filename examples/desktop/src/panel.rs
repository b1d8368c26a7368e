//! The controls at the right: the puzzle, the thinking, who thinks where.

use egui::{Button, Frame, Grid, Panel, RichText, ScrollArea, Slider, Ui, vec2};
use trm::HaltRule;

use crate::app::{App, DIFFICULTIES};
use crate::board::{self, Kind};
use crate::dialog::Wanted;
use crate::palette::{self, Palette};
use crate::thinker::Pace;

mod who;

const WIDTH: f32 = 290.0;

pub(crate) fn show(app: &mut App, ui: &mut Ui) {
    let fill = ui.visuals().faint_bg_color;
    let frame = Frame::NONE.fill(fill).inner_margin(egui::vec2(12.0, 10.0));
    Panel::right("panel")
        .frame(frame)
        .exact_size(WIDTH)
        .resizable(false)
        .show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                thinking(app, ui);
                ui.separator();
                puzzle(app, ui);
                ui.separator();
                who::show(app, ui);
            });
        });
}

fn title(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).size(15.0).strong());
}

fn thinking(app: &mut App, ui: &mut Ui) {
    let palette = Palette::of(ui.visuals());
    let ctx = ui.ctx().clone();
    let thinks = app.is_thinking();
    ui.horizontal(|ui| {
        let label = if thinks { "Pause" } else { "Think" };
        let ground = if thinks {
            palette::BLUE.gamma_multiply(0.75)
        } else {
            palette::BLUE
        };
        let text = RichText::new(label)
            .size(16.0)
            .strong()
            .color(palette::on(ground));
        let button = Button::new(text).fill(ground).min_size(vec2(104.0, 34.0));
        if ui.add(button).on_hover_text("think, pause (Space)").clicked() {
            app.think_or_pause(&ctx);
        }
        let step = Button::new("One step").min_size(vec2(0.0, 34.0));
        if ui
            .add_enabled(!thinks, step)
            .on_hover_text("a single step (Enter)")
            .clicked()
        {
            app.go(Pace::One, &ctx);
        }
        let on = Button::new("Keep on").min_size(vec2(0.0, 34.0));
        let on = ui
            .add_enabled(!thinks, on)
            .on_hover_text("keep thinking past the halt (K)");
        if on.clicked() {
            app.go(Pace::On, &ctx);
        }
    });
    speed(app, ui);
    ui.horizontal(|ui| {
        ui.checkbox(&mut app.settings.heat, "Heat")
            .on_hover_text("how far each cell's latent state moved in the step (H)");
        let mut compare = app.lanes.len() > 1;
        if ui
            .checkbox(&mut compare, "Compare")
            .on_hover_text("two models or devices side by side (V)")
            .changed()
        {
            app.compare(compare);
        }
        if ui
            .button("Start over")
            .on_hover_text("forget all steps")
            .clicked()
        {
            app.forget();
        }
    });
    ui.collapsing("Halting", |ui| halting(app, ui, &palette));
}

fn speed(app: &mut App, ui: &mut Ui) {
    /// The slider's right end stands for no delay at all.
    const FASTEST: f32 = 60.0;
    let mut speed = if app.settings.speed > 0.0 {
        app.settings.speed
    } else {
        FASTEST
    };
    let slider = Slider::new(&mut speed, 0.5..=FASTEST)
        .logarithmic(true)
        .custom_formatter(|speed, _| {
            if speed >= 60.0 {
                "as it goes".into()
            } else {
                format!("{speed:.1}/s")
            }
        })
        .text("Speed");
    if ui
        .add(slider)
        .on_hover_text("steps a second (F, Shift+F)")
        .changed()
    {
        app.set_speed(if speed >= FASTEST { 0.0 } else { speed });
    }
}

fn halting(app: &mut App, ui: &mut Ui, palette: &Palette) {
    let before = (app.rule, app.threshold, app.max_steps);
    for (rule, label) in [
        (HaltRule::Verified, "head, if the answer keeps the rules"),
        (HaltRule::Head, "head alone"),
        (HaltRule::Never, "never: all steps"),
    ] {
        ui.radio_value(&mut app.rule, rule, label);
    }
    ui.add(Slider::new(&mut app.threshold, 0.0..=1.0).text("threshold"));
    let mut limited = app.max_steps.is_some();
    ui.horizontal(|ui| {
        if ui.checkbox(&mut limited, "at most").changed() {
            app.max_steps = limited.then_some(16);
        }
        match &mut app.max_steps {
            Some(steps) => {
                ui.add(egui::DragValue::new(steps).range(1..=crate::thinker::MAX_STEPS));
                ui.label("steps");
            }
            None => {
                ui.colored_label(palette.faint, "the steps of its training");
            }
        }
    });
    if before != (app.rule, app.threshold, app.max_steps) {
        app.forget();
    }
}

fn puzzle(app: &mut App, ui: &mut Ui) {
    title(ui, "Puzzle");
    ui.horizontal(|ui| {
        let generated = !matches!(app.board().kind(), Kind::Arc { .. });
        let label = if generated { "New" } else { "Empty" };
        if ui.button(label).on_hover_text("another puzzle (N)").clicked() {
            app.new_puzzle();
        }
        ui.add_enabled_ui(generated, |ui| {
            for (difficulty, name) in DIFFICULTIES {
                if ui.selectable_label(app.difficulty == difficulty, name).clicked() {
                    app.difficulty = difficulty;
                    app.new_puzzle();
                }
            }
        });
    });
    let ctx = ui.ctx().clone();
    ui.horizontal(|ui| {
        if ui
            .button("Open…")
            .on_hover_text("a file (Ctrl+O); or drop one on the window")
            .clicked()
        {
            app.ask_for(Wanted::Puzzle, &ctx);
        }
        if ui
            .button("Paste")
            .on_hover_text("81 characters, a maze, JSON (Ctrl+V)")
            .clicked()
        {
            // The system hands the clipboard over as an event.
            ctx.send_viewport_cmd(egui::ViewportCommand::RequestPaste);
        }
        if ui
            .button("Copy")
            .on_hover_text("the puzzle as text (Ctrl+C)")
            .clicked()
        {
            ctx.copy_text(app.board().to_text());
        }
        if ui.button("Clear").on_hover_text("an empty board (X)").clicked() {
            app.clear();
        }
    });
    ui.horizontal(|ui| {
        let (undo, redo) = (app.can_undo(), app.can_redo());
        if ui
            .add_enabled(undo, Button::new("Undo"))
            .on_hover_text("Ctrl+Z")
            .clicked()
        {
            app.undo();
        }
        if ui
            .add_enabled(redo, Button::new("Redo"))
            .on_hover_text("Ctrl+Shift+Z")
            .clicked()
        {
            app.redo();
        }
    });
    match app.board().kind() {
        Kind::Sudoku { side, .. } => digits(app, ui, side),
        Kind::Maze { side } => maze(app, ui, side),
        Kind::Arc { rows, cols } => colours(app, ui, rows, cols),
    }
}

/// Digits for the cell under the cursor.
fn digits(app: &mut App, ui: &mut Ui, side: usize) {
    let key = |ui: &mut Ui, label: &str| ui.add(Button::new(label).min_size(vec2(34.0, 28.0))).clicked();
    Grid::new("digits").spacing(vec2(5.0, 5.0)).show(ui, |ui| {
        for digit in 0..=side {
            let label = if digit == 0 {
                "·".to_string()
            } else {
                digit.to_string()
            };
            if key(ui, &label) {
                let cursor = app.cursor;
                app.edit(|board| board.set(cursor, digit as u8));
            }
            if digit % 5 == 4 {
                ui.end_row();
            }
        }
    });
}

/// What the mouse draws, and the size.
fn maze(app: &mut App, ui: &mut Ui, side: usize) {
    ui.horizontal(|ui| {
        for (value, label) in [
            (board::WALL, "Wall"),
            (board::FREE, "Free"),
            (board::START, "Start"),
            (board::GOAL, "Goal"),
        ] {
            ui.selectable_value(&mut app.brush, value, label);
        }
    });
    let mut size = side;
    let drag = egui::DragValue::new(&mut size)
        .range(board::MAZE_SIDES)
        .suffix(" cells a side");
    if ui.add(drag).on_hover_text("the bundled model takes 10").changed() {
        app.resize(Kind::maze(size));
    }
}

fn colours(app: &mut App, ui: &mut Ui, rows: usize, cols: usize) {
    Grid::new("colours").spacing(vec2(5.0, 5.0)).show(ui, |ui| {
        for (n, ground) in palette::ARC.into_iter().enumerate() {
            let chosen = usize::from(app.brush) == n;
            let text = RichText::new(n.to_string()).color(palette::on(ground)).strong();
            let text = if chosen { text.underline() } else { text };
            if ui
                .add(
                    Button::new(text)
                        .fill(ground)
                        .selected(false)
                        .min_size(vec2(34.0, 28.0)),
                )
                .clicked()
            {
                app.brush = n as u8;
            }
            if n == 4 {
                ui.end_row();
            }
        }
    });
    ui.horizontal(|ui| {
        let (mut r, mut c) = (rows, cols);
        ui.add(
            egui::DragValue::new(&mut r)
                .range(1..=board::ARC_SIDE)
                .suffix(" rows"),
        );
        ui.add(
            egui::DragValue::new(&mut c)
                .range(1..=board::ARC_SIDE)
                .suffix(" columns"),
        );
        if (r, c) != (rows, cols) {
            app.resize(Kind::arc(r, c));
        }
    });
}
