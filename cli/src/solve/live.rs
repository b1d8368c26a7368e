//! The live view: draws each frame over the last one on the terminal.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::args::Color;
use crate::output::can_redraw;
use crate::stdout;

/// Minimum time that a frame is visible. A step can take a millisecond, which is too short to see.
const MIN_FRAME_TIME: Duration = Duration::from_millis(120);
/// Maximum number of frames that wait to be drawn.
const FRAME_QUEUE: usize = 1024;

/// What standard output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Standard output is a terminal.
    pub(crate) present: bool,
    /// Colours should be used.
    pub(crate) color: bool,
    /// Lines can be overwritten.
    pub(crate) redraws: bool,
}

impl Terminal {
    /// Examines standard output and the environment.
    pub(crate) fn of_stdout(color: Color) -> Self {
        let present = io::stdout().is_terminal();
        let redraws = can_redraw(&io::stdout());
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => redraws && !no_color,
        };
        Self {
            present,
            color,
            redraws,
        }
    }
}

/// Draws frames in a thread of its own, so that solving does not wait for the terminal.
#[derive(Debug)]
pub(crate) struct LiveView {
    frames: SyncSender<Vec<String>>,
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<io::Result<()>>,
}

impl LiveView {
    /// Starts the thread. The first frame is drawn below the cursor. `None` if no thread can be
    /// started: the steps are then not shown.
    pub(crate) fn start() -> Option<Self> {
        let (frames, received) = sync_channel::<Vec<String>>(FRAME_QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let queued = waiting.clone();
        let draw_all = move || {
            let mut height = 0;
            let mut last_drawn: Option<Instant> = None;
            for frame in received {
                if let Some(last_drawn) = last_drawn {
                    let time = frame_time(queued.load(Ordering::Relaxed));
                    std::thread::sleep(time.saturating_sub(last_drawn.elapsed()));
                }
                queued.fetch_sub(1, Ordering::Relaxed);
                draw(&frame, height)?;
                height = frame.len();
                last_drawn = Some(Instant::now());
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().spawn(draw_all).ok()?;
        Some(Self {
            frames,
            waiting,
            thread,
        })
    }

    /// Queues a frame.
    pub(crate) fn show(&self, frame: Vec<String>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The thread ends early only if the terminal cannot be written, which `finish` reports.
        let _ = self.frames.send(frame);
    }

    /// Waits until the last frame is drawn.
    pub(crate) fn finish(self) -> io::Result<()> {
        drop(self.frames);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("drawing failed")))
    }
}

/// Returns how long a frame is visible while `waiting` frames are queued. The view is never more
/// than about two seconds behind.
fn frame_time(waiting: usize) -> Duration {
    MIN_FRAME_TIME.mul_f64((16.0 / waiting.max(1) as f64).min(1.0))
}

/// Draws a frame over the last one, which has `last_height` lines, in one write.
fn draw(frame: &[String], last_height: usize) -> io::Result<()> {
    let mut text = String::new();
    if last_height > 0 {
        text += &format!("\x1b[{last_height}A");
    }
    for line in frame {
        text += "\r\x1b[2K";
        text += line;
        text.push('\n');
    }
    if frame.len() < last_height {
        text += "\x1b[J";
    }
    stdout::write(text.as_bytes())
}

/// Returns whether a frame can be overwritten: it fits on the screen, and no line wraps.
pub(crate) fn fits(frame: &[String]) -> bool {
    let Some((terminal_size::Width(cols), terminal_size::Height(rows))) =
        terminal_size::terminal_size()
    else {
        return true;
    };
    // Size 0 means that the terminal does not report its size.
    let (cols, rows) = (usize::from(cols), usize::from(rows));
    let width = frame
        .iter()
        .map(|line| visible_width(line))
        .max()
        .unwrap_or(0);
    (rows == 0 || frame.len() < rows) && (cols == 0 || width < cols)
}

/// Returns the number of characters of a line without its escape sequences.
fn visible_width(line: &str) -> usize {
    let mut escape = false;
    let is_visible = |c: &char| {
        let was_escape = escape;
        escape = *c == '\x1b' || (escape && !c.is_ascii_alphabetic());
        !was_escape && *c != '\x1b'
    };
    line.chars().filter(is_visible).count()
}

#[cfg(test)]
mod tests {
    #[test]
    fn escape_sequences_have_no_width() {
        assert_eq!(super::visible_width("\x1b[1m5\x1b[0m 3"), 3);
        assert_eq!(super::visible_width("│ 5 │"), 5);
    }
}
