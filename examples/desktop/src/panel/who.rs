//! Who thinks, and where: the model and the device of each lane, and what they turned out to be.

use egui::{ComboBox, RichText, Ui};
use trm::Device;

use crate::app::{App, waker};
use crate::choice::ModelChoice;
use crate::dialog::Wanted;
use crate::palette::Palette;
use crate::probe::device_name;

pub(super) fn show(app: &mut App, ui: &mut Ui) {
    let lanes = app.lanes.len();
    for lane in 0..lanes {
        ui.push_id(("who", lane), |ui| {
            let palette = Palette::of(ui.visuals());
            match (lanes, lane) {
                (1, _) => super::title(ui, "Model and device"),
                (_, 0) => drop(
                    ui.label(
                        RichText::new("Left: round marks")
                            .size(15.0)
                            .color(palette.answer),
                    ),
                ),
                _ => drop(
                    ui.label(
                        RichText::new("Right: square marks")
                            .size(15.0)
                            .color(palette.other),
                    ),
                ),
            }
            let name = if lane == 0 {
                ["Model", "Device"]
            } else {
                ["Second model", "Second device"]
            };
            model(app, ui, lane, name[0]);
            device(app, ui, lane, name[1]);
            report(app, ui, lane, &palette);
        });
    }
}

fn model(app: &mut App, ui: &mut Ui, lane: usize, name: &str) {
    let Some(now) = app.lanes.get(lane).map(|lane| lane.model.clone()) else {
        return;
    };
    let kind = app.board().kind();
    let mut chosen = now.clone();
    let ctx = ui.ctx().clone();
    ComboBox::from_label(name)
        .width(170.0)
        .selected_text(now.label(kind))
        .show_ui(ui, |ui| {
            for choice in app.known_models() {
                let label = choice.label(kind);
                ui.selectable_value(&mut chosen, choice, label);
            }
            ui.separator();
            if ui.button("Open a folder…").clicked() {
                app.ask_for(Wanted::ModelFolder, &ctx);
            }
            if ui.button("Open a file…").clicked() {
                app.ask_for(Wanted::ModelFile, &ctx);
            }
        });
    if chosen != now {
        app.choose_model(lane, chosen);
    }
}

fn device(app: &mut App, ui: &mut Ui, lane: usize, name: &str) {
    let Some(now) = app.lanes.get(lane).map(|lane| lane.device) else {
        return;
    };
    let mut chosen = now;
    let ctx = ui.ctx().clone();
    ComboBox::from_label(name)
        .width(170.0)
        .selected_text(device_name(now))
        .show_ui(ui, |ui| {
            ui.selectable_value(&mut chosen, Device::Auto, "auto");
            ui.selectable_value(&mut chosen, Device::Cpu, "cpu");
            app.probe.ask(waker(&ctx));
            match app.probe.found() {
                None => drop(ui.label("looking for GPUs ...")),
                Some([]) => drop(ui.label("there is no GPU")),
                Some(found) => {
                    for info in found {
                        let label = info.to_string();
                        let button =
                            egui::Button::selectable(chosen == Device::Gpu(Some(info.number)), label);
                        let response = ui.add_enabled(info.missing.is_none(), button);
                        let why = info.missing.clone().unwrap_or_default();
                        if response.on_disabled_hover_text(why).clicked() {
                            chosen = Device::Gpu(Some(info.number));
                        }
                    }
                }
            }
        });
    if chosen != now {
        app.choose_device(lane, chosen);
    }
}

/// What runs, how fast, and why there.
fn report(app: &App, ui: &mut Ui, lane: usize, palette: &Palette) {
    let Some(lane) = app.lanes.get(lane) else { return };
    if let Some(note) = &lane.note {
        ui.label(RichText::new(format!("Note: {note}")).color(palette.wrong));
    }
    let Some(ready) = &lane.ready else {
        if lane.is_loading() {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label("opening the model ...");
            });
        }
        return;
    };
    let ms = lane.film.mean_time().map(|time| time.as_secs_f64() * 1e3);
    if let Some(ms) = ms {
        ui.label(RichText::new(format!("{ms:.1} ms a step")).size(15.0).strong());
    }
    let small = |ui: &mut Ui, text: String| ui.label(RichText::new(text).size(12.0).color(palette.faint));
    small(ui, format!("on {}", ready.device));
    if !ready.reason.is_empty() {
        small(ui, format!("because {}", lower(&ready.reason)));
    }
    small(ui, ready.model.clone());
    small(
        ui,
        format!("opened in {:.0} ms", ready.load_time.as_secs_f64() * 1e3),
    );
}

/// In the middle of a sentence; names and abbreviations stay as they are.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_string(),
    }
}

impl App {
    /// The models that can be chosen: the one that fits, the bundled ones, those that were opened.
    pub(crate) fn known_models(&self) -> Vec<ModelChoice> {
        let bundled = trm::bundled::NAMES.iter().map(|name| ModelChoice::Bundled(name));
        let opened = self
            .settings
            .models
            .iter()
            .map(|path| ModelChoice::Path(path.into()));
        std::iter::once(ModelChoice::Fitting)
            .chain(bundled)
            .chain(opened)
            .collect()
    }

    /// The devices that can be chosen, as far as they are known.
    fn known_devices(&self) -> Vec<Device> {
        let usable = |info: &&trm::DeviceInfo| info.missing.is_none();
        let gpus = self.probe.found().unwrap_or_default().iter().filter(usable);
        let gpus = gpus.map(|info| Device::Gpu(Some(info.number)));
        [Device::Auto, Device::Cpu].into_iter().chain(gpus).collect()
    }

    /// The model after this one in the list.
    pub(crate) fn next_model(&mut self, lane: usize) {
        let Some(now) = self.lanes.get(lane).map(|lane| lane.model.clone()) else {
            return;
        };
        let next = after(&self.known_models(), &now);
        self.choose_model(lane, next);
    }

    /// The device after this one; at first the drivers are asked which there are.
    pub(crate) fn next_device(&mut self, lane: usize, ctx: &egui::Context) {
        let Some(now) = self.lanes.get(lane).map(|lane| lane.device) else {
            return;
        };
        self.probe.ask(waker(ctx));
        let next = after(&self.known_devices(), &now);
        self.choose_device(lane, next);
    }
}

fn after<T: Clone + PartialEq + Default>(all: &[T], now: &T) -> T {
    let at = all.iter().position(|one| one == now).map_or(0, |at| at + 1);
    all.get(at).or(all.first()).cloned().unwrap_or_default()
}
