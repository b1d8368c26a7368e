//! The window on the screen.

use std::time::{Duration, Instant};

use eframe::{NativeOptions, egui};
use egui::{Ui, ViewportBuilder};

use crate::app::{App, Start};
use crate::choice::ModelChoice;

/// The other side of a comparison: a model, a device, as far as they differ.
pub type Against = (Option<ModelChoice>, Option<trm::Device>);

/// Shows the window until it is closed. With `tell` it says on standard error what is to be seen, and how long frames took.
///
/// # Errors
/// If there is no display, or nothing that can draw on it.
pub fn run(start: Start, against: Option<Against>, tell: bool, since: Instant) -> Result<(), String> {
    let [width, height] = start.settings.window;
    let options = NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title("trm-demo")
            .with_app_id("trm-demo")
            .with_inner_size([width, height])
            .with_min_inner_size([640.0, 480.0])
            .with_drag_and_drop(true),
        ..NativeOptions::default()
    };
    let make = move |_: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        let mut app = App::new(start);
        if let Some((model, device)) = against {
            app.compare_with(model, device);
        }
        Ok(Box::new(Window {
            app,
            tell,
            since,
            frames: 0,
            status: String::new(),
            saved: Instant::now(),
        }))
    };
    eframe::run_native("trm-demo", options, Box::new(make)).map_err(|e| format!("no window: {e}"))
}

struct Window {
    app: App,
    tell: bool,
    /// When the program began.
    since: Instant,
    frames: u64,
    status: String,
    saved: Instant,
}

impl eframe::App for Window {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.frames += 1;
        match self.frames {
            // Only a second frame tells that the first is on the screen.
            1 => ui.ctx().request_repaint(),
            2 if self.tell => eprintln!("first frame after {:.0} ms", ms(self.since.elapsed())),
            _ => {}
        }
        let zoom = ui.ctx().zoom_factor();
        let size = ui.ctx().content_rect().size() * zoom;
        self.app.remember_size([size.x, size.y]);
        self.app.ui(ui);
        if self.tell {
            let status = self.app.status();
            if status != self.status {
                eprintln!("{status}");
                self.status = status;
            }
        }
        // Now and then, for programs may be ended without a word.
        if self.saved.elapsed() > Duration::from_secs(5) {
            self.saved = Instant::now();
            self.app.save();
        }
    }

    fn on_exit(&mut self) {
        self.app.save();
        if self.tell {
            let times = self.app.frame_times();
            let mean = ms(times.total) / times.frames.max(1) as f64;
            eprintln!(
                "{} frames: the first took {:.1} ms to describe, the slowest after it {:.1} ms, all of them {mean:.2} ms on average",
                times.frames,
                ms(times.first),
                ms(times.slowest),
            );
        }
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
