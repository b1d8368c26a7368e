//! The state of the window, and what one frame does with it. It needs no window: tests and
//! screenshots run the same code.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use egui::{Context, ThemePreference, Ui};
use trm_runtime::{Device, HaltRule};

use crate::board::{self, Board, Kind};
use crate::device_list::DeviceList;
use crate::file_dialog::{DialogKind, FileDialog};
use crate::generate::Difficulty;
use crate::model_choice::ModelChoice;
use crate::runner_view::RunnerView;
use crate::settings::Settings;
use crate::worker::TurnLock;
use crate::{help, keys, palette, panel, timeline, toolbar};

mod board_area;
mod puzzle;
mod runners;

pub(crate) use runners::SpeedChange;

/// What the app starts with.
#[derive(Debug, Default)]
pub struct AppOptions {
    /// The puzzle. Default: a generated one.
    pub board: Option<Board>,
    /// The model. Default: the last one used.
    pub model: Option<ModelChoice>,
    /// The device. Default: the last one used.
    pub device: Option<Device>,
    /// The right side of a comparison. Default: no comparison.
    pub comparison: Option<Comparison>,
    /// The settings of the last session.
    pub settings: Settings,
    /// The file that settings are saved to. Default: they are not saved.
    pub settings_path: Option<PathBuf>,
    /// A message to show at the start.
    pub note: Option<String>,
}

/// The right side of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// The model. Default: the same as on the left.
    pub model: Option<ModelChoice>,
    /// The device. Default: the same as on the left.
    pub device: Option<Device>,
}

/// A board of the tab bar. Each tab keeps its puzzle while another is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Four,
    Six,
    Nine,
    Maze,
    Arc,
}

impl Tab {
    pub(crate) const ALL: [Self; 5] = [Self::Four, Self::Six, Self::Nine, Self::Maze, Self::Arc];

    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Sudoku { side: 4, .. } => Self::Four,
            Kind::Sudoku { side: 6, .. } => Self::Six,
            Kind::Sudoku { .. } => Self::Nine,
            Kind::Maze { .. } => Self::Maze,
            Kind::Arc { .. } => Self::Arc,
        }
    }

    /// Returns the text of its button.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Four => "4 × 4",
            Self::Six => "6 × 6",
            Self::Nine => "9 × 9",
            Self::Maze => "Maze",
            Self::Arc => "ARC",
        }
    }

    /// Returns the text of its hint.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Four | Self::Six | Self::Nine => "Sudoku",
            Self::Maze => "mazes",
            Self::Arc => "grids of the Abstraction and Reasoning Corpus",
        }
    }

    /// Returns its name in the settings.
    fn name(self) -> &'static str {
        match self {
            Self::Four => "4",
            Self::Six => "6",
            Self::Nine => "9",
            Self::Maze => "maze",
            Self::Arc => "arc",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Four => Kind::sudoku(4),
            Self::Six => Kind::sudoku(6),
            Self::Nine => Kind::sudoku(9),
            Self::Maze => Kind::maze(10),
            Self::Arc => Kind::arc(5, 5),
        }
    }
}

/// The window's state.
#[derive(Debug)]
pub struct App {
    pub(crate) tab: Tab,
    /// A board for each of [`Tab::ALL`].
    boards: [Option<Board>; 5],
    /// Whole boards that undo can bring back, and those that redo can.
    replaced_boards: Vec<Board>,
    undone_boards: Vec<Board>,
    /// The widgets that are boards. Keys such as the arrows act on the board unless another widget
    /// has the focus.
    pub(crate) board_ids: Vec<egui::Id>,
    /// The cell that keys write to.
    pub(crate) cursor: usize,
    /// The value that the mouse draws in a maze or an ARC grid.
    pub(crate) brush: u8,
    /// The current mouse stroke: its last cell, and the value that it draws.
    stroke: Option<(usize, u8)>,
    pub(crate) runners: Vec<RunnerView>,
    /// Threads of removed runners. Each ends after its step in progress.
    ending_threads: Vec<JoinHandle<()>>,
    turn_lock: TurnLock,
    /// The step on the board. 0 is the puzzle.
    pub(crate) shown_step: usize,
    pub(crate) fade: Fade,
    /// Whether the board follows the latest step.
    pub(crate) follow_latest: bool,
    pub(crate) rule: HaltRule,
    pub(crate) threshold: f32,
    pub(crate) max_steps: Option<usize>,
    pub(crate) difficulty: Difficulty,
    seed: u64,
    pub(crate) settings: Settings,
    settings_path: Option<PathBuf>,
    saved_settings: Settings,
    pub(crate) device_list: DeviceList,
    dialog: Option<FileDialog>,
    pub(crate) note: Option<String>,
    pub(crate) help_open: bool,
    style_applied: bool,
    frame_times: FrameTimes,
}

