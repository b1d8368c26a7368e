//! The help window: a list of all keys.

use egui::{Context, Grid, RichText, ScrollArea, Window};

use crate::app::App;
use crate::keys::KEYS;

pub(crate) fn show(app: &mut App, ctx: &Context) {
    if !app.help_open {
        return;
    }
    let mut open = true;
    let size = ctx.content_rect().size();
    let window = Window::new("Keys")
        .open(&mut open)
        .collapsible(false)
        .resizable(false);
    window
        .default_pos(egui::pos2(size.x / 2.0 - 260.0, 60.0))
        .show(ctx, |ui| {
            ScrollArea::vertical()
                .max_height((size.y - 160.0).max(120.0))
                .show(ui, |ui| {
                    Grid::new("keys")
                        .num_columns(2)
                        .spacing([24.0, 5.0])
                        .show(ui, |ui| {
                            for (keys, action) in KEYS {
                                ui.label(RichText::new(*keys).monospace());
                                ui.label(*action);
                                ui.end_row();
                            }
                        });
                    ui.add_space(6.0);
                    ui.label("The mouse draws in mazes and ARC grids. Its right button erases.");
                    ui.label("Drop puzzle files, model files and model folders on the window.");
                });
        });
    app.help_open = open && app.help_open;
}
