//! Runs that end in a file: a picture after some steps, or a film of all.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

use image::RgbaImage;

use crate::app::App;
use crate::offscreen::Studio;
use crate::thinker::{MAX_STEPS, Pace};

/// A moment in which nothing happens is looked at again after this long.
const MOMENT: Duration = Duration::from_millis(20);

/// Takes `steps` refinement steps, or thinks until the model stops, and writes the picture.
///
/// # Errors
/// If the puzzle cannot be solved, the picture not be drawn, or the file not be written.
pub fn screenshot(
    app: &mut App,
    studio: &mut Studio,
    steps: Option<usize>,
    file: &Path,
) -> Result<(), String> {
    app.set_speed(0.0);
    studio.frame(app, 0.0);
    match steps {
        None => {
            app.go(Pace::Halt, studio.context());
            finish(app, studio)?;
        }
        Some(steps) => {
            for _ in 0..steps.min(MAX_STEPS) {
                app.go(Pace::One, studio.context());
                finish(app, studio)?;
            }
        }
    }
    // Past all that moves.
    (0..4).for_each(|_| studio.frame(app, 1.0));
    let picture = studio.picture()?;
    picture.save(file).map_err(|e| format!("{}: {e}", file.display()))
}

/// Thinks until the model stops, and writes every step as a film that repeats itself.
///
/// # Errors
/// As [`screenshot`].
pub fn film(app: &mut App, studio: &mut Studio, steps: Option<usize>, file: &Path) -> Result<(), String> {
    let mut film = Film::create(file, studio)?;
    app.set_speed(0.0);
    (0..3).for_each(|_| studio.frame(app, 0.5));
    film.add(&studio.picture()?, 120)?;
    let mut taken = 0;
    // Step by step, so that each is in the film.
    while taken < steps.unwrap_or(MAX_STEPS) {
        app.go(Pace::One, studio.context());
        finish(app, studio)?;
        if app.last_step() == taken {
            break;
        }
        taken = app.last_step();
        for _ in 0..4 {
            studio.frame(app, 0.075);
            film.add(&studio.picture()?, 7)?;
        }
        studio.frame(app, 0.5);
        film.add(&studio.picture()?, 45)?;
        if steps.is_none() && app.has_stopped() {
            break;
        }
    }
    studio.frame(app, 1.0);
    film.add(&studio.picture()?, 350)
}

/// Until nothing is on its way.
fn finish(app: &mut App, studio: &mut Studio) -> Result<(), String> {
    while app.is_thinking() {
        app.wait(MOMENT);
        studio.frame(app, 0.0);
    }
    match app.error() {
        Some(error) => Err(error.to_string()),
        None => Ok(()),
    }
}

/// A film on its way into a GIF: each picture only where it differs from the one before.
struct Film {
    encoder: gif::Encoder<BufWriter<File>>,
    name: String,
    last: Option<RgbaImage>,
    /// Time that pictures which are like the one before add to the next.
    owed: u16,
}

impl Film {
    fn create(file: &Path, studio: &Studio) -> Result<Film, String> {
        let name = file.display().to_string();
        let wrong = |e: String| format!("{name}: {e}");
        let [width, height] = studio.size().map(u16::try_from);
        let (Ok(width), Ok(height)) = (width, height) else {
            return Err(wrong("too large for a GIF".into()));
        };
        let out = BufWriter::new(File::create(file).map_err(|e| wrong(e.to_string()))?);
        let mut encoder = gif::Encoder::new(out, width, height, &[]).map_err(|e| wrong(e.to_string()))?;
        encoder
            .set_repeat(gif::Repeat::Infinite)
            .map_err(|e| wrong(e.to_string()))?;
        Ok(Film {
            encoder,
            name,
            last: None,
            owed: 0,
        })
    }

    /// Adds a picture that is shown for so many hundredths of a second.
    fn add(&mut self, picture: &RgbaImage, time: u16) -> Result<(), String> {
        let Some([left, top, right, bottom]) = differs(self.last.as_ref(), picture) else {
            self.owed = self.owed.saturating_add(time);
            return Ok(());
        };
        let (width, height) = (right - left, bottom - top);
        let mut part = image::imageops::crop_imm(picture, left, top, width, height).to_image();
        if let Some(last) = &self.last {
            // What stays is left out: it compresses to nothing.
            for (x, y, pixel) in part.enumerate_pixels_mut() {
                if last.get_pixel(left + x, top + y) == pixel {
                    *pixel = image::Rgba([0, 0, 0, 0]);
                }
            }
        }
        let narrow = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        let mut frame = gif::Frame::from_rgba_speed(narrow(width), narrow(height), part.as_mut(), 8);
        (frame.left, frame.top) = (narrow(left), narrow(top));
        frame.delay = time.saturating_add(std::mem::take(&mut self.owed));
        frame.dispose = gif::DisposalMethod::Keep;
        self.last = Some(picture.clone());
        self.encoder
            .write_frame(&frame)
            .map_err(|e| format!("{}: {e}", self.name))
    }
}

/// The smallest rectangle with all pixels that differ: left, top, right, bottom. All of it where there is nothing to compare.
fn differs(last: Option<&RgbaImage>, picture: &RgbaImage) -> Option<[u32; 4]> {
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
    fn only_what_differs_is_kept() {
        let old = RgbaImage::new(9, 7);
        assert_eq!(differs(None, &old), Some([0, 0, 9, 7]));
        assert_eq!(differs(Some(&old), &old), None);
        let mut new = old.clone();
        new.put_pixel(2, 3, image::Rgba([1, 0, 0, 0]));
        new.put_pixel(5, 4, image::Rgba([1, 0, 0, 0]));
        assert_eq!(differs(Some(&old), &new), Some([2, 3, 6, 5]));
    }
}
