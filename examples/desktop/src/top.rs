//! The row at the top: which board, the theme, the size, help.

use egui::{Frame, Panel, RichText, ThemePreference, Ui};

use crate::app::{App, Tab};

pub(crate) fn show(app: &mut App, ui: &mut Ui) {
    let fill = ui.visuals().faint_bg_color;
    let frame = Frame::NONE.fill(fill).inner_margin(egui::vec2(12.0, 8.0));
    Panel::top("top").frame(frame).resizable(false).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new("trm").size(18.0).strong())
                .on_hover_text("Tiny Recursive Models");
            ui.add_space(6.0);
            for (n, tab) in Tab::ALL.into_iter().enumerate() {
                let chosen = ui.selectable_label(app.tab == tab, tab.label());
                let chosen = chosen.on_hover_text(format!("{} (Ctrl+{})", tab.about(), n + 1));
                if chosen.clicked() {
                    app.choose_tab(tab);
                }
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if ui.button("Help").on_hover_text("all keys (F1)").clicked() {
                    app.help = !app.help;
                }
                theme(app, ui);
                zoom(ui);
            });
        });
    });
}

fn theme(app: &mut App, ui: &mut Ui) {
    let dark = ui.visuals().dark_mode;
    let label = if dark { "Light" } else { "Dark" };
    if ui.button(label).on_hover_text("light or dark (T)").clicked() {
        toggle_theme(app, ui.ctx());
    }
}

/// From what is seen to the other, whatever the system says.
pub(crate) fn toggle_theme(app: &mut App, ctx: &egui::Context) {
    let dark = ctx.global_style().visuals.dark_mode;
    let theme = if dark {
        ThemePreference::Light
    } else {
        ThemePreference::Dark
    };
    app.set_theme(theme, ctx);
}

fn zoom(ui: &mut Ui) {
    let factor = ui.ctx().zoom_factor();
    if ui.button("+").on_hover_text("larger (Ctrl +)").clicked() {
        ui.ctx().set_zoom_factor((factor + 0.1).min(4.0));
    }
    ui.label(format!("{:.0} %", factor * 100.0));
    if ui.button("−").on_hover_text("smaller (Ctrl −)").clicked() {
        ui.ctx().set_zoom_factor((factor - 0.1).max(0.4));
    }
}
