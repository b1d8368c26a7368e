//! The window on the screen.

use std::time::{Duration, Instant};

use eframe::{NativeOptions, egui};
use egui::{Ui, ViewportBuilder};

use crate::app::{App, AppOptions};

/// How often the settings are saved, because the system may end the program without notice.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows the window until it is closed.
///
/// With `verbose`, writes each change of the state and the frame times to standard error.
/// `program_start` is the time from which the first frame is measured.
///
/// # Errors
/// If there is no display, or no driver that can draw on it.
pub fn run(options: AppOptions, verbose: bool, program_start: Instant) -> Result<(), String> {
    let [width, height] = options.settings.window;
    let native_options = NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title("trm-demo")
            .with_app_id("trm-demo")
            .with_inner_size([width, height])
            .with_min_inner_size([640.0, 480.0])
            .with_drag_and_drop(true),
        ..NativeOptions::default()
    };
    let create = move |_: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        Ok(Box::new(Window {
            app: App::new(options),
            verbose,
            program_start,
            frames: 0,
            status: String::new(),
            last_save: Instant::now(),
        }))
    };
    eframe::run_native("trm-demo", native_options, Box::new(create))
        .map_err(|e| format!("cannot open a window: {e}"))
}

struct Window {
    app: App,
    verbose: bool,
    program_start: Instant,
    /// The number of frames so far.
    frames: u64,
    /// The status that was written last.
    status: String,
    last_save: Instant,
}

impl eframe::App for Window {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.frames += 1;
        match self.frames {
            // The first frame is on the screen when the second begins.
            1 => ui.ctx().request_repaint(),
            2 if self.verbose => {
                eprintln!(
                    "first frame after {:.0} ms",
                    ms(self.program_start.elapsed())
                );
            }
            _ => {}
        }
        let zoom = ui.ctx().zoom_factor();
        let size = ui.ctx().content_rect().size() * zoom;
        self.app.set_window_size([size.x, size.y]);
        self.app.ui(ui);
        if self.verbose {
            let status = self.app.status();
            if status != self.status {
                eprintln!("{status}");
                self.status = status;
            }
        }
        if self.last_save.elapsed() > SAVE_INTERVAL {
            self.last_save = Instant::now();
            self.app.save();
        }
    }

    fn on_exit(&mut self) {
        self.app.save();
        if self.verbose {
            let times = self.app.frame_times();
            let mean = ms(times.total) / times.frames.max(1) as f64;
            eprintln!(
                "frames: {} without drawing, \
                first {:.1} ms, slowest of the others {:.1} ms, mean {mean:.2} ms",
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
