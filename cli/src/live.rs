//! The terminal: what it can show, and a frame that is drawn over the last one.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::args::Color;

/// The least time that a frame stands: a step may take a millisecond, an eye does not.
const STANDS: Duration = Duration::from_millis(120);
/// Frames that may wait to be shown.
const AHEAD: usize = 1024;

/// What standard output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// It is a terminal.
    pub(crate) there: bool,
    /// Colours are wanted.
    pub(crate) colour: bool,
    /// Its lines can be drawn over.
    pub(crate) redraws: bool,
}

impl Terminal {
    /// Looks at standard output and the environment.
    pub(crate) fn of_stdout(color: Color) -> Terminal {
        let there = io::stdout().is_terminal();
        let able = there && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let colour = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => able && !unwanted,
        };
        Terminal {
            there,
            colour,
            redraws: able,
        }
    }
}

/// Frames on their way to the terminal. Showing them takes no time from solving.
#[derive(Debug)]
pub(crate) struct Live {
    frames: SyncSender<Vec<String>>,
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<io::Result<()>>,
}

impl Live {
    /// Starts below the cursor.
    pub(crate) fn start() -> Live {
        let (frames, received) = sync_channel::<Vec<String>>(AHEAD);
        let waiting = Arc::new(AtomicUsize::new(0));
        let behind = waiting.clone();
        let thread = std::thread::spawn(move || {
            let mut height = 0;
            let mut shown: Option<Instant> = None;
            for frame in received {
                if let Some(shown) = shown {
                    std::thread::sleep(
                        stands(behind.load(Ordering::Relaxed)).saturating_sub(shown.elapsed()),
                    );
                }
                behind.fetch_sub(1, Ordering::Relaxed);
                draw(&frame, height)?;
                height = frame.len();
                shown = Some(Instant::now());
            }
            Ok(())
        });
        Live {
            frames,
            waiting,
            thread,
        }
    }

    /// Shows a frame after those before it.
    pub(crate) fn show(&self, frame: Vec<String>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The thread ends early only when the terminal is gone, which `finish` reports.
        let _ = self.frames.send(frame);
    }

    /// Waits for the last frame.
    pub(crate) fn finish(self) -> io::Result<()> {
        drop(self.frames);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("drawing failed")))
    }
}

/// How long a frame stands while so many wait: the eye is never more than about two seconds behind.
fn stands(waiting: usize) -> Duration {
    STANDS.mul_f64((16.0 / waiting.max(1) as f64).min(1.0))
}

/// Draws over the last frame's lines, in one write.
fn draw(frame: &[String], over: usize) -> io::Result<()> {
    let mut text = String::new();
    if over > 0 {
        text += &format!("\x1b[{over}A");
    }
    for line in frame {
        text += "\r\x1b[2K";
        text += line;
        text.push('\n');
    }
    if frame.len() < over {
        text += "\x1b[J";
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether a frame can be drawn over: all of it must be on the screen, and no line may wrap.
pub(crate) fn fits(frame: &[String]) -> bool {
    let Some((terminal_size::Width(cols), terminal_size::Height(rows))) =
        terminal_size::terminal_size()
    else {
        return true;
    };
    // A terminal of no size at all is one that does not tell.
    let (cols, rows) = (usize::from(cols), usize::from(rows));
    let width = frame.iter().map(|line| visible(line)).max().unwrap_or(0);
    (rows == 0 || frame.len() < rows) && (cols == 0 || width < cols)
}

/// Characters of a line that take a place, without escape sequences.
fn visible(line: &str) -> usize {
    let mut escape = false;
    let takes_place = |c: &char| {
        let was = escape;
        escape = *c == '\x1b' || (escape && !c.is_ascii_alphabetic());
        !was && *c != '\x1b'
    };
    line.chars().filter(takes_place).count()
}

#[cfg(test)]
mod tests {
    #[test]
    fn escape_sequences_take_no_place() {
        assert_eq!(super::visible("\x1b[1m5\x1b[0m 3"), 3);
        assert_eq!(super::visible("│ 5 │"), 5);
    }
}
