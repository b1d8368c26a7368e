//! The panel at the right: the controls of the run and the puzzle, and the picker of model and
//! device.

use egui::{Button, Frame, Grid, Panel, RichText, ScrollArea, Slider, Ui, vec2};
use trm_runtime::HaltRule;

use crate::app::App;
use crate::board::{self, Kind};
use crate::file_dialog::DialogKind;
use crate::generate::Difficulty;
use crate::palette::{self, Palette};
use crate::settings::{MAX_STEPS_PER_SECOND, MIN_STEPS_PER_SECOND};
use crate::worker::{MAX_STEPS, RunMode};

mod picker;

/// The width of the panel, in points.
const PANEL_WIDTH: f32 = 290.0;
/// The step limit that the checkbox sets at first.
const DEFAULT_STEP_LIMIT: usize = 16;

pub(crate) fn show(app: &mut App, ui: &mut Ui) {
    let fill = ui.visuals().faint_bg_color;
    let frame = Frame::NONE.fill(fill).inner_margin(egui::vec2(12.0, 10.0));
    Panel::right("panel")
        .frame(frame)
        .exact_size(PANEL_WIDTH)
        .resizable(false)
        .show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                show_run(app, ui);
                ui.separator();
                show_puzzle(app, ui);
                ui.separator();
                picker::show(app, ui);
            });
        });
}

fn show_title(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).size(15.0).strong());
}

fn show_run(app: &mut App, ui: &mut Ui) {
    let palette = Palette::of(ui.visuals());
    let ctx = ui.ctx().clone();
    let running = app.is_running();
    ui.horizontal(|ui| {
        let (label, background) = match running {
            true => ("Pause", palette::BLUE.gamma_multiply(0.75)),
            false => ("Think", palette::BLUE),
        };
        let text = RichText::new(label)
            .size(16.0)
            .strong()
            .color(palette::text_on(background));
        let button = Button::new(text)
            .fill(background)
            .min_size(vec2(98.0, 34.0));
        if ui
            .add(button)
            .on_hover_text("start or pause (Space)")
            .clicked()
        {
            app.toggle_run(&ctx);
        }
        let button = Button::new("One step").min_size(vec2(0.0, 34.0));
        let response = ui.add_enabled(!running, button);
        if response.on_hover_text("take one step (Enter)").clicked() {
            app.run(RunMode::OneStep, &ctx);
        }
        let button = Button::new("Continue").min_size(vec2(0.0, 34.0));
        let response = ui.add_enabled(!running, button);
        if response
            .on_hover_text("continue past the halt (K)")
            .clicked()
        {
            app.run(RunMode::Endless, &ctx);
        }
    });
    show_speed(app, ui);
    ui.horizontal(|ui| {
        ui.checkbox(&mut app.settings.heat, "Heat")
            .on_hover_text("how far each cell's latent state moved in the step (H)");
        let mut comparing = app.runners.len() > 1;
        let response = ui.checkbox(&mut comparing, "Compare");
        if response
            .on_hover_text("two models or devices side by side (V)")
            .changed()
        {
            app.toggle_comparison();
        }
        if ui
            .button("Start over")
            .on_hover_text("discard all steps")
            .clicked()
        {
            app.reset_runs();
        }
    });
    ui.collapsing("Halting", |ui| show_halting(app, ui, &palette));
}

fn show_speed(app: &mut App, ui: &mut Ui) {
    // The right end of the slider means no limit.
    let mut speed = match app.settings.speed {
        speed if speed > 0.0 => speed,
        _ => MAX_STEPS_PER_SECOND,
    };
    let slider = Slider::new(&mut speed, MIN_STEPS_PER_SECOND..=MAX_STEPS_PER_SECOND)
        .logarithmic(true)
        .custom_formatter(|speed, _| match speed < f64::from(MAX_STEPS_PER_SECOND) {
            true => format!("{speed:.1}/s"),
            false => "no limit".into(),
        })
        .text("Speed");
    if ui
        .add(slider)
        .on_hover_text("steps per second (F, Shift+F)")
        .changed()
    {
        app.set_speed(if speed >= MAX_STEPS_PER_SECOND {
            0.0
        } else {
            speed
        });
    }
}

fn show_halting(app: &mut App, ui: &mut Ui, palette: &Palette) {
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
            app.max_steps = limited.then_some(DEFAULT_STEP_LIMIT);
        }
        match &mut app.max_steps {
            Some(steps) => {
                ui.add(egui::DragValue::new(steps).range(1..=MAX_STEPS));
                ui.label("steps");
            }
            None => {
                ui.colored_label(palette.muted_text, "the steps of the training");
            }
        }
    });
    if before != (app.rule, app.threshold, app.max_steps) {
        app.reset_runs();
    }
}