/// A fade from the step that was shown before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fade {
    pub(crate) from_step: usize,
    /// The time at which it started, in seconds of egui's clock.
    pub(crate) start: f64,
}

impl Fade {
    /// A fade that is already over.
    const DONE: Self = Self {
        from_step: 0,
        start: f64::NEG_INFINITY,
    };
}

/// How long the frames of the window took, without drawing them.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameTimes {
    /// The number of frames.
    pub frames: usize,
    /// The sum of all frames.
    pub total: Duration,
    /// The slowest frame after the first.
    pub slowest: Duration,
    /// The first frame, which lays out all glyphs.
    pub first: Duration,
}

impl App {
    /// Creates the state of a window.
    pub fn new(options: AppOptions) -> Self {
        let settings = options.settings;
        let last_model = ModelChoice::from_name(&settings.model);
        let kind = options.board.as_ref().map(Board::kind);
        // The last bundled model may be for another board than this one.
        let fits = kind.is_none() || last_model.board_kind().is_none_or(|own| Some(own) == kind);
        let last_model = if fits { last_model } else { ModelChoice::Auto };
        let model = options.model.unwrap_or(last_model);
        // An invalid device name in the settings counts as not set.
        let device = options
            .device
            .or_else(|| settings.device.parse().ok())
            .unwrap_or_default();
        let last_tab = Tab::ALL
            .into_iter()
            .find(|tab| tab.name() == settings.board);
        let board_tab = options.board.as_ref().map(|board| Tab::of(board.kind()));
        let model_tab = model.board_kind().map(Tab::of);
        let mut app = Self {
            tab: board_tab.or(model_tab).or(last_tab).unwrap_or(Tab::Nine),
            boards: Default::default(),
            replaced_boards: Vec::new(),
            undone_boards: Vec::new(),
            board_ids: Vec::new(),
            cursor: 0,
            brush: board::WALL,
            stroke: None,
            runners: vec![RunnerView::new(model, device)],
            ending_threads: Vec::new(),
            turn_lock: TurnLock::default(),
            shown_step: 0,
            fade: Fade::DONE,
            follow_latest: true,
            rule: HaltRule::Verified,
            threshold: 0.5,
            max_steps: None,
            difficulty: Difficulty::from_name(&settings.difficulty).unwrap_or_default(),
            seed: 1,
            saved_settings: settings.clone(),
            settings,
            settings_path: options.settings_path,
            device_list: DeviceList::default(),
            dialog: None,
            note: options.note,
            help_open: false,
            style_applied: false,
            frame_times: FrameTimes::default(),
        };
        match options.board {
            Some(board) => app.boards[app.tab as usize] = Some(board),
            None => app.new_puzzle(),
        }
        app.reset_brush();
        if let Some(comparison) = options.comparison {
            app.compare_with(comparison);
        }
        app
    }

    /// Runs one frame: applies events and input, and draws.
    pub fn ui(&mut self, ui: &mut Ui) {
        let start = Instant::now();
        let ctx = ui.ctx().clone();
        if !self.style_applied {
            self.style_applied = true;
            palette::apply_style(&ctx);
            ctx.set_theme(self.theme());
            ctx.set_zoom_factor(self.settings.zoom);
        }
        self.poll(&ctx);
        keys::handle(self, &ctx);
        self.open_dropped(&ctx);
        toolbar::show(self, ui);
        timeline::show(self, ui);
        panel::show(self, ui);
        self.board_ids.clear();
        board_area::show(self, ui);
        help::show(self, &ctx);
        self.settings.zoom = ctx.zoom_factor();
        self.record_frame_time(start.elapsed());
    }

