//! `trm-demo`: a window in which a Tiny Recursive Model thinks. This file reads the command line and maps results to exit codes.

#![deny(missing_docs)]

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use trm::Device;
use trm_demo::ModelChoice;
use trm_demo::app::{App, Start};
use trm_demo::args::{Args, BoardName, ThemeName};
use trm_demo::board::{Board, Kind, MAX_BYTES};
use trm_demo::generate::{Difficulty, generate};
use trm_demo::offscreen::Studio;
use trm_demo::settings::Settings;
use trm_demo::{record, window};

fn main() -> ExitCode {
    let since = Instant::now();
    match run(Args::parse(), since) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well: the answer in a picture keeps its puzzle's rules, where the model has stopped.
fn run(args: Args, since: Instant) -> Result<bool, String> {
    let pictured = args.screenshot.is_some() || args.record.is_some();
    let start = start(&args, pictured)?;
    if !pictured {
        let against = against(&args)?;
        return window::run(start, against, args.verbose, since).map(|()| true);
    }
    let mut app = App::new(start);
    if let Some((model, device)) = against(&args)? {
        app.compare_with(model, device);
    }
    let mut studio = Studio::new(args.size, args.scale)?;
    match (&args.screenshot, &args.record) {
        (Some(file), _) => record::screenshot(&mut app, &mut studio, args.steps, file)?,
        (_, Some(file)) => record::film(&mut app, &mut studio, args.steps, file)?,
        _ => {}
    }
    Ok(!app.has_stopped() || app.is_right() != Some(false))
}

fn start(args: &Args, pictured: bool) -> Result<Start, String> {
    // Pictures are the same for everyone.
    let settings_path = if pictured || args.no_settings {
        None
    } else {
        Settings::path()
    };
    let (mut settings, note) = settings_path.as_deref().map(Settings::load).unwrap_or_default();
    if let Some(note) = &note {
        eprintln!("note: {note}");
    }
    if args.heat {
        settings.heat = true;
    }
    if let Some(difficulty) = args.difficulty {
        settings.difficulty = difficulty.name().into();
    }
    match args.theme {
        Some(ThemeName::Light) => settings.theme = "light".into(),
        Some(ThemeName::Dark) => settings.theme = "dark".into(),
        None => {}
    }
    let board = match &args.puzzle {
        Some(path) => Some(open(path)?),
        None => generated(args),
    };
    let device = args
        .device
        .as_deref()
        .filter(|device| !device.is_empty())
        .map(device)
        .transpose()?;
    Ok(Start {
        board,
        model: args
            .model
            .as_deref()
            .filter(|model| !model.is_empty())
            .map(ModelChoice::named),
        device,
        settings,
        settings_path,
        note,
    })
}

fn device(name: &str) -> Result<Device, String> {
    name.parse().map_err(|e: trm::Error| e.to_string())
}

/// The other side of a comparison: a model, a device.
type Against = (Option<ModelChoice>, Option<Device>);

/// The other side of a comparison, if one was asked for.
fn against(args: &Args) -> Result<Option<Against>, String> {
    let model = args.against_model.as_deref().map(ModelChoice::named);
    let device = args.against_device.as_deref().map(device).transpose()?;
    Ok((model.is_some() || device.is_some()).then_some((model, device)))
}

fn open(path: &Path) -> Result<Board, String> {
    if path != Path::new("-") {
        return Board::open(path);
    }
    let mut text = String::new();
    let input = std::io::stdin().lock();
    input
        .take(MAX_BYTES as u64)
        .read_to_string(&mut text)
        .map_err(|e| format!("standard input: {e}"))?;
    Board::parse(&text)
}

/// A new puzzle, if the command line says anything of one.
fn generated(args: &Args) -> Option<Board> {
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
