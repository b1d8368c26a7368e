//! The toolbar at the top: the boards, the theme, the zoom, and help.

use egui::{Frame, Panel, RichText, ThemePreference, Ui};

use crate::app::{App, Tab};

pub(crate) fn show(app: &mut App, ui: &mut Ui) {
    let fill = ui.visuals().faint_bg_color;
    let frame = Frame::NONE.fill(fill).inner_margin(egui::vec2(12.0, 8.0));
    Panel::top("toolbar")
        .frame(frame)
        .resizable(false)
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(RichText::new("trm").size(18.0).strong())
                    .on_hover_text("Tiny Recursive Models");
                ui.add_space(6.0);
                for (n, tab) in Tab::ALL.into_iter().enumerate() {
                    let button = ui.selectable_label(app.tab == tab, tab.label());
                    let hint = format!("{} (Ctrl+{})", tab.description(), n + 1);
                    if button.on_hover_text(hint).clicked() {
                        app.choose_tab(tab);
                    }
                }
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    if ui
                        .button("Help")
                        .on_hover_text("list of keys (F1)")
                        .clicked()
                    {
                        app.help_open = !app.help_open;
                    }
                    show_theme(app, ui);
                    show_zoom(ui);
                });
            });
        });
}

fn show_theme(app: &mut App, ui: &mut Ui) {
    let dark = ui.visuals().dark_mode;
    let label = if dark { "Light" } else { "Dark" };
    if ui
        .button(label)
        .on_hover_text("light or dark theme (T)")
        .clicked()
    {
        toggle_theme(app, ui.ctx());
    }
}

/// Switches from the current theme to the other, even if the current one is the system's.
pub(crate) fn toggle_theme(app: &mut App, ctx: &egui::Context) {
    let dark = ctx.global_style().visuals.dark_mode;
    let theme = if dark {
        ThemePreference::Light
    } else {
        ThemePreference::Dark
    };
    app.set_theme(theme, ctx);
}

fn show_zoom(ui: &mut Ui) {
    let factor = ui.ctx().zoom_factor();
    if ui.button("+").on_hover_text("zoom in (Ctrl +)").clicked() {
        ui.ctx().set_zoom_factor((factor + 0.1).min(4.0));
    }
    ui.label(format!("{:.0} %", factor * 100.0));
    if ui.button("−").on_hover_text("zoom out (Ctrl −)").clicked() {
        ui.ctx().set_zoom_factor((factor - 0.1).max(0.4));
    }
}
