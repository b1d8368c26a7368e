//! The app without a window: what keys and clicks do, and how long a frame takes.

use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use trm_demo::app::{App, AppOptions};
use trm_demo::board::Board;
use trm_demo::settings::Settings;
use trm_demo::worker::RunMode;
use trm_runtime::Device;

/// A 4 x 4 Sudoku without its first clue, a 2 in cell 5.
const ALMOST: &str = "0000000440102103";
const NINE: &str =
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";

fn app(puzzle: &str) -> App {
    App::new(AppOptions {
        board: Some(Board::parse(puzzle).unwrap()),
        device: Some(Device::Cpu),
        settings: Settings {
            speed: 0.0,
            ..Settings::default()
        },
        ..AppOptions::default()
    })
}

fn window(puzzle: &str) -> Harness<'static, App> {
    let builder = Harness::builder()
        .with_size(egui::vec2(1180.0, 780.0))
        .with_step_dt(0.1);
    builder.build_ui_state(|ui, app: &mut App| app.ui(ui), app(puzzle))
}

/// Runs frames until all runners pause.
fn settle(harness: &mut Harness<'_, App>) {
    let start = Instant::now();
    harness.step();
    while harness.state().is_running() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{}",
            harness.state().status()
        );
        std::thread::sleep(Duration::from_millis(5));
        harness.step();
    }
    harness.run_steps(6);
}

fn press(harness: &mut Harness<'_, App>, key: egui::Key) {
    harness.key_press(key);
    harness.step();
}

fn press_command(harness: &mut Harness<'_, App>, key: egui::Key) {
    harness.key_press_modifiers(egui::Modifiers::COMMAND, key);
    harness.step();
}

fn type_text(harness: &mut Harness<'_, App>, text: &str) {
    harness.event(egui::Event::Text(text.into()));
    harness.step();
}

fn click(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.run_steps(2);
}

#[test]
fn the_keyboard_types_solves_seeks_and_undoes() {
    let mut harness = window(ALMOST);
    // The cell in the second row, second column.
    press(&mut harness, egui::Key::ArrowDown);
    press(&mut harness, egui::Key::ArrowRight);
    type_text(&mut harness, "2");
    assert_eq!(
        harness.state().board().to_text(),
        "0000020440102103".replace('0', blank(&harness))
    );

    press(&mut harness, egui::Key::Space);
    settle(&mut harness);
    let last = harness.state().last_step();
    assert!(last > 0, "{}", harness.state().status());
    assert_eq!(harness.state().is_valid(), Some(true));
    assert_eq!(harness.state().shown_step(), last);

    press(&mut harness, egui::Key::Home);
    assert_eq!(harness.state().shown_step(), 0);
    press(&mut harness, egui::Key::CloseBracket);
    assert_eq!(harness.state().shown_step(), 1);
    press(&mut harness, egui::Key::OpenBracket);
    assert_eq!(harness.state().shown_step(), 0);
    press(&mut harness, egui::Key::End);
    assert_eq!(harness.state().shown_step(), last);

    // One step past the halt.
    press(&mut harness, egui::Key::Enter);
    settle(&mut harness);
    assert_eq!(harness.state().last_step(), last + 1);

    press_command(&mut harness, egui::Key::Z);
    assert_eq!(harness.state().board(), &Board::parse(ALMOST).unwrap());
    assert_eq!(
        harness.state().last_step(),
        0,
        "the steps of another puzzle must be discarded"
    );
    press_command(&mut harness, egui::Key::Y);
    assert_eq!(harness.state().board().cell(5), 2);
}

