//! All keys, in a window of its own.

use egui::{Context, Grid, RichText, ScrollArea, Window};

use crate::app::App;
use crate::keys::KEYS;

pub(crate) fn show(app: &mut App, ctx: &Context) {
    if !app.help {
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
                            for (keys, what) in KEYS {
                                ui.label(RichText::new(*keys).monospace());
                                ui.label(*what);
                                ui.end_row();
                            }
                        });
                    ui.add_space(6.0);
                    ui.label("The mouse draws in mazes and ARC grids; its right button takes away.");
                    ui.label("Files and folders can be dropped on the window: puzzles, and models.");
                });
        });
    app.help = open && app.help;
}