fn show_puzzle(app: &mut App, ui: &mut Ui) {
    show_title(ui, "Puzzle");
    ui.horizontal(|ui| {
        let can_generate = !matches!(app.board().kind(), Kind::Arc { .. });
        let label = if can_generate { "New" } else { "Empty" };
        if ui.button(label).on_hover_text("new puzzle (N)").clicked() {
            app.new_puzzle();
        }
        ui.add_enabled_ui(can_generate, |ui| {
            for difficulty in Difficulty::ALL {
                let is_chosen = app.difficulty == difficulty;
                if ui.selectable_label(is_chosen, difficulty.name()).clicked() {
                    app.difficulty = difficulty;
                    app.new_puzzle();
                }
            }
        });
    });
    let ctx = ui.ctx().clone();
    ui.horizontal(|ui| {
        let response = ui.button("Open…");
        if response
            .on_hover_text("a file (Ctrl+O), or drop one on the window")
            .clicked()
        {
            app.open_dialog(DialogKind::Puzzle, &ctx);
        }
        let response = ui.button("Paste");
        if response
            .on_hover_text("81 characters, a maze, JSON (Ctrl+V)")
            .clicked()
        {
            // The system sends the clipboard as an event.
            ctx.send_viewport_cmd(egui::ViewportCommand::RequestPaste);
        }
        if ui
            .button("Copy")
            .on_hover_text("the puzzle as text (Ctrl+C)")
            .clicked()
        {
            ctx.copy_text(app.board().to_text());
        }
        if ui
            .button("Clear")
            .on_hover_text("clear the board (X)")
            .clicked()
        {
            app.clear();
        }
    });
    ui.horizontal(|ui| {
        let (undo, redo) = (app.can_undo(), app.can_redo());
        let response = ui.add_enabled(undo, Button::new("Undo"));
        if response.on_hover_text("Ctrl+Z").clicked() {
            app.undo();
        }
        let response = ui.add_enabled(redo, Button::new("Redo"));
        if response.on_hover_text("Ctrl+Shift+Z").clicked() {
            app.redo();
        }
    });
    match app.board().kind() {
        Kind::Sudoku { side, .. } => show_digits(app, ui, side),
        Kind::Maze { side } => show_maze_brushes(app, ui, side),
        Kind::Arc { rows, cols } => show_arc_brushes(app, ui, rows, cols),
    }
}

/// Shows buttons that write a digit to the cell under the cursor.
fn show_digits(app: &mut App, ui: &mut Ui, side: usize) {
    Grid::new("digits").spacing(vec2(5.0, 5.0)).show(ui, |ui| {
        for digit in 0..=side {
            let label = match digit {
                0 => "·".to_string(),
                digit => digit.to_string(),
            };
            if ui
                .add(Button::new(label).min_size(vec2(34.0, 28.0)))
                .clicked()
            {
                let cursor = app.cursor;
                app.edit(|board| board.set(cursor, digit as u8));
            }
            if digit % 5 == 4 {
                ui.end_row();
            }
        }
    });
}

/// Shows what the mouse can draw in a maze, and its size.
fn show_maze_brushes(app: &mut App, ui: &mut Ui, side: usize) {
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
    let mut new_side = side;
    let drag = egui::DragValue::new(&mut new_side)
        .range(board::MAZE_SIDES)
        .suffix(" cells a side");
    let hint = "bundled models: up to 10, 15 and 20";
    if ui.add(drag).on_hover_text(hint).changed() {
        app.resize(Kind::maze(new_side));
    }
}

/// Shows the colours that the mouse can draw in an ARC grid, and its size.
fn show_arc_brushes(app: &mut App, ui: &mut Ui, rows: usize, cols: usize) {
    Grid::new("colors").spacing(vec2(5.0, 5.0)).show(ui, |ui| {
        for (n, background) in palette::ARC.into_iter().enumerate() {
            let text = RichText::new(n.to_string())
                .color(palette::text_on(background))
                .strong();
            let is_chosen = usize::from(app.brush) == n;
            let text = if is_chosen { text.underline() } else { text };
            let button = Button::new(text).fill(background).selected(false);
            if ui.add(button.min_size(vec2(34.0, 28.0))).clicked() {
                app.brush = n as u8;
            }
            if n == 4 {
                ui.end_row();
            }
        }
    });
    ui.horizontal(|ui| {
        let (mut new_rows, mut new_cols) = (rows, cols);
        for (size, suffix) in [(&mut new_rows, " rows"), (&mut new_cols, " columns")] {
            ui.add(
                egui::DragValue::new(size)
                    .range(1..=board::MAX_ARC_SIDE)
                    .suffix(suffix),
            );
        }
        if (new_rows, new_cols) != (rows, cols) {
            app.resize(Kind::arc(new_rows, new_cols));
        }
    });
}
