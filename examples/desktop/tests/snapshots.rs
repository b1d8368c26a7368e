//! Pictures of the app, compared with those in `tests/snapshots`.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p trm-demo --test snapshots` draws them anew. Look at every
//! change before you keep it.

use std::time::Duration;

use egui_kittest::{Harness, SnapshotOptions, try_image_snapshot_options};
use trm_runtime::Device;
use trm_demo::app::{App, AppOptions, Comparison};
use trm_demo::board::Board;
use trm_demo::settings::Settings;
use trm_demo::worker::RunMode;

const FOUR: &str = "0000020440102103";
const SIX: &str = "050000000620000000004000000005102000";

/// The number of pixels that may differ by more than the threshold. The threshold allows for
/// software drivers that round the edges of letters differently.
const MAX_FAILED_PIXELS: usize = 0;

fn options() -> SnapshotOptions {
    SnapshotOptions::new()
        .threshold(0.6)
        .max_failed_pixels(MAX_FAILED_PIXELS)
}

/// Returns whether there is a driver to draw with. `TRM_REQUIRE_GPU` demands one.
fn can_draw() -> bool {
    let can = !trm_runtime::devices().is_empty();
    assert!(
        can || !std::env::var("TRM_REQUIRE_GPU").is_ok_and(|v| v == "1"),
        "no adapter"
    );
    if !can {
        eprintln!("skipped: no adapter");
    }
    can
}

fn window(board: Board, theme: &str, heat: bool) -> Harness<'static, App> {
    let app = App::new(AppOptions {
        board: Some(board),
        // Heat shows the exact states. The reference adds in the same order on every processor.
        device: Some(if heat { Device::Reference } else { Device::Cpu }),
        settings: Settings {
            speed: 0.0,
            heat,
            theme: theme.into(),
            ..Settings::default()
        },
        ..AppOptions::default()
    });
    let builder = Harness::builder()
        .with_size(egui::vec2(900.0, 620.0))
        .with_step_dt(0.5)
        .wgpu();
    builder.build_ui_state(|ui, app: &mut App| app.ui(ui), app)
}

fn take_steps(harness: &mut Harness<'_, App>, steps: usize) {
    let ctx = harness.ctx.clone();
    for _ in 0..steps {
        harness.state_mut().run(RunMode::OneStep, &ctx);
        while harness.state().is_running() {
            harness.state_mut().wait(Duration::from_millis(20));
            harness.step();
        }
    }
    harness.state_mut().mask_machine_details();
    harness.run_steps(4);
}

#[test]
fn a_puzzle_in_the_light_theme() {
    if can_draw() {
        let mut harness = window(Board::parse(SIX).unwrap(), "light", false);
        harness.run_steps(3);
        harness.snapshot_options("puzzle", &options());
    }
}

#[test]
fn a_sudoku_step_in_the_dark_theme() {
    if can_draw() {
        let mut harness = window(Board::parse(SIX).unwrap(), "dark", false);
        take_steps(&mut harness, 1);
        harness.snapshot_options("step", &options());
    }
}

#[test]
fn a_maze_with_heat() {
    if can_draw() {
        let maze = include_str!("../../puzzles/maze-10x10.json");
        let mut harness = window(Board::parse(maze).unwrap(), "light", true);
        take_steps(&mut harness, 2);
        harness.snapshot_options("maze", &options());
    }
}

#[test]
fn a_comparison() {
    if can_draw() {
        let mut harness = window(Board::parse(FOUR).unwrap(), "dark", false);
        harness.state_mut().compare_with(Comparison::default());
        take_steps(&mut harness, 3);
        harness.snapshot_options("comparison", &options());
    }
}

#[test]
fn an_arc_task() {
    if can_draw() {
        let task = include_str!("../../puzzles/arc/007bbfb7.json");
        let mut harness = window(Board::parse(task).unwrap(), "light", false);
        harness.run_steps(3);
        harness.snapshot_options("arc", &options());
    }
}

/// The comparison must detect the change of a single digit.
#[test]
fn another_digit_fails_the_comparison() {
    if !can_draw() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let picture = |puzzle: &str| {
        let mut harness = window(Board::parse(puzzle).unwrap(), "light", false);
        harness.run_steps(3);
        harness.render().unwrap()
    };
    let (one, other) = (picture(SIX), picture(&SIX.replacen('5', "3", 1)));
    one.save(folder.path().join("digit.png")).unwrap();
    let options = options().output_path(folder.path());
    assert!(
        std::env::var("UPDATE_SNAPSHOTS").is_ok()
            || try_image_snapshot_options(&other, "digit", &options).is_err()
    );
    try_image_snapshot_options(&picture(SIX), "digit", &options).unwrap();
}
