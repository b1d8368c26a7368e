//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum, builder::RangedU64ValueParser};

use crate::generate::Difficulty;

/// The number of steps that `--steps` accepts.
const STEPS: std::ops::RangeInclusive<u64> = 0..=crate::worker::MAX_STEPS as u64;

const EXAMPLES: &str = "Exit codes:
  0  the window was closed, or the picture was written
  1  the picture was written, but the model stopped with an answer that breaks
     the rules of the puzzle
  2  nothing could be shown or written

Environment:
  TRM_MODEL, TRM_DEVICE  defaults of --model and --device
  TRM_CPU                portable, avx2, avx512 or neon: forces the CPU's
                         instruction set

Examples:
  trm-demo
      Open a window with a new Sudoku. Space starts the model, F1 lists all keys.
  trm-demo puzzle.json --model runs/my-sudoku --device gpu:0
      Open this puzzle with this model and this device.
  trm-demo --board maze --screenshot maze.png --steps 3
      Write a picture of the third step, without a window or a display.
  trm-demo puzzle.json --record run.gif
      Write an animation of all steps.";

/// Watch a Tiny Recursive Model solve a puzzle, step by step
#[derive(Debug, Parser)]
#[command(name = "trm-demo", version, after_long_help = EXAMPLES)]
pub struct Args {
    /// Puzzle file, or `-` for standard input
    ///
    /// Accepts every form that trm-run accepts.
    pub puzzle: Option<PathBuf>,
    /// Model file, model directory, bundled name, or `auto`
    ///
    /// `auto` chooses the bundled model that fits the board. A model file is one that training has
    /// written.
    #[arg(long, value_name = "PATH", env = "TRM_MODEL", hide_env = true)]
    pub model: Option<String>,
    /// Device: auto, cpu, reference, gpu or gpu:N
    #[arg(long, value_name = "DEVICE", env = "TRM_DEVICE", hide_env = true)]
    pub device: Option<String>,
    /// Compare with this model, side by side
    #[arg(long, value_name = "PATH")]
    pub against_model: Option<String>,
    /// Compare with this device, side by side
    #[arg(long, value_name = "DEVICE")]
    pub against_device: Option<String>,
    /// Generate a puzzle for this board
    #[arg(long, value_enum, value_name = "BOARD", conflicts_with = "puzzle")]
    pub board: Option<BoardName>,
    /// Generate a puzzle of this difficulty
    #[arg(long, value_enum, value_name = "LEVEL", conflicts_with = "puzzle")]
    pub difficulty: Option<DifficultyName>,
    /// Generate the puzzle with this seed
    #[arg(long, value_name = "N", conflicts_with = "puzzle")]
    pub seed: Option<u64>,
    /// Show how far each step moves the answer state of each cell
    #[arg(long)]
    pub heat: bool,
    /// Light or dark theme [default: as the system]
    #[arg(long, value_enum, value_name = "THEME")]
    pub theme: Option<ThemeName>,
    /// Write a picture (PNG) instead of opening a window
    #[arg(long, value_name = "FILE")]
    pub screenshot: Option<PathBuf>,
    /// Write an animation of the run (GIF) instead of opening a window
    #[arg(long, value_name = "FILE", conflicts_with = "screenshot")]
    pub record: Option<PathBuf>,
    /// Number of steps to draw [default: until the model stops]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(STEPS))]
    pub steps: Option<usize>,
    /// Width and height of the picture, in pixels
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "1180x780")]
    pub size: [u32; 2],
    /// Pixels per point, such as 2 for high-density screens
    #[arg(long, value_name = "FACTOR", value_parser = parse_scale, default_value = "1")]
    pub scale: f32,
    /// Neither read nor write settings
    #[arg(long)]
    pub no_settings: bool,
    /// Write the state and the frame times to standard error
    #[arg(short, long)]
    pub verbose: bool,
}

/// The values of `--board`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BoardName {
    /// Sudoku of 4 x 4
    #[value(name = "4")]
    Four,
    /// Sudoku of 6 x 6
    #[value(name = "6")]
    Six,
    /// Sudoku of 9 x 9
    #[value(name = "9")]
    Nine,
    /// Maze of 10 x 10
    Maze,
    /// Empty ARC grid
    Arc,
}

/// The values of `--difficulty`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DifficultyName {
    /// Sudoku with many clues; maze with a short path
    Easy,
    /// Sudoku with fewer clues; maze with a longer path
    Medium,
    /// Sudoku without a redundant clue; maze with a long path
    Hard,
}

impl From<DifficultyName> for Difficulty {
    fn from(name: DifficultyName) -> Self {
        match name {
            DifficultyName::Easy => Self::Easy,
            DifficultyName::Medium => Self::Medium,
            DifficultyName::Hard => Self::Hard,
        }
    }
}

/// The values of `--theme`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    /// Dark on light
    Light,
    /// Light on dark
    Dark,
}

fn parse_size(text: &str) -> Result<[u32; 2], String> {
    let error = || "expected WIDTHxHEIGHT, each from 320 to 8192, such as 1180x780".to_string();
    let (width, height) = text.split_once('x').ok_or_else(error)?;
    let parse = |text: &str| {
        text.parse()
            .ok()
            .filter(|n| (320..=8192).contains(n))
            .ok_or_else(error)
    };
    Ok([parse(width)?, parse(height)?])
}

fn parse_scale(text: &str) -> Result<f32, String> {
    let factor: Option<f32> = text.parse().ok();
    factor
        .filter(|f| (0.5..=4.0).contains(f))
        .ok_or("expected a number from 0.5 to 4".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let args =
            Args::try_parse_from(["trm-demo", "a.json", "--model", "m", "--device", "gpu:1"])
                .unwrap();
        assert_eq!(
            (args.model.as_deref(), args.device.as_deref()),
            (Some("m"), Some("gpu:1"))
        );
        assert!(Args::try_parse_from(["trm-demo", "--size", "12x1"]).is_err());
        assert!(Args::try_parse_from(["trm-demo", "--record", "a", "--screenshot", "b"]).is_err());
    }
}
