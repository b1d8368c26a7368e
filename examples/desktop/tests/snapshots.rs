//! How it looks, compared with the pictures in tests/snapshots. `UPDATE_SNAPSHOTS=1 cargo test -p trm-demo --test snapshots` draws
//! them anew; look at what it changed before you keep it.

use std::time::Duration;

use egui_kittest::{Harness, SnapshotOptions, try_image_snapshot_options};
use trm::Device;
use trm_demo::app::{App, Start};
use trm_demo::board::Board;
use trm_demo::settings::Settings;
use trm_demo::thinker::Pace;

const FOUR: &str = "0000020440102103";
const SIX: &str = "050000000620000000004000000005102000";

/// Software drivers of different versions round edges of letters differently: so many pixels may.
const FORGIVEN: usize = 0;

fn options() -> SnapshotOptions {
    SnapshotOptions::new().threshold(0.6).max_failed_pixels(FORGIVEN)
}

/// Whether there is a driver to draw with; TRM_REQUIRE_GPU says that there is one.
fn can_draw() -> bool {
    let can = !trm::devices().is_empty();
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
    let app = App::new(Start {
        board: Some(board),
        // Heat shows states to the last bits: the reference adds in the same order on every processor.
        device: Some(if heat { Device::Reference } else { Device::Cpu }),
        settings: Settings {
            speed: 0.0,
            heat,
            theme: theme.into(),
            ..Settings::default()
        },
        ..Start::default()
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
        harness.state_mut().go(Pace::One, &ctx);
        while harness.state().is_thinking() {
            harness.state_mut().wait(Duration::from_millis(20));
            harness.step();
        }
    }
    harness.state_mut().forget_the_machine();
    harness.run_steps(4);
}

#[test]
fn a_puzzle_in_the_light() {
    if can_draw() {
        let mut harness = window(Board::parse(SIX).unwrap(), "light", false);
        harness.run_steps(3);
        harness.snapshot_options("puzzle", &options());
    }
}

#[test]
fn a_step_of_a_sudoku_in_the_dark() {
    if can_draw() {
        let mut harness = window(Board::parse(SIX).unwrap(), "dark", false);
        take_steps(&mut harness, 1);
        harness.snapshot_options("step", &options());
    }
}

#[test]
fn heat_of_a_maze() {
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
        harness.state_mut().compare_with(None, None);
        take_steps(&mut harness, 3);
        harness.snapshot_options("comparison", &options());
    }
}

#[test]
fn a_task_of_arc() {
    if can_draw() {
        let task = include_str!("../../puzzles/arc/007bbfb7.json");
        let mut harness = window(Board::parse(task).unwrap(), "light", false);
        harness.run_steps(3);
        harness.snapshot_options("arc", &options());
    }
}

/// The comparison must see a single digit that changes.
#[test]
fn another_digit_is_another_picture() {
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
