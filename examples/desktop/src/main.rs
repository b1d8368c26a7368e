//! `trm-demo`: a window in which a Tiny Recursive Model solves puzzles, step by step. This file
//! reads the command line and maps results to exit codes.

#![deny(missing_docs)]

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use trm_demo::ModelChoice;
use trm_demo::app::{App, AppOptions, Comparison};
use trm_demo::args::{Args, BoardName, ThemeName};
use trm_demo::board::{Board, Kind, MAX_PUZZLE_BYTES};
use trm_demo::generate::{Difficulty, generate};
use trm_demo::offscreen::OffscreenRenderer;
use trm_demo::settings::Settings;
use trm_demo::{export, window};
use trm_runtime::Device;

fn main() -> ExitCode {
    let program_start = Instant::now();
    match run(Args::parse(), program_start) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(2)
        }
    }
}

/// Runs the program. Returns false if the model stopped with an answer that breaks the rules.
fn run(args: Args, program_start: Instant) -> Result<bool, String> {
    let offscreen = args.screenshot.is_some() || args.record.is_some();
    let options = app_options(&args, offscreen)?;
    if !offscreen {
        return window::run(options, args.verbose, program_start).map(|()| true);
    }
    let mut app = App::new(options);
    let mut renderer = OffscreenRenderer::new(args.size, args.scale)?;
    match (&args.screenshot, &args.record) {
        (Some(file), _) => export::write_screenshot(&mut app, &mut renderer, args.steps, file)?,
        (_, Some(file)) => export::write_gif(&mut app, &mut renderer, args.steps, file)?,
        _ => {}
    }
    Ok(!app.has_stopped() || app.is_valid() != Some(false))
}

fn app_options(args: &Args, offscreen: bool) -> Result<AppOptions, String> {
    // Pictures must not depend on the settings of the user.
    let settings_path = match offscreen || args.no_settings {
        true => None,
        false => Settings::path(),
    };
    let (mut settings, note) = settings_path
        .as_deref()
        .map(Settings::load)
        .unwrap_or_default();
    if let Some(note) = &note {
        eprintln!("note: {note}");
    }
    if args.heat {
        settings.heat = true;
    }
    if let Some(difficulty) = args.difficulty {
        settings.difficulty = Difficulty::from(difficulty).name().into();
    }
    match args.theme {
        Some(ThemeName::Light) => settings.theme = "light".into(),
        Some(ThemeName::Dark) => settings.theme = "dark".into(),
        None => {}
    }
    let board = match &args.puzzle {
        Some(path) => Some(open_puzzle(path)?),
        None => generate_puzzle(args),
    };
    let not_empty = |name: &&str| !name.is_empty();
    let model = args.model.as_deref().filter(not_empty);
    let device = args.device.as_deref().filter(not_empty);
    let options = AppOptions {
        board,
        model: model.map(ModelChoice::from_name),
        device: device.map(parse_device).transpose()?,
        comparison: comparison(args)?,
        settings,
        settings_path,
        note,
    };
    Ok(options)
}

fn parse_device(name: &str) -> Result<Device, String> {
    name.parse().map_err(|e: trm_runtime::Error| e.to_string())
}

/// Returns the right side of the comparison that the command line asks for.
fn comparison(args: &Args) -> Result<Option<Comparison>, String> {
    let model = args.against_model.as_deref().map(ModelChoice::from_name);
    let device = args
        .against_device
        .as_deref()
        .map(parse_device)
        .transpose()?;
    let is_set = model.is_some() || device.is_some();
    Ok(is_set.then_some(Comparison { model, device }))
}

fn open_puzzle(path: &Path) -> Result<Board, String> {
    if path != Path::new("-") {
        return Board::open(path);
    }
    let mut text = String::new();
    let input = std::io::stdin().lock();
    input
        .take(MAX_PUZZLE_BYTES as u64)
        .read_to_string(&mut text)
        .map_err(|e| format!("standard input: {e}"))?;
    Board::parse(&text)
}

/// Generates a puzzle if the command line describes one.
fn generate_puzzle(args: &Args) -> Option<Board> {
    if args.board.is_none() && args.difficulty.is_none() && args.seed.is_none() {
        return None;
    }
    let kind = match args.board.unwrap_or(BoardName::Nine) {
        BoardName::Four => Kind::sudoku(4),
        BoardName::Six => Kind::sudoku(6),
        BoardName::Nine => Kind::sudoku(9),
        BoardName::Maze => Kind::maze(10),
        BoardName::Arc => return Some(Board::empty(Kind::arc(5, 5))),
    };
    let difficulty = args.difficulty.map_or(Difficulty::Easy, Difficulty::from);
    Some(generate(kind, difficulty, args.seed.unwrap_or(1)))
}