/// Returns how a board writes a blank.
fn blank(harness: &Harness<'_, App>) -> &'static str {
    if harness.state().board().to_text().contains('.') {
        "."
    } else {
        "0"
    }
}

#[test]
fn the_mouse_does_the_same() {
    let mut harness = window(ALMOST);
    let board = harness.get_by_label_contains("Board: row").rect();
    // The grid is in the middle of the area. Half a cell left and up of the middle is the cell in
    // the second row, second column.
    let side = board.width().min(board.height()) / 4.0;
    let cell = board.center() - egui::vec2(side, side) / 2.0;
    harness.hover_at(cell);
    harness.drag_at(cell);
    harness.step();
    harness.drop_at(cell);
    harness.run_steps(2);
    harness.get_by_label_contains("Board: row 2, column 2: empty");
    click(&mut harness, "2");
    assert_eq!(harness.state().board().cell(5), 2);

    click(&mut harness, "Think");
    settle(&mut harness);
    assert_eq!(harness.state().is_valid(), Some(true));
    let last = harness.state().last_step();
    harness.get_by_label_contains("the model stopped here");
    click(&mut harness, "<");
    assert_eq!(harness.state().shown_step(), last - 1);
    click(&mut harness, ">");
    assert_eq!(harness.state().shown_step(), last);
    click(&mut harness, "Undo");
    assert_eq!(harness.state().board().cell(5), 0);
    click(&mut harness, "Redo");
    assert_eq!(harness.state().board().cell(5), 2);
}

#[test]
fn the_theme_can_be_switched() {
    let mut harness = window(ALMOST);
    let is_dark = |harness: &Harness<'_, App>| harness.ctx.global_style().visuals.dark_mode;
    let before = is_dark(&harness);
    press(&mut harness, egui::Key::T);
    harness.step();
    assert_ne!(is_dark(&harness), before);
    click(&mut harness, if before { "Dark" } else { "Light" });
    assert_eq!(is_dark(&harness), before);
}

#[test]
fn tabs_keep_their_puzzles_and_pasting_switches_to_the_right_tab() {
    let mut harness = window(NINE);
    let nine = harness.state().board().clone();
    press_command(&mut harness, egui::Key::Num4);
    assert_eq!(harness.state().board().kind().name(), "Maze 10 x 10");
    harness.event(egui::Event::Paste(ALMOST.into()));
    harness.step();
    assert_eq!(harness.state().board(), &Board::parse(ALMOST).unwrap());
    press_command(&mut harness, egui::Key::Num3);
    assert_eq!(harness.state().board(), &nine);
    harness.event(egui::Event::Paste("no puzzle".into()));
    harness.step();
    harness.get_by_label_contains("the pasted text is not a puzzle");
    // A pasted puzzle replaces the puzzle of its tab. Undo brings that back.
    let pasted = NINE.replacen('5', ".", 1);
    harness.event(egui::Event::Paste(pasted.clone()));
    harness.step();
    assert_eq!(harness.state().board(), &Board::parse(&pasted).unwrap());
    press_command(&mut harness, egui::Key::Z);
    assert_eq!(harness.state().board(), &nine);
}

#[test]
fn a_stroke_in_a_maze_is_undone_as_a_whole() {
    let mut harness = window(NINE);
    press_command(&mut harness, egui::Key::Num4);
    press(&mut harness, egui::Key::X);
    let empty = harness.state().board().clone();
    let rect = harness.get_by_label_contains("Board: row").rect();
    let side = rect.width().min(rect.height()) / 10.0;
    let at = |col: f32| rect.center() + egui::vec2(col * side * 0.95, 0.2 * side);
    harness.hover_at(at(-3.0));
    harness.drag_at(at(-3.0));
    harness.step();
    // A fast stroke also draws the cells between.
    for col in [0.0, 3.0] {
        harness.hover_at(at(col));
        harness.step();
    }
    harness.drop_at(at(3.0));
    harness.run_steps(2);
    let walls = |board: &Board| board.cells().iter().filter(|&&cell| cell == b'#').count();
    // From 2.85 cells left of the middle to 2.85 right of it are six columns.
    assert_eq!(walls(harness.state().board()), 6);
    press_command(&mut harness, egui::Key::Z);
    assert_eq!(harness.state().board(), &empty);
}

#[test]
fn two_devices_are_compared_side_by_side() {
    let mut harness = window(ALMOST.replacen("00000004", "00000204", 1).as_str());
    click(&mut harness, "Compare");
    harness.get_by_label_contains("Second board: row");
    press(&mut harness, egui::Key::Space);
    settle(&mut harness);
    assert_eq!(
        harness.state().status().matches("Halted").count(),
        2,
        "{}",
        harness.state().status()
    );
    assert_eq!(harness.state().is_valid(), Some(true));
}

#[test]
fn invalid_puzzles_and_missing_models_are_reported() {
    let mut harness = window("1100000000000000");
    harness.get_by_label_contains("two 1s");
    press(&mut harness, egui::Key::Space);
    settle(&mut harness);
    assert!(
        harness
            .state()
            .error()
            .is_some_and(|e| e.contains("two 1s"))
    );
    // There is no bundled model for ARC.
    press_command(&mut harness, egui::Key::Num5);
    press(&mut harness, egui::Key::Space);
    settle(&mut harness);
    assert!(
        harness
            .state()
            .error()
            .is_some_and(|e| e.contains("open a folder")),
        "{}",
        harness.state().status()
    );
}

#[test]
fn closing_during_a_run_ends_quickly() {
    let mut harness = window(NINE);
    let ctx = harness.ctx.clone();
    harness.state_mut().run(RunMode::Endless, &ctx);
    while harness.state().last_step() < 2 {
        harness.step();
    }
    assert!(harness.state().is_running());
    let start = Instant::now();
    drop(harness);
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// During a run without a speed limit, the app's own work stays below a frame of 60 Hz.
///
/// On a busy machine the system may suspend the thread in the middle of a frame, so that single
/// frames may be late. Nine of ten must be in time, and the median must be below a quarter of that.
#[test]
fn no_frame_waits_for_the_solver() {
    const BUDGET: Duration = Duration::from_millis(16);
    let mut harness = window(NINE);
    harness.run_steps(3);
    let ctx = harness.ctx.clone();
    harness.state_mut().run(RunMode::Endless, &ctx);
    let mut times = Vec::new();
    while harness.state().last_step() < 30 {
        let before = harness.state().frame_times().total;
        harness.step();
        times.push(harness.state().frame_times().total - before);
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let late = times.iter().filter(|&&time| time > BUDGET).count();
    println!(
        "{} frames while solving: \
         median {:?}, nine of ten within {:?}, slowest {:?}, {late} above {BUDGET:?}",
        times.len(),
        at(0.5),
        at(0.9),
        at(1.0)
    );
    assert!(at(0.9) < BUDGET && at(0.5) < BUDGET / 4);
}

#[test]
fn settings_are_saved_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    let start = || {
        let (settings, note) = Settings::load(&path);
        AppOptions {
            settings,
            settings_path: Some(path.clone()),
            note,
            ..AppOptions::default()
        }
    };
    let builder = || Harness::builder().with_size(egui::vec2(1180.0, 780.0));
    let mut harness = builder().build_ui_state(|ui, app: &mut App| app.ui(ui), App::new(start()));
    press_command(&mut harness, egui::Key::Num4);
    press(&mut harness, egui::Key::M);
    press(&mut harness, egui::Key::H);
    harness.state_mut().save();
    let status = harness.state().status();
    let harness = builder().build_ui_state(|ui, app: &mut App| app.ui(ui), App::new(start()));
    assert_eq!(harness.state().status(), status);

    std::fs::write(&path, "{").unwrap();
    let harness = builder().build_ui_state(|ui, app: &mut App| app.ui(ui), App::new(start()));
    harness.get_by_label_contains("is ignored");
}

/// A file dropped on the window.
#[derive(Debug)]
struct Dropped(std::path::PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &std::path::Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|e| e.to_string())
    }
}

fn drop_file(harness: &mut Harness<'_, App>, path: impl AsRef<std::path::Path>) {
    let file = std::sync::Arc::new(Dropped(path.as_ref().to_path_buf()));
    harness.input_mut().dropped_files = vec![file];
    harness.step();
    harness.input_mut().dropped_files.clear();
}

#[test]
fn puzzles_and_models_can_be_dropped_on_the_window() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut harness = window(ALMOST);
    drop_file(&mut harness, root.join("examples/puzzles/sudoku-9x9.json"));
    assert_eq!(harness.state().board().rows(), 9);
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("a-model");
    std::fs::create_dir(&model).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(root.join("models/sudoku-9x9").join(name), model.join(name)).unwrap();
    }
    drop_file(&mut harness, &model);
    press(&mut harness, egui::Key::Space);
    settle(&mut harness);
    let status = harness.state().status();
    assert!(status.contains("a-model on"), "{status}");
    assert_eq!(harness.state().is_valid(), Some(true), "{status}");
    // Any other file leaves the board unchanged.
    let board = harness.state().board().clone();
    drop_file(&mut harness, root.join("LICENSE-MIT"));
    assert_eq!(harness.state().board(), &board);
}
