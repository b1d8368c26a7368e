//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum, builder::RangedU64ValueParser};

use crate::generate::Difficulty;

const EXAMPLES: &str = "Exit codes:
  0  the window was closed, or the picture written
  1  the picture was written, but the answer in it does not keep the puzzle's rules after the model has stopped
  2  nothing could be shown or written

Environment:
  TRM_MODEL, TRM_DEVICE  defaults of --model and --device
  TRM_CPU                portable, avx2, avx512 or neon: forces the CPU's instruction set

Examples:
  trm-demo
      A window with a new Sudoku. The space bar lets the model think, F1 shows all keys.
  trm-demo puzzle.json --model runs/my-sudoku --device gpu:0
      Opens with this puzzle, this model and this device.
  trm-demo --board maze --screenshot maze.png --steps 3
      Writes a picture of the third step; no window and no display are needed.
  trm-demo puzzle.json --record run.gif
      Writes a film of all steps.";

/// Watch a Tiny Recursive Model think.
#[derive(Debug, Parser)]
#[command(name = "trm-demo", version, after_long_help = EXAMPLES)]
pub struct Args {
    /// The puzzle to open with, or `-` for standard input: all forms that trm-run takes.
    pub puzzle: Option<PathBuf>,
    /// The model: a file that training wrote, a directory with one, a bundled name, or `auto` for the bundled one that fits.
    #[arg(long, value_name = "PATH", env = "TRM_MODEL", hide_env = true)]
    pub model: Option<String>,
    /// Where to run: auto, cpu, reference, gpu or gpu:N.
    #[arg(long, value_name = "DEVICE", env = "TRM_DEVICE", hide_env = true)]
    pub device: Option<String>,
    /// Compares with this model, side by side.
    #[arg(long, value_name = "PATH")]
    pub against_model: Option<String>,
    /// Compares with this device, side by side.
    #[arg(long, value_name = "DEVICE")]
    pub against_device: Option<String>,
    /// Without a puzzle: which board.
    #[arg(long, value_enum, value_name = "BOARD", conflicts_with = "puzzle")]
    pub board: Option<BoardName>,
    /// Without a puzzle: how hard the new one is.
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "puzzle")]
    pub difficulty: Option<DifficultyName>,
    /// Without a puzzle: another seed is another puzzle.
    #[arg(long, value_name = "N", conflicts_with = "puzzle")]
    pub seed: Option<u64>,
    /// Shows how far each cell's latent state moved.
    #[arg(long)]
    pub heat: bool,
    /// Light or dark, whatever the system says.
    #[arg(long, value_enum, value_name = "THEME")]
    pub theme: Option<ThemeName>,
    /// Writes a picture (PNG) instead of opening a window.
    #[arg(long, value_name = "FILE")]
    pub screenshot: Option<PathBuf>,
    /// Writes a film (GIF) of the run instead of opening a window.
    #[arg(long, value_name = "FILE", conflicts_with = "screenshot")]
    pub record: Option<PathBuf>,
    /// Steps of the picture or the film [default: until the model stops].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(0..=1024))]
    pub steps: Option<usize>,
    /// Width and height of the picture or the film, in pixels.
    #[arg(long, value_name = "WxH", value_parser = size, default_value = "1180x780")]
    pub size: [u32; 2],
    /// Pixels of the picture to a point: 2 is a picture for screens of high density.
    #[arg(long, value_name = "FACTOR", value_parser = scale, default_value = "1")]
    pub scale: f32,
    /// Neither reads nor writes settings.
    #[arg(long)]
    pub no_settings: bool,
    /// Tells on standard error what is to be seen, and how long frames took.
    #[arg(short, long)]
    pub verbose: bool,
}

/// `--board`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BoardName {
    /// A Sudoku of 4 x 4
    #[value(name = "4")]
    Four,
    /// A Sudoku of 6 x 6
    #[value(name = "6")]
    Six,
    /// A Sudoku of 9 x 9
    #[value(name = "9")]
    Nine,
    /// A maze of 10 x 10
    Maze,
    /// An empty ARC grid
    Arc,
}

/// `--difficulty`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DifficultyName {
    /// For everyone
    Easy,
    /// For some
    Medium,
    /// For few
    Hard,
}

impl DifficultyName {
    /// As in the settings.
    pub fn name(self) -> &'static str {
        match self {
            DifficultyName::Easy => "easy",
            DifficultyName::Medium => "medium",
            DifficultyName::Hard => "hard",
        }
    }
}

impl From<DifficultyName> for Difficulty {
    fn from(name: DifficultyName) -> Difficulty {
        match name {
            DifficultyName::Easy => Difficulty::Easy,
            DifficultyName::Medium => Difficulty::Medium,
            DifficultyName::Hard => Difficulty::Hard,
        }
    }
}

/// `--theme`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    /// Dark on light
    Light,
    /// Light on dark
    Dark,
}

fn size(text: &str) -> Result<[u32; 2], String> {
    let wrong = || "WIDTHxHEIGHT, as in 1180x780; each from 320 to 8192".to_string();
    let (width, height) = text.split_once('x').ok_or_else(wrong)?;
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|n| (320..=8192).contains(n))
            .ok_or_else(wrong)
    };
    Ok([number(width)?, number(height)?])
}

fn scale(text: &str) -> Result<f32, String> {
    let factor: Option<f32> = text.parse().ok();
    factor
        .filter(|f| (0.5..=4.0).contains(f))
        .ok_or("a number from 0.5 to 4".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["trm-demo", "a.json", "--model", "m", "--device", "gpu:1"]).unwrap();
        assert_eq!(
            (args.model.as_deref(), args.device.as_deref()),
            (Some("m"), Some("gpu:1"))
        );
        assert!(Args::try_parse_from(["trm-demo", "--size", "12x1"]).is_err());
        assert!(Args::try_parse_from(["trm-demo", "--record", "a", "--screenshot", "b"]).is_err());
    }
}
