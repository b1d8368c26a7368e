//! The picker of the model and the device of each runner, and a report on what runs.

use egui::{Color32, ComboBox, RichText, Ui};
use trm_runtime::Device;

use crate::app::{App, repaint_waker};
use crate::file_dialog::DialogKind;
use crate::model_choice::ModelChoice;
use crate::palette::Palette;

pub(super) fn show(app: &mut App, ui: &mut Ui) {
    let count = app.runners.len();
    for index in 0..count {
        ui.push_id(("runner", index), |ui| {
            let palette = Palette::of(ui.visuals());
            match (count, index) {
                (1, _) => super::show_title(ui, "Model and device"),
                (_, 0) => show_side(ui, "Left: round marks", palette.answer),
                _ => show_side(ui, "Right: square marks", palette.second_answer),
            }
            let [model_label, device_label] = match index {
                0 => ["Model", "Device"],
                _ => ["Second model", "Second device"],
            };
            show_model(app, ui, index, model_label);
            show_device(app, ui, index, device_label);
            show_report(app, ui, index, &palette);
        });
    }
}

/// Shows the title of one side of a comparison, in the colour of its answers.
fn show_side(ui: &mut Ui, text: &str, color: Color32) {
    ui.label(RichText::new(text).size(15.0).color(color));
}

fn show_model(app: &mut App, ui: &mut Ui, index: usize, label: &str) {
    let Some(current) = app.runners.get(index).map(|runner| runner.model.clone()) else {
        return;
    };
    let kind = app.board().kind();
    let mut chosen = current.clone();
    let ctx = ui.ctx().clone();
    ComboBox::from_label(label)
        .width(170.0)
        .selected_text(current.label(kind))
        .show_ui(ui, |ui| {
            for choice in app.model_choices() {
                let label = choice.label(kind);
                ui.selectable_value(&mut chosen, choice, label);
            }
            ui.separator();
            if ui.button("Open a folder…").clicked() {
                app.open_dialog(DialogKind::ModelFolder, &ctx);
            }
            if ui.button("Open a file…").clicked() {
                app.open_dialog(DialogKind::ModelFile, &ctx);
            }
        });
    if chosen != current {
        app.choose_model(index, chosen);
    }
}

fn show_device(app: &mut App, ui: &mut Ui, index: usize, label: &str) {
    let Some(current) = app.runners.get(index).map(|runner| runner.device) else {
        return;
    };
    let mut chosen = current;
    let ctx = ui.ctx().clone();
    ComboBox::from_label(label)
        .width(170.0)
        .selected_text(current.to_string())
        .show_ui(ui, |ui| {
            ui.selectable_value(&mut chosen, Device::Auto, "auto");
            ui.selectable_value(&mut chosen, Device::Cpu, "cpu");
            app.device_list.request(repaint_waker(&ctx));
            match app.device_list.gpus() {
                None => drop(ui.label("looking for GPUs ...")),
                Some([]) => drop(ui.label("no GPU found")),
                Some(gpus) => {
                    for info in gpus {
                        let gpu = Device::Gpu(Some(info.number));
                        let button = egui::Button::selectable(chosen == gpu, info.to_string());
                        let response = ui.add_enabled(info.unsupported_reason.is_none(), button);
                        let reason = info.unsupported_reason.clone().unwrap_or_default();
                        if response.on_disabled_hover_text(reason).clicked() {
                            chosen = gpu;
                        }
                    }
                }
            }
        });
    if chosen != current {
        app.choose_device(index, chosen);
    }
}

/// Shows what runs, how fast, and why on this device.
fn show_report(app: &App, ui: &mut Ui, index: usize, palette: &Palette) {
    let Some(runner) = app.runners.get(index) else {
        return;
    };
    if let Some(note) = &runner.note {
        ui.label(RichText::new(format!("Note: {note}")).color(palette.error));
    }
    let Some(info) = &runner.info else {
        if runner.is_loading() {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label("opening the model ...");
            });
        }
        return;
    };
    if let Some(duration) = runner.history.mean_duration() {
        let text = format!("{:.1} ms per step", duration.as_secs_f64() * 1e3);
        ui.label(RichText::new(text).size(15.0).strong());
    }
    let small = |ui: &mut Ui, text: String| {
        ui.label(RichText::new(text).size(12.0).color(palette.muted_text));
    };
    small(ui, format!("on {}", info.device));
    if !info.reason.is_empty() {
        small(ui, format!("because {}", lower_first(&info.reason)));
    }
    small(ui, info.model.clone());
    small(
        ui,
        format!("opened in {:.0} ms", info.load_time.as_secs_f64() * 1e3),
    );
}

/// Lowers the first letter of a sentence, unless its first word is an abbreviation.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_string(),
    }
}

impl App {
    /// Returns the models to choose from: the fitting one, the bundled ones, and recent paths.
    pub(crate) fn model_choices(&self) -> Vec<ModelChoice> {
        let bundled = trm_runtime::bundled::NAMES
            .iter()
            .map(|name| ModelChoice::Bundled(name));
        let recent = self
            .settings
            .models
            .iter()
            .map(|path| ModelChoice::Path(path.into()));
        std::iter::once(ModelChoice::Auto)
            .chain(bundled)
            .chain(recent)
            .collect()
    }

    /// Returns the devices to choose from, with the GPUs as far as they are known.
    fn device_choices(&self) -> Vec<Device> {
        let usable = |info: &&trm_runtime::DeviceInfo| info.unsupported_reason.is_none();
        let gpus = self
            .device_list
            .gpus()
            .unwrap_or_default()
            .iter()
            .filter(usable);
        let gpus = gpus.map(|info| Device::Gpu(Some(info.number)));
        [Device::Auto, Device::Cpu]
            .into_iter()
            .chain(gpus)
            .collect()
    }

    /// Switches a runner to the next model of the list.
    pub(crate) fn next_model(&mut self, index: usize) {
        let Some(current) = self.runners.get(index).map(|runner| runner.model.clone()) else {
            return;
        };
        let next = next_in(&self.model_choices(), &current);
        self.choose_model(index, next);
    }

    /// Switches a runner to the next device of the list. The first call starts listing the GPUs.
    pub(crate) fn next_device(&mut self, index: usize, ctx: &egui::Context) {
        let Some(current) = self.runners.get(index).map(|runner| runner.device) else {
            return;
        };
        self.device_list.request(repaint_waker(ctx));
        let next = next_in(&self.device_choices(), &current);
        self.choose_device(index, next);
    }
}

/// Returns the item after `current`, or the first.
fn next_in<T: Clone + PartialEq + Default>(items: &[T], current: &T) -> T {
    let next = items
        .iter()
        .position(|item| item == current)
        .map_or(0, |index| index + 1);
    items
        .get(next)
        .or(items.first())
        .cloned()
        .unwrap_or_default()
}