    fn record_frame_time(&mut self, time: Duration) {
        let times = &mut self.frame_times;
        times.frames += 1;
        times.total += time;
        if times.frames == 1 {
            times.first = time;
        } else {
            times.slowest = times.slowest.max(time);
        }
    }

    /// Returns how long the frames took, without drawing them.
    pub fn frame_times(&self) -> FrameTimes {
        self.frame_times
    }

    /// Applies what the threads have reported.
    fn poll(&mut self, ctx: &Context) {
        self.device_list.poll();
        self.ending_threads.retain(|thread| !thread.is_finished());
        for runner in &mut self.runners {
            runner.poll();
        }
        if self.follow_latest {
            self.show_step(self.last_step(), ctx);
        }
        if let Some((kind, path)) = self.dialog.as_ref().and_then(FileDialog::answer) {
            self.dialog = None;
            match (kind, path) {
                (_, None) => {}
                (DialogKind::Puzzle, Some(path)) => self.open_puzzle(&path),
                (DialogKind::ModelFolder | DialogKind::ModelFile, Some(path)) => {
                    self.choose_model(0, ModelChoice::Path(path));
                }
            }
        }
    }

    /// Describes the state in one line, for logs and for scripts that drive a real window.
    pub fn status(&self) -> String {
        let status = |runner: &RunnerView| {
            let state = match (runner.is_running(), &runner.error, runner.history.stop) {
                (_, Some(error), _) => format!("failed: {error}"),
                (true, ..) => "thinks".into(),
                (_, _, Some(stop)) => format!("{stop:?}"),
                _ => "waits".into(),
            };
            let validity = match runner.last_valid() {
                Some(true) => ", right",
                Some(false) => ", wrong",
                None => "",
            };
            let (model, device) = (runner.model.name(), runner.device.to_string());
            format!("{model} on {device}: {state}{validity}")
        };
        let runners: Vec<String> = self.runners.iter().map(status).collect();
        format!(
            "{}, cell {}, step {} of {}; {}",
            self.board().kind().name(),
            self.cursor,
            self.shown_step,
            self.last_step(),
            runners.join("; ")
        )
    }

    pub(crate) fn theme(&self) -> ThemePreference {
        match self.settings.theme.as_str() {
            "light" => ThemePreference::Light,
            "dark" => ThemePreference::Dark,
            _ => ThemePreference::System,
        }
    }

    pub(crate) fn set_theme(&mut self, theme: ThemePreference, ctx: &Context) {
        self.settings.theme = match theme {
            ThemePreference::Light => "light",
            ThemePreference::Dark => "dark",
            ThemePreference::System => "system",
        }
        .into();
        ctx.set_theme(theme);
    }

    /// Records the size of the window, in points at zoom 1.
    pub fn set_window_size(&mut self, size: [f32; 2]) {
        self.settings.window = size;
    }

    /// Saves the settings if they have changed.
    pub fn save(&mut self) {
        if let Some(runner) = self.runners.first() {
            self.settings.model = runner.model.name();
            self.settings.device = runner.device.to_string();
        }
        self.settings.board = self.tab.name().into();
        self.settings.difficulty = self.difficulty.name().into();
        if let Some(path) = self
            .settings_path
            .as_ref()
            .filter(|_| self.settings != self.saved_settings)
        {
            match self.settings.save(path) {
                Ok(()) => self.saved_settings = self.settings.clone(),
                Err(e) => log::warn!("{}: {e}", path.display()),
            }
        }
    }

    /// Replaces the times and names of this machine, so that screenshots are the same everywhere.
    #[doc(hidden)]
    pub fn mask_machine_details(&mut self) {
        for runner in &mut self.runners {
            for step in &mut runner.history.steps {
                step.duration = Duration::from_millis(20);
            }
            if let Some(info) = &mut runner.info {
                info.device = "cpu".into();
                info.load_time = Duration::from_millis(10);
            }
        }
    }
}

impl Drop for App {
    /// Waits for the threads of removed runners. The others end with their handles.
    fn drop(&mut self) {
        for thread in self.ending_threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Returns a function that asks the window to draw, from any thread.
pub(crate) fn repaint_waker(ctx: &Context) -> impl Fn() + Send + 'static {
    let ctx = ctx.clone();
    move || ctx.request_repaint()
}
