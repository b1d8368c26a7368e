//! Runs that end in a file: a screenshot after some steps, or a GIF of all steps.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

use image::RgbaImage;

use crate::app::App;
use crate::offscreen::OffscreenRenderer;
use crate::worker::{MAX_STEPS, RunMode};

/// The maximum time to wait for an event before the next frame.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Takes `steps` refinement steps, or runs until the model stops, and writes a screenshot (PNG).
///
/// # Errors
/// If the puzzle cannot be solved, or the picture cannot be drawn or written.
pub fn write_screenshot(
    app: &mut App,
    renderer: &mut OffscreenRenderer,
    steps: Option<usize>,
    file: &Path,
) -> Result<(), String> {
    app.set_speed(0.0);
    renderer.run_frame(app, 0.0);
    match steps {
        None => {
            app.run(RunMode::UntilHalt, renderer.context());
            run_to_pause(app, renderer)?;
        }
        Some(steps) => {
            for _ in 0..steps.min(MAX_STEPS) {
                app.run(RunMode::OneStep, renderer.context());
                run_to_pause(app, renderer)?;
            }
        }
    }
    // Four seconds end all animations.
    (0..4).for_each(|_| renderer.run_frame(app, 1.0));
    let picture = renderer.render()?;
    picture
        .save(file)
        .map_err(|e| format!("{}: {e}", file.display()))
}

/// Takes `steps` refinement steps, or runs until the model stops, and writes all as a looping GIF.
///
/// # Errors
/// Like [`write_screenshot`].
pub fn write_gif(
    app: &mut App,
    renderer: &mut OffscreenRenderer,
    steps: Option<usize>,
    file: &Path,
) -> Result<(), String> {
    let mut writer = GifWriter::create(file, renderer)?;
    app.set_speed(0.0);
    (0..3).for_each(|_| renderer.run_frame(app, 0.5));
    writer.add(&renderer.render()?, 120)?;
    let mut taken = 0;
    // One step at a time, because `UntilHalt` may take several between two frames.
    while taken < steps.unwrap_or(MAX_STEPS) {
        app.run(RunMode::OneStep, renderer.context());
        run_to_pause(app, renderer)?;
        if app.last_step() == taken {
            break;
        }
        taken = app.last_step();
        for _ in 0..4 {
            renderer.run_frame(app, 0.075);
            writer.add(&renderer.render()?, 7)?;
        }
        renderer.run_frame(app, 0.5);
        writer.add(&renderer.render()?, 45)?;
        if steps.is_none() && app.has_stopped() {
            break;
        }
    }
    renderer.run_frame(app, 1.0);
    writer.add(&renderer.render()?, 350)
}

/// Runs frames until all runners pause.
fn run_to_pause(app: &mut App, renderer: &mut OffscreenRenderer) -> Result<(), String> {
    while app.is_running() {
        app.wait(POLL_INTERVAL);
        renderer.run_frame(app, 0.0);
    }
    match app.error() {
        Some(error) => Err(error.to_string()),
        None => Ok(()),
    }
}

/// Writes pictures as frames of a GIF. Each frame holds only the area that has changed.
struct GifWriter {
    encoder: gif::Encoder<BufWriter<File>>,
    name: String,
    last: Option<RgbaImage>,
    /// The display time of pictures equal to the last frame, in hundredths of a second. It is added
    /// to the next frame.
    pending_delay: u16,
}

impl GifWriter {
    fn create(file: &Path, renderer: &OffscreenRenderer) -> Result<Self, String> {
        let name = file.display().to_string();
        let with_name = |e: String| format!("{name}: {e}");
        let [width, height] = renderer.size().map(u16::try_from);
        let (Ok(width), Ok(height)) = (width, height) else {
            return Err(with_name("too large for a GIF".into()));
        };
        let file = File::create(file).map_err(|e| with_name(e.to_string()))?;
        let mut encoder = gif::Encoder::new(BufWriter::new(file), width, height, &[])
            .map_err(|e| with_name(e.to_string()))?;
        encoder
            .set_repeat(gif::Repeat::Infinite)
            .map_err(|e| with_name(e.to_string()))?;
        Ok(Self {
            encoder,
            name,
            last: None,
            pending_delay: 0,
        })
    }

    /// Adds a picture that is shown for `delay` hundredths of a second.
    fn add(&mut self, picture: &RgbaImage, delay: u16) -> Result<(), String> {
        let Some([left, top, right, bottom]) = changed_area(self.last.as_ref(), picture) else {
            self.pending_delay = self.pending_delay.saturating_add(delay);
            return Ok(());
        };
        let (width, height) = (right - left, bottom - top);
        let mut part = image::imageops::crop_imm(picture, left, top, width, height).to_image();
        if let Some(last) = &self.last {
            // Unchanged pixels become transparent, which compresses well.
            for (x, y, pixel) in part.enumerate_pixels_mut() {
                if last.get_pixel(left + x, top + y) == pixel {
                    *pixel = image::Rgba([0, 0, 0, 0]);
                }
            }
        }
        let narrow = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        let mut frame =
            gif::Frame::from_rgba_speed(narrow(width), narrow(height), part.as_mut(), 8);
        (frame.left, frame.top) = (narrow(left), narrow(top));
        frame.delay = delay.saturating_add(std::mem::take(&mut self.pending_delay));
        frame.dispose = gif::DisposalMethod::Keep;
        self.last = Some(picture.clone());
        self.encoder
            .write_frame(&frame)
            .map_err(|e| format!("{}: {e}", self.name))
    }
}

/// Returns the smallest rectangle with all changed pixels (left, top, right, bottom), or `None` if
/// no pixel has changed. Without a last picture, that is the whole picture.
fn changed_area(last: Option<&RgbaImage>, picture: &RgbaImage) -> Option<[u32; 4]> {
    let (width, height) = picture.dimensions();
    let Some(last) = last else {
        return Some([0, 0, width, height]);
    };
    let mut area: Option<[u32; 4]> = None;
    for (x, y, pixel) in picture.enumerate_pixels() {
        if last.get_pixel(x, y) != pixel {
            let [l, t, r, b] = area.unwrap_or([x, y, x + 1, y + 1]);
            area = Some([l.min(x), t.min(y), r.max(x + 1), b.max(y + 1)]);
        }
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_changed_area_is_written() {
        let old = RgbaImage::new(9, 7);
        assert_eq!(changed_area(None, &old), Some([0, 0, 9, 7]));
        assert_eq!(changed_area(Some(&old), &old), None);
        let mut new = old.clone();
        new.put_pixel(2, 3, image::Rgba([1, 0, 0, 0]));
        new.put_pixel(5, 4, image::Rgba([1, 0, 0, 0]));
        assert_eq!(changed_area(Some(&old), &new), Some([2, 3, 6, 5]));
    }
}
